"""What the optimizer makes of each parameter: rates, decay, what is frozen."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones.base import create_backbone
from mxnetseg.compute import create_engine
from mxnetseg.compute.groups import parameter_groups
from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.recipe.fields import LossGroup, OptimizerGroup


@pytest.fixture(scope="module")
def pyramid():
    return create_model("fcn", 4, backbone="resnet18", init=False)


@pytest.fixture(scope="module")
def vit():
    return create_model("segmenter", 4, backbone="vit_tiny", init=False)


def groups(net, **settings):
    return parameter_groups(net, OptimizerGroup(**settings))


def test_rates_fall_stage_by_stage_from_the_head_to_the_stem(pyramid):
    found = {
        name: group.lr_mult for name, group in groups(pyramid, layer_decay=0.5, head_lr_mult=3.0).items()
    }
    assert {v for n, v in found.items() if not n.startswith("backbone.")} == {3.0}
    assert {v for n, v in found.items() if n.startswith("backbone.layer4")} == {0.5}
    assert {v for n, v in found.items() if n.startswith("backbone.layer2")} == {0.125}
    assert found["backbone.conv1.weight"] == found["backbone.layer1.0.conv1.weight"] == 0.0625


def test_rates_of_a_vision_transformer_fall_block_by_block(vit):
    found = {name: group.lr_mult for name, group in groups(vit, layer_decay=0.5).items()}
    assert found["backbone.blocks.11.mlp.fc1.weight"] == 0.5
    assert found["backbone.blocks.0.norm1.gamma"] == 0.5**12
    for name in ("pos_embed", "cls_token", "patch_embed.weight"):
        assert found[f"backbone.{name}"] == 0.5**13
    assert {v for n, v in found.items() if not n.startswith("backbone.")} == {1.0}


def test_rates_of_convnext_are_those_that_its_authors_train_with():
    net = create_model("fcn", 4, backbone="convnext_tiny", init=False)
    found = {n: g.lr_mult for n, g in groups(net, layer_decay=0.9, layer_decay_last=3).items()}
    assert found["backbone.stages.3.blocks.0.gamma"] == pytest.approx(0.9**3)
    assert found["backbone.stages.0.blocks.2.fc1.weight"] == pytest.approx(0.9**6)
    for name in ("stem.weight", "stem_norm.gamma", "stages.1.norm.beta", "stages.3.down.weight"):
        assert found[f"backbone.{name}"] == pytest.approx(0.9**7)
    assert found["backbone.norms.0.gamma"] == found["head.classifier.classifier.weight"] == 1.0


def test_what_is_spared_from_decay_goes_by_what_a_parameter_is(vit):
    def decayed(**settings):
        return {
            name for name, group in groups(vit, weight_decay=0.1, **settings).items() if group.weight_decay
        }

    everything = decayed()
    assert everything == set(groups(vit))
    embeddings = everything - decayed(no_decay=["embedding"])
    assert {"backbone.pos_embed", "backbone.cls_token", "backbone.cls_pos"} < embeddings
    assert {name.rpartition(".")[2] for name in embeddings} <= {
        "pos_embed",
        "cls_token",
        "cls_pos",
        "classes",
    }
    norms = everything - decayed(no_decay=["norm"])
    assert "backbone.blocks.3.norm2.beta" in norms and all(n.endswith(("gamma", "beta")) for n in norms)
    biases = everything - decayed(no_decay=["bias"])
    assert "backbone.blocks.3.attn.qkv.bias" in biases and not biases & (norms | embeddings)
    assert "backbone.blocks.3.attn.qkv.weight" in decayed(no_decay=["norm", "bias", "embedding"])


def test_the_backbone_can_have_a_decay_of_its_own(pyramid):
    found = groups(pyramid, weight_decay=0.1, backbone_weight_decay=0.02, no_decay=["norm"])
    assert found["backbone.layer3.0.conv1.weight"].weight_decay == 0.02
    assert found["backbone.bn1.gamma"].weight_decay == 0.0
    assert {g.weight_decay for n, g in found.items() if not n.startswith("backbone.")} == {0.1, 0.0}


@pytest.mark.parametrize("backbone", ["densenet121", "mit_b0", "stdc1", "mobilenetv2_0.25", "dfnetv1"])
def test_stages_of_other_backbones_are_found_from_what_their_maps_depend_on(backbone):
    net = create_backbone(backbone)
    depths = net.parameter_depths()
    assert set(depths) == set(net.collect_params().keys())
    assert set(depths.values()) == {1, 2, 3, 4}
    in_order = list(depths.values())
    assert in_order[0] == 1 and in_order[-1] == 4


def test_stages_that_a_backbone_does_not_have_are_refused(pyramid):
    with pytest.raises(ConfigError, match="frozen_stages is 5, but this backbone has 4 stages"):
        groups(pyramid, frozen_stages=5)
    with pytest.raises(ConfigError, match=r"need stages one behind the other.*hrnet_w18_small_v1"):
        groups(create_model("fcn", 4, backbone="hrnet_w18_small_v1", init=False), layer_decay=0.9)


def test_frozen_stages_keep_every_bit_and_the_rest_moves():
    net = create_model("fcn", 4, backbone="resnet18")
    engine = create_engine(
        "mxnet", net, 4, LossGroup(), OptimizerGroup(frozen_stages=2, weight_decay=0.1), [mx.cpu()]
    )
    before = engine.network_arrays()
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, 64, 64)).astype(np.float32)
    engine.read(engine.step(images, rng.integers(0, 4, (2, 64, 64)).astype(np.int32), 0.1, seed=0))
    for name, value in engine.network_arrays().items():
        same = np.array_equal(value, before[name])
        first = name.startswith(("backbone.conv1", "backbone.bn1", "backbone.layer1", "backbone.layer2"))
        assert same or not first, name
        if name.endswith(("weight", "gamma", "running_mean")) and not first and "aux" not in name:
            assert not same, name
