"""Who asks a site, what a hostile one says of itself, and what the app may then be told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import httpx

from tests.render.live_common.running import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

DOMAIN = "shop.example"
# The app's socket, below the folder of a deployment.
SOCKET = "run/shop/shop.sock"
# All that OpenSSL can speak, weak or anonymous.
EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
KEYS = {
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "rsa": ["-newkey", "rsa:2048"],
}
SPOOFED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Protocol": "ssl",
    "X-Forwarded-Prefix": "/evil",
    "X-Real-IP": "6.6.6.6",
    "X-Request-ID": "evil",
    "Forwarded": "for=6.6.6.6;proto=https",
}
DROPPED = {
    "forwarded",
    "x-forwarded-port",
    "x-forwarded-ssl",
    "x-forwarded-protocol",
    "x-forwarded-prefix",
}
# Plain HTTP needs no authorities, and reading them takes longer than a test's request.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Served:
    """A site that is up on loopback: a proxy's port, and the folder with the app's socket."""

    folder: Path
    port: int

    def client(self, source: str = "127.0.0.1", timeout: float = DEADLINE_S) -> httpx.Client:
        """A client of the proxy, from this address."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            transport=httpx.HTTPTransport(verify=_NO_TLS, local_address=source),
            timeout=timeout,
        )

    def app(self, timeout: float = DEADLINE_S) -> httpx.Client:
        """A client of the app itself, past the proxy."""
        transport = httpx.HTTPTransport(verify=_NO_TLS, uds=str(self.folder / SOCKET))
        return httpx.Client(base_url="http://app", transport=transport, timeout=timeout)

    def raw(self, request: str) -> str:
        """All that the proxy answers to these words until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S) as connection:
            connection.sendall(request.encode("latin-1"))
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode("latin-1")


def get(site: Served, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    with site.client() as client:
        return client.get(path, headers=headers)


def seen(
    site: Served, headers: Mapping[str, str], source: str = "127.0.0.1", path: str = "/"
) -> dict[str, Any]:
    """What the app sees of a request, its headers by name."""
    with site.client(source) as client:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    assert len(dict(told["headers"])) == len(told["headers"]), "a header came twice"
    return told | dict(told["headers"])


def check_unspoofed(headers: Mapping[str, str]) -> None:
    """Nothing of what `SPOOFED` says has reached the app."""
    assert headers["x-request-id"] not in {"", "evil"}
    assert not {text for text in SPOOFED.values() if text != "on"} & set(headers.values())
    assert not DROPPED & set(headers)


def static_folder(folder: Path) -> Path:
    """A folder to serve, and beside it what must not be."""
    (folder / "secret").write_text("secret")
    served = folder / "static"
    served.mkdir(mode=0o755)
    (served / "a.css").write_text("body {}")
    (served / "long.css").write_text("body {} " * 100)
    return served


HEAD = "Host: shop.example\r\nContent-Type: application/octet-stream\r\n"
UPLOAD = f"POST /upload HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n" + "x" * 500
UNFINISHED = "GET / HTTP/1.1\r\nHost: shop"


@contextlib.contextmanager
def slow(client: socket.socket, address: str | tuple[str, int], request: str) -> Iterator[None]:
    """A client that has said so much, and reads nothing."""
    with client:
        client.settimeout(DEADLINE_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.sendall(request.encode())
        yield


def self_signed(folder: Path, kind: str, openssl: str) -> dict[str, str]:
    """A pair for the domain, as advisor.yml's `tls`."""
    pair = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    command = [openssl, "req", "-x509", *KEYS[kind], "-nodes", "-days", "2"]
    command += ["-out", pair["certificate"], "-keyout", pair["key"]]
    command += ["-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}"]
    subprocess.run(command, check=True, capture_output=True)
    return pair


def context(certificate: Mapping[str, str], ciphers: str = EVERYTHING) -> ssl.SSLContext:
    """A client that speaks whatever it can, and believes this certificate alone."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(certificate["certificate"])
    made.set_ciphers(ciphers)
    made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return made


def shared(port: int, with_: ssl.SSLContext) -> tuple[str | None, str, str | None]:
    """Version, suite and ALPN protocol that both sides agree on."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as plain,
        with_.wrap_socket(plain, server_hostname=DOMAIN) as done,
    ):
        return done.version(), (done.cipher() or ("",))[0], done.selected_alpn_protocol()


def check_sent_to_https(site: Served, statuses: Collection[int]) -> None:
    """Plain HTTP is redirected, whatever the method, and reaches no app."""
    with site.client() as client, site.app() as app:
        before = app.get("/count").json()["n"]
        for method in ("GET", "POST"):
            answer = client.request(method, "/count?a=b%20c", headers={"Host": DOMAIN})
            assert answer.status_code in statuses
            assert answer.headers["location"] == f"https://{DOMAIN}/count?a=b%20c"
            # RFC 6797, 7.2: not over plain HTTP.
            assert "strict-transport-security" not in answer.headers
        assert app.get("/count").json()["n"] == before + 1
