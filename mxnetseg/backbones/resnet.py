"""ResNet (He et al., CVPR 2016, arXiv 1512.03385) in the forms that segmentation uses.

The network is GluonCV's ResNetV1b (stride on the 3x3 convolution). What varies:

* stem: `7x7`; `deep`, three 3x3 convolutions of 64, 64, 128 channels (GluonCV v1s and the SFNet
  repositories); `deep_narrow`, 32, 32, 64 (mmsegmentation v1c);
* output stride 8, 16 or 32: stages 4 and 3 keep their resolution and are dilated instead;
* how dilation enters: `contracted`, the first block of a dilated stage has half its dilation (GluonCV);
  `contracted_conv1`, so does mmsegmentation, whose basic blocks dilate their first convolution only;
  `uniform`, every block has it whole (the SFNet repositories); `everywhere`, so do both convolutions of a
  basic block (segmentation_models.pytorch); `strided`, stages 3 and 4 keep their
  strides and still dilate by 2 and 4, as SFNet's published ResNets do (output stride 32);
  `strided_contracted`, the same with halved first blocks, as in mmsegmentation's FastFCN;
* dilations of the blocks of stage 4 one by one (`multi_grid`, as DeepLabv3 at output stride 16 in
  mmsegmentation), in place of the stage's own;
* whether the maps given out are rectified, or the sums before each stage's last ReLU (SwiftNet);
* whether the max pool rounds odd sides up (`ceil_pool`, ICNet in mmsegmentation);
* whether residual branches start at zero (`zero_residual`, mmcv, so the v1c networks; not torchvision);
* whether shortcuts are halved by averages instead of strided convolutions (v1d, arXiv 1812.01187, which has
  the narrow deep stem);
* groups of the 3x3 convolutions and how wide each is (`cardinality`, ResNeXt, arXiv 1611.05431).
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence, Tuple

from gluoncv.model_zoo import resnetv1b
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, TwoPartBackbone
from mxnetseg.backbones.naming import RESNET, ImageNetNames
from mxnetseg.backbones.published_names import RESNET_THREE_CONVOLUTIONS
from mxnetseg.errors import ConfigError
from mxnetseg.nn.initial import FAN_OUT, draw, start_at_zero
from mxnetseg.nn.layers import Identity
from mxnetseg.nn.surgery import configure, exchange, set_dilation, set_stride, settings

DEPTHS = {
    18: (resnetv1b.BasicBlockV1b, (2, 2, 2, 2)),
    34: (resnetv1b.BasicBlockV1b, (3, 4, 6, 3)),
    50: (resnetv1b.BottleneckV1b, (3, 4, 6, 3)),
    101: (resnetv1b.BottleneckV1b, (3, 4, 23, 3)),
    152: (resnetv1b.BottleneckV1b, (3, 8, 36, 3)),
}
STEMS = {"7x7": None, "deep": 64, "deep_narrow": 32}
# What a stem adds to the name of a file of ImageNet weights.
SUFFIXES = {"7x7": "", "deep": "_v1s", "deep_narrow": "_v1c"}
Stem = Literal["7x7", "deep", "deep_narrow"]
Dilation = Literal["contracted", "contracted_conv1", "uniform", "everywhere", "strided", "strided_contracted"]


class ResNet(TwoPartBackbone):
    """GluonCV's ResNetV1b without its classifier; children keep GluonCV's names."""

    imagenet = ImageNetNames(RESNET, layouts=[RESNET_THREE_CONVOLUTIONS])

    def __init__(
        self,
        depth: int,
        output_stride: int,
        stem: Stem,
        dilation: Dilation,
        rectified: bool,
        ceil_pool: bool,
        zero_residual: bool,
        multi_grid: Sequence[int],
        averaged: bool = False,
        cardinality: Optional[Tuple[int, int]] = None,
    ) -> None:
        block, layers = DEPTHS[depth]
        super().__init__(
            channels=[n * block.expansion for n in (64, 128, 256, 512)],
            strides=[min(s, output_stride) for s in (4, 8, 16, 32)],
        )
        self.imagenet_name = f"resnet{depth}{'_v1d' if averaged else SUFFIXES[stem]}"
        if cardinality:
            self.imagenet_name = f"resnext{depth}_{cardinality[0]}x{cardinality[1]}d"
        strided = dilation.startswith("strided")
        if strided and output_stride != 32:
            raise ConfigError(
                f"dilation {dilation!r} keeps every stride, so it needs output stride 32, not {output_stride}"
            )
        width = STEMS[stem]
        self.c0_channels = 2 * width if width else 64
        whole = resnetv1b.ResNetV1b(
            block, layers, deep_stem=width is not None, stem_width=width or 32, avg_down=averaged
        )
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(whole, name))
        levels = (self.layer1, self.layer2, self.layer3, self.layer4)
        if cardinality:
            for level, planes in zip(levels, (64, 128, 256, 512)):
                for residual in level:
                    _group(residual, *cardinality, planes)
        draw(self, FAN_OUT)
        if zero_residual:
            for residual in (residual for level in levels for residual in level):
                start_at_zero(getattr(residual, f"bn{_convolutions(residual)}"))
        stages = {16: (self.layer3, 2), 32: (self.layer4, 2 if output_stride == 16 else 4)}
        for nominal, (stage, rate) in stages.items():
            held = output_stride < nominal
            if held or strided:
                _dilate(stage, rate, dilation, keep_stride=not held)

        _dilate_each(self.layer4, multi_grid)
        self._rectified = rectified
        if not rectified:
            for level in levels:
                exchange(level[-1], f"relu{_convolutions(level[-1])}", Identity())
        if ceil_pool:
            configure(self.maxpool, pooling_convention="full")

    def begin(self, F, x):
        return self.relu(self.bn1(self.conv1(x)))

    def proceed(self, F, c0):
        c1 = self.layer1(self.maxpool(c0))
        return c1, self.layer2(self._rectify(F, c1))

    def second_part(self, F, c2):
        c3 = self.layer3(self._rectify(F, c2))
        return c3, self.layer4(self._rectify(F, c3))

    def _rectify(self, F, x):
        return x if self._rectified else F.relu(x)


def _convolutions(residual: HybridBlock) -> int:
    """3 in a bottleneck, 2 in a basic block."""
    return 3 if hasattr(residual, "conv3") else 2


def _dilate(stage: HybridBlock, rate: int, style: Dilation, keep_stride: bool) -> None:
    """Set strides and dilations of a built stage; no parameter depends on them."""
    for index, block in enumerate(stage):
        first = rate // 2 if "contracted" in style and index == 0 else rate
        if not keep_stride:
            set_stride(block.conv1, 1)
            set_stride(block.conv2, 1)
            if block.downsample is not None:
                first_layer = block.downsample[0]
                if isinstance(first_layer, nn.AvgPool2D):
                    configure(first_layer, kernel=(1, 1))
                set_stride(first_layer, 1)
        if _convolutions(block) == 3:  # one of them is 3x3
            set_dilation(block.conv2, first)
        elif style == "contracted_conv1":
            set_dilation(block.conv1, first)
        elif "contracted" in style or style == "everywhere":
            set_dilation(block.conv1, first)
            set_dilation(block.conv2, rate)
        else:
            set_dilation(block.conv2, rate)


def _group(block: HybridBlock, groups: int, width: int, planes: int) -> None:
    """Make the 3x3 convolution of a bottleneck one of `groups` groups, each `width` channels wide in the
    first stage (where `planes` is 64)."""
    channels = groups * width * planes // 64
    stride = settings(block.conv2)["stride"]
    exchange(block, "conv1", nn.Conv2D(channels, 1, use_bias=False))
    exchange(block, "bn1", nn.BatchNorm(in_channels=channels))
    exchange(block, "conv2", nn.Conv2D(channels, 3, stride, 1, groups=groups, use_bias=False))
    exchange(block, "bn2", nn.BatchNorm(in_channels=channels))


def _dilate_each(stage: HybridBlock, dilations: Sequence[int]) -> None:
    """Give the blocks of a stage dilations of their own; none: they keep theirs."""
    if dilations and len(dilations) != len(stage):
        raise ConfigError(
            f"multi_grid {list(dilations)}: stage 4 has {len(stage)} blocks, give a dilation for each"
        )
    for block, rate in zip(stage, dilations):
        set_dilation(block.conv1 if _convolutions(block) == 2 else block.conv2, rate)


def _register(depth: int) -> None:
    @BACKBONES.register(f"resnet{depth}", output_strides=(8, 16, 32))
    def build(
        output_stride: int = 32,
        stem: Stem = "7x7",
        dilation: Dilation = "contracted",
        rectified: bool = True,
        ceil_pool: bool = False,
        zero_residual: bool = False,
        multi_grid: Sequence[int] = (),
    ) -> ResNet:
        return ResNet(depth, output_stride, stem, dilation, rectified, ceil_pool, zero_residual, multi_grid)


def _register_with_stem(depth: int, suffix: str, stem: Stem) -> None:
    # The stem is in the name, so it is no option: no architecture's preference changes it.
    @BACKBONES.register(f"resnet{depth}_{suffix}", output_strides=(8, 16, 32))
    def build(
        output_stride: int = 32,
        dilation: Dilation = "contracted",
        rectified: bool = True,
        ceil_pool: bool = False,
        zero_residual: bool = suffix == "v1c",
        multi_grid: Sequence[int] = (),
    ) -> ResNet:
        return ResNet(depth, output_stride, stem, dilation, rectified, ceil_pool, zero_residual, multi_grid)


def _register_kind(name: str, depth: int, stem: Stem, **kind) -> None:
    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(
        output_stride: int = 32,
        dilation: Dilation = "contracted",
        rectified: bool = True,
        ceil_pool: bool = False,
        zero_residual: bool = False,
        multi_grid: Sequence[int] = (),
    ) -> ResNet:
        return ResNet(
            depth, output_stride, stem, dilation, rectified, ceil_pool, zero_residual, multi_grid, **kind
        )


for _depth in DEPTHS:
    _register(_depth)
    _register_with_stem(_depth, "v1s", "deep")
    _register_with_stem(_depth, "v1c", "deep_narrow")
for _depth in (18, 50, 101):
    _register_kind(f"resnet{_depth}_v1d", _depth, "deep_narrow", averaged=True)
for _depth, _width in ((50, 4), (101, 8)):
    _register_kind(f"resnext{_depth}_32x{_width}d", _depth, "7x7", cardinality=(32, _width))
