"""For any advisor.yml that is accepted, the files say what they say for harmless names.

Two intents are rendered: one of harmless words such as `qz3x`, and the same one with each of
those exchanged for any word that the allow-lists let through. Read back by their grammars, the
two have the same tree once the harmless words are exchanged too: no word was read as syntax, none
was cut, and none decided what else stands in a file.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Component, Facts
from advisor.errors import InvalidInput
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.render import render
from advisor.render.checks.result import find_program
from advisor.render.kit.nginx_listen import variables
from tests.render.trees import trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from advisor.render import File

FACTS = files.read(Facts, Path(__file__).parents[1] / "examples" / "facts.json")
# What is known of a target decides what stands in its files: an old one, a new one, and no word.
COMPONENTS: dict[str, dict[str, str]] = {
    "old": {
        "gunicorn": "20.1.0",
        "nginx": "1.22.1",
        "openssl": "3.0.17",
        "systemd": "252",
        "caddy": "2.6.2",
        "redis": "7.0.15",
        "granian": "2.6.0",
        "uvicorn": "0.30.0",
        "hypercorn": "0.17.3",
    },
    "new": {
        "gunicorn": "27.0.1",
        "nginx": "1.29.8",
        "openssl": "3.5.1",
        "systemd": "257",
        "caddy": "2.11.7",
        "redis": "8.0.2",
        "granian": "2.8.7",
        "uvicorn": "0.54.0",
        "hypercorn": "0.18.0",
    },
    "unknown": {},
}
# Words from patterns, and two renderings, take their time; shrinking would take minutes.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
MODULES = {"nginx": ["http_ssl", "http_v2", "http_v3", "brotli"]}

IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]{0,12}"
# Every kind of word of advisor.yml, as wide as its allow-list.
WORDS = {
    "name": r"[a-z][a-z0-9]{0,9}(?:[-_][a-z0-9]{1,9}){0,2}",
    "user": r"[a-z_][a-z0-9_-]{0,30}",
    "identifier": IDENTIFIER,
    "label": r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?",
    "segment": r"[A-Za-z0-9._~@+-]{1,16}",
    "unit": r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,20}",
    "variable": r"[A-Z_][A-Z0-9_]{0,20}",
    "value": r"[A-Za-z0-9._~@+/:,=-]{1,30}",
}
# Words that mean something of their own to the kit, or to the host; and the harmless ones.
TAKEN = re.compile(
    r"\.{1,2}|root|www-data|caddy|nginx|redis|nobody|default|system.*|advisor.*|.*[wa]sgi.*|.*qz.*|"
    r"\.well-known|WEB_CONCURRENCY|GUNICORN.*|UVICORN.*|GRANIAN.*|HYPERCORN.*|PATH|PYTHON.*",
    re.IGNORECASE | re.DOTALL,
)
HARMLESS = re.compile(r"qz\d+x", re.IGNORECASE)


@dataclass
class Words:
    """Hands out harmless words, and remembers what each stands for."""

    draw: st.DrawFn
    stand_for: dict[str, str] = field(default_factory=dict)
    urls: list[str] = field(default_factory=lambda: [""])
    hosts: int = 0

    def one(self, kind: str) -> str:
        taken = {_folded(word) for word in self.stand_for.values()}
        word = self.draw(
            st.from_regex(re.compile(WORDS[kind], re.ASCII), fullmatch=True).filter(
                lambda word: not TAKEN.fullmatch(word) and _folded(word) not in taken
            )
        )
        harmless = f"qz{len(self.stand_for)}x"
        harmless = harmless.upper() if kind == "variable" else harmless
        self.stand_for[harmless] = word
        return harmless

    def path(self, root: str = "") -> str:
        depth = self.draw(st.integers(1, 3))
        slash = self.draw(st.sampled_from(["", "/"]))
        return root + "".join(f"/{self.one('segment')}" for _ in range(depth)) + slash

    def url(self) -> str:
        """A path of its own, or below one that was handed out."""
        self.urls.append(self.path(self.draw(st.sampled_from(self.urls)).rstrip("/")))
        return self.urls[-1]

    def host(self) -> str:
        self.hosts += 1
        number = self.hosts
        hosts = [f"10.0.0.{number}", f"[fd00::{number}]", f"{self.one('label')}.example"]
        return f"{self.draw(st.sampled_from(hosts))}:{self.draw(st.integers(1, 65535))}"

    def socket(self) -> str:
        return "unix:" + self.path("/run").rstrip("/")

    def folder(self) -> str:
        return self.path(self.draw(st.sampled_from(["/srv", "/home", "/tmp", "/opt/x"])))

    def module(self) -> str:
        packages = ".".join(self.one("identifier") for _ in range(self.draw(st.integers(1, 3))))
        return f"{packages}:{self.one('identifier')}{self.draw(st.sampled_from(['', '()']))}"

    def domain(self) -> str:
        labels = [self.one("label") for _ in range(self.draw(st.integers(1, 3)))]
        return ".".join([*self.draw(st.sampled_from([[], ["*"]])), *labels])

    def some(self, make: Callable[[], Any], most: int = 3) -> list[Any]:
        return [make() for _ in range(self.draw(st.integers(1, most)))]


def _folded(word: str) -> str:
    """Two apps may not have names that are told apart by - and _ alone; nor may two words here."""
    return re.sub(r"[-_]+", "_", word.lower())


def mapped(data: Any, change: Callable[[str], str]) -> Any:
    """The same with every text changed, keys too."""
    match data:
        case str():
            return change(data)
        case dict():
            return {mapped(key, change): mapped(value, change) for key, value in data.items()}
        case list():
            return [mapped(value, change) for value in data]
        case _:
            return data


def exchanged(data: Any, words: dict[str, str]) -> Any:
    """The same with each harmless word exchanged for what it stands for."""
    return mapped(
        data, lambda text: HARMLESS.sub(lambda match: words.get(match[0], match[0]), text)
    )


def comparable(tree: Any) -> Any:
    """Without what no daemon minds: siblings' order, - for _ in names made of others, digests."""
    match tree:
        case str() if tree.startswith("@"):
            # A Caddy matcher's name is made of its path's letters and digits.
            return re.sub(r"[^A-Za-z0-9]+", "_", tree)
        case str():
            text = re.sub(r"\binputs [0-9a-f]{12}\b", "inputs", tree)
            return re.sub(r"(?:\\x2d|[-_])+", "_", text)
        case dict():
            return sorted(
                ([comparable(key), comparable(value)] for key, value in tree.items()), key=repr
            )
        case list():
            return sorted((comparable(value) for value in tree), key=repr)
        case _:
            return tree


def branches(tree: Any, above: str = "") -> Iterator[str]:
    """Each leaf with all that it hangs on, in words."""
    match tree:
        case list() if tree:
            # A directive or key comes first, and names what follows it.
            named = isinstance(tree[0], str)
            for child in tree[named:]:
                yield from branches(child, f"{above} / {tree[0]}" if named else above)
        case dict():
            for key, value in tree.items():
                yield from branches(value, f"{above} / {key}")
        case _:
            yield f"{above} = {tree!r}"


def unlike(said: Any, wanted: Any) -> list[str]:
    """Where two trees differ; where they are the same, nothing."""
    if comparable(said) == comparable(wanted):
        return []
    one, other = (set(map(comparable, branches(tree))) for tree in (said, wanted))
    return [
        *(f"+ {line}" for line in sorted(one - other)),
        *(f"- {line}" for line in sorted(other - one)),
    ] or ["otherwise nested"]


def app(words: Words) -> dict[str, Any]:
    optional: dict[str, Callable[[], Any]] = {
        "directory": words.folder,
        "virtualenv": words.folder,
        "user": lambda: words.one("user"),
        "health": words.url,
        "environment": lambda: {
            name: words.one("value") for name in words.some(lambda: words.one("variable"))
        },
        "environment_file": lambda: words.path("/etc"),
        "writable": lambda: words.some(words.folder),
    }
    chosen = words.draw(st.sets(st.sampled_from(sorted(optional))))
    return {
        "name": words.one("name"),
        "module": words.module(),
        "interface": words.draw(st.sampled_from(["asgi", "wsgi"])),
    } | {key: optional[key]() for key in sorted(chosen)}


def routes(words: Words) -> dict[str, Any]:
    kinds = st.sampled_from(["websocket", "stream", {"microcache": "1s"}, {"microcache": "90s"}])
    return {path: words.draw(kinds) for path in words.some(words.url)}


def tls(words: Words) -> dict[str, Any]:
    if words.draw(st.booleans()):
        return {"acme": True}
    return {"certificate": words.path("/etc/ssl"), "key": words.path("/etc/ssl")}


def systemd(words: Words) -> dict[str, Any]:
    if words.draw(st.booleans()):
        return {"mode": "unit"}
    return {"mode": "dropin", "unit": f"{words.one('unit')}.service"}


SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian")
SIZES = st.sampled_from([65536, "10M", "1.5G"])
RATES = st.one_of(st.integers(1, 10_000), st.floats(0.1, 1000))
PINS = st.fixed_dictionaries(
    {},
    optional={
        "nginx.http3": st.booleans(),
        "nginx.http3_reuseport": st.booleans(),
        "nginx.set_real_ip_from": st.just(["10.0.0.0/8", "fd00::/8"]),
        "nginx.real_ip_header": st.sampled_from(["X-Forwarded-For", "X-Real-IP"]),
        "nginx.microcache_key": st.just("$scheme$request_method$host$request_uri"),
        "nginx.microcache_bypass": st.just(["$http_authorization", "$cookie_session"]),
        "caddy.http3": st.booleans(),
        "caddy.trusted_proxies": st.just(["10.0.0.0/8", "fd00::/8"]),
        "caddy.static_cache_control": st.just("public, max-age=60"),
        "caddy.microcache_bypass": st.just(["Authorization", "X-Preview"]),
        "systemd.memory_deny_write_execute": st.booleans(),
        "nginx.proxy_buffering": st.booleans(),
    },
)
MANAGED = st.lists(
    st.sampled_from(
        [
            *("server", "proxy", "systemd"),
            *("default-server", "sysctl", "redis", "workers", "monitoring"),
        ]
    ),
    unique=True,
)
# A strategy for every key of advisor.yml; a test holds that none is missing.
KEYS: dict[str, Callable[[Words], Any]] = {
    "server": lambda words: words.draw(st.sampled_from(SERVERS)),
    "listen": lambda words: words.draw(st.sampled_from(["unix", "0.0.0.0:8000", "[::1]:8001"])),
    "proxy": lambda words: words.draw(st.sampled_from(["nginx", "caddy", "none"])),
    "domain": Words.domain,
    "tls": tls,
    "static": lambda words: {path: words.folder() for path in words.some(words.url)},
    "routes": routes,
    "targets": lambda words: words.draw(
        st.fixed_dictionaries({}, optional={"concurrency": st.integers(1, 2000), "rate_rps": RATES})
    ),
    "budget": lambda words: words.draw(
        st.fixed_dictionaries({}, optional={"memory": st.just("2G"), "cpus": st.integers(1, 8)})
    ),
    "database": lambda words: {"max_connections": words.draw(st.integers(200, 500))},
    "redis": lambda words: {"role": words.draw(st.sampled_from(["cache", "broker", "store"]))},
    "background": lambda words: {
        "celery": {"app": words.module().removesuffix("()"), "kind": "io"},
        "rq": {"queues": words.some(lambda: words.one("name")), "kind": "cpu"},
    },
    "limits": lambda words: words.draw(
        st.fixed_dictionaries(
            {}, optional={"request_body": SIZES, "rate_per_client_rps": st.integers(1, 500)}
        )
    ),
    "hosts": lambda words: words.some(
        words.draw(st.sampled_from([words.host, words.socket])), most=4
    ),
    "manage": lambda words: words.draw(MANAGED),
    "systemd": systemd,
    "pins": lambda words: words.draw(PINS),
}


@st.composite
def intents(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, str]]:
    """advisor.yml of harmless words, and what those stand for in the other."""
    words = Words(draw)
    chosen = draw(st.sets(st.sampled_from(sorted(KEYS))))
    data = {"app": app(words)} | {key: KEYS[key](words) for key in sorted(chosen)}
    if data.get("server") in {"uvicorn", "hypercorn"}:
        data["app"]["interface"] = "asgi"
    if data.get("tls") == {"acme": True}:
        data["domain"] = f"{words.one('label')}.example"
    return data, words.stand_for


def rendered(data: dict[str, Any], target: str) -> list[File]:
    intent = files.validate(Intent, data, name="advisor.yml")
    components = {
        name: Component(version=version, modules=MODULES.get(name, []))
        for name, version in COMPONENTS[target].items()
    }
    facts = FACTS.model_copy(update={"components": components, "servers": []})
    return render(recommend(facts, None, intent, server=None))


def read_back(data: dict[str, Any], target: str) -> dict[str, Any] | None:
    """The trees of the files; null where render refuses the combination."""
    try:
        return trees(rendered(data, target))
    except InvalidInput:
        return None


def undigested(text: str) -> str:
    """Without a file's own digest, by which nginx says that it runs it: any word changes that."""
    return re.sub(r"^[0-9a-f]{12}$", "a digest", text)


def test_every_key_of_advisor_yml_is_tried() -> None:
    assert {"app", *KEYS} == set(Intent.model_fields)


@pytest.mark.parametrize("target", COMPONENTS)
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW, phases=UNSHRUNK)
@given(case=intents())
def test_no_accepted_word_changes_what_the_files_say(
    target: str, case: tuple[dict[str, Any], dict[str, str]]
) -> None:
    harmless, words = case
    name = words[harmless["app"]["name"]]
    wanted = read_back(harmless, target)
    said = read_back(exchanged(harmless, words), target)
    # nginx's variables have no hyphens, and their names say which there were.
    said = mapped(said, lambda text: undigested(text).replace(variables(name), name))
    assert unlike(said, mapped(exchanged(wanted, words), undigested)) == []
    # What is refused by whatever name shows little: too many of those fail the test.
    assume(wanted is not None)


@pytest.mark.daemon
@settings(max_examples=12, deadline=None, suppress_health_check=SLOW, phases=UNSHRUNK)
@given(case=intents())
def test_caddy_reads_the_same_of_any_accepted_word(
    not_run: Callable[[str], NoReturn], case: tuple[dict[str, Any], dict[str, str]]
) -> None:
    program = find_program("caddy")
    if program is None:
        not_run("caddy is not installed")
    harmless, words = case
    data = harmless | {"proxy": "caddy", "manage": ["proxy"]}
    assume(read_back(data, "old") is not None)
    said = adapted(program, rendered(exchanged(data, words), "old"))
    wanted = exchanged(adapted(program, rendered(data, "old")), words)
    assert said
    assert unlike(said, wanted) == []


def adapted(program: str, found: list[File]) -> list[Any]:
    """What Caddy makes of each Caddyfile, its imports aside: those are of the target."""
    out = []
    for file in found:
        if file.output is None or file.output.checker != "caddy":
            continue
        lines = file.content.decode().split("\n")
        text = "\n".join(line for line in lines if not line.startswith("import "))
        done = subprocess.run(
            [program, "adapt", "--config", "/dev/stdin", "--adapter", "caddyfile"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        out.append(json.loads(done.stdout))
    return out
