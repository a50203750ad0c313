"""One GET at a time over one kept-alive connection: no redirect, cookie, proxy or decoding.

httpx's transport alone, without its client: a client would send back the cookies it was
given, which makes the second answer another visitor's.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

import httpx

from advisor import __version__
from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe.load.requests import request_bytes
from advisor.probe.questions.caching import SAMPLE_BYTES, Answer
from advisor.probe.questions.text import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from advisor.errors import AdvisorError
    from advisor.probe.address import Endpoint

TIMEOUT_S = 10.0
CONNECT_S = 5.0
# A stream is read for so long, to see that it is one.
STREAM_S = 1.0
MAX_BODY_BYTES = 64 * 1024**2
_REDIRECT, _ERROR = 300, 400


class Asker:
    """Asks one server; `sent` counts the requests. An async context."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.sent = 0
        # The system's certificates, as the load has them; none are loaded for plain HTTP.
        tls = ssl.create_default_context() if endpoint.scheme == "https" else False
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls,
            trust_env=False,
            uds=endpoint.socket,
            limits=httpx.Limits(max_connections=1),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.aclose()

    async def get(
        self, path: str, *, most: int = MAX_BODY_BYTES, keep: int = SAMPLE_BYTES
    ) -> Answer:
        """A good answer, uncompressed, with the first `keep` bytes of its body.

        Raises `TooLittleEvidence` for a server that refuses, takes too long, or answers an error
        or more than `most` bytes; `GuardRefused` for a redirect, `InvalidInput` for what speaks
        no HTTP.
        """
        endpoint = self.endpoint.at(path)
        try:
            answer = await self._fetch(path, {}, TIMEOUT_S, most=most, keep=keep)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            if await self._first_bytes(endpoint) not in {b"", b"HTTP/"}:
                where = f"{endpoint.url}: what listens there does not speak HTTP"
                raise InvalidInput(where) from None
            raise _failure(endpoint, error) from None
        check(endpoint, answer)
        return answer

    async def look(
        self, path: str, headers: Mapping[str, str] | None = None, *, within_s: float = TIMEOUT_S
    ) -> Answer | None:
        """Whatever the route answers; None where that fails or takes longer."""
        try:
            return await self._fetch(path, headers or {}, within_s)
        except (httpx.HTTPError, TimeoutError, OSError, TooLittleEvidence):
            return None

    async def _fetch(
        self,
        path: str,
        headers: Mapping[str, str],
        within_s: float,
        *,
        most: int = MAX_BODY_BYTES,
        keep: int = SAMPLE_BYTES,
    ) -> Answer:
        endpoint = self.endpoint
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        authority = "localhost" if endpoint.socket else f"{host}:{endpoint.port}"
        request = httpx.Request(
            "GET",
            f"{endpoint.scheme}://{authority}/",
            headers={
                "Host": endpoint.authority,
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": f"advisor/{__version__}",
                **headers,
            },
            extensions={
                "target": path.encode("ascii"),  # byte for byte, as the load sends it
                "sni_hostname": endpoint.host,
                "timeout": {"connect": CONNECT_S, "read": within_s, "write": within_s},
            },
        )
        self.sent += 1
        async with asyncio.timeout(within_s):
            response = await self._transport.handle_async_request(request)
            try:
                return await _read(response, endpoint.at(path), most=most, keep=keep)
            finally:
                await response.aclose()

    async def _first_bytes(self, endpoint: Endpoint) -> bytes:
        """The first five bytes that a plain request is answered with; none over TLS or in silence.

        httpx waits for whole headers, which another protocol's greeting never becomes.
        """
        if endpoint.scheme != "http":
            return b""
        try:
            async with asyncio.timeout(2):
                if endpoint.socket:
                    reader, writer = await asyncio.open_unix_connection(endpoint.socket)
                else:
                    reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port)
                try:
                    self.sent += 1
                    writer.write(request_bytes(endpoint))
                    return await reader.read(5)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return b""


async def _read(response: httpx.Response, endpoint: Endpoint, *, most: int, keep: int) -> Answer:
    """The answer with a digest of its body, so that only the start of a large one is kept."""
    headers = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in response.headers.raw
    )
    head = Answer(response.status_code, headers)
    if head.status < 200:  # another protocol begins here
        return head
    chunks = response.aiter_raw()
    if head.streams:
        chunk = await _first_of(chunks)
        return Answer(head.status, headers, len(chunk), sample=chunk[:keep])
    digest, sample, size = hashlib.blake2b(digest_size=16), bytearray(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise TooLittleEvidence(
                f"{endpoint.url}: an answer of over {most // 1024**2} MiB",
                remedy="Probe a route whose answer ends.",
            )
        digest.update(chunk)
        sample += chunk[: keep - len(sample)]
    return Answer(head.status, headers, size, digest.digest(), bytes(sample))


async def _first_of(chunks: AsyncIterator[bytes]) -> bytes:
    """The first piece of a stream; empty where none comes soon."""
    try:
        async with asyncio.timeout(STREAM_S):
            return await anext(chunks, b"")
    except TimeoutError:
        return b""


def check(endpoint: Endpoint, answer: Answer) -> None:
    """Pass a good answer; `TooLittleEvidence` for an error, `GuardRefused` for a redirect."""
    if answer.status >= _ERROR or answer.status < 200:
        hint = {
            401: "The route wants credentials; probe one that does not.",
            403: "The route wants permission; probe one that does not.",
            404: "Name a route that exists.",
        }.get(answer.status, "Look at the app's log, and probe a route that works.")
        raise TooLittleEvidence(f"{endpoint.url}: answers {answer.status}", remedy=hint)
    if answer.status >= _REDIRECT:
        raise _redirect(endpoint, answer)


def _redirect(endpoint: Endpoint, answer: Answer) -> AdvisorError:
    location = answer.header("location")
    if location is None:
        return TooLittleEvidence(
            f"{endpoint.url}: answers {answer.status}, which has no content",
            remedy="Probe a route that works.",
        )
    try:
        target = urlsplit(urljoin(endpoint.url, location))
        same = (target.scheme, target.netloc) == (endpoint.scheme, endpoint.authority)
    except ValueError:
        return GuardRefused(f"{endpoint.url}: redirects to what is no URL")
    if same:
        where = printable(target._replace(fragment="").geturl())
        remedy = f"A probe follows no redirect. Give {where} if that is the route you mean."
        return GuardRefused(f"{endpoint.url}: redirects to {where!r}", remedy=remedy)
    # Of another host's address no more than the place: a query may carry a secret.
    host = target.netloc.rpartition("@")[2]
    where = printable(f"{target.scheme}://{host}{target.path}")
    return GuardRefused(
        f"{endpoint.url}: redirects to {where!r}, another host",
        remedy="A probe follows no redirect. Give the URL of the route that answers.",
    )


def _failure(endpoint: Endpoint, error: Exception) -> AdvisorError:
    where = f"{endpoint.url} ({endpoint.where})"
    reason = printable(str(error) or type(error).__name__)
    match error:
        case httpx.TimeoutException() | TimeoutError():
            return TooLittleEvidence(
                f"{where}: no answer within {TIMEOUT_S:g} s",
                remedy="Is the app up, and does this route end?",
            )
        case httpx.ConnectError() if "SSL" in reason or "TLS" in reason:
            return TooLittleEvidence(
                f"{where}: TLS failed: {reason}", remedy="Use the name that its certificate holds."
            )
        case httpx.ConnectError():
            return TooLittleEvidence(
                f"{where}: refuses connections",
                remedy="Start the app, or correct the port or the socket.",
            )
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return InvalidInput(f"{where}: {reason}")
        case _:
            return TooLittleEvidence(f"{where}: {reason}", remedy="Look at the app's log.")
