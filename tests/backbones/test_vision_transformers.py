"""DINOv2, DINOv3 and BEiT: their files, their positions, and the pyramids that are made of them."""

from __future__ import annotations

import re
import zlib

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.compute.groups import parameter_groups
from mxnetseg.models import create_model
from mxnetseg.nn.resize import resize_bicubic_like
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.nn.transformer import RelativeAttention
from mxnetseg.recipe.fields import OptimizerGroup
from mxnetseg.weights.imagenet import load_backbone

WIDTH = 384
# Taps of a network of two blocks.
SHORT = (0, 0, 0, 1)


def value(name, shape):
    """The numbers that a tensor of this name had where the expected values below were taken."""
    drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    one = "lambda" in name or ("norm" in name and name.endswith("weight"))
    return (drawn * (0.05 if len(shape) > 1 else 0.2) + one).astype(np.float32)


def of_transformers(layers, patch, projection, norm, key_bias, mlp):
    """Names and shapes of a small network in the files of Hugging Face's transformers."""
    before = "embeddings.patch_embeddings" + projection
    shapes = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.mask_token": (1, WIDTH),
        "embeddings.register_tokens": (1, 4, WIDTH),
        f"{before}.weight": (WIDTH, 3, patch, patch),
        f"{before}.bias": (WIDTH,),
        f"{norm}.weight": (WIDTH,),
        f"{norm}.bias": (WIDTH,),
    }
    dense = {f"attention.{part}": (WIDTH, WIDTH) for part in ("q_proj", "k_proj", "v_proj", "o_proj")}
    hidden = 4 * WIDTH
    dense.update({f"mlp.{part}": (hidden, WIDTH) for part in mlp[:-1]})
    dense[f"mlp.{mlp[-1]}"] = (WIDTH, hidden)
    for k in range(12):
        for part, shape in dense.items():
            shapes[f"{layers}.{k}.{part}.weight"] = shape
            if key_bias or part != "attention.k_proj":
                shapes[f"{layers}.{k}.{part}.bias"] = shape[:1]
        for number in (1, 2):
            shapes[f"{layers}.{k}.layer_scale{number}.lambda1"] = (WIDTH,)
            shapes[f"{layers}.{k}.norm{number}.weight"] = (WIDTH,)
            shapes[f"{layers}.{k}.norm{number}.bias"] = (WIDTH,)
    return shapes


DINOV2 = {
    **of_transformers("encoder.layer", 14, ".projection", "layernorm", True, ["fc1", "fc2"]),
    "embeddings.position_embeddings": (1, 1 + 37 * 37, WIDTH),
}


def filled(tmp_path, backbone, tensors):
    np.savez(tmp_path / "file.npz", **tensors)
    backbone.initialize()
    load_backbone(backbone, str(tmp_path / "file.npz"))
    return {name: p.data().asnumpy() for name, p in named_parameters(backbone).items()}


@pytest.mark.parametrize(
    ("name", "options", "shapes", "expected"),
    [
        (
            "dinov3_small",
            {},
            of_transformers("model.layer", 16, "", "norm", False, ["up_proj", "down_proj"]),
            [-0.33737, 0.25168, -0.91943, -0.35917],
        ),
        (
            "dinov3_small_plus",
            {},
            of_transformers("model.layer", 16, "", "norm", False, ["gate_proj", "up_proj", "down_proj"]),
            [-0.04101, 3.13952, -0.53943, 1.27224],
        ),
        (
            "dinov2_small",
            {"registers": 4, "resizing": "bicubic_antialias"},
            DINOV2,
            [1.5414, -0.74342, -0.89868, 1.27409],
        ),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_files_of_transformers_give_what_transformers_5_23_gives(tmp_path, name, options, shapes, expected):
    patch = 14 if name.startswith("dinov2") else 16
    backbone = create_backbone(name, patch, **options)
    filled(tmp_path, backbone, {n: value(n, shape) for n, shape in shapes.items()})
    backbone.hybridize()
    for size in ((5, 3), (3, 5)):
        x = np.random.RandomState(0).standard_normal((1, 3, size[0] * patch, size[1] * patch))
        y = backbone(mx.nd.array(x))[-1].asnumpy()[0]
        assert y.shape == (WIDTH, *size)
    found = [y[0, 0, 0], y[100, 1, 2], y[200, 2, 4], y[383, 0, 4]]
    np.testing.assert_allclose(found, expected, atol=5e-4)


def authors(tensors):
    """Our arrays under the names of the DINO repositories."""
    named = {}
    for name, array in tensors.items():
        name = name.replace(".gamma", ".weight").replace(".beta", ".bias")
        name = re.sub(r"\.scale([12])$", r".ls\1.gamma", name).replace("patch_embed.", "patch_embed.proj.")
        named[{"registers": "storage_tokens"}.get(name, name)] = array
    return named


def drawn(backbone):
    rng = np.random.RandomState(0)
    return {n: rng.standard_normal(p.shape).astype(np.float32) for n, p in named_parameters(backbone).items()}


def test_files_of_the_authors_fill_dinov3_whose_keys_have_a_masked_bias(tmp_path):
    backbone = create_backbone("dinov3_small_plus", 16, taps=SHORT)
    values = drawn(backbone)
    file = authors(values)
    for k in range(2):
        query, theirs = file.pop(f"blocks.{k}.attn.q_bias"), f"blocks.{k}.attn.qkv"
        file[f"{theirs}.bias"] = np.concatenate([query, query * np.nan, file.pop(f"blocks.{k}.attn.v_bias")])
        file[f"{theirs}.bias_mask"] = np.ones(3 * WIDTH)
        for kind in ("weight", "bias"):
            gate, up = np.split(file.pop(f"blocks.{k}.mlp.fc1.{kind}"), 2)
            file.update({f"blocks.{k}.mlp.w1.{kind}": gate, f"blocks.{k}.mlp.w2.{kind}": up})
            file[f"blocks.{k}.mlp.w3.{kind}"] = file.pop(f"blocks.{k}.mlp.fc2.{kind}")
    file.update({"mask_token": np.zeros((1, WIDTH)), "rope_embed.periods": np.zeros(16)})
    found = filled(tmp_path, backbone, file)
    for name, array in values.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_files_of_the_authors_fill_dinov2_cut_behind_its_last_tap(tmp_path):
    whole = authors(drawn(create_backbone("dinov2_small", 14)))
    table = np.random.RandomState(1).standard_normal((1, 1 + 37 * 37, WIDTH)).astype(np.float32)
    del whole["cls_pos"]
    whole.update(pos_embed=table, mask_token=np.zeros((1, WIDTH)))
    cut = create_backbone("dinov2_small", 14, taps=[1, 3, 5, 9])
    found = filled(tmp_path, cut, whole)
    assert len(cut.blocks) == 10
    np.testing.assert_array_equal(found["blocks.9.attn.qkv.weight"], whole["blocks.9.attn.qkv.weight"])
    np.testing.assert_array_equal(found["cls_pos"], table[:, :1])
    np.testing.assert_allclose(found["pos_embed"][0, :, 2, 3], table[0, 1 + 2 * 37 + 3], rtol=1e-6)


def test_patches_of_14_pixels_become_patches_of_16_that_answer_alike(tmp_path):
    small = authors(drawn(create_backbone("dinov2_small", 14, taps=SHORT)))
    larger = create_backbone("dinov2_small", 14, taps=SHORT, patch=16)
    found = filled(tmp_path, larger, small)["patch_embed.weight"]
    assert found.shape == (WIDTH, 3, 16, 16)
    patch = mx.nd.random.normal(shape=(1, 3, 14, 14))
    seen = resize_bicubic_like(mx.nd, patch, mx.nd.zeros((1, 1, 16, 16)), antialias=True).asnumpy()
    answer = (small["patch_embed.proj.weight"] * patch.asnumpy()).sum((1, 2, 3))
    np.testing.assert_allclose((found * seen).sum((1, 2, 3)), answer, atol=1e-3 * answer.std())


def test_files_of_beit_fill_tables_of_another_grid(tmp_path):
    backbone = create_backbone("beit_base", 16, grid=(3, 5), taps=SHORT)
    values = drawn(backbone)
    file = {}
    for name, array in authors(values).items():
        if name.endswith(".offsets"):
            continue
        file[re.sub(r"\.ls([12])\.gamma", r".gamma_\1", name)] = array
    for k in range(2):
        numbers = file.pop(f"blocks.{k}.attn.class_offsets")
        # Five rows and nine columns, each of one number.
        plane = np.repeat(np.arange(5, dtype=np.float32), 9)[:, None] * np.ones((1, 12))
        file[f"blocks.{k}.attn.relative_position_bias_table"] = np.concatenate([plane, numbers])
        file[f"blocks.{k}.attn.relative_position_index"] = np.zeros((16, 16), np.int64)
    file.update({"head.weight": np.zeros((1000, 768)), "fc_norm.weight": np.zeros(768)})
    found = filled(tmp_path, backbone, file)
    np.testing.assert_array_equal(found["blocks.0.attn.class_offsets"], values["blocks.0.attn.class_offsets"])
    assert (found["blocks.1.attn.offsets"] == np.arange(5)[:, None]).all()
    wider = create_backbone("beit_base", 16, grid=(5, 9), taps=SHORT)
    found = filled(tmp_path, wider, file)["blocks.1.attn.offsets"]
    assert found.shape == (1, 12, 9, 17)
    expected = np.clip((np.arange(9) + 0.5) * 5 / 9 - 0.5, 0, 4)
    np.testing.assert_allclose(found[0, 0, :, 0], expected, atol=1e-6)


def test_a_patch_meets_another_with_the_number_of_their_offset():
    backbone = create_backbone("beit_base", 16, grid=(2, 3), taps=SHORT)
    places, like = backbone.places(mx.nd, mx.nd.zeros((1, 1, 2, 3)))
    numbers = np.random.RandomState(0).standard_normal((1, 2, 3, 5)).astype(np.float32)
    ends = np.random.RandomState(1).standard_normal((3, 2)).astype(np.float32)
    attention = RelativeAttention(24, 2, (2, 3))
    tables = (mx.nd.array(numbers), mx.nd.array(ends))
    found = attention.scored(mx.nd, mx.nd.zeros((4, 7, 7)), places, like, *tables).asnumpy()
    np.testing.assert_array_equal(found[:2], found[2:])
    seats = [(row, column) for row in range(2) for column in range(3)]
    for head in range(2):
        assert found[head, 0, 0] == ends[2, head]
        assert (found[head, 0, 1:] == ends[0, head]).all() and (found[head, 1:, 0] == ends[1, head]).all()
        for i, (y, x) in enumerate(seats):
            for j, (v, u) in enumerate(seats):
                assert found[head, 1 + i, 1 + j] == numbers[0, head, y - v + 1, x - u + 2]


@pytest.mark.parametrize("backbone", ["dinov2_small", "beit_base"])
def test_a_pyramid_is_cut_to_images_whose_sides_are_no_multiples_of_a_patch(backbone):
    net = create_model("upernet", 3, backbone=backbone, backbone_options={"taps": SHORT}, width=8).deploy()
    patch = net.backbone.patch
    height, width = 3 * patch - 2, 5 * patch - 7
    x = mx.nd.random.normal(shape=(1, 3, height, width))
    padded = mx.nd.pad(x, mode="constant", pad_width=(0, 0, 0, 0, 0, 2, 0, 7))
    whole = net(padded)[0].asnumpy()
    net.hybridize()
    found = net(x)[0].asnumpy()
    np.testing.assert_allclose(found, whole[:, :, :height, :width], rtol=1e-4, atol=1e-5 * whole.std())


def test_the_layers_of_a_pyramid_learn_like_a_head():
    net = create_model("sfnet", 3, backbone="dinov3_small", init=False)
    groups = parameter_groups(net, OptimizerGroup(layer_decay=0.5, head_lr_mult=3.0))
    assert groups["backbone.levels.0.smooth.weight"].lr_mult == 3.0
    assert groups["backbone.blocks.11.attn.qkv.weight"].lr_mult == 0.5
    assert groups["backbone.registers"].lr_mult == 0.5**13
