"""U-Net as published by segmentation_models.pytorch and mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_ASPP
from mxnetseg.weights.tables.encoders import smp, unit

BLOCKS = [
    *unit(r"decoder\.blocks\.(\d)\.conv([12])", r"neck.blocks.\1.unit\2"),
    (r"^decoder\.blocks\.(\d)\.attention([12])\.attention\.", r"neck.blocks.\1.gate\2."),
    (r"^(neck\.blocks\.\d\.gate\d)\.cSE\.1\.", r"\1.channel.squeeze."),
    (r"^(neck\.blocks\.\d\.gate\d)\.cSE\.3\.", r"\1.channel.excite."),
    (r"^(neck\.blocks\.\d\.gate\d)\.sSE\.0\.", r"\1.pixel."),
]
for _encoder in ("resnet34", "resnet50", "mobilenet_v2", "efficientnet-b0", "mit_b0"):
    smp("unet", _encoder, "unet", BLOCKS)
# The last block has no skip, so nothing runs the gate on what would be joined.
smp(
    "unet",
    "resnet34",
    "unet",
    BLOCKS,
    suffix="_scse",
    form="smp_scse",
    unused=(r"^decoder\.blocks\.4\.attention1\.",),
)

# Its decoder counts blocks from the finest, ours from the deepest.
MMSEG = [
    (r"^backbone\.encoder\.0\.0\.convs\.", "backbone.stages.0."),
    (r"^backbone\.encoder\.(\d)\.1\.convs\.", r"backbone.stages.\1."),
    (
        r"^backbone\.decoder\.(\d)\.conv_block\.convs\.(\d)\.",
        lambda m: f"neck.blocks.{3 - int(m.group(1))}.unit{int(m.group(2)) + 1}.",
    ),
    (
        r"^backbone\.decoder\.(\d)\.upsample\.interp_upsample\.1\.",
        lambda m: f"neck.blocks.{3 - int(m.group(1))}.up.",
    ),
    (r"^auxiliary_head\.convs\.", "aux_heads.0.units."),
    (r"^auxiliary_head\.conv_seg\.", "aux_heads.0.classifier."),
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
    (r"^decode_head\.convs\.", "head.classifier.units."),
]
PSP = [
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"head.context.stages.\1."),
    (r"^decode_head\.bottleneck\.", "head.classifier.units.0."),
]
ASPP = [*MMSEG_ASPP, (r"^head\.aspp\.", "head.context.")]
for _head, _form, _rules in (
    ("fcn", "mmseg", []),
    ("pspnet", "mmseg_pspnet", PSP),
    ("deeplabv3", "mmseg_deeplabv3", ASPP),
):
    reference(f"mmseg_unet-s5-d16_{_head}", model="unet", form=_form, rules=[*MMSEG, *_rules])
