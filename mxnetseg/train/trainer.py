"""Training: from a recipe to a folder with weights, numbers, pictures and a state to resume from.

The run is a function of the recipe. Batches depend on (seed, epoch, position), the learning rate and the
random streams of the devices (dropout) on the iteration; so the position, the parameters and the optimizer's
moments are all that a resumed run needs to go on as if nothing had happened.

A batch is split over contexts, and over `optimizer.accumulate` parts where memory is short. Its loss is one
mean over its valid pixels: devices compute sums, and each is weighted by what the host counted in the labels
of the whole batch.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Dict, List, Optional

import mxnet as mx
import numpy as np
from gluoncv.utils.parallel import split_and_load
from mxnet import autograd

from mxnetseg import run_files as files
from mxnetseg.data import create_dataset, transforms
from mxnetseg.data.loading.loader import TrainLoader
from mxnetseg.data.photometric import PhotometricDistortion
from mxnetseg.data.samplers.base import SequentialSampler
from mxnetseg.data.samplers.class_uniform import ClassUniformSampler
from mxnetseg.errors import CheckpointError, ConfigError, MxnetsegError
from mxnetseg.losses import Criterion, median_frequency_weights
from mxnetseg.models import create_model
from mxnetseg.predict.evaluation import evaluate, make_predictor
from mxnetseg.recipe import Recipe
from mxnetseg.report.page import write_report
from mxnetseg.report.tracking import Tracker
from mxnetseg.train.optim import Stepper
from mxnetseg.train.progress import Progress, duration, say
from mxnetseg.train.schedule import make_schedule, total_iterations
from mxnetseg.weights import checkpoint

# Iterations that may be queued on the devices before the host waits for the oldest.
_AHEAD = 2
_PICTURES = 4


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived; what was trained is saved. `status`: of the process."""

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.status = 128 + signum


class NonFiniteLoss(MxnetsegError):
    """The loss became NaN or infinite."""


class Trainer:
    """One run in one folder.

    recipe    what to do; it gains what is only known now (classes, default backbone, class weights).
    contexts  devices, one or more of a kind; several CPU contexts become one where the norm is
              synchronized (`one_context_if_synchronized`).
    run_dir   where everything is written.
    resume    continue what `run_dir` holds; otherwise start anew.
    wandb     name of a Weights & Biases project, or None.
    quiet     no progress on stderr.
    """

    def __init__(
        self,
        recipe: Recipe,
        contexts: List[mx.Context],
        run_dir,
        resume: bool = False,
        wandb: Optional[str] = None,
        quiet: bool = False,
    ):
        self.recipe = recipe
        self.contexts = one_context_if_synchronized(recipe, contexts)
        self.contexts_given = len(contexts)
        self.run_dir = Path(run_dir)
        self.resume = resume
        self.wandb = wandb
        self.quiet = quiet
        self.iteration = 0
        self.validated = -1  # the iteration that the last validation was of
        self.best: Dict[str, Any] = {"miou": None, "iteration": None}
        self.saved_iteration: Optional[int] = None
        self.last_loss: Optional[float] = None
        self._signal: Optional[int] = None
        self._interruptible = False
        self._pending: deque = deque()
        self._losses: List[float] = []  # since the last logged line
        self._norm: Optional[float] = None

    # ----- the whole run

    def fit(self) -> Dict[str, Any]:
        """Train to the end of the schedule; returns {"iteration", "epochs", "best", "loss", "run_dir"}.

        Raises Interrupted after saving, NonFiniteLoss, and the errors of data, devices and files.
        """
        self._build()
        try:
            with _Signals(self._on_signal):
                self._loop()
        finally:
            self.loader.close()
            self.tracker.finish({"best_miou": self.best["miou"]})
        return {
            "run_dir": str(self.run_dir),
            "iteration": self.iteration,
            "epochs": self.iteration / self.steps_per_epoch,
            "best": dict(self.best),
            "loss": self.last_loss,
        }

    def _loop(self) -> None:
        self._saved_at = time.monotonic()
        if self.resume:
            self._validate_if_due()
        while self.iteration < self.total:
            epoch, done = divmod(self.iteration, self.steps_per_epoch)
            steps = min(self.steps_per_epoch, self.total - epoch * self.steps_per_epoch)
            batches = self.loader.epoch(epoch, start=done)
            batch_size = self.recipe.data.batch_size
            with Progress(epoch, self.epochs, steps, done, batch_size, self.quiet) as progress:
                for batch in batches:
                    self._train_on(batch.images, batch.labels)
                    del batch
                    progress.step(self.last_loss, self._remaining_steps())
                    self._after_step(epoch)
                    if self.iteration >= self.total:
                        break
            batches.close()
            self._end_of_epoch(epoch)
        self._write_report()

    def _after_step(self, epoch: int) -> None:
        if self.iteration % self.recipe.log_every == 0:
            self._log(epoch)
        if self._signal is not None:
            self._leave()
        settings = self.recipe.checkpoint
        minutes = (time.monotonic() - self._saved_at) / 60
        every = settings.every_iterations
        if (settings.every_minutes and minutes >= settings.every_minutes) or (
            every and self.iteration % every == 0
        ):
            self.save()

    def _end_of_epoch(self, epoch: int) -> None:
        self._average_statistics()
        # Before validation, which may take long: a kill during it costs no training.
        self.save()
        self._validate_if_due()
        if self.recipe.checkpoint.keep:
            self._keep_epoch(epoch + 1)
        if self._signal is not None:
            self._leave()

    def _remaining_steps(self) -> int:
        return self.total - self.iteration

    # ----- one iteration

    def _train_on(self, images: np.ndarray, labels: np.ndarray) -> None:
        """One optimizer step on one global batch."""
        mass = self.criterion.pixel_mass(labels)
        # Dropout becomes a function of the iteration: nothing random needs saving.
        mx.random.seed((self.recipe.seed * 1000003 + self.iteration) % (2**31 - 1))
        accumulate = self.recipe.optimizer.accumulate
        if accumulate > 1:
            for parameter in self.stepper.trained:
                parameter.zero_grad()
        values = []
        size = len(images) // accumulate
        for part in range(accumulate):
            rows = slice(part * size, (part + 1) * size)
            values += self._forward_backward(images[rows], labels[rows], mass)
        norm = self.stepper.step(self.rate(self.iteration))
        self.iteration += 1
        self._pending.append((self.iteration, values, norm))
        if len(self._pending) > _AHEAD:
            self._read_loss()

    def _forward_backward(self, images, labels, mass):
        x = split_and_load(mx.nd.array(images, dtype="float32"), self.contexts)
        y = split_and_load(mx.nd.array(labels, dtype="float32"), self.contexts)
        with autograd.record():
            outputs = [self.graph(a, b) for a, b in zip(x, y)]
        gradients, values = self.criterion.head_gradients(outputs, mass)
        autograd.backward(
            [o for device in outputs for o in device], [g for device in gradients for g in device]
        )
        return values

    def _read_loss(self) -> None:
        """Wait for the oldest queued iteration and book its loss; NonFiniteLoss if it is none."""
        iteration, values, norm = self._pending.popleft()
        loss = float(sum(v.asnumpy().sum(dtype=np.float64) for v in values))
        if not math.isfinite(loss):
            self._stop_on(iteration, loss)
        self.last_loss = loss
        self._losses.append(loss)
        self._norm = None if norm is None else float(norm.asscalar())

    def _read_losses(self) -> None:
        while self._pending:
            self._read_loss()

    def _stop_on(self, iteration: int, loss: float) -> None:
        kept = (
            f"the checkpoint of iteration {self.saved_iteration} is kept"
            if self.saved_iteration is not None
            else "there is no checkpoint yet"
        )
        raise NonFiniteLoss(
            f"the loss is {loss} at iteration {iteration} (learning rate {self.rate(iteration - 1):.3g}); "
            f"{kept} in {self.run_dir}: resume with a lower optimizer.lr, with optimizer.clip_grad_norm, or "
            f"a longer warm-up"
        )

    # ----- numbers

    def _log(self, epoch: int) -> None:
        self._read_losses()
        now = time.monotonic()
        images = (self.iteration - self._logged_iteration) * self.recipe.data.batch_size
        values = {
            "loss": sum(self._losses) / len(self._losses),
            "lr": self.rate(self.iteration - 1),
            "images_per_second": images / max(now - self._logged_at, 1e-9),
        }
        if self._norm is not None:
            values["grad_norm"] = self._norm
        self._losses.clear()
        self._logged_at, self._logged_iteration = now, self.iteration
        self.tracker.log(self.iteration, values, kind="train", epoch=self.iteration / self.steps_per_epoch)

    # ----- checkpoints

    def save(self) -> None:
        """Write `last.state` and `last.params`, after making sure that they are worth keeping."""
        self._read_losses()
        arrays = self._state_arrays()
        for array in arrays.values():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                self._stop_on(self.iteration, float("nan"))
        files.save_state(self.run_dir, self._meta(), arrays)
        files.save_params(self.run_dir / files.LAST, checkpoint.network_arrays(self.net))
        self.saved_iteration = self.iteration
        self._saved_at = time.monotonic()

    def _meta(self) -> Dict[str, Any]:
        return {
            "format": 1,
            "iteration": self.iteration,
            "total": self.total,
            "steps_per_epoch": self.steps_per_epoch,
            "validated": self.validated,
            "best": self.best,
            "losses": self._losses,
            "contexts": len(self.contexts),
            "finished": self.iteration >= self.total and not self._validation_due(),
        }

    def _state_arrays(self) -> Dict[str, np.ndarray]:
        arrays = {}
        for name, parameter in zip(self.stepper.names, self.stepper.parameters):
            copies = parameter.list_data()
            # Trained parameters are equal everywhere; running statistics are each device's own.
            for k, copy in enumerate(copies if parameter.grad_req == "null" else copies[:1]):
                arrays[f"net:{k}:{name}"] = copy.asnumpy()
        arrays.update({f"opt:{name}": array for name, array in self.stepper.state_arrays().items()})
        return arrays

    def _load_state(self) -> None:
        meta, arrays = files.load_state(self.run_dir)
        try:
            for name, parameter in zip(self.stepper.names, self.stepper.parameters):
                for k, copy in enumerate(parameter.list_data()):
                    value = arrays.get(f"net:{k}:{name}", arrays[f"net:0:{name}"])
                    if value.shape != copy.shape:
                        raise ValueError(f"{name} is {value.shape}, the network has {copy.shape}")
                    copy[:] = value
            moments = {key[4:]: value for key, value in arrays.items() if key.startswith("opt:")}
            self.stepper.load_state_arrays(moments)
        except (KeyError, ValueError) as error:
            raise CheckpointError(
                f"{files.state_path(self.run_dir)}: is of another network or optimizer ({error})"
            ) from None
        self.iteration = meta["iteration"]
        self.validated = meta["validated"]
        self.best = meta["best"]
        self._losses = list(meta.get("losses", []))
        self.saved_iteration = self.iteration
        if meta["steps_per_epoch"] != self.steps_per_epoch:
            say(
                f"note: an epoch has {self.steps_per_epoch} iterations now, {meta['steps_per_epoch']} when "
                f"this run was saved: the order of samples is not that of an uninterrupted run"
            )
        if meta["contexts"] != len(self.contexts):
            say(f"note: {len(self.contexts)} devices now, {meta['contexts']} when this run was saved")

    def _keep_epoch(self, number: int) -> None:
        files.save_params(self.run_dir / f"epoch_{number}.params", checkpoint.network_arrays(self.net))
        kept = sorted(self.run_dir.glob("epoch_*.params"), key=lambda p: int(p.stem[6:]))
        for old in kept[: -self.recipe.checkpoint.keep]:
            old.unlink()

    def _average_statistics(self) -> None:
        """Give every device the mean of all running statistics: what is saved is what is evaluated."""
        if len(self.contexts) > 1:
            for parameter in self.stepper.parameters:
                if parameter.grad_req == "null":
                    parameter.set_data(mx.nd.array(checkpoint._joined(parameter)))

    # ----- validation

    def _validation_due(self) -> bool:
        if self.val_dataset is None or self.validated == self.iteration or self.iteration == 0:
            return False
        epoch, part = divmod(self.iteration, self.steps_per_epoch)
        if self.iteration >= self.total:
            return True
        return part == 0 and epoch % self.recipe.evaluation.every == 0

    def _validate_if_due(self) -> None:
        if self._validation_due():
            self._validate()
            self.save()
            self._write_report()
        elif self.val_dataset is None and self.iteration >= self.total:
            files.save_params(self.run_dir / files.BEST, checkpoint.network_arrays(self.net))

    def _validate(self) -> None:
        self._read_losses()
        pictures: List[tuple] = []
        settings = self.recipe.evaluation
        count = min(settings.limit or len(self.val_dataset), len(self.val_dataset))
        shown = {i * count // _PICTURES for i in range(_PICTURES)}

        def keep(index, sample, prediction):
            if index in shown:
                pictures.append((sample.name, sample.image, sample.label, np.array(prediction)))

        if self.predictor is None:
            self.predictor = make_predictor(self.net, self.val_dataset, self.contexts, settings)
        with self._interruptions():
            scores = evaluate(
                self.net,
                self.val_dataset,
                self.contexts,
                settings,
                progress=not self.quiet,
                predictor=self.predictor,
                on_image=keep,
                limit=settings.limit,
            )
        epoch = self.iteration / self.steps_per_epoch
        miou = scores["miou"]
        better = miou is not None and (self.best["miou"] is None or miou > self.best["miou"])
        if better:
            self.best = {"miou": miou, "iteration": self.iteration}
            files.save_params(self.run_dir / files.BEST, checkpoint.network_arrays(self.net))
        self.validated = self.iteration
        self.tracker.log_scores(self.iteration, scores, kind="val", epoch=epoch)
        self.tracker.log_images(self.iteration, pictures, self.val_dataset.ignore_index)
        if not self.quiet:
            shown_miou = "undefined" if miou is None else f"{100 * miou:.2f}%"
            best = "best so far" if better else f"best {100 * (self.best['miou'] or 0):.2f}%"
            say(
                f"validation after epoch {epoch:g}: mIoU {shown_miou} ({best}), pixel accuracy "
                f"{100 * (scores['pixel_accuracy'] or 0):.2f}%, {scores['images']} images in "
                f"{duration(scores['seconds'])}"
            )
        self._logged_at, self._logged_iteration = time.monotonic(), self.iteration

    def _write_report(self) -> None:
        # A run shorter than its logging interval has no numbers to show, and that is no error.
        numbers = self.run_dir / "metrics.jsonl"
        if numbers.exists() and numbers.stat().st_size:
            write_report(str(self.run_dir))

    # ----- signals

    def _on_signal(self, signum: int) -> None:
        if self._signal is not None or self._interruptible:
            raise Interrupted(signum, self._farewell(signum))
        self._signal = signum
        if not self.quiet:
            say(f"{signal.Signals(signum).name}: saving, then leaving (again: leave at once)")

    def _interruptions(self):
        return _Flag(self, "_interruptible")

    def _leave(self) -> None:
        self.save()
        raise Interrupted(self._signal, self._farewell(self._signal))

    def _farewell(self, signum: int) -> str:
        return (
            f"interrupted by {signal.Signals(signum).name}; saved at iteration {self.saved_iteration} of "
            f"{self.total}: continue with --resume {self.run_dir}"
        )

    # ----- construction

    def _build(self) -> None:
        recipe = self.recipe
        group = recipe.data
        self._check_batch()
        files.make_folder(self.run_dir)
        train = create_dataset(group.name, group.root, group.train_split, **group.options)
        self.val_dataset = None
        if group.val_split:
            self.val_dataset = create_dataset(group.name, group.root, group.val_split, **group.options)
        nclass = class_count(recipe, train)
        self._fix_class_weights(train, nclass)
        # Loader processes start before MXNet touches a device.
        self.loader = TrainLoader(
            train,
            make_transform(recipe.augment, train),
            group.batch_size,
            seed=recipe.seed,
            workers=group.workers,
            mode=group.worker_mode,
            sampler=make_sampler(group, train, recipe.augment),
            prefetch=group.prefetch,
            skip_bad_samples=group.skip_bad_samples,
        )
        try:
            self._build_network(nclass, train)
        except BaseException:
            self.loader.close()
            raise

    def _build_network(self, nclass: int, train) -> None:
        recipe = self.recipe
        self.net = build_network(recipe, nclass, len(self.contexts))
        recipe.model.nclass = nclass
        recipe.model.backbone = recipe.model.backbone or getattr(self.net.backbone, "registered_name", None)
        if recipe.init_from and not self.resume:
            self._initialize_from(recipe.init_from)
        self.net.collect_params().reset_ctx(self.contexts)
        if recipe.optimizer.accumulate > 1:
            for parameter in self.net.collect_params().values():
                if parameter.grad_req == "write":
                    parameter.grad_req = "add"
        self.criterion = Criterion(recipe.loss, nclass, train.ignore_index, recipe.loss.class_weights)
        self.graph = self.criterion.graph(self.net)
        self.graph.hybridize(static_alloc=True, static_shape=True)
        self.stepper = Stepper(self.net, recipe.optimizer, self.contexts)
        self.steps_per_epoch = len(self.loader)
        self.total = total_iterations(recipe.schedule, self.steps_per_epoch)
        self.epochs = math.ceil(self.total / self.steps_per_epoch)
        self.rate = make_schedule(recipe.schedule, recipe.optimizer.lr, self.steps_per_epoch)
        self.predictor = None
        if self.resume:
            self._load_state()
        else:
            remove_run_files(self.run_dir)
        self._logged_at, self._logged_iteration = time.monotonic(), self.iteration
        files.save_recipe(self.run_dir, recipe)
        self.tracker = Tracker(
            str(self.run_dir),
            recipe.model_dump(mode="json"),
            self.wandb,
            resume_iteration=self.iteration if self.resume else None,
            classes=train.classes,
            palette=train.palette,
        )
        if not self.quiet:
            self._introduce(train)

    def _check_batch(self) -> None:
        devices, parts = len(self.contexts), self.recipe.optimizer.accumulate
        size, unit = self.recipe.data.batch_size, devices * parts
        if size % unit:
            legal = [n for n in (size // unit * unit, (size // unit + 1) * unit) if n]
            over = f"{devices} devices" if devices > 1 else "1 device"
            over += f" x {parts} accumulated parts" if parts > 1 else ""
            raise ConfigError(
                f"data.batch_size {size} cannot be divided over {over}; "
                f"nearest: {' or '.join(map(str, legal))}"
            )

    def _fix_class_weights(self, train, nclass: int) -> None:
        if self.recipe.loss.class_weights != "auto":
            return
        if not self.quiet:
            say(f"class weights: counting the labels of {len(train)} training samples")
        counts = count_labels(train, max(nclass, 2))
        weights = median_frequency_weights(counts)
        self.recipe.loss.class_weights = [round(float(w), 6) for w in weights]

    def _initialize_from(self, path: str) -> None:
        fit = checkpoint.load_into(self.net, checkpoint.read_params(path), strict=False, source=path)
        if not fit.loaded:
            raise CheckpointError(
                f"{path}: nothing in it fits the network; is it of another model or backbone?"
            )
        say(f"initialized from {path}: {len(fit.loaded)} tensors taken, {len(fit.skipped)} skipped")
        for name, why in fit.skipped:
            say(f"  skipped {name}: {why}")

    def _introduce(self, train) -> None:
        recipe = self.recipe
        weights = sum(int(np.prod(p.shape)) for p in self.stepper.trained)
        devices = ", ".join(str(c) for c in self.contexts)
        for note in recipe.notes:
            say(f"note: {note}")
        if self.contexts_given > len(self.contexts):
            say(
                f"note: synchronized norm makes {self.contexts_given} CPU contexts compute what one computes "
                "with the whole batch: training on one"
            )
        say(
            f"{recipe.model.name} {recipe.model.backbone or ''}, {recipe.model.nclass} classes, "
            f"{weights / 1e6:.2f} M trained parameters, on {devices}"
        )
        say(
            f"{recipe.data.name} {recipe.data.train_split}: {len(train)} images, batches of "
            f"{recipe.data.batch_size}, {self.total} iterations "
            f"({self.total / self.steps_per_epoch:g} epochs)"
        )
        if self.iteration:
            say(f"resumed at iteration {self.iteration}")
        say(f"writing to {self.run_dir}")


# ----- from recipe to objects


def class_count(recipe: Recipe, dataset) -> int:
    """Logits of the network: the data set's classes, or 1 where a data set of two (or one) is binary."""
    wanted, have = recipe.model.nclass, len(dataset.classes)
    if wanted is None:
        return have
    if wanted != have and not (wanted == 1 and have <= 2):
        raise ConfigError(f"model.nclass is {wanted}, but data set {recipe.data.name!r} has {have} classes")
    return wanted


def one_context_if_synchronized(recipe: Recipe, contexts: List[mx.Context]) -> List[mx.Context]:
    """The contexts to train on: the first alone where `model.norm` is syncbn and all are of the CPU.

    Synchronized norm makes several contexts compute what one computes with the whole batch, and CPU
    contexts share their cores: one is the same, and faster. MXNet's layer besides waits for its twin inside
    a worker of the engine, which on whole networks waits for ever.
    """
    contexts = list(contexts)
    if recipe.model.norm == "syncbn" and all(context.device_type == "cpu" for context in contexts):
        return contexts[:1]
    return contexts


def build_network(recipe: Recipe, nclass: int, num_devices: int):
    """The recipe's network on the CPU, its weights drawn from the recipe's seed."""
    group = recipe.model
    mx.random.seed(recipe.seed)
    np.random.seed(recipe.seed)
    return create_model(
        group.name,
        nclass,
        backbone=group.backbone,
        aux=group.aux,
        output_stride=group.output_stride,
        # Over one device the synchronized form computes the same, slower.
        norm="bn" if group.norm == "syncbn" and num_devices == 1 else group.norm,
        num_devices=num_devices,
        pretrained=group.pretrained,
        in_channels=group.in_channels,
        backbone_options=group.backbone_options,
        **group.options,
    )


def make_transform(augment, dataset) -> transforms.TrainTransform:
    """The training transform of the recipe's `augment` group."""
    photometric: List[Any] = []
    if augment.photometric_distortion:
        photometric.append(PhotometricDistortion())
    jitter = augment.color_jitter
    if any(jitter.model_dump().values()):
        photometric.append(transforms.ColorJitter(**jitter.model_dump()))
    if augment.blur:
        photometric.append(transforms.GaussianBlur(augment.blur, augment.blur_sigma))
    return transforms.TrainTransform(
        crop=augment.crop,
        scale_min=augment.scale_min,
        scale_max=augment.scale_max,
        base=augment.base,
        flip=augment.flip,
        photometric=tuple(photometric),
        max_class_ratio=augment.max_class_ratio,
        mean=dataset.mean,
        std=dataset.std,
        ignore_index=dataset.ignore_index,
    )


def make_sampler(group, dataset, augment):
    """The sampler of the recipe's `data` group; None is the loader's own shuffling."""
    if group.sampler == "shuffled":
        if group.sampler_options:
            raise ConfigError("data.sampler_options: the shuffled sampler has none")
        return None
    if group.sampler == "sequential":
        return SequentialSampler(len(dataset))
    try:
        return ClassUniformSampler(dataset, **group.sampler_options)
    except TypeError as error:
        raise ConfigError(f"data.sampler_options: {error}") from None


def count_labels(dataset, nclass: int) -> np.ndarray:
    """Pixels of each class over the data set, int64 (nclass,)."""
    counts = np.zeros(nclass, np.int64)
    read = getattr(dataset, "read_label_file", None)
    for index in range(len(dataset)):
        label = read(index) if read else dataset[index].label
        counts += np.bincount(label.reshape(-1), minlength=nclass)[:nclass]
    return counts


def remove_run_files(run_dir: Path) -> None:
    """Take away what an earlier run left under the names that this one will write."""
    names = [files.LAST, files.BEST, files.STATE, *(p.name for p in run_dir.glob("epoch_*.params"))]
    for name in names:
        path = run_dir / name
        if path.exists():
            path.unlink()


class _Flag:
    """Sets an attribute of an object to True inside a `with`."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __enter__(self):
        setattr(self.owner, self.name, True)

    def __exit__(self, *_):
        setattr(self.owner, self.name, False)


class _Signals:
    """Passes SIGINT and SIGTERM to a function inside a `with`; nothing outside the main thread."""

    def __init__(self, handler):
        self.handler = handler
        self.before: Dict[int, Any] = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self.before[signum] = signal.signal(signum, lambda number, frame: self.handler(number))

    def __exit__(self, *_):
        for signum, handler in self.before.items():
            signal.signal(signum, handler)
