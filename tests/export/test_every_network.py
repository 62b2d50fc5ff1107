"""Every network of the zoo as ONNX: one file for odd sizes and several batches."""

from __future__ import annotations

import re

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.backbones import list_backbones
from mxnetseg.errors import ConfigError
from mxnetseg.models import create_model, list_models
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.weights import reference_info, references
from tests.models.test_every_model import smallest_backbone

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from mxnetseg.export import onnx_model  # noqa: E402
from mxnetseg.export.form import Form, Input  # noqa: E402
from mxnetseg.export.onnx_model import build  # noqa: E402

FEW = ("sfnet", "psanet", "fastscnn")
STATISTICS = Input((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
# Their random flows reach across the whole picture, where they multiply rounding; halved twice they do not.
CALMED = {"alignseg": ("predict",), "bialign": ("flow", "align")}
# Of the logits' standard deviation. MXNet itself is 1.4e-3 from its float64 in SeaFormer as it is drawn.
TOLERANCE = {"seaformer": 5e-3}


def published_forms():
    """A reference for each way in which a model was published, whatever its backbone."""
    found = {}
    for name in references():
        entry = reference_info(name)
        options = {key: value for key, value in entry.options.items() if key != "backbone"}
        found.setdefault((entry.model, repr(sorted(options.items()))), name)
    return list(found.values())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FEW else pytest.mark.slow) for n in list_models()]
)
def test_a_network_gives_the_logits_of_mxnet_at_odd_sizes_and_several_batches(name):
    mx.random.seed(0)
    np.random.seed(0)
    net = create_model(name, 5, backbone=smallest_backbone(name)).deploy()
    for structural, parameter in named_parameters(net).items():
        if any(part in structural for part in CALMED.get(name, ())) and structural.endswith(".weight"):
            parameter.set_data(parameter.data() / 4)
    model = build(net, Form(), STATISTICS)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for size, count in (((97, 131), 1), ((64, 96), 3)):
        x = np.random.RandomState(1).standard_normal((count, 3, *size)).astype(np.float32)
        expected = net(mx.nd.array(x))[0].asnumpy()
        (found,) = session.run(["logits"], {"image": x})
        assert found.shape == (count, 5, *size)
        apart = np.abs(found - expected).max()
        assert apart < TOLERANCE.get(name, 1e-3) * expected.std()
        two = np.partition(expected, -2, axis=1)
        tie = two[:, -1] - two[:, -2] <= 2 * apart
        assert ((found.argmax(1) == expected.argmax(1)) | tie).all()


def _translates(net, monkeypatch):
    """Without values, which would take long to draw: zeros that share one number."""
    net = net.deploy()
    zeros = {name: np.broadcast_to(np.float32(0), p.shape) for name, p in named_parameters(net).items()}
    monkeypatch.setattr(onnx_model, "_values", lambda _: zeros)
    (given,) = build(net, Form(), STATISTICS).graph.output
    sides = given.type.tensor_type.shape.dim
    assert [side.dim_param or side.dim_value for side in sides] == ["batch", 19, "height", "width"]


@pytest.mark.slow
@pytest.mark.parametrize("reference_id", published_forms())
def test_every_published_form_has_a_translation(reference_id, monkeypatch):
    entry = reference_info(reference_id)
    _translates(create_model(entry.model, 19, init=False, **entry.options), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone", {re.match(r"[a-z]+\d?", name)[0]: name for name in list_backbones()}.values()
)
def test_a_backbone_of_every_family_has_a_translation(backbone, monkeypatch):
    for name in ("fcn", "segmenter"):
        try:
            net = create_model(name, 19, backbone=backbone, init=False)
        except ConfigError:
            continue
        return _translates(net, monkeypatch)
    raise AssertionError(f"no model takes {backbone}")
