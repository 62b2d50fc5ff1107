"""What every group of the recipe is."""

from __future__ import annotations

from typing import Any, Iterator, Tuple, Union, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

Size = Union[int, Tuple[int, int]]
MOST_PIXELS = 1 << 16  # of a side


class Group(BaseModel):
    """A part of the recipe. A key that it does not know is an error."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, protected_namespaces=(), allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes `yes` for 1.
        if any(isinstance(one, bool) for one in (value if isinstance(value, (list, tuple)) else [value])):
            kinds = set(_kinds(cls.model_fields[info.field_name].annotation))
            if kinds & {int, float} and bool not in kinds:
                raise ValueError("expected a number")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types of a Union, itself for any other."""
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for one in inner:
        yield from _kinds(one)


def positive_size(value: Size) -> Size:
    """The size itself; ValueError for one of less than a pixel or more than any picture has."""
    sides = [value] if isinstance(value, int) else value
    if min(sides) < 1:
        raise ValueError("sizes must be at least 1 pixel")
    if max(sides) > MOST_PIXELS:
        raise ValueError(f"sizes must be at most {MOST_PIXELS} pixels")
    return value
