"""The one table of what is rendered: each component with its files, in the order of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.kit.caddy import CADDY, CADDY_BALANCER
from advisor.render.kit.dropin import DROPIN
from advisor.render.kit.environment import ENVIRONMENT
from advisor.render.kit.granian import GRANIAN
from advisor.render.kit.gunicorn import GUNICORN
from advisor.render.kit.hypercorn import HYPERCORN
from advisor.render.kit.monitoring import MONITORING
from advisor.render.kit.nginx import NGINX, NGINX_BALANCER
from advisor.render.kit.redis import REDIS
from advisor.render.kit.sysctl import SYSCTL, SYSCTL_BALANCER
from advisor.render.kit.systemd import SYSTEMD
from advisor.render.kit.uvicorn import UVICORN
from advisor.render.kit.workers import CELERY, RQ

if TYPE_CHECKING:
    from advisor.render.component import Component

COMPONENTS: tuple[Component, ...] = (
    *(GUNICORN,),
    *(UVICORN,),
    *(HYPERCORN,),
    *(GRANIAN,),
    *(ENVIRONMENT,),
    *(NGINX, NGINX_BALANCER),
    *(CADDY, CADDY_BALANCER),
    *(SYSTEMD,),
    *(DROPIN,),
    *(SYSCTL, SYSCTL_BALANCER),
    *(REDIS,),
    *(CELERY, RQ),
    *(MONITORING,),
)
