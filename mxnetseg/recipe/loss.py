"""The recipe's `loss` group; see `mxnetseg.losses` for what it computes."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, Union

from pydantic import Field, field_validator

from mxnetseg.recipe.group import Group


class OneLoss(Group):
    """A loss and the pixels that it is a mean over; see `mxnetseg.losses`."""

    name: str = Field("cross_entropy", description="loss, as registered")
    options: Dict[str, Any] = Field(default_factory=dict, description="keywords of the loss's constructor")
    class_weights: Union[Literal["auto"], List[float], None] = Field(
        None, description="weight of each class; auto: median frequency balancing over the training labels"
    )
    normalizer: Literal["weights", "pixels", "all"] = Field(
        "weights",
        description="what the sum is divided by: the class weights of the pixels that count, their number, "
        "or the number of all pixels, ignored ones included",
    )
    ohem_threshold: Optional[float] = Field(
        None,
        gt=0,
        le=1,
        description="online hard example mining: keep pixels whose true class has at most this probability",
    )
    ohem_min_kept: Union[int, float, None] = Field(
        None,
        description="pixels kept at least, the hardest ones: their number, or below 1 a share of all pixels; "
        "without a threshold, exactly so many",
    )
    ohem_per: Union[Literal["batch", "image"], int] = Field(
        "batch",
        description="what ohem_min_kept counts for: the global batch, each of its images, or so many images",
    )
    ohem_rule: Literal["at_most", "below"] = Field(
        "at_most",
        description="keep probabilities up to the threshold and the ohem_min_kept-th smallest, or strictly "
        "below the threshold and the next one (as mmsegmentation does)",
    )

    @field_validator("class_weights")
    @classmethod
    def _not_negative(cls, value):
        return _not_negative(value)

    @field_validator("ohem_min_kept", mode="before")
    @classmethod
    def _number_or_share(cls, value):
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
            return value
        if isinstance(value, float) and 0 < value < 1:
            return value
        raise ValueError("must be a whole number of pixels from 1, or a share between 0 and 1")

    @field_validator("ohem_per")
    @classmethod
    def _some_images(cls, value):
        if isinstance(value, int) and value < 1:
            raise ValueError("must be batch, image, or a number of images from 1")
        return value

    @property
    def mined(self) -> bool:
        """Whether hard examples are chosen."""
        return self.ohem_threshold is not None or self.ohem_min_kept is not None


class WhereGroup(Group):
    """Pixels that count: where the sigmoid of an output of one logit is above a number."""

    output: int = Field(ge=0, description="output, 0 is the main one")
    above: float = Field(ge=0, lt=1, description="probability")


class WeightedLoss(OneLoss):
    """One of the losses of an output."""

    weight: float = Field(1.0, ge=0, description="factor in the sum that is minimized")
    target: Optional[str] = Field(
        None,
        description="what the output is compared with: classes, boundary, detail; none: by the output's kind",
    )
    target_options: Dict[str, Any] = Field(default_factory=dict, description="keywords of the target")
    where: Optional[WhereGroup] = Field(None, description="count only pixels where another output says so")
    label: Optional[str] = Field(None, description="name among the reported losses")


class LossGroup(OneLoss):
    """What is minimized: a mean over the valid pixels of the global batch; see `mxnetseg.losses`.

    The loss named here is that of every output that predicts classes; maps of presence, detail and boundaries
    have losses of their own. `outputs` states the losses of each output instead; in it, null stands for the
    loss named here.
    """

    aux_weights: Union[float, List[float]] = Field(
        0.4, description="weight of the auxiliary outputs: one for all, or one for each"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target spread evenly over all classes"
    )
    outputs: Optional[List[Optional[List[WeightedLoss]]]] = Field(
        None, description="weighted losses of each network output, the main one first"
    )

    @field_validator("aux_weights")
    @classmethod
    def _not_negative_aux(cls, value):
        return _not_negative(value)


def _not_negative(value):
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(n, (int, float)) and n < 0 for n in numbers):
        raise ValueError("weights must not be negative")
    return value
