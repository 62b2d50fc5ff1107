"""Every data set from its official archives, in miniature, to the samples its loader gives."""

from __future__ import annotations

import os

import numpy as np
import pytest

from mxnetseg.data import create_dataset, dataset_info, list_datasets
from mxnetseg.data.prepare import list_preparations, prepare
from tests.data import miniatures

NAMES = sorted(miniatures.BUILDERS)


@pytest.fixture
def quiet():
    logged = []
    return logged


def test_every_registered_data_set_of_files_has_a_preparation_and_a_miniature():
    made_otherwise = {"synthetic", "folder", "concat", "recordio"}
    files = set(list_datasets()) - made_otherwise
    assert files == set(list_preparations()) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_archives_become_what_the_loader_reads(name, tmp_path):
    made = miniatures.write(name, tmp_path / "archives")
    root = str(tmp_path / "root")
    logged = []
    prepare(name, root, made.sources, workers=1, log=logged.append)
    assert dataset_info(name)["splits"] == create_dataset(name, root, "train").splits
    assert set(made.expected) == set(create_dataset(name, root, "train").splits)
    for split, expected in made.expected.items():
        dataset = create_dataset(name, root, split)
        samples = {sample.name: sample for sample in (dataset[i] for i in range(len(dataset)))}
        assert set(samples) == set(expected)
        for sample, label in expected.items():
            image = samples[sample].image
            assert image.dtype == np.uint8 and image.ndim == 3
            if label is None:
                assert samples[sample].label is None
            else:
                np.testing.assert_array_equal(samples[sample].label, label)


@pytest.mark.parametrize("name", NAMES)
def test_preparing_again_does_nothing(name, tmp_path):
    made = miniatures.write(name, tmp_path / "archives")
    root = tmp_path / "root"
    prepare(name, str(root), made.sources, log=lambda text: None)
    before = _times(root)
    prepare(name, str(root), made.sources, log=lambda text: None)
    after = _times(root)
    changed = {path for path in before if after.get(path) != before[path]}
    lists = {path for path in changed if path.endswith((".txt", "state.json", "lock"))}
    assert changed == lists and set(after) == set(before)


def _times(root):
    found = {}
    for where, _, names in os.walk(root):
        for name in names:
            path = os.path.join(where, name)
            found[os.path.relpath(path, root)] = os.stat(path).st_mtime_ns
    return found
