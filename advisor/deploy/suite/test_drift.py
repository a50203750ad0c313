"""Drift: another tree than this one, processes on older settings, a host that has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite import assumptions, reading
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.items import Reader
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree

# Start times come in ticks since boot, and the boot itself in whole seconds.
BLUR_S = 2.0


def test_is_what_was_applied(live: Live, tree: Tree, app: str) -> None:
    """The tree is what the host's current generation was made from, and it is committed."""
    current, committed = live.status.get("current"), live.status.get("committed")
    generations = {one["n"]: one for one in live.status.get("generations", [])}
    held(current is not None, "nothing was applied yet: advisor apply DIR")
    held(current == committed, f"generation {current} is not committed, {committed} is")
    inputs = generations.get(current, {}).get("apps", {}).get(app)
    made = f"generation {current} was made from inputs {inputs}, this tree from"
    held(inputs == tree.install.inputs, f"{made} {tree.install.inputs}")
    manifest = live.status.get("apps", {}).get(app, {}).get("manifest")
    held(manifest == tree.parcel.manifest_digest, "other templates rendered it: apply again")


def test_is_not_half_taken_back(live: Live, app: str) -> None:  # noqa: ARG001 - for each app's host
    """The last operation there came to an end."""
    last = live.status.get("operation") or {}
    words = f"a return failed: {(last.get('reason') or {}).get('message')}; apply again"
    held(last.get("state") != "return_failed", words)


def test_is_not_edited(live: Live, app: str) -> None:
    """Nothing on the host was edited since."""
    found = live.status.get("apps", {}).get(app)
    if found is None:
        not_run("the switch knows no such app")
    edits = [f"{edit['path']}: {edit['what']}" for edit in found["drift"]]
    held(not edits, "; ".join(edits))


def test_is_read_since(live: Live, reader: Reader) -> None:
    """The processes are younger than the file."""
    found = live.installed.get(reader.row.target)
    if found is None:
        not_run("the file is not there")
    written, since = float(found["written"]), _started(live, reader)
    if not since:
        not_run("no process is seen that reads it")
    older = [one for one in since if one < written - BLUR_S]
    held(not older, f"{len(older)} started {written - min(older, default=0):.0f} s before it")


def _started(live: Live, reader: Reader) -> list[float]:
    """When those who read the file did so, in seconds since the epoch."""
    if reader.who == "socket":
        since_boot = live.unit(reader.unit).get("ActiveEnterTimestampMonotonic", "0")
        return [live.booted + int(since_boot) / 1e6] if int(since_boot) else []
    main = live.main_pid(reader.unit)
    if reader.who == "main":
        return [one.started for pid, one in live.processes.items() if pid == main]
    # A worker of nginx's that ends its last connections has been replaced already.
    titles = live.commands(child.pid for child in live.children(main))
    return [
        child.started
        for child in live.children(main)
        if "shutting down" not in " ".join(titles.get(child.pid, []))
    ]


def test_assumption(live: Live, tree: Tree, assumption: str) -> None:
    """Is what the settings were computed from."""
    assumed = assumptions.assumed(tree, assumption)
    found = assumptions.found(live, tree, assumption)
    share = assumptions.is_share(tree)
    now, before = (assumptions.shown(assumption, value) for value in (found, assumed))
    held(
        assumptions.still_holds(assumption, assumed, found, share=share),
        f"{now} now, the settings were computed for {before}: recommend again",
    )


def test_memory(live: Live, tree: Tree, memory: str) -> None:
    """Takes no more memory than predicted."""
    predicted = tree.rec.prediction.memory_bytes
    main = live.main_pid(tree.service or "")
    pids = [main, *(child.pid for child in live.children(main))]
    texts = live.files([f"/proc/{pid}/smaps_rollup" for pid in pids], root=True)
    sizes = {path.split("/")[2]: reading.pss_bytes(text) for path, text in texts.items()}
    known = [size for size in sizes.values() if size is not None]
    if predicted is None or len(known) < len(pids):
        not_run(f"what the {memory}'s processes use may not be read")
    most = max(known)
    held(
        sum(known) <= predicted.high,
        f"{sum(known) / 1e6:.0f} MB in {len(known)} processes (the largest has {most / 1e6:.0f}), "
        f"at most {predicted.high / 1e6:.0f} MB were predicted: probe and recommend again",
    )
