"""Averages of networks: their numbers, the recipe beside them, what is refused."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.cli.weights import main
from mxnetseg.recipe import find_recipe
from mxnetseg.run_files import save_params, save_recipe
from mxnetseg.weights.checkpoint import build_network, load_network, network_arrays


def trained(folder, seed, nclass=11, epochs=1):
    """A run as training leaves it."""
    recipe = find_recipe("enet", None, "camvid", [f"schedule.epochs={epochs}", f"model.nclass={nclass}"])
    mx.random.seed(seed)
    net = build_network(recipe.model, nclass=nclass, pretrained=False)
    folder.mkdir()
    save_params(folder / "best.params", network_arrays(net))
    save_recipe(folder, recipe.model_copy(update={"output_dir": str(folder)}))
    return folder, network_arrays(net)


def test_an_average_loads_as_the_network_whose_numbers_are_the_means(tmp_path, capsys):
    runs = [trained(tmp_path / str(seed), seed, epochs=seed + 1) for seed in range(3)]
    folders = [str(folder) for folder, _ in runs]
    out = tmp_path / "mean"
    assert main(["average", *folders, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out / 'best.params'}: the mean of 3 networks\n"
    net, recipe = load_network(out)
    assert recipe.schedule.epochs == 3 and recipe.output_dir is None
    for name, found in network_arrays(net).items():
        expected = np.mean([arrays[name] for _, arrays in runs], axis=0, dtype=np.float64)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9, err_msg=name)


def test_what_has_no_average_is_one_line_and_nothing_is_written(tmp_path, capsys):
    one, _ = trained(tmp_path / "one", 0)
    other, _ = trained(tmp_path / "other", 1, nclass=5)
    for runs, words in (((one,), "two networks or more"), ((one, other), "different networks")):
        with pytest.raises(SystemExit) as ended:
            main(["average", *map(str, runs), "--out", str(tmp_path / "mean")])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
        assert not (tmp_path / "mean").exists()


def test_a_network_that_is_there_is_replaced_only_when_it_may_be(tmp_path, capsys):
    one, _ = trained(tmp_path / "one", 0)
    other, _ = trained(tmp_path / "other", 1)
    command = ["average", str(one), str(other), "--out", str(other)]
    before = (other / "best.params").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2 and "exists" in capsys.readouterr().err
    assert (other / "best.params").read_bytes() == before
    assert main([*command, "--force"]) == 0
    assert (other / "best.params").read_bytes() != before
