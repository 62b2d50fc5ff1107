"""How published networks on transformers and their like were trained, where it is not the usual way of their
architecture: (optimizer, schedule, batch size, crop) by the beginning of an id. All are mmsegmentation's on
ADE20K, Mask2Former's on Cityscapes."""

from __future__ import annotations

from typing import Any, Dict, Tuple

Group = Dict[str, Any]
Run = Tuple[Group, Group, int, Any]


def linear_decay(iterations: int = 160000) -> Group:
    """The learning rate of most transformers: a short rise, then straight down to zero."""
    return dict(
        name="poly", power=1.0, iterations=iterations, end_lr=0.0, warmup_iterations=1500, warmup_start=1e-6
    )


# Norms of mmsegmentation's ViT are called `ln`, so that its rule against their decay finds none.
_VIT = (dict(name="adamw", lr=6e-5, weight_decay=0.01, no_decay=["embedding"]), linear_decay(), 16, 512)
_BEIT: Run = (
    dict(name="adamw", lr=3e-5, weight_decay=0.05, layer_decay=0.9, no_decay=["norm", "bias", "embedding"]),
    linear_decay(),
    16,
    640,
)
_ADAMW = dict(name="adamw", lr=6e-5, weight_decay=0.01, no_decay=["norm", "embedding"])
# Rates by stage, and no decay of anything of one dimension.
_CONVNEXT = dict(
    name="adamw", lr=1e-4, weight_decay=0.05, no_decay=["norm", "bias"], layer_decay=0.9, layer_decay_last=3
)
# Twins under Semantic FPN: mmsegmentation's 80,000 iterations with AdamW in place of SGD.
_PLAIN = dict(name="adamw", lr=1e-4, weight_decay=1e-4)
_SEGNEXT = dict(name="adamw", lr=6e-5, weight_decay=0.01, head_lr_mult=10.0, no_decay=["norm"])
# Heads of queries: the rate is the backbone's where it has one of its own.
_MASKFORMER = dict(name="adamw", lr=1e-5, weight_decay=1e-4, head_lr_mult=10.0, clip_grad_norm=0.01)
_MASK2FORMER = dict(_MASKFORMER, weight_decay=0.05, no_decay=["norm", "embedding"])
RUNS: Dict[str, Run] = {
    **dict.fromkeys(("upernet_deit", "upernet_vit", "dpt_vit", "dpt_dinov2"), _VIT),
    **dict.fromkeys(("upernet_beit", "beit", "data2vec"), _BEIT),
    # DINOv2's linear evaluation: the backbone stays as it is.
    "dinov2-small_linear": (
        dict(name="adamw", lr=1e-3, weight_decay=1e-4, frozen_stages=12),
        dict(linear_decay(40000), power=0.9),
        16,
        512,
    ),
    "upernet_swin": (_ADAMW, linear_decay(), 16, 512),
    "upernet_convnext": (_CONVNEXT, linear_decay(), 16, 512),
    "upernet_twins_svt": (_ADAMW, linear_decay(), 16, 512),
    "upernet_twins_pcpvt": (_ADAMW, linear_decay(), 32, 512),
    "maskformer_r50": (_MASKFORMER, dict(name="poly", power=0.9, iterations=160000, end_lr=0.0), 16, 512),
    "maskformer_swin-t": (dict(_ADAMW, clip_grad_norm=0.01), linear_decay(), 16, 512),
    **dict.fromkeys(
        ("mask2former_r50", "mask2former_swin-t"),
        (_MASK2FORMER, dict(name="poly", power=0.9, iterations=90000, end_lr=0.0), 16, [512, 1024]),
    ),
    "segnext": (_SEGNEXT, linear_decay(), 16, 512),
    "fpn_poolformer": (dict(_PLAIN, lr=2e-4), dict(name="poly", power=0.9, iterations=40000), 32, 512),
    "fpn_twins": (_PLAIN, dict(name="poly", power=0.9, iterations=80000, end_lr=1e-4), 32, 512),
}


def run_of(reference_id: str) -> Any:
    """The run of an id of mmsegmentation or transformers; None where its architecture's is meant."""
    name = reference_id.partition("_")[2]
    return next((run for beginning, run in RUNS.items() if name.startswith(beginning)), None)
