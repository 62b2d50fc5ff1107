"""From a recipe to the objects that train it, all of them before a Trainer exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Sequence, Tuple

from mxnetseg.compat import memory_bytes
from mxnetseg.compute import create_engine, training_devices
from mxnetseg.compute.base import Engine
from mxnetseg.compute.workers import ALONE, Workers, rows_of_batch, share_of
from mxnetseg.data import create_dataset
from mxnetseg.data.augment import make_transform
from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.samplers.base import SequentialSampler
from mxnetseg.data.samplers.class_uniform import ClassUniformSampler
from mxnetseg.data.statistics import count_classes
from mxnetseg.errors import CheckpointError, ConfigError
from mxnetseg.facts import default_backbone
from mxnetseg.losses.plan import set_class_weights, wants_class_weights
from mxnetseg.recipe import Recipe
from mxnetseg.recipe.fields import check_channels
from mxnetseg.registry import check_options
from mxnetseg.train.progress import log
from mxnetseg.train.schedule import make_schedule, total_iterations
from mxnetseg.weights import checkpoint


@dataclass(frozen=True)
class Setup:
    """Everything a run needs.

    recipe           a copy of the one given, with what is only known now: classes, backbone, class weights.
    train, val       data sets; `val` is None where nothing is validated.
    loader           batches of `train`; whoever trains closes it.
    engine           network, loss and optimizer on their devices.
    steps_per_epoch  optimizer steps in one pass over `train`.
    iterations       optimizer steps of the whole run.
    rate             learning rate of iteration i, from 0.
    notes            what the user should know about how all this came about.
    workers          the processes that train together.
    """

    recipe: Recipe
    train: Any
    val: Optional[Any]
    loader: TrainLoader
    engine: Engine
    steps_per_epoch: int
    iterations: int
    rate: Callable[[int], float]
    notes: Tuple[str, ...]
    workers: Workers = ALONE

    @property
    def device_count(self) -> int:
        """Of all workers together."""
        return len(self.engine.devices) * self.workers.world_size


def prepare(
    recipe: Recipe,
    device_names: Optional[Sequence[str]] = None,
    engine: str = "mxnet",
    resuming: bool = False,
    quiet: bool = False,
    workers: Workers = ALONE,
) -> Setup:
    """Read the data sets, start the loader, draw the network's weights and put it on the devices.

    device_names  as `--ctx` takes them.
    resuming      weights will come from a saved state: neither `init_from` nor `model.pretrained` is read.
    workers       the processes that train together, of which this is one; nothing here is collective.

    Raises ConfigError, DatasetError, CheckpointError or DeviceError for what the recipe asks and cannot get.
    """
    notes = list(recipe.notes)
    recipe = recipe.model_copy(deep=True)
    devices = training_devices(engine, device_names, recipe.model.norm, recipe.compute, workers)
    if device_names and len(device_names) > len(devices) and workers.world_size == 1:
        notes.append(
            f"synchronized norm makes {len(device_names)} CPU contexts compute what one computes with the "
            f"whole batch: training on one"
        )
    count = len(devices) * workers.world_size
    _check_batch(recipe, count)
    group = recipe.data
    train, val = (
        create_dataset(group.name, group.root, split, **group.options) if split else None
        for split in (group.train_split, group.val_split)
    )
    _check_labels(train, val)
    nclass = class_count(recipe, train)
    check_channels(recipe, train)
    recipe.model.nclass = nclass
    if not recipe.model.backbone:
        recipe.model.backbone = default_backbone(recipe.model.name, recipe.model.form)
    if wants_class_weights(recipe.loss):
        set_class_weights(recipe.loss, _counted_weights(train, nclass, group.workers, quiet))
    # Loader processes start before the engine touches a device.
    loader = TrainLoader(
        train,
        make_transform(recipe.augment, train, recipe.input),
        group.batch_size,
        seed=recipe.seed,
        workers=share_of(group.workers, workers.local_world_size),
        mode=group.worker_mode,
        sampler=make_sampler(group, train),
        prefetch=group.prefetch,
        skip_bad_samples=group.skip_bad_samples,
        timeout=group.timeout,
        cache=share_of(group.cache << 20, workers.local_world_size),
        rows=rows_of_batch(group.batch_size, recipe.optimizer.accumulate, workers.rank, workers.world_size),
    )
    try:
        network = build_network(recipe, len(devices), resuming, count > 1)
        return Setup(
            recipe=recipe,
            train=train,
            val=val,
            loader=loader,
            engine=create_engine(
                engine,
                network,
                nclass,
                recipe.loss,
                recipe.optimizer,
                devices,
                train.ignore_index,
                recipe.compute,
                workers,
            ),
            steps_per_epoch=len(loader),
            iterations=total_iterations(recipe.schedule, len(loader)),
            rate=make_schedule(recipe.schedule, recipe.optimizer.lr, len(loader)),
            notes=tuple(notes),
            workers=workers,
        )
    except BaseException:
        loader.close()
        raise


def build_network(recipe: Recipe, devices: int, resuming: bool, synchronized: bool) -> Any:
    """The recipe's network on the CPU, its weights drawn from the recipe's seed, or taken from where the
    recipe says unless they will be replaced by a saved state.

    devices       of this process.
    synchronized  whether norm `syncbn` has other devices, here or of other workers, to average with: over one
                  alone it computes what plain batch norm does, slower.
    """
    network = checkpoint.draw_network(
        recipe.model,
        recipe.seed,
        norm="bn" if recipe.model.norm == "syncbn" and not synchronized else recipe.model.norm,
        num_devices=devices,
        **({"pretrained": False} if resuming else {}),
    )
    if recipe.init_from and not resuming:
        _initialize_from(network, recipe.init_from)
    return network


def describe(setup: Setup, iteration: int = 0) -> List[str]:
    """What a person wants to read before the first iteration."""
    recipe = setup.recipe
    others = setup.workers.world_size - 1
    lines = [f"note: {note}" for note in setup.notes]
    lines.append(
        f"{recipe.model.name} {recipe.model.backbone}, {recipe.model.nclass} classes, "
        f"{setup.engine.trained_parameters / 1e6:.2f} M trained parameters, on "
        + ", ".join(map(str, setup.engine.devices))
        + (f" and {others} other workers" if others > 1 else " and one other worker" if others else "")
        + ("" if recipe.compute.amp == "none" else f" in {recipe.compute.amp}")
    )
    lines.append(
        f"{recipe.data.name} {recipe.data.train_split}: {len(setup.train)} images, batches of "
        f"{recipe.data.batch_size}, {setup.iterations} iterations "
        f"({setup.iterations / setup.steps_per_epoch:g} epochs)"
    )
    if iteration:
        lines.append(f"resumed at iteration {iteration}")
    return lines


def class_count(recipe: Recipe, dataset: Any) -> int:
    """Logits of the network: the data set's classes, or 1 where a data set of two (or one) is binary."""
    wanted, have = recipe.model.nclass, len(dataset.classes)
    if wanted is None:
        return have
    if wanted != have and not (wanted == 1 and have <= 2):
        raise ConfigError(f"model.nclass is {wanted}, but data set {recipe.data.name!r} has {have} classes")
    return wanted


def _check_labels(*datasets: Any) -> None:
    for dataset in datasets:
        if dataset is not None and not dataset.has_labels:
            raise ConfigError(
                f"split {dataset.split!r} of data set {dataset.name!r} has no labels: train on another data "
                f"set and score on this one with eval.py, or give data.train_split that has some"
            )


def make_sampler(group: Any, dataset: Any) -> Optional[Callable]:
    """The sampler of the recipe's `data` group; None is the loader's own shuffling."""
    options = group.sampler_options
    if group.sampler != "class_uniform":
        if options:
            raise ConfigError(f"data.sampler_options: the {group.sampler} sampler has none")
        return SequentialSampler(len(dataset)) if group.sampler == "sequential" else None
    if not hasattr(dataset, "read_label_file"):
        raise ConfigError(
            f"data.sampler class_uniform reads label files, and data set {dataset.name!r} has none: "
            "take shuffled"
        )
    check_options("data.sampler class_uniform", ClassUniformSampler, options, given=1)
    return ClassUniformSampler(dataset, **options)


def _check_batch(recipe: Recipe, devices: int) -> None:
    parts, size = recipe.optimizer.accumulate, recipe.data.batch_size
    unit = devices * parts
    if size % unit:
        legal = [n for n in (size // unit * unit, (size // unit + 1) * unit) if n]
        over = f"{devices} devices" if devices > 1 else "1 device"
        over += f" x {parts} accumulated parts" if parts > 1 else ""
        raise ConfigError(
            f"data.batch_size {size} cannot be divided over {over}; nearest: {' or '.join(map(str, legal))}"
        )
    crop = recipe.augment.crop
    height, width = (crop, crop) if isinstance(crop, int) else crop
    # Images and labels, four bytes a value.
    needed = 4 * size * height * width * (recipe.model.in_channels + 1)
    memory = memory_bytes()
    if memory and needed > memory:
        raise ConfigError(
            f"a batch of {size} crops of {height} x {width} pixels takes {needed / 2**30:.0f} GiB, and this "
            f"machine has {memory / 2**30:.0f}: make augment.crop or data.batch_size smaller"
        )


def _counted_weights(train: Any, nclass: int, workers: int, quiet: bool) -> List[float]:
    if not quiet:
        log(f"class weights: counting the labels of {len(train)} training samples")
    return list(count_classes(train, max(nclass, 2), workers).median_frequency_weights())


def _initialize_from(network: Any, path: str) -> None:
    fit = checkpoint.load_into(network, checkpoint.read_params(path), strict=False, source=path)
    if not fit.loaded:
        raise CheckpointError(f"{path}: nothing in it fits the network; is it of another model or backbone?")
    log(f"initialized from {path}: {len(fit.loaded)} tensors taken, {len(fit.skipped)} skipped")
    for name, why in fit.skipped:
        log(f"  skipped {name}: {why}")
