"""Every golden file present: our network, filled through its importer, gives the published outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mxnetseg.models import create_model
from mxnetseg.weights import reference_info, references
from tests.conftest import shared_folder
from tests.goldens.golden import differences

# EMANet's first 1x1 convolution gets no gradient in the reference and is frozen here.
FROZEN = {"emanet": 512 * 512 + 512}
# Few references have a second set of outputs; which, only the folder tells.
SECOND = {file.stem for file in (shared_folder() / "golden" / "scaled").glob("*.json")}
OUTPUTS = [(name, False) for name in references()] + [(name, True) for name in references() if name in SECOND]


@pytest.mark.golden
@pytest.mark.parametrize("name, scaled", OUTPUTS, ids=[n + ("-scaled" if s else "") for n, s in OUTPUTS])
def test_outputs_agree_with_the_published_network(golden_dir, name, scaled):
    if not scaled and not (golden_dir / f"{name}.json").exists():
        pytest.skip(f"no golden file for {name}")
    found = differences(golden_dir, name, scaled)
    assert {k: d for k, (d, limit) in found.items() if not d <= limit} == {}


@pytest.mark.golden
@pytest.mark.parametrize("name", references())
def test_trainable_parameters_equal_the_published_count(golden_dir, name):
    file = golden_dir / f"{name}.json"
    if not file.exists():
        pytest.skip(f"no golden file for {name}")
    meta = json.loads(file.read_text())
    entry = reference_info(name)
    stored = {tensor: np.broadcast_to(np.float32(0), shape) for tensor, shape in meta["tensors"]}
    net = create_model(entry.model, meta["nclass"], init=False, **entry.options_for(stored))
    count = sum(int(np.prod(p.shape)) for p in net.collect_params().values() if p.grad_req != "null")
    found = count + entry.stored_extra(meta) + FROZEN.get(name, 0)
    assert found == meta["trainable_params"]


def test_every_golden_file_has_an_importer(golden_dir):
    known = set(references())
    missing = [
        f.stem
        for f in sorted(golden_dir.glob("*.json"))
        if f.stem not in known and not f.stem.startswith("param_counts")
    ]
    assert missing == []
