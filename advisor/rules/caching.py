"""What the rules of caches share: the measured routes by what may be kept of them, as lines.

Pure, and without a rule of its own. Paths come from whoever asked for them: only those that the
allow-list of advisor.yml takes get into a value or into lines of code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from advisor.intent import UrlPath
from advisor.quantities import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from advisor.documents import Estimate, HttpFacts, RouteResult, Value
    from advisor.rules.registry import Seen

NEEDS = ("http",)
WANTS = ("routes", "static", "routes.measured", "cpu_per_request_s")
# "PATH: header", as a setting holds it.
Lines = list[Annotated[str, Field(pattern=r"^/[!-~]*: [ -~]+$", max_length=2048)]]

# Who asks these wants to know how the app is now. By the last part of the path.
HEALTH = frozenset(
    {"health", "healthz", "healthcheck", "live", "livez", "ready", "readyz", "ping", "metrics"}
)
VISITOR = frozenset({"cookie", "authorization", "*"})
_PATH: TypeAdapter[str] = TypeAdapter(UrlPath)

Routes = dict[str, list["HttpFacts"]]


def routes(s: Seen) -> Routes:
    """What was measured of each route whose headers the app's code decides.

    By path: one that was asked with several queries has several facts. Left out are health
    routes, streams, static files that the proxy serves, and paths that no file may hold.
    """
    found: Routes = {}
    for fact in s["http"]:
        path = fact.path.partition("?")[0]
        if _holdable(path) and not _elsewhere(path, s):
            found.setdefault(path, []).append(fact)
    return found


def _holdable(path: str) -> bool:
    try:
        _PATH.validate_python(path, strict=True)
    except ValidationError:
        return False
    return path.rstrip("/").rpartition("/")[2].lower() not in HEALTH


def _elsewhere(path: str, s: Seen) -> bool:
    kind = (s["routes"] or {}).get(path)
    return kind in ("stream", "websocket") or path.startswith(tuple(s["static"] or ()))


def undecided(fact: HttpFacts) -> bool:
    """Whether the answer says nothing of caches and is no visitor's own, so far as was seen.

    Older measurements do not tell which headers were sent: there it is taken for decided.
    """
    return (
        fact.cdn is not None
        and not fact.cdn.value
        and fact.cache_control is None
        and not fact.sets_cookie
        and VISITOR.isdisjoint(name.lower() for name in fact.vary)
    )


def alike(fact: HttpFacts) -> bool:
    """Whether it answers everybody alike, without a cookie, each time that it was asked."""
    return undecided(fact) and fact.microcache.value and fact.stable is True


def lines(headers: Mapping[str, str]) -> list[str]:
    """`PATH: header` for each route, as a setting holds it."""
    return [f"{path}: {header}" for path, header in headers.items()]


def paste(name: str, headers: Mapping[str, str], *, unless_known: bool = False) -> str:
    """Lines for the routes, by header; `request` and `response` as most frameworks call them.

    `unless_known` leaves the answers to visitors who send a cookie or credentials as they are.
    """
    out = []
    for header in dict.fromkeys(headers.values()):
        out += ["# Once the response is made, in:"]
        out += [f"#   {path}" for path, own in headers.items() if own == header]
        indent = ""
        if unless_known:
            out.append(
                'if "cookie" not in request.headers and "authorization" not in request.headers:'
            )
            indent = "    "
        out.append(f'{indent}response.headers["{name}"] = "{header}"')
    return "\n".join(out)


def saved(found: Routes, paths: Iterable[str], s: Seen) -> tuple[str, dict[str, Value]]:
    """What a copy saves on average, in words and as inputs: bytes, and CPU where measured."""
    chosen = [path for path in found if path in set(paths)]
    sizes = [fact.bytes for path in chosen for fact in found[path]]
    mean = round(sum(sizes) / max(1, len(sizes)))
    inputs: dict[str, Value] = {"routes": len(chosen), "routes_measured": len(found)}
    inputs["bytes_per_request"] = mean
    words = f"{mean:,} bytes"
    if (cpu := _cpu(chosen, s)) is not None:
        inputs["cpu_per_request_s"] = cpu
        words += f" and {duration(cpu)} of CPU"
    return words, inputs


def _cpu(paths: list[str], s: Seen) -> float | None:
    """Of the routes themselves where each was measured, else of a request in general."""
    measured: list[RouteResult] = s["routes.measured"] or []
    own = [
        route.cpu_per_request_s.value
        for route in measured
        if route.cpu_per_request_s and route.path.partition("?")[0] in paths
    ]
    if own:
        return sum(own) / len(own)
    whole: Estimate | None = s["cpu_per_request_s"]
    return whole.value if whole else None


def of_all(found: Routes, chosen: Mapping[str, str]) -> str:
    """`2 of 3 measured`."""
    return f"{len(chosen)} of {len(found)} measured"
