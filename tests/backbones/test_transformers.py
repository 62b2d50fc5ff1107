"""ViT and mix transformers: their files, their grids, and what they refuse."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights.imagenet import load_backbone


def drawn(backbone):
    rng = np.random.RandomState(0)
    return {n: rng.standard_normal(p.shape).astype(np.float32) for n, p in named_parameters(backbone).items()}


def torch_name(name):
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


def load(tmp_path, backbone, tensors):
    np.savez(tmp_path / "file.npz", **tensors)
    backbone.initialize()
    load_backbone(backbone, str(tmp_path / "file.npz"))
    return {n: p.data().asnumpy() for n, p in named_parameters(backbone).items()}


def test_a_timm_file_fills_vit_and_its_position_embedding_fits_the_grid(tmp_path):
    backbone = create_backbone("vit_tiny", 16, grid=(3, 5))
    values = drawn(backbone)
    file = {torch_name(n).replace("patch_embed.", "patch_embed.proj."): v for n, v in values.items()}
    table = np.random.RandomState(1).standard_normal((1, 1 + 36, 192)).astype(np.float32)
    del file["cls_pos"]
    file.update({"pos_embed": table, "head.weight": np.zeros((1000, 192)), "norm.weight": np.zeros(192)})
    found = load(tmp_path, backbone, file)
    np.testing.assert_array_equal(found["cls_pos"], table[:, :1])
    assert found["pos_embed"].shape == (1, 192, 3, 5)
    # 6 rows to 3: the middle between two rows.
    table = table[0, 1:, 0].reshape(6, 6)
    middle = (table[::2] + table[1::2])[:, 2:4].sum(1) / 4
    np.testing.assert_allclose(found["pos_embed"][0, 0, :, 2], middle, rtol=1e-5, atol=1e-6)
    for name in set(values) - {"pos_embed", "cls_pos"}:
        np.testing.assert_array_equal(found[name], values[name], err_msg=name)


def test_the_authors_files_and_those_of_mmsegmentation_fill_mix_transformers(tmp_path):
    backbone = create_backbone("mit_b0")
    values = drawn(backbone)

    def authors(name):
        _, stage, part, *rest = torch_name(name).split(".")
        stage, rest = int(stage) + 1, ".".join(rest).replace("dwconv.", "dwconv.dwconv.")
        first = {
            "patch": f"patch_embed{stage}.proj",
            "patch_norm": f"patch_embed{stage}.norm",
            "blocks": f"block{stage}",
            "norm": f"norm{stage}",
        }[part]
        return f"{first}.{rest}"

    found = load(tmp_path, backbone, {authors(n): v for n, v in values.items()})
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_an_image_smaller_and_odder_than_the_grid_is_padded_to_whole_patches():
    backbone = create_backbone("vit_tiny", 16, grid=(4, 4))
    backbone.initialize()
    for height, width in ((97, 131), (16, 16), (10, 40)):
        maps = backbone(mx.nd.random.normal(shape=(1, 3, height, width)))
        assert {m.shape for m in maps} == {(1, 192, -(-height // 16), -(-width // 16))}


def test_a_head_that_reads_maps_of_one_stride_refuses_a_pyramid():
    with pytest.raises(ConfigError, match="one stride"):
        create_model("setr", 3, backbone="resnet18")


def test_taps_outside_the_network_are_refused():
    with pytest.raises(ConfigError, match="four rising block indices below 12"):
        create_backbone("vit_tiny", 16, taps=[1, 3, 5, 12])


@pytest.mark.parametrize(("name", "kept"), [("segmenter", "mmseg"), ("setr", "mmseg")])
def test_logits_are_cut_to_the_image_in_the_papers_form_and_squeezed_in_mmsegmentations(name, kept):
    size = (40, 56)
    mx.random.seed(0)
    cut = create_model(name, 3, backbone="vit_tiny").deploy()
    squeezed = create_model(name, 3, backbone="vit_tiny", form=kept, backbone_options={"patch_bias": True})
    shared = named_parameters(cut)
    for parameter, value in named_parameters(squeezed.deploy()).items():
        value.set_data(shared[parameter].data())
    x = mx.nd.random.normal(shape=(1, 3, *size))
    padded = mx.nd.pad(x, mode="constant", pad_width=(0, 0, 0, 0, 0, 8, 0, 8))
    # Of whole patches both forms make the same; the paper's shows a part of that.
    whole = squeezed.deploy()(padded)[0].asnumpy()
    np.testing.assert_allclose(cut(padded)[0].asnumpy(), whole, rtol=1e-4, atol=1e-5)
    found = cut(x)[0].asnumpy()
    assert found.shape == (1, 3, *size)
    np.testing.assert_allclose(found, whole[:, :, : size[0], : size[1]], rtol=1e-4, atol=1e-5)
    assert np.abs(squeezed.deploy()(x)[0].asnumpy() - found).max() > 1e-3
    cut.hybridize()
    np.testing.assert_allclose(cut(x)[0].asnumpy(), found, rtol=1e-4, atol=1e-5)
