"""ImageNet weights in the naming of other libraries, from local files only."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy

from mxnetseg.backbones import create_backbone
from mxnetseg.backbones.base import nearest_stride
from mxnetseg.errors import CheckpointError
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights.imagenet import load_backbone
from mxnetseg.weights.layouts import layout


def arrays(name, rename):
    """A file's worth of values for a backbone, called as `rename` says."""
    parameters = named_parameters(create_backbone(name))
    rng = np.random.RandomState(0)
    values = {n: rng.uniform(0.5, 1.5, p.shape).astype(np.float32) for n, p in parameters.items()}
    return values, {rename(n): a for n, a in values.items()}


def torch_names(name):
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


def mmcv_names(name):
    name = torch_names(name)
    if name.startswith(("conv1.", "bn1.")):
        name = name.replace("conv1.", "stem.", 1).replace("bn1.", "stem.7.", 1)
    return name


def torchvision_densenet(name):
    name = torch_names(name)
    name = name.replace("stem.0.", "features.conv0.").replace("stem.1.", "features.norm0.")
    parts = name.split(".")
    if name.startswith("layer4.2."):
        return "features.norm5." + parts[-1]
    if parts[0].startswith("layer"):
        block = int(parts[0][5:])
        if block > 1 and parts[1] == "0":
            return f"features.transition{block - 1}.{'norm' if parts[2] == '0' else 'conv'}.{parts[-1]}"
        part = {"0": "norm1", "2": "conv1", "3": "norm2", "5": "conv2"}[parts[4]]
        return f"features.denseblock{block}.denselayer{int(parts[2]) + 1}.{part}.{parts[-1]}"
    return name


def torchvision_mobilenet(name):
    parts = torch_names(name).split(".")
    level, index = int(parts[0][5:]), int(parts[1])
    if level == 1 and index < 3:
        return f"features.0.{index}.{parts[-1]}"
    k = index - 2 if level == 1 else index + {2: 4, 3: 7, 4: 14}[level]
    unit = int(parts[3])
    last = 3 if k == 1 else 6
    place = f"{unit // 3}.{unit % 3}" if unit < last else str(last // 3 + unit - last)
    return f"features.{k}.conv.{place}.{parts[-1]}"


def stdc_names(name):
    name = torch_names(name)
    for old, new in (("stem.0.", "x2.0.0."), ("stem.1.", "x4.0.1.")):
        name = name.replace(old, new)
    if name.startswith("stages."):
        _, stage, block, *rest = name.split(".")
        first, key = ((2, 8), (4, 16), (6, 32))[int(stage)]
        name = f"x{key}.0.{first + int(block)}." + ".".join(rest)
        name = name.replace(".units.", ".conv_list.").replace(".down.conv.", ".avd_layer.0.")
        name = name.replace(".down.bn.", ".avd_layer.1.")
    return name


def mmseg_stdc_names(name):
    name = torch_names(name)
    if name.startswith("stem."):
        return name.replace("stem.", "stages.", 1)
    _, stage, block, *rest = name.split(".")
    name = f"stages.{int(stage) + 2}.{block}." + ".".join(rest)
    return name.replace(".units.", ".layers.").replace(".down.", ".downsample.")


def efficientnet_parts(name):
    """(stage, index in it, part, kind of value) of a parameter of b0."""
    _, number, part, kind = torch_names(name).split(".")
    counts, stage, index = (1, 2, 2, 3, 3, 4, 1), 0, int(number)
    while index >= counts[stage]:
        index, stage = index - counts[stage], stage + 1
    return stage, index, part, kind


def torchvision_efficientnet(name):
    if not name.startswith("blocks."):
        return torch_names(name).replace("conv_stem.", "features.0.0.").replace("bn0.", "features.0.1.")
    stage, index, part, kind = efficientnet_parts(name)
    unit = {"expand_conv": (0, 0), "bn0": (0, 1), "depthwise_conv": (1, 0), "bn1": (1, 1)}
    unit.update(se_reduce=(2, "fc1"), se_expand=(2, "fc2"), project_conv=(3, 0), bn2=(3, 1))
    place, inner = unit[part]
    return f"features.{stage + 1}.{index}.block.{place - (stage == 0)}.{inner}.{kind}"


def timm_efficientnet(name):
    if not name.startswith("blocks."):
        return torch_names(name).replace("bn0.", "bn1.")
    stage, index, part, kind = efficientnet_parts(name)
    theirs = {"se_reduce": "se.conv_reduce", "se_expand": "se.conv_expand", "depthwise_conv": "conv_dw"}
    if stage:
        theirs.update(expand_conv="conv_pw", bn0="bn1", bn1="bn2", project_conv="conv_pwl", bn2="bn3")
    else:
        theirs.update(project_conv="conv_pw")
    return f"blocks.{stage}.{index}.{theirs.get(part, part)}.{kind}"


def smp_efficientnet(name):
    name = torch_names(name).replace("conv_stem.", "_conv_stem.")
    if name.startswith("bn0."):
        return "_" + name
    return name.replace("blocks.", "_blocks.").replace("._", ".").replace(".", "._", 2).replace("._", ".", 1)


def gluoncv_names(backbone):
    prefixes = {ours: theirs for theirs, ours in create_backbone(backbone).zoo_prefixes.items()}

    def rename(name):
        ours = next(p for p in prefixes if name.startswith(p))
        return prefixes[ours] + name[len(ours) :]

    return rename


@pytest.mark.parametrize(
    "backbone, rename, classifier",
    [
        ("resnet18", torch_names, "fc.weight"),
        ("resnet50", torch_names, "fc.weight"),
        ("resnet18_v1c", mmcv_names, "fc.weight"),
        ("resnet18_v1s", torch_names, "fc.weight"),
        ("resnet18_v1d", mmcv_names, "fc.weight"),
        ("resnet18_v1d", torch_names, "fc.weight"),
        ("resnext50_32x4d", torch_names, "fc.weight"),
        ("densenet121", torchvision_densenet, "classifier.weight"),
        ("densenet121", gluoncv_names("densenet121"), "output.weight"),
        ("mobilenetv2_1.0", torchvision_mobilenet, "features.18.0.weight"),
        ("mobilenetv2_0.5", gluoncv_names("mobilenetv2_0.5"), "features.40.weight"),
        ("stdc1", stdc_names, "conv_last.conv.weight"),
        ("stdc1", mmseg_stdc_names, "fc.weight"),
        ("dfnetv1", torch_names, "fc.weight"),
        ("efficientnet_b0", torchvision_efficientnet, "features.8.0.weight"),
        ("efficientnet_b0", timm_efficientnet, "conv_head.weight"),
        ("efficientnet_b0", smp_efficientnet, "_conv_head.weight"),
        ("resnest14", torch_names, "fc.weight"),
    ],
)
def test_backbone_files_of_other_libraries_fill_every_parameter(tmp_path, backbone, rename, classifier):
    values, published = arrays(backbone, rename)
    published[classifier] = np.zeros((1000, 512), np.float32)
    published["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    file = tmp_path / "published.npz"
    np.savez(file, **published)
    net = create_model("fcn", 3, backbone=backbone)
    load_backbone(net.backbone, str(file))
    for name, parameter in named_parameters(net.backbone).items():
        np.testing.assert_array_equal(parameter.data().asnumpy(), values[name], err_msg=name)


@pytest.mark.parametrize(
    "reference, backbone",
    [
        ("mmseg_ddrnet_23-slim", "ddrnet23_slim"),
        ("mmseg_pidnet-s", "pidnet_s"),
        ("mmseg_stdc1", "stdc1"),
        ("mmseg_upernet_swin-t", "swin_tiny"),
        ("mmseg_upernet_convnext-t", "convnext_tiny"),
        ("mmseg_segnext_mscan-t", "mscan_tiny"),
        ("mmseg_fpn_poolformer_s12", "poolformer_s12"),
        ("mmseg_fpn_twins_pcpvt-s", "twins_pcpvt_small"),
        ("mmseg_fpn_twins_svt-s", "twins_svt_small"),
    ],
)
def test_backbone_files_in_mmsegmentations_names_fill_every_parameter(tmp_path, reference, backbone):
    before = "backbone.backbone." if backbone == "stdc1" else "backbone."
    rng = np.random.RandomState(0)
    stored = {
        name[len(before) :]: rng.uniform(0.5, 1.5, shape).astype(np.float32)
        for name, shape in layout(reference).shapes.items()
        if name.startswith(before)
    }
    assert len(stored) > 100
    file = tmp_path / "published.npz"
    np.savez(file, **stored)
    net = create_backbone(backbone, nearest_stride(backbone, 32))
    net.initialize()
    load_backbone(net, str(file))
    filled = sum(float(p.data().sum().asscalar()) for p in named_parameters(net).values())
    assert filled == pytest.approx(sum(float(a.sum()) for a in stored.values()), rel=1e-5)


def test_true_looks_in_the_local_folder_and_says_how_to_fill_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"resnet18\.params.*fetch torchvision_resnet18"):
        load_backbone(create_model("fcn", 3, backbone="resnet18").backbone, True)
    values, published = arrays("resnet18", torch_names)
    np.savez(tmp_path / "resnet18.npz", **published)
    net = create_model("fcn", 3, backbone="resnet18")
    load_backbone(net.backbone, True)
    np.testing.assert_array_equal(net.backbone.conv1.weight.data().asnumpy(), values["conv1.weight"])


def test_a_deep_stem_that_an_architecture_prefers_asks_for_the_file_that_fits_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    net = create_model("pspnet", 3, backbone="resnet50")
    with pytest.raises(CheckpointError, match=r"resnet50_v1s\.params.*fetch gluoncv_resnet50_v1s"):
        load_backbone(net.backbone, True)
    values, published = arrays("resnet50_v1s", torch_names)
    np.savez(tmp_path / "resnet50_v1s.npz", **published)
    load_backbone(net.backbone, True)
    np.testing.assert_array_equal(net.backbone.conv1[0].weight.data().asnumpy(), values["conv1.0.weight"])


def test_the_local_folder_may_hold_safetensors(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"or \.pth, .*\.bin, \.safetensors"):
        load_backbone(create_model("fcn", 3, backbone="resnet18").backbone, True)
    values, published = arrays("resnet18", torch_names)
    safetensors.numpy.save_file(published, tmp_path / "resnet18.safetensors")
    net = create_model("fcn", 3, backbone="resnet18")
    load_backbone(net.backbone, True)
    np.testing.assert_array_equal(net.backbone.conv1.weight.data().asnumpy(), values["conv1.weight"])


def test_a_file_of_another_depth_is_refused_with_what_is_missing(tmp_path):
    np.savez(tmp_path / "r18.npz", **arrays("resnet18", torch_names)[1])
    with pytest.raises(CheckpointError, match=r"resnet34.*missing"):
        load_backbone(create_model("fcn", 3, backbone="resnet34").backbone, str(tmp_path / "r18.npz"))


def test_weights_for_colour_images_start_a_network_of_more_channels(tmp_path):
    values, published = arrays("resnet18", torch_names)
    np.savez(tmp_path / "r18.npz", **published)
    net = create_model("fcn", 3, backbone="resnet18", in_channels=6)
    load_backbone(net.backbone, str(tmp_path / "r18.npz"))
    found = net.backbone.conv1.weight.data().asnumpy()
    np.testing.assert_allclose(found.sum(1), values["conv1.weight"].sum(1), rtol=1e-5)
