"""A dump is the inverse of loading, for every published network whose names are known."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.errors import CheckpointError, ConfigError
from mxnetseg.models import create_model
from mxnetseg.weights import dump, load, reference_info, references
from mxnetseg.weights.layouts import known, layout

# Over 200 million numbers.
LARGE = [name for name in references() if "vit-l" in name or "vit_large" in name]
# Renamed only; stored twice and classifiers that never run; projections split; an embedding as a map; another
# shape; constants; a tensor that the table makes up.
FEW = [
    "sfnet_resnet18",
    "sfnet_stdc1",
    "mmseg_segformer_mit-b0",
    "mmseg_setr_vit-s_mla",
    "mmseg_segmenter_vit-t_mask",
    "mmseg_stdc1",
]


def drawn(name):
    """Random tensors of a reference, those stored twice alike."""
    names, rng = layout(name), np.random.default_rng(0)
    tensors = {tensor: rng.standard_normal(shape, dtype=np.float32) for tensor, shape in names.shapes.items()}
    for tensor, other in names.aliases.items():
        tensors[tensor] = tensors[other]
    return tensors


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def round_trip(name):
    tensors = drawn(name)
    assert_same(dump(name, load(name, tensors, layout(name).nclass)), tensors)


@pytest.mark.parametrize("name", FEW)
def test_what_was_loaded_comes_out_again(name):
    round_trip(name)


@pytest.mark.golden
@pytest.mark.parametrize("name", [name for name in references() if name not in FEW and name not in LARGE])
def test_what_was_loaded_comes_out_again_for_every_reference(name):
    round_trip(name)


def test_every_reference_has_a_layout():
    assert sorted(known()) == references()


def test_another_number_of_classes_changes_the_shapes_that_follow_it():
    name = "sfnet_resnet18"
    net = create_model("sfnet", 7, **reference_info(name).options_for({}))
    found, stored = dump(name, net), layout(name).shapes
    changed = {name: found[name].shape for name, shape in stored.items() if found[name].shape != shape}
    assert changed == {"head.conv_last.1.weight": (7, 128, 1, 1), "head.conv_last.1.bias": (7,)}


def test_a_network_that_was_never_loaded_has_zeros_for_what_it_never_runs_and_constants_as_published():
    entry = reference_info("mmseg_stdc1")
    found = dump("mmseg_stdc1", create_model("stdcseg", 19, **entry.options_for({})))
    kernel = found["auxiliary_head.2.laplacian_kernel"]
    assert kernel.shape == layout("mmseg_stdc1").shapes["auxiliary_head.2.laplacian_kernel"]
    assert kernel.sum() == 0 and kernel.max() == 8
    entry = reference_info("sfnet_stdc1")
    found = dump("sfnet_stdc1", create_model("sfnet", 19, **entry.options_for({})))
    assert not found["backbone.linear.weight"].any()
    first, second = (found[f"backbone.{part}.0.conv.weight"] for part in ("features", "x2.0"))
    np.testing.assert_array_equal(first, second)


def test_a_token_that_is_thrown_away_has_a_gradient_of_zero():
    name = "mmseg_setr_vit-s_mla"
    found = dump(name, load(name, drawn(name), layout(name).nclass), of="grad")
    assert found["backbone.cls_token"].shape == (1, 1, 384)
    assert not found["backbone.cls_token"].any()


def test_a_dump_of_another_network_is_an_error():
    net = create_model("fcn", 19, backbone="mobilenetv2_0.25")
    with pytest.raises(CheckpointError, match="has nothing for"):
        dump("sfnet_resnet18", net)
    with pytest.raises(ConfigError, match="data or of grad"):
        dump("sfnet_resnet18", net, of="momentum")
