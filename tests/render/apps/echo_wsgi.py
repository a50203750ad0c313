"""Answers with what the app sees of a request."""

import json


def app(environ, start_response):  # noqa: ANN001, ANN201 - WSGI
    headers = [
        (key.removeprefix("HTTP_").replace("_", "-").lower(), value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    seen = {
        "path": environ["PATH_INFO"],
        "scheme": environ["wsgi.url_scheme"],
        "client": environ.get("REMOTE_ADDR"),
        "headers": headers,
    }
    start_response("200 OK", [("content-type", "application/json")])
    return [json.dumps(seen).encode()]
