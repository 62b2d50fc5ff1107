"""Parameter counts against the tables that the architectures' repositories publish.

MXNetSeg's tables count every stored value, running statistics included, without auxiliary heads.
"""

from __future__ import annotations

import json
import math
import re

import pytest

from mxnetseg.backbones import create_backbone
from mxnetseg.complexity import complexity
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.places import CHECKOUT
from mxnetseg.recipe.load import load_recipe
from mxnetseg.weights import reference_info

STORED = [
    ("bisenet", "mxseg_bisenet_resnet18", None, 13.2),
    ("fcn", "mxseg_fcn_resnet101_os8", None, 47.5),
    ("pspnet", "mxseg_pspnet_resnet50", "resnet101_v1s", 56.4),
    ("deeplabv3", "mxseg_deeplabv3_resnet50", "resnet101_v1s", 58.9),
    ("denseaspp", "mxseg_denseaspp_resnet50", "resnet101_v1s", 69.4),
    ("danet", "mxseg_danet_resnet50", "resnet101_v1s", 66.7),
]


@pytest.mark.slow
@pytest.mark.parametrize("model, reference, backbone, millions", STORED)
def test_stored_values_equal_the_published_table(model, reference, backbone, millions):
    options = dict(reference_info(reference).keywords)
    if backbone:
        options["backbone"] = backbone
    found = complexity(create_model(model, 19, init=False, **options), (64, 128))
    # The table cuts its last digit off in one row and rounds it in the others.
    assert abs(found.stored / 1e6 - millions) < 0.06


def test_counts_of_the_golden_table_are_ours(golden_dir):
    rows = json.loads((golden_dir / "param_counts_mxnetseg.json").read_text())
    wanted = {
        ("FCNResNet", "resnet18"): ("mxseg_fcn_resnet18_os8", "resnet18"),
        ("FCNResNet", "resnet50"): ("mxseg_fcn_resnet50_os8", "resnet50_v1s"),
        ("FCNResNet", "resnet101"): ("mxseg_fcn_resnet101_os8", "resnet101_v1s"),
    }
    seen = 0
    for row in rows:
        key = (row["model"], row["backbone"])
        if key in wanted:
            reference, backbone = wanted[key]
            entry = reference_info(reference)
            net = create_model(entry.model, 19, init=False, **{**entry.keywords, "backbone": backbone})
            found = complexity(net, (64, 128))
            assert (found.parameters, found.stored) == (row["no_aux_trainable"], row["no_aux_stored"])
            seen += 1
    assert seen >= len(wanted)


# mmsegmentation's network -> the recipe that is headed as its own.
MMSEG_RECIPES = {
    "mmseg_fast_scnn": "fastscnn/cityscapes",
    "mmseg_fastfcn_r50-d32_jpu_psp": "pspnet/resnet50_v1c_jpu_cityscapes",
    "mmseg_icnet_r50-d8": "icnet/cityscapes",
    "mmseg_pidnet-s": "pidnet/cityscapes",
    "mmseg_pspnet_r101-d8": "pspnet/cityscapes",
    "mmseg_pspnet_r18-d8": "pspnet/resnet18_v1c_cityscapes",
    "mmseg_sem_fpn_r101": "semanticfpn/cityscapes",
    "mmseg_sem_fpn_r50": "semanticfpn/resnet50_v1c_cityscapes",
    "mmseg_stdc1": "stdcseg/cityscapes",
    "mmseg_stdc2": "stdcseg/stdc2_cityscapes",
}


@pytest.mark.parametrize("reference", MMSEG_RECIPES)
def test_a_recipe_of_mmsegmentation_builds_its_network(golden_dir, reference):
    published = json.loads((golden_dir / f"{reference}.json").read_text())
    model = load_recipe(CHECKOUT / "configs" / f"{MMSEG_RECIPES[reference]}.yaml").model
    given = {"backbone_options": model.backbone_options, "output_stride": model.output_stride}
    net = create_model(
        model.name, 19, model.form, model.backbone, aux=model.aux, init=False, **given, **model.options
    )
    trained = [p for p in net.collect_params().values() if p.grad_req != "null"]
    assert sum(math.prod(p.shape) for p in trained) == published["trainable_params"]
    assert model.form == reference_info(reference).form


# The papers' tables: parameters in millions, multiply-adds at 1024 x 2048 in thousand millions.
PAPERS = [
    ("ddrnet", "ddrnet23_slim", 5.7, 36.3),
    ("ddrnet", "ddrnet23", 20.1, 143.1),
    ("ddrnet", "ddrnet39", 32.3, 281.2),
    ("pidnet", "pidnet_l", 36.9, 275.8),
    ("edanet", "edanet", 0.68, 4 * 8.97),
]


@pytest.mark.parametrize("model, backbone, millions, thousand_millions", PAPERS)
def test_parameters_and_multiply_adds_are_those_of_the_papers_tables(
    model, backbone, millions, thousand_millions
):
    net = create_model(model, 19, backbone=backbone, init=False).deploy()
    found = complexity(net, (1024, 2048))
    assert abs(found.parameters / 1e6 - millions) < 0.1
    assert abs(found.matrix / 1e9 / thousand_millions - 1) < 0.011


# ImageNet classifiers as timm counts them: 1000 classes on top, behind a norm but in ResNets and PVT.
CLASSIFIERS = {
    "swin_tiny": 28288354,
    "convnext_tiny": 28589128,
    "convnextv2_atto": 3708400,
    "twins_pcpvt_small": 24106216,
    "twins_svt_small": 24060776,
    "poolformer_s12": 11915176,
    "pvtv2_b0": 3666760,
    "resnet50_v1d": 25576264,
    "resnext50_32x4d": 25028904,
}


@pytest.mark.parametrize("backbone", CLASSIFIERS)
def test_an_encoder_has_the_parameters_of_the_published_classifier(backbone):
    net = create_backbone(backbone)
    trained = {name: p for name, p in named_parameters(net).items() if p.grad_req != "null"}
    sizes = {name: math.prod(parameter.shape) for name, parameter in trained.items()}
    shared = sum(n for name, n in sizes.items() if not any(re.search(p, name) for p in net.imagenet.fresh))
    norm = 0 if backbone.startswith(("resne", "pvt")) else 2 * net.channels[-1]
    on_top = norm + 1000 * (net.channels[-1] + 1)
    assert shared + on_top == CLASSIFIERS[backbone]


@pytest.mark.parametrize(
    "size, millions, thousand_millions", [("tiny", 4.3, 6.6), ("small", 13.9, 15.9), ("base", 27.6, 34.9)]
)
def test_segnext_has_the_size_of_its_papers_table(size, millions, thousand_millions):
    found = complexity(create_model("segnext", 150, backbone=f"mscan_{size}", init=False), (512, 512))
    assert abs(found.parameters / 1e6 - millions) < 0.1
    # The paper's count has some of what is done element by element.
    assert 0 <= 1 - found.matrix / 1e9 / thousand_millions < 0.06


@pytest.mark.parametrize("model, millions", [("maskformer", 41.3), ("mask2former", 44.0)])
def test_parameters_of_networks_of_queries_are_those_of_the_papers_tables(model, millions):
    net = create_model(model, 150, aux=False, init=False)
    trained = [p for p in net.collect_params().values() if p.grad_req != "null"]
    assert abs(sum(math.prod(p.shape) for p in trained) / 1e6 - millions) < 0.2


@pytest.mark.parametrize(
    "model, size, millions, thousand_millions",
    [
        ("topformer", "tiny", 1.4, 0.6),
        ("topformer", "small", 3.1, 1.2),
        ("topformer", "base", 5.1, 1.8),
        ("seaformer", "tiny", 1.7, 0.6),
        ("seaformer", "small", 4.0, 1.1),
        ("seaformer", "base", 8.6, 1.8),
        ("seaformer", "large", 14.0, 6.5),
    ],
)
def test_topformer_and_seaformer_have_the_sizes_of_their_papers_tables(
    model, size, millions, thousand_millions
):
    found = complexity(create_model(model, 150, backbone=f"{model}_{size}", init=False), (512, 512))
    # TopFormer's authors count running statistics as well.
    count = found.stored if model == "topformer" else found.parameters
    assert round(count / 1e6, 1) == millions
    # The papers' counts have batch norms, by two for each element, and activations.
    norms, activations = found.operations["BatchNorm"], found.operations["Activation"]
    assert round((found.matrix + 2 * norms + activations) / 1e9, 1) == thousand_millions


# The authors' network, running statistics included, and PyTorch-ENet's, which is a little smaller.
@pytest.mark.parametrize("form, millions", [("paper", 0.37), ("pytorch", 0.36)])
def test_enet_has_the_size_of_its_papers_table(form, millions):
    found = complexity(create_model("enet", 19, form=form, init=False), (360, 640))
    assert round(found.stored / 1e6, 2) == millions
    # The paper's 3.83 counts multiplications and additions of 640 x 360 pixels, and norms and activations.
    assert 0.85 < 2 * found.matrix / 3.83e9 < 1


# The paper states no size; PaddlePaddle's files of deployed networks, in MiB, hold 4 bytes of every stored
# value and a graph.
@pytest.mark.parametrize("backbone, megabytes", [("stdc1", 31), ("stdc2", 47)])
def test_ppliteseg_has_the_size_of_its_published_files(backbone, megabytes):
    found = complexity(create_model("ppliteseg", 19, backbone=backbone, init=False), (64, 128))
    assert 0 < megabytes - 4 * found.stored / 2**20 < 0.4
