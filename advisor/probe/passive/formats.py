r"""Access log formats: from nginx's log_format text, or a name, to a parser of lines. Pure.

A log is untrusted text: every pattern here is matched in one pass without going back, lines
over 64 KiB are skipped, and what is no request is None.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from advisor.errors import InvalidInput
from advisor.probe.passive.entry import Entry, from_fields, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Parser = Callable[[str], Entry | None]

MAX_LINE = 64 * 1024
# What an nginx log needs for everything that an observation can say.
BEST_FORMAT = (
    'log_format timed \'$remote_addr - $remote_user [$time_local] "$request" $status '
    '$body_bytes_sent "$http_referer" "$http_user_agent" '
    'rt=$request_time urt="$upstream_response_time"\';'
)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))")
_ESCAPE = re.compile(r"\s*escape=(default|json|none)\s+")
# A value ends where the text after it begins; these know their own end.
_QUOTED = r'(?:[^"\\]|\\.)*+'
_TYPED = {
    "args": r'[^"\s]*+',
    "bytes_sent": "[0-9]++",
    "body_bytes_sent": "[0-9]++",
    "connection": "[0-9]++",
    "host": r'[^/"\s]*+',
    "http_host": r'[^/"\s]*+',
    "is_args": r"\??+",
    "msec": "[0-9.]++",
    "request_method": "[A-Z]++",
    "request_time": "[0-9.]++",
    "scheme": "[a-z]++",
    "server_name": r'[^/"\s]*+',
    "server_port": "[0-9]*+",
    "status": "[0-9]{3}",
    "uri": r'[^"\s?]*+',
}
# Apache's common and combined, and nginx's, with whatever was put behind.
_COMMON = re.compile(
    r"(?>(?:(?! \[).)*) \[(?P<time_local>[^\]]*+)\] "
    rf'"(?P<request>{_QUOTED})" (?P<status>[0-9]{{3}}) (?P<body_bytes_sent>[0-9]++|-)'
    rf'(?: "{_QUOTED}" "(?P<http_user_agent>{_QUOTED})")?+(?P<rest>.*+)'
)
_NAMED = re.compile(
    r"\b(?P<name>rt|request_time|urt|upstream_response_time|upstream_time)[=:]"
    r'(?:"(?P<quoted>[^"]*+)"|(?P<bare>[^\s"]++))'
)
_BARE = re.compile(r"[0-9]+\.[0-9]{3}")
_UPSTREAM = ("urt", "upstream_response_time", "upstream_time")


def parser(log_format: str | None) -> Parser:
    """From a line to its entry, for a log_format text, `combined`, `common`, `json` or None.

    None recognises each line: JSON, or combined with what is usually put behind it. Raises
    `InvalidInput` for a format without a request or a status.
    """
    named = {None: _recognised, "combined": _common, "common": _common, "json": _json_line}
    read = named.get(log_format) or template(log_format or "")

    def parse(line: str) -> Entry | None:
        return read(line) if len(line) <= MAX_LINE else None

    return parse


def template(text: str) -> Parser:
    """The parser of a log_format text with `$variables`; nginx's `escape=` may stand before it.

    Raises `InvalidInput` where it cannot be told where a value ends, or what is needed lacks.
    """
    escape = _ESCAPE.match(text)
    text = text[escape.end() :] if escape else text
    as_json = escape[1] == "json" if escape else text.lstrip().startswith("{")
    names = {first or second for first, second in _VARIABLE.findall(text)}
    if "status" not in names or not names & {"request", "request_uri", "uri"}:
        raise InvalidInput(
            f"log format {text[:80]!a}: an access log has to hold $request and $status",
            remedy=f"Give nginx's log_format text, combined, common or json. Best: {BEST_FORMAT}",
        )
    pattern = re.compile(_pattern(text))

    def parse(line: str) -> Entry | None:
        match = pattern.fullmatch(line)
        if match is None:
            return None
        fields = match.groupdict(default="")
        return from_fields({name: _unescaped(v, as_json=as_json) for name, v in fields.items()})

    return parse


def _pattern(text: str) -> str:
    parts, position, named = [], 0, set[str]()
    for variable in _VARIABLE.finditer(text):
        parts.append(re.escape(text[position : variable.start()]))
        position = variable.end()
        name = variable[1] or variable[2]
        value = _value(name, text[position:])
        wanted = name in READ and name not in named
        named.add(name)
        parts.append(f"(?P<{name}>{value})" if wanted else f"(?:{value})")
    return "".join(parts) + re.escape(text[position:])


def _value(name: str, after: str) -> str:
    following = _VARIABLE.search(after)
    literal = after[: following.start()] if following else after
    if literal.startswith('"'):
        return _QUOTED
    if literal:
        return f"(?>(?:(?!{re.escape(literal)}).)*)"
    if not following:
        return ".*+"
    if name in _TYPED:
        return _TYPED[name]
    raise InvalidInput(
        f"log format: where ${name} ends cannot be told",
        remedy="Put a space or a quote between two variables.",
    )


def _unescaped(value: str, *, as_json: bool) -> str:
    r"""What nginx escaped, as it was: `\xE4` by default, JSON's own way with `escape=json`."""
    if "\\" not in value:
        return value
    if as_json:
        try:
            text = json.loads(f'"{value}"')
        except ValueError:
            return value
        return str(text)
    raw = re.sub(
        rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))",
        lambda m: bytes([int(m[1], 16)]) if m[1] else m[2],
        value.encode("utf-8", "surrogatepass"),
    )
    return raw.decode("utf-8", "replace")


def _recognised(line: str) -> Entry | None:
    return _json_line(line) if line.lstrip().startswith("{") else _common(line)


def _common(line: str) -> Entry | None:
    match = _COMMON.fullmatch(line)
    if match is None:
        return None
    fields = match.groupdict(default="") | _behind(match["rest"])
    return from_fields({name: _unescaped(v, as_json=False) for name, v in fields.items()})


def _behind(rest: str) -> dict[str, str]:
    """The times behind a combined line: `rt=0.1 urt="0.1"`, or bare ones.

    Of two bare times the longer is the request's: it holds the upstream's.
    """
    times = {}
    for match in _NAMED.finditer(rest):
        name = "upstream_response_time" if match["name"] in _UPSTREAM else "request_time"
        times[name] = match["quoted"] if match["quoted"] is not None else match["bare"]
    if times:
        return times
    words = rest.replace('"', " ").split()[-2:]
    bare = sorted((word for word in words if _BARE.fullmatch(word)), key=float)
    if len(bare) == 2:
        return {"request_time": bare[1], "upstream_response_time": bare[0]}
    return {"request_time": bare[0]} if bare else {}


# The keys that JSON logs use, by nginx's variable; those of Caddy are among them.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "msec": ("msec", "ts", "time", "timestamp", "@timestamp"),
    "time_iso8601": ("time_iso8601", "time", "ts", "timestamp", "@timestamp"),
    "time_local": ("time_local", "time", "timestamp"),
    "request": ("request", "request_line"),
    "request_method": ("request_method", "method", "http_method"),
    "request_uri": ("request_uri", "uri", "path", "url"),
    "args": ("args", "query_string"),
    "status": ("status", "status_code", "http_status"),
    "body_bytes_sent": ("body_bytes_sent", "bytes_sent", "size", "bytes"),
    "request_time": ("request_time", "duration", "rt"),
    "upstream_response_time": ("upstream_response_time", "upstream_time", "urt"),
    "upstream_addr": ("upstream_addr",),
    "http_user_agent": ("http_user_agent", "user_agent", "agent"),
}
# The variables that are read from a log_format.
READ = frozenset(_KEYS) | {"uri", "bytes_sent"}


def _json_line(line: str) -> Entry | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    # Caddy tells of a failure twice: as an error and as a request.
    if str(data.get("logger", "")).startswith("http.log.error"):
        return None
    nested = data.get("request")
    flat: dict[str, Any] = data
    if isinstance(nested, dict):
        flat = {**data, **nested, "user_agent": _agent(nested)}
        del flat["request"]
    return from_fields(
        {
            name: next((number(flat[key]) for key in keys if number(flat.get(key))), "")
            for name, keys in _KEYS.items()
            if any(key in flat for key in keys)
        }
    )


def _agent(request: Mapping[str, Any]) -> object:
    """The User-Agent of a request as Caddy logs it: a list in a mapping of headers."""
    headers = request.get("headers")
    values = headers.get("User-Agent") if isinstance(headers, dict) else None
    return values[0] if isinstance(values, list) and values else ""
