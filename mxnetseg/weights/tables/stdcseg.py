"""STDC-Seg as published in SFSegNets and mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.bisenet import sfsegnets_context
from mxnetseg.weights.tables.common import MMSEG_AUX_HEADS, stdc_backbone, stdc_unused

SFSEGNETS = sfsegnets_context(r"cp\.") + [
    (r"^conv_out\.conv\.", "head.classifier.units.0."),
    (r"^conv_out\.conv_out\.", "head.classifier.classifier."),
    (r"^conv_out16\.", "aux_heads.0."),
    (r"^conv_out32\.", "aux_heads.1."),
    (r"^(aux_heads\.\d)\.conv\.", r"\1.units.0."),
    (r"^(aux_heads\.\d)\.conv_out\.", r"\1.classifier."),
]
MMSEG = [
    (r"^backbone\.backbone\.stages\.([01])\.", r"backbone.stem.\1."),
    (r"^backbone\.backbone\.stages\.([234])\.", lambda m: f"backbone.stages.{int(m.group(1)) - 2}."),
    (r"^(backbone\.stages\.\d\.\d)\.layers\.", r"\1.units."),
    (r"^(backbone\.stages\.\d\.\d)\.downsample\.", r"\1.down."),
    (r"^backbone\.conv_avg\.", "neck.context_path.pooled."),
    (r"^backbone\.arms\.0\.", "neck.context_path.refine_c4."),
    (r"^backbone\.arms\.1\.", "neck.context_path.refine_c3."),
    (r"^(neck\.context_path\.refine_c\d)\.conv_layer\.", r"\1.unit."),
    (r"^(neck\.context_path\.refine_c\d)\.atten_conv_layer\.1\.", r"\1.gate."),
    (r"^backbone\.convs\.0\.", "neck.context_path.smooth_c4."),
    (r"^backbone\.convs\.1\.", "neck.context_path.smooth_c3."),
    (r"^backbone\.ffm\.conv0\.", "neck.fusion.join."),
    (r"^backbone\.ffm\.attention\.1\.conv\.", "neck.fusion.gate.0."),
    (r"^backbone\.ffm\.attention\.2\.conv\.", "neck.fusion.gate.1."),
    (r"^decode_head\.convs\.0\.", "head.classifier.units.0."),
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
] + MMSEG_AUX_HEADS
# Built for boundaries, run for nothing and never trained.
BOUNDARY = (r"^conv_out_sp(2|4|8|16)\.",)
# Constants of the boundary loss: how its targets are made.
TARGET_KERNELS = (r"^auxiliary_head\.2\.(fusion|laplacian)_kernel$",)

for _version in (1, 2):
    reference(
        f"stdcseg_stdc{_version}",
        model="stdcseg",
        rules=stdc_backbone(_version, "cp.backbone") + SFSEGNETS,
        unused=BOUNDARY + stdc_unused(r"cp\.backbone"),
        form="sfsegnets",
        options=dict(backbone=f"stdc{_version}"),
    )
    reference(
        f"mmseg_stdc{_version}",
        model="stdcseg",
        rules=MMSEG,
        unused=TARGET_KERNELS,
        constants={
            "laplacian_kernel$": [-1, -1, -1, -1, 8, -1, -1, -1, -1],
            "fusion_kernel$": [0.6, 0.3, 0.1],
        },
        form="mmseg",
        options=dict(backbone=f"stdc{_version}"),
    )
