"""Redis's settings as a file that the host's own redis.conf includes, at its end.

It holds what the rules say and nothing else: no address, no path, never a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Output
from advisor.rules.versions import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.render.values import Inputs

LFU = "redis.lfu"
# A pattern that nothing matches is passed over (config.c, loadServerConfig). By its name, Redis
# would not start once this file is gone again.
PATTERNS = "redis.include_pattern"
SETTINGS = (
    "redis.maxmemory",
    "redis.maxmemory_policy",
    "redis.save",
    "redis.appendonly",
    "redis.timeout",
    "redis.lazyfree_lazy_eviction",
    "redis.lazyfree_lazy_expire",
    "redis.io_threads",
)
ROLES = {
    "cache": "A cache: the app makes its keys again.",
    "broker": "A broker: its keys are the queues of background work.",
    "store": "A store: its keys are the only copy.",
}
UNSAID = "What it is for is not said: redis.role says it."


@dataclass(frozen=True)
class Setting:
    """One of Redis's parameters: what CONFIG GET says of it, its lines in the file, its reason."""

    name: str
    value: str
    lines: tuple[tuple[str, ...], ...]
    why: str


def wanted(inputs: Inputs) -> bool:
    """Where Redis is ours: only on request."""
    return "redis" in inputs.manages


def context(inputs: Inputs) -> dict[str, Any]:
    """The lines, and where they go."""
    server = "valkey" if _is_valkey(inputs) else "redis"
    which = "*" if _can(inputs, PATTERNS) else inputs.intent.app_name
    return {
        "redis": settings_of(inputs),
        "left_out": [why for id_ in SETTINGS if (why := _unknown_to(inputs, id_))],
        "role": ROLES.get(inputs.intent.redis_role or "", UNSAID),
        "main_conf": f"/etc/{server}/{server}.conf",
        "included": f"/etc/{server}/advisor-{which}.conf",
    }


def settings_of(inputs: Inputs) -> list[Setting]:
    """What the file sets, in its order: what has a value, and what the target's version knows."""
    return [
        Setting(name, str(value), tuple(_lines(name, str(value))), inputs.why[id_])
        for id_ in SETTINGS
        for name in [parameter(id_)]
        for value in [inputs.values[id_]]
        if value is not None and _unknown_to(inputs, id_) is None
    ]


def parameter(id_: str) -> str:
    """Redis's own word for a setting.

    >>> parameter("redis.maxmemory_policy")
    'maxmemory-policy'
    """
    return id_.removeprefix("redis.").replace("_", "-")


def _lines(name: str, value: str) -> Iterable[tuple[str, ...]]:
    """A line of words; for save an empty one first, which drops the points of redis.conf.

    Points in a file are added to those above (config.c, setConfigSaveOption), and before
    Redis 7.0 a line held only one.
    """
    if name != "save":
        return [(name, value)]
    words = value.split()
    return [(name, ""), *((name, *point) for point in zip(words[::2], words[1::2], strict=True))]


def _unknown_to(inputs: Inputs, id_: str) -> str | None:
    """Why the target's version cannot have a setting, or null where it can.

    One that does not know the word refuses to start with it.
    """
    value = inputs.values[id_]
    is_lfu = id_ == "redis.maxmemory_policy" and str(value).endswith("-lfu")
    capability = LFU if is_lfu else id_
    if value is None or capability not in CAPABILITIES or _can(inputs, capability):
        return None
    what = f"{parameter(id_)} {value}" if is_lfu else parameter(id_)
    needed = ".".join(map(str, CAPABILITIES[capability].first))
    found = inputs.found("redis")
    return f"{what} is left out: it needs Redis {needed}; the target's version is {found}."


def _can(inputs: Inputs, capability: str) -> bool:
    """Valkey, which began as Redis 7.2, can do all that we ask of either."""
    return inputs.can(capability) or _is_valkey(inputs)


def _is_valkey(inputs: Inputs) -> bool:
    """Whether the target is known to have Valkey, and no Redis beside it."""
    return "valkey" in inputs.versions and "redis" not in inputs.versions


def _output(server: str) -> Output:
    return Output(
        template="redis/app.conf.j2",
        version=1,
        path="redis/{app}.conf",
        target=f"/etc/{server}/advisor-{{app}}.conf",
        owner="root",
        group="root",
        mode=0o644,
        wanted=lambda inputs: wanted(inputs) and _is_valkey(inputs) == (server == "valkey"),
        checker="redis",
        # A restart takes down everybody who uses it: values go in by CONFIG SET.
        activation="none",
    )


REDIS = Component(
    name="redis",
    settings=SETTINGS,
    outputs=(_output("redis"), _output("valkey")),
    context=context,
)
