"""Vision transformers of several repositories: names of blocks, and the position embedding."""

from __future__ import annotations

import numpy as np

MMSEG_VIT = [
    (r"^backbone\.patch_embed\.projection\.", "backbone.patch_embed."),
    (r"^backbone\.layers\.", "backbone.blocks."),
    (r"\.ln([12])\.", r".norm\1."),
    (r"\.attn\.attn\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
]


def position_map(class_token, name="backbone.pos_embed", position="backbone.cls_pos"):
    """A function for `Reference.prepare`: the embedding `(1, tokens, C)` as a map `(1, C, rows, columns)`,
    its entry for the class token apart."""

    def prepare(tensors):
        tensors = dict(tensors)
        table = np.asarray(tensors.pop(name))
        if class_token:
            tensors[position], table = table[:, :1], table[:, 1:]
        rows, columns = _grid_of(table.shape[1])
        tensors["backbone.pos_embed"] = table.transpose(0, 2, 1).reshape(1, -1, rows, columns)
        return tensors

    return prepare


def with_grid(class_token, name="backbone.pos_embed"):
    """A function for `Reference.adapt`: builds the backbone with the grid of the stored embedding."""

    def adapt(options, tensors):
        tokens = np.asarray(tensors[name]).shape[1] - class_token if name in tensors else 0
        if tokens < 1:
            return options
        preset = options.get("backbone_options", {})
        return {**options, "backbone_options": {**preset, "grid": _grid_of(tokens)}}

    return adapt


def _grid_of(patches):
    # Here, because the table is read without MXNet, which the backbones import.
    from mxnetseg.backbones.vit import grid_of

    return grid_of(patches)
