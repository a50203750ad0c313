"""gixy-ng on what is rendered, inside the nginx.conf of a careful administrator."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from advisor.render.checks.result import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# A server's UDP listener of HTTP/3 counts as another server of that port (0.2.59,
# default_server_flag: "Multiple servers share listen socket").
UDP = re.compile(r"^\s*listen \S+ quic\b.*\n", re.MULTILINE)
# What stands here is the host's, and gives gixy nothing to find by itself: a test holds that.
MAIN = """\
user www-data;
worker_processes auto;
worker_rlimit_nofile 8192;
error_log /var/log/nginx/error.log;
events {{
    worker_connections 4096;
}}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    server_tokens off;
{included}
}}
"""


def readable(content: bytes) -> str:
    """A file without what gixy misreads."""
    return UDP.sub("", content.decode())


def issues(program: Path, sites: Sequence[Sequence[Path]], folder: Path) -> list[list[str]]:
    """What gixy has against each host, whose sites are the files given; in that order.

    gixy exits 0 on an empty file, so that a report for every host is asked for.
    """
    mains = []
    for number, files in enumerate(sites):
        main = folder / f"{number}.conf"
        included = "\n".join(f"    include {file};" for file in files)
        main.write_text(MAIN.format(included=included), encoding="utf-8")
        mains.append(main)
    report = folder / "report.json"
    done = run([program, "--format", "json", "--output", report, *mains])
    assert done.code in {0, 1}, done.stderr
    assert "error" not in done.stderr.lower(), done.stderr
    found: dict[str, list[str]] = {str(main): [] for main in mains}
    for issue in json.loads(report.read_text(encoding="utf-8")):
        text = f"{issue['plugin']}: {issue['summary']} {issue.get('reason') or ''}".strip()
        found[issue["path"]].append(f"{text}: {' '.join(issue['config'].split())[:300]}")
    return list(found.values())
