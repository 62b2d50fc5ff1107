"""Reading the training goldens: what one step of training does in published implementations.

Everything is compared in float64 with dropout off. MXNet keeps the biased batch variance in its running
statistics and the references the unbiased one: before the comparison the new part of every running variance
is multiplied by n / (n - 1), n values per channel.
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import json
import re
from pathlib import Path

import mxnet as mx
import numpy as np

from mxnetseg.nn.surgery import named_parameters
from mxnetseg.train import one_step
from mxnetseg.weights import dump, load, recipe, reference_info
from tests.conftest import shared_folder

LOSS, DOT, ZERO = 1e-6, 3e-6, 1e-6
RATE, DECAY = 0.01, 5e-4


def drawing(folder):
    """The module that draws tensors, images, labels and probes: the folder's, or the reference data's."""
    file = Path(folder) / "recipe_training.py"
    if not file.exists():
        file = shared_folder() / "golden" / "training" / file.name
    spec = importlib.util.spec_from_file_location("training_recipe", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(folder):
    """Ids of the training goldens in a folder."""
    return sorted(
        file.stem
        for file in Path(folder).glob("*.json")
        if not file.stem.endswith(".init") and file.stem != "losses"
    )


class Golden:
    """One file: a published network, a batch, and what a training step makes of them."""

    def __init__(self, folder, name, engine="mxnet", dtype="float64", device="cpu"):
        self.folder, self.name, self.engine, self.dtype = Path(folder), name, engine, dtype
        self.device = device
        self.drawn = drawing(folder)
        self.meta = json.loads((self.folder / f"{name}.json").read_text())
        self.network = self._network_meta()

    def _network_meta(self):
        beside, usual = self.folder.parent, shared_folder() / "golden"
        for place in (beside, beside / "third", usual, usual / "third"):
            file = place / f"{self.name}.json"
            if file.exists():
                return json.loads(file.read_text())
        raise FileNotFoundError(
            f"no {self.name}.json with names and shapes beside {self.folder} or in {usual}"
        )

    def differences(self):
        """{quantity: (worst difference, tolerance)} of everything that the file states."""
        found = {}
        inputs = self._batch(self.meta)
        net = self._net()
        before = _statistics(net)
        losses = self._step(net, inputs)
        self._compare_losses(found, "", losses, self.meta)
        self._compare_gradients(found, "", net, self.meta)
        found["buffers"] = (self._buffers(net, before, inputs[0].shape), LOSS)
        self._after_one_step(found, net, inputs)
        variants = self.meta.get("ohem_variants", {}).get("values", [])
        for k, variant in enumerate(variants):
            losses = self._step(self._net(), inputs, variant)
            self._compare_losses(found, f"variant {k} ", losses, variant)
        if "second" in self.meta:
            self._block(found, "second ", self.meta["second"], 1.0)
        if "calm" in self.meta:
            self._block(found, "calm ", self.meta["calm"], self.meta["calm"]["scale"])
        if "with_ignored" in self.meta:
            block = {**self.meta, **self.meta["with_ignored"]}
            losses = self._step(self._net(), self._batch(block))
            self._compare_losses(found, "with ignored ", losses, block)
        return found

    def _block(self, found, title, block, scale):
        net = self._net(scale)
        losses = self._step(net, self._batch({**self.meta, **block}))
        self._compare_losses(found, title, losses, block)
        self._compare_gradients(found, title, net, block)

    def _net(self, scale=1.0):
        # A network is a web of cycles with large arrays: the last one goes before the next is made.
        gc.collect()
        tensors = self.drawn.tensors(self.network, scale)
        net = load(self.name, tensors, self.network["nclass"])
        net.cast(self.dtype)
        return net

    def _batch(self, block):
        draw = {"recipe_training": self.drawn}
        images = self.drawn.image(tuple(block["inputs"]["shape"]), seed=10)
        labels = eval(block["labels"]["make"], draw)  # the reference data's own words
        return images, labels

    def _step(self, net, inputs, variant=None):
        return one_step(net, self._loss(variant), *inputs, engine=self.engine, device=self.device)

    def _loss(self, variant=None):
        """The reference's loss group, with the golden's numbers for hard examples."""
        loss = copy.deepcopy(recipe(self.name)["loss"])
        for one in (one for losses in loss["outputs"] for one in losses):
            if "ohem_min_kept" not in one:
                continue
            if variant is not None:
                one["ohem_threshold"], one["ohem_min_kept"] = variant["thresh"], variant["min_kept"]
            else:
                one["ohem_min_kept"] = self.meta["min_kept_scaled"]["min_kept"]
        return loss

    def _compare_losses(self, found, title, step, expected):
        worst = abs(step["total"] / expected["total"] - 1)
        for label, value in expected["losses"].items():
            # SRNet's is stated before its weight.
            ours = step["losses"]["aux"] / 0.4 if label == "aux_unweighted" else step["losses"][label]
            worst = max(worst, abs(ours / value - 1))
        found[f"{title}losses"] = (worst, LOSS)

    def _compare_gradients(self, found, title, net, block):
        gradients = dump(self.name, net, of="grad")
        zero = set(block.get("gradient_mathematically_zero", self.meta["gradient_mathematically_zero"]))
        total = np.sqrt(sum(norm**2 for norm, *_ in block["gradients"].values()))
        norms, dots, zeros = [0.0], [0.0], [0.0]
        for name, (norm, dot, *_) in block["gradients"].items():
            ours = self.drawn.summary(name, gradients[name])
            if name in zero:
                zeros.append(ours[0] / total)
                continue
            norms.append(abs(ours[0] / norm - 1))
            dots.append(abs(ours[1] - dot) / norm)
        none = self.meta["without_gradient"]
        for name in (*none["unused"], *none["frozen"]):
            if name in gradients:
                zeros.append(np.linalg.norm(gradients[name]) / total)
        found[f"{title}gradients"] = (max(norms), LOSS)
        found[f"{title}projections"] = (max(dots), DOT)
        found[f"{title}zeros"] = (max(zeros), ZERO)

    def _buffers(self, net, before, shape):
        """Worst relative difference of the running statistics, which `net` has unbiased afterwards."""
        parameters = named_parameters(net)
        structural = {parameter.name: name for name, parameter in parameters.items()}
        for name, (count, runs, momentum) in batch_norms(net, shape).items():
            if structural[name] not in before:
                continue  # EMANet's bases move by a batch norm of their own
            parameter = parameters[structural[name]]
            kept = momentum**runs * before[structural[name]]
            new = (parameter.data().asnumpy() - kept) * count / (count - 1)
            parameter.set_data(mx.nd.array(kept + new, dtype=self.dtype))
        values, worst = dump(self.name, net), 0.0
        # Published code also runs heads whose output it throws away: statistics move, and serve nothing.
        idle = reference_info(self.name).unused
        for name, (norm, dot, *_) in self.meta["buffers_after"].items():
            if any(re.search(pattern, name) for pattern in idle):
                continue
            ours = self.drawn.summary(name, values[name])
            worst = max(worst, abs(ours[0] / norm - 1), abs(ours[1] - dot) / norm / 3)
        return worst

    def _after_one_step(self, found, net, inputs):
        for parameter in net.collect_params().values():
            if parameter.grad_req != "null":
                moved = parameter.data() - RATE * (parameter.grad() + DECAY * parameter.data())
                parameter.set_data(moved)
        step = self._step(net, inputs)
        expected = self.meta["total_after_one_step"]
        found["after one step"] = (abs(step["total"] / expected - 1), LOSS)


def _statistics(net):
    named = named_parameters(net)
    return {name: p.data().asnumpy() for name, p in named.items() if name.endswith("running_var")}


def batch_norms(net, shape):
    """{name of the running variance's parameter: (values per channel, runs in a pass, momentum)}."""
    with mx.autograd.train_mode():
        symbol = mx.sym.Group(list(net(mx.sym.var("data"))))
    nodes = json.loads(symbol.tojson())["nodes"]
    internals = symbol.get_internals()
    sizes = dict(zip(internals.list_outputs(), internals.infer_shape(data=shape)[1]))
    found = {}
    for node in nodes:
        if node["op"] != "BatchNorm":
            continue
        source, place, *_ = node["inputs"][0]
        size = _output_size(nodes[source], place, sizes)
        axis = int(node["attrs"].get("axis", 1))
        count = int(np.prod(size)) // size[axis]
        name = nodes[node["inputs"][4][0]]["name"]
        runs = found[name][1] + 1 if name in found else 1
        found[name] = (count, runs, float(node["attrs"]["momentum"]))
    return found


def _output_size(node, place, sizes):
    if node["op"] == "null":
        return sizes[node["name"]]
    several = [key for key in (f"{node['name']}_output{place}", f"{node['name']}_output") if key in sizes]
    return sizes[several[0]]
