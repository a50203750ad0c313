"""What each route of a mix did. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import RouteResult
from advisor.probe.analysis import demand, statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.documents import HttpFacts
    from advisor.probe.analysis.observation import Load, Observation


def routes(
    seen: Observation,
    weights: Mapping[str, float],
    *,
    under: Load | None,
    errors: Mapping[int, int],
    http: Sequence[HttpFacts],
) -> list[RouteResult]:
    """A result a route, where there is more than one.

    Latencies are those `under` a load of the whole mix; CPU and waiting are of the route alone.
    `errors` counts by the route's index, over the whole probe.
    """
    if len(weights) < 2:
        return []
    total = sum(weights.values())
    bodies = {facts.path: facts.bytes for facts in http}
    results = []
    for index, (path, weight) in enumerate(weights.items()):
        pairs = zip(under.routes, under.latencies, strict=True) if under else ()
        latencies = [seconds for route, seconds in pairs if route == index]
        alone = seen.routes.get(path)
        results.append(
            RouteResult(
                path=path,
                weight=round(weight / total, 4),
                requests=len(latencies),
                errors=errors.get(index, 0),
                p50_s=statistics.quantile(latencies, 0.5),
                p99_s=statistics.quantile(latencies, 0.99),
                cpu_per_request_s=demand.cpu_per_request(seen, alone),
                wait_per_request_s=demand.wait_per_request(seen, alone),
                bytes_per_request=bodies.get(path),
            )
        )
    return results
