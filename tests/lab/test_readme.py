"""The README's commands about hosts, run as they stand there, on hosts that it names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.lab.lab import BIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.host import Host
    from tests.lab.lab import Lab

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RELEASES = {"web1": "debian-12", "web2": "debian-13"}
# These say by 1 that there is something to do.
FINDING = ("--check",)


def block(mark: str) -> str:
    (found,) = re.findall(rf"<!-- {re.escape(mark)} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def named(lab: Lab) -> Iterator[dict[str, Host]]:
    """The hosts of the README's inventory, of both releases."""
    hosts = {name: lab.boot(release, name, wait=False) for name, release in RELEASES.items()}
    for host in hosts.values():
        host.wait()
    yield hosts
    for host in hosts.values():
        host.close()


@pytest.fixture(scope="module")
def place(lab: Lab, named: dict[str, Host], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's advisor.yml and inventory, the lab's module and addresses in."""
    folder = tmp_path_factory.mktemp("readme")
    advised: dict[str, Any] = yaml.safe_load(block("advisor.yml"))
    advised["app"]["module"] = "main:app"
    (folder / "advisor.yml").write_text(yaml.safe_dump(advised))
    inventory: dict[str, Any] = yaml.safe_load(block("inventory.yml"))
    assert set(inventory["all"]["hosts"]) == set(named)
    ours: dict[str, Any] = yaml.safe_load(lab.inventory(named.values()).read_text())
    inventory["all"]["vars"] |= ours["all"]["vars"]
    inventory["all"]["hosts"] = ours["all"]["hosts"]
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    (folder / "playbooks").symlink_to(ROOT / "playbooks")
    return folder


def run(lab: Lab, place: Path, mark: str) -> None:
    for line in block(mark).splitlines():
        done = subprocess.run(
            ["sh", "-ec", line.removeprefix("$ ")],
            cwd=place,
            env=lab.environment() | {"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        wanted = 1 if line.endswith(FINDING) else 0
        assert done.returncode == wanted, f"{line}: {done.stdout}\n{done.stderr}"
        assert done.stdout


def test_the_commands_about_hosts(lab: Lab, place: Path, named: dict[str, Host]) -> None:
    run(lab, place, "lab commands")
    for host in named.values():
        assert host.fetch("/healthz", host="shop.example").status == 200


def test_the_plays_by_themselves(lab: Lab, place: Path, named: dict[str, Host]) -> None:
    recs = place / "advisor.yml"
    recs.write_text(recs.read_text().replace("gunicorn.timeout: 60", "gunicorn.timeout: 50"))
    for words in (
        ("recommend", "--config", "advisor.yml", "-i", "inventory.yml", "-o", "recs"),
        ("render", "recs", "-o", "deploy"),
    ):
        lab.ansible("advisor", *words, cwd=place)
    run(lab, place, "lab plays")
    for host in named.values():
        text = host.read("/etc/advisor/current/shop/gunicorn/gunicorn.conf.py").decode()
        assert "timeout = 60" in text


def test_what_a_harmful_apply_prints_is_what_the_readme_shows(lab: Lab, place: Path) -> None:
    shown = re.findall(r"<!-- taken back -->\n```\n(.*?)```", README, re.DOTALL)[0].splitlines()
    advised: dict[str, Any] = yaml.safe_load((place / "advisor.yml").read_text())
    advised["pins"] = {"gunicorn.timeout": 60}
    advised["app"]["environment"] = {"SHOP_HEALTH_SLOW_S": "0.3"}
    (place / "advisor.yml").write_text(yaml.safe_dump(advised))
    for words in (
        ("recommend", "--config", "advisor.yml", "-i", "inventory.yml", "-o", "recs"),
        ("render", "recs", "-o", "deploy"),
    ):
        lab.ansible("advisor", *words, cwd=place)
    done = lab.ansible("advisor", "apply", "deploy", "-i", "inventory.yml", check=False, cwd=place)
    assert done.code == 5
    said = [re.sub(r"\d+ ms", "N ms", line) for line in done.out.splitlines()]
    for line in shown:
        if line != "...":
            assert re.sub(r"\d+ ms", "N ms", line) in said
    assert "web2: not begun: an earlier batch failed" in done.out
