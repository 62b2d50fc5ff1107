"""Vision transformers of several repositories: names of blocks, the position embedding, tables of offsets."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.backbones.naming import grid_of, under
from mxnetseg.backbones.token_names import TOKENS, of_file
from mxnetseg.weights.rename import Adapt, Prepare

MMSEG_VIT = under("backbone.", TOKENS)


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


def transformer(prefix: str, blocks: int, keys_have_bias: bool = True, positions: str = "") -> Prepare:
    """A function for `Reference.prepare`: tensors under `prefix` cut as ours are; the network runs so many
    `blocks`. `positions`: the name of the embedding of places, the class token's first."""

    def prepare(tensors: Mapping[str, Any]) -> Dict[str, Any]:
        cut = of_file(tensors, blocks, prefix, keys_have_bias, keep_idle=True)
        return position_map(True, positions)(cut) if positions else cut

    return prepare


def with_grid(class_token: bool, name: str = "backbone.pos_embed") -> Adapt:
    """A function for `Reference.adapt`: builds the backbone with the grid of the stored embedding."""

    def adapt(options: Dict[str, Any], tensors: Mapping[str, Any]) -> Dict[str, Any]:
        tokens = np.asarray(tensors[name]).shape[1] - class_token if name in tensors else 0
        return _gridded(options, grid_of(tokens)) if tokens > 0 else options

    return adapt


def with_window(options: Dict[str, Any], tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """A function for `Reference.adapt`: builds the backbone with the grid of its tables of offsets."""
    tables = [np.asarray(tensors[name]) for name in tensors if name.endswith("position_bias_table")]
    if not tables:
        return options
    rows, columns = grid_of(len(tables[0]) - 3)
    return _gridded(options, ((rows + 1) // 2, (columns + 1) // 2))


def _gridded(options, grid):
    return {**options, "backbone_options": {**options.get("backbone_options", {}), "grid": grid}}
