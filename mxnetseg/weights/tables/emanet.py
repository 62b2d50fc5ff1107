"""EMANet as published in SFSegNets and mmsegmentation."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.weights.rename import Prepare, reference
from mxnetseg.weights.tables.common import MMSEG_AUX, MMSEG_RESNET, SFSEGNETS_RESNET


def flat_bases(name: str, moving: bool) -> Prepare:
    """Bases `(1, channels, bases)` as the flat array we keep, with the spread that moving ones need."""

    def prepare(tensors: Mapping[str, Any]) -> Dict[str, Any]:
        bases = np.asarray(tensors[name], dtype=np.float32).reshape(-1)
        extra = {"spread": np.ones_like(bases)} if moving else {}
        return {**tensors, name: bases, **extra}

    return prepare


BASES = [
    (r"^(emau\.mu|decode_head\.ema_module\.bases)$", "head.ema.attention.bases"),
    (r"^spread$", "head.ema.attention.spread"),
]
reference(
    "emanet",
    model="emanet",
    prepare=flat_bases("emau.mu", moving=False),
    rules=SFSEGNETS_RESNET
    + BASES
    + [
        (r"^fc0\.", "head.reduce."),
        (r"^emau\.conv1\.", "head.ema.before."),
        (r"^emau\.conv2\.0\.", "head.ema.after.conv."),
        (r"^emau\.conv2\.1\.", "head.ema.after.bn."),
        (r"^fc1\.0\.", "head.smooth."),
        (r"^fc2\.", "head.classifier."),
    ],
    form="sfsegnets",
)
reference(
    "mmseg_emanet_r50-d8",
    model="emanet",
    prepare=flat_bases("decode_head.ema_module.bases", moving=True),
    rules=MMSEG_RESNET
    + BASES
    + MMSEG_AUX
    + [
        (r"^decode_head\.ema_in_conv\.", "head.reduce."),
        (r"^decode_head\.ema_mid_conv\.conv\.", "head.ema.before."),
        (r"^decode_head\.ema_out_conv\.", "head.ema.after."),
        (r"^decode_head\.bottleneck\.", "head.smooth."),
        (r"^decode_head\.conv_cat\.", "head.join."),
        (r"^decode_head\.conv_seg\.", "head.classifier."),
    ],
    form="mmseg",
    options=dict(backbone="resnet50_v1c"),
)
