"""What nginx keeps, waits for and buffers in front of the app. Times are whole seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.intent import Size
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.model.choose import Plan

Seconds = Annotated[int, Field(gt=0, le=86400)] | None
Connections = Annotated[int, Field(gt=0, le=65535)] | None


@rule(
    "nginx.upstream_keepalive",
    needs=("proxy", "gunicorn.worker_class", "plan"),
    unit="connections",
    accepts=Connections,
    source="nginx: ngx_http_upstream_module, keepalive",
)
def upstream_keepalive(s: Seen) -> Choice | None:
    """Idle connections each nginx worker keeps: twice the servers, and enough for the load.

    With sync nothing is kept: it closes after each response.
    """
    if s["proxy"] != "nginx" or s["gunicorn.worker_class"] == "sync":
        return None
    plan: Plan = s["plan"]
    value = max(16, min(256, plan.concurrency))
    return Choice(
        value,
        "Connections to the app are reused instead of opened for each request.",
        inputs={"concurrency": plan.concurrency},
    )


@rule(
    "nginx.upstream_keepalive_timeout",
    needs=("nginx.upstream_keepalive",),
    unit="s",
    accepts=Seconds,
    default=60,
    source="nginx: ngx_http_upstream_module, keepalive_timeout (1.15.3)",
)
def upstream_keepalive_timeout(s: Seen) -> Choice | None:
    """The 60 s of nginx, stated because the app's idle time builds on it."""
    return Choice(60, "nginx's own, stated because the app has to outlast it.", inputs=dict(s))


@rule(
    "nginx.proxy_connect_timeout",
    needs=("proxy",),
    unit="s",
    accepts=Seconds,
    default=60,
    source="nginx: ngx_http_proxy_module, proxy_connect_timeout",
)
def proxy_connect_timeout(s: Seen) -> Choice | None:
    """Short: the app is on the same host, and a full queue should be said soon."""
    if s["proxy"] != "nginx":
        return None
    return Choice(5, "The app is on this host: a connection that takes longer will not come.")


@rule(
    "nginx.proxy_read_timeout",
    needs=("proxy", "gunicorn.timeout"),
    unit="s",
    accepts=Seconds,
    default=60,
    source="nginx: ngx_http_proxy_module, proxy_read_timeout",
)
def proxy_read_timeout(s: Seen) -> Choice | None:
    """Longer than Gunicorn's timeout, so that the app's verdict comes first."""
    if s["proxy"] != "nginx":
        return None
    limit = s["gunicorn.timeout"]
    if limit + 10 > 60:
        return Choice(
            limit + 10, f"Longer than Gunicorn's timeout ({limit} s).", binding="gunicorn.timeout"
        )
    return Choice(60, f"nginx's own; longer than Gunicorn's timeout ({limit} s).")


@rule(
    "nginx.proxy_send_timeout",
    needs=("proxy",),
    unit="s",
    accepts=Seconds,
    default=60,
    source="nginx: ngx_http_proxy_module, proxy_send_timeout",
)
def proxy_send_timeout(s: Seen) -> Choice | None:
    """The 60 s of nginx: between two writes of a request's body to an app on the same host."""
    if s["proxy"] != "nginx":
        return None
    return Choice(60, "nginx's own: the longest pause while a request's body is handed on.")


@rule(
    "nginx.proxy_buffering",
    needs=("proxy", "gunicorn.worker_class"),
    accepts=bool | None,
    default=True,
    source="gunicorn: deploying; nginx: ngx_http_proxy_module, proxy_buffering",
)
def proxy_buffering(s: Seen) -> Choice | None:
    """On: nginx takes the answer at once and feeds slow clients itself."""
    if s["proxy"] != "nginx":
        return None
    held = {"sync": "worker", "gthread": "thread"}.get(s["gunicorn.worker_class"], "connection")
    return Choice(True, f"A slow client holds nginx, and no {held} of the app.")


@rule(
    "nginx.client_max_body_size",
    needs=("proxy",),
    wants=("limits.request_body",),
    unit="bytes",
    accepts=Size | None,
    default=1024**2,
    source="nginx: ngx_http_core_module, client_max_body_size; advisor.yml",
)
def client_max_body_size(s: Seen) -> Choice | None:
    """What advisor.yml allows; without a word nginx's 1 MiB stays."""
    if s["proxy"] != "nginx" or s["limits.request_body"] is None:
        return None
    return Choice(s["limits.request_body"], "limits.request_body: larger requests are a 413.")
