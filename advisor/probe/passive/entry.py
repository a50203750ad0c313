"""One request as an access log tells it. Pure; the log is written by others, and so untrusted."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_METHOD = re.compile(r"[A-Z]{1,20}")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_LOCAL = re.compile(
    r"(?P<day>[0-9]{2})/(?P<month>[A-Z][a-z]{2})/(?P<year>[0-9]{4}):"
    r"(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}) (?P<sign>[+-])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2})"
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_TIMES = re.compile(r"[0-9.,:\s-]{1,2000}")
_TIME = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EPOCH = re.compile(r"[0-9]{9,11}(?:\.[0-9]{1,9})?")
# nginx writes a time that went wrong as 18446744073709551.615; no request takes a month.
MAX_SECONDS = 31 * 86400.0
MAX_BYTES = 2**53
AGENT = "advisor/"
# What an URL may hold as it stands (RFC 3986, 3.3); anything else is encoded, control
# characters too: what is printed later is plain ASCII.
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True, slots=True)
class Entry:
    """A logged request. `at` is the epoch second of its end, `path` is without the query.

    Times are in seconds; None is "not told", as is an empty method. `proxied` says whether the
    proxy asked an app: False for what it answered itself, None where the log does not tell.
    """

    at: float | None
    method: str
    path: str
    query: str
    status: int
    bytes: int | None = None
    request_s: float | None = None
    upstream_s: float | None = None
    proxied: bool | None = None
    ours: bool = False


def from_fields(fields: Mapping[str, str]) -> Entry | None:
    """The entry of a line's fields, by nginx's variable names; None if they are no request.

    `$request` or `$request_uri` and `$status` have to be there.
    """
    method, target = _request(fields)
    status = fields.get("status", "")
    untold = "request" not in fields and "request_method" not in fields
    if not (_METHOD.fullmatch(method) or (untold and not method)):
        return None
    if not re.fullmatch("[1-5][0-9]{2}", status):
        return None
    path, _, query = _origin_form(target).partition("?")
    if path not in {"", "*"} and not path.startswith("/"):
        return None
    asked = fields.get("upstream_response_time", fields.get("upstream_addr"))
    return Entry(
        at=moment(fields),
        method=method,
        path=quote(path or "/", safe=_SAFE_IN_PATH, errors="replace"),
        query=quote(query or fields.get("args", ""), safe=_SAFE_IN_PATH + "?", errors="replace"),
        status=int(status),
        bytes=_count(fields.get("bytes_sent") or fields.get("body_bytes_sent", "")),
        request_s=seconds(fields.get("request_time", "")),
        upstream_s=seconds(fields.get("upstream_response_time", "")),
        proxied=None if asked is None else asked.strip(" -") != "",
        ours=fields.get("http_user_agent", "").startswith(AGENT),
    )


def _request(fields: Mapping[str, str]) -> tuple[str, str]:
    method, _, rest = fields.get("request", "").partition(" ")
    target, _, protocol = rest.rpartition(" ")
    if not protocol.startswith("HTTP/"):
        target = rest
    return (
        fields.get("request_method") or method,
        fields.get("request_uri") or target or fields.get("uri", ""),
    )


def _origin_form(target: str) -> str:
    """Path and query: clients of a proxy send the host too (RFC 9112, 3.2.2)."""
    host = _ABSOLUTE.match(target)
    return target[host.end() :] if host else target


def seconds(text: str) -> float | None:
    """The sum of the times in nginx's list, one for each upstream that was asked; None for none.

    >>> seconds("0.100, 0.200 : 0.300").__round__(3), seconds("-"), seconds("-, 0.1")
    (0.6, None, 0.1)
    """
    if not _TIMES.fullmatch(text):
        return None
    found = [float(each) for each in _TIME.findall(text)]
    return sum(found) if found and sum(found) <= MAX_SECONDS else None


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None


def moment(fields: Mapping[str, str]) -> float | None:
    """The epoch second of `$msec`, else `$time_iso8601`, else `$time_local`."""
    for name in ("msec", "time_iso8601", "time_local"):
        if (text := fields.get(name)) and (at := _parsed(text[:64])) is not None:
            return at
    return None


@lru_cache(maxsize=64)  # a busy log repeats each second many times
def _parsed(text: str) -> float | None:
    if _EPOCH.fullmatch(text):
        return float(text)
    try:
        at = _local(text) or datetime.fromisoformat(text)
        # Without a zone it is the log's own, which is not told: UTC, as in most containers.
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _local(text: str) -> datetime | None:
    match = _LOCAL.fullmatch(text)
    if match is None or match["month"] not in _MONTHS:
        return None
    away = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    zone = timezone(-away if match["sign"] == "-" else away)
    hour, minute, second = (int(part) for part in match["time"].split(":"))
    month = _MONTHS.index(match["month"]) + 1
    return datetime(
        int(match["year"]), month, int(match["day"]), hour, minute, min(second, 59), tzinfo=zone
    )


def number(value: object) -> str:
    """A JSON value as the text of a field: finite numbers and strings, anything else is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    if not 0 <= value <= MAX_BYTES:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.9f}"
