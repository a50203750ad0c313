"""A peer leaves a real balancer for a while, and no request is lost; whatever fails, it is back."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import pytest

from advisor.deploy.switch import disk, drain, leases
from advisor.deploy.switch.commands import Outcome
from advisor.deploy.switch.proxies import NginxProxy
from advisor.render.checks.result import find_program
from tests.deploy.switch.balanced import APP, Balancer, Manager, behind_caddy, behind_nginx
from tests.render.live_caddy.site import VERSIONS, programs
from tests.render.live_common import hosts as app_hosts
from tests.render.live_common.hosts import Host, Load, loaded
from tests.render.live_common.running import until
from tests.render.live_common.streams import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.daemon

BAD = Outcome(1, "", "no such thing")
ALL = {0, 1, 2}


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    with app_hosts.started() as found:
        yield found


@pytest.fixture(scope="module")
def folder() -> Iterator[Callable[[], Path]]:
    """A new folder, its path short enough for a unix socket's."""
    with contextlib.ExitStack() as stack:

        def make() -> Path:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drain-")))
            path.chmod(0o755)
            return path

        yield make


@pytest.fixture(scope="module")
def on_nginx(
    folder: Callable[[], Path], hosts: list[Host], not_run: Callable[[str], NoReturn]
) -> Iterator[Balancer]:
    if find_program("nginx") is None:
        not_run("nginx is not installed")
    with behind_nginx(folder(), hosts) as found:
        yield found


@pytest.fixture(scope="module", params=["nginx", *VERSIONS])
def every(
    request: pytest.FixtureRequest,
    folder: Callable[[], Path],
    hosts: list[Host],
    not_run: Callable[[str], NoReturn],
) -> Iterator[Balancer]:
    """A balancer of each daemon."""
    if request.param == "nginx":
        yield request.getfixturevalue("on_nginx")
        return
    if request.param not in programs():
        not_run(f"Caddy {request.param} is not here: scripts/daemons.sh, or ADVISOR_CADDY")
    if os.geteuid() != 0:
        not_run("Caddy is asked as its own user, which only root can become")
    with behind_caddy(programs()[request.param], folder(), hosts) as found:
        yield found


@pytest.fixture
def balancer(every: Balancer) -> Iterator[Balancer]:
    with every.kept():
        yield every


@pytest.fixture
def nginx(on_nginx: Balancer) -> Iterator[Balancer]:
    with on_nginx.kept():
        yield on_nginx


def reloads(balancer: Balancer) -> int:
    return sum(verb == "reload" for verb, *_ in balancer.manager.done)


def refusal(answer: dict[str, Any]) -> str:
    assert answer["state"] == "refused"
    message: str = answer["reason"]["message"]
    return message


def wrong(balancer: Balancer, load: Load) -> list[str]:
    """What became of requests, but for connections that Caddy cut off.

    Caddy listens anew with each reload (SO_REUSEPORT, caddy#5725), and the kernel resets who waits
    at the old socket. nginx hands its sockets on.
    """
    return load.lost if balancer.kind == "nginx" else [one for one in load.lost if one.isdigit()]


def test_a_drained_peer_gets_nothing_and_no_request_is_lost(balancer: Balancer) -> None:
    until(lambda: balancer.served_by() == ALL, "every host to serve")
    with loaded(balancer) as load:
        answer = balancer.drain(1)
        assert (answer["state"], answer["is_calm"], answer["reason"]) == ("drained", True, None)
        assert 1 not in balancer.served_by()
        assert balancer.drain(2)["state"] == "drained"
        assert balancer.served_by() == {0}
        assert balancer.undrain(1)["state"] == "up"
        until(lambda: balancer.served_by() == ALL - {2}, "the first to be back")
        assert balancer.undrain(2)["state"] == "up"
        assert balancer.is_untouched
        load.goes_on()
    assert wrong(balancer, load) == []
    until(lambda: balancer.served_by() == ALL, "every host to serve")
    assert not balancer.folder.exists()


def test_what_it_was_sent_is_answered_first(balancer: Balancer) -> None:
    """An event stream stands for a long answer: it is open for as long as the test wants."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(balancer.client())
        while True:
            opened = contextlib.ExitStack()
            stream = opened.enter_context(client.stream("GET", "/events"))
            if stream.headers["x-host"] == "1":
                break
            opened.close()
        stack.enter_context(opened)
        assert balancer.drain(1, wait_s=1)["is_calm"] is False
        pool = stack.enter_context(ThreadPoolExecutor(1))
        waits = pool.submit(balancer.drain, 1, wait_s=20)
        httpx.post(f"http://{balancer.hosts[1].name}/emit", params={"text": "late"})
        assert event(stream.iter_lines()) == "data: late"
        assert not waits.done()
        opened.close()
        client.close()
        answer = waits.result()
        assert (answer["state"], answer["is_calm"]) == ("renewed", True)


def test_the_copy_says_what_it_is_and_is_as_readable_as_the_site(balancer: Balancer) -> None:
    assert balancer.drain(0)["state"] == "drained"
    text = balancer.link.read_text()
    assert text.startswith("# Drained for a while by advisor")
    assert text.count(balancer.hosts[0].name) == 2
    assert balancer.link.stat().st_mode & 0o777 == 0o644
    for above in list(balancer.folder.parents)[:2]:
        assert above.stat().st_mode & 0o011 == 0o011


def test_again_renews_the_lease_and_reloads_nothing(nginx: Balancer) -> None:
    nginx.drain(0, lease_s=30)
    before = nginx.leased()[nginx.hosts[0].name]
    reloaded = reloads(nginx)
    assert nginx.drain(0, lease_s=300)["state"] == "renewed"
    after = nginx.leased()[nginx.hosts[0].name]
    assert after.until > before.until + 200
    assert reloads(nginx) == reloaded
    assert [unit for unit, *_ in nginx.timers.started] == [before.unit, after.unit]
    assert ("stop", f"{before.unit}.timer") in nginx.manager.done


def test_the_timers_own_words_end_the_lease_and_not_before(nginx: Balancer) -> None:
    nginx.drain(0)
    nginx.drain(1, lease_s=600)
    (unit, seconds, command), _ = nginx.timers.started
    assert seconds == 60
    assert unit.startswith("advisor-undrain-shop-")
    assert command[1:4] == ["-I", str(nginx.layout.program), "undrain"]
    words = json.loads(Path(command[4]).read_bytes())
    reloaded = reloads(nginx)
    assert drain.undrain(words, nginx.layout, nginx.here)["state"] == "up"
    assert (len(nginx.leased()), reloads(nginx)) == (2, reloaded)
    lasting = nginx.leased()[nginx.hosts[1].name]
    nginx.time_passes()
    leases.write(nginx.folder, {**nginx.leased(), nginx.hosts[1].name: lasting})
    assert drain.undrain(words, nginx.layout, nginx.here)["state"] == "up"
    until(lambda: nginx.served_by() == {0, 2}, "who is over")
    nginx.time_passes()
    assert drain.undrain(words, nginx.layout, nginx.here)["state"] == "up"
    until(lambda: nginx.served_by() == ALL, "every host to serve")
    # A timer that comes late, when the last lease has taken its folder along.
    assert Path(command[4]).exists()
    assert drain.undrain(words, nginx.layout, nginx.here)["state"] == "up"


def test_the_last_peer_stays(nginx: Balancer) -> None:
    assert nginx.drain(0)["state"] == nginx.drain(1)["state"] == "drained"
    assert "no other takes requests" in refusal(nginx.drain(2))
    assert nginx.served_by() == {2}
    assert set(nginx.leased()) == {nginx.hosts[0].name, nginx.hosts[1].name}


def test_nor_does_one_go_when_the_others_do_not_answer(
    folder: Callable[[], Path], on_nginx: Balancer
) -> None:
    alive = on_nginx.hosts[0]
    with app_hosts.started() as mortal:
        hosts = [alive, *mortal[1:]]
        with behind_nginx(folder(), hosts) as balancer:
            mortal[1].end()
            assert balancer.drain(0)["state"] == "drained"
            balancer.undrain(0)
            mortal[2].end()
            assert "none answers" in refusal(balancer.drain(0))
            assert balancer.is_untouched


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"peer": "10.9.9.9:80"}, "shop has no host 10.9.9.9:80"),
        ({"peer": None}, "names no peer"),
        ({"app": "other"}, "no load balancer of other"),
        ({"app": "../shop"}, "none of advisor/drain/1"),
        ({"schema": "advisor/drain/2"}, "none of advisor/drain/1"),
        ({"lease_s": "long"}, "none of advisor/drain/1"),
        ({"lease_s": 1}, "lease_s: 1: from 5 to 3600 seconds"),
        ({"lease_s": float("nan")}, "lease_s"),
        ({"lease_s": 1e9}, "from 5 to 3600"),
    ],
)
def test_what_cannot_be_meant_is_refused(nginx: Balancer, more: dict[str, Any], said: str) -> None:
    assert said in refusal(nginx.drain(0, **more))
    assert not nginx.timers.started
    assert reloads(nginx) == 0


def test_without_a_timer_nothing_is_drained(nginx: Balancer) -> None:
    nginx.timers.outcome = BAD
    answer = nginx.drain(0)
    assert "no timer" in refusal(answer)
    assert answer["reason"]["lines"] == ["no such thing"]
    assert (nginx.is_untouched, nginx.leased(), reloads(nginx)) == (True, {}, 0)


def test_others_edits_are_not_published(nginx: Balancer) -> None:
    conf = nginx.link.with_name("nginx.conf")
    good = conf.read_text()
    try:
        conf.write_text(good + "# half an edit\n")
        assert "edited since nginx last loaded" in refusal(nginx.drain(0))
        conf.write_text(good + "nonsense;\n")
        answer = nginx.drain(0)
        assert "does not pass" in refusal(answer)
        assert "nonsense" in " ".join(answer["reason"]["lines"])
    finally:
        conf.write_text(good)
        os.utime(conf, (1, 1))
    assert (nginx.is_untouched, nginx.timers.started, reloads(nginx)) == (True, [], 0)


def test_a_path_that_somebody_changed_is_left_alone(nginx: Balancer) -> None:
    nginx.link.unlink()
    nginx.link.write_bytes(nginx.installed.read_bytes())
    assert "somebody changed it" in refusal(nginx.drain(0))
    assert not nginx.link.is_symlink()
    disk.replace_link(nginx.link, str(nginx.installed))


def test_nor_is_it_pointed_back_where_it_was_changed_meanwhile(nginx: Balancer) -> None:
    nginx.drain(0)
    nginx.link.unlink()
    nginx.link.write_bytes(nginx.installed.read_bytes())
    assert nginx.undrain(0)["state"] == "up"
    assert not nginx.link.is_symlink()
    assert nginx.leased() == {}
    disk.replace_link(nginx.link, str(nginx.installed))
    nginx.manager.act("reload", "nginx.service")


class Stubborn(NginxProxy):
    """Takes no new files: a fault that no rendered site brings about."""

    def problems(self) -> list[str]:
        return ["[emerg] no"]


def stubborn(real: NginxProxy) -> NginxProxy:
    return Stubborn(real.nginx, real.manager)


def deaf(real: NginxProxy) -> NginxProxy:
    """Its reload is good, and its workers stay."""
    assert isinstance(real.manager, Manager)
    return NginxProxy(real.nginx, Manager(real.manager.pid))


@pytest.mark.parametrize("kind", [stubborn, deaf])
def test_where_the_daemon_keeps_its_old_files_the_path_leads_where_it_led(
    nginx: Balancer, kind: Callable[[NginxProxy], NginxProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advisor.deploy.switch.proxies.TAKES_OVER_S", 0.5)
    real = nginx.here.proxies["nginx"]
    assert isinstance(real, NginxProxy)
    here = replace(nginx.here, proxies={"nginx": kind(real)})
    assert refusal(drain.drain(nginx.ask(0), nginx.layout, here))
    assert nginx.is_untouched
    until(lambda: nginx.served_by() == ALL, "every host to serve")
    # The lease stays, should nginx have read the copy after all.
    assert set(nginx.leased()) == {nginx.hosts[0].name}
    assert refusal(drain.undrain(nginx.ask(0), nginx.layout, here))
    assert set(nginx.leased()) == {nginx.hosts[0].name}
    nginx.time_passes()
    # The lease is over, and there is another timer for as long as the daemon takes no files.
    before = len(nginx.timers.started)
    assert refusal(drain.undrain(nginx.ask(None), nginx.layout, here))
    assert [seconds for _, seconds, _ in nginx.timers.started[before:]] == [drain.RETRY_S]
    assert nginx.undrain(None)["state"] == "up"
    assert nginx.leased() == {}
    ends = {verb_unit[1] for verb_unit in nginx.manager.done if verb_unit[0] == "stop"}
    assert f"{nginx.timers.started[-1][0]}.timer" in ends


class Killed(BaseException):
    """As by SIGKILL: nothing is tidied up."""


@pytest.mark.parametrize("step", range(6))
def test_whoever_dies_in_between_leaves_no_peer_drained(
    nginx: Balancer, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At each write and rename of a drain, and at its reload."""
    steps = iter(range(step + 1))

    def dying(does: Callable[..., Any]) -> Callable[..., Any]:
        def act(*words: Any, **more: Any) -> Any:
            if next(steps) == step:
                raise Killed
            return does(*words, **more)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(disk, "replace", dying(disk.replace))
        patch.setattr(disk, "replace_link", dying(disk.replace_link))
        patch.setattr(nginx.manager, "reload", dying(nginx.manager.reload))
        with pytest.raises(Killed):
            nginx.drain(0)
    assert bool(nginx.timers.started) or nginx.is_untouched
    nginx.time_passes()
    assert nginx.undrain(None)["state"] == "up"
    assert nginx.is_untouched
    assert nginx.leased() == {}
    until(lambda: nginx.served_by() == ALL, "every host to serve")


def test_a_lease_that_ends_while_another_drain_goes_on_is_tried_again(
    nginx: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LOCK_S", 0.1)
    assert nginx.drain(0)["state"] == "drained"
    nginx.time_passes()
    before = len(nginx.timers.started)
    with leases.exclusive(nginx.layout):
        assert "another drain" in refusal(nginx.undrain(None))
    ((unit, seconds, _),) = nginx.timers.started[before:]
    assert seconds > leases.LOCK_S
    assert ("stop", f"{unit}.timer") not in nginx.manager.done
    assert nginx.undrain(None)["state"] == "up"
    assert ("stop", f"{nginx.timers.started[-1][0]}.timer") in nginx.manager.done
    # Nothing is leased, and nothing is to be tried.
    assert nginx.undrain(None)["state"] == "up"
    assert len(nginx.timers.started) == before + 2


def test_a_worker_that_is_shutting_down_is_waited_for(nginx: Balancer) -> None:
    """It has requests to this peer from before another reload: an earlier drain's, or certbot's."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(nginx.client())
        while True:
            opened = contextlib.ExitStack()
            stream = opened.enter_context(client.stream("GET", "/events"))
            if stream.headers["x-host"] == "1":
                break
            opened.close()
        stack.enter_context(opened)
        nginx.here.proxies["nginx"].reload()
        assert nginx.drain(1, wait_s=1)["is_calm"] is False
        opened.close()
        client.close()
        assert nginx.drain(1, wait_s=20)["is_calm"] is True


def test_one_drain_at_a_time(nginx: Balancer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LOCK_S", 0.1)
    with leases.exclusive(nginx.layout):
        assert "another drain" in refusal(nginx.drain(0))
    assert nginx.drain(0)["state"] == "drained"


def test_after_a_boot_the_links_lead_to_what_is_installed(nginx: Balancer) -> None:
    nginx.drain(0)
    shutil.rmtree(nginx.layout.run)
    assert not nginx.link.exists()
    assert drain.restore(nginx.layout) == [f"/etc/nginx/conf.d/{APP}.conf"]
    assert nginx.is_untouched
    assert drain.restore(nginx.layout) == []
    nginx.manager.act("reload", "nginx.service")
    until(lambda: nginx.served_by() == ALL, "every host to serve")
