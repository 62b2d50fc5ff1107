"""Vision transformers of several repositories: names of blocks, and the position embedding."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.backbones.naming import VIT, grid_of, under
from mxnetseg.weights.rename import Adapt, Prepare

MMSEG_VIT = under("backbone.", VIT)


def position_map(class_token: bool, name: str = "backbone.pos_embed") -> Prepare:
    """A function for `Reference.prepare`: the embedding `(1, tokens, C)` as a map `(1, C, rows, columns)`,
    its entry for the class token apart."""

    def prepare(tensors: Mapping[str, Any]) -> Dict[str, Any]:
        tensors = dict(tensors)
        table = np.asarray(tensors.pop(name))
        if class_token:
            tensors["backbone.cls_pos"], table = table[:, :1], table[:, 1:]
        rows, columns = grid_of(table.shape[1])
        tensors["backbone.pos_embed"] = table.transpose(0, 2, 1).reshape(1, -1, rows, columns)
        return tensors

    return prepare


def with_grid(class_token: bool, name: str = "backbone.pos_embed") -> Adapt:
    """A function for `Reference.adapt`: builds the backbone with the grid of the stored embedding."""

    def adapt(options: Dict[str, Any], tensors: Mapping[str, Any]) -> Dict[str, Any]:
        tokens = np.asarray(tensors[name]).shape[1] - class_token if name in tensors else 0
        if tokens < 1:
            return options
        preset = options.get("backbone_options", {})
        return {**options, "backbone_options": {**preset, "grid": grid_of(tokens)}}

    return adapt
