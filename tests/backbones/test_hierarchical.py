"""Transformers with stages and their convolutional relatives: any size, both engines, files of others."""

from __future__ import annotations

import re

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.backbones import create_backbone
from mxnetseg.nn.initial import FAN_OUT
from mxnetseg.nn.surgery import named_parameters, without_dropout
from mxnetseg.nn.windows import apart, filled, regions, whole_windows
from mxnetseg.weights import imagenet
from tests.backbones.test_transformers import torch_name

SMALLEST = (
    "swin_tiny",
    pytest.param("convnextv2_atto", marks=pytest.mark.slow),
    pytest.param("twins_svt_small", marks=pytest.mark.slow),
    pytest.param("poolformer_s12", marks=pytest.mark.slow),
    pytest.param("mscan_tiny", marks=pytest.mark.slow),
)
# Ends of names of parameters that change nothing: a bias before a batch norm, a shift of what its own average
# is taken from.
STILL = {"mscan_tiny": ("units.0.conv.bias", "units.2.conv.bias"), "poolformer_s12": ("norm1.beta",)}


def backbone(name, **options):
    mx.random.seed(0)
    np.random.seed(0)
    net = create_backbone(name, **options)
    net.initialize(FAN_OUT)
    return net


def images(size, count=1):
    return np.random.RandomState(1).standard_normal((count, 3, *size))


def of_map(maps, weights):
    return sum((y * w).sum() for y, w in zip(maps, weights))


@pytest.mark.parametrize("name", SMALLEST)
def test_one_hybridized_backbone_serves_images_of_any_size(name):
    net = backbone(name)
    sizes = [((64, 96), 2), ((97, 131), 1), ((41, 150), 1)]
    expected = [[y.asnumpy() for y in net(mx.nd.array(images(*size)))] for size in sizes]
    net.hybridize(static_alloc=True, static_shape=True)
    for size, maps in zip(sizes, expected):
        for found, map_ in zip(net(mx.nd.array(images(*size))), maps):
            np.testing.assert_allclose(found.asnumpy(), map_, rtol=1e-4, atol=1e-4 * map_.std())


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_maps_and_gradients_are_those_of_the_pytorch_form(name):
    torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")
    from mxnetseg.compute import to_torch

    net = backbone(name)
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            noise = mx.nd.random.normal(scale=0.1, shape=parameter.shape)
            parameter.set_data(parameter.data() + noise if len(parameter.shape) < 2 else parameter.data())
    net.cast("float64")
    # Large enough for several keys in every attention to a smaller map.
    x = images((70, 101), 2)
    twin = to_torch(net).double().train()
    for module in twin.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    with without_dropout(net), autograd.record():
        maps = net(mx.nd.array(x, dtype="float64"))
        rng = np.random.RandomState(2)
        weights = [rng.standard_normal(y.shape) for y in maps]
        of_map(maps, [mx.nd.array(w, dtype="float64") for w in weights]).backward()
    theirs = twin(torch.from_numpy(x))
    of_map(theirs, [torch.from_numpy(w) for w in weights]).backward()
    for a, b in zip(maps, theirs):
        assert np.abs(a.asnumpy() - b.detach().numpy()).max() < 1e-4 * a.asnumpy().std()
    gradients = dict(twin.named_parameters())
    for structural, parameter in named_parameters(net).items():
        if parameter.grad_req != "null" and not structural.endswith(STILL.get(name, ())):
            ours, other = parameter.grad().asnumpy(), gradients[structural].grad.numpy()
            assert np.abs(ours).max() > 0, structural
            assert np.abs(ours - other).max() < 1e-4 * np.abs(other).max(), structural


def dropped(net):
    """How often a sample may pass a branch by."""
    graph = mx.sym.Group(list(net(mx.sym.var("data")))).tojson()
    return len(re.findall(r'"op": "Dropout"', graph))


@pytest.mark.parametrize(
    ("name", "branches"),
    [
        ("swin_tiny", 2 * 12 - 2),
        ("convnext_tiny", 18 - 1),
        ("twins_svt_small", 2 * 18 - 2),
        ("poolformer_s12", 0),  # published without
        ("mscan_tiny", 2 * 13 - 2),
    ],
)
def test_every_branch_but_those_of_the_first_block_can_be_passed_by(name, branches):
    assert dropped(create_backbone(name)) == branches


# ----- windows


def test_windows_of_a_rolled_map_keep_what_was_far_apart_apart():
    x = mx.nd.zeros((1, 5, 8, 2))
    whole = whole_windows(mx.nd, x, 4)
    assert whole.shape == (1, 1, 8, 8)
    mask = apart(mx.nd, regions(mx.nd, whole, 4, 2), 4, 100.0).asnumpy()
    rolled = np.roll(np.arange(64).reshape(8, 8), (-2, -2), (0, 1))
    for number, (top, left) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        places = rolled[top : top + 4, left : left + 4].ravel()
        rows, columns = places // 8, places % 8
        near = (abs(rows[:, None] - rows) < 4) & (abs(columns[:, None] - columns) < 4)
        np.testing.assert_array_equal(mask[number, 0] == 0, near)


def test_windows_of_twins_keep_filled_places_apart_only_where_both_directions_are_filled():
    for size, masked in (((5, 6), True), ((8, 6), False), ((5, 8), False)):
        x = mx.nd.zeros((1, *size, 2))
        whole = whole_windows(mx.nd, x, 4)
        numbers = filled(mx.nd, whole, mx.nd.zeros((1, 2, *size)))
        outside = np.ones((8, 8))
        outside[: size[0], : size[1]] = 0
        np.testing.assert_array_equal(numbers.asnumpy()[0, :, :, 0], outside * masked)
        assert (apart(mx.nd, numbers, 4, 1000.0).asnumpy() < 0).any() == masked


# ----- files of others


def numbered(net):
    """{name: array} of values that are all different in a parameter, and from one to the next."""
    shapes = {name: parameter.shape for name, parameter in named_parameters(net).items()}
    return {
        name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + k
        for k, (name, shape) in enumerate(shapes.items())
    }


@pytest.fixture
def loaded(monkeypatch):
    """A function that loads tensors into a backbone and returns its values."""

    def load(net, tensors):
        monkeypatch.setattr(imagenet, "read_tensors", lambda path: tensors)
        net.initialize()
        imagenet.load_backbone(net, "a file")
        return {n: p.data().asnumpy() for n, p in named_parameters(net).items()}

    return load


def swin_file(values, names):
    """`values` of ours as a file in the names of `authors`, `timm`, `mmseg` or `hub` (transformers)."""
    file = {}
    for name, value in values.items():
        name = torch_name(name)
        merge = re.match(r"stages\.(\d)\.merge\.(norm|reduce)\.(.*)", name)
        if merge:
            stage, part = int(merge.group(1)), merge.group(2).replace("reduce", "reduction")
            name = f"stages.{stage - (names != 'timm')}.downsample.{part}.{merge.group(3)}"
            if names == "mmseg":
                blocks = value.reshape(*value.shape[:-1], 4, -1)[..., [0, 2, 1, 3], :]
                value = np.swapaxes(blocks, -1, -2).reshape(value.shape)
        if name.startswith("norms."):
            if names == "mmseg":
                file[name.replace("norms.", "norm")] = value
            continue
        name = name.replace("attn.positions", "attn.relative_position_bias_table")
        if names in ("authors", "timm"):
            name = name.replace("patch_embed.", "patch_embed.proj.").replace("stages.", "layers.")
            name = name.replace("patch_norm.", "patch_embed.norm.")
        elif names == "mmseg":
            name = name.replace("patch_embed.", "patch_embed.projection.")
            name = name.replace("patch_norm.", "patch_embed.norm.").replace("attn.", "attn.w_msa.")
            name = name.replace("mlp.fc1.", "ffn.layers.0.0.").replace("mlp.fc2.", "ffn.layers.1.")
        else:
            name = name.replace("patch_embed.", "embeddings.patch_embeddings.projection.")
            name = name.replace("patch_norm.", "embeddings.norm.").replace("stages.", "encoder.layers.")
            name = name.replace(".norm1.", ".layernorm_before.").replace(".norm2.", ".layernorm_after.")
            name = name.replace("attn.relative", "attention.self.relative")
            name = name.replace("attn.proj.", "attention.output.dense.")
            name = name.replace("mlp.fc1.", "intermediate.dense.").replace("mlp.fc2.", "output.dense.")
            if "attn.qkv." in name:
                for part, word in zip(np.split(value, 3), ("query", "key", "value")):
                    file["swin." + name.replace("attn.qkv.", f"attention.self.{word}.")] = part
                continue
            name = "swin." + name
        file[name] = value
    return file


@pytest.mark.parametrize("names", ["authors", "timm", "mmseg", "hub"])
def test_files_of_swin_fill_every_parameter_but_the_norms_of_maps(loaded, names):
    net = create_backbone("swin_tiny")
    values = numbered(net)
    file = swin_file(values, names)
    file["layers.0.blocks.1.attn.relative_position_index"] = np.zeros((49, 49), np.int64)
    file.update({"head.weight": np.zeros((1000, 768)), "norm.weight": np.zeros(768)})
    if names == "hub":
        file = {("classifier.weight" if n == "head.weight" else n): v for n, v in file.items()}
        file["swin.layernorm.weight"] = file.pop("norm.weight")
    found = loaded(net, file)
    for name, value in values.items():
        if name.startswith("norms.") and names != "mmseg":
            value = np.full(value.shape, float(name.endswith("gamma")))
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def convnext_file(values, names):
    """`values` of ours as a file in the names of `authors`, `timm`, `torchvision`, `mmpretrain` or `hub`."""
    file = {}
    for name, value in values.items():
        name = torch_name(name)
        if name.startswith("norms."):
            continue
        stem = re.match(r"stem(_norm)?\.(.*)", name)
        down = re.match(r"stages\.(\d)\.(norm|down)\.(.*)", name)
        block = re.match(r"stages\.(\d)\.blocks\.(\d+)\.(.*)", name)
        if stem:
            second, rest = int(bool(stem.group(1))), stem.group(2)
            place = {"authors": "downsample_layers.0", "timm": "stem", "torchvision": "features.0"}
            hub = f"convnext.embeddings.{('patch_embeddings', 'layernorm')[second]}.{rest}"
            name = f"{place.get(names, 'downsample_layers.0')}.{second}.{rest}" if names != "hub" else hub
        elif down:
            stage, second, rest = int(down.group(1)), int(down.group(2) == "down"), down.group(3)
            place = {
                "timm": f"stages.{stage}.downsample",
                "torchvision": f"features.{2 * stage}",
                "hub": f"convnext.encoder.stages.{stage}.downsampling_layer",
            }.get(names, f"downsample_layers.{stage}")
            name = f"{place}.{second}.{rest}"
        else:
            stage, index, rest = int(block.group(1)), block.group(2), block.group(3)
            place, parts = {
                "authors": (f"stages.{stage}.{index}", ("dwconv", "pwconv1", "pwconv2", "gamma")),
                "mmpretrain": (
                    f"stages.{stage}.{index}",
                    ("depthwise_conv", "pointwise_conv1", "pointwise_conv2", "gamma"),
                ),
                "timm": (f"stages.{stage}.blocks.{index}", ("conv_dw", "mlp.fc1", "mlp.fc2", "gamma")),
                "torchvision": (
                    f"features.{2 * stage + 1}.{index}",
                    ("block.0", "block.3", "block.5", "layer_scale"),
                ),
                "hub": (
                    f"convnext.encoder.stages.{stage}.layers.{index}",
                    ("dwconv", "pwconv1", "pwconv2", "layer_scale_parameter"),
                ),
            }[names]
            for ours, theirs in zip(("depthwise", "fc1", "fc2", "gamma"), parts):
                rest = re.sub(rf"^{ours}\b", theirs, rest)
            rest = re.sub(
                r"^norm\.", {"torchvision": "block.2.", "hub": "layernorm."}.get(names, "norm."), rest
            )
            rest = rest.replace("response.", "mlp.grn." if names == "timm" else "grn.")
            if names == "torchvision" and rest == "layer_scale":
                value = value.reshape(-1, 1, 1)
            name = f"{place}.{rest}"
        file[name] = value
    return file


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("convnext_tiny", "torchvision"),
        ("convnext_tiny", "hub"),
        ("convnextv2_atto", "mmpretrain"),
        ("convnextv2_atto", "authors"),
        ("convnextv2_atto", "timm"),
    ],
)
def test_files_of_convnext_fill_every_parameter_but_the_norms_of_maps(loaded, name, names):
    net = create_backbone(name)
    values = numbered(net)
    file = convnext_file(values, names)
    file["head.weight" if names != "torchvision" else "classifier.2.weight"] = np.zeros((1000, 8))
    found = loaded(net, file)
    for parameter, value in values.items():
        if parameter.startswith("norms."):
            value = np.full(value.shape, float(parameter.endswith("gamma")))
        np.testing.assert_array_equal(found[parameter], value, err_msg=parameter)


def twins_file(values, names):
    """`values` of ours as a file in the names of `authors` (timm's too) or `mmseg`."""
    file = {}
    for name, value in values.items():
        _, stage, part, *rest = torch_name(name).split(".")
        rest = ".".join(rest)
        projected = f"patch_embeds.{stage}.proj" + ("ection" if names == "mmseg" else "")
        blocks = ("layers" if names == "mmseg" else "blocks") + f".{stage}"
        place = {
            "patch": projected,
            "patch_norm": f"patch_embeds.{stage}.norm",
            "position": f"position_encodings.{stage}.proj"
            if names == "mmseg"
            else f"pos_block.{stage}.proj.0",
            "norm": f"norm_list.{stage}",
            "blocks": blocks,
        }[part]
        name = f"{place}.{rest}"
        if part == "norm" and names == "authors":
            continue
        if names == "mmseg" and part == "blocks":
            name = name.replace("mlp.fc1.", "ffn.layers.0.0.").replace("mlp.fc2.", "ffn.layers.1.")
            if name.split(".")[2] in "13579":  # attends to all
                name = name.replace("attn.proj.", "attn.attn.out_proj.")
            joined = re.match(r"(.*\.attn)\.(q|kv)\.(weight|bias)$", name)
            if joined:
                name = f"{joined.group(1)}.attn.in_proj_{joined.group(3)}"
                value = np.concatenate([file.pop(name), value]) if name in file else value
        file[name] = value
    return file


@pytest.mark.parametrize("names", ["authors", "mmseg"])
def test_files_of_twins_fill_every_parameter_but_norms_that_classifiers_lack(loaded, names):
    net = create_backbone("twins_svt_small")
    values = numbered(net)
    file = twins_file(values, names)
    file.update({"head.weight": np.zeros((1000, 8)), "norm.weight": np.zeros(512)})
    found = loaded(net, file)
    for name, value in values.items():
        if re.match(r"stages\.\d\.norm\.", name) and names == "authors":
            value = np.full(value.shape, float(name.endswith("gamma")))
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def poolformer_file(values, names):
    """`values` of ours as a file in the names of `authors` (mmpretrain's too) or `timm`."""
    file = {}
    for name, value in values.items():
        part = re.match(r"stages\.(\d)\.(patch|blocks)\.(.*)", torch_name(name))
        if part is None:
            continue  # norms of maps
        stage, of_patch, rest = int(part.group(1)), part.group(2) == "patch", part.group(3)
        if names == "timm":
            rest = re.sub(r"scale([12])$", r"layer_scale\1.scale", rest)
            before = "downsample.conv" if of_patch else "blocks"
            name = f"stem.conv.{rest}" if of_patch and not stage else f"stages.{stage}.{before}.{rest}"
        else:
            rest = re.sub(r"scale([12])$", r"layer_scale_\1", rest)
            patch = f"network.{2 * stage - 1}.proj" if stage else "patch_embed.proj"
            name = f"{patch if of_patch else f'network.{2 * stage}'}.{rest}"
        file[name] = value
    return file


@pytest.mark.parametrize("names", ["authors", "timm"])
def test_files_of_poolformer_fill_every_parameter_but_the_norms_of_maps(loaded, names):
    net = create_backbone("poolformer_s12")
    values = numbered(net)
    file = poolformer_file(values, names)
    file.update({"head.weight": np.zeros((1000, 8)), "norm.weight": np.zeros(512)})
    found = loaded(net, file)
    for name, value in values.items():
        if name.startswith("norms."):
            value = np.full(value.shape, float(name.endswith("gamma")))
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def mscan_file(values):
    """`values` of ours as a file of the authors."""
    gates = {"near": "conv0", "mix": "conv3"}
    gates.update(
        {f"across.{k}": f"conv{k}_1" for k in range(3)}, **{f"down.{k}": f"conv{k}_2" for k in range(3)}
    )
    file = {}
    for name, value in values.items():
        _, stage, part, *rest = torch_name(name).split(".")
        number, rest = int(stage) + 1, ".".join(rest)
        if part == "units":
            unit, kind, leaf = rest.split(".")
            if number == 1:
                # Its GELU has a number too.
                rest = f"proj.{int(unit) // 2 * 3 + (kind == 'bn')}.{leaf}"
            else:
                rest = f"{'proj' if kind == 'conv' else 'norm'}.{leaf}"
            file[f"patch_embed{number}.{rest}"] = value
            continue
        for ours, theirs in gates.items():
            rest = rest.replace(f"attn.gate.{ours}.", f"attn.spatial_gating_unit.{theirs}.")
        rest = rest.replace("attn.before.", "attn.proj_1.").replace("attn.after.", "attn.proj_2.")
        rest = re.sub(r"^(\d+)\.depthwise\.", r"\1.mlp.dwconv.dwconv.", rest)
        rest = re.sub(r"^(\d+)\.fc", r"\1.mlp.fc", rest)
        rest = re.sub(r"scale([12])$", r"layer_scale_\1", rest)
        file[f"{'norm' if part == 'norm' else 'block'}{number}.{rest}"] = value
    return file


def test_files_of_mscan_fill_every_parameter(loaded):
    net = create_backbone("mscan_tiny")
    values = numbered(net)
    found = loaded(net, {**mscan_file(values), "head.weight": np.zeros((1000, 256))})
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_timm_file_of_pvt_fills_every_parameter(loaded):
    net = create_backbone("pvtv2_b0")
    values = numbered(net)
    file = {"head.weight": np.zeros((1000, 256))}
    for name, value in values.items():
        name = re.sub(r"^stages\.0\.patch_norm\.", "patch_embed.norm.", torch_name(name))
        name = re.sub(r"^stages\.0\.patch\.", "patch_embed.proj.", name)
        name = name.replace(".patch_norm.", ".downsample.norm.").replace(".patch.", ".downsample.proj.")
        file[name] = value.squeeze((2, 3)) if ".mlp.fc" in name and value.ndim == 4 else value
    found = loaded(net, file)
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
