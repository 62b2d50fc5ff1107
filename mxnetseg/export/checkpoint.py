"""Checkpoints as ONNX files that describe themselves (see `description`)."""

from __future__ import annotations

from typing import Any, Dict, Optional

from mxnetseg.data.datasets.base import Dataset
from mxnetseg.errors import ConfigError
from mxnetseg.recipe import Recipe


def export_checkpoint(
    checkpoint: Any,
    recipe: Recipe,
    path: Any,
    calibrate: Optional[Dataset] = None,
    pictures: int = 32,
    **form: Any,
) -> Dict[str, float]:
    """Write the network of a `.params` file or run folder as an ONNX file.

    `form`: as `mxnetseg.export.to_onnx` takes it. `calibrate`: a data set with labels, of whose images
    `pictures` calibrate 8-bit integers. Returns what the comparison with MXNet found, and for integers the
    scores. Raises CheckpointError, ExportError, DatasetError and ConfigError.
    """
    from mxnetseg.export import to_onnx
    from mxnetseg.export.form import Form, Input
    from mxnetseg.facts import default_backbone
    from mxnetseg.predict.session import pictures_of
    from mxnetseg.weights.checkpoint import load_network

    dataset = pictures_of(recipe)
    net, _ = load_network(checkpoint, recipe, recipe.model.nclass or len(dataset.classes) or None)
    group = recipe.model
    # Where the pictures lay on the machine that trained is nobody's business.
    shared = recipe.model_copy(update={"data": recipe.data.model_copy(update={"root": None})})
    metadata = {
        "model": group.name,
        "backbone": group.backbone or default_backbone(group.name, group.form),
        "classes": list(dataset.scored_classes),
        "palette": [[int(v) for v in colour] for colour in dataset.scored_palette],
        "protocol": recipe.evaluation.model_dump(mode="json"),
        "recipe": shared.to_yaml(),
        "form": {"argmax": form.get("argmax", False), "uint8": form.get("uint8", False)},
    }
    statistics = Input(*recipe.input.of(dataset))
    if calibrate is not None:
        if len(calibrate.scored_classes) != len(dataset.scored_classes):
            raise ConfigError(
                f"data set {calibrate.name!r} has {len(calibrate.scored_classes)} classes, the network was "
                f"trained on the {len(dataset.scored_classes)} of {recipe.data.name!r}: calibrate on a data "
                f"set of its classes"
            )
        from mxnetseg.export.quantize import calibration_of

        form["int8"] = calibration_of(calibrate, Form(**form), statistics, pictures)
    return to_onnx(net, path, statistics=statistics, metadata=metadata, **form)
