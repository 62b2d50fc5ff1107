"""Weights of this library: `.params` files into networks, and networks that describe themselves."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, Parameter

from mxnetseg import params_file
from mxnetseg.errors import CheckpointError, ConfigError
from mxnetseg.facts import model_info
from mxnetseg.models.base import MODELS, Segmentor
from mxnetseg.models.create import create_model
from mxnetseg.nn.surgery import named_parameters
from mxnetseg.recipe import Recipe, load_recipe
from mxnetseg.recipe.fields import ModelGroup
from mxnetseg.run_files import RECIPE, missing_checkpoint, run_weights
from mxnetseg.weights.imagenet import load_backbone
from mxnetseg.weights.integers import widen


def network_arrays(net: HybridBlock) -> Dict[str, np.ndarray]:
    """Parameters by structural name. Running statistics that differ between contexts are averaged."""
    return {name: joined(p) for name, p in named_parameters(net).items()}


def joined(parameter: Parameter) -> np.ndarray:
    """The value of a Gluon parameter: the mean over its contexts where it is a running statistic."""
    arrays = parameter.list_data()
    if len(arrays) == 1 or parameter.grad_req != "null":
        return arrays[0].asnumpy()
    return np.mean([a.asnumpy() for a in arrays], axis=0, dtype=np.float64).astype(arrays[0].dtype)


class Fit(NamedTuple):
    """How a file's tensors meet a network's: names in both, and what does not fit with the reason."""

    loaded: List[str]
    skipped: List[Tuple[str, str]]


def read_params(path: Union[str, Path]) -> Dict[str, np.ndarray]:
    """Tensors of a `.params` file by name, 8-bit ones (`mxnetseg.weights.integers`) as float32.
    CheckpointError if missing, cut short or not one."""
    path = Path(path)
    if path.is_dir():
        path = run_weights(path)
    if not path.is_file():
        raise missing_checkpoint(path)
    try:
        return widen(params_file.read(path))
    except OSError as error:
        raise CheckpointError(f"{path}: checkpoint cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CheckpointError(
            f"{path}: not an MXNet parameter file, or cut short ({path.stat().st_size} bytes): {error}"
        ) from error


def load_into(
    net: HybridBlock, arrays: Mapping[str, np.ndarray], strict: bool = True, source: str = "checkpoint"
) -> Fit:
    """Copy tensors into a network by structural name.

    strict: every tensor of both must match, or CheckpointError says what does not and nothing is
    loaded. Otherwise what fits by name and shape is taken and the rest is listed.
    """
    parameters = named_parameters(net)
    loaded, skipped = [], []
    for name, parameter in parameters.items():
        if name not in arrays:
            skipped.append((name, "not in the file"))
        elif tuple(arrays[name].shape) != tuple(parameter.shape):
            shapes = f"{tuple(arrays[name].shape)} in the file, {tuple(parameter.shape)} in the network"
            skipped.append((name, shapes))
        else:
            loaded.append(name)
    skipped += [(name, "not in the network") for name in arrays if name not in parameters]
    if strict and skipped:
        raise CheckpointError(_misfit(source, arrays, parameters, loaded, skipped))
    for name in loaded:
        value = arrays[name].astype(parameters[name].dtype, copy=False)
        parameters[name].set_data(mx.nd.array(value, dtype=value.dtype))
    return Fit(loaded, skipped)


def load_network(
    path: Union[str, Path], recipe: Optional[Recipe] = None, nclass: Optional[int] = None
) -> Tuple[Segmentor, Recipe]:
    """(network, recipe) of a `.params` file or a run folder; on the CPU, auxiliary heads included.

    `recipe` describes the network, by default the `recipe.yaml` beside the file. Synchronized batch norm
    becomes plain. Raises CheckpointError for a file that is missing, cut short, of another network or another
    number of classes, or that nothing describes.
    """
    path = Path(path)
    if path.is_dir():
        path = run_weights(path)
    arrays = read_params(path)
    if recipe is None:
        if not (path.parent / RECIPE).is_file():
            raise CheckpointError(f"{path}: no {RECIPE} beside it to say what it is")
        recipe = load_recipe(path.parent / RECIPE)
    group = recipe.model
    if nclass is None:
        nclass = group.nclass or _dataset_classes(recipe)
    net = build_network(
        group,
        nclass=nclass,
        aux=_aux_of(group.name, arrays),
        norm="bn" if group.norm == "syncbn" else group.norm,
        pretrained=False,
        init=mx.init.Zero(),
    )
    try:
        load_into(net, arrays, strict=True, source=str(path))
    except CheckpointError as error:
        fitting = _fitting_form(group, nclass, arrays)
        if fitting is None:
            raise
        raise CheckpointError(
            f"{path}: is of {group.name} in form {fitting!r}, not {group.form!r}: set model.form to that"
        ) from error
    return net, recipe


def _fitting_form(group: ModelGroup, nclass: int, arrays: Mapping[str, np.ndarray]) -> Optional[str]:
    """Another form of the architecture, on the same backbone, whose parameters are these; None if none is."""
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    for form in model_info(group.name)["forms"]:
        if form == group.form:
            continue
        try:
            net = create_model(
                group.name, nclass, form, group.backbone, aux=_aux_of(group.name, arrays), init=False
            )
        except ConfigError:  # a backbone that the form cannot have
            continue
        if {name: tuple(one.shape) for name, one in named_parameters(net).items()} == shapes:
            return form
    return None


def build_network(group: ModelGroup, **changes: Any) -> Segmentor:
    """The network of a recipe's `model` group, on the CPU, its backbone from ImageNet where the group says
    so. `changes` are arguments of `create_model`, or `pretrained`."""
    arguments = dict(
        nclass=group.nclass,
        form=group.form,
        backbone=group.backbone,
        aux=group.aux,
        output_stride=group.output_stride,
        norm=group.norm,
        norm_momentum=group.norm_momentum,
        norm_epsilon=group.norm_epsilon,
        norm_frozen=group.norm_frozen,
        in_channels=group.in_channels,
        backbone_options=group.backbone_options,
        **group.options,
    )
    pretrained = changes.pop("pretrained", group.pretrained)
    net = create_model(group.name, **{**arguments, **changes})
    if pretrained:
        load_backbone(net.backbone, pretrained)
    return net


def draw_network(group: ModelGroup, seed: int, **changes: Any) -> Segmentor:
    """`build_network` with weights that are a function of `seed`."""
    mx.random.seed(seed)
    np.random.seed(seed)
    return build_network(group, **changes)


def _aux_of(model: str, arrays) -> Optional[bool]:
    """Whether the file has auxiliary heads, for architectures that can do with and without."""
    if "aux" not in inspect.signature(MODELS.get(model)).parameters:
        return None
    return any(name.startswith("aux_heads.") for name in arrays)


def _dataset_classes(recipe: Recipe) -> int:
    from mxnetseg.data import dataset_info

    count = dataset_info(recipe.data.name)["nclass"]
    if not count:
        raise ConfigError(
            f"data set {recipe.data.name!r} has no fixed classes: set model.nclass in the recipe"
        )
    return count


def _misfit(source, arrays, parameters, loaded, skipped) -> str:
    shapes = [s for s in skipped if "in the file," in s[1]]
    missing = [n for n, why in skipped if why == "not in the file"]
    unknown = [n for n, why in skipped if why == "not in the network"]
    if shapes and not missing and not unknown:
        counts = {(arrays[n].shape[0], parameters[n].shape[0]) for n, _ in shapes}
        outermost = all(arrays[n].shape[1:] == tuple(parameters[n].shape[1:]) for n, _ in shapes)
        if len(counts) == 1 and outermost:
            ((have, want),) = counts
            return (
                f"{source}: is for {have} classes, the network has {want} "
                f"(to fine-tune on other classes, name it with init_from)"
            )
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors of the network are missing (first: {missing[0]})")
    if unknown:
        parts.append(f"{len(unknown)} tensors are unknown (first: {unknown[0]})")
    if shapes:
        parts.append(f"{len(shapes)} have another shape (first: {shapes[0][0]}, {shapes[0][1]})")
    return f"{source}: is of another network: {len(loaded)} tensors fit, " + ", ".join(parts)
