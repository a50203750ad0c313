"""`advisor schema [KIND]`: the JSON Schema of advisor.yml and of every document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel


def command(
    kind: Annotated[
        str, typer.Argument(help="advisor.yml, facts, measurement or recommendation.")
    ] = "advisor.yml",
) -> None:
    """Print the JSON Schema of advisor.yml, or of a document."""
    import json

    from advisor import documents
    from advisor.errors import InvalidInput
    from advisor.intent import Intent

    models: dict[str, type[BaseModel]] = {
        "advisor.yml": Intent,
        "facts": documents.Facts,
        "measurement": documents.Measurement,
        "recommendation": documents.Recommendation,
    }
    if kind not in models:
        raise InvalidInput(f"KIND {kind!r}: unknown", remedy=f"One of: {', '.join(models)}.")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema |= models[kind].model_json_schema(by_alias=True)
    typer.echo(json.dumps(schema, indent=2, ensure_ascii=False))
