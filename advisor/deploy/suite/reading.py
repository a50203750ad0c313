"""What commands on a host print, as values: pure, for the checks to compare."""

from __future__ import annotations

import re
from dataclasses import dataclass

# systemd.time(7): the units that `systemctl show` prints spans in.
SPANS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "month": 2629800.0,
    "y": 31557600.0,
}
INFINITE = float("inf")
_SPAN = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[a-z]*)")
_STAT = re.compile(r"(?P<pid>[0-9]+) \((?P<name>.*)\) (?P<rest>[A-Za-z] .*)")
_PART = re.compile(rb"^# configuration file (?P<path>/[^\n]*):\n", re.MULTILINE)


@dataclass(frozen=True)
class Process:
    """A live process: `started` in seconds since the epoch, by the clock of its host."""

    pid: int
    parent: int
    name: str
    started: float


@dataclass(frozen=True)
class Listener:
    """A listening socket: `unix`, `tcp` or `udp`; where as ss prints it; its queue of connections.

    A udp socket has no queue; its figure means nothing.
    """

    kind: str
    where: str
    backlog: int


def processes(text: str, ticks: int) -> dict[int, Process]:
    r"""The processes of `cat /proc/stat /proc/[0-9]*/stat`, by PID (proc(5), fields 1, 2, 4, 22).

    >>> stat = "7 (a) b) S 1 " + "0 " * 17 + "250 0\n"
    >>> processes(f"cpu 1 2\nbtime 1000\n{stat}", 100)
    {7: Process(pid=7, parent=1, name='a) b', started=1002.5)}
    """
    booted = re.search(r"^btime ([0-9]+)$", text, re.MULTILINE)
    rows = filter(None, map(_STAT.fullmatch, text.splitlines()))
    if booted is None:
        return {}
    found = {}
    for row in rows:
        fields = row["rest"].split()
        pid, started = int(row["pid"]), int(booted[1]) + int(fields[19]) / ticks
        found[pid] = Process(pid, int(fields[1]), row["name"], started)
    return found


def listeners(text: str) -> list[Listener]:
    r"""The sockets of `ss -Hlntu` and of `ss -Hlx`: Netid State Recv-Q Send-Q Local ...

    >>> listeners("tcp LISTEN 0 511 [::]:80 [::]:*\nu_str LISTEN 0 128 /run/a.sock 5 * 0\n")[1]
    Listener(kind='unix', where='/run/a.sock', backlog=128)
    """
    kinds = {"tcp": "tcp", "udp": "udp", "u_str": "unix"}
    rows = (line.split() for line in text.splitlines())
    return [
        Listener(kinds[row[0]], row[4], int(row[3]))
        for row in rows
        if len(row) > 4 and row[0] in kinds and row[3].isdecimal()
    ]


def answers(wanted: str, found: str) -> bool:
    """Whether a socket that is bound so takes what a `listen` of a configuration asks for.

    >>> answers("80", "0.0.0.0:80"), answers("[::]:80", "*:80"), answers("[::1]:80", "[::]:80")
    (True, True, True)
    >>> answers("127.0.0.1:80", "[::]:80"), answers("80", "127.0.0.1:80")
    (False, False)
    """
    if wanted.startswith(("/", "unix:")):
        return wanted.removeprefix("unix:") == found
    address, _, port = wanted.rpartition(":")
    has, _, at = found.rpartition(":")
    every = "[::]" if address.startswith("[") else "0.0.0.0"  # noqa: S104 - compared, not bound
    return port == at and has.partition("%")[0] in {"*", every, address or every}


def properties(text: str) -> dict[str, dict[str, str]]:
    r"""The blocks of `systemctl show UNIT...`, by their `Id`.

    >>> properties("Id=a.service\nMainPID=7\n\nId=a.socket\nMainPID=\n")["a.service"]
    {'Id': 'a.service', 'MainPID': '7'}
    """
    blocks = (
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in text.strip().split("\n\n")
    )
    return {block["Id"]: block for block in blocks if "Id" in block}


def assignments(text: str) -> dict[str, list[str]]:
    r"""The assignments of a unit file in their order; an empty one takes back those before it.

    >>> assignments("[Service]\n# said\nExecStart=\nExecStart=/bin/a\nUser=b\n")
    {'ExecStart': ['/bin/a'], 'User': ['b']}
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator and name.isalnum():
            found[name] = [*found.get(name, []), value] if value else []
    return found


def started(shown: str) -> list[str]:
    """The words of an ExecStart= as `systemctl show` has it.

    >>> started("{ path=/bin/a ; argv[]=/bin/a -c /etc/b ; ignore_errors=no ; pid=0 }")
    ['/bin/a', '-c', '/etc/b']
    """
    _, _, command = shown.partition("argv[]=")
    return command.partition(" ; ")[0].split()


def seconds(span: str) -> float | None:
    """A span of time as unit files and `systemctl show` write it, in seconds; null for none.

    >>> seconds("1min 30s"), seconds("40"), seconds("100ms"), seconds("infinity"), seconds("[x]")
    (90.0, 40.0, 0.1, inf, None)
    """
    if span == "infinity":
        return INFINITE
    parts = [_SPAN.fullmatch(part) for part in span.split()]
    known = [(float(part["number"]), SPANS.get(part["unit"] or "s")) for part in parts if part]
    if not parts or len(known) < len(parts):
        return None
    return sum(number * (factor or 0) for number, factor in known)


def amount(text: str) -> float | None:
    """A number or size as unit files, cgroups and /proc write it; null for what is none.

    >>> amount("16384"), amount("2G"), amount("max"), amount("[not set]")
    (16384.0, 2147483648.0, inf, None)
    """
    if text in {"infinity", "max", "unlimited"}:
        return INFINITE
    match = re.fullmatch(r"([0-9]+)([KMGT]?)", text)
    return float(match[1]) * 1024.0 ** " KMGT".index(match[2] or " ") if match else None


def quota(text: str) -> float | None:
    """The CPUs of a CPUQuota=, or of CPUQuotaPerSecUSec; null for what is none.

    >>> quota("150%"), quota("1.5s"), quota("infinity")
    (1.5, 1.5, inf)
    """
    if text.endswith("%"):
        number = amount(text.removesuffix("%"))
        return None if number is None else number / 100
    return seconds(text)


def descriptors(limits: str) -> tuple[float | None, float | None]:
    r"""The soft and hard limit of open files of a /proc/PID/limits.

    >>> descriptors("Max open files            1024                 524288               files")
    (1024.0, 524288.0)
    """
    match = re.search(r"^Max open files +(\S+) +(\S+)", limits, re.MULTILINE)
    return (amount(match[1]), amount(match[2])) if match else (None, None)


def pss_bytes(rollup: str) -> int | None:
    r"""The proportional set size of a smaps_rollup.

    >>> pss_bytes("Rss:  30 kB\nPss:  20 kB\nPss_Dirty: 1 kB\n")
    20480
    """
    match = re.search(r"^Pss: +([0-9]+) kB$", rollup, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def dumped(output: bytes) -> dict[str, bytes]:
    r"""The files of `nginx -T`, each as it was read: it ends each with a newline of its own.

    >>> dumped(b"# configuration file /etc/a:\nuser x;\n\n# configuration file /etc/b:\n\n")
    {'/etc/a': b'user x;\n', '/etc/b': b''}
    """
    marks = [*_PART.finditer(output)]
    ends = [mark.start() for mark in marks[1:]] + [len(output)]
    return {
        mark["path"].decode("utf-8", "replace"): output[mark.end() : end].removesuffix(b"\n")
        for mark, end in zip(marks, ends, strict=True)
    }


def files(text: str) -> dict[str, str]:
    r"""What `grep -asH '' FILE...` prints, by path.

    >>> files("/proc/1/comm:init\n/sys/a:1\n/sys/a:2\n")
    {'/proc/1/comm': 'init\n', '/sys/a': '1\n2\n'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        path, separator, rest = line.partition(":")
        if separator:
            found[path] = f"{found.get(path, '')}{rest}\n"
    return found
