"""What a recommendation says, typed and matched against the allow-lists a second time.

A recommendation is a file: it may have been edited by hand or come from somewhere else.
Nothing of it reaches a template but through these models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from advisor.errors import InvalidInput
from advisor.files import validate
from advisor.intent import (
    Allowed,
    Domain,
    EnvironmentName,
    EnvironmentValue,
    Listen,
    Module,
    Name,
    Path,
    PositiveInt,
    Section,
    Size,
    UrlPath,
    User,
)
from advisor.render.support import refuse_unsupported

if TYPE_CHECKING:
    from advisor.documents import Recommendation

NAME = "recommendation"
Version = tuple[int, ...]


def _not_root(url: str) -> str:
    if url == "/":
        raise ValueError("should be a path below /, or nothing is left for the app")
    return url


def _dotted(name: str) -> str:
    """`app_environment_file` as `app.environment_file`, as documents spell it."""
    return name.replace("_", ".", 1)


StaticUrl = Annotated[UrlPath, AfterValidator(_not_root)]
Seconds = Annotated[int, Field(ge=0, le=86400)]
SomeSeconds = Annotated[int, Field(ge=1, le=86400)]
Many = Annotated[int, Field(ge=1, le=2**31 - 1)]
NoneOrMany = Annotated[int, Field(ge=0, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=1, le=2**62)]
WorkerClass = Annotated[
    str,
    Allowed(
        r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*",
        most=200,
        says="a worker class such as gthread or uvicorn_worker.UvicornWorker",
    ),
]


class IntentValues(Section):
    """The keys of the intent that render reads. An absent key is null, its default."""

    model_config = ConfigDict(alias_generator=_dotted)

    app_name: Name
    app_module: Module
    app_interface: Literal["asgi", "wsgi"]
    app_directory: Path | None = None
    app_virtualenv: Path | None = None
    app_user: User | None = None
    app_environment: dict[EnvironmentName, EnvironmentValue] | None = None
    app_environment_file: Path | None = None
    app_writable: list[Path] | None = None
    server: Literal["gunicorn"] | None = None
    listen: Listen | None = None
    proxy: Literal["nginx", "none"] | None = None
    domain: Domain | None = None
    tls: None = None
    static: dict[StaticUrl, Path] | None = None
    limits_request_body: Size | None = None
    manage: list[Literal["server", "proxy", "systemd"]] | None = None


class SettingValues(Section):
    """Every setting that the templates know, in the order they are written. Null is left out."""

    model_config = ConfigDict(alias_generator=_dotted)

    gunicorn_worker_class: WorkerClass | None = None
    gunicorn_workers: Many | None = None
    gunicorn_threads: Many | None = None
    gunicorn_timeout: Seconds | None = None
    gunicorn_graceful_timeout: Seconds | None = None
    gunicorn_keepalive: Seconds | None = None
    gunicorn_backlog: Many | None = None
    gunicorn_max_requests: NoneOrMany | None = None
    gunicorn_max_requests_jitter: NoneOrMany | None = None
    gunicorn_preload_app: bool | None = None
    gunicorn_worker_tmp_dir: Path | None = None
    gunicorn_control_socket_disable: bool | None = None
    nginx_upstream_keepalive: PositiveInt | None = None
    nginx_upstream_keepalive_timeout: SomeSeconds | None = None
    nginx_proxy_connect_timeout: SomeSeconds | None = None
    nginx_proxy_read_timeout: SomeSeconds | None = None
    nginx_proxy_send_timeout: SomeSeconds | None = None
    nginx_proxy_buffering: bool | None = None
    nginx_client_max_body_size: Annotated[int, Field(ge=0, le=2**62)] | None = None
    systemd_timeout_stop_sec: SomeSeconds | None = None
    systemd_limit_nofile: Many | None = None
    systemd_memory_high: Bytes | None = None
    systemd_memory_max: Bytes | None = None
    systemd_socket_backlog: Many | None = None


SETTING_IDS = {_dotted(field) for field in SettingValues.model_fields}


@dataclass(frozen=True)
class Inputs:
    """All that the templates' context is made of.

    `values` holds every setting id of `SettingValues`, null where it is not set; `why` the
    reason of each that is set; `versions` what the target runs, where it is known.
    """

    intent: IntentValues
    values: dict[str, Any]
    why: dict[str, str]
    versions: dict[str, Version]

    @property
    def manages(self) -> frozenset[str]:
        """Which of server, proxy and systemd are ours; by default all that there are."""
        manage = self.intent.manage
        ours = {"server", "proxy", "systemd"} if manage is None else set(manage)
        return frozenset(ours - ({"proxy"} if self.intent.proxy == "none" else set()))


def inputs_of(rec: Recommendation) -> Inputs:
    """The recommendation's typed values; `InvalidInput` naming every field that is wrong."""
    refuse_unsupported(rec)
    intent = validate(IntentValues, _intent_data(rec), name=NAME)
    settings = validate(SettingValues, _setting_data(rec), name=NAME)
    values = settings.model_dump(by_alias=True)
    why = {setting.id: setting.why for setting in rec.settings}
    body = "nginx.client_max_body_size"
    if values[body] is None and intent.limits_request_body is not None:
        values[body] = intent.limits_request_body
        why[body] = "limits.request_body of advisor.yml."
    _check_static(intent)
    versions = {name: version_of(component.version) for name, component in rec.components.items()}
    return Inputs(intent, values, why, {name: found for name, found in versions.items() if found})


def not_rendered(rec: Recommendation) -> list[str]:
    """Ids of the settings that a file applies, and none that this version renders does."""
    return [
        setting.id
        for setting in rec.settings
        if setting.applied_by == "file"
        and setting.value is not None
        and setting.id not in SETTING_IDS
    ]


def version_of(text: str) -> Version:
    """The leading numbers of a version: `1.22.1-3` is (1, 22, 1); () where there are none."""
    match = re.match(r"\d{1,9}(?:\.\d{1,9}){0,3}", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


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


def _setting_data(rec: Recommendation) -> dict[str, Any]:
    """The settings that the templates know, by id."""
    data: dict[str, Any] = {}
    for setting in rec.settings:
        if setting.id in data:
            raise InvalidInput(f"{NAME}: settings: {setting.id} is there twice")
        if setting.id in SETTING_IDS:
            data[setting.id] = setting.value
    return data


def _check_static(intent: IntentValues) -> None:
    urls = [url.rstrip("/") for url in intent.static or {}]
    for url in urls:
        if urls.count(url) > 1:
            raise InvalidInput(f"{NAME}: static: {url} and {url}/ are the same path")
