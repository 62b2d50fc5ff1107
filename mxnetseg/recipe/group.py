"""What every group of the recipe is."""

from __future__ import annotations

from typing import Tuple, Union

from pydantic import BaseModel, ConfigDict

Size = Union[int, Tuple[int, int]]


class Group(BaseModel):
    """A part of the recipe. A key that it does not know is an error."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, protected_namespaces=(), allow_inf_nan=False
    )


def positive_size(value: Size) -> Size:
    """The size itself; ValueError for one of less than a pixel."""
    if min([value] if isinstance(value, int) else value) < 1:
        raise ValueError("sizes must be at least 1 pixel")
    return value
