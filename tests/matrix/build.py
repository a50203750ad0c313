"""Combinations to files for one target, and those of a checker that are all one to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from advisor import files
from advisor.documents import Facts, Kernel, Redis
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.render import render
from advisor.render.values import inputs_of
from advisor.rules.versions import can
from tests.matrix.combinations import advisor_yml, combinations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from advisor.documents import Component, Recommendation
    from advisor.render import CheckResult, File
    from advisor.render.values import Inputs
    from tests.matrix.combinations import Combination

MIB = 1024**2
EXAMPLE = files.read(Facts, Path(__file__).parents[1] / "examples" / "facts.json")
# Low limits, and a Redis that runs, so that the rules of sysctl and Redis speak.
KERNEL = Kernel(
    somaxconn=1024,
    nofile_soft=1024,
    nofile_hard=524288,
    ip_local_port_range=[32768, 60999],
    tcp_max_syn_backlog=128,
    tcp_fin_timeout_s=60,
    file_max=65536,
    tcp_migrate_req=0,
)
REDIS = Redis(
    address="127.0.0.1:6379",
    version="7.0.15",
    maxmemory_bytes=0,
    maxmemory_policy="noeviction",
    used_bytes=64 * MIB,
    peak_bytes=80 * MIB,
    hit_ratio=0.9,
    evicted_keys=0,
    keys=1000,
    keys_without_expiry=0,
    persistence=[],
    io_threads=1,
    broker_of=None,
)


@dataclass(frozen=True)
class Built:
    """A combination, what render made of it, and from what."""

    combination: Combination
    inputs: Inputs
    files: tuple[File, ...]


@dataclass(frozen=True)
class Group:
    """Files that a checker judges together, of the first of so many combinations that have them."""

    first: Built
    files: tuple[File, ...]
    count: int


def facts_of(components: Mapping[str, Component]) -> Facts:
    """A host that runs these programs, and no app as yet."""
    return EXAMPLE.model_copy(
        update={
            "components": dict(components),
            "servers": [],
            "unknown": [],
            "kernel": KERNEL,
            "redis": [REDIS],
        }
    )


def recommended(combination: Combination, facts: Facts) -> Recommendation:
    """What advisor recommends for a combination, by the way that the command goes."""
    intent = files.validate(Intent, advisor_yml(combination), name="advisor.yml")
    return recommend(facts, None, intent, server=None)


def built(components: Mapping[str, Component], only: str | None = None) -> list[Built]:
    """Every combination that these programs can run, rendered; of `only` that server or proxy."""
    facts = facts_of(components)
    able = can(components)
    out = []
    for combination in combinations():
        if combination.worker_class == "asgi" and not able["can.gunicorn.asgi_worker"]:
            continue
        if only not in {None, combination.proxy, "gunicorn" if combination.worker_class else ""}:
            continue
        rec = recommended(combination, facts)
        out.append(Built(combination, inputs_of(rec), tuple(render(rec))))
    return out


def groups(of: Iterable[Built], checker: str) -> list[Group]:
    """The distinct sets of files that one checker judges, comments aside."""
    found: dict[tuple[tuple[str, bytes], ...], Group] = {}
    for each in of:
        theirs = tuple(
            file for file in each.files if file.output and file.output.checker == checker
        )
        if not theirs:
            continue
        key = tuple((file.path, meaning(file)) for file in theirs)
        seen = found.get(key)
        found[key] = replace(seen, count=seen.count + 1) if seen else Group(each, theirs, 1)
    return list(found.values())


def meaning(file: File) -> bytes:
    """A file without its comments: the header's digest differs with every input."""
    mark = file.output.comment if file.output else None
    if mark is None:
        return file.content
    lines = file.content.split(b"\n")
    return b"\n".join(line for line in lines if not line.lstrip().startswith(mark.encode()))


def complaints(group: Group, results: Sequence[CheckResult]) -> list[str]:
    """What a checker says against a group, each line with where it comes from; not run is too."""
    return [
        f"{result.check}: {result.status}: {line}  [{group.count} x, as {group.first.combination}]"
        for result in results
        if result.status != "passed"
        for line in result.lines or (result.path,)
    ]
