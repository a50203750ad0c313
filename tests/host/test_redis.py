"""Real Redis servers, and what listens where Redis is expected."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.demo.processes import program
from advisor.documents import Redis
from advisor.errors import AdvisorError
from advisor.host import gather, processes, redis
from advisor.host.processes import Process
from advisor.host.redis import answers, client, places, questions
from advisor.host.sockets import Listener, UnixListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Unknown

SECRET = "hunter2-and-more"  # noqa: S105 - of a server that lives for a test
LOOPBACK = ipaddress.ip_address("127.0.0.1")


class Server:
    """A redis-server of a test."""

    def __init__(self, folder: Path, port: int, *words: str) -> None:
        self.port, self.path = port, folder / "redis.sock"
        command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--unixsocket", str(self.path), "--unixsocketperm", "777"]
        self.process = subprocess.Popen(
            [*command, "--dir", str(folder), *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}" if self.port else f"unix:{self.path}"

    def say(self, *lines: str) -> str:
        """The first bytes of the answer to some inline commands."""
        family = socket.AF_INET if self.port else socket.AF_UNIX
        where: Any = ("127.0.0.1", self.port) if self.port else str(self.path)
        with socket.socket(family, socket.SOCK_STREAM) as peer:
            peer.settimeout(5)
            peer.connect(where)
            answer = ""
            for line in lines:
                peer.sendall(f"{line}\r\n".encode())
                answer = peer.recv(4096).decode()
            return answer

    def wait(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            assert self.process.poll() is None
            try:
                self.say("PING")
            except OSError:
                assert time.monotonic() < deadline, "not up in 20 s"
                time.sleep(0.02)
            else:
                return


@pytest.fixture
def start(
    folder: Path, free_port: Callable[[], int], not_run: Callable[[str], NoReturn]
) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def launch(*words: str, port: int | None = None) -> Server:
        try:
            server = Server(folder, free_port() if port is None else port, *words)
        except AdvisorError:
            not_run("no redis-server")
        running.append(server)
        server.wait()
        return server

    yield launch
    for server in running:
        os.killpg(server.process.pid, signal.SIGKILL)  # with a child that saves
        server.process.wait()


def seen(server: Server) -> tuple[Redis | None, list[Unknown]]:
    """What is found of this server among all that run here."""
    found, unknown = redis.discover()
    own = [item for item in found if item.address == server.address]
    gaps = [entry for entry in unknown if server.address in f"{entry.what} {entry.why}"]
    assert len(own) < 2
    return (own[0] if own else None), gaps


@pytest.mark.daemon
def test_a_server_is_found_and_tells(start: Callable[..., Server]) -> None:
    server = start("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--save", "60 1")
    server.say("SET a 1", "SET b 1 EX 1000", "GET a", "GET a", "GET a", "GET none")
    server.say("SELECT 3", "SET c 1")
    found, gaps = seen(server)
    assert found
    assert gaps == []
    assert found.version
    assert found.version[0].isdigit()
    assert (found.maxmemory_bytes, found.maxmemory_policy) == (64 * 2**20, "allkeys-lru")
    assert (found.keys, found.keys_without_expiry) == (3, 2)
    assert (found.hit_ratio, found.evicted_keys, found.io_threads) == (0.75, 0, 1)
    assert (found.persistence, found.broker_of) == (["rdb"], None)
    assert found.used_bytes
    assert found.peak_bytes
    assert found.peak_bytes >= found.used_bytes > 0


@pytest.mark.daemon
def test_it_is_in_the_facts_and_only_on_the_host_itself(
    start: Callable[..., Server], tree: Callable[[str], Path]
) -> None:
    server = start("--save", "", "--appendonly", "yes")
    assert server.address in {item.address for item in gather().redis}
    found, _ = seen(server)
    assert found
    assert (found.persistence, found.maxmemory_bytes) == (["aof"], 0)
    assert (found.keys, found.hit_ratio) == (0, None)
    assert gather(812, root=tree("v1")).redis == []


@pytest.mark.daemon
def test_a_unix_socket_is_enough(start: Callable[..., Server]) -> None:
    server = start("--save", "", port=0)
    found, gaps = seen(server)
    assert found
    assert (found.address, gaps) == (f"unix:{server.path}", [])


@pytest.mark.daemon
def test_looking_changes_nothing(start: Callable[..., Server]) -> None:
    server = start("--save", "")
    server.say("SET a 1", "LPUSH celery task", "CONFIG RESETSTAT")
    assert seen(server)[0]
    stats = server.say("INFO commandstats")
    asked = {line[8:].partition(":")[0] for line in stats.splitlines() if "cmdstat_" in line}
    questions_only = {"info", "config|get", "select", "scan", "type", "config|resetstat"}
    assert asked <= questions_only | {"client|setinfo"}
    assert asked >= {"info", "scan"}


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("commands", "broker"),
    [
        (["LPUSH celery task"], "celery"),
        (["SET celery vegetable", "SET unacked 1", "SET celery-task-meta-1 x"], None),
        (["SADD _kombu.binding.emails x"], "celery"),
        (["HSET unacked a b"], "celery"),
        (["SADD rq:queues rq:queue:default"], "rq"),
        (["ZADD arq:queue 1 job"], "arq"),
        (["LPUSH dramatiq:default x"], "dramatiq"),
        (["LPUSH huey.redis.shop x"], "huey"),
        (["SELECT 5", "ZADD arq:queue 1 job"], "arq"),
        (["LPUSH celery task", "SADD rq:workers w"], "celery, rq"),
        (["SET carq:queue 1", "SET session:rq:queues 1"], None),
    ],
)
def test_a_broker_is_known_by_its_keys(
    start: Callable[..., Server], commands: list[str], broker: str | None
) -> None:
    server = start("--save", "")
    assert "-" not in server.say(*commands)[:1]
    found, _ = seen(server)
    assert found
    assert found.broker_of == broker


@pytest.mark.daemon
def test_among_many_keys_a_queue_is_asked_for_by_name(start: Callable[..., Server]) -> None:
    server = start("--save", "")
    server.say("""EVAL "for i = 1, 5000 do redis.call('SET', i, 1) end" 0""")
    found, (gap,) = seen(server)
    assert found
    assert found.broker_of is None
    assert "broker" in gap.what
    server.say("SADD _kombu.binding.celery x")
    found, gaps = seen(server)
    assert found
    assert (found.broker_of, gaps) == ("celery", [])


# --- servers that want to know who asks ----------------------------------------------------


@pytest.mark.daemon
def test_a_password_is_asked_for_and_never_shown(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start("--save", "", "--requirepass", SECRET)
    found, (gap,) = seen(server)
    assert found == answers.nothing(server.address)
    assert gap.why == "it wants a password"
    assert "ADVISOR_REDIS_URL" in gap.remedy
    monkeypatch.setenv("ADVISOR_REDIS_URL", f"redis://:{SECRET}@localhost:{server.port}/0")
    facts = gather()
    (told,) = [item for item in facts.redis if item.address == server.address]
    assert told.keys == 0
    assert SECRET not in repr(facts)
    assert SECRET not in repr(places.find())
    monkeypatch.setenv("ADVISOR_REDIS_URL", f"redis://:{SECRET}x@127.0.0.1:{server.port}")
    found, (gap,) = seen(server)
    assert found == answers.nothing(server.address)
    assert gap.why == "the user or password of ADVISOR_REDIS_URL is refused"
    assert SECRET not in repr(gap)


@pytest.mark.daemon
def test_a_password_goes_to_the_place_that_the_url_names_and_to_no_other(
    start: Callable[..., Server],
) -> None:
    server = start("--save", "", "--requirepass", SECRET)
    heard: list[bytes] = []
    with answering(b"-NOAUTH who?\r\n", heard) as other:
        url = f"unix://default:{SECRET}@{server.path}"
        place, _ = places.named(url, [UnixListener(str(server.path), 7)])
        assert place
        questions.examine(places.Place((other,), place.credentials))
        found, gaps = questions.examine(place)
    assert found
    assert (found.keys, gaps) == (0, [])
    assert heard
    assert SECRET.encode() not in b"".join(heard)


@pytest.mark.daemon
def test_the_remedys_acl_is_enough_and_less_is_said_to_be(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start("--save", "60 1")
    server.say(f"ACL SETUSER advisor on >{SECRET} {questions.ACL}")
    server.say("LPUSH celery task")
    server.say("ACL SETUSER default -info")
    found, (gap,) = seen(server)
    assert found == answers.nothing(server.address)
    assert gap.why == "its ACL denies INFO"
    monkeypatch.setenv("ADVISOR_REDIS_URL", f"redis://advisor:{SECRET}@127.0.0.1:{server.port}")
    found, gaps = seen(server)
    assert found
    assert gaps == []
    assert (found.broker_of, found.persistence, found.io_threads) == ("celery", ["rdb"], 1)


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("rule", "what", "why"),
    [
        ("-config", "the snapshots and I/O threads", "its ACL denies CONFIG"),
        ("-scan", "the queues", "its ACL denies SCAN"),
        ("-select", "the queues", "its ACL denies SELECT"),
    ],
)
def test_what_an_acl_denies_is_unknown_and_the_rest_is_told(
    start: Callable[..., Server], rule: str, what: str, why: str
) -> None:
    server = start("--save", "")
    server.say("SET a 1")
    server.say(f"ACL SETUSER default {rule}")
    found, (gap,) = seen(server)
    assert found
    assert (found.keys, found.maxmemory_bytes) == (1, 0)
    assert (gap.what, gap.why) == (f"{what} of Redis at {server.address}", why)
    assert "ACL SETUSER" in gap.remedy


@pytest.mark.daemon
def test_a_renamed_command_is_no_matter_of_an_acl(start: Callable[..., Server]) -> None:
    server = start("--save", "", "--rename-command", "CONFIG", "hidden")
    found, (gap,) = seen(server)
    assert found
    assert found.io_threads is None
    assert gap.why == "it knows no CONFIG"
    assert "rename-command" in gap.remedy


# --- as an ordinary user -------------------------------------------------------------------

LOOK = """
from advisor.host import gather
from advisor import files
print(files.dump(gather(), is_json=True))
"""


@pytest.mark.daemon
def test_an_ordinary_user_reads_the_port_in_the_servers_title(
    start: Callable[..., Server], as_nobody: Callable[[str], str]
) -> None:
    server = start("--save", "")
    server.say("SET a 1")
    facts = json.loads(as_nobody(LOOK))
    (found,) = [item for item in facts["redis"] if item["address"] == server.address]
    assert found["keys"] == 1


@pytest.mark.daemon
def test_an_ordinary_user_who_may_not_connect_is_told_so(
    start: Callable[..., Server], as_nobody: Callable[[str], str]
) -> None:
    server = start("--save", "", port=0)
    server.path.chmod(0o700)
    facts = json.loads(as_nobody(LOOK))
    assert server.address not in {item["address"] for item in facts.get("redis", [])}
    (gap,) = [entry for entry in facts["unknown"] if server.address in entry["what"]]
    assert "may connect" in gap["remedy"]


@pytest.mark.daemon
def test_a_child_that_saves_is_no_server_of_its_own(
    start: Callable[..., Server],
    as_nobody: Callable[[str], str],
    not_run: Callable[[str], NoReturn],
) -> None:
    server = start("--save", "")
    if "OK" not in server.say("SET a 1", "SET b 1", "CONFIG SET rdb-key-save-delay 9000000"):
        not_run("this Redis cannot save slowly")
    assert "started" in server.say("BGSAVE")
    (child,) = [row.pid for row in processes.table().values() if row.parent == server.process.pid]
    facts = json.loads(as_nobody(LOOK))
    assert [item["address"] for item in facts["redis"]].count(server.address) == 1
    assert not any(f"pid {child} " in gap["what"] for gap in facts["unknown"])
    assert seen(server)[1] == []
    assert "rdb_bgsave_in_progress:1" in server.say("INFO persistence")


@pytest.mark.daemon
def test_inspect_as_an_ordinary_user_beside_roots_redis(
    start: Callable[..., Server], as_nobody: Callable[[str], str]
) -> None:
    server = start("--save", "", "--requirepass", SECRET)
    text = as_nobody(
        "import sys\n"
        "from advisor.cli.main import run\n"
        "sys.argv = ['advisor', 'inspect']\n"
        "try:\n    run()\nexcept SystemExit as end:\n    assert not end.code\n"
    )
    words = " ".join(text.split())
    assert f"Redis, {server.address}" in words
    assert f"the state of Redis at {server.address}: it wants a password." in words
    assert SECRET not in text
    assert all(len(line) <= 80 for line in text.splitlines() if "ADVISOR_REDIS_URL" not in line)


# --- what listens where Redis is expected --------------------------------------------------


@contextmanager
def answering(
    payload: bytes, heard: list[bytes] | None = None, *, then: str = "close"
) -> Iterator[Listener]:
    """A listener that gives every peer the same answer, then hangs up, waits or goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                peer, _ = listener.accept()
                with peer:
                    peer.settimeout(5)
                    try:
                        talk(peer)
                    except OSError:
                        continue

        def talk(peer: socket.socket) -> None:
            asked = peer.recv(65536)
            if heard is not None:
                heard.append(asked)
            peer.sendall(payload)
            while then == "endless" and not ended.is_set():
                peer.sendall(payload)
            while then == "trickle" and not ended.wait(0.01):
                peer.sendall(payload[:1])
            if then == "wait":
                ended.wait(5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Listener(LOOPBACK, listener.getsockname()[1], 0, 1)
        ended.set()
        with socket.create_connection(listener.getsockname()):
            pass  # the last peer, for accept() to return
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("payload", "then"),
    [
        (b"", "close"),
        (b"", "wait"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "close"),
        (b"-ERR unknown command\r\n", "endless"),
        (b"+OK\r\n", "endless"),
        (b"x" * 65536, "endless"),
        (b"x", "trickle"),
        (b"$99999999999\r\n", "endless"),
        (b"*99999999999\r\n", "close"),
        (b"*1\r\n" * 5000, "wait"),
        (b"*99999999\r\n" + b":1\r\n" * 1000, "endless"),
        (b"$-7\r\n\r\n", "close"),
        (b":\xff\r\n", "close"),
        (b"*two\r\n", "close"),
        (b"$5\r\nhello\r\n", "endless"),
        (b"$29\r\n# Server\r\nredis_version:\x1b[2J\r\n\r\n", "close"),
    ],
    ids=range(16),
)
def test_what_is_no_redis_is_unknown_and_soon(
    payload: bytes, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_S", 0.4)
    with answering(payload, then=then) as listener:
        found, (gap,) = questions.examine(places.Place((listener,)))
    assert found is None
    assert gap.what == f"whether Redis listens at 127.0.0.1:{listener.port}"
    assert gap.why


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_an_unknown(payload: bytes) -> None:
    with answering(payload) as listener:
        questions.examine(places.Place((listener,)))


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


def test_a_redis_that_turns_strange_keeps_what_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE_S", 0.4)
    info = "redis_version:7.0.0\r\nused_memory:1000\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n"
    ok = b"+OK\r\n" * 2  # to what redis-py says of itself
    with answering(ok + bulk(info) + b"?\r\n", then="wait") as listener:
        found, gaps = questions.examine(places.Place((listener,)))
    assert found
    assert (found.version, found.used_bytes, found.keys) == ("7.0.0", 1000, 1)
    assert [gap.what.partition(" of Redis")[0] for gap in gaps] == [
        "the snapshots and I/O threads",
        "the queues",
    ]


def test_a_server_that_loads_is_asked_again_later() -> None:
    with answering(
        b"-LOADING Redis is loading the dataset in memory\r\n", then="endless"
    ) as listener:
        found, (gap,) = questions.examine(places.Place((listener,)))
    assert found == answers.nothing(f"127.0.0.1:{listener.port}")
    assert gap.why == "it is still loading its data"


# --- places --------------------------------------------------------------------------------


def listener(address: str, port: int, *, inode: int = 1, uid: int = 0) -> Listener:
    return Listener(ipaddress.ip_address(address), port, uid, inode)


def test_a_wildcard_is_reached_on_loopback_and_the_lowest_port_first() -> None:
    held = [
        UnixListener("@abstract", 1),
        UnixListener("/run/redis.sock", 2),
        listener("192.0.2.7", 6379),
        listener("::", 16379),
        listener("0.0.0.0", 6379),
    ]
    reached = places.reachable(held)
    assert [str(item) for item in reached] == [
        "127.0.0.1:6379",
        "[::1]:16379",
        "unix:/run/redis.sock",
    ]


def test_the_usual_port_is_asked_whoever_holds_it() -> None:
    held = [listener("0.0.0.0", 6379, inode=5), listener("127.0.0.1", 6380, inode=6)]
    (place,) = places.usual(held, set())
    assert [str(item) for item in place.sockets] == ["127.0.0.1:6379"]
    assert places.usual(held, {5}) == []
    assert places.usual(held[1:], set()) == []
    assert places.usual([listener("192.0.2.7", 6379)], set()) == []


def test_what_listens_at_the_usual_port_is_found_though_no_redis_process_holds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a container's proxy does."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        monkeypatch.setattr(places, "PORT", port)
        found, _ = places.find()
    assert [f"127.0.0.1:{port}"] in [[str(item) for item in place.sockets] for place in found]


@pytest.mark.parametrize(
    ("title", "found"),
    [
        (("redis-server 127.0.0.1:7000",), ["127.0.0.1:7000"]),
        (("/usr/bin/redis-server *:7000 [cluster]",), ["127.0.0.1:7000"]),
        (("redis-server unixsocket:/run/r.sock",), ["unix:/run/r.sock"]),
        (("redis-server", "--port", "7000"), []),
        (("redis-server 127.0.0.1:7001",), []),
        (("redis-server 127.0.0.1:7002",), []),
        ((), []),
    ],
)
def test_a_title_is_believed_only_for_sockets_of_its_user(
    title: tuple[str, ...], found: list[str]
) -> None:
    process = Process(pid=9, parent=1, name="redis-server", argv=title, uid=105)
    listeners = [
        listener("127.0.0.1", 7000, uid=105),
        listener("127.0.0.1", 7001, uid=1000),
        UnixListener("/run/r.sock", 3),
    ]
    assert [str(item) for item in places.titled(process, listeners)] == found


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("redis://127.0.0.1:7000", "127.0.0.1:7000"),
        ("redis://user:x%40y@localhost:7000/3", "127.0.0.1:7000"),
        ("redis://[::1]:7001", "[::1]:7001"),
        ("unix:///run/r.sock?db=1", "unix:/run/r.sock"),
        ("redis://127.0.0.1:9", None),
        ("redis://192.0.2.7:7000", None),
        ("redis://redis.example:7000", None),
        ("redis://169.254.169.254", None),
        ("rediss://127.0.0.1:7000", None),
        ("http://127.0.0.1:7000", None),
        ("redis://:secret@127.0.0.1:seven", None),
        ("redis://[", None),
        ("secret", None),
    ],
)
def test_a_url_leads_to_a_socket_of_this_host_or_nowhere(url: str, reached: str | None) -> None:
    listeners = [
        listener("0.0.0.0", 7000),
        listener("::", 7001),
        UnixListener("/run/r.sock", 3),
    ]
    place, unknown = places.named(url, listeners)
    assert (str(place.sockets[0]) if place else None) == reached
    assert len(unknown) == (reached is None)
    assert "secret" not in repr(unknown)


@given(st.text())
def test_any_url_is_taken_or_refused(url: str) -> None:
    places.named(url, [listener("127.0.0.1", 6379)])


# --- what the answers mean -----------------------------------------------------------------


@given(st.text(), st.dictionaries(st.sampled_from(["save", "maxmemory", "io-threads"]), st.text()))
def test_any_answer_gives_a_valid_document(text: str, config: dict[str, str]) -> None:
    found = answers.server("127.0.0.1:6379", text, config, None)
    assert Redis.model_validate_json(found.model_dump_json()) == found


@given(
    st.lists(
        st.sampled_from(
            ["redis_version", "used_memory", "maxmemory", "keyspace_hits", "keyspace_misses", "# "]
        ).flatmap(lambda name: st.text().map(lambda value: f"{name}:{value}"))
    )
)
def test_fields_that_make_no_sense_are_null_or_counts(lines: list[str]) -> None:
    answers.server("127.0.0.1:6379", "\r\n".join(lines), {}, None)


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_any_configuration_answer_is_read(answer: object) -> None:
    answers.parse_config(answer)


def test_valkey_and_keydb_tell_their_own() -> None:
    valkey = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n"
    found = answers.server("127.0.0.1:6379", valkey, {"server-threads": "4"}, None)
    assert (found.version, found.io_threads, found.keys) == ("8.0.1", 4, None)


def test_an_append_only_file_is_told_without_the_configuration() -> None:
    found = answers.server("127.0.0.1:6379", "# Persistence\r\naof_enabled:1\r\n", {}, None)
    assert found.persistence == ["aof"]
