"""How a picture becomes a label map: the protocol of an evaluation, and the published ones by name.

A score can be compared with a published one only if pictures were resized, cut, mirrored and averaged the
same way. Every such choice is a field here. `protocol` names whose rules fill in the fields that are not
stated:

    own        mean probabilities over windows and views, inputs padded to a multiple of 32 with the mean
               colour
    mmseg      mmsegmentation 1.x: logits averaged over windows, probabilities over views, no padding
    sfsegnets  SFSegNets' eval.py: Pillow's resizing, mean logits, windows that grow with the scale
    gluoncv    GluonCV's MultiEvalModel: black padding to the window, exponentials of logits
    mxnetseg   MXNetSeg's eval.py, which delegates to GluonCV's: the same with its own lists of scales

SwiftNet publishes whole pictures at one scale without padding: that is `mmseg`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, Tuple, Union

from pydantic import Field, field_validator, model_validator

from mxnetseg.recipe.group import Group, Size, positive_size

PIXEL_BUDGET = 2048 * 2048

_OWN: Dict[str, Any] = dict(
    mode="auto",
    stride=2 / 3,
    average="probabilities",
    windows="flush",
    mirror="window",
    resample="opencv",
    rounding="sides",
    align_corners=False,
    divisor=32,
    fill=None,
)
_MMSEG = {
    **_OWN,
    **dict(mode="whole", average="view_probabilities", mirror="picture", rounding="box", divisor=1),
}
_SFSEGNETS = {
    **_MMSEG,
    **dict(
        average="logits",
        windows="sfsegnets",
        # One third of overlap, as its script computes it in double precision.
        stride=1 - 1 / 3,
        resample="pillow",
        rounding="truncate",
        align_corners=True,
    ),
}
_GLUONCV = {
    **_OWN,
    **dict(
        mode="slide",
        average="exponentials",
        windows="gluoncv",
        resample="float",
        rounding="long_up",
        align_corners=True,
        divisor=1,
        fill=[0, 0, 0],
    ),
}
RULES: Dict[str, Dict[str, Any]] = {
    "own": _OWN,
    "mmseg": _MMSEG,
    "sfsegnets": _SFSEGNETS,
    "gluoncv": _GLUONCV,
    "mxnetseg": _GLUONCV,
}
# Scales of multi-scale evaluation where the protocol has a list; else the data set's.
SCALES: Dict[str, Tuple[float, ...]] = {
    "mmseg": (0.5, 0.75, 1.0, 1.25, 1.5, 1.75),
    "sfsegnets": (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
    "gluoncv": (0.5, 0.75, 1.0, 1.25, 1.5, 1.75),
}


class Protocol(Group):
    """From a picture to its label map. Fields that are none follow the rules of `protocol`."""

    protocol: Literal["own", "mmseg", "sfsegnets", "gluoncv", "mxnetseg"] = Field(
        "own", description="whose rules fill in what is not stated"
    )
    scales: List[float] = Field(
        default_factory=lambda: [1.0], min_length=1, description="factors on the base size"
    )
    flip: bool = Field(False, description="average with the mirrored image")
    mode: Optional[Literal["auto", "whole", "slide"]] = Field(
        None, description="whole images, sliding windows, or windows only above pixel_budget"
    )
    crop: Optional[Size] = Field(None, description="window, pixels; none: the data set's")
    stride: Union[float, Tuple[int, int], None] = Field(
        None,
        description="step between windows: up to 1 a share of the window, above that pixels; or two numbers "
        "of pixels",
    )
    base: Optional[int] = Field(
        None, ge=1, description="long side, pixels, at scale 1; none: the image's own"
    )
    resize: Optional[Tuple[int, int]] = Field(
        None,
        description="[long, short]: sides, pixels, that the image is scaled to fit into at scale 1, as in "
        "mmsegmentation's (2048, 512); none: base",
    )
    average: Optional[Literal["probabilities", "view_probabilities", "logits", "exponentials"]] = Field(
        None,
        description="what is averaged: probabilities of each window; logits over windows and then "
        "probabilities over scales and mirrored copies, at the image's size; logits over everything; or "
        "exponentials of the logits, summed over mirrored copies, of each window",
    )
    windows: Optional[Literal["flush", "sfsegnets", "gluoncv"]] = Field(
        None,
        description="flush: the last window ends at the border; sfsegnets: so too, but windows grow with "
        "scales above 1, steps round up and overlaps are weighted as its script does; gluoncv: every window "
        "starts at a multiple of the step and is padded where it leaves the image",
    )
    mirror: Optional[Literal["window", "picture"]] = Field(
        None, description="mirror each window where it lies, or the image before windows are cut"
    )
    resample: Optional[Literal["opencv", "pillow", "float"]] = Field(
        None,
        description="resizing of the image: 8-bit bilinear of OpenCV or of Pillow (which smooths when it "
        "shrinks), or exact bilinear of the normalized image",
    )
    rounding: Optional[Literal["sides", "box", "truncate", "long_up"]] = Field(
        None,
        description="of scaled sizes: each side to the nearest; mmsegmentation's two steps; each side down; "
        "the long side up and the short one along",
    )
    align_corners: Optional[bool] = Field(
        None, description="maps are resized with corner pixels on corner pixels, not area on area"
    )
    divisor: Optional[int] = Field(
        None, ge=1, description="network inputs are padded right and below to a multiple of this"
    )
    fill: Optional[List[float]] = Field(
        None, description="colour of that padding, 0 to 255 per channel; none: the mean colour"
    )
    batch: Optional[int] = Field(None, ge=1, description="windows per forward pass; none: 1")
    pixel_budget: Optional[int] = Field(
        None, ge=1, description="largest image, pixels, that auto takes whole; none: 4 megapixels"
    )
    threshold: Optional[float] = Field(
        None, gt=0, lt=1, description="probability of foreground, binary networks; none: 0.5"
    )

    @field_validator("scales")
    @classmethod
    def _positive_scales(cls, value):
        if any(s <= 0 for s in value):
            raise ValueError("scales must be positive")
        return value

    @field_validator("crop", "resize")
    @classmethod
    def _positive_size(cls, value):
        return None if value is None else positive_size(value)

    @field_validator("stride")
    @classmethod
    def _positive_stride(cls, value):
        if isinstance(value, float) and (value <= 0 or (value > 1 and value != int(value))):
            raise ValueError("stride must be a share of the window in (0, 1], or whole pixels")
        return value if value is None or isinstance(value, float) else positive_size(value)

    @field_validator("fill")
    @classmethod
    def _colour(cls, value):
        if value is not None and not all(0 <= v <= 255 for v in value):
            raise ValueError("colours are 0 to 255 per channel")
        return value

    @model_validator(mode="after")
    def _one_size(self):
        if self.base is not None and self.resize is not None:
            raise ValueError("give either base or resize, not both")
        return self

    def resolved(self, crop: Optional[Size] = None) -> Protocol:
        """A protocol with every rule stated; `crop`: the window where none is given, else 1024."""
        # Called on the recipe's `evaluation` group too, which has keys of its own.
        values = {name: getattr(self, name) for name in Protocol.model_fields}
        rules = {**RULES[self.protocol], "crop": crop or 1024, "batch": 1, "threshold": 0.5}
        rules["pixel_budget"] = PIXEL_BUDGET
        for name, rule in rules.items():
            if values[name] is None:
                values[name] = rule
        if isinstance(values["crop"], int):
            values["crop"] = (values["crop"], values["crop"])
        return Protocol(**values)

    def under(self, name: str) -> Protocol:
        """The same scales, sizes and windows by the rules of another protocol."""
        kept = ("scales", "flip", "crop", "base", "resize", "batch", "pixel_budget", "threshold")
        return Protocol(protocol=name, **{key: getattr(self, key) for key in kept})

    def describe(self, mode: Optional[str] = None) -> str:
        """A resolved protocol in words, for printing beside a score; `mode`: what `auto` came to."""
        height, width = self.crop
        step = f"{_number(100 * self.stride)}%" if _is_share(self.stride) else _pixels(self.stride)
        window = f"windows of {width} x {height} every {step}"
        how = {
            "whole": "whole images",
            "slide": f"sliding {window}",
            "auto": f"whole images up to {self.pixel_budget / 1e6:.1f} megapixels, {window} above",
        }[mode or self.mode]
        size = f"long side {self.base}" if self.base else "own size"
        if self.resize:
            size = f"fitted into {self.resize[0]} x {self.resize[1]}"
        scales = "scale " if len(self.scales) == 1 else "scales "
        scales += ", ".join(_number(s) for s in self.scales)
        flip = "with" if self.flip else "no"
        return f"{how}, {size}, {scales}, {flip} flip, scored at label size; {self._rules_in_words()}"

    def _rules_in_words(self) -> str:
        parts = [
            {
                "probabilities": "probabilities averaged",
                "view_probabilities": "logits averaged over windows, probabilities over views",
                "logits": "logits averaged",
                "exponentials": "exponentials of logits averaged",
            }[self.average]
        ]
        if self.windows != "flush":
            parts.append(f"{self.windows} windows")
        if self.resample != "opencv":
            parts.append({"pillow": "Pillow's resizing", "float": "exact resizing"}[self.resample])
        if self.align_corners:
            parts.append("aligned corners")
        padding = f"padded to multiples of {self.divisor}" if self.divisor > 1 else "no padding"
        if self.windows == "gluoncv":
            padding = "padded to the window"
        if self.fill is not None:
            padding += f" with colour {', '.join(_number(v) for v in self.fill)}"
        stated = [name for name, rule in RULES[self.protocol].items() if name not in _FREE]
        changed = any(getattr(self, name) != RULES[self.protocol][name] for name in stated)
        return f"{self.protocol} protocol{' with changes' if changed else ''}: {', '.join([*parts, padding])}"


# Rules that every protocol leaves to the run.
_FREE = ("mode", "stride")


def _is_share(stride) -> bool:
    return isinstance(stride, float) and stride <= 1


def _pixels(stride) -> str:
    return f"{stride[1]} x {stride[0]}" if isinstance(stride, tuple) else f"{int(stride)} pixels"


def _number(value: float) -> str:
    return f"{value:.4g}"
