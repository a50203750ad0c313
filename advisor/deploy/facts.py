"""The facts of a fleet: gathered by Ansible, laid out as copies, described as `inspect` does.

The playbook writes a file a host into a folder that only this user may read; no word of a host
passes through Ansible's variables or its output.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.deploy.ansible import run_playbook
from advisor.deploy.events import outcomes
from advisor.errors import InvalidInput
from advisor.files import validate
from advisor.host.remote import Copy, Gathered, lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.deploy.events import Event
    from advisor.deploy.inventory import Hosts

# What a host sends, unpacked: a hundred times what a busy one needs.
MOST_BYTES = 64 * 2**20
# At once: a host takes a second or two, most of it waiting.
FORKS = "20"


@dataclass(frozen=True)
class Fleet:
    """Hosts by their names in the inventory: those that were looked at, and why others were not."""

    hosts: dict[str, Copy]
    lost: dict[str, str]


@contextmanager
def looked_at(
    hosts: Hosts,
    *,
    pattern: str = "all",
    virtualenv: str | None = None,
    on_event: Callable[[Event], None] = lambda _: None,
) -> Iterator[Fleet]:
    """Look at hosts; nothing is installed there, and nothing is changed.

    Args:
        hosts: those of an inventory.
        pattern: which of them, as a play's `hosts` takes it.
        virtualenv: the app's environment, where no server that runs shows it.
        on_event: who is told what happens.

    Raises:
        InvalidInput: Ansible is not there, or a pattern of the limit is nobody's.
        AdvisorError: the play did not begin.
    """
    with tempfile.TemporaryDirectory(prefix="advisor-facts-") as folder:
        output = Path(folder) / "gathered"
        output.mkdir(mode=0o700)
        variables = {
            "advisor_hosts": pattern,
            "advisor_facts_output": str(output),
            "advisor_facts_virtualenv": virtualenv or "",
        }
        more = ("--forks", FORKS)
        ran = run_playbook("facts.yml", hosts, variables, more=more, on_event=on_event)
        answers = [json.loads(path.read_bytes()) for path in sorted(output.iterdir())]
        found: dict[str, Copy] = {}
        # Whatever kept a host's answer away: each one of the play is here or there.
        lost = {each["host"]: _why(each) for each in outcomes(ran.events)}
        for number, answer in enumerate(answers):
            root = Path(folder) / str(number)
            root.mkdir()
            try:
                named = Path(virtualenv) if virtualenv else None
                found[answer["host"]] = lay(unpacked(answer), root, named)
                del lost[answer["host"]]
            except InvalidInput as error:
                lost[answer["host"]] = error.message
        yield Fleet(dict(sorted(found.items())), dict(sorted(lost.items())))


def _why(words: dict[str, Any]) -> str:
    """What Ansible says of a host that wrote nothing."""
    reason = words.get("reason") or {"message": "no answer: the play ended before"}
    return str(reason["message"])


def unpacked(answer: dict[str, Any]) -> Gathered:
    """What the action plugin wrote for a host; `InvalidInput` with the reason for none."""
    if "gathered" not in answer:
        raise InvalidInput(str(answer.get("problem", "no answer")))
    try:
        stream = zlib.decompressobj()
        text = stream.decompress(base64.b64decode(answer["gathered"], validate=True), MOST_BYTES)
        data = json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise InvalidInput(f"its answer is not understood: {error}") from None
    return validate(Gathered, data, name="its answer")
