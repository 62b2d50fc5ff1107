"""Names of DDRNet and PIDNet in their authors' own files of ImageNet weights (see `naming`)."""

from __future__ import annotations

import re
from typing import Dict, List

import numpy as np

from mxnetseg.backbones.naming import Rule

# Stem, and the parts of residual blocks, which both have.
_SHARED: List[Rule] = [
    (r"^conv1\.([0134])\.", lambda m: _unit(f"stem.{int(m[1]) // 3}", str(int(m[1]) % 3))),
    (r"^layer1\.", "stem.2."),
    (r"^layer2\.", "stem_down."),
]
_BLOCKS: List[Rule] = [
    (r"\.conv([123])\.", lambda m: f".units.{int(m[1]) - 1}.conv."),
    (r"\.bn([123])\.", lambda m: f".units.{int(m[1]) - 1}.bn."),
    (r"\.downsample\.0\.", ".down.conv."),
    (r"\.downsample\.1\.", ".down.bn."),
]


def _unit(place: str, index: str) -> str:
    """`place` of a convolution (0) or its norm (1)."""
    return f"{place}.{('conv', 'bn')[int(index)]}."


def ddrnet(deep: bool) -> List[Rule]:
    """`deep`: DDRNet-39, whose branches meet three times."""
    stages = ["3_1", "3_2", "4", "5"] if deep else ["3", "4", "5"]
    numbers = {stage: number for number, stage in enumerate(stages)}
    of_stage = "|".join(stages)
    return [
        *_SHARED,
        (rf"^layer({of_stage})_\.", lambda m: f"detail.{numbers[m[1]]}."),
        (rf"^layer({of_stage})\.", lambda m: f"context.{numbers[m[1]]}."),
        *_BLOCKS,
        (rf"^compression({of_stage})\.([01])\.", lambda m: _unit(f"up.{numbers[m[1]]}", m[2])),
        # The last descent is two convolutions.
        (r"^down4\.([0134])\.", lambda m: _unit(f"down.{numbers['4']}.{int(m[1]) // 3}", str(int(m[1]) % 3))),
        (rf"^down({of_stage})\.([01])\.", lambda m: _unit(f"down.{numbers[m[1]]}", m[2])),
    ]


# A pre-activated unit of the pooling: norm, activation, convolution.
def _pooled(theirs: str, ours: str, first: int = 0) -> List[Rule]:
    return [
        (rf"^spp\.{theirs}\.{first}\.", f"pooling.{ours}.bn."),
        (rf"^spp\.{theirs}\.{first + 2}\.", f"pooling.{ours}.conv."),
    ]


PIDNET: List[Rule] = [
    *_SHARED,
    # The boundary branch's first stages are lone blocks there, stages of one here.
    (r"^layer([345])_d\.(?=conv|bn|downsample)", r"layer\1_d.0."),
    (r"^layer([345])_d\.", lambda m: f"d_branch.{int(m[1]) - 3}."),
    (r"^layer([345])_\.", lambda m: f"p_branch.{int(m[1]) - 3}."),
    (r"^layer([345])\.", lambda m: f"i_branch.{int(m[1]) - 3}."),
    *_BLOCKS,
    (r"^compression([34])\.([01])\.", lambda m: _unit(f"compress.{int(m[1]) - 3}", m[2])),
    (r"^diff([34])\.([01])\.", lambda m: _unit(f"derive.{int(m[1]) - 3}", m[2])),
    (
        r"^pag([34])\.f_([xy])\.([01])\.",
        lambda m: _unit(f"agree.{int(m[1]) - 3}.embed_{'p' if m[2] == 'x' else 'i'}", m[3]),
    ),
    *_pooled("scale0", "scales.0"),
    *(rule for n in (1, 2, 3, 4) for rule in _pooled(f"scale{n}", f"scales.{n}", 1)),
    *_pooled("scale_process", "blends.0"),
    *(rule for n in (1, 2, 3, 4) for rule in _pooled(f"process{n}", f"blends.{n - 1}")),
    *_pooled("compression", "compress"),
    *_pooled("shortcut", "shortcut"),
    (r"^dfm\.conv_([pi])\.([01])\.", lambda m: _unit(f"fuse.blend_{m[1]}", m[2])),
    (r"^dfm\.conv\.0\.", "fuse.blend.bn."),
    (r"^dfm\.conv\.2\.", "fuse.blend.conv."),
]
# What a classifier of ImageNet has of its own, and what it need not have: pooling, fusion, boundaries.
UNUSED = (r"^(down5|last_layer|linear|seghead_[pd]|final_layer|head|fc)\.",)
FRESH_DDRNET = (r"^pooling\.",)
FRESH_PIDNET = (r"^(pooling|agree|derive|fuse|d_branch|compress)\.",)


def without_stem_biases(tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """The authors' stems have biases before batch norms, which take them off again: subtracted from the
    running means, they are gone without a trace."""
    tensors = dict(tensors)
    for name in [n for n in tensors if re.fullmatch(r"conv1\.[03]\.bias", n)]:
        mean = f"conv1.{int(name.split('.')[1]) + 1}.running_mean"
        if mean in tensors:
            tensors[mean] = np.asarray(tensors[mean]) - np.asarray(tensors.pop(name))
    return tensors
