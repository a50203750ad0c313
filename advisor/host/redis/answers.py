"""What the answers of a Redis mean: pure, and ready for answers that mean nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from advisor.documents import Redis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COUNT = re.compile(r"[0-9]{1,18}")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")
KEYSPACE = re.compile(r"^db([0-9]{1,5}):keys=([0-9]{1,18}),expires=([0-9]{1,18})", re.MULTILINE)

# The keys that each queue keeps: kombu's redis transport, rq.Queue and rq.Worker, arq's
# constants, dramatiq's and huey's Redis brokers. Results (celery-task-meta-*) are no queue.
QUEUES = {
    "celery": re.compile(r"celery|_kombu\.binding\..+|unacked(?:_index|_mutex)?"),
    "rq": re.compile(r"rq:(?:queues|workers|(?:queue|job|worker|workers|wip):.+)"),
    "arq": re.compile(r"arq:(?:queue|(?:queue|job|in-progress|retry):.+)"),
    "dramatiq": re.compile(r"dramatiq:.+"),
    "huey": re.compile(r"huey\..+"),
}
# Looked up by name where there are too many keys to see all; and one of these names is a
# queue's only with its type, for `celery` may be anybody's key.
TYPICAL = {
    "celery": "list",
    "_kombu.binding.celery": "set",
    "unacked": "hash",
    "rq:queues": "set",
    "rq:workers": "set",
    "arq:queue": "zset",
    "dramatiq:__heartbeats__": "zset",
    "dramatiq:default": "list",
}


def parse_info(text: str) -> dict[str, str]:
    r"""The fields of an INFO answer.

    >>> parse_info("# Server\r\nredis_version:7.0.15\r\n")
    {'redis_version': '7.0.15'}
    """
    return dict(re.findall(r"^(\w{1,64}):([^\r\n]{0,400})\r?$", text, re.MULTILINE))


def parse_config(answer: Any) -> dict[str, str]:
    """The values of a CONFIG GET answer, which lists names and values in turn."""
    if not isinstance(answer, list) or not all(isinstance(word, str) for word in answer):
        return {}
    return dict(zip(answer[::2], answer[1::2], strict=False))


def databases(text: str) -> dict[int, tuple[int, int]]:
    r"""The keys, and the keys with an expiry, of each database that holds any.

    >>> databases("# Keyspace\ndb0:keys=3,expires=1,avg_ttl=0\n")
    {0: (3, 1)}
    """
    rows = KEYSPACE.findall(text)
    return {int(number): (int(keys), int(expires)) for number, keys, expires in rows}


def queues(names: Iterable[str]) -> set[str]:
    """The queues whose keys are among the names.

    >>> queues(["user:1", "rq:queues"])
    {'rq'}
    """
    names = list(names)
    return {
        queue for queue, pattern in QUEUES.items() if any(pattern.fullmatch(name) for name in names)
    }


def server(address: str, text: str, config: Mapping[str, str], broker_of: str | None) -> Redis:
    """The facts of one server from its INFO text and the configuration that it showed.

    `maxmemory_bytes` 0 is Redis's own word for no limit. The hit ratio is that of all reads
    since the server started or its statistics were reset, null before the first.
    """
    info = parse_info(text)
    keyspace = databases(text)
    has_keyspace = bool(re.search(r"^# Keyspace\r?$", text, re.MULTILINE))
    hits, misses = _count(info.get("keyspace_hits")), _count(info.get("keyspace_misses"))
    reads = None if hits is None or misses is None else hits + misses
    return Redis(
        address=address,
        version=_word(info.get("valkey_version") or info.get("redis_version")),
        maxmemory_bytes=_count(config.get("maxmemory") or info.get("maxmemory")),
        maxmemory_policy=_word(config.get("maxmemory-policy") or info.get("maxmemory_policy")),
        used_bytes=_count(info.get("used_memory")),
        peak_bytes=_count(info.get("used_memory_peak")),
        hit_ratio=hits / reads if hits is not None and reads else None,
        evicted_keys=_count(info.get("evicted_keys")),
        keys=sum(keys for keys, _ in keyspace.values()) if has_keyspace else None,
        keys_without_expiry=(
            sum(max(0, keys - expires) for keys, expires in keyspace.values())
            if has_keyspace
            else None
        ),
        persistence=_persistence(info, config),
        io_threads=_count(config.get("io-threads") or config.get("server-threads")),
        broker_of=broker_of,
    )


def nothing(address: str) -> Redis:
    """A server that is there and tells nothing."""
    return server(address, "", {}, None)


def _persistence(info: Mapping[str, str], config: Mapping[str, str]) -> list[str]:
    snapshots = bool(config.get("save", "").strip(' "'))
    log = config.get("appendonly", "") == "yes" or info.get("aof_enabled") == "1"
    return [name for name, on in (("rdb", snapshots), ("aof", log)) if on]


def _count(value: str | None) -> int | None:
    return int(value) if value and COUNT.fullmatch(value) else None


def _word(value: str | None) -> str | None:
    return value if value and WORD.fullmatch(value) else None
