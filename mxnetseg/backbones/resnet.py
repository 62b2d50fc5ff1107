"""ResNet (He et al., CVPR 2016, arXiv 1512.03385) in the forms that segmentation uses.

The network is GluonCV's ResNetV1b (stride on the 3x3 convolution). Three things vary:

* stem: `7x7`; `deep`, three 3x3 convolutions of 64, 64, 128 channels (GluonCV v1s and the SFNet
  repositories); `deep_narrow`, 32, 32, 64 (mmsegmentation v1c);
* output stride 8, 16 or 32: stages 4 and 3 keep their resolution and are dilated instead;
* how dilation enters: `contracted`, the first block of a dilated stage has half its dilation (GluonCV);
  `contracted_conv1`, so does mmsegmentation, whose basic blocks dilate their first convolution only;
  `uniform`, every block has it whole (the SFNet repositories); `strided`, stages 3 and 4 keep their
  strides and still dilate by 2 and 4, as SFNet's published ResNets do (output stride 32);
  `strided_contracted`, the same with halved first blocks, as in mmsegmentation's FastFCN;
* whether the maps given out are rectified, or the sums before each stage's last ReLU (SwiftNet).
"""

from __future__ import annotations

from gluoncv.model_zoo import resnetv1b

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.nn.layers import Identity
from mxnetseg.nn.norm import exchange

DEPTHS = {
    18: (resnetv1b.BasicBlockV1b, (2, 2, 2, 2)),
    34: (resnetv1b.BasicBlockV1b, (3, 4, 6, 3)),
    50: (resnetv1b.BottleneckV1b, (3, 4, 6, 3)),
    101: (resnetv1b.BottleneckV1b, (3, 4, 23, 3)),
    152: (resnetv1b.BottleneckV1b, (3, 8, 36, 3)),
}
STEMS = {"7x7": None, "deep": 64, "deep_narrow": 32}
DILATIONS = ("contracted", "contracted_conv1", "uniform", "strided", "strided_contracted")


class ResNet(Backbone):
    """GluonCV's ResNetV1b without its classifier; children keep GluonCV's names."""

    def __init__(self, depth, output_stride=32, stem="7x7", dilation="contracted", rectified=True):
        block, layers = DEPTHS[depth]
        super().__init__(
            channels=[n * block.expansion for n in (64, 128, 256, 512)],
            strides=[min(s, output_stride) for s in (4, 8, 16, 32)],
        )
        _check(stem, STEMS, "stem")
        _check(dilation, DILATIONS, "dilation")
        strided = dilation.startswith("strided")
        if strided and output_stride != 32:
            raise ConfigError(
                f"dilation {dilation!r} keeps every stride, so it needs output stride 32, not {output_stride}"
            )
        width = STEMS[stem]
        whole = resnetv1b.ResNetV1b(block, layers, deep_stem=width is not None, stem_width=width or 32)
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(whole, name))
        stages = {16: (self.layer3, 2), 32: (self.layer4, 2 if output_stride == 16 else 4)}
        for nominal, (stage, rate) in stages.items():
            held = output_stride < nominal
            if held or strided:
                _dilate(stage, rate, dilation, keep_stride=not held)

        self._rectified = rectified
        if not rectified:
            for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
                name = "relu3" if hasattr(stage[-1], "conv3") else "relu2"
                exchange(stage[-1], name, getattr(stage[-1], name), Identity())

    def hybrid_forward(self, F, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        c1 = self.layer1(x)
        c2 = self.layer2(self._rectify(F, c1))
        c3 = self.layer3(self._rectify(F, c2))
        c4 = self.layer4(self._rectify(F, c3))
        return c1, c2, c3, c4

    def _rectify(self, F, x):
        return x if self._rectified else F.relu(x)


def _check(value, known, what):
    if value not in known:
        raise ConfigError(f"resnet {what} must be one of {', '.join(known)}, not {value!r}")


def _dilate(stage, rate, style, keep_stride):
    """Set strides and dilations of a built stage; no parameter depends on them."""
    for index, block in enumerate(stage):
        first = rate // 2 if "contracted" in style and index == 0 else rate
        if not keep_stride:
            for conv in (block.conv1, block.conv2):
                conv._kwargs["stride"] = (1, 1)
            if block.downsample is not None:
                block.downsample[0]._kwargs["stride"] = (1, 1)
        if hasattr(block, "conv3"):  # a bottleneck: one 3x3 convolution
            _set_dilation(block.conv2, first)
        elif style == "contracted_conv1":
            _set_dilation(block.conv1, first)
        elif "contracted" in style:
            _set_dilation(block.conv1, first)
            _set_dilation(block.conv2, rate)
        else:
            _set_dilation(block.conv2, rate)


def _set_dilation(conv, rate):
    conv._kwargs["dilate"] = conv._kwargs["pad"] = (rate, rate)


def _register(name, depth, preset_stem):
    @BACKBONES.register(name, output_strides=(8, 16, 32), weights=name)
    def build(output_stride=32, stem=preset_stem, dilation="contracted", rectified=True):
        return ResNet(depth, output_stride, stem, dilation, rectified)

    build.__name__ = name


for _depth in DEPTHS:
    _register(f"resnet{_depth}", _depth, "7x7")
    _register(f"resnet{_depth}_v1s", _depth, "deep")
    _register(f"resnet{_depth}_v1c", _depth, "deep_narrow")
