"""SegFormer as published by mmsegmentation, transformers and segmentation_models.pytorch."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.backbones.naming import HF_MIT, MIT, split_projections, under
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.encoders import smp, unit

RULES = [
    *under("backbone.", MIT),
    (r"^decode_head\.convs\.", "head.levels."),
    (r"^decode_head\.fusion_conv\.", "head.fuse."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
]


for _size in ("b0", "b1", "b2", "b3", "b4", "b5"):
    reference(
        f"mmseg_segformer_mit-{_size}",
        model="segformer",
        rules=RULES,
        form="mmseg",
        options=dict(backbone=f"mit_{_size}"),
        prepare=split_projections,
    )


def _ours(tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """Keys and values in one projection, and levels joined shallow first where they were deep first."""
    ours = dict(tensors)
    for name in tensors:
        if ".k_proj." in name:
            pair = (ours.pop(name), ours.pop(name.replace(".k_proj.", ".v_proj.")))
            ours[name.replace(".k_proj.", ".kv.")] = np.concatenate(pair)
    return _shallow_first(ours, "decode_head.linear_fuse.weight", 4)


def _shallow_first(tensors: Mapping[str, Any], name: str, levels: int) -> Dict[str, Any]:
    """With the weights of levels that are joined deepest first there in our order."""
    fuse = np.asarray(tensors[name])
    turned = np.concatenate(np.split(fuse, levels, axis=1)[::-1], axis=1)
    return {**tensors, name: turned}


reference(
    "hf_segformer_b0",
    model="segformer",
    rules=[
        *under("segformer.", HF_MIT),
        (r"^decode_head\.linear_projections\.(\d)\.proj\.", r"head.levels.\1."),
        (r"^decode_head\.linear_fuse\.", "head.fuse.conv."),
        (r"^decode_head\.batch_norm\.", "head.fuse.bn."),
        (r"^decode_head\.classifier\.", "head.classifier."),
    ],
    form="transformers",
    prepare=_ours,
)

SMP = [
    (r"^decoder\.mlp_stage\.(\d)\.linear\.", r"stage.\1."),
    *unit(r"decoder\.fuse_stage", "head.fuse"),
]
for _encoder, _levels in (("mit_b0", 4), ("resnet34", 5)):
    # Its stages begin with the deepest map.
    _order = (r"^stage\.(\d)\.", lambda m, last=_levels - 1: f"head.levels.{last - int(m.group(1))}.")
    smp(
        "segformer",
        _encoder,
        "segformer",
        [*SMP, _order],
        prepare=partial(_shallow_first, name="decoder.fuse_stage.0.weight", levels=_levels),
    )
