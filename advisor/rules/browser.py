"""Headers for the cache of one visitor's browser, which the app's code sends.

Routes that everybody may share are in cdn.cache_control; browsers read that header too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.quantities import count
from advisor.rules import caching
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.documents import HttpFacts

FOR_EVER = "public, max-age=31536000, immutable"
ASKED_AGAIN = "private, no-cache"
OK = 200
# A digest in the file's name, of letters and figures: app.3f9c2ab1.js. A date has no letters.
DIGEST = re.compile(
    r".*[.-](?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{8,64}"
    r"\.(?:css|js|mjs|woff2?|png|jpe?g|svg|webp|avif|gif|ico)"
)


def named_by_content(path: str) -> bool:
    """Whether the file's name holds a digest of its content, so that it never changes.

    >>> named_by_content("/assets/app.3f9c2ab1.js"), named_by_content("/report-20260101.css")
    (True, False)
    """
    return DIGEST.fullmatch(path) is not None


def _header(path: str, facts: list[HttpFacts]) -> str | None:
    """For ever, or to be asked for again each time; None where nothing is to be said."""
    if named_by_content(path):
        return FOR_EVER if all(map(caching.alike, facts)) else None
    checkable = all(
        caching.undecided(fact)
        and not caching.alike(fact)
        and fact.stable is not False
        and fact.status == OK
        and (fact.etag or fact.last_modified)
        for fact in facts
    )
    return ASKED_AGAIN if checkable else None


@rule(
    "browser.cache_control",
    needs=caching.NEEDS,
    wants=caching.WANTS,
    accepts=caching.Lines,
    source="RFC 9111, section 5.2.2; RFC 8246 (immutable)",
    applied_by="code",
    optional=True,
)
def cache_control(s: Seen) -> Choice | None:
    """A year for files whose names hold a digest; a check each time for what can be checked.

    The second are routes with an ETag or Last-Modified that are not known to be the same for
    everybody: the browser keeps its copy, asks, and a 304 saves the body. Routes that set a
    cookie, differ by visitor, or say something of caches themselves are left as they are.
    """
    found = caching.routes(s)
    chosen = {path: header for path in found if (header := _header(path, found[path]))}
    if not chosen:
        return None
    words, inputs = caching.saved(found, chosen, s)
    kept = sum(header == FOR_EVER for header in chosen.values())
    parts = [
        *([f"{count(kept, 'file')} named by content, never asked for again"] if kept else []),
        *(
            [f"{count(len(chosen) - kept, 'route')} that can answer 304 without a body"]
            if len(chosen) > kept
            else []
        ),
    ]
    return Choice(
        caching.lines(chosen),
        f"{'; '.join(parts)}; of {len(found)} measured. That saves up to {words} a request.",
        confidence="medium",
        inputs=inputs,
        paste=caching.paste("cache-control", chosen),
    )
