"""One route per kind of answer that a cache, a compressor or a reader of headers can meet."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.security import HTTPBearer

app = FastAPI()
visits: dict[str, int] = {}
PAGE = "words and words " * 2000


@app.get("/cached")
def cached(request: Request) -> Response:
    headers = {
        "cache-control": "public, max-age=60",
        "etag": 'W/"1"',
        "last-modified": "Sat, 01 Nov 2025 10:00:00 GMT",
        "vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(PAGE, headers=headers)


@app.get("/plain")
def plain() -> Response:
    return HTMLResponse(PAGE)


@app.get("/packed")
def packed(request: Request) -> Response:
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return HTMLResponse(PAGE, headers={"vary": "accept-encoding"})
    headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
    return HTMLResponse(gzip.compress(PAGE.encode()), headers=headers)


@app.get("/visitor")
def visitor(response: Response) -> dict[str, str]:
    response.set_cookie("visitor", "1")
    return {"hello": "you"}


@app.get("/cookie-echo")
def cookie_echo(request: Request) -> Response:
    return Response(request.headers.get("cookie", "none"), headers={"set-cookie": "a=b"})


@app.get("/private")
def private() -> Response:
    return Response("mine", headers={"cache-control": "private, max-age=60"})


@app.get("/clock")
def clock() -> dict[str, int]:
    return {"second": int(time.time())}


@app.get("/empty")
def empty() -> Response:
    return Response(status_code=204)


@app.get("/events", include_in_schema=False)
def events() -> StreamingResponse:
    async def tick():  # noqa: ANN202 - a generator of bytes
        yield b"data: tick\n\n"
        await asyncio.sleep(3600)

    return StreamingResponse(tick(), media_type="text/event-stream")


@app.get("/moved")
def moved() -> RedirectResponse:
    return RedirectResponse("/plain")


@app.get("/fails-later", include_in_schema=False)
def fails_later() -> Response:
    visits["fails-later"] = visits.get("fails-later", 0) + 1
    return Response("x", status_code=200 if visits["fails-later"] < 3 else 500)


@app.get("/items/{item}")
def item(item: int) -> dict[str, int]:
    return {"item": item}


@app.get("/search")
def search(q: Annotated[str, Query()]) -> dict[str, str]:
    return {"q": q}


@app.get("/page")
def page(number: Annotated[int, Query()] = 1) -> dict[str, int]:
    return {"page": number}


@app.get("/tenant")
def tenant(x_tenant: Annotated[str, Header()]) -> dict[str, str]:
    return {"tenant": x_tenant}


@app.get("/secret", dependencies=[Depends(HTTPBearer())])
def secret() -> None: ...


@app.get("/logout")
def logout() -> None: ...


@app.get("/old", deprecated=True)
def old() -> None: ...


@app.post("/order")
def order() -> None: ...


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


mounted = FastAPI(root_path="/api")
router = APIRouter()


@router.get("/items")
def items(request: Request) -> dict[str, str]:
    return {"path": request.scope["path"]}


@router.get("/healthz")
def mounted_health() -> dict[str, str]:
    return {"status": "ok"}


mounted.include_router(router)
