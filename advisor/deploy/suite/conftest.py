"""Which hosts and trees, and each check once for each item of each host's tree."""

from __future__ import annotations

import configparser
import inspect
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
import testinfra

from advisor.deploy.suite.connections import Connections, check_variables
from advisor.deploy.suite.items import ITEMS, words
from advisor.deploy.suite.live import Live
from advisor.deploy.suite.tree import Tree, tree_of
from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The inventory's groups of the hosts that run no app of their own.
PARTS = {"advisor_load_balancers": "load_balancer", "advisor_monitoring": "monitoring"}

# A host that does not answer says so at once.
FIRST = "test_host.py"


class Place(NamedTuple):
    """A host that a tree is for."""

    name: str
    tree: Tree
    live: Live


PLACES = pytest.StashKey[list[Place]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The tree; the hosts are testinfra's own options."""
    parser.addoption("--advisor-tree", metavar="DIR", help="The rendered tree to verify against.")


def pytest_configure(config: pytest.Config) -> None:
    """Find the hosts and their trees; `UsageError` where there are none."""
    option = config.option
    if not option.advisor_tree:
        raise pytest.UsageError("--advisor-tree: name the folder that advisor render wrote")
    try:
        hosts = testinfra.get_hosts(
            option.hosts.split(",") if option.hosts else [None],
            connection=option.connection,
            ssh_config=option.ssh_config,
            ssh_identity_file=option.ssh_identity_file,
            sudo=option.sudo,
            sudo_user=option.sudo_user,
            ansible_inventory=option.ansible_inventory,
            force_ansible=option.force_ansible,
        )
        places = [*_places(Path(option.advisor_tree), hosts)]
        connections = Connections(hosts)
        config.add_cleanup(connections.close)
        config.stash[PLACES] = places
    except InvalidInput as error:
        raise pytest.UsageError(str(error)) from None
    except configparser.Error as error:
        said = " ".join(str(error).split())
        raise pytest.UsageError(
            f"ansible.cfg is not understood: {said}\n"
            "A % of ssh_args: write them as ansible_ssh_common_args of the inventory."
        ) from None
    except (RuntimeError, AssertionError, ValueError) as error:
        last = str(error).strip().splitlines()[-1:]
        raise pytest.UsageError(f"the inventory cannot be read: {' '.join(last)}") from None
    if not config.stash[PLACES]:
        raise pytest.UsageError(f"{option.advisor_tree}: holds no tree for any of these hosts")


def _places(directory: Path, hosts: list[Any]) -> Iterator[Place]:
    for host in hosts:
        is_here = host.backend.NAME == "local"
        name = socket.gethostname() if is_here else host.backend.get_hostname()
        is_listed = host.backend.NAME == "ansible"
        variables = host.backend.get_variables() if is_listed else {}
        tree = tree_of(directory, name, _parts(variables))
        if tree is not None:
            check_variables(name, variables)
            yield Place(name, tree, Live(host, tree))


def _parts(variables: Mapping[str, Any]) -> list[str]:
    """The kinds of host that one is: as advisor_parts says, or its groups (the playbooks' rule)."""
    said = variables.get("advisor_parts")
    if isinstance(said, list):
        return said
    groups = variables.get("group_names", [])
    return [part for group, part in PARTS.items() if group in groups] or ["app"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each check of a host for each item that its tree has."""
    (kind,) = (name for name in metafunc.fixturenames if name in ITEMS)
    pairs = [
        (place, item) for place in metafunc.config.stash[PLACES] for item in ITEMS[kind](place.tree)
    ]
    metafunc.parametrize(
        ("place", kind),
        pairs,
        indirect=["place"],
        ids=[f"{place.name}-{words(item)}" for place, item in pairs],
    )


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Leave out checks of what no tree has; say of the others where and what, host by host."""
    items[:] = [item for item in items if isinstance(item.callspec.params.get("place"), Place)]
    items.sort(key=lambda item: (_place(item).name, item.path.name != FIRST))
    for item in items:
        title = inspect.getdoc(item.function) or item.name
        said = title[0].lower() + title.splitlines()[0][1:].rstrip(".")
        item.user_properties += [("host", _place(item).name), ("check", f"{_thing(item)}: {said}")]


def _place(item: pytest.Function) -> Place:
    return cast("Place", item.callspec.params["place"])


def _thing(item: pytest.Function) -> str:
    return words(next(each for name, each in item.callspec.params.items() if name != "place"))


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """The host that is looked at, and its tree."""
    found: Place = request.param
    return found


@pytest.fixture
def live(place: Place) -> Live:
    """What the host says."""
    return place.live


@pytest.fixture
def tree(place: Place) -> Tree:
    """What the tree says."""
    return place.tree
