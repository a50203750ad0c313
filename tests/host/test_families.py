from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from advisor.host.families import families, upgrades
from advisor.host.processes import Process

GUNICORN = ("/srv/venv/bin/python", "/srv/venv/bin/gunicorn", "shop:app")
UVICORN = ("/srv/venv/bin/python", "/srv/venv/bin/uvicorn", "shop:app", "--workers", "2")
SPAWN = ("/srv/venv/bin/python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()")
HYPERCORN = ("/srv/venv/bin/python", "/srv/venv/bin/hypercorn", "shop:app")
GRANIAN = ("/srv/venv/bin/python", "/srv/venv/bin/granian", "shop:app")
TRACKER = ("/srv/venv/bin/python", "-c", "from multiprocessing.resource_tracker import main")
SHELL = ("/bin/sh", "-c", "gunicorn shop:app")


def table(*rows: tuple[int, int, tuple[str, ...]]) -> dict[int, Process]:
    return {pid: Process(pid, parent, "python", argv, 1000) for pid, parent, argv in rows}


def shape(processes: dict[int, Process]) -> dict[int, list[int]]:
    return {
        family.master.pid: [child.pid for child in family.children]
        for family in families(processes)
    }


def test_gunicorns_children_are_its_workers() -> None:
    rows = table((10, 1, SHELL), (11, 10, GUNICORN), (12, 11, GUNICORN), (13, 11, GUNICORN))
    assert shape(rows) == {11: [12, 13]}


def test_what_a_worker_forks_is_no_worker_and_no_server() -> None:
    rows = table((11, 1, GUNICORN), (12, 11, GUNICORN), (13, 12, GUNICORN), (14, 11, SHELL))
    assert shape(rows) == {11: [12]}


def test_titled_gunicorns() -> None:
    rows = table((11, 1, ("gunicorn: master [shop:app]",)), (12, 11, ("gunicorn: worker [x:y]",)))
    assert shape(rows) == {11: [12]}


def test_uvicorns_children_without_the_resource_tracker() -> None:
    rows = table((11, 1, UVICORN), (12, 11, TRACKER), (13, 11, SPAWN), (14, 11, SPAWN))
    assert shape(rows) == {11: [13, 14]}


def test_what_a_preloaded_app_spawns_is_no_worker_of_gunicorn() -> None:
    rows = table((11, 1, GUNICORN), (12, 11, GUNICORN), (13, 11, SPAWN))
    assert shape(rows) == {11: [12]}


def test_two_servers_and_a_pool_of_somebody_else() -> None:
    rows = table((11, 1, GUNICORN), (12, 11, GUNICORN), (13, 1, UVICORN), (14, 1, SPAWN))
    assert shape(rows) == {11: [12], 13: []}


def test_hypercorns_workers_are_what_multiprocessing_started() -> None:
    rows = table((11, 1, HYPERCORN), (12, 11, TRACKER), (13, 11, SPAWN), (14, 13, SPAWN))
    assert shape(rows) == {11: [13]}


def test_granians_workers_are_forks_of_it_or_spawned() -> None:
    assert shape(table((11, 1, GRANIAN), (12, 11, GRANIAN), (13, 12, GRANIAN))) == {11: [12]}
    assert shape(table((11, 1, GRANIAN), (12, 11, SPAWN), (13, 11, TRACKER))) == {11: [12]}
    titles = [
        ("granian asgi 127.0.0.1:80 shop:app",),
        ("granian asgi 127.0.0.1:80 shop:app worker-1",),
    ]
    assert shape(table((11, 1, titles[0]), (12, 11, titles[1]))) == {11: [12]}


def test_the_new_master_of_an_upgrade_is_no_worker() -> None:
    rows = table((11, 1, GUNICORN), (12, 11, GUNICORN), (13, 11, GUNICORN), (14, 13, GUNICORN))
    assert upgrades(rows) == [13]
    found = families(rows, masters={13})
    assert {family.master.pid: [child.pid for child in family.children] for family in found} == {
        11: [12],
        13: [14],
    }


@given(
    st.dictionaries(
        st.integers(2, 40),
        st.tuples(
            st.integers(1, 40),
            st.sampled_from([GUNICORN, UVICORN, GRANIAN, HYPERCORN, SPAWN, TRACKER, ()]),
        ),
    )
)
def test_no_process_is_in_two_families(rows: dict[int, tuple[int, tuple[str, ...]]]) -> None:
    found = shape(table(*((pid, parent, argv) for pid, (parent, argv) in rows.items())))
    members = [pid for master, children in found.items() for pid in (master, *children)]
    assert len(members) == len(set(members))
