"""One launch of one configuration behind nginx, loaded by wrk."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from advisor.demo.processes import free_port, program, referee, running
from advisor.host.processes import Usage, usage
from advisor.probe.sample.clocks import process_cpu_s
from advisor.render.stage import main_conf
from benchmarks.regret.points import Point
from benchmarks.regret.services import group_of, service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.pace import Speed
    from benchmarks.regret.apps import Case
    from benchmarks.regret.points import Config
    from benchmarks.regret.services import Group

CONNECTIONS = 64
# wrk counts in whole seconds; a placement that lasts a launch matters more than the last per cent.
WARM_S = 1
LOAD_S = 2
# A warm app's later loads need nginx's connections opened, which the first requests do.
OPENS_S = 0.4
# The app's idle time beyond nginx's, and a shutdown that idle connections cannot hold up.
SERVED = ("--keep-alive", "75", "--graceful-timeout", "2", "--no-control-socket")
BOOTS_S = 45.0
QUIET_CORES = 0.1
LOOK_S = 0.2
MOST_DRAIN_S = 5.0

SITE = """\
upstream app {{ server 127.0.0.1:{app}; keepalive 64; keepalive_timeout 60; }}
server {{
    listen 127.0.0.1:{port};
    access_log off;
    location / {{
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }}
}}
"""


def measure(
    case: Case, config: Config, beside: Speed, *, loads: int = 1, load_s: int = LOAD_S
) -> list[Point]:
    """Launch, wait until every worker has booted, warm up, load, and look at memory and speed.

    Each of several `loads` comes through an nginx of its own: how connections fall on workers
    decides more than a boot does, which takes longest. Raises `AdvisorError` where it does not
    come up.
    """
    points: list[Point] = []
    with started(case, config, SERVED) as (pid, port):
        for _ in range(loads):
            rps = points[-1].rps if points else None
            with warmed(case, port, rps) as url:
                points.append(_loaded(case, config, beside, pid, url, load_s))
    return points


def _loaded(case: Case, config: Config, beside: Speed, pid: int, url: str, load_s: int) -> Point:
    pids = tree(pid)
    psutil.cpu_percent()
    before, began = used(pids), time.monotonic()
    score = referee(url, seconds=load_s, connections=CONNECTIONS)
    spent, ended = used(pids) - before, time.monotonic()
    busy = psutil.cpu_percent() / 100
    master, *workers = holdings(tree(pid))
    largest = max((rss(each) for each in pids[1:]), default=0)
    asked = max(1.0, score.rps * load_s)
    held = sum(each.pss_bytes for each in workers)
    return Point(
        config=config,
        rps=max(0.0, score.rps - score.failed / load_s),
        p99_s=score.p99_s,
        failed_ratio=score.failed / asked,
        busy_ratio=max(busy, spent / (ended - began) / case.cpus if case.cpus else 0.0),
        pss_bytes=master.pss_bytes + held,
        needed_bytes=master.pss_bytes + 2 * held,
        rss_bytes=largest,
        piece_s=beside.during((began, ended)),
    )


@contextmanager
def warm(case: Case, config: Config) -> Iterator[tuple[int, int, str]]:
    """The app behind nginx and warmed up inside the `with`: its master's PID, its port, nginx' URL.

    Raises `AdvisorError` where it does not come up.
    """
    with started(case, config, SERVED) as (pid, port), warmed(case, port) as url:
        yield pid, port, url


@contextmanager
def warmed(case: Case, port: int, rps: float | None = None) -> Iterator[str]:
    """An nginx before the app's port, both warmed up inside the `with`: the route's URL there.

    An app that is warm already serves `rps`.
    """
    with (
        tempfile.TemporaryDirectory() as stage,
        proxied(port, Path(stage), case.route) as url,
    ):
        if rps is None:
            rps = referee(url, seconds=WARM_S, connections=CONNECTIONS).rps
        else:
            knock(url)
        drain(rps)
        yield url


def knock(url: str) -> None:
    """Load the URL for a moment, and count nothing."""
    command = [program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{WARM_S}s", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as load:
        try:
            load.wait(OPENS_S)
        except subprocess.TimeoutExpired:
            load.send_signal(signal.SIGINT)


@contextmanager
def started(
    case: Case, config: Config, options: Sequence[str] = (), group: Group | None = None
) -> Iterator[tuple[int, int]]:
    """The app under Gunicorn inside the `with`, booted; its master's PID and its port.

    It runs within the case's CPU quota, where it has one, and in `group`; beside the service that
    it asks.
    """
    port = free_port()
    module = case.module if ":" in case.module else f"{case.module}:app"
    command = [program("gunicorn"), module, "--chdir", str(case.folder)]
    command += ["--bind", f"127.0.0.1:{port}", "--worker-class", config.worker_class]
    command += ["--workers", str(config.workers), "--log-level", "warning", *options]
    command += ["--threads", str(config.threads)] if config.threads > 1 else []
    with ExitStack() as stack:
        if asked := case.service:
            asked_port = stack.enter_context(service(asked.script, *asked.arguments))
            command = ["env", f"{asked.variable}={asked_port}", *command]
        quota = [stack.enter_context(group_of("cpu", case.cpus))] if case.cpus else []
        for each in (*quota, *([group] if group else [])):
            command = each.around(command)
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        url = f"http://127.0.0.1:{port}{case.route}"
        pid = stack.enter_context(running(command, url=url, log=log))
        settle(pid, config.workers)
        yield pid, port


@contextmanager
def proxied(app: int, stage: Path, route: str) -> Iterator[str]:
    """An nginx before the app's port, with upstream keep-alive; the route's URL through it."""
    port = free_port()
    site, conf = stage / "site.conf", stage / "nginx.conf"
    site.write_text(SITE.format(app=app, port=port))
    conf.write_text(main_conf(stage, site))
    command = [program("nginx"), "-e", "stderr", "-c", str(conf), "-p", str(stage)]
    url = f"http://127.0.0.1:{port}{route}"
    with running([*command, "-g", "daemon off;"], url=url, log=stage / "log"):
        yield url


def drain(rps: float) -> None:
    """Wait for what an ended load left in flight: the server still answers it, for nobody.

    N = X R: at most as many requests as connections, at the rate of the load.
    """
    time.sleep(min(MOST_DRAIN_S, CONNECTIONS / max(rps, 1.0)))


def settle(pid: int, workers: int) -> None:
    """Wait until all workers are there and none imports any more; at most 45 s."""
    deadline = time.monotonic() + BOOTS_S
    while time.monotonic() < deadline:
        pids = tree(pid)
        before = used(pids)
        time.sleep(LOOK_S)
        if len(pids) > workers and used(pids) - before < QUIET_CORES * LOOK_S:
            return


def tree(pid: int) -> list[int]:
    """A process and its descendants, itself first."""
    try:
        return [pid, *(each.pid for each in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]


def used(pids: Sequence[int]) -> float:
    """CPU seconds that processes have used so far."""
    return sum(process_cpu_s(pid) or 0.0 for pid in pids)


def holdings(pids: Sequence[int]) -> list[Usage]:
    """The memory of each; a process that ends meanwhile holds none."""
    found = []
    for pid in pids:
        try:
            found.append(usage(pid))
        except OSError:
            found.append(Usage(0, 0))
    return found


def rss(pid: int) -> int:
    """Resident bytes of a process; none where it is gone."""
    try:
        resident: int = psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0
    return resident


def versions() -> str:
    """The programs that a grid holds for, beside the Python packages."""
    nginx = subprocess.run([program("nginx"), "-v"], capture_output=True, text=True, check=False)
    return nginx.stderr.strip()
