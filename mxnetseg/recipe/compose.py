"""A recipe of two parts: how a model is trained, and on which data.

The model's part is what its authors published of it: network, loss, optimizer, shape of the schedule. The
data set's part, configs/_base_/<data>.yaml, is data, augmentation, length and protocol. An `optimizer` in the
latter that has a name replaces the model's, schedule included (short runs from scratch); one without holds
for networks that SGD trains. What was published for other data and does not carry over is left out and noted.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from mxnetseg.data import DATASETS
from mxnetseg.recipe.fields import AugmentGroup, DataGroup
from mxnetseg.recipe.load import merge

Values = Dict[str, Any]
_MODELS = ("model", "loss", "optimizer", "schedule")
_LENGTH = ("epochs", "iterations")


def model_part(values: Mapping[str, Any]) -> Values:
    """What of a recipe's values belongs to the model."""
    part = {group: copy.deepcopy(values.get(group) or {}) for group in _MODELS}
    part["model"].pop("nclass", None)
    part["schedule"] = {key: value for key, value in part["schedule"].items() if key not in _LENGTH}
    return part


def replaces_optimizer(part: Mapping[str, Any]) -> bool:
    """Whether a data set's part trains by an optimizer of its own."""
    return "name" in (part.get("optimizer") or {})


def compose(own: Values, usual: Values, part: Values) -> Tuple[Values, List[str]]:
    """(values, notes): the model's part `own` of the recipe `usual`, with the data set's `part`."""
    own, part, notes = dict(own), dict(part), []
    if replaces_optimizer(part):
        own = {"model": own["model"], "loss": own["loss"]}
    elif "optimizer" in part and own["optimizer"].get("name", "sgd") != "sgd":
        del part["optimizer"]
    values = merge(own, part)
    for settle in (_class_weights, _mined_pixels, _warmup, _steps):
        notes += settle(values, usual)
    return values, notes


def with_backbone(values: Values, backbone: str, same_family: bool) -> Tuple[Values, List[str]]:
    """(values, notes) with another backbone; options of one family mean nothing to another."""
    model = {**values["model"], "backbone": backbone}
    notes = []
    if not same_family:
        for key in ("output_stride", "backbone_options"):
            if model.pop(key, None) is not None:
                notes.append(f"model.{key} is of another backbone and left out")
    return {**values, "model": model}, notes


# ----- what does not carry over from one data set to another


def _losses(values: Values) -> Iterator[Values]:
    """The loss of all outputs, and the losses stated of single ones."""
    yield values["loss"]
    for output in values["loss"].get("outputs") or ():
        yield from output or ()


def _class_weights(values: Values, usual: Values) -> List[str]:
    weighted = [loss for loss in _losses(values) if isinstance(loss.get("class_weights"), list)]
    if not weighted or _classes(values) == _classes(usual):
        return []
    for loss in weighted:
        del loss["class_weights"]
    return ["loss.class_weights are of other classes and left out; `auto` counts the labels"]


def _classes(values: Values) -> List[str]:
    return list(DATASETS.get(values["data"]["name"]).classes)


def _mined_pixels(values: Values, usual: Values) -> List[str]:
    """Hard example mining keeps at most the share of pixels that it keeps of the usual batch."""
    notes = []
    for loss in _losses(values):
        before = loss.get("ohem_min_kept")
        if not isinstance(before, int):
            continue
        # What is stated of a number of images grows with the batch by itself.
        count = _pixels if loss.get("ohem_per", "batch") == "batch" else _crop_pixels
        kept = max(1, before * count(values) // count(usual))
        if kept < before:
            loss["ohem_min_kept"] = kept
            notes.append(f"loss.ohem_min_kept {before} -> {kept}: the same share of fewer pixels")
    return list(dict.fromkeys(notes))


def _pixels(values: Values) -> int:
    batch = (values.get("data") or {}).get("batch_size", DataGroup.model_fields["batch_size"].default)
    return _crop_pixels(values) * batch


def _crop_pixels(values: Values) -> int:
    crop = (values.get("augment") or {}).get("crop", AugmentGroup.model_fields["crop"].default)
    height, width = crop if isinstance(crop, list) else (crop, crop)
    return height * width


def _warmup(values: Values, usual: Values) -> List[str]:
    """A warm-up that takes most of a short run is no warm-up: at most a tenth."""
    length, before = _iterations(values), values["schedule"].get("warmup_iterations") or 0
    if length is None or 10 * before <= length:
        return []
    values["schedule"]["warmup_iterations"] = length // 10
    return [f"schedule.warmup_iterations {before} -> {length // 10}: a tenth of this run"]


def _steps(values: Values, usual: Values) -> List[str]:
    """Decay by steps happens at the same shares of the run."""
    schedule = values["schedule"]
    length, usual_length = _epochs(values), _epochs(usual)
    if schedule.get("name") != "step":
        return []
    if not schedule.get("step_epochs") or length is None or usual_length is None:
        schedule.pop("step_epochs", None)
        schedule.pop("step_iterations", None)
        schedule["name"] = "poly"
        return ["schedule: poly in place of step, as the number of epochs is not known here"]
    schedule["step_epochs"] = [max(1, round(n * length / usual_length)) for n in schedule["step_epochs"]]
    return [f"schedule.step_epochs {schedule['step_epochs']}: the same shares of this run"]


def _epochs(values: Values) -> Optional[float]:
    schedule = values.get("schedule") or {}
    per_epoch = _iterations_per_epoch(values)
    if schedule.get("epochs"):
        return schedule["epochs"]
    return schedule["iterations"] / per_epoch if schedule.get("iterations") and per_epoch else None


def _iterations(values: Values) -> Optional[int]:
    schedule = values["schedule"]
    per_epoch = _iterations_per_epoch(values)
    if schedule.get("iterations"):
        return schedule["iterations"]
    return int(schedule["epochs"] * per_epoch) if schedule.get("epochs") and per_epoch else None


def _iterations_per_epoch(values: Values) -> Optional[float]:
    """By the number of images that the publication of the data set states; None where it states none."""
    data = values.get("data") or {}
    images = getattr(DATASETS.get(data["name"]), "sizes", {}).get("train") if data.get("name") else None
    return images / data.get("batch_size", DataGroup.model_fields["batch_size"].default) if images else None
