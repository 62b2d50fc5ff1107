"""ImageNet weights in the naming of other libraries, from local files only."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.errors import CheckpointError
from mxnetseg.models import create_model


def arrays(name, rename):
    """A file's worth of values for a backbone, called as `rename` says."""
    parameters = create_backbone(name)._collect_params_with_prefix()
    rng = np.random.RandomState(0)
    values = {n: rng.uniform(0.5, 1.5, p.shape).astype(np.float32) for n, p in parameters.items()}
    return values, {rename(n): a for n, a in values.items()}


def torch_names(name):
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


def mmcv_names(name):
    name = torch_names(name)
    return name.replace("conv1.", "stem.", 1).replace("bn1.", "stem.7.", 1) if name[:2] in ("co", "bn") else name


@pytest.mark.parametrize(
    "backbone, rename, classifier",
    [
        ("resnet18", torch_names, "fc.weight"),
        ("resnet50", torch_names, "fc.weight"),
        ("resnet18_v1c", mmcv_names, "fc.weight"),
        ("resnet18_v1s", torch_names, "fc.weight"),
    ],
)
def test_backbone_files_of_other_libraries_fill_every_parameter(tmp_path, backbone, rename, classifier):
    values, published = arrays(backbone, rename)
    published[classifier] = np.zeros((1000, 512), np.float32)
    published["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    file = tmp_path / "published.npz"
    np.savez(file, **published)
    net = create_model("fcn", 3, backbone=backbone, pretrained=str(file))
    for name, parameter in net.backbone._collect_params_with_prefix().items():
        np.testing.assert_array_equal(parameter.data().asnumpy(), values[name], err_msg=name)


def test_true_looks_in_the_local_folder_and_says_how_to_fill_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNETSEG_WEIGHTS", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"resnet18\.params.*fetch torchvision_resnet18"):
        create_model("fcn", 3, backbone="resnet18", pretrained=True)
    values, published = arrays("resnet18", torch_names)
    np.savez(tmp_path / "resnet18.npz", **published)
    net = create_model("fcn", 3, backbone="resnet18", pretrained=True)
    np.testing.assert_array_equal(net.backbone.conv1.weight.data().asnumpy(), values["conv1.weight"])


def test_a_file_of_another_depth_is_refused_with_what_is_missing(tmp_path):
    np.savez(tmp_path / "r18.npz", **arrays("resnet18", torch_names)[1])
    with pytest.raises(CheckpointError, match="resnet34.*missing"):
        create_model("fcn", 3, backbone="resnet34", pretrained=str(tmp_path / "r18.npz"))


def test_weights_for_colour_images_start_a_network_of_more_channels(tmp_path):
    values, published = arrays("resnet18", torch_names)
    np.savez(tmp_path / "r18.npz", **published)
    net = create_model("fcn", 3, backbone="resnet18", pretrained=str(tmp_path / "r18.npz"), in_channels=6)
    found = net.backbone.conv1.weight.data().asnumpy()
    np.testing.assert_allclose(found.sum(1), values["conv1.weight"].sum(1), rtol=1e-5)
