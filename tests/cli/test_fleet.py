"""`-i INVENTORY` of inspect and recommend, and a fleet's tree from what they write."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from advisor import files
from advisor.cli.main import run
from advisor.documents import Facts, Recommendation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Advisor = Callable[..., tuple[int, str, str]]

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
CONFIG = """\
app: {name: shop, module: "shop.main:app", interface: asgi, directory: /srv/shop, user: shop}
server: gunicorn
domain: shop.example
budget: {memory: 1G, cpus: 1}
manage: [server]
"""


@pytest.fixture
def advisor(capsys: pytest.CaptureFixture[str]) -> Advisor:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        code = ended.value.code
        return code if isinstance(code, int) else 0, out, err

    return call


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Two names of this host, and one that nobody answers to."""
    gone = {"ansible_connection": "local", "ansible_python_interpreter": "/nonexistent/python3"}
    path = tmp_path / "inventory.yml"
    path.write_text(
        yaml.safe_dump({"all": {"hosts": {"web1": LOCAL, "web2": LOCAL, "gone": gone}}})
    )
    return path


@pytest.mark.daemon
def test_from_an_inventory_to_a_fleets_tree(
    advisor: Advisor, inventory: Path, tmp_path: Path
) -> None:
    config, recs, deploy = tmp_path / "advisor.yml", tmp_path / "recs", tmp_path / "deploy"
    config.write_text(CONFIG)
    code, out, err = advisor(
        *("recommend", "--config", config, "-i", inventory, "--limit", "web*", "-o", recs)
    )
    assert code == 0, err
    assert out.startswith("== web1, web2\n")
    assert f"advisor render {recs} -o deploy" in out
    assert {path.name for path in recs.iterdir()} == {"web1.yml", "web2.yml"}
    assert (recs / "web1.yml").read_bytes() == (recs / "web2.yml").read_bytes()
    assert files.read(Recommendation, recs / "web1.yml").app.name == "shop"
    code, out, err = advisor("render", recs, "-o", deploy)
    assert code == 0, err
    trees = {path.relative_to(deploy).as_posix() for path in deploy.rglob("*.conf.py")}
    assert trees == {f"hosts/{name}/gunicorn/gunicorn.conf.py" for name in ("web1", "web2")}
    assert advisor("check", deploy)[0] == 0
    (recs / "web2.yml").unlink()
    code, _, err = advisor("render", recs, "-o", deploy, "--json")
    assert code == 0
    assert f"{deploy}/hosts/web2: of no host here; left" in err


@pytest.mark.daemon
def test_a_lost_host_is_named_after_the_others(
    advisor: Advisor, inventory: Path, tmp_path: Path
) -> None:
    facts = tmp_path / "facts"
    code, out, err = advisor("inspect", "-i", inventory, "--json", "-o", facts)
    assert code == 4
    assert "not looked at:\ngone: " in err
    assert set(json.loads(out)["hosts"]) == {"web1", "web2"}
    for name in ("web1", "web2"):
        assert files.read(Facts, facts / f"{name}.yml").components


@pytest.mark.parametrize("sizes", ["", "0", "1,", "101%", "a", "-1", "1;2", "25 %"])
def test_sizes_of_batches_are_hosts_or_shares(
    advisor: Advisor, inventory: Path, tmp_path: Path, sizes: str
) -> None:
    code, _, err = advisor("apply", tmp_path, "-i", inventory, "--serial", sizes)
    assert (code, "such as 1,25%,100%" in err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "-i", "INVENTORY", "--pid", "1"),
        ("inspect", "--limit", "web1"),
        ("inspect", "-i", "absent.yml"),
        ("recommend", "-i", "INVENTORY", "--pid", "1"),
        ("recommend", "-i", "INVENTORY", "http://127.0.0.1/"),
        ("recommend", "-i", "INVENTORY", "--format", "env"),
        ("recommend", "--limit", "web1"),
    ],
)
def test_what_does_not_go_together_is_wrong_input(
    advisor: Advisor, inventory: Path, words: tuple[str, ...]
) -> None:
    named = [str(inventory) if word == "INVENTORY" else word for word in words]
    code, out, err = advisor(*named)
    assert (code, out) == (2, "")
    assert "-i" in err


def test_a_folder_without_recommendations_is_wrong_input(advisor: Advisor, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = advisor("render", tmp_path / "empty", "-o", tmp_path / "deploy")
    assert code == 2
    assert "one recommendation a host" in err
    assert not (tmp_path / "deploy").exists()
