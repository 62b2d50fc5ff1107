"""Checkpoints as ONNX files that describe themselves (see `description`)."""

from __future__ import annotations

from typing import Any, Dict

from mxnetseg.recipe import Recipe


def export_checkpoint(checkpoint: Any, recipe: Recipe, path: Any, **form: Any) -> Dict[str, float]:
    """Write the network of a `.params` file or run folder as an ONNX file.

    `form`: as `mxnetseg.export.to_onnx` takes it. Returns what the comparison with MXNet found. Raises
    CheckpointError, ExportError and ConfigError.
    """
    from mxnetseg.export import to_onnx
    from mxnetseg.export.onnx_model import Input
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
    return to_onnx(net, path, statistics=Input(*recipe.input.of(dataset)), metadata=metadata, **form)
