"""Files of ImageNet weights as publishers lay them out: names and shapes as published, values made up."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.backbones.base import nearest_stride
from mxnetseg.errors import CheckpointError
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights.imagenet import load_backbone
from mxnetseg.weights.index import read_index
from mxnetseg.weights.layouts import layout
from tests.weights.test_imagenet import arrays, torch_names

LAYOUTS = json.loads(
    gzip.decompress((Path(__file__).parent / "files" / "imagenet_layouts.json.gz").read_bytes())
)
# Branches are listed in another order than they are built here.
ORDERED = [name for name in LAYOUTS if not re.search(r"ddrnet|pidnet|stdc", name)]


def built(name, **options):
    net = create_backbone(name, nearest_stride(name, 32), **options)
    net.initialize()
    return net


def made_up(shapes):
    """A value of its own in every tensor; variances positive."""
    return {n: np.full(shape, 0.5 + k / 1024, np.float32) for k, (n, shape) in enumerate(shapes.items())}


def saved(tmp_path, tensors):
    np.savez(tmp_path / "published.npz", **tensors)
    return str(tmp_path / "published.npz")


def filled(net):
    return {name: parameter.data().asnumpy() for name, parameter in named_parameters(net).items()}


DEEP = ("authors pidnet_l", "authors ddrnet39", "timm mobilenetv3_large")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in DEEP else n for n in LAYOUTS]
)
def test_a_published_file_fills_the_backbone(name, tmp_path):
    published = made_up(LAYOUTS[name]["tensors"])
    net = built(LAYOUTS[name]["backbone"])
    before = filled(net)
    load_backbone(net, saved(tmp_path, published))
    known = {float(tensor.flat[0]) for tensor in published.values()}
    fresh = net.imagenet.fresh
    for ours, value in filled(net).items():
        if any(re.search(pattern, ours) for pattern in fresh) and (value == before[ours]).all():
            continue
        shifted = ours.startswith("stem.") and ours.endswith("running_mean")  # by the bias that was before it
        assert shifted or ours == "pos_embed" or float(value.flat[0]) in known, ours
        assert value.std() < 1e-6, ours


@pytest.mark.parametrize("name", ORDERED)
def test_tensors_of_one_kind_and_shape_keep_their_order(name, tmp_path):
    published = made_up(LAYOUTS[name]["tensors"])
    net = built(LAYOUTS[name]["backbone"])
    load_backbone(net, saved(tmp_path, published))
    last = {}
    for ours, value in filled(net).items():
        kind = (ours.rpartition(".")[2], value.shape)
        if not ours.startswith(("cls", "pos")):
            assert value.flat[0] > last.get(kind, 0), ours
            last[kind] = value.flat[0]


@pytest.mark.parametrize("name", ["timm resnest14d", "timm mobilenetv3_small", "authors ddrnet23_slim"])
def test_a_tensor_that_nobody_knows_is_reported(name, tmp_path):
    published = {**made_up(LAYOUTS[name]["tensors"]), "adapter.weight": np.zeros((2, 2), np.float32)}
    with pytest.raises(CheckpointError, match=r"left over: adapter\.weight"):
        load_backbone(built(LAYOUTS[name]["backbone"]), saved(tmp_path, published))


def test_biases_before_the_norms_of_a_stem_move_into_their_means(tmp_path):
    published = made_up(LAYOUTS["authors ddrnet23_slim"]["tensors"])
    net = built("ddrnet23_slim")
    load_backbone(net, saved(tmp_path, published))
    expected = published["conv1.4.running_mean"] - published["conv1.3.bias"]
    np.testing.assert_allclose(net.stem[1].bn.running_mean.data().asnumpy(), expected, rtol=1e-5)


def three_convolutions(name):
    name = torch_names(name)
    for ours, theirs in (
        ("bn1.", "bn3."),
        ("conv1.0.", "conv1."),
        ("conv1.1.", "bn1."),
        ("conv1.3.", "conv2."),
    ):
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    for ours, theirs in (("conv1.4.", "bn2."), ("conv1.6.", "conv3.")):
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return name


def sfsegnets(name):
    return "module." + torch_names(name)


def nvidia_wideresnet(name):
    name = re.sub(r"^(mod[2-7])\.(\d)\.", lambda m: f"{m[1]}.block{int(m[2]) + 1}.", torch_names(name))
    names = {"0": "conv1", "1.0": "bn2.0", "2": "conv2", "3.0": "bn3.0", "4": "conv3", "5": "conv3"}
    name = re.sub(r"\.convs\.([013]\.0|\d)\.", lambda m: f".convs.{names[m[1]]}.", name)
    return name.replace("mod1.0.", "mod1.conv1.")


def torchvision_vit(name):
    name = torch_names(name)
    for ours, theirs in (
        ("patch_embed.", "conv_proj."),
        ("cls_token", "class_token"),
        (".norm1.", ".ln_1."),
        (".norm2.", ".ln_2."),
        (".attn.qkv.", ".self_attention.in_proj_"),
        (".attn.proj.", ".self_attention.out_proj."),
        (".mlp.fc1.", ".mlp.0."),
        (".mlp.fc2.", ".mlp.3."),
    ):
        name = name.replace(ours, theirs)
    return re.sub(r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1.", name)


def mit_authors(name):
    name = torch_names(name)
    for pattern, theirs in (
        (r"^stages\.(\d)\.patch\.", "patch_embed{}.proj."),
        (r"^stages\.(\d)\.patch_norm\.", "patch_embed{}.norm."),
        (r"^stages\.(\d)\.blocks\.", "block{}."),
        (r"^stages\.(\d)\.norm\.", "norm{}."),
    ):
        name = re.sub(pattern, lambda m, t=theirs: t.format(int(m[1]) + 1), name)
    return name.replace(".dwconv.", ".dwconv.dwconv.")


@pytest.mark.parametrize(
    ("backbone", "rename"),
    [
        ("resnet18_v1s", three_convolutions),
        ("resnet18_v1s", sfsegnets),
        ("resnet18_v1c", three_convolutions),
        pytest.param("wideresnet38", nvidia_wideresnet, marks=pytest.mark.slow),
        ("mit_b0", mit_authors),
        ("dfnetv2", sfsegnets),
    ],
)
def test_every_value_arrives_where_its_name_says(backbone, rename, tmp_path):
    values, published = arrays(backbone, rename)
    net = built(backbone)
    load_backbone(net, saved(tmp_path, published))
    for name, value in filled(net).items():
        np.testing.assert_array_equal(value, values[name], err_msg=name)


def vit_values():
    """A tiny ViT's parameters but the positions, which files hold as tokens with that of the class token."""
    rng = np.random.default_rng(0)
    values = {
        n: rng.uniform(0.5, 1.5, v.shape).astype(np.float32) for n, v in filled(built("vit_tiny")).items()
    }
    position, first = values.pop("pos_embed"), values.pop("cls_pos")
    tokens = np.concatenate([first, position.reshape(1, position.shape[1], -1).transpose(0, 2, 1)], axis=1)
    return values, tokens, position


def test_torchvisions_vit_fills_ours(tmp_path):
    values, tokens, position = vit_values()
    published = {torchvision_vit(name): value for name, value in values.items()}
    published["encoder.pos_embedding"] = tokens
    published["encoder.ln.weight"] = np.ones(192, np.float32)
    net = built("vit_tiny")
    load_backbone(net, saved(tmp_path, published))
    found = filled(net)
    np.testing.assert_allclose(found.pop("pos_embed"), position, rtol=1e-6)
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_authors_vit_fills_ours_with_its_matrices_turned(tmp_path):
    values, tokens, position = vit_values()
    heads, width = 3, 192
    published = {
        "embedding/kernel": values["patch_embed.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": values["patch_embed.bias"],
        "cls": values["cls_token"],
        "Transformer/posembed_input/pos_embedding": tokens,
        "Transformer/encoder_norm/scale": np.ones(width, np.float32),
        "Transformer/encoder_norm/bias": np.ones(width, np.float32),
        "head/kernel": np.zeros((width, 1000), np.float32),
    }
    for k in range(12):
        ours, theirs = f"blocks.{k}.", f"Transformer/encoderblock_{k}/"
        attention = theirs + "MultiHeadDotProductAttention_1/"
        for part, third in zip(("query", "key", "value"), range(3)):
            rows = slice(third * width, (third + 1) * width)
            kernel = values[ours + "attn.qkv.weight"][rows].T
            published[f"{attention}{part}/kernel"] = kernel.reshape(width, heads, -1)
            published[f"{attention}{part}/bias"] = values[ours + "attn.qkv.bias"][rows].reshape(heads, -1)
        published[attention + "out/kernel"] = values[ours + "attn.proj.weight"].T.reshape(heads, -1, width)
        published[attention + "out/bias"] = values[ours + "attn.proj.bias"]
        for norm, name in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
            published[f"{theirs}{norm}/scale"] = values[f"{ours}{name}.gamma"]
            published[f"{theirs}{norm}/bias"] = values[f"{ours}{name}.beta"]
        for dense, name in (("Dense_0", "fc1"), ("Dense_1", "fc2")):
            published[f"{theirs}MlpBlock_3/{dense}/kernel"] = values[f"{ours}mlp.{name}.weight"].T
            published[f"{theirs}MlpBlock_3/{dense}/bias"] = values[f"{ours}mlp.{name}.bias"]
    net = built("vit_tiny")
    load_backbone(net, saved(tmp_path, published))
    found = filled(net)
    np.testing.assert_allclose(found.pop("pos_embed"), position, rtol=1e-6)
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("reference", "backbone", "options"),
    [
        ("mmseg_segformer_mit-b0", "mit_b0", {}),
        ("mmseg_segmenter_vit-t_mask", "vit_tiny", {"patch_bias": False}),
    ],
)
def test_mmsegmentations_backbones_fill_ours(reference, backbone, options, tmp_path):
    shapes = layout(reference).shapes
    published = made_up({n: s for n, s in shapes.items() if n.startswith("backbone.")})
    net = built(backbone, **options)
    load_backbone(net, saved(tmp_path, published))
    # Projections are split and positions resized; nothing keeps what it was initialized with.
    assert all(value.min() >= 0.49 for value in filled(net).values())


@pytest.mark.parametrize(
    ("backbone", "advice"),
    [
        ("mit_b2", "fetch openmmlab_mit_b2` downloads them from download.openmmlab.com"),
        (
            "resnet18_v1s",
            r"resnet18-deep-inplane128\.pth is linked in .*SFSegNets.* put it at .*resnet18_v1s\.pth",
        ),
        ("dfnetv1", r"df1_imagenet\.pth is linked in .*SFSegNets.* put it at .*dfnetv1\.pth"),
        ("xception39", "nobody is known to publish them"),
    ],
)
def test_a_missing_file_is_named_with_its_source_and_its_place(backbone, advice, tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match=advice):
        load_backbone(built(backbone), True)


def test_a_swin_of_another_window_asks_for_the_file_of_that_window(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"swin_base_window12\.params.*openmmlab_swin_base_window12`"):
        load_backbone(create_backbone("swin_base", 32, window=12), True)


@pytest.mark.parametrize("file", ["resnet18-f37072fd.pth", "resnet18.pth"])
def test_a_file_under_its_publishers_name_is_found(file, tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    (tmp_path / file).write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=re.escape(file)):
        load_backbone(built("resnet18"), True)


def test_every_backbone_of_the_index_exists():
    from mxnetseg.backbones import BACKBONES

    named = {entry["backbone"] for entry in read_index().values() if "backbone" in entry}
    # Swin's files are of one window, and called after it where that is not the usual one.
    named = {re.sub(r"^(swin_\w+)_window12$", r"\1", name) for name in named}
    assert named <= set(BACKBONES.names("*"))
