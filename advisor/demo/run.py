"""The whole job on a bundled app: naive launch, probe, recommend, render, and the app on that.

The same referee (wrk) measures before and after, each time through a real nginx: before
through the shortest file that proxies, after through the rendered one.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from advisor import files
from advisor.demo.processes import Score, free_port, program, referee, running
from advisor.documents import Recommendation
from advisor.errors import AdvisorError
from advisor.render import render, stage_nginx
from advisor.render.stage import listeners, main_conf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Scenario:
    """A bundled app, its route, the naive way to start it (without its bind), the load."""

    name: str
    title: str
    module: str
    path: str
    naive: tuple[str, ...]
    connections: int


def scenarios() -> list[Scenario]:
    """An async app that computes, and a sync one that waits."""
    many = 2 * (os.cpu_count() or 1) + 1
    return [
        Scenario(
            name="demo-async",
            title="A FastAPI app that computes its answers",
            module="advisor.demo.async_app:app",
            path="/items",
            naive=("uvicorn", "advisor.demo.async_app:app", "--log-level", "warning"),
            connections=16,
        ),
        Scenario(
            name="demo-waiting",
            title="A Flask app that waits 40 ms a request",
            module="advisor.demo.waiting_app:app",
            path="/report",
            naive=("gunicorn", "advisor.demo.waiting_app:app", "--workers", str(many)),
            connections=64,
        ),
    ]


@dataclass(frozen=True)
class Outcome:
    """What wrk measured before and after."""

    scenario: Scenario
    before: Score
    after: Score


def demonstrate(scenario: Scenario, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Run one scenario; its documents, files and logs stay in `folder`.

    Raises `AdvisorError` where a step fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    app_port = free_port()
    (folder / "advisor.yml").write_text(
        yaml.safe_dump(_intent(scenario, app_port), sort_keys=False)
    )
    say(f"\n=== {scenario.title} ===\n")
    before = _naive(scenario, folder, app_port, say)
    recommendation = files.read(Recommendation, folder / "recommendation.yml")
    after = _tuned(scenario, recommendation, folder, app_port, say)
    say(comparison(Outcome(scenario, before, after)))
    return Outcome(scenario, before, after)


def _intent(scenario: Scenario, app_port: int) -> dict[str, object]:
    return {
        "app": {"name": scenario.name, "module": scenario.module, "health": "/healthz"},
        "listen": f"127.0.0.1:{app_port}",
        "targets": {"concurrency": scenario.connections},
    }


def _naive(scenario: Scenario, folder: Path, app_port: int, say: Callable[[str], None]) -> Score:
    """Start the app naively, measure it from outside, and run the advisor on it."""
    bind = (
        ["--host", "127.0.0.1", "--port", str(app_port)]
        if scenario.naive[0] == "uvicorn"
        else ["--bind", f"127.0.0.1:{app_port}"]
    )
    say(f"Started naively: {shlex.join((*scenario.naive, *bind))}\n")
    command = [program(scenario.naive[0]), *scenario.naive[1:], *bind]
    url = f"http://127.0.0.1:{app_port}"
    with running(command, url=f"{url}/healthz", log=folder / "naive.log") as pid:
        _advisor(say, "inspect", "--pid", str(pid))
        _advisor(say, "probe", f"{url}{scenario.path}", "-o", str(folder / "measurement.json"))
        _advisor(
            say,
            *("recommend", "--pid", str(pid), "--config", str(folder / "advisor.yml")),
            *("--measurement", str(folder / "measurement.json")),
            *("-o", str(folder / "recommendation.yml")),
        )
        _advisor(say, "render", str(folder / "recommendation.yml"), "-o", str(folder / "deploy"))
        stage = _stage(folder, "nginx-naive")
        port = free_port()
        site = stage / "site.conf"
        site.write_text(
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {url}; }} }}\n"
        )
        conf = stage / "nginx.conf"
        conf.write_text(main_conf(stage, site))
        return _through_nginx(conf, stage, port, scenario)


def _tuned(
    scenario: Scenario,
    recommendation: Recommendation,
    folder: Path,
    app_port: int,
    say: Callable[[str], None],
) -> Score:
    """Start the app on the rendered gunicorn.conf.py behind nginx on the rendered file."""
    conf = folder / "deploy" / "gunicorn" / "gunicorn.conf.py"
    command = ["gunicorn", "-c", str(conf), "--bind", f"127.0.0.1:{app_port}"]
    say(f"Restarted on the rendered files: {shlex.join(command)}\n")
    stage = _stage(folder, "nginx-rendered")
    port = free_port()
    rendered = render(recommendation)
    listen = {
        address: f"127.0.0.1:{port}"
        for file in rendered
        if file.path.startswith("nginx/")
        for address in listeners(file.content.decode())
    }
    main = stage_nginx(rendered, stage, listen=listen)
    with running(
        [program("gunicorn"), *command[1:]],
        url=f"http://127.0.0.1:{app_port}/healthz",
        log=folder / "rendered.log",
    ):
        return _through_nginx(main, stage, port, scenario)


def _stage(folder: Path, name: str) -> Path:
    stage = (folder / name).resolve()
    stage.mkdir(exist_ok=True)
    return stage


def _through_nginx(conf: Path, stage: Path, port: int, scenario: Scenario) -> Score:
    command = [program("nginx"), "-e", "stderr", "-c", str(conf), "-p", str(stage)]
    url = f"http://127.0.0.1:{port}"
    with running([*command, "-g", "daemon off;"], url=f"{url}/healthz", log=stage / "nginx.log"):
        target = f"{url}{scenario.path}"
        referee(target, seconds=1, connections=scenario.connections)  # warms every worker
        return referee(target, connections=scenario.connections)


def _advisor(say: Callable[[str], None], *arguments: str) -> None:
    """Run the real command line, as a user would, and show what it prints."""
    say(f"$ advisor {shlex.join(arguments)}")
    done = subprocess.run(
        [sys.executable, "-m", "advisor", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    say(done.stdout)
    if done.returncode:
        raise AdvisorError(f"advisor {arguments[0]} ended with exit code {done.returncode}")


def comparison(outcome: Outcome) -> str:
    """Before and after, side by side."""
    who = f"{outcome.scenario.title}, {outcome.scenario.connections} connections"
    lines = [
        f"{who} of wrk through nginx:",
        f"  {'':<28}{'requests/s':>12}{'p99':>12}{'failed':>9}",
    ]
    for label, score in (("started naively", outcome.before), ("as recommended", outcome.after)):
        lines.append(
            f"  {label:<28}{score.rps:>12,.0f}{score.p99_s * 1e3:>9,.0f} ms{score.failed:>9}"
        )
    gain = outcome.after.rps / outcome.before.rps if outcome.before.rps else float("inf")
    lines.append(f"  {'':<28}{gain:>11.1f}x")
    return "\n".join(lines) + "\n"
