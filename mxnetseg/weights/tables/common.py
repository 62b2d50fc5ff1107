"""Pieces that the tables of several architectures share: backbones, and each repository's habits."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Match, Sequence, Tuple

import numpy as np

from mxnetseg.backbones.naming import HRNET, MMSEG_MOBILENETV2, Rule, mobilenetv3_names, stdc, under
from mxnetseg.errors import CheckpointError
from mxnetseg.weights.rename import Prepare

# The SFNet repositories: ResNet stages without a prefix, stem in layer0.
SFSEGNETS_RESNET = [
    (r"^layer0\.0\.", "backbone.conv1."),
    (r"^layer0\.1\.", "backbone.bn1."),
    (r"^layer([1-4])\.", r"backbone.layer\1."),
]
# mmsegmentation's ResNet v1c: the stem's last batch norm is numbered with its convolutions.
MMSEG_RESNET = [
    (r"^backbone\.stem\.7\.", "backbone.bn1."),
    (r"^backbone\.stem\.", "backbone.conv1."),
]
# Backbones that mmsegmentation publishes its most common heads on: ResNets, ResNeSt with the norm of split
# attention, MobileNet v2.
MMSEG_ENCODERS = [
    *MMSEG_RESNET,
    (r"^(backbone\..*\.conv2)\.bn0\.", r"\1.bn."),
    *under("backbone.", MMSEG_MOBILENETV2),
]
# mmsegmentation's plain head and auxiliary head.
MMSEG_FCN_HEAD = [
    (r"^decode_head\.convs\.", "head.classifier.units."),
    (r"^decode_head\.conv_cat\.", "head.classifier.join."),
    (r"^decode_head\.conv_seg\.", "head.classifier.classifier."),
]
MMSEG_AUX = [
    (r"^auxiliary_head\.convs\.", "aux_heads.0.units."),
    (r"^auxiliary_head\.conv_seg\.", "aux_heads.0.classifier."),
]
# A head whose last layer is its child, on a ResNet, beside a plain head on c3.
MMSEG_ENDS = [
    *MMSEG_RESNET,
    *MMSEG_AUX,
    (r"^decode_head\.conv_seg\.", "head.classifier."),
]
# Several plain auxiliary heads of one mmsegmentation network.
MMSEG_AUX_HEADS = [
    (r"^auxiliary_head\.(\d)\.convs\.", r"aux_heads.\1.units."),
    (r"^auxiliary_head\.(\d)\.conv_seg\.", r"aux_heads.\1.classifier."),
]
# GluonCV segmentation models (and MXNetSeg, which follows them): backbone children at the top.
GLUONCV_RESNET = [(r"^(conv1|bn1|layer[1-4])\.", r"backbone.\1.")]


def gluoncv_head(prefix: str, ours: str) -> List[Rule]:
    """GluonCV's and AceCoooool's `block.0, .1, .4` head (3x3, batch norm, classifier) under `prefix`."""
    return [
        (rf"^{prefix}\.block\.0\.", f"{ours}.units.0.conv."),
        (rf"^{prefix}\.block\.1\.", f"{ours}.units.0.bn."),
        (rf"^{prefix}\.block\.4\.", f"{ours}.classifier."),
    ]


# AceCoooool: the backbone's flat layer list cut in three Sequentials.
ACE_RESNET = [
    (r"^base1\.([0-6])\.", r"backbone.conv1.\1."),
    (r"^base1\.7\.", "backbone.bn1."),
    (r"^base1\.10\.", "backbone.layer1."),
    (r"^base1\.(\d+)\.", lambda m: f"backbone.layer2.{int(m.group(1)) - 11}."),
    (r"^base2\.", "backbone.layer3."),
    (r"^base3\.", "backbone.layer4."),
]
ACE_JPU = [
    (r"^JPU\.conv([345])\.0\.", lambda m: f"head.jpu.reduce.{int(m.group(1)) - 3}.conv."),
    (r"^JPU\.conv([345])\.1\.", lambda m: f"head.jpu.reduce.{int(m.group(1)) - 3}.bn."),
    (r"^JPU\.dilation(\d)\.0\.conv1\.", lambda m: f"head.jpu.branches.{int(m.group(1)) - 1}.depthwise.conv."),
    (r"^JPU\.dilation(\d)\.0\.bn\.", lambda m: f"head.jpu.branches.{int(m.group(1)) - 1}.depthwise.bn."),
    (
        r"^JPU\.dilation(\d)\.0\.pointwise\.",
        lambda m: f"head.jpu.branches.{int(m.group(1)) - 1}.pointwise.conv.",
    ),
    (r"^JPU\.dilation(\d)\.1\.", lambda m: f"head.jpu.branches.{int(m.group(1)) - 1}.pointwise.bn."),
]


def mxseg_fcn_head(prefix: str, ours: str) -> List[Rule]:
    """MXNetSeg's head (3x3 unit `conv1`, classifier `conv2`) under `prefix`."""
    return [
        (rf"^{prefix}\.conv1\.", f"{ours}.units.0."),
        (rf"^{prefix}\.conv2\.", f"{ours}.classifier."),
    ]


def mobilenetv3(size: str) -> List[Rule]:
    """MobileNet v3, `large` or `small`, as torchvision and mmsegmentation store it under `backbone`."""
    ends = {"large": (6, 9, 15, 18), "small": (4, 6, 11, 14)}[size]
    return under("backbone.", mobilenetv3_names(ends).rules)


def torchvision_aux() -> List[Rule]:
    """torchvision's auxiliary head."""
    return [
        (r"^aux_classifier\.0\.", "aux_heads.0.units.0.conv."),
        (r"^aux_classifier\.1\.", "aux_heads.0.units.0.bn."),
        (r"^aux_classifier\.4\.", "aux_heads.0.classifier."),
    ]


def stdc_backbone(version: int, prefix: str = "backbone") -> List[Rule]:
    """STDC as its authors and the SFNet repository store it under `prefix`."""
    return under(f"{prefix}.", stdc(version))


def stdc_unused(prefix: str = "backbone") -> Tuple[str, str]:
    """What an STDC file stores and a segmentation network never runs: every tensor a second time under
    `features`, and the ImageNet classifier."""
    return (rf"^{prefix}\.features\.", rf"^{prefix}\.(conv_last|fc|bn|linear)\.")


def mxseg_fusions(names: Sequence[str], ours: str) -> List[Rule]:
    """MXNetSeg's lateral fusions `names`, in running order, to the children of `ours`."""
    rules = []
    for index, name in enumerate(names):
        rules += [
            (rf"^head\.{name}\.conv1x1\.", f"{ours}.{index}.lateral."),
            (rf"^head\.{name}\.conv3x3\.", f"{ours}.{index}.blend."),
        ]
    return rules


# mmsegmentation's joint pyramid upsampling neck.
MMSEG_JPU = [
    (r"^neck\.conv_layers\.(\d)\.0\.", r"head.jpu.reduce.\1."),
    (r"^neck\.dilation_layers\.(\d)\.0\.(depth|point)wise_conv\.", r"head.jpu.branches.\1.\2wise."),
]


def numbered(pattern: str, first: int) -> Callable[[Match], str]:
    """A replacement that writes the matched number into `pattern`, counted from `first` instead of 0."""
    return lambda match: pattern.format(int(match.group(1)) - first)


# Atrous spatial pyramid pooling. GluonCV misspells its list (`concurent`); AceCoooool and GluonCV's
# Wide-ResNet form number the branches b0..b4.
GLUONCV_ASPP = [
    (r"^head\.aspp\.(?:concurent\.|b)([0-3])\.0\.", r"head.aspp.branches.\1.conv."),
    (r"^head\.aspp\.(?:concurent\.|b)([0-3])\.1\.", r"head.aspp.branches.\1.bn."),
    (r"^head\.aspp\.(?:concurent\.|b)4\.gap\.1\.", "head.aspp.pool.conv."),
    (r"^head\.aspp\.(?:concurent\.|b)4\.gap\.2\.", "head.aspp.pool.bn."),
    (r"^head\.aspp\.project\.0\.", "head.aspp.project.conv."),
    (r"^head\.aspp\.project\.1\.", "head.aspp.project.bn."),
]
MXSEG_ASPP = [
    (r"^head\.aspp\.branches\.4\.conv1x1\.", "head.aspp.pool."),
    (r"^head\.aspp\.projection\.", "head.aspp.project."),
]
MMSEG_ASPP = [
    (r"^decode_head\.image_pool\.1\.", "head.aspp.pool."),
    (r"^decode_head\.aspp_modules\.(\d)\.(depth|point)wise_conv\.", r"head.aspp.branches.\1.\2wise."),
    (r"^decode_head\.aspp_modules\.", "head.aspp.branches."),
    (r"^decode_head\.bottleneck\.", "head.aspp.project."),
]


def sfsegnets_ppm(prefix: str, ours: str = "head.ppm", fuse: str = "head.ppm_fuse") -> List[Rule]:
    """Pyramid pooling of the SFNet repository, its 1x1 bottleneck included, under `prefix`."""
    return [
        (rf"^{prefix}\.stages\.(\d)\.1\.", rf"{ours}.stages.\1.conv."),
        (rf"^{prefix}\.stages\.(\d)\.2\.", rf"{ours}.stages.\1.bn."),
        (rf"^{prefix}\.bottleneck\.0\.", f"{fuse}.conv."),
        (rf"^{prefix}\.bottleneck\.1\.", f"{fuse}.bn."),
    ]


def without_twins(twin: str, original: str) -> Prepare:
    """A `prepare` for files that hold one shared module under two names: drops those with `twin` in the name
    after checking that they equal their `original`."""

    def prepare(tensors: Mapping[str, Any]) -> Dict[str, Any]:
        for name in tensors:
            first = name.replace(twin, original)
            if first != name and not np.array_equal(tensors[name], tensors.get(first)):
                raise CheckpointError(f"{name} differs from {first}, which is the same module")
        return {name: tensor for name, tensor in tensors.items() if twin not in name}

    return prepare


# What a non-local block of mmcv holds, for `mmseg_context_head`.
MMSEG_NON_LOCAL = [
    (r"(g|theta|phi)\.conv\.", r"\1."),
    (r"conv_out\.", "out."),
    (r"conv_mask\.", "unary."),
]


def mmseg_context_head(theirs: str, ours: Sequence[Tuple[str, str]] = ()) -> List[Rule]:
    """mmsegmentation's FCN head with a context block called `theirs`; `ours` are (name there, name here) of
    what is inside the block."""
    return [
        *MMSEG_RESNET,
        *MMSEG_AUX,
        (r"^decode_head\.convs\.0\.", "head.context.reduce."),
        (r"^decode_head\.convs\.1\.", "head.context.mix."),
        (r"^decode_head\.conv_cat\.", "head.context.join."),
        (r"^decode_head\.conv_seg\.", "head.context.classifier."),
        (rf"^decode_head\.{theirs}\.", "head.context.block."),
        *((rf"^head\.context\.block\.{a}", rf"head.context.block.{b}") for a, b in ours),
    ]


MMSEG_HRNET = under("backbone.", HRNET)
