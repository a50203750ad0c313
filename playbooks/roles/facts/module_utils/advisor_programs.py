# ruff: noqa: INP001, PTH116, PTH118, PTH120, PTH207 - found by its folder; paths are bytes
"""What the installed programs say of themselves, and what nginx.conf says for all sites."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.module_utils.advisor_copy import Copy

MOST_FILES = 100
MOST_CHARACTERS = 2**20
TIMEOUT_S = 5
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NGINX = ("nginx", "-V")
COMMANDS = (
    NGINX,
    ("openssl", "version"),
    ("systemctl", "--version"),
    ("caddy", "version"),
    ("caddy", "list-modules"),
    ("redis-server", "--version"),
    ("valkey-server", "--version"),
    ("keydb-server", "--version"),
)
# nginx's lexical structure (ngx_conf_read_token): remarks, quoted words, bare words, ends.
TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\\.|[^\s{};\\])+""")
TAKEN = {
    "include",
    "load_module",
    "worker_connections",
    "worker_processes",
    "worker_rlimit_nofile",
}


def answers(copy: Copy) -> list[dict]:
    """The programs' answers; of nginx also what its main configuration takes."""
    found = [answer(command) for command in COMMANDS]
    main = re.search(r"--conf-path=(/\S+)", found[COMMANDS.index(NGINX)]["text"])
    if main:
        _configuration(copy, main[1])
    return found


def answer(command: tuple[str, ...]) -> dict:
    """What a program prints on either stream, and where it is; empty for one that is not there."""
    program = find(command[0])
    output = b""
    if program is not None:
        try:
            done = subprocess.run(
                [program, *command[1:]],
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
                env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
            )
            output = done.stdout + done.stderr
        except (OSError, subprocess.TimeoutExpired):
            output = b""
    text = output.decode(errors="replace")[:MOST_CHARACTERS]
    return {"words": [*command], "path": program, "text": text}


def find(name: str) -> str | None:
    """The program's path, system folders first; as root none that others than root may change."""
    path = shutil.which(name, path=f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}")
    if path is None or os.geteuid() != 0:
        return path
    status = os.stat(path)
    return path if status.st_uid == 0 and not status.st_mode & 0o022 else None


def _configuration(copy: Copy, main: str) -> None:
    """Of nginx.conf and what it includes, the lines that count for all sites."""
    files = [main]
    for file in files:  # grows by what is included; each once, so a circle ends
        kept = copy.file(file, taken).decode("latin-1")
        for directive in kept.splitlines():
            name, _, word = directive.rstrip(";").partition(" ")
            if name == "include":
                pattern = os.path.join(os.path.dirname(main), _bare(word))
                more = [os.path.normpath(path) for path in sorted(glob.glob(pattern))]
                files += [path for path in more if path not in files][: MOST_FILES - len(files)]


def taken(text: bytes) -> bytes:
    r"""Of an nginx configuration the directives of `TAKEN`, in the main context and in `events`.

    >>> taken(b"user x; load_module 'a.so'; http { include b; } # c;")
    b"load_module 'a.so';\n"
    """
    blocks, words, kept = [], [], []
    for match in TOKEN.finditer(text.decode("latin-1")):
        piece = match[0]
        if piece == "{":
            blocks.append(" ".join(words))
        elif piece == "}":
            blocks = blocks[:-1]
        elif piece != ";":
            if not piece.startswith("#"):
                words.append(piece)
            continue
        elif len(words) > 1 and words[0] in TAKEN and blocks in ([], ["events"]):
            kept.append(f"{words[0]} {words[1]};\n")
        words = []
    return "".join(kept).encode("latin-1")


def _bare(word: str) -> str:
    return word[1:-1] if word[:1] in {"'", '"'} else word
