"""nginx on a rendered file in a folder of one's own, beside any other nginx on the host."""

from __future__ import annotations

import grp
import os
import pwd
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.render.rendering import File

MIME_TYPES = Path("/etc/nginx/mime.types")
CONNECTIONS = 4096

_LISTEN = re.compile(r"^(?P<directive>[ \t]*listen[ \t]+)(?P<where>[^\s;#]+)", re.MULTILINE)


def stage_nginx(
    files: Sequence[File], directory: Path, *, listen: Mapping[str, str] | None = None
) -> Path:
    """Write a main nginx.conf and the rendered app's file into `directory`; returns the former.

    Run it with `nginx -e stderr -c CONF -p DIRECTORY`. PID file, logs and temporary files
    stay in the folder; workers run as the current user. `listen` exchanges addresses of the
    app's `listen` directives: `{"127.0.0.1:8080": "127.0.0.1:18080"}`.

    Raises `InvalidInput` where the files hold no nginx file, or `listen` names an address
    that the file does not listen on.
    """
    app = next((file for file in files if file.output and file.output.checker == "nginx"), None)
    if app is None:
        raise InvalidInput("nothing was rendered for nginx: proxy is none, or manage lacks proxy")
    text = app.content.decode()
    absent = sorted(set(listen or {}) - set(listeners(text)))
    if absent:
        raise InvalidInput(f"{app.path} does not listen on {absent[0]}")
    site = directory / Path(app.path).name
    site.write_text(relisten(text, listen or {}), encoding="utf-8")
    main = directory / "nginx.conf"
    main.write_text(main_conf(directory, site), encoding="utf-8")
    return main


def listeners(text: str) -> list[str]:
    r"""What an nginx file listens on, in its order.

    >>> listeners("server {\n listen 80;\n listen [::]:80;\n}")
    ['80', '[::]:80']
    """
    return [match["where"] for match in _LISTEN.finditer(text)]


def relisten(text: str, listen: Mapping[str, str]) -> str:
    """The same nginx file with other addresses after `listen`.

    >>> relisten("listen 80;", {"80": "127.0.0.1:8080"})
    'listen 127.0.0.1:8080;'
    """
    return _LISTEN.sub(
        lambda match: match["directive"] + listen.get(match["where"], match["where"]), text
    )


def main_conf(directory: Path, site: Path) -> str:
    """A host's nginx.conf around one site, with every path of nginx's inside `directory`."""
    lines = [
        *_user(),
        "worker_processes auto;",
        *_descriptors(),
        f'pid "{directory}/nginx.pid";',
        f'error_log "{directory}/error.log";',
        f"events {{ worker_connections {CONNECTIONS}; }}",
        "http {",
        *([f"    include {MIME_TYPES};"] if MIME_TYPES.is_file() else []),
        f'    access_log "{directory}/access.log";',
        *(
            f'    {kind}_temp_path "{directory}/{kind}";'
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
        f'    include "{site}";',
        "}",
    ]
    return "\n".join(lines) + "\n"


def _user() -> list[str]:
    """Without root the master cannot change its user, and warns of being told to."""
    if os.geteuid() != 0:
        return []
    return [f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"]


def _descriptors() -> list[str]:
    """Two descriptors a connection, where the hard limit allows so many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 2 * CONNECTIONS
    enough = hard == resource.RLIM_INFINITY or hard >= wanted
    return [f"worker_rlimit_nofile {wanted if enough else hard};"]
