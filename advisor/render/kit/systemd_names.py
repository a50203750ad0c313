"""What the app's units are called, and which of them there are."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput
from advisor.render.component import Component
from advisor.render.kit.launch import launch
from advisor.render.place import is_unix, stream
from advisor.render.values import NAME

if TYPE_CHECKING:
    from advisor.render.component import Output
    from advisor.render.values import Inputs, IntentValues


def unit(intent: IntentValues) -> str:
    """The service that runs the app: the one that systemd.unit names, else one named like it."""
    return intent.systemd_unit or f"{intent.app_name}.service"


def stem(intent: IntentValues) -> str:
    """The name that service and socket share, by which systemd finds the one for the other."""
    return unit(intent).removesuffix(".service")


def has_unit(inputs: Inputs) -> bool:
    """Whether the app's service is a unit of our own."""
    return "systemd" in inputs.manages and not inputs.intent.is_dropin


def has_dropin(inputs: Inputs) -> bool:
    """Whether ours is a drop-in beside a service that exists."""
    return "systemd" in inputs.manages and inputs.intent.is_dropin


def has_command(inputs: Inputs) -> bool:
    """Whether a file of ours starts the server.

    In a drop-in only where the server is ours as well: with the unit's own command it would
    read none of our configuration, and where it is not ours, its command is not either.
    """
    return has_unit(inputs) or (has_dropin(inputs) and "server" in inputs.manages)


def has_socket(inputs: Inputs) -> bool:
    """Whether a socket unit opens what the server listens on."""
    return has_unit(inputs) and launch(inputs).takes_socket


def own_folder(inputs: Inputs) -> str | None:
    """The folder in which the server makes its unix socket itself; null where it makes none."""
    own = has_command(inputs) and not has_socket(inputs) and is_unix(inputs.intent)
    return posixpath.dirname(stream(inputs.intent)) if own else None


def slice_name(inputs: Inputs) -> str | None:
    """The slice that holds the app's service and its background workers; null where none is.

    A dash in a slice's name leads into another slice (systemd.slice(5)), `user.slice` holds all
    logins, and beside system.slice the app would weigh as much as all services together. So it
    lies in system.slice, and the name's own dashes are doubled underscores, which no name has.
    """
    background = inputs.intent.background_celery or inputs.intent.background_rq
    if not (has_unit(inputs) and "workers" in inputs.manages and background):
        return None
    return f"system-{inputs.intent.app_name.replace('-', '__')}.slice"


@dataclass(frozen=True)
class Units(Component):
    """Files that are named like units: `{unit}`, `{stem}` and `{slice}` stand in their paths."""

    def wanted(self, inputs: Inputs) -> list[Output]:
        """The files that these inputs ask for, under their units' names.

        Raises `InvalidInput` where the service would be a template, which nothing starts.
        """
        intent = inputs.intent
        if stem(intent).endswith("@") and has_unit(inputs):
            raise InvalidInput(
                f"{NAME}: systemd.unit: {unit(intent)} is a template, which nothing starts",
                remedy=f"Name an instance, such as {stem(intent)}1.service.",
            )
        names = {
            "{unit}": unit(intent),
            "{stem}": stem(intent),
            "{slice}": slice_name(inputs) or "",
        }
        return [_named(output, names) for output in super().wanted(inputs)]


def _named(output: Output, names: dict[str, str]) -> Output:
    path, target = output.path, output.target
    for mark, name in names.items():
        path, target = path.replace(mark, name), target.replace(mark, name)
    return replace(output, path=path, target=target)
