"""Does watching find what loading finds? The same app, the same traffic, both ways.

The app stands behind nginx with its default log format. It is probed through nginx; then wrk
sends the same requests over the probe's own connections, and the observation, which sends none,
watches. What it finds is brought to the speed that the machine had while the probe took its figure
(benchmarks/pace.py).
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.demo.processes import free_port, program, running
from advisor.probe import Allowed, Choice, observe_app, probe
from advisor.render.stage import main_conf
from benchmarks.measurement.cases import APPS, Case
from benchmarks.measurement.rows import connections_of
from benchmarks.measurement.steps import Steps
from benchmarks.pace import speed
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import Figure, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.pace import Speed

SECONDS = 12
UVICORN = "uvicorn asgi_app:app --log-level warning --workers"
CASES = (
    Case("async computing", f"{UVICORN} 2", "/compute", ("cpu",)),
    Case("async mixed", f"{UVICORN} 2", "/mixed", ("cpu",)),
    Case("sync computing", "gunicorn wsgi_app:app -w 3", "/compute", ("cpu",)),
)


@contextmanager
def proxied(app: str, stage: Path) -> Iterator[str]:
    """An nginx in front of `app`, with an access log of its own; its URL."""
    port = free_port()
    (stage / "site.conf").write_text(
        f"upstream app {{ server {app}; keepalive 32; }}\n"
        f"server {{ listen 127.0.0.1:{port}; access_log {stage}/access.log combined;\n"
        "location / { proxy_pass http://app; proxy_http_version 1.1;\n"
        'proxy_set_header Connection ""; } }\n'
    )
    (stage / "nginx.conf").write_text(main_conf(stage, stage / "site.conf"))
    command = [program("nginx"), "-e", "stderr", "-c", str(stage / "nginx.conf")]
    url = f"http://127.0.0.1:{port}"
    with running(
        [*command, "-p", str(stage), "-g", "daemon off;"], url=f"{url}/compute", log=stage / "log"
    ):
        (stage / "access.log").write_text("")  # the requests that waited for it to come up
        yield url


def measure() -> list[Figure]:
    found = []
    with one_scheduler_group(), speed() as beside:
        for case in CASES:
            level, as_is = ratios(case, beside)
            found.append(Figure(f"observed / probed, {case.name}", level, "x", 1.15, 0.85))
            found.append(Figure("the same as it is", as_is, "x"))
    return found


def ratios(case: Case, beside: Speed) -> tuple[float, float]:
    """The observed CPU per request over the probed, at one speed of the machine and as it is."""
    port = free_port()
    name, *rest = case.command.split()
    where = {
        "uvicorn": ["--port", str(port), "--app-dir", str(APPS)],
        "gunicorn": ["--bind", f"127.0.0.1:{port}", "--chdir", str(APPS)],
    }[name]
    url = f"http://127.0.0.1:{port}{case.route}"
    with (
        tempfile.TemporaryDirectory() as folder,
        running([program(name), *rest, *where], url=url, log=Path(folder) / "app.log"),
        proxied(f"127.0.0.1:{port}", Path(folder)) as base,
    ):
        steps = Steps()
        probed = probe(base + case.route, on_progress=steps.told)
        connections = connections_of(probed)
        command = [program("wrk"), "-t1", f"-c{connections}", f"-d{SECONDS + 6}s"]
        load = subprocess.Popen([*command, base + case.route], stdout=subprocess.DEVNULL)
        try:
            began = time.monotonic()
            observed = observe_app(
                base + case.route,
                seconds=SECONDS,
                pid=None,
                unix_socket=None,
                choice=Choice(),
                stub_status=None,
                allowed=Allowed(),
                on_progress=lambda _line: None,
            )
            ended = time.monotonic()
        finally:
            load.terminate()
            load.wait()
    if not probed.cpu_per_request_s or not observed.cpu_per_request_s:
        return float("nan"), float("nan")
    as_is = observed.cpu_per_request_s.value / probed.cpu_per_request_s.value
    meanwhile = beside.during(*steps.spans_of(probed))
    return as_is * meanwhile / beside.during((began, ended)), as_is


if __name__ == "__main__":
    raise SystemExit(0 if show("Observation against probe, the same traffic", measure()) else 1)
