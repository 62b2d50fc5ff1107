"""SegFormer as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference

RULES = [
    (r"^backbone\.layers\.(\d)\.0\.projection\.", r"backbone.stages.\1.patch."),
    (r"^backbone\.layers\.(\d)\.0\.norm\.", r"backbone.stages.\1.patch_norm."),
    (r"^backbone\.layers\.(\d)\.1\.", r"backbone.stages.\1.blocks."),
    (r"^backbone\.layers\.(\d)\.2\.", r"backbone.stages.\1.norm."),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.attn\.attn\.(q|kv)_", r".attn.\1."),
    (r"\.ffn\.layers\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.dwconv."),
    (r"\.ffn\.layers\.4\.", ".mlp.fc2."),
    (r"^decode_head\.convs\.", "head.levels."),
    (r"^decode_head\.fusion_conv\.", "head.fuse."),
    (r"^decode_head\.conv_seg\.", "head.classifier."),
]


def _split_projections(tensors):
    # Here, because the table is read without MXNet, which the backbones import.
    from mxnetseg.backbones.mit import split_projections

    return split_projections(tensors)


for _size in ("b0", "b1", "b2", "b3", "b4", "b5"):
    reference(
        f"mmseg_segformer_mit-{_size}",
        family="mmseg",
        model="segformer",
        rules=RULES,
        options=dict(backbone=f"mit_{_size}", form="units"),
        prepare=_split_projections,
    )
