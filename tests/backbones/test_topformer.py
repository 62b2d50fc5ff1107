"""TopFormer's backbone: pooling to a grid that follows the image, and the authors' files."""

from __future__ import annotations

import re

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.nn.pool import adaptive_avg_pool, adaptive_avg_pool_half
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights import imagenet
from tests.backbones.test_transformers import torch_name

# The authors' blocks, numbered from 1, in each level of the base network; the first belongs to the stem.
NUMBERS = ((2, 3), (4, 5), (6, 7), (8, 9, 10))
INJECTION = {"local": "local_embedding", "semantics": "global_embedding", "gate": "global_act"}


def published(name):
    """The authors' name of a parameter of ours."""
    name = torch_name(name)
    if name.startswith("injections."):
        _, level, part, rest = name.split(".", 3)
        return f"SIM.{int(level) + 1}.{INJECTION[part]}.{rest}"
    name = name.replace(".conv.", ".c.")
    if name.startswith("transformer."):
        name = name.replace("transformer.", "trans.transformer_blocks.").replace(".proj.", ".proj.1.")
        name = re.sub(r"\.([qkv])\.", r".to_\1.", name)
        return re.sub(r"\.(fc[12]|depthwise)\.", r".mlp.\1.", name).replace("depthwise", "dwconv")
    found = re.match(r"levels\.(\d)\.(\d)\.units\.(\d)\.(.*)", name)
    if found:
        number = NUMBERS[int(found.group(1))][int(found.group(2))]
        return f"tpm.layer{number}.conv.{2 * int(found.group(3))}.{found.group(4)}"
    found = re.match(r"stem\.1\.units\.(\d)\.(.*)", name)
    return f"tpm.layer1.conv.{2 * int(found.group(1))}.{found.group(2)}" if found else f"tpm.{name}"


@pytest.mark.parametrize("part", ["classifier", "network"])
def test_files_in_the_authors_names_fill_the_backbone(part, monkeypatch):
    net = create_backbone("topformer_base")
    net.initialize()
    rng = np.random.RandomState(0)
    values = {name: rng.uniform(size=p.shape).astype("float32") for name, p in named_parameters(net).items()}
    before = {name: p.data().asnumpy() for name, p in named_parameters(net).items()}
    file = {published(name): value for name, value in values.items()}
    if part == "classifier":
        file = {name: value for name, value in file.items() if not name.startswith("SIM.")}
        file["head.l.weight"] = rng.uniform(size=(1000, 384)).astype("float32")
    monkeypatch.setattr(imagenet, "read_tensors", lambda path: file)
    imagenet.load_backbone(net, "a file")
    for name, parameter in named_parameters(net).items():
        injection = name.startswith("injections.")
        expected = before if part == "classifier" and injection else values
        np.testing.assert_array_equal(parameter.data().asnumpy(), expected[name], err_msg=name)


@pytest.mark.parametrize("size, grid", [((5, 8), (3, 4)), ((6, 7), (3, 4)), ((1, 2), (1, 1))])
def test_pooling_to_half_the_size_of_a_map_is_adaptive_pooling(size, grid):
    x = mx.nd.array(np.random.RandomState(0).standard_normal((2, 3, 17, 26)))
    found = adaptive_avg_pool_half(mx.nd, x, mx.nd.zeros((1, 1, *size)))
    np.testing.assert_allclose(found.asnumpy(), adaptive_avg_pool(mx.nd, x, grid).asnumpy(), atol=1e-6)
