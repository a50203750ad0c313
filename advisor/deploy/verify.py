"""Holding live hosts against a rendered tree: the shipped testinfra suite, run and read.

The suite runs in a pytest of its own, which reads nobody's configuration or plugins, and writes a
JUnit file; this module makes a line a check of that file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

from advisor.deploy.ansible import end, listed
from advisor.deploy.inventory import hosts
from advisor.errors import AdvisorError, InvalidInput
from advisor.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

SUITE = Path(__file__).with_name("suite")
# pytest.ExitCode: all passed, some failed, a usage error, nothing collected.
PASSED, FAILED, USAGE, EMPTY = 0, 1, 4, 5

Status = Literal["held", "failed", "not_run"]


@dataclass(frozen=True)
class Check:
    """One line: where, what was looked at, how it is; `why` is null where it held."""

    host: str
    check: str
    status: Status
    why: str | None = None


def verify(
    directory: Path,
    inventory: str | None = None,
    *,
    junit: Path | None = None,
    limit: str | None = None,
) -> list[Check]:
    """Look at the hosts of an inventory, or without one at this host.

    Args:
        directory: a rendered tree, or a fleet's folder with hosts/.
        inventory: an Ansible inventory, a file or `web1,`.
        junit: where the JUnit file is written too.
        limit: a pattern of Ansible's: only those hosts of the inventory.

    Raises:
        InvalidInput: there is no such tree or inventory, or none of its hosts has a tree.
        AdvisorError: the suite itself could not run.
    """
    named = hosts(inventory, limit)
    _check_given(directory, inventory, junit)
    wanted = ["local://"] if inventory is None else [f"ansible://{one}" for one in listed(named)]
    if not wanted:
        raise InvalidInput(f"-i {inventory}: names no host that --limit leaves")
    with tempfile.TemporaryDirectory(prefix="advisor-verify-") as folder:
        result = Path(folder) / "junit.xml"
        code, said = _run(_command(directory, inventory, wanted, result))
        if code in {USAGE, EMPTY}:
            words = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.strip()]
            raise InvalidInput("\n  ".join(words) or f"{directory}: nothing to check")
        if code not in {PASSED, FAILED} or not result.is_file():
            raise AdvisorError(f"the checks could not run (pytest ends with {code}):\n{said}")
        content = result.read_bytes()
    if junit is not None:
        write_atomic(junit, content)
    return checks(content)


def checks(junit: bytes) -> list[Check]:
    """The checks of a JUnit file that the suite's pytest wrote, in its order."""
    # Made by our own pytest a moment ago, which escapes what hosts say.
    top = ET.fromstring(junit)  # noqa: S314
    return [_check(case) for case in top.iter("testcase")]


def _check(case: ET.Element) -> Check:
    said = {each.get("name"): each.get("value", "") for each in case.iter("property")}
    host, check = said.get("host", ""), said.get("check", case.get("name", ""))
    for tag in ("failure", "error", "skipped"):
        found = case.find(tag)
        if found is not None:
            status: Status = "not_run" if tag == "skipped" else "failed"
            return Check(host, check, status, _words(found))
    return Check(host, check, "held")


def _words(found: ET.Element) -> str:
    """What the check itself said, on one line."""
    message = found.get("message", "").removeprefix("Failed: ")
    return " ".join(message.split())


def _check_given(directory: Path, inventory: str | None, junit: Path | None) -> None:
    needed = ("pytest", "testinfra", "cryptography")
    missing = [name for name in needed if find_spec(name) is None]
    if inventory is not None and shutil.which("ansible", path=_path()) is None:
        missing.append("ansible")
    if missing:
        raise InvalidInput(
            f"verify needs {' and '.join(missing)}, which is not installed here",
            remedy="Install the package's deploy extra.",
        )
    if not directory.is_dir():
        raise InvalidInput(f"{directory}: is no folder", remedy="Name what advisor render wrote.")
    if junit is not None and not junit.absolute().parent.is_dir():
        raise InvalidInput(f"--junit {junit}: the folder {junit.parent} does not exist")


def _command(
    directory: Path, inventory: str | None, wanted: Sequence[str], result: Path
) -> Sequence[str]:
    listed = () if inventory is None else (f"--ansible-inventory={inventory}",)
    return (
        *(sys.executable, "-P", "-m", "pytest", str(SUITE)),
        *("-c", str(SUITE / "pytest.ini"), "--rootdir", str(SUITE), "-p", "testinfra.plugin"),
        *("-p", "no:cacheprovider", "--quiet", "--quiet", "--tb=short"),
        *(f"--junitxml={result}", f"--advisor-tree={directory.absolute()}"),
        *(f"--hosts={','.join(wanted)}", *listed),
    )


def _path() -> str:
    """Where programs are looked for: Ansible beside this Python first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Run pytest in a session of its own, where nothing can ask for a password.

    Its environment names no options or plugins.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    environment["PATH"] = _path()
    process = subprocess.Popen(
        command,
        env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    finally:
        # As by Ctrl-C: pytest then ends the connections that it shares.
        end(process)
    return process.returncode, said.strip()
