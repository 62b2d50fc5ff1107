"""Every golden file present: our network, filled through its importer, gives the published outputs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from mxnetseg.models import create_model
from mxnetseg.weights import reference_info, references
from tests.conftest import shared_folder
from tests.goldens.golden import description, differences

# EMANet's first 1x1 convolution gets no gradient in the reference and is frozen here.
FROZEN = {
    "emanet": 512 * 512 + 512,
    # Its PSPNet stores the last two stages of ResNet-34 and never runs them.
    "smp_pspnet_resnet34": 19936768,
}
# Few references have a second set of outputs; which, only the folder tells.
SECOND = {file.stem for file in (shared_folder() / "golden" / "scaled").glob("*.json")}
OUTPUTS = [(name, False) for name in references()] + [(name, True) for name in references() if name in SECOND]


@pytest.mark.golden
@pytest.mark.parametrize("name, scaled", OUTPUTS, ids=[n + ("-scaled" if s else "") for n, s in OUTPUTS])
def test_outputs_agree_with_the_published_network(golden_dir, name, scaled):
    if not description(golden_dir, name, scaled).exists():
        pytest.skip(f"no golden file for {name}")
    found = differences(golden_dir, name, scaled)
    assert {k: d for k, (d, limit) in found.items() if not d <= limit} == {}


def _stored_extra(entry, meta):
    """Trainable values that the published file stores and its network never runs, so that ours has no
    parameter for them. `meta["tensors"]` lists (name, shape)."""
    stored = dict(meta["tensors"])
    if entry.prepare is not None:
        # Parts that rearranging makes of a tensor count by themselves (values take no memory here).
        whole = {name: np.broadcast_to(np.float32(0), shape) for name, shape in stored.items()}
        parts = entry.prepare(whole)
        stored.update((name, part.shape) for name, part in parts.items() if name not in stored)
    dead = [
        shape
        for name, shape in stored.items()
        if any(re.search(pattern, name) for pattern in entry.unused)
        and not name.endswith(("running_mean", "running_var"))
        and name not in (meta.get("aliases") or {})
        and name not in (meta.get("frozen_params") or ())
        and name not in (meta.get("other_buffers") or ())
        and name not in (meta.get("float_buffers_among_tensors") or ())
    ]
    return int(sum(np.prod(shape, dtype=np.int64) for shape in dead))


@pytest.mark.golden
@pytest.mark.parametrize("name", references())
def test_trainable_parameters_equal_the_published_count(golden_dir, name):
    file = description(golden_dir, name)
    if not file.exists():
        pytest.skip(f"no golden file for {name}")
    meta = json.loads(file.read_text())
    entry = reference_info(name)
    stored = {tensor: np.broadcast_to(np.float32(0), shape) for tensor, shape in meta["tensors"]}
    net = create_model(entry.model, meta["nclass"], init=False, **entry.options_for(stored))
    count = sum(int(np.prod(p.shape)) for p in net.collect_params().values() if p.grad_req != "null")
    found = count + _stored_extra(entry, meta) + FROZEN.get(name, 0)
    assert found == meta["trainable_params"]


def test_every_golden_file_has_an_importer(golden_dir):
    known = set(references())
    missing = [
        f.stem
        for f in sorted([*golden_dir.glob("*.json"), *golden_dir.glob("third/*.json")])
        if f.stem not in known and not f.stem.startswith("param_counts")
    ]
    assert missing == []
