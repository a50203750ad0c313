"""What the rules of shared caches say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.documents import Cacheable, HttpFacts
from advisor.rules.cdn import SHARED
from tests.rules.cases.shared import SILENT

YES = Cacheable(value=True, why="GET, no cookie, same body over 5 requests")
NO = Cacheable(value=False, why="a test")


def fact(path: str, **other: Any) -> HttpFacts:
    """An answer that is the same for everybody and says nothing of caches."""
    plain: dict[str, Any] = {
        "status": 200,
        "content_type": "application/json",
        "bytes": 18_211,
        "compressed": False,
        "compressible_ratio": 0.21,
        "stable": True,
        "microcache": YES,
        "cdn": NO,
    }
    return HttpFacts(path=path, **(plain | other))


def http(*facts: HttpFacts, **other: Any) -> dict[str, Any]:
    return {"http": list(facts), **other}


def shared(*paths: str) -> list[str]:
    return [f"{path}: {SHARED}" for path in paths]


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "cdn.cache_control": [
        (http(fact("/items")), shared("/items")),
        (http(fact("/items"), fact("/about")), shared("/items", "/about")),
        (http(fact("/items?page=1"), fact("/items?page=2")), shared("/items")),
        # One of a route's answers is not for everybody: none of them is kept.
        (http(fact("/items?page=1"), fact("/items?me=1", microcache=NO)), SILENT),
        (http(fact("/items"), fact("/me", microcache=NO)), shared("/items")),
        (http(fact("/items", stable=False)), SILENT),
        (http(fact("/items", stable=None)), SILENT),
        (http(fact("/items", sets_cookie=True)), SILENT),
        (http(fact("/items", vary=["Cookie"])), SILENT),
        (http(fact("/items", vary=["authorization"])), SILENT),
        (http(fact("/items", vary=["*"])), SILENT),
        (http(fact("/items", vary=["accept-encoding"])), shared("/items")),
        # What a route says of caches itself stays.
        (http(fact("/items", cache_control="max-age=5")), SILENT),
        (http(fact("/items", cache_control="")), SILENT),
        (http(fact("/items", cdn=YES)), SILENT),
        # An older measurement does not tell what was sent.
        (http(fact("/items", cdn=None)), SILENT),
        (http(fact("/healthz"), fact("/api/health/"), fact("/ping")), SILENT),
        (http(fact("/events"), routes={"/events": "stream"}), SILENT),
        (http(fact("/search"), routes={"/search": {"microcache": "1s"}}), shared("/search")),
        (http(fact("/static/x.json"), static={"/static/": "/srv/shop/static"}), SILENT),
        # Files named by their content are kept for ever (browser.cache_control).
        (http(fact("/app.3f9c2ab1.js")), SILENT),
        # No path that a file may hold.
        (http(fact('/"\nimport os')), SILENT),
        (http(fact("/a\x1b[2J")), SILENT),
    ],
    "cdn.vary": [
        (http(fact("/items", compressed=True)), ["/items: accept-encoding"]),
        (
            http(fact("/items", compressed=True, vary=["Origin"])),
            ["/items: accept-encoding, origin"],
        ),
        (http(fact("/items", compressed=True, vary=["Accept-Encoding"])), SILENT),
        (http(fact("/items", compressed=True, vary=["*"])), SILENT),
        (http(fact("/items", compressed=True, vary=['x"y'])), SILENT),
        (http(fact("/items", compressed=True, cdn=None)), SILENT),
        (http(fact("/items")), SILENT),
    ],
}
