"""K-Net: Towards Unified Image Segmentation (Zhang et al., NeurIPS 2021, arXiv 2106.14855).

An FCN's classifier is a kernel for each class. Three times the kernels are updated for the picture: each
class gathers the features under its mask, gates decide how much of that and of the old kernel goes on, and
the kernels attend to one another; products with the features give new masks. All four sets of masks are
supervised.
"""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, aux_on_c3
from mxnetseg.nn.initial import CLASSIFIER, PYTORCH, PytorchBias
from mxnetseg.nn.layers import ConvUnit, Identity, dropout_layer
from mxnetseg.nn.queries import QueryAttention, QueryFFN, every_sample, masks_of
from mxnetseg.nn.surgery import layers
from mxnetseg.nn.tokens import token_dense

FORMS = {"paper": {}, "mmseg": {}}
# Channels that the gates work on; wider kernels are taken as several of these.
GATED = 256
# Glorot and Bengio's rule for the three parts of one matrix, as PyTorch's attention keeps them.
THIRD = mx.init.Xavier("uniform", "avg", 1.5)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=1e-5, in_channels=width)


class KernelGate(HybridBlock):
    """`(gathered, kernels)`, both `(N, K, GATED)`, to updated kernels of that shape."""

    def __init__(self) -> None:
        super().__init__()
        self.gathered, self.kernels = (token_dense(2 * GATED, GATED) for _ in range(2))
        self.kernel_gate, self.gathered_gate, self.out = (token_dense(GATED, GATED) for _ in range(3))
        self.kernel_gate_norm, self.gathered_gate_norm = _norm(GATED), _norm(GATED)
        self.kernel_norm, self.gathered_norm, self.out_norm = (_norm(GATED) for _ in range(3))

    def hybrid_forward(self, F, gathered, kernels):
        gate, new = F.split(self.gathered(gathered), num_outputs=2, axis=2)
        own_gate, old = F.split(self.kernels(kernels), num_outputs=2, axis=2)
        gate = gate * own_gate
        keep = F.sigmoid(self.kernel_gate_norm(self.kernel_gate(gate)))
        take = F.sigmoid(self.gathered_gate_norm(self.gathered_gate(gate)))
        mixed = take * self.gathered_norm(new) + keep * self.kernel_norm(old)
        return F.relu(self.out_norm(self.out(mixed)))


class KernelUpdate(HybridBlock):
    """`(features, kernels, masks)` to `(masks, kernels)` of the next stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width
        self.transform = nn.Conv2D(width, 1, in_channels=width)
        self.gate = KernelGate()
        self.attention, self.attention_norm = QueryAttention(width), _norm(width)
        self.ffn, self.ffn_norm = QueryFFN(width, 2048), _norm(width)
        self.mask, self.mask_norm = token_dense(width, width, bias=False), _norm(width)
        self.mask_kernels = token_dense(width, width)
        # As PyTorch creates them: the published code has Glorot's rule for them, which nothing calls.
        for dense in layers(self, nn.Dense):
            dense.weight.init = PYTORCH
            if dense.bias is not None:
                dense.bias.init = PytorchBias(dense.weight)
        for dense in layers(self.attention, nn.Dense):
            dense.bias.init = "zeros"
        for part in (self.attention.q, self.attention.k, self.attention.v):
            part.weight.init = THIRD

    def hybrid_forward(self, F, x, kernels, masks):
        x = self.transform(x)
        shares = F.reshape(F.softmax(masks, axis=1), (0, 0, -1))
        gathered = F.batch_dot(shares, F.reshape(x, (0, 0, -1)), transpose_b=True)
        gathered, kernels = (F.reshape(part, (0, -1, GATED)) for part in (gathered, kernels))
        kernels = F.reshape(self.gate(gathered, kernels), (0, -1, self._width))
        kernels = self.attention_norm(kernels + self.attention(kernels, kernels, kernels))
        kernels = self.ffn_norm(kernels + self.ffn(kernels))
        applied = self.mask_kernels(F.relu(self.mask_norm(self.mask(kernels))))
        return masks_of(F, applied, x), kernels


class KNetHead(Head):
    """The last masks on c4, then those of the FCN and of the stages in between."""

    def __init__(self, in_channels: int, nclass: int, width: int, stages: int) -> None:
        super().__init__()
        self._nclass = nclass
        self.units = nn.HybridSequential()
        self.units.add(ConvUnit(in_channels, width), ConvUnit(width, width))
        self.join = ConvUnit(in_channels + width, width)
        self.drop = dropout_layer(0.1)
        self.kernels = self.params.get("kernels", shape=(nclass, width, 1, 1), init=CLASSIFIER)
        self.biases = self.params.get("biases", shape=(nclass,), init="zeros")
        self.updates = nn.HybridSequential()
        for _ in range(stages):
            self.updates.add(KernelUpdate(width))

    def hybrid_forward(self, F, c1, c2, c3, c4, kernels, biases):
        x = self.join(F.concat(c4, self.units(c4), dim=1))
        masks = F.Convolution(self.drop(x), kernels, biases, kernel=(1, 1), num_filter=self._nclass)
        found = [masks]
        kernels = every_sample(F, F.reshape(kernels, (0, -1)), x)
        for update in self.updates:
            masks, kernels = update(x, kernels, masks)
            found.append(masks)
        return (found[-1], *found[:-1])


@MODELS.register(
    "knet",
    forms=FORMS,
    paper="K-Net: Towards Unified Image Segmentation",
    venue="NeurIPS 2021",
    year=2021,
    link="https://arxiv.org/abs/2106.14855",
    backbone="resnet50_v1c",
    output_stride=8,
    scores=[("ADE20K val", "resnet50, FCN, 512x512, 80k", 43.6, "mmsegmentation")],
)
def knet(nclass: int, backbone: Backbone, aux: bool = True, width: int = 512, stages: int = 3) -> Segmentor:
    """`width`: channels of features and kernels, a multiple of 256. `stages`: updates of the kernels. `aux`:
    a plain head on c3, and the masks of the FCN and of all stages but the last."""
    head = KNetHead(backbone.channels[3], nclass, width, stages)
    heads = aux_on_c3(backbone, nclass) + [Aux(Identity(), "head", 1 + k) for k in range(stages)]
    return Segmentor(backbone, head, heads if aux else (), align_corners=False)
