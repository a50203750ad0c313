"""What every document shares: strictness, estimates, gaps."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

# An int stays an int and a float a float, so that a document is written back as it was read.
Number = int | float
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[Number, Field(ge=0)]
Ratio = Annotated[Number, Field(ge=0, le=1)]
Pid = Annotated[int, Field(gt=0)]
Scalar = bool | int | float | str | None
Value = Scalar | list[str] | list[int]


class Document(BaseModel):
    """Base of everything that travels: frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON or YAML, without the later fields that hold their default."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Unknown(Document):
    """Something that could not be told, why, and what would tell it."""

    what: str
    why: str
    remedy: str


class Estimate(Document):
    """A measured quantity with its 95 % interval over n samples."""

    value: Amount
    low: Amount
    high: Amount
    n: Count


class Prediction(Document):
    """A predicted quantity with its interval."""

    value: Amount
    low: Amount
    high: Amount
