"""Facts of real hosts over SSH: the same that `inspect` finds on them, and no trace left."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import advisor
from advisor.deploy.facts import looked_at as gathered
from advisor.deploy.inventory import hosts as hosts_of
from tests.host.gathering import still

if TYPE_CHECKING:
    from tests.lab.host import Host
    from tests.lab.lab import Lab

SHOP = (
    "systemd-run --quiet --unit=shop --uid=admin -p WorkingDirectory=/srv/shop"
    " -p LimitNOFILE=4321 -E UVICORN_BACKLOG=77 -E SECRET=hunter2"
    " /srv/venv/bin/gunicorn -w 2 -k uvicorn_worker.UvicornWorker -b 127.0.0.1:8000 main:app"
)
UP = (
    "for i in $(seq 300); do curl -fsS -o /dev/null 127.0.0.1:8000/healthz && exit; sleep .1; done;"
    " exit 1"
)
CONFIG = """\
app: {name: shop, module: "main:app", interface: asgi, directory: /srv/shop}
budget: {memory: 1G, cpus: 1}
"""


@pytest.fixture(scope="module")
def host(lab: Lab, release: str) -> Host:
    """A host on which the shop runs, behind nothing, with nginx and Redis beside it."""
    host = lab.boot(release, name="web1")
    host.run("systemctl start nginx redis-server")
    host.run(SHOP)
    host.run(UP)
    return host


def looked_at(lab: Lab, inventory: Path) -> dict[str, Any]:
    done = lab.ansible("advisor", "inspect", "-i", inventory, "--json")
    found: dict[str, Any] = json.loads(done.out)["hosts"]["web1"]
    return found


def test_a_host_is_described_without_anything_installed(lab: Lab, host: Host) -> None:
    facts = looked_at(lab, lab.inventory([host]))
    assert facts["host"]["name"] == "web1"
    (server,) = facts["servers"]
    assert (server["kind"], server["app"], server["unit"]) == (
        "gunicorn",
        "main:app",
        "shop.service",
    )
    assert (server["listen"], server["user"]) == (["127.0.0.1:8000"], "admin")
    assert server["directory"] == "/srv/shop"
    assert len(server["workers"]) == 2
    assert all(worker["pss_bytes"] for worker in server["workers"])
    assert facts["components"]["nginx"]["version"] in host.run("nginx -v 2>&1").out
    assert facts["components"]["uvicorn-worker"]
    assert "hunter2" not in json.dumps(facts)
    assert any("redis-server" in gap["what"] for gap in facts["unknown"])


def test_nothing_is_left_on_the_host(lab: Lab, host: Host) -> None:
    looked_at(lab, lab.inventory([host]))
    host.run("touch /run/before")
    before = host.run("ps -e -o pid= -o args= | grep -c python3", check=False).out
    looked_at(lab, lab.inventory([host]))
    changed = host.run(
        "find / -xdev -newer /run/before -type f -not -path '/var/log/*'"
        " -not -path '/run/*' -not -path '/proc/*' -not -path '/sys/*'"
    ).out
    assert changed == ""
    assert host.run("ps -e -o pid= -o args= | grep -c python3", check=False).out == before


def test_an_ordinary_user_sees_less_and_is_told_so(lab: Lab, host: Host) -> None:
    host.run("systemctl stop shop; " + SHOP.replace("--uid=admin", "--uid=www-data"))
    host.run(UP)
    plain = lab.inventory([host], user="admin")
    mine, everything = looked_at(lab, plain), looked_at(lab, lab.inventory([host]))
    (server,) = mine["servers"]
    assert (server["app"], server["unit"]) == ("main:app", "shop.service")
    assert server["workers"][0]["pss_bytes"] is None
    said = [gap for gap in mine["unknown"] if f"pid {server['pid']}" in gap["what"]]
    assert "memory" in said[-1]["what"]
    assert "ansible_become" in said[-1]["remedy"]
    plain.write_text(plain.read_text().replace("  vars:", "  vars:\n    ansible_become: true"))
    assert still(looked_at(lab, plain))["servers"] == still(everything)["servers"]


def test_the_same_facts_as_inspect_on_the_host(
    lab: Lab, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(Path(advisor.__file__).parent, "advisor")
    # pydantic, all that it needs beside, is in the apps' environment.
    host.put("/root/advisor.tar", stream.getvalue())
    host.run("mkdir -p /root/advisor && tar -C /root/advisor -xf /root/advisor.tar")
    pid = int(host.run("systemctl show -P MainPID shop").out)
    code = (
        "from advisor.host import facts, redis; redis.discover = lambda: ([], []);"
        f" print(facts.gather({pid}).model_dump_json(exclude_defaults=True))"
    )
    here = json.loads(
        host.run(f"cd / && PYTHONPATH=/root/advisor /srv/venv/bin/python -c '{code}'").out
    )
    for name, value in lab.environment().items():
        monkeypatch.setenv(name, value)
    with gathered(hosts_of(str(lab.inventory([host])))) as fleet:
        there = fleet.hosts["web1"].facts(pid).as_data()
    there["unknown"] = [gap for gap in there["unknown"] if "redis" not in gap["what"]]
    assert still(here) == still(there)
    assert (there["kernel"]["nofile_soft"], there["pid"]) == (4321, pid)


def test_a_recommendation_for_each_shape(lab: Lab, host: Host, tmp_path: Path) -> None:
    other = lab.boot(
        "debian-12" if "13" in host.run("cat /etc/debian_version").out else "debian-13", "web2"
    )
    config = tmp_path / "advisor.yml"
    config.write_text(CONFIG)
    inventory = lab.inventory([host, other])
    words = ("--config", config, "-i", inventory, "-o", tmp_path / "recs")
    done = lab.ansible("advisor", "recommend", *words)
    assert "== web1\n" in done.out
    assert "== web2\n" in done.out
    lab.ansible("advisor", "render", tmp_path / "recs", "-o", tmp_path / "deploy")
    assert {path.name for path in (tmp_path / "deploy" / "hosts").iterdir()} == {"web1", "web2"}
