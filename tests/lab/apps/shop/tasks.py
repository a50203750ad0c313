"""The sample app's background work, for Celery and for RQ."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

app = Celery("shop", broker=os.environ.get("SHOP_BROKER", "redis://127.0.0.1:6379/0"))


@app.task
def write(path: str, text: str) -> None:
    """Leave a trace that a test can look for."""
    Path(path).write_text(text, encoding="utf-8")
