from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.render import render
from advisor.render.kit.launch import launch
from advisor.render.kit.systemd import SETTINGS, SYSTEMD
from advisor.render.kit.systemd_lines import BACKLOG, LIMITS, LOCKS, QUOTA
from advisor.render.values import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]
    Unit = list[tuple[str, str, str]]

SERVICE = "systemd/shop.service"
SOCKET = "systemd/shop.socket"
SYSUSERS = "systemd/sysusers.conf"
TMPFILES = "systemd/tmpfiles.conf"
VALUES: dict[str, Any] = {
    "systemd.timeout_start_sec": 120,
    "systemd.timeout_stop_sec": 41,
    "systemd.restart_sec": 3,
    "systemd.oom_policy": "continue",
    "systemd.limit_nofile": 16384,
    "systemd.tasks_max": 512,
    "systemd.memory_high": 209715200,
    "systemd.memory_max": 262144000,
    "systemd.cpu_weight": 100,
    "systemd.cpu_quota": 150,
    "systemd.socket_backlog": 1024,
    "systemd.memory_deny_write_execute": True,
    "systemd.proc_subset": "pid",
}
WORKERS = {
    "manage": ["server", "proxy", "systemd", "workers"],
    "background.celery": {"app": "shop.tasks:app", "kind": "cpu"},
}


def texts(rec: Recommendation) -> dict[str, str]:
    """The files of systemd's own folder, by path."""
    return {
        file.path: file.content.decode() for file in render(rec) if file.path.startswith("systemd/")
    }


def parsed(text: str) -> Unit:
    """Section, key and value of each line, as systemd reads them: what is no comment."""
    lines: Unit = []
    section = ""
    for line in text.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        lines.append((section, key, value))
    return lines


def values(text: str, key: str) -> list[str]:
    return [value for _, name, value in parsed(text) if name == key]


def sections(text: str, key: str) -> set[str]:
    return {section for section, name, _ in parsed(text) if name == key}


def test_the_component_writes_all_settings_of_its_rules() -> None:
    assert set(SETTINGS) == set(VALUES)
    assert set(SYSTEMD.settings) == set(SETTINGS)


@pytest.mark.parametrize("limit", [*LIMITS, QUOTA, *LOCKS])
def test_a_setting_stands_in_the_service_under_its_reason(make: Make, limit: Any) -> None:
    service = texts(make(settings=VALUES))[SERVICE]
    value = {True: "yes"}.get(VALUES[limit.id], VALUES[limit.id])
    line = f"{limit.name}={value}{limit.suffix}"
    lines = service.split("\n")
    assert lines[lines.index(line) - 1].startswith("# ")
    assert sections(service, limit.name) == {"Service"}


def test_the_backlog_stands_in_the_socket_under_its_reason(make: Make) -> None:
    rec = make(settings=VALUES, why={"systemd.socket_backlog": "because of B"})
    assert f"# because of B\n{BACKLOG.name}=1024\n" in texts(rec)[SOCKET]


def test_a_null_setting_leaves_the_products_default(make: Make) -> None:
    rendered = texts(make(settings=dict.fromkeys(VALUES)))
    keys = {key for _, key, _ in parsed(rendered[SERVICE]) + parsed(rendered[SOCKET])}
    assert not keys & {limit.name for limit in (*LIMITS, QUOTA, BACKLOG, *LOCKS)}


def test_what_stays_open_is_named_with_its_cost_and_its_pin(make: Make) -> None:
    service = texts(make())[SERVICE]
    assert "# MemoryDenyWriteExecute is left out" in service
    assert "# ProcSubset is left out" in service
    assert "# The network is open" in service
    assert service.count("Cost:") == 3
    locked = texts(make(settings=VALUES))[SERVICE]
    assert "is left out" not in locked
    assert values(locked, "MemoryDenyWriteExecute") == ["yes"]


@pytest.mark.parametrize(
    ("version", "absent", "present"),
    [
        ("238", ["PrivateMounts", "ProtectProc"], ["LockPersonality", "MemoryMax"]),
        ("241", ["ProtectHostname", "ProtectClock", "OOMPolicy"], ["PrivateMounts"]),
        ("245", ["ProtectProc", "ProcSubset"], ["ProtectClock", "OOMPolicy"]),
        ("252", [], ["ProtectProc", "ProcSubset", "OOMPolicy", "MemoryDenyWriteExecute"]),
        ("257", [], ["ProtectProc"]),
    ],
)
def test_what_the_targets_systemd_lacks_is_left_out_with_the_reason(
    make: Make, version: str, absent: list[str], present: list[str]
) -> None:
    service = texts(make(settings=VALUES, components={"systemd": version}))[SERVICE]
    for name in absent:
        assert values(service, name) == []
        assert re.search(
            rf"^# {name} is left out: it needs systemd \d+; the target's version is {version}\.$",
            service,
            re.MULTILINE,
        )
    for name in present:
        assert values(service, name), name


def test_a_systemd_without_the_allow_list_denies_instead(make: Make) -> None:
    service = texts(make(components={"systemd": "238"}))[SERVICE]
    assert values(service, "SystemCallFilter") == ["~@privileged @resources"]
    assert "# SystemCallFilter=@system-service is left out" in service


def test_an_unknown_systemd_keeps_the_sandbox_and_says_so(make: Make) -> None:
    known = texts(make())[SERVICE]
    unknown = texts(make(components={"systemd": "absent"}))[SERVICE]
    assert parsed(unknown) == parsed(known)
    assert "# The target's systemd is not known: this is written for 239 or later." in unknown


@pytest.mark.parametrize(("version", "type_"), [("252", "exec"), ("239", "simple")])
def test_type_exec_is_gated(make: Make, version: str, type_: str) -> None:
    rec = make(intent={"server": "uvicorn"}, components={"systemd": version})
    assert values(texts(rec)[SERVICE], "Type") == [type_]


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "hypercorn", "granian"])
@pytest.mark.parametrize("listen", ["unix", "127.0.0.1:8000", "[::1]:8000"])
def test_each_server_is_started_as_its_launch_says(make: Make, server: str, listen: str) -> None:
    rec = make(intent={"server": server, "listen": listen})
    started = launch(inputs_of(rec))
    rendered = texts(rec)
    service = rendered[SERVICE]
    assert values(service, "ExecStart") == [" ".join(started.command)]
    assert values(service, "Type") == [started.type]
    assert values(service, "NotifyAccess") == (["main"] if started.type == "notify" else [])
    signals = [line for line in values(service, "ExecReload") if "kill" in line]
    wanted = started.reload_signal
    assert signals == ([f"/bin/kill -s {wanted} $MAINPID"] if wanted else [])
    assert (SOCKET in rendered) is started.takes_socket
    assert values(service, "Requires") == (["shop.socket"] if started.takes_socket else [])


def test_gunicorn_gets_a_signal_only_for_what_loads(make: Make) -> None:
    reloads = values(texts(make())[SERVICE], "ExecReload")
    config = "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py"
    assert reloads[0].startswith(f"/srv/shop/venv/bin/gunicorn --check-config -c {config}")
    assert reloads[1] == "/bin/kill -s HUP $MAINPID"


def test_the_apps_own_environment_comes_last(make: Make) -> None:
    rec = make(intent={"server": "uvicorn"})
    files = values(texts(rec)[SERVICE], "EnvironmentFile")
    assert files[0] == "/etc/advisor/current/shop/uvicorn/uvicorn.env"
    assert files[-1] == "/etc/shop/env"
    ours = [file for file in files if file.endswith("environment/app.env")]
    assert all(file.startswith("-/etc/advisor/current/shop/") for file in ours)


@pytest.mark.parametrize(
    ("intent", "lines"),
    [
        ({}, {"SocketGroup": ["www-data"], "SocketMode": ["0660"], "SocketUser": []}),
        ({"proxy": "caddy"}, {"SocketGroup": ["caddy"], "SocketMode": ["0660"], "SocketUser": []}),
        ({"proxy": "none"}, {"SocketGroup": [], "SocketMode": ["0660"], "SocketUser": ["shop"]}),
        ({"listen": "127.0.0.1:8000"}, {"SocketGroup": [], "SocketMode": [], "FreeBind": []}),
        ({"listen": "[::]:8000"}, {"SocketMode": [], "FreeBind": []}),
        ({"listen": "10.0.0.5:8000"}, {"SocketMode": [], "FreeBind": ["yes"]}),
        ({"listen": "[fd00::5]:8000"}, {"FreeBind": ["yes"]}),
    ],
)
def test_who_opens_the_socket_and_where(
    make: Make, intent: dict[str, Any], lines: dict[str, list[str]]
) -> None:
    socket = texts(make(intent=intent))[SOCKET]
    assert {key: values(socket, key) for key in lines} == lines


def test_a_server_that_opens_its_own_socket_has_a_folder_for_it(make: Make) -> None:
    rendered = texts(make(intent={"server": "granian"}))
    service = rendered[SERVICE]
    assert "/run/shop" in values(service, "ReadWritePaths")
    assert values(service, "ExecStartPre") == ["/bin/rm -f /run/shop/shop.sock"]
    assert "d /run/shop 2750 shop www-data -" in rendered[TMPFILES].split("\n")
    assert "clients fail while it restarts" in service


def test_that_folder_is_the_users_alone_where_there_is_no_proxy(make: Make) -> None:
    rendered = texts(make(intent={"server": "granian", "proxy": "none"}))
    assert "d /run/shop 0700 shop shop -" in rendered[TMPFILES].split("\n")


def test_the_unit_has_the_name_that_it_is_given(make: Make) -> None:
    rec = make(intent={"systemd.mode": "unit", "systemd.unit": "Web_1@eu.service"})
    rendered = texts(rec)
    assert {"systemd/Web_1@eu.service", "systemd/Web_1@eu.socket"} <= set(rendered)
    assert values(rendered["systemd/Web_1@eu.service"], "Requires") == ["Web_1@eu.socket"]
    targets = {file.output.target for file in render(rec) if file.output}
    assert "/etc/systemd/system/Web_1@eu.socket" in targets


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"intent": {"systemd.mode": "unit", "systemd.unit": "web@.service"}}, "systemd.unit"),
        ({"intent": {"app.user": "u" * 32}}, "app.user"),
    ],
)
def test_what_systemd_could_not_start_is_refused(
    make: Make, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(named)):
        render(make(**changes))


def test_a_slice_holds_service_and_workers_and_the_quota_of_both(make: Make) -> None:
    rendered = texts(make(intent=WORKERS, settings=VALUES))
    slice_ = rendered["systemd/system-shop.slice"]
    assert parsed(slice_)[-1] == ("Slice", "CPUQuota", "150%")
    assert values(rendered[SERVICE], "Slice") == ["system-shop.slice"]
    assert values(rendered[SERVICE], "CPUQuota") == []
    assert values(rendered[SERVICE], "CPUWeight") == ["100"]


@pytest.mark.parametrize(
    "intent",
    [
        {
            "manage": ["server", "proxy", "systemd"],
            "background.celery": WORKERS["background.celery"],
        },
        {"manage": ["systemd", "workers"]},
    ],
)
def test_there_is_no_slice_without_workers_of_ours(make: Make, intent: dict[str, Any]) -> None:
    rendered = texts(make(intent=intent, settings=VALUES))
    assert not [path for path in rendered if path.endswith(".slice")]
    assert values(rendered[SERVICE], "Slice") == []


def test_a_dash_leads_into_no_other_slice(make: Make) -> None:
    rec = make(intent=WORKERS | {"app.name": "wait-page"}, app={"name": "wait-page"})
    assert "systemd/system-wait__page.slice" in texts(rec)


def test_the_app_gets_a_system_user_of_its_own_name(make: Make) -> None:
    lines = [line for line in texts(make())[SYSUSERS].split("\n") if line and line[0] != "#"]
    assert [shlex.split(line) for line in lines] == [["u", "shop", "-", "shop, a web app"]]


def test_somebody_elses_user_is_not_made(make: Make) -> None:
    assert SYSUSERS not in texts(make(intent={"app.user": "ann"}))


def test_folders_that_are_there_keep_their_owner(make: Make) -> None:
    rec = make(
        intent={"app.writable": ["/srv/shop/up", "/srv/shop/db"], "static": {"/up": "/srv/shop/up"}}
    )
    lines = texts(rec)[TMPFILES].split("\n")
    assert "d /srv/shop/up :0755 :shop :shop -" in lines
    assert "d /srv/shop/db :0750 :shop :shop -" in lines
    theirs = texts(make(intent={"app.user": "ann"}))[TMPFILES].split("\n")
    assert "d /srv/shop/uploads :0750 :ann - -" in theirs


def test_without_anything_to_make_there_is_no_file(make: Make) -> None:
    assert TMPFILES not in texts(make(intent={"app.writable": None}))


@pytest.mark.parametrize("version", ["251", "absent"])
def test_a_tmpfiles_that_would_change_owners_makes_nothing(make: Make, version: str) -> None:
    rendered = texts(make(components={"systemd": version}))
    assert TMPFILES not in rendered
    assert "# The folders of app.writable have to be there before" in rendered[SERVICE]


def test_an_app_under_tmp_can_still_write_temporary_files(make: Make) -> None:
    service = texts(make(intent={"app.virtualenv": "/tmp/venv"}))[SERVICE]
    assert values(service, "PrivateTmp") == []
    assert "/tmp /var/tmp" in values(service, "ReadWritePaths")
    assert "Cost: it shares /tmp" in service


@pytest.mark.parametrize(
    ("intent", "may"),
    [
        ({"server": "granian", "listen": "0.0.0.0:80"}, True),
        ({"server": "granian", "listen": "0.0.0.0:8080"}, False),
        ({"server": "gunicorn", "listen": "0.0.0.0:80"}, False),
    ],
)
def test_only_who_opens_a_low_port_itself_may(
    make: Make, intent: dict[str, Any], may: bool
) -> None:
    service = texts(make(intent=intent))[SERVICE]
    words = ["CAP_NET_BIND_SERVICE" if may else ""]
    assert values(service, "CapabilityBoundingSet") == words
    assert values(service, "AmbientCapabilities") == words
    assert values(service, "PrivateUsers") == ([] if may else ["yes"])


# What the allow-lists of advisor.yml let through, where units are made of it.
segment = st.from_regex(r"\A[A-Za-z0-9._~@+-]{1,12}\Z").filter(lambda part: part not in {".", ".."})
folder = st.lists(segment, min_size=1, max_size=3).map(lambda parts: "/srv/" + "/".join(parts))
name = st.from_regex(r"\A[a-z][a-z0-9]{0,8}([-_][a-z0-9]{1,8}){0,2}\Z")
unit = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.@-]{0,12}[A-Za-z0-9]\Z")


def shape(rendered: dict[str, str]) -> list[list[tuple[str, str, int]]]:
    """Each file's keys in their sections, with the number of words that each line has."""
    return [
        [(section, key, value.count(" ")) for section, key, value in parsed(text)]
        if path.rpartition(".")[2] in {"service", "socket", "slice"}
        or path.endswith("/advisor.conf")
        else [
            (line[0], "", len(shlex.split(line)))
            for line in text.split("\n")
            if line[:2] != "# " and line
        ]
        for path, text in rendered.items()
    ]


@pytest.mark.parametrize("mode", ["unit", "dropin"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=name,
    user=st.from_regex(r"\A[a-z_][a-z0-9_-]{0,29}\Z"),
    unit=unit,
    directory=folder,
    writable=folder,
    value=st.from_regex(r"\A[A-Za-z0-9._~@+/:,=-]{0,40}\Z"),
)
def test_any_accepted_words_leave_the_units_as_they_are(
    make: Make,
    mode: str,
    name: str,
    user: str,
    unit: str,
    directory: str,
    writable: str,
    value: str,
) -> None:
    def rendered(name: str, user: str, unit: str, path: str, writable: str, value: str) -> Any:
        intent = {
            "app.name": name,
            "app.user": user,
            "app.directory": path,
            "app.virtualenv": path,
            "app.writable": [writable],
            "app.environment": {"A": value},
            "app.environment_file": path,
            "systemd.mode": mode,
            "systemd.unit": f"{unit}.service",
            "background.celery": WORKERS["background.celery"],
            "manage": WORKERS["manage"],
        }
        return texts(make(intent=intent, app={"name": name}, settings=VALUES))

    benign = rendered("shop", "shopper", "web", "/srv/shop", "/srv/x", "a")
    assert shape(rendered(name, f"{user}x", unit, directory, writable, value)) == shape(benign)
