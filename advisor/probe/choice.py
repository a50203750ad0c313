"""What the user chooses: which routes are loaded, and what the probe is allowed to do.

Routes are those the user names, an access log's mix, or an OpenAPI document's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.documents import Unknown
from advisor.errors import InvalidInput, TooLittleEvidence
from advisor.probe.passive import formats, mix
from advisor.probe.passive.follow import recent
from advisor.probe.questions import openapi
from advisor.probe.questions.mix import parse_endpoints

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.host.proxies.site import AccessLog
    from advisor.probe.address import Endpoint

DAY_S = 86_400.0


@dataclass(frozen=True)
class Choice:
    """What the user asked for; by default the URL's own route.

    `endpoints` are texts PATH=WEIGHT. `source` is where else routes come from; `access_log` and
    `log_format` name the log, where the proxy's configuration does not tell.
    """

    endpoints: tuple[str, ...] = ()
    source: Literal["openapi", "log"] | None = None
    access_log: Path | None = None
    log_format: str | None = None


@dataclass(frozen=True)
class Allowed:
    """What the user allows beyond loading an idle app of this host.

    `classes`: a null app under each worker class for a moment, beside the app.
    """

    remote: bool = False
    public: bool = False
    saturate: bool = False
    stacks: bool = False
    classes: bool = False


@dataclass(frozen=True)
class Chosen:
    """Paths with their weights, the requests it took to find them, and what was left out.

    One that the user `named` has to answer; of the others, those that do are taken.
    """

    weights: dict[str, float]
    named: bool = True
    sent: int = 0
    unknown: tuple[Unknown, ...] = ()


async def chosen(endpoint: Endpoint, choice: Choice, log: AccessLog | None) -> Chosen:
    """The routes to load.

    Raises `InvalidInput` for contradictory or bad options, `TooLittleEvidence` where the source
    names no route.
    """
    if choice.endpoints and choice.source:
        raise InvalidInput("--endpoint and --routes: give one of them, not both")
    if choice.endpoints:
        routes = parse_endpoints(choice.endpoints)
        return Chosen({route.path: route.weight for route in routes})
    if choice.source == "openapi":
        return await _listed(endpoint)
    if choice.source == "log":
        return _logged(log)
    return Chosen({endpoint.path: 1.0})


async def _listed(endpoint: Endpoint) -> Chosen:
    found = await openapi.routes(endpoint)
    left = tuple(
        Unknown(
            what=f"route {path}", why=why, remedy=f"name it by hand: --endpoint '{path}'=WEIGHT"
        )
        for path, why in found.left_out
    )
    return Chosen(
        {route.path: route.weight for route in found.routes}, named=False, sent=1, unknown=left
    )


def _logged(log: AccessLog | None) -> Chosen:
    if log is None:
        raise TooLittleEvidence(
            "--routes log: no access log is known",
            remedy="Name it with --access-log, or give the URL of the proxy's own site.",
        )
    entries = recent(log.path, formats.parser(log.format or None), DAY_S)
    found = mix.mix(entries)
    if not found.routes:
        raise TooLittleEvidence(
            f"{log.path}: no GET request of the last day can be read in it",
            remedy="Give --log-format, or name the routes with --endpoint PATH=WEIGHT.",
        )
    left = found.left_out_ratio
    gap = Unknown(
        what=f"{left:.0%} of the logged requests",
        why="their routes are too rare, or look like secrets",
        remedy="name them by hand: --endpoint PATH=WEIGHT",
    )
    weights = {route.path: route.weight for route in found.routes}
    return Chosen(weights, named=False, unknown=(gap,) if left > 0.005 else ())
