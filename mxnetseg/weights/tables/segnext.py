"""SegNeXt as published by mmsegmentation."""

from __future__ import annotations

import zlib
from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.backbones.hierarchical_names import MSCAN_NAMES
from mxnetseg.backbones.naming import under
from mxnetseg.weights.rename import reference

BASES = 16


def with_bases(tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """`tensors` and bases for the factorization, which published files lack: they are drawn at each pass
    there, here once and always the same."""
    width = np.shape(tensors["decode_head.hamburger.ham_in.conv.weight"])[0]
    draw = np.random.RandomState(zlib.crc32(b"ham.bases")).uniform(0, 1, (width, BASES)).astype(np.float32)
    return {**tensors, "decode_head.hamburger.ham.bases": draw / np.sqrt((draw**2).sum(0))}


for _letter, _size in dict(t="tiny", b="base").items():
    reference(
        f"mmseg_segnext_mscan-{_letter}",
        model="segnext",
        rules=[
            *under("backbone.", MSCAN_NAMES),
            (r"^decode_head\.conv_seg\.", "head.classifier."),
            (r"\.gn\.", ".norm."),
            (r"\.ham_in\.conv\.", ".before."),
            (r"\.ham_out\.", ".after."),
            (r"^decode_head\.", "head."),
        ],
        form="mmseg",
        options=dict(backbone=f"mscan_{_size}"),
        prepare=with_bases,
    )
