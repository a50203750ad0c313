"""What a route's answers say: size, type, compression, and who may keep them (RFC 9111). Pure."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

from advisor.documents import Cacheable, HttpFacts
from advisor.probe.questions.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLE_BYTES = 1024**2
# Answers that have no end: events, and pictures that replace each other.
STREAMS = frozenset({"text/event-stream", "multipart/x-mixed-replace"})
# Of the statuses below 300 those that a cache may keep by itself (RFC 9110, section 15.1), but 206:
# nobody asked for a part.
KEEPABLE = frozenset({200, 203, 204})
UNSHARED = ("private", "no-store", "no-cache")
_VISITOR = frozenset({"cookie", "authorization", "*"})
_MOST_S = 2**31  # RFC 9111, section 1.2.2: larger ones count as this
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's word for a word (RFC 9110, 5.6.2)
_DIRECTIVE = re.compile(rf'({_TOKEN})(?:[ \t]*=[ \t]*(?:"([^"]*)"|({_TOKEN})?))?')
_KIND = re.compile(rf"{_TOKEN}/{_TOKEN}")
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]{0,250}"')


@dataclass(frozen=True)
class Answer:
    """One answer as sent, not decoded: `sample` is the start of its body, `digest` of all of it.

    `headers` are in their order, their names in lower case. A stream was not read to its end.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    size: int = 0
    digest: bytes = b""
    sample: bytes = b""

    def header(self, name: str) -> str | None:
        """All values of a header as one list, as RFC 9110 (section 5.3) joins lines."""
        lines = [value for key, value in self.headers if key == name]
        return ", ".join(lines) if lines else None

    @property
    def kind(self) -> str | None:
        """The media type without its parameters; None where it is none or malformed."""
        first = (self.header("content-type") or "").partition(";")[0].strip().lower()
        return first if len(first) <= 100 and _KIND.fullmatch(first) else None

    @property
    def streams(self) -> bool:
        """Whether the answer is of a kind that has no end."""
        return self.kind in STREAMS

    @property
    def validator(self) -> tuple[str, str] | None:
        """The header that asks whether the answer has changed, if it can be asked."""
        tag, modified = self.header("etag"), self.header("last-modified")
        if tag and _ETAG.fullmatch(tag) and tag.isascii():
            return "If-None-Match", tag
        if modified and modified.isascii() and http_date(modified) is not None:
            return "If-Modified-Since", modified
        return None


@dataclass(frozen=True)
class Seen:
    """What one route answered: plain ones over time, one that may be compressed, one conditional.

    `unchanged` is whether the conditional one was 304; None where it could not be asked.
    """

    plain: Sequence[Answer]
    packed: Answer | None = None
    unchanged: bool | None = None

    @property
    def first(self) -> Answer:
        """The one that the facts describe."""
        return self.plain[0]

    @property
    def stable(self) -> bool | None:
        """Whether every repeat had the same body; None without a repeat or an end."""
        if len(self.plain) < 2 or self.first.streams:
            return None
        return all(
            (a.status, a.digest) == (self.first.status, self.first.digest) for a in self.plain
        )

    @property
    def sets_cookie(self) -> bool:
        """Whether any of them sets a cookie."""
        every = [*self.plain, self.packed] if self.packed else self.plain
        return any(answer.header("set-cookie") is not None for answer in every)

    @property
    def vary(self) -> list[str]:
        """The names that the answer varies with, plain or compressed; `*` for what is no name."""
        pair = [self.first, self.packed] if self.packed else [self.first]
        lists = [(answer.header("vary") or "").split(",") for answer in pair]
        names = [name.strip().lower() for names in lists for name in names]
        known = (name if re.fullmatch(_TOKEN, name) else "*" for name in names if name)
        return list(dict.fromkeys(known))

    @property
    def compressed(self) -> bool:
        """Whether it comes compressed to a client that can read that."""
        return any(_encoded(answer) for answer in (self.first, self.packed) if answer)


def facts(path: str, seen: Seen) -> HttpFacts:
    """What the answers of a route say.

    `compressible_ratio` is what gzip at level 5 leaves of the first MiB; None for a body that
    was compressed though it was asked for plain, or that is empty or a stream.
    """
    first = seen.first
    measurable = first.sample and not first.streams and not _encoded(first)
    control, tag = first.header("cache-control"), _ETAG.fullmatch(first.header("etag") or "")
    modified = first.header("last-modified")
    return HttpFacts(
        path=path,
        status=first.status,
        content_type=first.kind,
        bytes=first.size,
        compressed=seen.compressed,
        compressible_ratio=(
            round(len(gzip.compress(first.sample, 5)) / len(first.sample), 3)
            if measurable
            else None
        ),
        stable=seen.stable,
        microcache=microcache(seen),
        cdn=cdn(seen),
        cache_control=printable(control) if control is not None else None,
        etag=_strength(tag) if tag else None,
        last_modified=modified is not None and http_date(modified) is not None,
        vary=[printable(name, 64) for name in seen.vary[:20]],
        sets_cookie=seen.sets_cookie,
    )


def _strength(tag: re.Match[str]) -> Literal["strong", "weak"]:
    return "weak" if tag[1] else "strong"


def _encoded(answer: Answer) -> bool:
    coding = answer.header("content-encoding")
    return coding is not None and coding.strip().lower() not in {"", "identity"}


def microcache(seen: Seen) -> Cacheable:
    """Whether the site's own proxy may hold the answer for a second.

    nginx keeps no answer that sets a cookie, that its headers forbid or call stale, or that
    varies with everything (ngx_http_proxy_module, proxy_cache_valid); ours passes requests with
    a cookie or credentials by, so that a visitor's own page is never another's.
    """
    repeats = len(seen.plain)
    expired = lifetime_s(seen.first) == 0 or seen.first.header("x-accel-expires") == "0"
    why = (
        _never(seen)
        or ("its headers say that it is stale at once" if expired else None)
        or (f"the body changed within {repeats} requests" if seen.stable is False else None)
        or ("one answer does not tell whether the body changes" if seen.stable is None else None)
    )
    return Cacheable(
        value=why is None, why=why or f"GET, no cookie, same body over {repeats} requests"
    )


def cdn(seen: Seen) -> Cacheable:
    """Whether a shared cache that knows only the headers may hold the answer, said explicitly.

    RFC 9111: section 3 (storing), 4.1 (Vary), 4.2.1 (freshness), 5.2.2 (directives). A cookie
    forbids nothing there, but would be given to every visitor. What a cache may keep by its own
    guess (section 4.2.2) is not counted.
    """
    fresh_s = lifetime_s(seen.first)
    checks = "; a copy can be checked, as a conditional request answers 304"
    tail = checks if seen.unchanged else ""
    if why := _never(seen):
        return Cacheable(value=False, why=why + tail)
    if fresh_s == 0:
        why = "its headers say that it is stale at once: max-age or s-maxage above 0 would let it"
        return Cacheable(value=False, why=why + tail)
    if fresh_s is None and "public" not in directives(seen.first.header("cache-control") or ""):
        why = "nothing says that it may be shared: Cache-Control: public, max-age=60 would let it"
        return Cacheable(value=False, why=why + tail)
    span = f"its headers allow {fresh_s:,} s" if fresh_s else "it is public, but for no stated time"
    doubts = [
        f", though the body changed within {len(seen.plain)} requests"
        if seen.stable is False
        else "",
        ", one copy for each User-Agent" if "user-agent" in seen.vary else "",
    ]
    return Cacheable(value=True, why=span + "".join(doubts) + tail)


def _never(seen: Seen) -> str | None:
    """Why no shared cache may hold the answer, the proxy's own or another, and what would help."""
    first = seen.first
    control = directives(first.header("cache-control") or "")
    forbids = [word for word in UNSHARED if word in control]
    shared = "Cache-Control: public, max-age=60 would let it, if it is the same for every visitor"
    refusals = {
        "it is a stream, which has no end": first.streams,
        f"its status is {first.status}, which a cache does not keep": first.status not in KEEPABLE,
        "it sets a cookie: without Set-Cookie it could be held": seen.sets_cookie,
        f"Cache-Control says {', '.join(forbids)}: {shared}": bool(forbids),
        "it varies with the visitor: without Cookie, Authorization and * in Vary it could be "
        "held": not _VISITOR.isdisjoint(seen.vary),
        "it is compressed without Vary: Accept-Encoding, so a copy could reach a client that "
        "cannot read it": seen.compressed and "accept-encoding" not in seen.vary,
    }
    return next((why for why, refused in refusals.items() if refused), None)


def directives(control: str) -> Mapping[str, list[str]]:
    """The directives of a Cache-Control, in lower case, each with all the values it was given.

    >>> directives('public, Max-Age=60, private="x-user", max-age=0')
    {'public': [''], 'max-age': ['60', '0'], 'private': ['x-user']}
    """
    found: dict[str, list[str]] = {}
    for name, quoted, plain in _DIRECTIVE.findall(control):
        found.setdefault(name.lower(), []).append(quoted or plain)
    return found


def lifetime_s(answer: Answer) -> int | None:
    """For how many seconds a shared cache may call the answer fresh; None where nothing says.

    RFC 9111, section 4.2.1: s-maxage before max-age before Expires. Of two values the shorter
    counts, and one that is malformed is 0.
    """
    control = directives(answer.header("cache-control") or "")
    for name in ("s-maxage", "max-age"):
        if name in control:
            return min(_seconds(value) for value in control[name])
    expires = answer.header("expires")
    if expires is None:
        return None
    until, now = http_date(expires), http_date(answer.header("date") or "")
    return int(min(max(0.0, until - now), _MOST_S)) if until is not None and now is not None else 0


def _seconds(value: str) -> int:
    digits = value.isascii() and value.isdigit()
    return min(int(value[:11]), _MOST_S) if digits else 0


def http_date(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date (RFC 9110, section 5.6.7); None for what is none."""
    if len(text) > 64:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
