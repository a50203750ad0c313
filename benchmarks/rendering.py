"""Is rendering quick, and is the rendered nginx as quick as the best written by hand?

    python -m benchmarks.rendering [--quick]

One host is rendered again and again in one process; the first time, each template is compiled as
well. Fifty hosts and a thousand are each a process of their own.

nginx stands in front of a small JSON app: on the rendered file, and on three files as people
write them, each of which logs every request and keeps connections to the app. The micro-cache is
held against the same bytes as a file of an nginx that does nothing else; beside it, of the rendered
one, which logs more. All take turns in one run, in a new order each round; figures are medians.
`--quick` only shows that it works: its figures mean little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from advisor import files
from advisor.demo.processes import free_port, program, referee, running
from advisor.documents import Facts
from advisor.host.components import components
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.render import render, stage_nginx
from advisor.render.stage import listeners, main_conf
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import Figure, show

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from advisor.documents import Recommendation

FACTS = Path(__file__).parent.parent / "tests" / "examples" / "facts.json"
ROUTE = "/healthz"
CONNECTIONS = 64
ROUNDS, SECONDS = 7, 4
FEW, MANY = 50, 1000
# A thousand hosts take as long as many fifties, which lie around them for the machine's moods.
REPEATED, PAIRS, AROUND = 15, 3, 4
# Everything that advisor.yml can ask for of one host.
WHOLE = {
    "app": {"name": "shop", "module": "shop.main:app", "interface": "asgi", "health": ROUTE},
    "domain": "shop.example",
    "tls": {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"},
    "static": {"/static/": "/srv/shop/static", "/media/": "/srv/shop/media"},
    "routes": {"/ws": "websocket", "/events": "stream", "/api/search": {"microcache": "1s"}},
    "limits": {"request_body": "10M", "rate_per_client_rps": 20},
    "redis": {"role": "cache"},
    "background": {"celery": {"app": "shop.tasks", "kind": "cpu"}},
    "manage": [
        *("server", "proxy", "systemd", "default-server"),
        *("sysctl", "redis", "workers", "monitoring"),
    ],
}
HEADERS = """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
"""
# The shortest that keeps connections, one with compression and headers added, and one tuned for
# throughput: a buffered log, more kept connections, larger buffers.
BY_HAND = {
    "by hand, short": """
        upstream {name} {{ server {app}; keepalive 32; }}
        server {{
            listen {listen};
            access_log {folder}/access.log combined;
            location / {{ proxy_pass http://{name}; {headers} }}
        }}
    """,
    "by hand, usual": """
        upstream {name} {{ server {app}; keepalive 64; }}
        server {{
            listen {listen};
            access_log {folder}/access.log combined;
            client_max_body_size 10m;
            gzip on; gzip_comp_level 5; gzip_min_length 256; gzip_proxied any; gzip_vary on;
            gzip_types application/json text/css application/javascript;
            add_header X-Content-Type-Options nosniff always;
            add_header X-Frame-Options SAMEORIGIN always;
            location / {{ proxy_pass http://{name}; {headers} }}
        }}
    """,
    "by hand, tuned": """
        upstream {name} {{ server {app}; keepalive 128; keepalive_requests 10000; }}
        server {{
            listen {listen};
            access_log {folder}/access.log combined buffer=64k flush=1s;
            keepalive_requests 10000; tcp_nodelay on;
            location / {{
                proxy_pass http://{name}; {headers}
                proxy_buffers 16 16k; proxy_buffer_size 16k;
            }}
        }}
    """,
}
AS_A_FILE = """
    server {{
        listen {listen};
        access_log {folder}/access.log combined buffer=64k flush=1s;
        root {root};
        keepalive_requests 10000;
        open_file_cache max=100; open_file_cache_valid 60s;
        location = {route} {{ default_type application/json; }}
    }}
"""


def advised(listen: str, **keys: Any) -> Recommendation:
    """What is recommended for an app that listens there, before the nginx of this machine."""
    facts = files.read(Facts, FACTS)
    found = facts.components | components()
    facts = facts.model_copy(update={"servers": [], "components": found})
    app = {"name": "shop", "module": "shop:app", "interface": "asgi"}
    stated = {"app": app, "listen": listen, "targets": {"concurrency": CONNECTIONS}} | keys
    return recommend(facts, None, files.validate(Intent, stated, name="benchmark"), server=None)


def rendering(pairs: int) -> list[Figure]:
    """One host's whole tree, and how the time grows with the hosts."""
    one = advised("unix", **WHOLE)
    first = seconds([one])
    again = statistics.median(seconds([one]) for _ in range(REPEATED))
    few, many = several_and_many(pairs)
    return [
        Figure(f"one host, {len(render(one))} files, and compiled templates", first * 1e3, "ms"),
        Figure("one host", again * 1e3, "ms", most=50),
        Figure(f"{FEW} different hosts", few, "s"),
        Figure(f"{MANY} different hosts", many, "s"),
        Figure(f"{MANY} hosts / {FEW} hosts", many / few, "x", most=20),
    ]


def several_and_many(pairs: int) -> tuple[float, float]:
    """Median seconds of `FEW` hosts and of `MANY`, in turns."""
    few, many = [], []
    for _ in range(pairs):
        few += [elsewhere(FEW) for _ in range(AROUND)]
        many.append(elsewhere(MANY))
        few += [elsewhere(FEW) for _ in range(AROUND)]
    return statistics.median(few), statistics.median(many)


def elsewhere(hosts: int) -> float:
    """The seconds of so many hosts in a new process, its start not counted."""
    command = [sys.executable, "-m", "benchmarks.rendering", "--hosts", str(hosts)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def different(one: Recommendation, count: int) -> list[Recommendation]:
    """As many hosts, each with a name, a domain and a number of workers of its own."""

    def host(number: int) -> Recommendation:
        domain = one.intent["domain"].model_copy(update={"value": f"shop{number}.example"})
        settings = [
            each.model_copy(update={"value": 1 + number % 32})
            if each.id == "gunicorn.workers"
            else each
            for each in one.settings
        ]
        return one.model_copy(
            update={
                "host": one.host.model_copy(update={"name": f"web{number}"}),
                "intent": one.intent | {"domain": domain},
                "settings": settings,
            }
        )

    return [host(number) for number in range(count)]


def seconds(hosts: Sequence[Recommendation]) -> float:
    """How long the files of all of them take."""
    began = time.perf_counter()
    for host in hosts:
        render(host)
    return time.perf_counter() - began


def started(stack: ExitStack, folder: Path, conf: Path, port: int, route: str) -> str:
    """Run nginx on a main configuration; gives the URL to load."""
    # As in the nginx.conf of Debian and of nginx's own packages.
    conf.write_text(conf.read_text().replace("http {", "http {\n    sendfile on; tcp_nopush on;"))
    url = f"http://127.0.0.1:{port}{route}"
    command = [program("nginx"), "-e", "stderr", "-c", str(conf), "-p", str(folder)]
    stack.enter_context(running([*command, "-g", "daemon off;"], url=url, log=folder / "nginx.log"))
    return url


def by_hand(stack: ExitStack, folder: Path, text: str, app: str) -> str:
    """A site written by hand, on an nginx of its own; its URL."""
    folder.mkdir()
    port = free_port()
    site = folder / "site.conf"
    words = {"name": "app", "app": app, "route": ROUTE, "headers": HEADERS, "root": folder.parent}
    site.write_text(text.format(listen=f"127.0.0.1:{port}", folder=folder, **words))
    conf = folder / "nginx.conf"
    conf.write_text(main_conf(folder, site))
    return started(stack, folder, conf, port, ROUTE)


def rendered(stack: ExitStack, folder: Path, app: str, *, under: str = "", **keys: Any) -> str:
    """The rendered file, likewise; the URL is of the route `under` another path."""
    folder.mkdir()
    made = render(advised(app, **keys))
    (text,) = (each.content.decode() for each in made if each.path == "nginx/shop.conf")
    ports = {where: free_port() for where in listeners(text)}
    listen = {where: f"127.0.0.1:{port}" for where, port in ports.items()}
    conf = stage_nginx(made, folder, listen=listen)
    return started(stack, folder, conf, next(iter(ports.values())), under + ROUTE)


def proxying(rounds: int, duration_s: int) -> list[Figure]:
    """Requests a second through each nginx, in turn."""
    port = free_port()
    app, url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}{ROUTE}"
    command = [program("uvicorn"), "advisor.demo.async_app:app", "--port", str(port)]
    command += ["--log-level", "warning", "--timeout-keep-alive", "120"]
    with one_scheduler_group(), tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        stack.enter_context(running(command, url=url, log=folder / "app.log"))
        fronts = {
            name: by_hand(stack, folder / f"hand{number}", text, app)
            for number, (name, text) in enumerate(BY_HAND.items())
        }
        fronts["rendered"] = rendered(stack, folder / "rendered", app)
        cached = {ROUTE: {"microcache": "1s"}}
        fronts["micro-cached"] = rendered(stack, folder / "cached", app, routes=cached)
        (folder / ROUTE.strip("/")).write_bytes(httpx.get(url, trust_env=False).content)
        fronts["as a file"] = by_hand(stack, folder / "file", AS_A_FILE, app)
        static = {"/static/": str(folder)}
        fronts["as a file, rendered"] = rendered(
            stack, folder / "static", app, under="/static", static=static
        )
        return judged(*taken_in_turn(fronts, rounds, duration_s))


def taken_in_turn(
    fronts: dict[str, str], rounds: int, duration_s: int
) -> tuple[dict[str, list[float]], int]:
    """The rates of each, a round each, and all failed requests; after one round to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in fronts}
    failed = 0
    names = list(fronts)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            # What others logged is written back half a minute later, while one runs: unless now.
            os.sync()
            score = referee(fronts[name], connections=CONNECTIONS, seconds=duration_s)
            failed += score.failed
            if number:
                rates[name].append(score.rps)
    return rates, failed


def judged(rates: dict[str, list[float]], failed: int) -> list[Figure]:
    """The rates, and the ratios within a round, two of them held to a limit; medians."""

    def over(one: str, other: str) -> float:
        pairs = zip(rates[one], rates[other], strict=True)
        return statistics.median(first / second for first, second in pairs)

    best = min(over("rendered", name) for name in BY_HAND)
    return [
        *(Figure(name, statistics.median(each), "/s") for name, each in rates.items()),
        Figure("rendered / the best by hand", best, "x", least=0.95),
        Figure("micro-cached / as a file", over("micro-cached", "as a file"), "x", least=0.9),
        Figure("micro-cached / rendered file", over("micro-cached", "as a file, rendered"), "x"),
        Figure("failed requests", failed, "", most=0),
    ]


def main() -> int:
    """Print both tables; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--hosts", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.hosts:
        print(seconds(different(advised("unix", **WHOLE), asked.hosts)))
        return 0
    pairs, rounds, duration_s = (1, 1, 1) if asked.quick else (PAIRS, ROUNDS, SECONDS)
    kept = [
        show("Rendering", rendering(pairs)),
        show(f"nginx, {CONNECTIONS} connections of wrk", proxying(rounds, duration_s)),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
