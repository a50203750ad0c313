"""systemd's own check of the rendered units, all together, and how exposed each service is.

Any line on stderr is a failure: `systemd-analyze verify` exits 0 on a misspelt directive (tried
with systemd 252). The units lie in a closed world of the stage, so that no other unit and no
drop-in of the host's adds lines of its own. The exposure of a service is at most 1.5; what an
intent opens beyond that is said, and has a bound too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.render.checks.result import CheckResult, find_program, other_version, run, verdict
from advisor.render.checks.systemd_boot import check_boot
from advisor.render.checks.systemd_identities import identities
from advisor.render.checks.systemd_stage import is_unit, staged
from advisor.render.kit.systemd_sandbox import relaxed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.checks.systemd_stage import Stage, Unit
    from advisor.render.rendering import File
    from advisor.render.values import Inputs

ANALYZE = "systemd-analyze"
MOST_EXPOSED = 1.5
# With all that an intent can open: an app in a home folder, under /tmp, on a port below 1024
# (tried with systemd 252 and 257).
MOST_OPENED = 1.7
# Of the directives that add to the exposure, those that a failure names.
NAMED = 5

_VERSION = re.compile(r"systemd (\d+)")
_OVERALL = re.compile(r"exposure level for .*: (\d+\.\d)", re.IGNORECASE)
# A mark, the directive, what it means, and what it adds: `- UMask=   Files are readable   0.1`.
_ADDS = re.compile(r"^\S*\s*(?P<name>\S+=\S*)\s.*\s(?P<exposure>\d+\.\d)\s*$")


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """What systemd says to units, sysusers.d and tmpfiles.d, and what we say to whom they name."""
    units = [file for file in files if is_unit(file)]
    others = [file for file in files if not is_unit(file)]
    return [
        *(identities(file, inputs) for file in files),
        *(_analyzed(units, inputs) if units else ()),
        *check_boot(others, inputs),
    ]


def _analyzed(units: Sequence[File], inputs: Inputs) -> Iterator[CheckResult]:
    program = find_program(ANALYZE)
    if program is None:
        why = f"{ANALYZE} is not installed here"
        yield from (CheckResult(unit.path, ANALYZE, "not_run", (why,)) for unit in units)
        return
    found = _VERSION.search(run([program, "--version"]).stdout)
    version = found[1] if found else "of unknown version"
    other = other_version(inputs, "systemd", version, parts=1)
    if other:
        name = f"{ANALYZE} {version}"
        yield from (CheckResult(unit.path, name, "not_run", (other,)) for unit in units)
        return
    with staged(units, inputs) as stage:
        yield from _verified(program, version, stage)
        for unit in stage.services():
            yield _exposure(program, version, unit, stage, relaxed(inputs))


def _verified(program: str, version: str, stage: Stage) -> Iterator[CheckResult]:
    """One run for all units, for they name one another."""
    targets = [unit.target for unit in stage.units]
    done = run([program, "verify", "--man=no", *targets], environment=stage.environment)
    lines = [stage.placed(line) for line in done.stderr.splitlines() if line.strip()]
    if done.code != 0 and not lines:
        lines = [stage.placed(f"{ANALYZE} verify ended with {done.code}")]
    for unit in stage.units:
        own = [text for path, text in lines if path == unit.path]
        name = f"{ANALYZE} {version} verify"
        yield verdict(unit.path, name, own, stand_ins=unit.stand_ins)


def _exposure(
    program: str, version: str, unit: Unit, stage: Stage, wider: list[str]
) -> CheckResult:
    """What `systemd-analyze security` makes of a service, from 0 to 10."""
    arguments = (program, "security", "--offline=true", "--no-pager", unit.target)
    done = run(arguments, environment=stage.environment)
    found = _OVERALL.search(done.stdout)
    if found is None:
        said = (done.stderr.strip().splitlines() or [f"ended with {done.code}"])[-1]
        return verdict(unit.path, "exposure", [f"{unit.path}: {ANALYZE} security: {said}"])
    exposure = float(found[1])
    most = MOST_OPENED if wider else MOST_EXPOSED
    opened = f", opened for {' and '.join(wider)}" if wider else ""
    name = f"exposure {exposure} by {ANALYZE} {version}{opened}"
    if exposure <= most:
        return verdict(unit.path, name, [])
    what = ", ".join(_most(done.stdout))
    says = f"the exposure is {exposure}, above {most}{opened}; most of it by {what}"
    return verdict(unit.path, name, [f"{unit.path}: {says}"])


def _most(table: str) -> list[str]:
    """The directives that add most, with what they add: `PrivateUsers= 0.2`."""
    adds = filter(None, map(_ADDS.match, table.splitlines()))
    ordered = sorted(adds, key=lambda match: -float(match["exposure"]))
    return [f"{match['name']} {match['exposure']}" for match in ordered[:NAMED]]
