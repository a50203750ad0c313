"""What a recommendation says, typed and matched against the allow-lists a second time.

A recommendation is a file: it may have been edited by hand or come from somewhere else.
Nothing of it reaches a template but through these models: the intent through advisor.yml's own
words, each setting through the type that its rule accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict

from advisor.errors import InvalidInput
from advisor.files import validate
from advisor.intent import (
    Cache,
    Celery,
    Domain,
    EnvironmentName,
    EnvironmentValue,
    Listen,
    Managed,
    Module,
    Name,
    Path,
    Positive,
    Rq,
    Section,
    Size,
    Tls,
    Unit,
    Upstream,
    UrlPath,
    User,
)
from advisor.rules import RULES, refusal
from advisor.rules.versions import CAPABILITIES, Version, parse, reaches

if TYPE_CHECKING:
    from advisor.documents import Recommendation, Setting

NAME = "recommendation"
BODY = "nginx.client_max_body_size"
CADDY_BODY = "caddy.request_body_max"
# What is ours where advisor.yml does not say.
USUAL: tuple[Managed, ...] = ("server", "proxy", "systemd")


def _not_root(url: str) -> str:
    if url == "/":
        raise ValueError("should be a path below /, or nothing is left for the app")
    return url


def _dotted(name: str) -> str:
    """`app_environment_file` as `app.environment_file`, as documents spell it."""
    return name.replace("_", ".", 1)


# What no rule chooses, but a recommendation changed by hand may name: a class of the app's own.
_OWN_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
StaticUrl = Annotated[UrlPath, AfterValidator(_not_root)]


class IntentValues(Section):
    """The keys of the intent that render reads. An absent key is null, its default."""

    model_config = ConfigDict(alias_generator=_dotted)

    app_name: Name
    app_module: Module
    app_interface: Literal["asgi", "wsgi"]
    app_directory: Path | None = None
    app_virtualenv: Path | None = None
    app_user: User | None = None
    app_health: UrlPath | None = None
    app_environment: dict[EnvironmentName, EnvironmentValue] | None = None
    app_environment_file: Path | None = None
    app_writable: list[Path] | None = None
    server: Literal["gunicorn", "uvicorn", "hypercorn", "granian"] | None = None
    listen: Listen | None = None
    proxy: Literal["nginx", "caddy", "none"] | None = None
    domain: Domain | None = None
    tls: Tls | None = None
    static: dict[StaticUrl, Path] | None = None
    routes: dict[UrlPath, Literal["websocket", "stream"] | Cache] | None = None
    hosts: list[Upstream] | None = None
    redis_role: Literal["cache", "broker", "store"] | None = None
    background_celery: Celery | None = None
    background_rq: Rq | None = None
    limits_request_body: Size | None = None
    limits_rate_per_client_rps: Positive | None = None
    systemd_mode: Literal["unit", "dropin"] | None = None
    systemd_unit: Unit | None = None
    manage: list[Managed] | None = None

    @property
    def user(self) -> str:
        """Whom the app runs as: by default a system user named like it."""
        return self.app_user or self.app_name

    @property
    def runs_on(self) -> str:
        """The app server: Gunicorn where none is named."""
        return self.server or "gunicorn"

    @property
    def is_balanced(self) -> bool:
        """Whether a load balancer spreads the requests over several hosts."""
        return len(self.hosts or ()) > 1 and not self.sockets

    @property
    def sockets(self) -> list[str]:
        """The sockets of the app's instances on this host, where `hosts` names those."""
        return [host for host in self.hosts or () if host.startswith("unix:")]

    @property
    def is_dropin(self) -> bool:
        """Whether our systemd settings go beside a unit that exists."""
        return self.systemd_mode == "dropin"


@dataclass(frozen=True)
class Inputs:
    """All that the templates' contexts are made of.

    `values` holds every setting id that a rule knows, null where it is not set; `why` the
    reason of each that is set; `versions` what the target runs, where it is known, and
    `modules` what those daemons have beside their core. `left_out` says, by setting id, why
    the target's version cannot have it; its value is null then.
    """

    intent: IntentValues
    values: dict[str, Any]
    why: dict[str, str]
    versions: dict[str, Version]
    modules: dict[str, frozenset[str]]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def manages(self) -> frozenset[str]:
        """Which parts are ours: those that `manage` names, by default the usual three."""
        manage = self.intent.manage
        ours = set(USUAL if manage is None else manage)
        return frozenset(ours - ({"proxy"} if self.intent.proxy == "none" else set()))

    def has(self, component: str, *since: int) -> bool:
        """Whether the target's component is known to be of this version or later."""
        found = self.versions.get(component)
        return found is not None and reaches(found, since)

    def can(self, capability: str) -> bool:
        """Whether the target is known to have this (rules/versions.py)."""
        since = CAPABILITIES[capability]
        version = self.versions.get(since.component)
        modules = self.modules.get(since.component, frozenset())
        return version is not None and since.holds(version, modules)

    def found(self, component: str) -> str:
        """The version of the target's component, in words."""
        version = self.versions.get(component)
        return ".".join(map(str, version)) if version else "not known"


def inputs_of(rec: Recommendation) -> Inputs:
    """The recommendation's typed values; `InvalidInput` naming every field that is wrong."""
    intent = validate(IntentValues, _intent_data(rec), name=NAME)
    values = dict.fromkeys(RULES) | _settings(rec)
    why = {setting.id: setting.why for setting in rec.settings}
    for body in (BODY, CADDY_BODY):
        if values[body] is None and intent.limits_request_body is not None:
            values[body] = intent.limits_request_body
            why[body] = "limits.request_body of advisor.yml."
    _check_static(intent)
    _check_hosts(intent)
    versions = {name: parse(component.version) for name, component in rec.components.items()}
    modules = {name: frozenset(component.modules) for name, component in rec.components.items()}
    return Inputs(
        intent, values, why, {name: found for name, found in versions.items() if found}, modules
    )


def _intent_data(rec: Recommendation) -> dict[str, Any]:
    app = {f"app.{key}": value for key, value in rec.app.model_dump().items()}
    stated = {key: resolved.value for key, resolved in rec.intent.items()}
    for key, value in app.items():
        if stated.get(key) is not None and stated[key] != value:
            raise InvalidInput(
                f"{NAME}: intent {key} is {stated[key]!r}, but {key} at the top is {value!r}",
                remedy="Make them the same, or run advisor recommend again.",
            )
    known = {_dotted(field) for field in IntentValues.model_fields}
    return {key: value for key, value in stated.items() if key in known} | app


def _settings(rec: Recommendation) -> dict[str, Any]:
    """The settings by id, each of the type that its rule accepts; ids of no rule are left out."""
    data: dict[str, Any] = {}
    wrong: list[str] = []
    for setting in rec.settings:
        if setting.id in data:
            raise InvalidInput(f"{NAME}: settings: {setting.id} is there twice")
        if setting.id not in RULES:
            continue
        data[setting.id] = setting.value
        reason = (
            None
            if setting.value is None or _is_own_class(setting)
            else refusal(setting.id, setting.value)
        )
        if reason:
            wrong.append(f"{NAME}: {setting.id}: {reason}")
    if wrong:
        raise InvalidInput("\n".join(wrong), remedy="Correct it, or run advisor recommend again.")
    return data


def _is_own_class(setting: Setting) -> bool:
    own = setting.id == "gunicorn.worker_class" and isinstance(setting.value, str)
    return own and len(str(setting.value)) <= 200 and bool(_OWN_CLASS.fullmatch(str(setting.value)))


def _check_hosts(intent: IntentValues) -> None:
    if intent.sockets and len(intent.sockets) < len(intent.hosts or ()):
        raise InvalidInput(
            f"{NAME}: hosts: {intent.sockets[0]} is a socket of this host, and others are hosts",
            remedy="Name either every host, or every socket of this one.",
        )


def _check_static(intent: IntentValues) -> None:
    urls = [url.rstrip("/") for url in intent.static or {}]
    for url in urls:
        if urls.count(url) > 1:
            raise InvalidInput(f"{NAME}: static: {url} and {url}/ are the same path")
