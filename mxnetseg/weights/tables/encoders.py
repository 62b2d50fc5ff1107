"""Encoders of segmentation_models.pytorch, and its habits: what its decoders' tables share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Sequence

from mxnetseg.backbones.naming import MIT, MOBILENETV2, Rule, under
from mxnetseg.weights.rename import Prepare, Reference, reference


@dataclass(frozen=True)
class Encoder:
    """One of its encoders: the backbone that it is here, how its tensors are called, and those it never
    runs."""

    backbone: str
    rules: Sequence[Rule]
    options: Dict[str, Any] = field(default_factory=dict)
    unused: Sequence[str] = ()


RESNET = [(r"^encoder\.(conv1|bn1|layer[1-4])\.", r"backbone.\1.")]
ENCODERS = {
    "resnet34": Encoder("resnet34", RESNET),
    "resnet50": Encoder("resnet50", RESNET),
    "mobilenet_v2": Encoder(
        "mobilenetv2_1.0", under("encoder.", MOBILENETV2.rules), dict(closing=True, dilated="with")
    ),
    "efficientnet-b0": Encoder(
        "efficientnet_b0",
        [
            (r"^encoder\._(conv_stem|bn0)\.", r"backbone.\1."),
            (r"^encoder\._blocks\.(\d+)\._", r"backbone.blocks.\1."),
        ],
        dict(padding="nominal", c3="first", epsilon=1e-3, momentum=0.99),
        (r"^encoder\._(conv_head|bn1)\.",),
    ),
    "mit_b0": Encoder("mit_b0", under("encoder.", MIT), dict(inner_epsilon=1e-5)),
}


def unit(theirs: str, ours: str) -> Sequence[Rule]:
    """Its convolution and norm, numbered 0 and 1, under a pattern `theirs`, to the parts of a unit."""
    return [(rf"^{theirs}\.0\.", f"{ours}.conv."), (rf"^{theirs}\.1\.", f"{ours}.bn.")]


def aspp(theirs: str, separable: bool = False) -> Sequence[Rule]:
    """torchvision's atrous pyramid, which is segmentation_models.pytorch's too, under a pattern."""
    inside = [
        (rf"^{theirs}\.convs\.([123])\.0\.0\.", r"head.aspp.branches.\1.depthwise."),
        (rf"^{theirs}\.convs\.([123])\.0\.1\.", r"head.aspp.branches.\1.pointwise.conv."),
        (rf"^{theirs}\.convs\.([123])\.1\.", r"head.aspp.branches.\1.pointwise.bn."),
    ]
    return [
        *(inside if separable else ()),
        (rf"^{theirs}\.convs\.4\.1\.", "head.aspp.pool.conv."),
        (rf"^{theirs}\.convs\.4\.2\.", "head.aspp.pool.bn."),
        *unit(rf"{theirs}\.convs\.(\d)", r"head.aspp.branches.\1"),
        *unit(rf"{theirs}\.project", "head.aspp.project"),
    ]


SEGMENTATION_HEAD = (r"^segmentation_head\.0\.", "head.classifier.")


def smp(
    architecture: str,
    encoder: str,
    model: str,
    rules: Sequence[Rule],
    suffix: str = "",
    form: str = "smp",
    unused: Sequence[str] = (),
    prepare: Optional[Prepare] = None,
    **options: Any,
) -> Reference:
    """Enter `smp_<architecture>_<encoder><suffix>`; `options`: what differs from the form."""
    one = ENCODERS[encoder]
    if one.options:
        options["backbone_options"] = {**one.options, **options.get("backbone_options", {})}
    return reference(
        f"smp_{architecture}_{encoder}{suffix}",
        model=model,
        rules=[*one.rules, SEGMENTATION_HEAD, *rules],
        form=form,
        options=dict(backbone=one.backbone, **options),
        unused=(*one.unused, *unused),
        prepare=prepare,
    )
