"""SegFormer as published by mmsegmentation and transformers."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.backbones.naming import HF_MIT, MIT, split_projections, under
from mxnetseg.weights.rename import reference

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
    fuse = np.asarray(ours["decode_head.linear_fuse.weight"])
    ours["decode_head.linear_fuse.weight"] = np.concatenate(np.split(fuse, 4, axis=1)[::-1], axis=1)
    return ours


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
