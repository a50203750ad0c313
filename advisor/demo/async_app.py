"""A FastAPI app that computes for about a millisecond: its CPU is what limits it."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI(title="advisor demo")

STOCK = {f"sku-{number:04d}": number * 7 % 1000 for number in range(5000)}


@app.get("/items")
async def items() -> dict[str, object]:
    """Fifty items of the stock, sorted by how many are left."""
    ranked = sorted(STOCK.items(), key=lambda entry: (entry[1], entry[0]))
    return {"items": [{"sku": sku, "left": left} for sku, left in ranked[:50]]}


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the app is up."""
    return {"status": "ok"}
