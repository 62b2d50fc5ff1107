"""PIDNet as published in mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import numbered
from mxnetseg.weights.tables.ddrnet import RESIDUAL_UNITS, WINDOW_POOLING


def head(name, classifier, ours):
    """A pre-activated head and its classifier, stored apart."""
    return [
        (rf"^decode_head\.{name}\.conv\.", f"{ours}.unit."),
        (rf"^decode_head\.{name}\.norm\.", f"{ours}.bn."),
        (rf"^decode_head\.{classifier}\.", f"{ours}.classifier."),
    ]


reference(
    "mmseg_pidnet-s",
    model="pidnet",
    rules=[
        # The boundary branch's first stage is a lone block there, a stage of one here.
        (r"^backbone\.d_branch_layers\.0\.", "backbone.d_branch_layers.0.0."),
        (r"^backbone\.spp\.processes\.", "backbone.spp.processes.0."),
        *RESIDUAL_UNITS,
        *WINDOW_POOLING,
        (r"^backbone\.([ipd])_branch_layers\.", r"backbone.\1_branch."),
        (r"^backbone\.compression_([12])\.", numbered("backbone.compress.{}.", 1)),
        (r"^backbone\.diff_([12])\.", numbered("backbone.derive.{}.", 1)),
        (r"^backbone\.pag_([12])\.", numbered("backbone.agree.{}.", 1)),
        (r"^(backbone\.agree\.\d)\.f_([ip])\.", r"\1.embed_\2."),
        (r"^backbone\.dfm\.f_([ip])\.", r"backbone.fuse.blend_\1."),
        *head("i_head", "conv_seg", "head.classifier"),
        *head("p_head", "p_cls_seg", r"aux_heads.0"),
        *head("d_head", "d_cls_seg", r"aux_heads.1"),
    ],
    form="mmseg",
)
