"""EoMT as published by transformers."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.backbones.naming import grid_of, rewrite
from mxnetseg.backbones.token_names import TOKENS, joined
from mxnetseg.weights.rename import reference

POSITIONS = "embeddings.position_embeddings.weight"


def prepare(tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """Projections joined; the embedding of places, which the class token has none of, as a map."""
    tensors = joined(tensors)
    table = np.asarray(tensors.pop(POSITIONS))
    rows, columns = grid_of(len(table))
    return {**tensors, "backbone.pos_embed": table.T.reshape(1, -1, rows, columns)}


def adapt(options: Dict[str, Any], tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """The grid of the stored embedding."""
    preset = options.get("backbone_options", {})
    if POSITIONS not in tensors:
        return options
    return {**options, "backbone_options": {**preset, "grid": grid_of(len(np.asarray(tensors[POSITIONS])))}}


reference(
    "hf_eomt-small",
    model="eomt",
    form="hf",
    rules=[
        (
            r"^((?:embeddings|layers|layernorm)\..*)$",
            lambda found: "backbone." + rewrite(found[1], TOKENS),
        ),
        (r"^query\.weight$", "head.queries"),
        (r"^class_predictor\.", "head.classifier."),
        (r"^mask_head\.", "head.mask_layers."),
        (r"^upscale_block\.block\.(\d)\.(conv\d)\.", r"head.enlarge.\1.\2."),
        (r"^upscale_block\.block\.(\d)\.layernorm2d\.", r"head.enlarge.\1.norm."),
    ],
    options=dict(backbone="dinov2_small"),
    # Weights of the classes in the training loss.
    unused=(r"^criterion\.empty_weight$",),
    prepare=prepare,
    adapt=adapt,
)
