"""K-Net as published by mmsegmentation."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX, MMSEG_RESNET

UPDATE = r"^decode_head\.kernel_update_head\.(\d)\."
GATE = UPDATE + r"kernel_update_conv\."


def split_attention(tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """PyTorch's `in_proj_*` of attention as those of queries, keys and values."""
    split = {}
    for name, tensor in tensors.items():
        before, found, kind = name.rpartition("in_proj_")
        if found:
            for part, own in zip("qkv", np.split(np.asarray(tensor), 3)):
                split[f"{before}{part}.{kind}"] = own
        else:
            split[name] = tensor
    return split


reference(
    "mmseg_knet_s3_r50-d8_fcn",
    model="knet",
    form="mmseg",
    rules=[
        *MMSEG_RESNET,
        *MMSEG_AUX,
        (r"^decode_head\.kernel_generate_head\.conv_seg\.weight$", "head.kernels"),
        (r"^decode_head\.kernel_generate_head\.conv_seg\.bias$", "head.biases"),
        (r"^decode_head\.kernel_generate_head\.convs\.", "head.units."),
        (r"^decode_head\.kernel_generate_head\.conv_cat\.", "head.join."),
        (UPDATE + r"attention\.attn\.([qkv])\.", r"head.updates.\1.attention.\2."),
        (UPDATE + r"attention\.attn\.out_proj\.", r"head.updates.\1.attention.proj."),
        (UPDATE + r"feat_transform\.conv\.", r"head.updates.\1.transform."),
        (UPDATE + r"ffn\.layers\.0\.0\.", r"head.updates.\1.ffn.fc1."),
        (UPDATE + r"ffn\.layers\.1\.", r"head.updates.\1.ffn.fc2."),
        (UPDATE + r"mask_fcs\.0\.", r"head.updates.\1.mask."),
        (UPDATE + r"mask_fcs\.1\.", r"head.updates.\1.mask_norm."),
        (UPDATE + r"fc_mask\.", r"head.updates.\1.mask_kernels."),
        (UPDATE + r"(attention|ffn)_norm\.", r"head.updates.\1.\2_norm."),
        (GATE + r"dynamic_layer\.", r"head.updates.\1.gate.gathered."),
        (GATE + r"input_layer\.", r"head.updates.\1.gate.kernels."),
        (GATE + r"input_gate\.", r"head.updates.\1.gate.kernel_gate."),
        (GATE + r"update_gate\.", r"head.updates.\1.gate.gathered_gate."),
        (GATE + r"norm_in\.", r"head.updates.\1.gate.gathered_gate_norm."),
        (GATE + r"norm_out\.", r"head.updates.\1.gate.gathered_norm."),
        (GATE + r"input_norm_in\.", r"head.updates.\1.gate.kernel_gate_norm."),
        (GATE + r"input_norm_out\.", r"head.updates.\1.gate.kernel_norm."),
        (GATE + r"fc_layer\.", r"head.updates.\1.gate.out."),
        (GATE + r"fc_norm\.", r"head.updates.\1.gate.out_norm."),
    ],
    prepare=split_attention,
)
