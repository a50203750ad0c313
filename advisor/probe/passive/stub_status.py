"""nginx's stub_status page: how many requests it has been sent."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Self

import httpx

from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe import address

MAX_PAGE = 4096
TIMEOUT_S = 2.0
_PAGE = re.compile(
    r"Active connections: (?P<active>[0-9]{1,18})\s+server accepts handled requests"
    r"(?: request_time)?\s+(?P<accepts>[0-9]{1,18}) (?P<handled>[0-9]{1,18}) "
    r"(?P<requests>[0-9]{1,18})[ 0-9]*\s+"
)


@dataclass(frozen=True)
class Counters:
    """Since nginx started, over all its sites; this page's own requests are among them."""

    active: int
    accepts: int
    handled: int
    requests: int


def parse(page: str) -> Counters | None:
    r"""The counters of a stub_status page (ngx_http_stub_status_module); None if it is none.

    >>> parse("Active connections: 2 \nserver accepts handled requests\n 9 9 31 \nReading: 0")
    Counters(active=2, accepts=9, handled=9, requests=31)
    """
    match = _PAGE.match(page)
    return (
        Counters(**{name: int(text) for name, text in match.groupdict().items()}) if match else None
    )


@dataclass
class StubStatus:
    """Reads the page at a loopback URL, inside an `async with`; tells the requests between reads.

    Raises `GuardRefused` where the URL leads off this host.
    """

    url: str
    _before: int | None = None
    _client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        at = address.resolve(self.url)
        if not at.is_loopback:
            raise GuardRefused(
                f"{self.url}: stub_status is read on this host only",
                remedy="Run on nginx's host, and give a URL on 127.0.0.1.",
            )
        host = f"[{at.address}]" if ":" in at.address else at.address
        # A name is resolved once, and a certificate is the name's, not the address's.
        self._client = httpx.AsyncClient(
            base_url=f"{at.scheme}://{host}:{at.port}",
            headers={"host": at.authority, "user-agent": "advisor", "accept-encoding": "identity"},
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=False,  # noqa: S501 - loopback, and nothing secret is sent or read
        )
        self._path = at.path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def since_last(self) -> int:
        """Requests of others since the last call, 0 at the first.

        Each reading counts itself, so one of ours lies between two. 0 after a restart of nginx,
        whose counters begin again. Raises `InvalidInput` for another page, `TooLittleEvidence`
        where none comes.
        """
        now = (await self.read()).requests
        before, self._before = self._before, now
        return 0 if before is None else max(0, now - before - 1)

    async def read(self) -> Counters:
        """The counters now; raises as `since_last` does."""
        page = b""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client.stream("GET", self._path) as answer:
                async for chunk in answer.aiter_raw():
                    page += chunk[:MAX_PAGE]
                    if len(page) >= MAX_PAGE:
                        break
        except (httpx.HTTPError, TimeoutError) as error:
            raise TooLittleEvidence(
                f"{self.url}: no stub_status page came ({type(error).__name__})",
                remedy="Is nginx up, and does `stub_status` stand in that location?",
            ) from None
        counters = parse(page.decode("ascii", "replace")) if answer.is_success else None
        if counters is None:
            raise InvalidInput(
                f"{self.url}: answers {answer.status_code}, and no stub_status page",
                remedy="Give the URL of a location with `stub_status;` and `allow 127.0.0.1;`.",
            )
        return counters
