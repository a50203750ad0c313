"""What nginx compresses, and how hard."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from advisor.intent import Allowed
from advisor.rules.proxies import TINY_BYTES, compression, nginx_rule
from advisor.rules.registry import Choice, Seen

GZIP = "ngx_http_gzip_module"
H5BP = "h5bp: server-configs-nginx, compression"
# What is text, or packs like it; text/html always is (h5bp). Streams of events are not: gzip
# would hold them back. Pictures, fonts in WOFF and archives are packed already.
TYPES = [
    "text/plain",
    "text/css",
    "text/csv",
    "text/javascript",
    "text/markdown",
    "text/xml",
    "text/calendar",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/geo+json",
    "application/problem+json",
    "application/vnd.api+json",
    "application/xml",
    "application/xhtml+xml",
    "application/atom+xml",
    "application/rss+xml",
    "application/wasm",
    "image/svg+xml",
    "image/bmp",
    "image/x-icon",
    "font/otf",
    "font/ttf",
]
Types = (
    list[
        Annotated[
            str,
            Allowed(
                r"[a-z]+/[a-z0-9][a-z0-9.+-]*|\*",
                most=100,
                says="a media type such as application/json",
            ),
        ]
    ]
    | None
)
Proxied = (
    list[
        Annotated[
            str,
            Allowed(
                "off|expired|no-cache|no-store|private|no_last_modified|no_etag|auth|any",
                most=20,
                says="one of gzip_proxied's words, such as any",
            ),
        ]
    ]
    | None
)
# As `nginx -V` names what is compiled in, and as the files of dynamic modules are named.
BROTLI = {"brotli", "http_brotli_filter"}
ZSTD = {"zstd", "http_zstd_filter"}


@nginx_rule(
    "nginx.gzip",
    wants=("http", "static", "target.through"),
    accepts=bool | None,
    default=False,
    source=f"nginx: {GZIP}, gzip; as measured (gzip at level 5)",
)
def gzip(s: Seen) -> Choice:
    """On where it makes answers smaller, or where that is not known."""
    return compression(s)


@nginx_rule(
    "nginx.gzip_comp_level",
    needs=("nginx.gzip",),
    accepts=Annotated[int, Field(ge=1, le=9)] | None,
    default=1,
    source=f"{H5BP}; nginx: {GZIP}, gzip_comp_level",
)
def gzip_comp_level(s: Seen) -> Choice | None:
    """Five: beyond it the CPU grows and the answers hardly shrink."""
    if not s["nginx.gzip"]:
        return None
    return Choice(5, "Beyond 5 the CPU grows and the answers hardly shrink.")


@nginx_rule(
    "nginx.gzip_min_length",
    needs=("nginx.gzip",),
    unit="bytes",
    accepts=Annotated[int, Field(ge=0, le=2**30)] | None,
    default=20,
    source=f"{H5BP}; nginx: {GZIP}, gzip_min_length",
)
def gzip_min_length(s: Seen) -> Choice | None:
    """256 bytes: what fits in one packet either way gains nothing."""
    if not s["nginx.gzip"]:
        return None
    return Choice(TINY_BYTES, f"Answers below {TINY_BYTES} bytes gain nothing.")


@nginx_rule(
    "nginx.gzip_types",
    needs=("nginx.gzip",),
    accepts=Types,
    source=f"{H5BP}; nginx: {GZIP}, gzip_types (by itself only text/html)",
)
def gzip_types(s: Seen) -> Choice | None:
    """Every type that is text; no stream of events, no picture that is packed already."""
    if not s["nginx.gzip"]:
        return None
    return Choice(list(TYPES), f"{len(TYPES)} types of text; nginx's own packs HTML alone.")


@nginx_rule(
    "nginx.gzip_vary",
    needs=("nginx.gzip",),
    accepts=bool | None,
    default=False,
    source=f"nginx: {GZIP}, gzip_vary; RFC 9110, 12.5.5",
)
def gzip_vary(s: Seen) -> Choice | None:
    """On: a cache must not give a packed copy to a client that cannot read it."""
    if not s["nginx.gzip"]:
        return None
    return Choice(True, "Caches keep the packed and the plain answer apart.")


@nginx_rule(
    "nginx.gzip_proxied",
    needs=("nginx.gzip",),
    accepts=Proxied,
    default=["off"],
    source=f"{H5BP}; nginx: {GZIP}, gzip_proxied",
)
def gzip_proxied(s: Seen) -> Choice | None:
    """Any: behind a CDN every request has a Via header, and would be answered unpacked."""
    if not s["nginx.gzip"]:
        return None
    return Choice(["any"], "A CDN's requests carry Via, and would be answered unpacked.")


@nginx_rule(
    "nginx.brotli",
    needs=("nginx.gzip", "components.nginx.modules"),
    accepts=bool | None,
    default=False,
    source="google/ngx_brotli: brotli; RFC 7932",
)
def brotli(s: Seen) -> Choice | None:
    """On only where this nginx has the module: elsewhere it would not start."""
    return _beside_gzip(s, BROTLI, "brotli")


@nginx_rule(
    "nginx.zstd",
    needs=("nginx.gzip", "components.nginx.modules"),
    accepts=bool | None,
    default=False,
    source="tokers/zstd-nginx-module: zstd; RFC 8878",
)
def zstd(s: Seen) -> Choice | None:
    """On only where this nginx has the module: elsewhere it would not start."""
    return _beside_gzip(s, ZSTD, "zstd")


def _beside_gzip(s: Seen, modules: set[str], name: str) -> Choice | None:
    found = sorted(modules & set(s["components.nginx.modules"]))
    if not s["nginx.gzip"] or not found:
        return None
    return Choice(
        True,
        f"This nginx has the module {found[0]}; browsers that know {name} get less to load.",
        inputs={"module": found[0]},
    )
