"""How many dropouts of which kind published networks train with, as the training goldens counted them."""

from __future__ import annotations

import json
from collections import Counter

import mxnet as mx
import pytest

from mxnetseg.models import create_model
from mxnetseg.weights import reference_info
from tests.conftest import shared_folder

FOLDER = shared_folder() / "golden" / "training"
# What MXNet's one operator drops at once, by the names of the published modules.
KINDS = {"()": "Dropout", "(2, 3)": "Dropout2d", "(1, 2)": "DropPath"}
# Published with the ImageNet classifier of its backbone, whose dropout never runs.
NEVER_RUN = {"sfnet_stdc1": {"Dropout": 1}}


def counted():
    """{golden: {kind: number}} of the files that count dropouts."""
    facts = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
    return {name: fact["dropouts_set_to_0"] for name, fact in facts.items() if "dropouts_set_to_0" in fact}


def dropouts(net):
    """{kind: how often it stands in the network's graph}."""
    graph = json.loads(mx.sym.Group(list(net(mx.sym.var("data")))).tojson())
    found = [node["attrs"] for node in graph["nodes"] if node["op"] == "Dropout"]
    return Counter(KINDS[attributes.get("axes", "()")] for attributes in found if float(attributes["p"]) > 0)


@pytest.mark.parametrize("name", sorted(counted()) or ["no reference data"])
def test_a_network_drops_as_often_and_the_same_as_the_published_one(name):
    if name not in counted():
        pytest.skip("no training goldens among the reference data")
    entry = reference_info(name)
    net = create_model(entry.model, 19, init=False, **entry.options_for({}))
    assert dropouts(net) == Counter(counted()[name]) - Counter(NEVER_RUN.get(name))
