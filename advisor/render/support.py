"""What of a recommendation this version has no file for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

# Keys of the intent that would make the files wrong or unsafe if they were passed over.
UNSUPPORTED: dict[str, Callable[[Any], bool]] = {
    "server": lambda value: value not in {None, "gunicorn"},
    "proxy": lambda value: value == "caddy",
    "tls": bool,
    "routes": bool,
    "hosts": lambda value: len(value or ()) > 1,
    "systemd.mode": lambda value: value == "dropin",
    "systemd.unit": bool,
    "limits.rate_per_client_rps": lambda value: value is not None,
}


def refuse_unsupported(rec: Recommendation) -> None:
    """`InvalidInput` naming every key of the intent that the files would have to ignore."""
    lines = [
        f"recommendation: {key}: {rec.intent[key].value}: not rendered by this version"
        for key, wrong in UNSUPPORTED.items()
        if key in rec.intent and wrong(rec.intent[key].value)
    ]
    if lines:
        raise InvalidInput(
            "\n".join(lines),
            remedy="Leave it out of advisor.yml; a file that ignored it would be wrong.",
        )
