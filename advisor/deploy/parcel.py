"""What a host is handed: its part of a tree, and the request that goes with it.

Ansible's action plugin uses this where nothing of ours is installed but the files: it needs the
standard library alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FLEET = "hosts"
MANIFEST = ".advisor/manifest"
RECOMMENDATION = ".advisor/recommendation.yml"
INSTALL = ".advisor/install.json"
# The kinds of host that a tree has files for, each with the document that says which.
PARTS = {
    "app": INSTALL,
    "load_balancer": ".advisor/load_balancer/install.json",
    "monitoring": ".advisor/monitoring/install.json",
}
REQUEST_SCHEMA = "advisor/request/1"
DRAIN_SCHEMA = "advisor/drain/1"

# A folder of the tree, the role that brings its daemon, and a command that shows it is there.
NEEDS = {
    "gunicorn": ("app_service", "systemctl"),
    "uvicorn": ("app_service", "systemctl"),
    "hypercorn": ("app_service", "systemctl"),
    "granian": ("app_service", "systemctl"),
    "environment": ("app_service", "systemctl"),
    "systemd": ("app_service", "systemctl"),
    "workers": ("workers", "systemctl"),
    "nginx": ("proxy_nginx", "nginx"),
    "caddy": ("proxy_caddy", "caddy"),
    "redis": ("cache_redis", "redis-server"),
    "sysctl": ("host_sysctl", "sysctl"),
    # In Debian 13 promtool is a package of its own, which this one brings.
    "monitoring": ("monitoring", "prometheus"),
}
SYSUSERS = "/etc/sysusers.d/"
# Folders whose change may start the app's server anew: a load balancer is told before.
RESTARTING = frozenset({"systemd", "environment", "uvicorn", "hypercorn", "granian"})

_ENTRY = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<path>\.?[a-z][a-z_-]*(?:/[A-Za-z0-9._@+-]+)+)")


@dataclass(frozen=True)
class Parcel:
    """The files of a tree that one host gets, by path, and its install document."""

    files: Mapping[str, bytes]
    install: Mapping[str, Any]

    @property
    def app(self) -> str:
        """The app's name."""
        return str(self.install["app"])

    @property
    def manifest_digest(self) -> str:
        """The SHA-256 of the manifest, by which a host tells whether it has these files."""
        return hashlib.sha256(self.files[MANIFEST]).hexdigest()

    @property
    def own_user(self) -> str | None:
        """The system user that the tree describes for the app; null where it has somebody's."""
        describes = any(row["target"].startswith(SYSUSERS) for row in self.install["files"])
        return str(self.install["user"]) if describes else None

    def needs(self, components: Iterable[str] | None = None) -> dict[str, str]:
        """The roles that bring what the files are for, each with the command that shows it."""
        wanted = None if components is None else set(components)
        return dict(
            _need(row)
            for row in self.install["files"]
            if wanted is None or row["component"] in wanted
        )


def _need(row: Mapping[str, str]) -> tuple[str, str]:
    """A load balancer's daemon is the one that checks its files."""
    if row["component"] == "load_balancer":
        return "load_balancer", row["checker"]
    if row["component"] == "redis" and row["target"].startswith("/etc/valkey/"):
        return "cache_redis", "valkey-server"
    return NEEDS[row["component"]]


def tree_for(directory: Path, host: str, parts: Sequence[str]) -> Path:
    """The tree of a host: `DIR/hosts/<host>`, or DIR itself where it is one.

    A load balancer, or a Prometheus, without a tree of its own has its files in those of the
    hosts that it serves; all of them have to agree. Raises `InvalidInput` where there is none.
    """
    own = directory / FLEET / host
    if (own / MANIFEST).is_file():
        return own
    if (directory / MANIFEST).is_file():
        return directory
    others = sorted(path.parents[1] for path in (directory / FLEET).glob("*/.advisor/manifest"))
    if others and "app" not in parts:
        return _agreed(others, parts)
    if others:
        raise InvalidInput(
            f"{directory}: there is no tree for {host} below {FLEET}/",
            remedy="Render one for it, or leave the host out: --limit.",
        )
    raise InvalidInput(
        f"{directory}: holds no rendered tree: there is no {MANIFEST}",
        remedy="Make one: advisor render REC -o DIR.",
    )


def _agreed(trees: Sequence[Path], parts: Sequence[str]) -> Path:
    digests = {tree: _part_digests(tree, parts) for tree in trees}
    first = trees[0]
    for tree, found in digests.items():
        if found != digests[first]:
            raise InvalidInput(
                f"{tree}: its files for {' and '.join(parts)} are not those of {first}",
                remedy="Render the hosts' trees from one advisor.yml, or one for this host.",
            )
    return first


def _part_digests(tree: Path, parts: Sequence[str]) -> dict[str, str]:
    """The digests of what the other kinds of host get, their install documents aside.

    Those name the inputs of the whole tree, which differ where the hosts do.
    """
    files = read_tree(tree)
    documents = [json.loads(files[PARTS[part]]) for part in parts if PARTS[part] in files]
    paths = [row["path"] for document in documents for row in document["files"]]
    return {path: hashlib.sha256(_bare(files[path])).hexdigest() for path in paths}


def _bare(content: bytes) -> bytes:
    """Without the header's digest of the inputs."""
    return re.sub(rb", inputs [0-9a-f]+$", b"", content, flags=re.MULTILINE)


def read_tree(directory: Path) -> dict[str, bytes]:
    """The files of a tree, by path, each as its manifest has it.

    Raises `InvalidInput` naming a file that is missing or was changed since it was rendered.
    """
    entries: dict[str, set[str]] = {}
    for line in _read(directory / MANIFEST).decode("utf-8", "replace").splitlines():
        match = _ENTRY.fullmatch(line)
        if match is None or ".." in match["path"].split("/"):
            raise InvalidInput(f"{directory / MANIFEST}: no entry of a manifest: {line[:80]!r}")
        entries.setdefault(match["path"], set()).add(match["digest"])
    files = {path: _read(directory / path) for path in entries}
    for path, content in files.items():
        if hashlib.sha256(content).hexdigest() not in entries[path]:
            raise InvalidInput(
                f"{directory / path}: was changed since it was rendered",
                remedy=f"See the difference, and render again: advisor check {directory} --diff.",
            )
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from None


def parcel(files: Mapping[str, bytes], parts: Sequence[str]) -> Parcel | None:
    """The part of a tree that is for these kinds of host; null where it has nothing for them.

    Raises `InvalidInput` for a tree that says of itself that it is not for a host, and for one
    that an older advisor rendered, without an install document.
    """
    if INSTALL not in files:
        raise InvalidInput(
            f"the tree has no {INSTALL}, which says how it is installed",
            remedy="Render it again: advisor render REC -o DIR.",
        )
    documents = [json.loads(files[PARTS[part]]) for part in parts if PARTS[part] in files]
    rows = [row for document in documents for row in document["files"]]
    if not rows:
        return None
    for document in documents:
        if document["refusal"]:
            raise InvalidInput(
                document["refusal"], remedy="Set it in advisor.yml, recommend and render again."
            )
    install = {**documents[0], "files": rows}
    content = json.dumps(install, indent=1).encode() + b"\n"
    mine = {row["path"]: files[row["path"]] for row in rows}
    mine |= {RECOMMENDATION: files[RECOMMENDATION], INSTALL: content}
    return Parcel({**mine, MANIFEST: manifest(mine)}, install)


def manifest(files: Mapping[str, bytes]) -> bytes:
    """The manifest of a tree's files: as sha256sum writes it, in the order of their paths."""
    lines = (f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    return "".join(lines).encode()


def request(handed: Parcel | None, app: str, **fields: Any) -> bytes:
    """A request to the switch of a host, as JSON; `fields` are those of its schema."""
    contents = handed.files if handed else {}
    files = {path: base64.b64encode(each).decode() for path, each in contents.items()}
    return json.dumps({"schema": REQUEST_SCHEMA, "app": app, "files": files, **fields}).encode()


def drain(app: str, peer: str, lease_s: float) -> bytes:
    """A request to a load balancer's switch: no new requests to `peer` for `lease_s` seconds."""
    data = {"schema": DRAIN_SCHEMA, "app": app, "peer": peer, "lease_s": lease_s}
    return json.dumps(data).encode()


def restarts(changed: Iterable[str]) -> bool:
    """Whether a change of these tree paths may start the app's server anew.

    >>> restarts(["nginx/shop.conf", "gunicorn/gunicorn.conf.py"]), restarts(["systemd/a.service"])
    (False, True)
    """
    return any(path.partition("/")[0] in RESTARTING for path in changed)


def peer_of(peers: Iterable[str], *names: str | None) -> str | None:
    """The peer that a host is, by its names or addresses; null where it is none of them.

    >>> peer_of(["10.0.0.11:8080", "web2:8080"], "web2", None)
    'web2:8080'
    """
    known = {name for name in names if name}
    return next((peer for peer in peers if peer.rpartition(":")[0].strip("[]") in known), None)


def nobodys_peer(*names: str | None) -> str:
    """What is said of a host whose server starts anew while load balancers go on sending to it.

    >>> nobodys_peer(None, "10.0.0.11", "web1")
    'no load balancer knows this host by 10.0.0.11 or web1: it is not drained; set advisor_peer'
    """
    known = " or ".join(dict.fromkeys(name for name in names if name))
    return f"no load balancer knows this host by {known}: it is not drained; set advisor_peer"
