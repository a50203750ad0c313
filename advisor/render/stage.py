"""nginx on rendered files in a folder of one's own, beside any other nginx on the host."""

from __future__ import annotations

import grp
import os
import pwd
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput
from advisor.render.kit.nginx_listen import STATUS_LISTEN, bucket_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.render.rendering import File

MIME_TYPES = Path("/etc/nginx/mime.types")
CONNECTIONS = 4096
# Where Debian's, EL's and nginx's own packages keep dynamic modules.
MODULE_FOLDERS = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/etc/nginx/modules")
# By the directive that needs it.
MODULE_FILES = {
    "brotli": "ngx_http_brotli_filter_module.so",
    "zstd": "ngx_http_zstd_filter_module.so",
}

_LISTEN = re.compile(r"^(?P<directive>[ \t]*listen[ \t]+)(?P<where>[^\s;#]+)", re.MULTILINE)
_NAME = re.compile(r"^[ \t]*server_name[ \t]+(?P<name>[^\s;]+)", re.MULTILINE)
_WRITTEN = re.compile(r"(?<=\s)/var/(?:log/nginx|cache)/(?P<name>[^\s;]+)")
_PEER = re.compile(
    r"^(?P<directive>[ \t]+server[ \t]+)(?P<name>(?!unix:|localhost:)[^\s;:\[]*[A-Za-z][^\s;:]*)"
    r"(?P<port>:\d+)",
    re.MULTILINE,
)
_CERTIFICATE = re.compile(
    r"^(?P<directive>[ \t]*ssl_certificate(?P<key>_key)?[ \t]+)(?P<path>[^\s;]+)", re.MULTILINE
)


@dataclass(frozen=True)
class Stage:
    """A main nginx.conf, the tree's path of each file that it includes, and what is not real."""

    conf: Path
    paths: Mapping[str, str]
    stand_ins: tuple[str, ...] = field(default=())


def stage_nginx(
    files: Sequence[File], directory: Path, *, listen: Mapping[str, str] | None = None
) -> Path:
    """Write a main nginx.conf and the rendered files into `directory`; returns the former.

    They are those of one host: of the folder that the first of nginx's files stands in. Run it
    with `nginx -e stderr -c CONF -p DIRECTORY`. PID file, logs, caches and temporary files stay
    in the folder; workers run as the current user. `listen` exchanges addresses of `listen`
    directives: `{"127.0.0.1:8080": "127.0.0.1:18080"}`; the counters' becomes a unix socket
    unless it names that too. A certificate that is not there is made.

    Raises `InvalidInput` where the files hold no nginx file, or `listen` names an address
    that none listens on.
    """
    return stage(files, directory, listen=listen).conf


def stage(
    files: Sequence[File], directory: Path, *, listen: Mapping[str, str] | None = None
) -> Stage:
    """As `stage_nginx`, and what it had to put in the place of what is not there."""
    sites = hosts(files)
    if not sites:
        raise InvalidInput("nothing was rendered for nginx: proxy is none, or manage lacks proxy")
    texts = {file.path: file.content.decode() for file in sites[0]}
    there = {where for text in texts.values() for where in listeners(text)}
    absent = sorted(set(listen or {}) - there)
    if absent:
        raise InvalidInput(f"{sites[0][0].path} does not listen on {absent[0]}")
    status = {STATUS_LISTEN: f"unix:{directory}/status.sock"}
    paths, missing = {}, list[str]()
    for path, text in texts.items():
        site = directory / Path(path).name
        staged, without = certified(written_in(addressed(text), directory), directory)
        site.write_text(relisten(staged, status | dict(listen or {})), encoding="utf-8")
        paths[str(site)] = path
        missing += without
    names = [match["name"] for text in texts.values() for match in _NAME.finditer(text)]
    unknown = [match["name"] for text in texts.values() for match in _PEER.finditer(text)]
    bucket = max((size for name in names if (size := bucket_size(name))), default=None)
    main = directory / "nginx.conf"
    text = "".join(
        [
            *(f'load_module "{module}";\n' for module in _modules("\n".join(texts.values()))),
            main_conf(directory, *map(Path, paths), bucket=bucket),
        ]
    )
    main.write_text(text, encoding="utf-8")
    stand_ins = [f"a certificate for {path}" for path in dict.fromkeys(missing)]
    stand_ins += [f"an address for {name}" for name in dict.fromkeys(unknown)]
    if bucket:
        stand_ins.append(f"an nginx.conf with server_names_hash_bucket_size {bucket}")
    return Stage(main, paths, tuple(stand_ins))


def hosts(files: Sequence[File]) -> list[list[File]]:
    """Nginx's files by the host that they are for: each folder of the tree is another one's."""
    found: dict[str, list[File]] = {}
    for file in files:
        if file.output and file.output.checker == "nginx":
            found.setdefault(str(Path(file.path).parent), []).append(file)
    return list(found.values())


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


def written_in(text: str, directory: Path) -> str:
    """The same nginx file with its logs and caches in `directory`.

    >>> written_in("access_log /var/log/nginx/a.log a;", Path("/s"))
    'access_log "/s/a.log" a;'
    """
    return _WRITTEN.sub(lambda match: f'"{directory}/{match["name"]}"', text)


def addressed(text: str) -> str:
    """The same nginx file with loopback's address for hosts given by a name: nobody is asked.

    >>> addressed("    server web1.example:80 max_fails=3;")
    '    server 127.0.0.1:80 max_fails=3;'
    """
    return _PEER.sub(lambda match: f"{match['directive']}127.0.0.1{match['port']}", text)


def certified(text: str, directory: Path) -> tuple[str, list[str]]:
    """The same file with a pair of ours for certificates that cannot be read, and their paths."""
    missing = [match["path"] for match in _CERTIFICATE.finditer(text) if not _reads(match["path"])]
    if not missing:
        return text, []
    pair = {"certificate": directory / "certificate.pem", "key": directory / "key.pem"}
    if not pair["certificate"].exists():
        _make(pair["certificate"], pair["key"])

    def exchange(match: re.Match[str]) -> str:
        return f'{match["directive"]}"{pair["key" if match["key"] else "certificate"]}"'

    # Half of a pair would not fit ours: one that lacks is enough to exchange both.
    return _CERTIFICATE.sub(exchange, text), missing


def _reads(path: str) -> bool:
    return os.access(path, os.R_OK)


def _make(certificate: Path, key: Path) -> None:
    """A self-signed pair, by the program that comes with the library nginx needs for TLS."""
    program = shutil.which("openssl")
    if program is None:
        raise InvalidInput("openssl is not installed: no certificate can stand in for the real one")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=stand-in", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [program, "req", "-x509", *curve, "-days", "2", *names],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


def module_file(name: str) -> Path | None:
    """The file of a dynamic module on this host, by the directive that needs it."""
    found = (Path(folder) / MODULE_FILES[name] for folder in MODULE_FOLDERS)
    return next((path for path in found if path.is_file()), None)


def modules_used(text: str) -> list[str]:
    """Which modules beside nginx's own the directives of a file need."""
    return [name for name in MODULE_FILES if re.search(rf"^[ \t]*{name} on;", text, re.MULTILINE)]


def _modules(text: str) -> list[Path]:
    return [path for name in modules_used(text) if (path := module_file(name))]


def main_conf(directory: Path, *sites: Path, bucket: int | None = None) -> str:
    """A host's nginx.conf around its sites, with every path of nginx's inside `directory`."""
    lines = [
        *_user(),
        "worker_processes auto;",
        *_descriptors(),
        f'pid "{directory}/nginx.pid";',
        f'error_log "{directory}/error.log";',
        f"events {{ worker_connections {CONNECTIONS}; }}",
        "http {",
        *([f"    include {MIME_TYPES};"] if MIME_TYPES.is_file() else []),
        *([f"    server_names_hash_bucket_size {bucket};"] if bucket else []),
        f'    access_log "{directory}/access.log";',
        *(
            f'    {kind}_temp_path "{directory}/{kind}";'
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
        *(f'    include "{site}";' for site in sites),
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
