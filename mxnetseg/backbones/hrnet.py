"""HRNet (Wang et al., TPAMI 2020, arXiv 1908.07919): branches at four resolutions that keep exchanging.

GluonCV's network without its classifier, resized between branches by the size of what it is added to.
"""

from __future__ import annotations

from gluoncv.model_zoo import hrnet

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import HRNET, ImageNetNames
from mxnetseg.nn.initial import FAN_OUT, draw


class HRNet(Backbone):
    """The four branches of the last stage, at strides 4, 8, 16, 32, `width` to 8 `width` channels."""

    parallel_branches = True
    imagenet = ImageNetNames(HRNET)

    def __init__(self, spec: str) -> None:
        layout = hrnet.HRNET_SPEC[spec]
        super().__init__(channels=layout[-1][3], strides=(4, 8, 16, 32))
        self.trunk = hrnet.HighResolutionBaseNet(layout, stage_interp_type="bilinear_like")
        draw(self, FAN_OUT)

    def hybrid_forward(self, F, x):
        return tuple(self.trunk(x))


def _register(spec):
    name = f"hrnet_{spec}"

    @BACKBONES.register(name)
    def build() -> HRNet:
        return HRNet(spec)


for _spec in ("w18_small_v1", "w18_small_v2", "w18", "w30", "w32", "w40", "w44", "w48", "w64"):
    _register(_spec)
