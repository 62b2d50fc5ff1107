"""Batch norm as part of the convolution before it: in prediction both are one linear function of a map."""

from __future__ import annotations

from collections import Counter
from typing import Collection, Dict, Optional

import torch
from torch import Tensor, nn

from mxnetseg.compute.torch.layers import BatchNorm
from mxnetseg.symbols import Graph


def foldable(graph: Graph, norms: Collection[str]) -> Dict[int, int]:
    """Places of the batch norms (operators `norms`) that are all that reads a convolution, each with that of
    the convolution. Kernels and statistics have to be parameters as they are, not computed."""
    readers = Counter(place for _, node in graph.operators() for place, _ in node.inputs)
    readers.update(place for place, _ in graph.outputs)
    found = {}
    for place, node in graph.operators():
        if node.operator not in norms:
            continue
        source = node.inputs[0][0]
        before = graph.nodes[source]
        plain = before.operator == "Convolution"
        # The kernel of a grouped one has the outputs of each group in another axis than the groups.
        plain |= before.operator == "Deconvolution" and before.attributes.get("num_group", 1) == 1
        if not plain or readers[source] > 1:
            continue
        if all(graph.parameter(entry) for entry in (*before.inputs[1:], *node.inputs[1:])):
            found[place] = source
    return found


@torch.no_grad()
def fold(
    module: nn.Module,
    weight: Tensor,
    bias: Optional[Tensor],
    norm: BatchNorm,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    variance: Tensor,
) -> None:
    """Give `module`, a convolution without values, those of the convolution by `weight` and `bias` with
    `norm` behind it."""
    # In double precision: what is rounded is the result alone.
    factor = (variance.double() + norm.eps).rsqrt()
    if not norm.fix_gamma:
        factor = factor * gamma.double()
    shift = beta.double() - mean.double() * factor
    if bias is not None:
        shift = shift + bias.double() * factor
    outputs = (1, -1, 1, 1) if isinstance(module, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    kernel = weight.double() * factor.reshape(outputs)
    module.weight = nn.Parameter(kernel.to(weight.dtype), requires_grad=False)
    module.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=False)
