"""Caddy: what it runs is what its files say, for it keeps its processes when it loads new ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from advisor.deploy.suite.questions import CADDY
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live


def test_runs_what_its_files_say(live: Live, caddy: str) -> None:
    """Runs what its files say."""
    wanted = live.ask(f"caddy adapt --adapter caddyfile --config {caddy}", root=True)
    held(wanted.rc == 0, f"Caddy refuses them: {' '.join(wanted.stderr.splitlines()[-1:])}")
    found = live.script(CADDY)
    if isinstance(found, dict) and "error" in found:
        not_run(f"its admin API does not answer: {found['error']}")
    held(found == json.loads(wanted.stdout), "its files have changed since it loaded them")
