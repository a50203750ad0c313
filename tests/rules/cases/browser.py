"""What the rules of browsers' caches say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.rules.browser import ASKED_AGAIN, FOR_EVER
from tests.rules.cases.cdn import NO, fact, http
from tests.rules.cases.shared import SILENT

ONCE: dict[str, Any] = {"stable": None, "microcache": NO}

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "browser.cache_control": [
        (http(fact("/app.3f9c2ab1.js")), [f"/app.3f9c2ab1.js: {FOR_EVER}"]),
        (http(fact("/app.3f9c2ab1.js", sets_cookie=True)), SILENT),
        (http(fact("/app.3f9c2ab1.js", stable=False)), SILENT),
        (http(fact("/report-20260101.css")), SILENT),
        # Everybody's: cdn.cache_control has it.
        (http(fact("/items", etag="weak")), SILENT),
        (http(fact("/items", etag="weak", **ONCE)), [f"/items: {ASKED_AGAIN}"]),
        (http(fact("/items", last_modified=True, **ONCE)), [f"/items: {ASKED_AGAIN}"]),
        (
            http(fact("/b-0c4d5e6f.css"), fact("/items", etag="strong", **ONCE)),
            [f"/b-0c4d5e6f.css: {FOR_EVER}", f"/items: {ASKED_AGAIN}"],
        ),
        (http(fact("/items", **ONCE)), SILENT),
        (http(fact("/items", etag="weak", status=404, **ONCE)), SILENT),
        (http(fact("/items", etag="weak", stable=False, microcache=NO)), SILENT),
        (http(fact("/items", etag="weak", cache_control="private", **ONCE)), SILENT),
        (http(fact("/me", etag="weak", sets_cookie=True, **ONCE)), SILENT),
        (http(fact("/me", etag="weak", vary=["cookie"], **ONCE)), SILENT),
        (http(fact("/items", etag="weak", cdn=None, **ONCE)), SILENT),
        (http(fact("/healthz", etag="weak", **ONCE)), SILENT),
    ],
}
