"""MA-Net as published by segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.weights.tables.encoders import smp, unit

smp(
    "manet",
    "resnet34",
    "manet",
    [
        (r"^decoder\.center\.(top|center|bottom|out)_conv\.", r"head.center.\1."),
        *unit(r"decoder\.blocks\.(\d)\.hl_conv\.0", r"head.blocks.\1.smooth"),
        *unit(r"decoder\.blocks\.(\d)\.hl_conv\.1", r"head.blocks.\1.match"),
        *unit(r"decoder\.blocks\.(\d)\.conv([12])", r"head.blocks.\1.unit\2"),
        (r"^decoder\.blocks\.(\d)\.SE_ll\.", r"head.blocks.\1.skip_gate."),
        (r"^decoder\.blocks\.(\d)\.SE_hl\.", r"head.blocks.\1.gate."),
        (r"^(head\.blocks\.\d\.(?:skip_)?gate)\.1\.", r"\1.squeeze."),
        (r"^(head\.blocks\.\d\.(?:skip_)?gate)\.3\.", r"\1.excite."),
    ],
)
