"""Headers for a cache between the app and everybody, which the app's code sends."""

from __future__ import annotations

import re

from advisor.rules import caching
from advisor.rules.browser import named_by_content
from advisor.rules.registry import Choice, Seen, rule

# Without s-maxage, which forbids to serve anything stale (RFC 9111, section 4.2.4).
SHARED = "public, max-age=60, stale-while-revalidate=30"
NAME = re.compile(r"[a-z0-9-]{1,64}")


@rule(
    "cdn.cache_control",
    needs=caching.NEEDS,
    wants=caching.WANTS,
    accepts=caching.Lines,
    source="RFC 9111, sections 3.5, 4.2.4 and 5.2.2; RFC 5861 (stale-while-revalidate)",
    applied_by="code",
    optional=True,
)
def cache_control(s: Seen) -> Choice | None:
    """A minute for routes that answer everybody alike, and half a minute while it is fetched anew.

    Only GET routes that were measured, without a cookie, with the same body each time, that say
    nothing of caches themselves. The lines leave out whoever sends a cookie or credentials: what
    a visitor alone may see is never marked as everybody's. Browsers keep it for as long; where a
    cookie changes the page, the CDN has to pass requests with that cookie by.
    """
    found = caching.routes(s)
    chosen = {
        path: SHARED
        for path, facts in found.items()
        if all(map(caching.alike, facts)) and not named_by_content(path)
    }
    if not chosen:
        return None
    words, inputs = caching.saved(found, chosen, s)
    return Choice(
        caching.lines(chosen),
        f"Routes that answer everybody alike: {caching.of_all(found, chosen)}; a copy saves "
        f"{words} a request. Where a cookie changes the page, let the CDN pass it by.",
        confidence="medium",
        inputs=inputs,
        paste=caching.paste("cache-control", chosen, unless_known=True),
    )


@rule(
    "cdn.vary",
    needs=caching.NEEDS,
    wants=caching.WANTS,
    accepts=caching.Lines,
    source="RFC 9110, section 12.5.5; RFC 9111, section 4.1",
    applied_by="code",
    optional=True,
)
def vary(s: Seen) -> Choice | None:
    """`Accept-Encoding`, beside what is there, where an answer is compressed and does not say so.

    Without it a cache gives the compressed copy to a client that cannot read it.
    """
    found = caching.routes(s)
    chosen = {}
    for path, facts in found.items():
        names = dict.fromkeys(name.lower() for fact in facts for name in fact.vary)
        # Older measurements do not tell what an answer varies with.
        packed = [fact for fact in facts if fact.compressed and fact.cdn is not None]
        lacking = any(
            "accept-encoding" not in {name.lower() for name in fact.vary} for fact in packed
        )
        if lacking and all(map(NAME.fullmatch, names)):
            chosen[path] = ", ".join(dict.fromkeys(["accept-encoding", *names]))
    if not chosen:
        return None
    return Choice(
        caching.lines(chosen),
        f"Compressed without Vary: Accept-Encoding: {caching.of_all(found, chosen)}; a cache would "
        "give that to clients that cannot read it.",
        confidence="high",
        inputs={"routes": len(chosen), "routes_measured": len(found)},
        paste=caching.paste("vary", chosen),
    )
