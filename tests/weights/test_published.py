"""What an imported checkpoint sees and how it is scored are its publisher's."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.predict.evaluation import make_protocol
from mxnetseg.recipe.fields import InputGroup
from mxnetseg.weights import references
from mxnetseg.weights.published import published_evaluation, published_input
from tests.predict.stand_ins import Drawn


@pytest.mark.parametrize("data", ["cityscapes", "ade20k", "voc2012", "pascal_context"])
def test_every_reference_has_statistics_and_a_protocol_that_the_recipe_takes(data):
    for name in references():
        protocol = make_protocol(**published_evaluation(name, data)).resolved()
        mean, std = InputGroup(**published_input(name)).of(Drawn(1))
        assert protocol.crop and len(mean) == len(std) == 3


@pytest.mark.parametrize(
    ("reference", "white"),
    [
        ("mmseg_cgnet", [255 - 72.39239876, 255 - 82.90891754, 255 - 73.15835921]),
        ("mmseg_segmenter_vit-t_mask", [1, 1, 1]),
        ("swiftnet_resnet18", [255, 255, 255]),
        ("mmseg_pspnet_r50-d8", [(255 - 123.675) / 58.395, (255 - 116.28) / 57.12, (255 - 103.53) / 57.375]),
        ("sfnet_resnet18", [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]),
    ],
)
def test_a_white_pixel_reaches_the_network_as_the_authors_feed_it(reference, white):
    mean, std = InputGroup(**published_input(reference)).of(Drawn(1))
    np.testing.assert_allclose((1 - np.array(mean)) / std, white, rtol=1e-6)


@pytest.mark.parametrize(
    ("reference", "data", "file", "expected"),
    [
        ("mmseg_pspnet_r50-d8", "ade20k", "", dict(resize=[2048, 512], mode="whole")),
        ("mmseg_fcn_hr18", "loveda", "fcn_hr18_512x512_80k.pth", dict(resize=[1024, 1024], mode="whole")),
        ("mmseg_fcn_hr18", "isaid", "fcn_hr18_896x896_80k.pth", dict(resize=[896, 896], mode="whole")),
        ("mmseg_pspnet_r50-d8", "cityscapes", "p_512x1024_40k.pth", dict(resize=[2048, 1024], mode="whole")),
        (
            "mmseg_pspnet_r50-d8",
            "cityscapes",
            "pspnet_r50-d8_769x769_40k_cityscapes_2020.pth",
            dict(resize=[2049, 1025], mode="slide", crop=769, stride=513),
        ),
        (
            "mmseg_segformer_mit-b0",
            "cityscapes",
            "",
            dict(resize=[2048, 1024], mode="slide", crop=1024, stride=768),
        ),
        ("mmseg_segformer_mit-b5", "ade20k", "b5_640x640_160k.pth", dict(resize=[2048, 640], mode="whole")),
        (
            "mmseg_setr_vit-l_pup",
            "cityscapes",
            "",
            dict(resize=[2049, 1025], mode="slide", crop=768, stride=512),
        ),
        (
            "mmseg_setr_vit-l_pup",
            "ade20k",
            "",
            dict(resize=[2048, 512], mode="slide", crop=512, stride=341),
        ),
        ("mmseg_unet-s5-d16_fcn", "drive", "", dict(mode="slide", crop=64, stride=42)),
    ],
)
def test_mmsegmentations_sizes_and_windows_follow_the_data_set_and_the_crop_in_the_name(
    reference, data, file, expected
):
    assert published_evaluation(reference, data, file) == {"protocol": "mmseg", **expected}


def test_the_other_publishers_have_their_own_protocols():
    assert published_evaluation("sfnet_resnet18", "cityscapes")["protocol"] == "sfsegnets"
    assert published_evaluation("swiftnet_resnet18", "cityscapes") == {"protocol": "mmseg", "mode": "whole"}
    gluon = published_evaluation("gluoncv_psp_resnet50", "ade20k")
    assert (gluon["base"], gluon["crop"], gluon["flip"]) == (520, 480, True)
    assert published_evaluation("mxseg_bisenet_resnet18", "cityscapes")["base"] == 2048
