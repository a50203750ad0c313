"""What one request can ask: does the route answer, with what, and may it be cached?"""

from __future__ import annotations

import asyncio
import gzip
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from advisor import __version__
from advisor.documents import Cacheable, HttpFacts
from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe.load.engine import request_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.probe.address import Endpoint

REPEATS = 5
PATIENCE_S = 2.0
TIMEOUT_S = 10.0
MAX_BODY_BYTES = 64 * 1024**2
HEALTH_ROUTES = ("/healthz", "/health", "/ping")
_OK, _REDIRECT, _ERROR = 200, 300, 400


@dataclass(frozen=True)
class Answer:
    """One answer, its body as sent (not decoded)."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True)
class Answers:
    """Facts of the route and of health routes that answer; the status of each one tried; requests.

    A status of 0 is no answer.
    """

    http: list[HttpFacts]
    health: dict[str, int]
    sent: int


async def ask(endpoint: Endpoint) -> Answers:
    """Put the questions, one at a time.

    Raises `TooLittleEvidence` for a server that refuses, times out or answers an error,
    `GuardRefused` for a redirect, `InvalidInput` for what speaks no HTTP.
    """
    transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=1))
    async with httpx.AsyncClient(
        transport=transport,
        timeout=httpx.Timeout(TIMEOUT_S, connect=5.0),
        follow_redirects=False,
        trust_env=False,
    ) as client:
        began = time.monotonic()
        plain = [await _get(client, endpoint, encoding="identity")]
        while len(plain) < REPEATS and time.monotonic() - began < PATIENCE_S:
            plain.append(await _get(client, endpoint, encoding="identity"))
        packed = await _get(client, endpoint, encoding="gzip, br, zstd")
        health = {
            path: await _fetch(client, endpoint, path, encoding="identity")
            for path in HEALTH_ROUTES
        }
    http = [facts(endpoint.path, plain, packed)]
    for path, answer in health.items():
        if answer and path != endpoint.path and _OK <= answer.status < _REDIRECT:
            http.append(facts(path, [answer], None))
    statuses = {path: answer.status if answer else 0 for path, answer in health.items()}
    return Answers(http=http, health=statuses, sent=len(plain) + 1 + len(health))


async def _get(client: httpx.AsyncClient, endpoint: Endpoint, *, encoding: str) -> Answer:
    answer = await _fetch(client, endpoint, endpoint.path, encoding=encoding, must=True)
    if answer is None:
        raise TooLittleEvidence(f"{endpoint.url}: no answer")
    if answer.status >= _ERROR:
        hint = {
            401: "The route wants credentials; probe one that does not.",
            403: "The route wants permission; probe one that does not.",
            404: "Name a route that exists.",
        }.get(answer.status, "Look at the app's log, and probe a route that works.")
        raise TooLittleEvidence(f"{endpoint.url}: answers {answer.status}", remedy=hint)
    if answer.status >= _REDIRECT:
        location = answer.headers.get("location", "nowhere")
        raise GuardRefused(
            f"{endpoint.url}: redirects to {location[:200]!r}",
            remedy="A probe follows no redirect. Give the URL of the route that answers.",
        )
    return answer


async def _fetch(
    client: httpx.AsyncClient, endpoint: Endpoint, path: str, *, encoding: str, must: bool = False
) -> Answer | None:
    """One GET; None where it fails, unless it must succeed."""
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    url = f"{endpoint.scheme}://{host}:{endpoint.port}{path}"
    headers = {
        "host": endpoint.authority,
        "accept-encoding": encoding,
        "user-agent": f"advisor/{__version__}",
    }
    body = bytearray()
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            client.stream(
                "GET", url, headers=headers, extensions={"sni_hostname": endpoint.host}
            ) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise TooLittleEvidence(
                        f"{endpoint.url}: an answer of over {MAX_BODY_BYTES // 1024**2} MiB",
                        remedy="Probe a route whose answer ends.",
                    )
            return Answer(response.status_code, response.headers, bytes(body))
    except (httpx.HTTPError, TimeoutError) as error:
        if not must:
            return None
        if await _first_bytes(endpoint) not in {b"", b"HTTP/"}:
            raise InvalidInput(f"{endpoint.url}: what listens there does not speak HTTP") from None
        raise _failure(endpoint, error) from None


async def _first_bytes(endpoint: Endpoint) -> bytes:
    """The first five bytes that a plain request is answered with; none over TLS or in silence.

    httpx waits for whole headers, which another protocol's greeting never becomes.
    """
    if endpoint.scheme != "http":
        return b""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port)
            try:
                writer.write(request_bytes(endpoint))
                return await reader.read(5)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


def _failure(endpoint: Endpoint, error: Exception) -> Exception:
    where = f"{endpoint.url} ({endpoint.address} port {endpoint.port})"
    match error:
        case httpx.ConnectTimeout() | httpx.ReadTimeout() | TimeoutError():
            return TooLittleEvidence(
                f"{where}: no answer within {TIMEOUT_S:g} s",
                remedy="Is the app up, and does this route end?",
            )
        case httpx.ConnectError() if "SSL" in str(error) or "TLS" in str(error):
            return TooLittleEvidence(
                f"{where}: TLS failed: {error}", remedy="Use the name that its certificate holds."
            )
        case httpx.ConnectError():
            return TooLittleEvidence(
                f"{where}: refuses connections", remedy="Start the app, or correct the port."
            )
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return InvalidInput(f"{where}: {error}")
        case _:
            reason = str(error) or type(error).__name__
            return TooLittleEvidence(f"{where}: {reason}", remedy="Look at the app's log.")


def facts(path: str, plain: Sequence[Answer], packed: Answer | None) -> HttpFacts:
    """What several uncompressed answers and one that may be compressed say about a route."""
    first = plain[0]
    kind = first.headers.get("content-type")
    stable = all(answer.body == first.body for answer in plain) if len(plain) > 1 else None
    return HttpFacts(
        path=path,
        status=first.status,
        content_type=kind.partition(";")[0].strip() if kind else None,
        bytes=len(first.body),
        compressed=packed is not None and "content-encoding" in packed.headers,
        compressible_ratio=(
            round(len(gzip.compress(first.body, 5)) / len(first.body), 3) if first.body else None
        ),
        stable=stable,
        microcache=microcache(first, stable=stable, repeats=len(plain)),
    )


def microcache(answer: Answer, *, stable: bool | None, repeats: int) -> Cacheable:
    """Whether a shared cache may hold the answer for a second (RFC 9111, sections 3 and 5.2)."""
    control = answer.headers.get("cache-control", "").lower()
    vary = {name.strip().lower() for name in answer.headers.get("vary", "").split(",")}
    refusals = {
        "it sets a cookie": "set-cookie" in answer.headers,
        f"Cache-Control says {control}": any(
            word in control for word in ("private", "no-store", "no-cache")
        ),
        "it varies with the visitor": bool(vary & {"cookie", "authorization", "*"}),
        f"the body changed within {repeats} requests": stable is False,
        "one answer does not tell whether the body changes": stable is None,
    }
    for why, refused in refusals.items():
        if refused:
            return Cacheable(value=False, why=why)
    return Cacheable(value=True, why=f"GET, no cookie, same body over {repeats} requests")
