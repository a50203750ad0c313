"""The rendered pair at work: real nginx in front of real Gunicorn, as systemd would start it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from advisor.errors import InvalidInput
from advisor.render import render, stage_nginx
from tests.render.live_common.clients import SPOOFED, check_unspoofed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

pytestmark = pytest.mark.daemon


class Site(Protocol):
    def __call__(
        self, rec: Recommendation, *, upstream: bool = True, scheme: bytes = b"$scheme"
    ) -> contextlib.AbstractContextManager[httpx.Client]: ...


KINDS = {
    "uvicorn": ("echo_asgi:app", "asgi", "uvicorn_worker.UvicornWorker", None),
    "asgi": ("echo_asgi:app", "asgi", "asgi", None),
    "sync": ("echo_wsgi:app", "wsgi", "sync", None),
    "gthread": ("echo_wsgi:app", "wsgi", "gthread", 4),
}


def recommendation(make: Make, kind: str, *, listen: str = "unix", **intent: Any) -> Recommendation:
    module, interface, worker_class, threads = KINDS[kind]
    settings: dict[str, Any] = {
        "gunicorn.workers": 1,
        "gunicorn.worker_class": worker_class,
        "gunicorn.threads": threads,
        "gunicorn.graceful_timeout": 2,
        "nginx.client_max_body_size": 1000,
    }
    if kind == "sync":
        settings |= {"gunicorn.keepalive": None, "nginx.upstream_keepalive": None}
    stated = {"app.module": module, "app.interface": interface, "domain": None, "static": {}}
    return make(
        app={"module": module, "interface": interface},
        intent=stated | {"listen": listen} | intent,
        settings=settings,
    )


@pytest.mark.parametrize("listen", ["unix", "tcp"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_request_passes_and_a_spoofed_origin_does_not(
    make: Make, site: Site, free_port: int, kind: str, listen: str
) -> None:
    where = "unix" if listen == "unix" else f"127.0.0.1:{free_port}"
    with site(recommendation(make, kind, listen=where)) as client:
        seen = client.get("/a/path?x=1", headers=SPOOFED).json()
    headers = dict(seen["headers"])
    assert len(headers) == len(seen["headers"]), "a header came twice"
    assert seen["path"] == "/a/path"
    assert seen["scheme"] == "http"
    assert headers["host"] == f"127.0.0.1:{client.base_url.port}"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    check_unspoofed(headers)
    if kind == "uvicorn":
        assert seen["client"] == "127.0.0.1"


@pytest.mark.parametrize("kind", KINDS)
def test_the_proxys_word_for_the_scheme_reaches_the_app(make: Make, site: Site, kind: str) -> None:
    """Behind TLS an app on a unix socket would otherwise build http:// links."""
    with site(recommendation(make, kind), scheme=b"https") as client:
        assert client.get("/").json()["scheme"] == "https"


def test_a_body_over_the_limit_is_413_before_the_app_sees_it(make: Make, site: Site) -> None:
    with site(recommendation(make, "gthread")) as client:
        assert client.post("/", content=b"x" * 1000).status_code == 200
    with site(recommendation(make, "gthread"), upstream=False) as client:
        assert client.post("/", content=b"x" * 1001).status_code == 413
        assert client.post("/", content=b"x" * 1000).status_code == 502


def test_static_files_are_served_and_lead_nowhere_else(
    make: Make, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "static").mkdir(mode=0o755)
    (tmp_path / "static" / "a.css").write_text("body {}")
    (tmp_path / "secret").write_text("secret")
    static = {"/static": str(tmp_path / "static")}
    with site(recommendation(make, "gthread", static=static)) as client:
        assert client.get("/static/a.css").text == "body {}"
        assert client.get("/static/none").status_code == 404
        assert "secret" not in raw(client, "/static../secret")
        assert "secret" not in raw(client, "/static/../../secret")
        assert client.get("/healthz").json()["path"] == "/healthz"


def raw(client: httpx.Client, path: str) -> str:
    """An answer to a path that httpx would have tidied."""
    with socket.create_connection(("127.0.0.1", client.base_url.port or 80)) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.decode().partition("\r\n\r\n")[2].replace(json.dumps(path), "")


class Upstream(threading.Thread):
    """A server on a unix socket that keeps connections open, counts them and shows requests."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(0o666)
        self.listener.listen()
        self.connections = 0
        self.requests: list[bytes] = []
        self.open: list[socket.socket] = []

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                self.open.append(connection)
                threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := connection.recv(65536):
                self.requests.append(request)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            connection.close()


@pytest.mark.parametrize(("keepalive", "connections"), [(8, 1), (None, 5)])
def test_connections_to_the_app_are_reused_only_where_the_app_keeps_them(
    make: Make, site: Site, tmp_path: Path, keepalive: int | None, connections: int
) -> None:
    upstream = Upstream(tmp_path / "app.sock")
    upstream.start()
    rec = make(intent={"domain": None}, settings={"nginx.upstream_keepalive": keepalive})
    try:
        with site(rec, upstream=False) as client:
            for _ in range(5):
                assert client.get("/").text == "ok"
    finally:
        upstream.close()
    assert upstream.connections == connections
    closing = [request for request in upstream.requests if b"Connection: close" in request]
    assert len(closing) == (0 if keepalive else 5)
    assert all(request.startswith(b"GET / HTTP/1.1\r\n") for request in upstream.requests)


def test_staging_refuses_what_is_not_there(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing was rendered for nginx"):
        stage_nginx(render(make(intent={"proxy": "none"})), tmp_path)
    with pytest.raises(InvalidInput, match=r"does not listen on 127\.0\.0\.1:8080"):
        stage_nginx(render(make()), tmp_path, listen={"127.0.0.1:8080": "127.0.0.1:1"})
