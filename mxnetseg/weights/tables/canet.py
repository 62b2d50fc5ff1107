"""Both versions of CANet as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import GLUONCV_RESNET, mxseg_fcn_head

reference(
    "mxseg_canetv1_resnet50",
    model="canet",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.gp\.conv1x1\.", "head.global_flow.unit."),
        (r"^head\.cp(\d)\.conv1\.", lambda m: f"head.flows.{int(m.group(1)) - 1}.encode."),
        (r"^head\.cp(\d)\.conv2\.", lambda m: f"head.flows.{int(m.group(1)) - 1}.decode."),
        (r"^head\.proj\.", "head.fuse."),
        (r"^head\.decoder\.", "head.reduce_c1."),
        (r"^head\.conv3x3\.", "head.refine."),
    ]
    + mxseg_fcn_head(r"head\.seg_head", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)
reference(
    "mxseg_canetv2_resnet50",
    model="canet",
    rules=GLUONCV_RESNET
    + [
        (r"^head\.comp_(c[34])\.", r"head.reduce_\1."),
        (r"^head\.gap\.conv1x1\.", "head.global_flow.unit."),
        (r"^head\.ed(\d)\.", lambda m: f"head.contexts.{int(m.group(1)) - 1}."),
        (r"\.encoder\.(\d)\.conv4\.", r".encode.\1.shortcut."),
        (r"\.encoder\.(\d)\.conv(\d)\.", lambda m: f".encode.{m.group(1)}.path.{int(m.group(2)) - 1}."),
        (r"^(head\.contexts\.\d)\.conv3x3\.", r"\1.middle."),
        (r"^(head\.contexts\.\d)\.conv1x1\.", r"\1.decode."),
        (r"^head\.conv([12])\.", lambda m: f"head.gate.{int(m.group(1)) - 1}."),
    ]
    + mxseg_fcn_head(r"head\.seg", "head.classifier")
    + mxseg_fcn_head("aux_head", "aux_heads.0"),
    form="mxnetseg_v2",
    options=dict(backbone="resnet50_v1s"),
)
