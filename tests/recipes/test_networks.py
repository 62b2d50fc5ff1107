"""Each recipe builds the network that its row scores, and trains it on data in the layout of its data set."""

from __future__ import annotations

import pytest

from mxnetseg.cli.train import main
from mxnetseg.models import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.recipe import load_recipe
from mxnetseg.recipes.costs import by_network, costs, count
from mxnetseg.recipes.files import find_recipe_file
from mxnetseg.recipes.rows import all_rows, find_row
from tests.cli.test_every_data_set import small_copy

NETWORKS = [rows[0] for rows in by_network(all_rows()).values()]
# One network of every architecture and publisher.
SAMPLE = list({(row.source, row.model["name"], row.group): row for row in NETWORKS}.values())
# Networks of seconds, from three publishers.
QUICK = [
    "cgnet_fcn_4xb8-60k_cityscapes-512x1024",
    "bdd_sfnet_dfv1",
    "ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024",
]
SHORT = (
    "model.pretrained=false model.norm=bn data.val_split=null augment.crop=64 augment.resize=null "
    "augment.base=null schedule.epochs=null schedule.iterations=2 schedule.warmup_iterations=0 "
    "init_from=null evaluation.resize=null evaluation.base=null"
).split()


def trainable(net):
    """Parameters that training moves."""
    return sum(
        p.data().size if p._data else _size(p) for p in named_parameters(net).values() if p.grad_req != "null"
    )


def _size(parameter):
    size = 1
    for n in parameter.shape:
        size *= n
    return size


def check_size(row):
    group = load_recipe(find_recipe_file(row)).model
    keywords = {
        key: getattr(group, key) for key in ("form", "backbone", "aux", "output_stride", "backbone_options")
    }
    nclass = _classes(row)
    net = create_model(group.name, nclass, init=False, **keywords, **group.options)
    assert trainable(net) == row.parameters - row.idle, row.name


def _classes(row):
    from mxnetseg.recipes.costs import network_of

    return network_of(row)["nclass"]


@pytest.mark.parametrize("row", SAMPLE, ids=lambda row: row.name)
def test_a_network_of_each_architecture_has_the_parameters_of_the_published_one(row):
    check_size(row)


@pytest.mark.slow
def test_the_network_of_every_recipe_has_the_parameters_of_the_published_one():
    for row in NETWORKS:
        check_size(row)


@pytest.mark.parametrize("name", QUICK)
def test_costs_are_what_the_traced_graph_counts(name):
    row = find_row(name)
    assert count(row) == costs()[name]


@pytest.mark.golden
def test_the_costs_of_every_architecture_are_what_its_graph_counts():
    for row in SAMPLE:
        assert count(row) == costs()[row.name]


def start(row, folder):
    root, settings = small_copy(row.data, folder)
    if row.data == "concat":
        settings = [*settings, "augment.crop=32"]
    uniform = load_recipe(find_recipe_file(row)).data.sampler == "class_uniform"
    settings = [s for s in settings if not s.startswith("data.sampler_options")]
    settings += ["data.sampler_options={tile: 16}"] if uniform else []
    if row.model["name"] == "setr" or row.model["name"] == "segmenter":
        # Twelve narrow blocks instead of up to 24 wide ones, which a small machine cannot train.
        settings.append("model.backbone=vit_tiny")
    if row.model["name"] == "lraspp":  # its windows are of 49 pixels of a map at stride 8
        settings.append("augment.crop=400")
    arguments = ["--recipe", row.name, *(["--root", root] if root else []), "--output", str(folder / "run")]
    how = ["--ctx", "cpu", "--quiet", "--batch-size", "2", "--workers", "0", "--set", *SHORT, *settings]
    return main([*arguments, *how])


def test_a_recipe_starts_on_data_in_the_layout_of_its_data_set(tmp_path, capsys):
    assert start(find_row(QUICK[0]), tmp_path) == 0
    assert "weights are in" in capsys.readouterr().out


# The smallest network of every architecture, and of every publisher on every data set.
SMALLEST = sorted(NETWORKS, key=lambda row: -row.parameters)
STARTED = list(
    {
        row.name: row
        for row in (
            *{row.model["name"]: row for row in SMALLEST}.values(),
            *{(row.source, row.data): row for row in SMALLEST}.values(),
        )
    }.values()
)


def marked(row):
    """Large networks are left to the longest run of the tests."""
    marks = [pytest.mark.slow, *([pytest.mark.golden] if row.parameters > 30e6 else [])]
    return pytest.param(row, marks=marks, id=row.name)


@pytest.mark.parametrize("row", map(marked, STARTED))
def test_a_recipe_of_each_architecture_and_data_set_takes_two_steps(row, tmp_path, capsys):
    assert start(row, tmp_path) == 0
    assert "weights are in" in capsys.readouterr().out
