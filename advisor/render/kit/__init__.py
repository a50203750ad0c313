"""The one table of what is rendered: each component with its files, in the order of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.kit.gunicorn import GUNICORN
from advisor.render.kit.nginx import NGINX
from advisor.render.kit.systemd import SYSTEMD

if TYPE_CHECKING:
    from advisor.render.component import Component

COMPONENTS: tuple[Component, ...] = (
    *(GUNICORN,),
    *(NGINX,),
    *(SYSTEMD,),
)
