"""Answers with what the app sees of a request."""

import json


async def app(scope, receive, send):  # noqa: ANN001, ANN201 - ASGI
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    ]
    seen = {
        "path": scope["path"],
        "scheme": scope["scheme"],
        "client": scope["client"] and scope["client"][0],
        "headers": headers,
    }
    body = json.dumps(seen).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
