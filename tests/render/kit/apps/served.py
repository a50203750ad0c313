"""An app of each interface, as it is, from a factory, and behind its server's proxy wrapper."""

from echo_asgi import app
from echo_wsgi import app as wsgi

__all__ = ["app", "wsgi"]


def create_app():  # noqa: ANN202 - ASGI
    return app


def create_wsgi():  # noqa: ANN202 - WSGI
    return wsgi


def create_fixed():  # noqa: ANN202 - ASGI
    from hypercorn.middleware import ProxyFixMiddleware  # noqa: PLC0415 - only for this one

    return ProxyFixMiddleware(app, mode="legacy", trusted_hops=1)


def create_wrapped():  # noqa: ANN202 - ASGI
    from granian.utils.proxies import wrap_asgi_with_proxy_headers  # noqa: PLC0415 - likewise

    return wrap_asgi_with_proxy_headers(app, trusted_hosts="*")
