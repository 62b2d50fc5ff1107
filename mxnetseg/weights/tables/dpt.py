"""DPT as published by mmsegmentation, transformers and segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.backbones.naming import Rule, under
from mxnetseg.backbones.token_names import TOKENS
from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.vit import MMSEG_VIT, position_map, transformer, with_grid

reference(
    "mmseg_dpt_vit-b16",
    model="dpt",
    form="mmseg",
    rules=[
        *MMSEG_VIT,
        (r"^decode_head\.reassemble_blocks\.projects\.(\d)\.conv\.", r"head.reassemble.\1.project."),
        (r"^decode_head\.reassemble_blocks\.resize_layers\.(\d)\.", r"head.reassemble.\1.resize."),
        (r"^decode_head\.reassemble_blocks\.readout_projects\.(\d)\.0\.", r"head.reassemble.\1.readout."),
        (r"^decode_head\.convs\.(\d)\.conv\.", r"head.reassemble.\1.smooth."),
        (r"^decode_head\.fusion_blocks\.(\d)\.project\.conv\.", r"head.projects.\1."),
        (r"^decode_head\.fusion_blocks\.(\d)\.res_conv_unit1\.", r"head.skips.\1."),
        (r"^decode_head\.fusion_blocks\.(\d)\.res_conv_unit2\.", r"head.units.\1."),
        (
            r"^(head\.(?:skips|units)\.\d)\.conv([12])\.(conv|bn)\.",
            lambda m: f"{m[1]}.{'convs' if m[3] == 'conv' else 'norms'}.{int(m[2]) - 1}.",
        ),
        (r"^decode_head\.project\.", "head.predict.unit."),
        (r"^decode_head\.conv_seg\.", "head.predict.classifier."),
    ],
    prepare=position_map(class_token=True),
    adapt=with_grid(class_token=True),
)

HF: list[Rule] = [
    (r"^neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"head.reassemble.\1.project."),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"head.reassemble.\1.resize."),
    (r"^neck\.reassemble_stage\.readout_projects\.(\d)\.0\.", r"head.reassemble.\1.readout."),
    (r"^neck\.convs\.(\d)\.", r"head.reassemble.\1.smooth."),
    (r"^neck\.fusion_stage\.layers\.(\d)\.projection\.", r"head.projects.\1."),
    (r"^neck\.fusion_stage\.layers\.(\d)\.residual_layer1\.", r"head.skips.\1."),
    (r"^neck\.fusion_stage\.layers\.(\d)\.residual_layer2\.", r"head.units.\1."),
    (
        r"^(head\.(?:skips|units)\.\d)\.(convolution|batch_norm)([12])\.",
        lambda m: f"{m[1]}.{'convs' if m[2] == 'convolution' else 'norms'}.{int(m[3]) - 1}.",
    ),
    (r"^auxiliary_head\.head\.0\.", "aux_heads.0.unit.conv."),
    (r"^auxiliary_head\.head\.1\.", "aux_heads.0.unit.bn."),
    (r"^auxiliary_head\.head\.4\.", "aux_heads.0.classifier."),
    (r"^head\.head\.0\.", "head.predict.unit.conv."),
    (r"^head\.head\.1\.", "head.predict.unit.bn."),
    (r"^head\.head\.4\.", "head.predict.classifier."),
]
# The unit that would take a skip to the deepest map is stored and never run.
NO_SKIP = r"^neck\.fusion_stage\.layers\.0\.residual_layer1\."

reference(
    "hf_dpt_vit-base",
    model="dpt",
    form="hf",
    rules=[*under("dpt.", TOKENS), *under("backbone.", TOKENS), *HF],
    unused=(NO_SKIP, r"^dpt\.layernorm\."),
    prepare=transformer("dpt.", 12, positions="dpt.embeddings.position_embeddings"),
    adapt=with_grid(True, "dpt.embeddings.position_embeddings"),
)
reference(
    "hf_dpt_dinov2-small",
    model="dpt",
    form="hf",
    rules=[*under("backbone.", TOKENS), *HF],
    options=dict(backbone="dinov2_small", residual_norm=True, width=64, aux=False),
    unused=(NO_SKIP, r"^backbone\.embeddings\.mask_token$"),
    prepare=transformer("backbone.", 12, positions="backbone.embeddings.position_embeddings"),
    adapt=with_grid(True, "backbone.embeddings.position_embeddings"),
)
reference(
    "smp_dpt_vit-base",
    model="dpt",
    form="smp",
    rules=[
        *under("encoder.model.", TOKENS),
        (r"^decoder\.projection_blocks\.(\d)\.project\.0\.", r"head.reassemble.\1.readout."),
        (r"^decoder\.reassemble_blocks\.(\d)\.project_to_out_channel\.", r"head.reassemble.\1.project."),
        (r"^decoder\.reassemble_blocks\.(\d)\.upsample\.", r"head.reassemble.\1.resize."),
        (r"^decoder\.reassemble_blocks\.(\d)\.project_to_feature_dim\.", r"head.reassemble.\1.smooth."),
        (r"^decoder\.fusion_blocks\.(\d)\.project\.", r"head.projects.\1."),
        (r"^decoder\.fusion_blocks\.(\d)\.residual_conv_block1\.", r"head.skips.\1."),
        (r"^decoder\.fusion_blocks\.(\d)\.residual_conv_block2\.", r"head.units.\1."),
        (
            r"^(head\.(?:skips|units)\.\d)\.(conv|batch_norm)_([12])\.",
            lambda m: f"{m[1]}.{'convs' if m[2] == 'conv' else 'norms'}.{int(m[3]) - 1}.",
        ),
        (r"^segmentation_head\.head\.0\.", "head.predict.unit.conv."),
        (r"^segmentation_head\.head\.1\.", "head.predict.unit.bn."),
        (r"^segmentation_head\.head\.4\.", "head.predict.classifier."),
    ],
    unused=(r"^encoder\.model\.(?:norm|head)\.",),
    prepare=position_map(True, "encoder.model.pos_embed"),
    adapt=with_grid(True, "encoder.model.pos_embed"),
)
