"""What `-i INVENTORY` adds to inspect and recommend: hosts looked at over Ansible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advisor.cli.advice import about
from advisor.cli.apply import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.deploy.facts import Fleet
    from advisor.documents import Document, Facts, Measurement, Recommendation, Server
    from advisor.host.remote import Copy
    from advisor.host.shapes import Shape
    from advisor.intent import Intent

# The groups that playbooks/site.yml has trees of their own for.
APP_HOSTS = "all:!advisor_load_balancers:!advisor_monitoring"

InventoryOption = Annotated[
    str | None,
    typer.Option(
        "-i", "--inventory", metavar="INVENTORY", help="Look at the hosts of Ansible's instead."
    ),
]
LimitOption = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="With -i: only the hosts of this pattern.")
]


def inspect(inventory: str, *, limit: str | None, as_json: bool, output: Path | None) -> None:
    """Show the facts of every host; `-o` writes one document a host into a folder.

    Raises `TooLittleEvidence` naming the hosts that could not be looked at, after the others.
    """
    from advisor.deploy.facts import looked_at
    from advisor.deploy.inventory import hosts
    from advisor.documents import Facts
    from advisor.report.facts import table

    with looked_at(hosts(inventory, limit), on_event=say) as fleet:
        facts = {name: copy.facts() for name, copy in fleet.hosts.items()}
        if output:
            _write(Facts, facts, output)
        if as_json:
            data = {"hosts": {name: each.as_data() for name, each in facts.items()}}
            typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        else:
            typer.echo(
                "\n".join(f"== {name}\n{table(each)}" for name, each in facts.items()), nl=False
            )
        _name_lost(fleet)


def recommend(
    inventory: str,
    intent: Intent | None,
    measurement: Measurement | None,
    *,
    config: Path | None,
    limit: str | None,
    amounts: dict[str, Any],
    as_json: bool,
    everything: bool,
    output: Path | None,
) -> None:
    """Say what to set on every host: one recommendation for all hosts of a shape.

    `config` is the path of `intent`. `-o` writes one document a host into a folder, the same
    bytes for hosts of one shape. Raises `TooLittleEvidence` naming the hosts that could not be
    looked at, after the others.
    """
    from advisor.cli.recommend import shown
    from advisor.deploy.facts import looked_at
    from advisor.deploy.inventory import hosts
    from advisor.documents import Recommendation
    from advisor.host.shapes import shapes

    virtualenv = intent.app.virtualenv if intent else None
    pattern = "all" if limit else APP_HOSTS
    named = hosts(inventory, limit)
    looking = looked_at(named, pattern=pattern, virtualenv=virtualenv, on_event=say)
    with looking as fleet:
        with about(config):
            seen = {
                name: _seen(name, copy, measurement, intent) for name, copy in fleet.hosts.items()
            }
        facts = {name: each for name, (each, _) in seen.items()}
        measured_on = measurement.host if measurement else None
        groups = shapes(facts, measured_on=measured_on)
        made = {group: _made(group, seen, measurement, intent, config, amounts) for group in groups}
        if output:
            by_host = {name: rec for group, rec in made.items() for name in group.hosts}
            _write(Recommendation, by_host, output)
        if as_json:
            typer.echo(json.dumps(_data(made), indent=2, ensure_ascii=False))
        for group, rec in {} if as_json else made.items():
            text = shown(rec, seen[group.representative][1], output, everything=everything)
            typer.echo(f"== {', '.join(group.hosts)}\n{text}")
        _name_lost(fleet)


def _seen(
    name: str, copy: Copy, measurement: Measurement | None, intent: Intent | None
) -> tuple[Facts, Server | None]:
    """A host's facts with the limits of the app's own process, and the app as it runs there."""
    from advisor import guards
    from advisor.errors import AdvisorError
    from advisor.selection import servers_for

    facts = copy.facts()
    here = measurement if measurement and guards.same_host(facts, measurement) else None
    try:
        (server,) = servers_for(facts, here, intent, pid=None, single=True)
    except AdvisorError as error:
        raise type(error)(f"{name}: {error.message}", remedy=error.remedy) from None
    return (copy.facts(server.pid) if server else facts), server


def _made(
    group: Shape,
    seen: Mapping[str, tuple[Facts, Server | None]],
    measurement: Measurement | None,
    intent: Intent | None,
    config: Path | None,
    amounts: dict[str, Any],
) -> Recommendation:
    from advisor import guards
    from advisor.errors import NothingFeasible
    from advisor.recommend import recommend as decide

    facts, server = seen[group.representative]
    if measurement and (gap := guards.elsewhere(facts, measurement)):
        typer.echo(f"advisor: warning: {', '.join(group.hosts)}: {gap.why}.", err=True)
    try:
        with about(config):
            return decide(facts, measurement, intent, server=server, **amounts)
    except NothingFeasible as error:
        raise NothingFeasible(
            f"{', '.join(group.hosts)}: {error.message}", remedy=error.remedy
        ) from None


def _data(made: Mapping[Shape, Recommendation]) -> dict[str, Any]:
    return {
        "shapes": [
            {"hosts": list(group.hosts), "recommendation": rec.as_data()}
            for group, rec in made.items()
        ]
    }


def _write(kind: type[Document], documents: Mapping[str, Document], folder: Path) -> None:
    """One document a host, all of them or, where one may not be replaced, none."""
    from advisor import files
    from advisor.errors import InvalidInput

    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"-o {folder}: {error.strerror}; with -i it is a folder") from None
    paths = {name: folder / f"{name}.yml" for name in documents}
    for name, path in paths.items():
        if path.parent != folder or name.startswith("."):
            raise InvalidInput(f"{name}: no name for a file; name the host otherwise")
        files.check_replaceable(path, kind)
    for name, path in paths.items():
        files.write_document(documents[name], path)
    typer.echo(f"{len(paths)} documents written to {folder}.", err=True)


def _name_lost(fleet: Fleet) -> None:
    from advisor.errors import TooLittleEvidence

    if fleet.lost:
        lines = "\n".join(f"{name}: {why}" for name, why in fleet.lost.items())
        raise TooLittleEvidence(
            f"not looked at:\n{lines}", remedy="Mend the connection, or leave them out by --limit."
        )
