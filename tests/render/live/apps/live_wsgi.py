"""An app on threads or none: /big is a long answer, ?wait a slow one, and a body is read."""

import json
import time
from urllib.parse import parse_qs

BIG = b"x" * (8 * 1024 * 1024)


def app(environ, start_response):  # noqa: ANN001, ANN201 - WSGI
    length = int(environ.get("CONTENT_LENGTH") or 0)
    received = len(environ["wsgi.input"].read(length))
    asked = parse_qs(environ["QUERY_STRING"])
    time.sleep(float(asked.get("wait", ["0"])[0]))
    if environ["PATH_INFO"] == "/big":
        headers = [("content-type", "application/octet-stream"), ("content-length", str(len(BIG)))]
        start_response("200 OK", headers)
        return [BIG]
    body = json.dumps({"path": environ["PATH_INFO"], "received": received}).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
