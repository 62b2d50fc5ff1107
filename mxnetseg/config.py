"""The recipe: everything a run depends on, typed, with defaults, limits and units.

A recipe is a YAML file under configs/. `_base_` in it names a file (or a list of them, later ones win),
relative to the file itself, whose keys it takes over and may replace. What the command line gives
(`--set data.batch_size=8` and the shorthands) wins over both. The resolved recipe is saved beside
every checkpoint, so that a checkpoint describes itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple, Union

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from mxnetseg.errors import ConfigError, nearest

PACKAGE = Path(__file__).resolve().parent

Size = Union[int, Tuple[int, int]]


class Group(BaseModel):
    """A part of the recipe. A key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())


class ModelGroup(Group):
    """The network; see `mxnetseg.models.create_model`."""

    name: str = Field(description="architecture, as registered")
    backbone: Optional[str] = Field(None, description="backbone; none: the architecture's default")
    nclass: Optional[int] = Field(
        None, ge=1, description="logits; none: the data set's classes; 1: one sigmoid logit for binary masks"
    )
    output_stride: Optional[Literal[8, 16, 32]] = Field(
        None, description="stride of the deepest maps; none: the architecture's default"
    )
    aux: Optional[bool] = Field(None, description="auxiliary heads; none: the architecture's default")
    pretrained: Union[bool, str] = Field(
        False, description="start the backbone from ImageNet weights; a text: the file that has them"
    )
    norm: Literal["bn", "syncbn", "gn"] = Field(
        "bn", description="normalization: per device, over all devices of this process, or group norm"
    )
    in_channels: int = Field(3, ge=1, description="channels of the images")
    backbone_options: Dict[str, Any] = Field(
        default_factory=dict, description="keywords of the backbone's constructor"
    )
    options: Dict[str, Any] = Field(
        default_factory=dict, description="keywords of the architecture's constructor"
    )


class DataGroup(Group):
    """The data set and how it is read."""

    name: str = Field(description="data set, as registered")
    root: Optional[str] = Field(
        None, description="its folder; none: $MXNETSEG_DATA/<name>, else ./datasets/<name>"
    )
    train_split: str = Field("train", description="split to train on; join with +, as in train+val")
    val_split: Optional[str] = Field("val", description="split to validate on; none: no validation")
    options: Dict[str, Any] = Field(
        default_factory=dict, description="keywords of the data set's constructor"
    )
    batch_size: int = Field(
        8, ge=1, description="images per optimizer step over all devices and all accumulated parts"
    )
    sampler: Literal["shuffled", "sequential", "class_uniform"] = Field(
        "shuffled",
        description="order of an epoch; class_uniform: crops that contain each class equally often",
    )
    sampler_options: Dict[str, Any] = Field(
        default_factory=dict, description="keywords of the sampler's constructor"
    )
    workers: int = Field(2, ge=0, description="worker processes or threads; 0: load in line")
    worker_mode: Literal["process", "thread", "none"] = Field("process", description="what workers are")
    prefetch: int = Field(2, ge=1, description="batches made ahead")
    skip_bad_samples: bool = Field(
        False, description="put a neighbour in place of a damaged sample instead of stopping"
    )


class JitterGroup(Group):
    """Colour jitter: factors are uniform in [1 - x, 1 + x]; hue is a share of the colour circle."""

    brightness: float = Field(0.0, ge=0, le=1)
    contrast: float = Field(0.0, ge=0, le=1)
    saturation: float = Field(0.0, ge=0, le=1)
    hue: float = Field(0.0, ge=0, le=0.5)


class AugmentGroup(Group):
    """Random changes of training images; see `mxnetseg.data.transforms.TrainTransform`."""

    crop: Size = Field(512, description="size trained on, pixels: a number for a square, or [height, width]")
    base: Optional[int] = Field(
        None,
        ge=1,
        description="long side, pixels, that the scales refer to; none: the image's own size",
    )
    scale_min: float = Field(0.5, gt=0, description="smallest random scale")
    scale_max: float = Field(2.0, gt=0, description="largest random scale")
    flip: float = Field(0.5, ge=0, le=1, description="probability of mirroring left-right")
    color_jitter: JitterGroup = Field(default_factory=JitterGroup)
    blur: float = Field(0.0, ge=0, le=1, description="probability of Gaussian blur")
    blur_sigma: Tuple[float, float] = Field((0.15, 1.3), description="its standard deviation, pixels")
    photometric_distortion: bool = Field(
        False, description="mmsegmentation's random brightness, contrast, saturation and hue"
    )
    max_class_ratio: float = Field(
        1.0, gt=0, le=1, description="draw the crop again while one class takes more than this share"
    )

    @field_validator("color_jitter", mode="before")
    @classmethod
    def _one_number_for_all(cls, value):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return dict(brightness=value, contrast=value, saturation=value, hue=min(value, 0.5))
        return value

    @field_validator("crop")
    @classmethod
    def _positive_crop(cls, value):
        return _positive_size(value)

    @model_validator(mode="after")
    def _ordered(self):
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min {self.scale_min} is above scale_max {self.scale_max}")
        if not 0 <= self.blur_sigma[0] <= self.blur_sigma[1]:
            raise ValueError(f"blur_sigma {list(self.blur_sigma)} must be [low, high], both >= 0")
        return self


class LossGroup(Group):
    """What is minimized: a mean over the valid pixels of the global batch; see `mxnetseg.losses`."""

    name: str = Field(
        "cross_entropy",
        description="loss of a pixel, as registered (binary cross-entropy where model.nclass is 1)",
    )
    aux_weights: Union[float, List[float]] = Field(
        0.4, description="weight of the auxiliary outputs: one for all, or one for each"
    )
    class_weights: Union[Literal["auto"], List[float], None] = Field(
        None, description="weight of each class; auto: median frequency balancing over the training labels"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target spread evenly over all classes"
    )
    ohem_threshold: Optional[float] = Field(
        None,
        gt=0,
        le=1,
        description="keep pixels whose true class has at most this probability; none: all pixels",
    )
    ohem_min_kept: int = Field(
        80000, ge=1, description="pixels of the global batch kept at least (the hardest ones)"
    )
    focal_gamma: float = Field(2.0, ge=0, description="exponent of the focal loss")

    @field_validator("aux_weights", "class_weights")
    @classmethod
    def _not_negative(cls, value):
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(n, (int, float)) and n < 0 for n in numbers):
            raise ValueError("weights must not be negative")
        return value


class OptimizerGroup(Group):
    """How parameters move. Learning rates are for a loss that is a mean over pixels."""

    name: Literal["sgd", "nag", "adam", "adamw"] = Field("sgd", description="update rule")
    lr: float = Field(0.01, gt=0, description="base learning rate, of the batch size of the recipe file")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd and nag")
    beta1: float = Field(0.9, ge=0, lt=1, description="of adam and adamw")
    beta2: float = Field(0.999, ge=0, lt=1, description="of adam and adamw")
    epsilon: float = Field(1e-8, gt=0, description="of adam and adamw")
    weight_decay: float = Field(1e-4, ge=0, description="added to the gradient; decoupled in adamw")
    head_lr_mult: float = Field(
        1.0, gt=0, description="learning rate of all but the backbone, relative to it"
    )
    no_decay_norm_bias: bool = Field(False, description="no weight decay on biases and normalization layers")
    clip_grad_norm: Optional[float] = Field(None, gt=0, description="largest global norm of the gradient")
    accumulate: int = Field(
        1, ge=1, description="parts that a batch is computed in, one after the other, to save memory"
    )
    scale_lr_with_batch: bool = Field(
        True, description="a batch size other than the file's scales the learning rate along"
    )


class ScheduleGroup(Group):
    """Learning rate over iterations (optimizer steps). Give `epochs` or `iterations`."""

    name: Literal["poly", "cosine", "linear", "step", "constant"] = Field(
        "poly", description="shape of the decay"
    )
    epochs: Optional[int] = Field(None, ge=1, description="length of the run, passes over the training split")
    iterations: Optional[int] = Field(None, ge=1, description="length of the run, optimizer steps")
    power: float = Field(0.9, gt=0, description="exponent of poly")
    end_lr: float = Field(0.0, ge=0, description="learning rate at the end of poly, cosine and linear")
    warmup_iterations: int = Field(0, ge=0, description="optimizer steps of linear warm-up")
    warmup_epochs: float = Field(0.0, ge=0, description="the same in epochs (used where iterations is 0)")
    warmup_start: float = Field(0.0, ge=0, le=1, description="learning rate it starts from, relative to lr")
    step_epochs: List[int] = Field(default_factory=list, description="epochs after which step decays")
    step_factor: float = Field(0.1, gt=0, lt=1, description="factor of each decay of step")

    @model_validator(mode="after")
    def _one_length(self):
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                "give either epochs or iterations, not both" if self.epochs else "give epochs or iterations"
            )
        if self.name == "step" and not self.step_epochs:
            raise ValueError("schedule step needs step_epochs")
        return self


class EvaluationGroup(Group):
    """Protocol of validation, and of eval.py unless it is told otherwise; see `mxnetseg.engine.Predictor`."""

    scales: List[float] = Field(
        default_factory=lambda: [1.0], min_length=1, description="factors on the base size"
    )
    flip: bool = Field(False, description="average with the mirrored image")
    mode: Literal["auto", "whole", "slide"] = Field(
        "auto", description="whole images, sliding windows, or windows only above pixel_budget"
    )
    crop: Optional[Size] = Field(None, description="window, pixels; none: the data set's")
    stride: Optional[float] = Field(None, gt=0, le=1, description="step between windows, share of the window")
    base: Optional[int] = Field(
        None, ge=1, description="long side, pixels, at scale 1; none: the image's own"
    )
    batch: Optional[int] = Field(None, ge=1, description="windows per forward pass")
    pixel_budget: Optional[int] = Field(
        None, ge=1, description="largest image, pixels, that auto takes whole"
    )
    threshold: Optional[float] = Field(
        None, gt=0, lt=1, description="probability of foreground, binary networks"
    )
    every: int = Field(1, ge=1, description="epochs between validations; the last epoch always has one")
    limit: Optional[int] = Field(None, ge=1, description="validate on the first so many images only")

    @field_validator("scales")
    @classmethod
    def _positive_scales(cls, value):
        if any(s <= 0 for s in value):
            raise ValueError("scales must be positive")
        return value

    @field_validator("crop")
    @classmethod
    def _positive_crop(cls, value):
        return None if value is None else _positive_size(value)


class CheckpointGroup(Group):
    """What is written while training besides the checkpoint after every epoch."""

    every_minutes: Optional[float] = Field(
        10.0, gt=0, description="also in the middle of an epoch, so often at most"
    )
    every_iterations: Optional[int] = Field(None, ge=1, description="also after so many optimizer steps")
    keep: int = Field(0, ge=0, description="also keep epoch_<n>.params of the last so many epochs")


class Recipe(Group):
    """One run, completely."""

    model: ModelGroup
    data: DataGroup
    augment: AugmentGroup = Field(default_factory=AugmentGroup)
    loss: LossGroup = Field(default_factory=LossGroup)
    optimizer: OptimizerGroup = Field(default_factory=OptimizerGroup)
    schedule: ScheduleGroup
    evaluation: EvaluationGroup = Field(default_factory=EvaluationGroup)
    checkpoint: CheckpointGroup = Field(default_factory=CheckpointGroup)
    seed: int = Field(
        0, ge=0, lt=2**31, description="of initialization, data order, augmentation and dropout"
    )
    deterministic: bool = Field(
        False, description="one compute thread and deterministic cuDNN kernels: slower, repeatable"
    )
    init_from: Optional[str] = Field(
        None, description="a checkpoint to fine-tune: what fits by name and shape is taken"
    )
    output_dir: Optional[str] = Field(
        None, description="folder of the run; none: weights/runs/<model>_<backbone>_<data>"
    )
    log_every: int = Field(10, ge=1, description="optimizer steps between logged numbers")

    # What the user should know about how this recipe came about: rescaled learning rate, fallbacks.
    _notes: List[str] = PrivateAttr(default_factory=list)

    @property
    def notes(self) -> List[str]:
        return self._notes

    def run_dir(self, model_backbone: str = "") -> Path:
        """Folder of the run."""
        if self.output_dir:
            return Path(self.output_dir)
        backbone = self.model.backbone or model_backbone
        parts = [self.model.name, backbone, self.data.name]
        return Path("weights", "runs", "_".join(part for part in parts if part))

    def dump(self, path) -> None:
        """Write the resolved recipe as YAML, every field stated."""
        Path(path).write_text(self.to_yaml(), encoding="utf-8")

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_recipe(path, overrides=None) -> Recipe:
    """The recipe of a YAML file with `overrides` on top.

    `overrides`: mapping of dotted keys to values (`{"data.batch_size": 8}`) or a list of texts
    `data.batch_size=8`, whose value is read as YAML. ConfigError in one line names the file and the key.
    """
    path = Path(path)
    return _resolve(_read(path, ()), parse_overrides(overrides), str(path))


def make_recipe(values: Dict[str, Any], overrides=None, source: str = "recipe") -> Recipe:
    """The recipe of a nested mapping, as `load_recipe` makes it of a file; `source` is what errors name."""
    return _resolve(_copy(values), parse_overrides(overrides), source)


def parse_overrides(overrides) -> Dict[str, Any]:
    """Dotted keys to values, from a mapping or from texts `key=value` (value in YAML)."""
    if overrides is None:
        return {}
    if isinstance(overrides, dict):
        return dict(overrides)
    result = {}
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"--set {text}: expected key=value, as in --set data.batch_size=8")
        try:
            result[key.strip()] = _numbers(yaml.safe_load(value))
        except yaml.YAMLError:
            raise ConfigError(f"--set {text}: the value is not valid YAML") from None
    return result


def configs_folders() -> List[Path]:
    """Where recipes are looked for: in the installed package, in the checkout, in the current folder."""
    folders = [PACKAGE / "configs", PACKAGE.parent / "configs", Path.cwd() / "configs"]
    seen, unique = set(), []
    for folder in folders:
        if folder.is_dir() and folder.resolve() not in seen:
            seen.add(folder.resolve())
            unique.append(folder)
    return unique


def find_recipe(model: str, backbone: Optional[str] = None, dataset: str = "cityscapes"):
    """(file, overrides, notes) of the recipe for a model on a data set.

    The file is configs/<model>/<backbone>_<dataset>.yaml. Where a backbone is asked for that has no file of
    its own the model's recipe with another backbone serves with the backbone replaced; where the
    model has none at all for this data set, configs/_base_/<dataset>.yaml with the model put in. Both are
    said in the notes. Without a backbone the recipe with the architecture's default one is preferred.
    """
    files = _recipes_of(model)
    wanted = [backbone] if backbone else [_default_backbone(model)]
    for name in wanted:
        if name and f"{name}_{dataset}" in files:
            return files[f"{name}_{dataset}"], {}, []
    others = sorted(stem for stem in files if stem.endswith(f"_{dataset}"))
    if others and not backbone:
        return files[others[0]], {}, []
    if others:
        note = f"no recipe {model}/{backbone}_{dataset}.yaml: using {others[0]}.yaml with backbone {backbone}"
        return files[others[0]], {"model.backbone": backbone}, [note]
    for folder in configs_folders():
        general = folder / "_base_" / f"{dataset}.yaml"
        if general.is_file():
            note = f"no recipe of {model} for {dataset}: using the data set's general one, {general.name}"
            overrides = {"model.name": model}
            if backbone:
                overrides["model.backbone"] = backbone
            return general, overrides, [note]
    raise ConfigError(_no_recipe(model, backbone, dataset, files))


def _recipes_of(model: str) -> Dict[str, Path]:
    files: Dict[str, Path] = {}
    for folder in configs_folders():
        for file in sorted((folder / model).glob("*.yaml")):
            files.setdefault(file.stem, file)
    return files


def _no_recipe(model, backbone, dataset, files) -> str:
    from mxnetseg.data import list_datasets

    folders = configs_folders()
    if not folders:
        return "no configs folder found beside the package or here: give a recipe with --recipe FILE"
    wanted = f"{model}/{backbone or '<backbone>'}_{dataset}.yaml"
    if dataset not in list_datasets():
        close = nearest(dataset, list_datasets()) or list_datasets()
        return f"no data set is named {dataset!r}; did you mean {' or '.join(close)}?"
    have = ", ".join(sorted(files)) or "none"
    return f"no recipe configs/{wanted} (recipes of {model}: {have}): give one with --recipe FILE"


def _default_backbone(model: str) -> Optional[str]:
    from mxnetseg.models import model_info

    return model_info(model).get("backbone")


def _read(path: Path, chain: Tuple[Path, ...]) -> Dict[str, Any]:
    if path.resolve() in chain:
        raise ConfigError(f"{path}: _base_ leads back to itself")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = (
            nearest(path.name, [p.name for p in path.parent.glob("*.yaml")]) if path.parent.is_dir() else []
        )
        hint = f"; in that folder: {', '.join(near)}" if near else ""
        raise ConfigError(f"{path}: recipe not found{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: recipe cannot be read: {error}") from None
    try:
        values = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where}: not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of groups, found {type(values).__name__}")
    values = _numbers(values)
    bases = values.pop("_base_", None)
    merged: Dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases or []:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: _base_ must be a file name or a list of them")
        merged = _merge(merged, _read(path.parent / base, chain + (path.resolve(),)))
    return _merge(merged, values)


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; here that is an error."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _numbers(value):
    """YAML 1.1 reads `1e-4` (no dot) as text; people mean the number."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and value[:1] in "+-.0123456789" and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _merge(base: Dict[str, Any], top: Dict[str, Any]) -> Dict[str, Any]:
    """`top` over `base`; mappings merge key by key. A schedule length replaces the other kind of length."""
    merged = dict(base)
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    for key, other in (("epochs", "iterations"), ("iterations", "epochs")):
        if top.get(key) is not None and other not in top:
            merged.pop(other, None)
    return merged


def _copy(values):
    if isinstance(values, dict):
        return {key: _copy(item) for key, item in values.items()}
    return list(values) if isinstance(values, list) else values


def _resolve(values: Dict[str, Any], overrides: Dict[str, Any], source: str) -> Recipe:
    notes: List[str] = []
    old_batch = _get(values, "data", "batch_size")
    # Checked before the overrides, so that an error of the file is not blamed on the command line.
    for key, value in overrides.items():
        _put(values, key, value)
    recipe = _validate(values, source, overrides)
    optimizer = recipe.optimizer
    if "data.batch_size" in overrides and "optimizer.lr" not in overrides and isinstance(old_batch, int):
        new_batch = recipe.data.batch_size
        if new_batch != old_batch and optimizer.scale_lr_with_batch:
            old_lr = optimizer.lr
            optimizer.lr = old_lr * new_batch / old_batch
            notes.append(
                f"batch size {old_batch} -> {new_batch}: learning rate {old_lr:g} -> {optimizer.lr:g} "
                f"(off with --set optimizer.scale_lr_with_batch=false)"
            )
    recipe._notes.extend(notes)
    return recipe


def _get(values, *keys):
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _put(values: Dict[str, Any], dotted: str, value: Any) -> None:
    *groups, last = dotted.split(".")
    for group in groups:
        if values.get(group) is None:
            values[group] = {}
        values = values[group]
        if not isinstance(values, dict):
            raise ConfigError(f"--set {dotted}: {group} is a single value, not a group of keys")
    values[last] = value
    if last in ("epochs", "iterations") and value is not None:
        values.pop("iterations" if last == "epochs" else "epochs", None)


def _validate(values, source, overrides) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, source, overrides)) from None


def _explain(error: ValidationError, source: str, overrides: Dict[str, Any]) -> str:
    """The first problem in one line, with how many more there are."""
    problems = error.errors()
    # A misspelt required key gives two problems; the misspelling is the one that helps.
    problems.sort(key=lambda p: p["type"] != "extra_forbidden")
    first = problems[0]
    location = tuple(part for part in first["loc"] if isinstance(part, int) or part.isidentifier())
    key = ".".join(str(part) for part in first["loc"] if not _is_union_tag(part))
    where = "--set" if _dotted(location) in overrides else f"{source}:"
    if first["type"] == "extra_forbidden":
        known = _keys_at(first["loc"][:-1])
        close = _deep_matches(first["loc"][-1], exact=True) or nearest(first["loc"][-1], known)
        close = close or _deep_matches(first["loc"][-1]) or known
        text = f"{where} unknown key {key!r}; nearest: {', '.join(close)}"
    elif first["type"] == "missing":
        text = f"{where} key {key!r} is missing"
    else:
        message = first["msg"].replace("Value error, ", "")
        shown = repr(first["input"])
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        joiner = "" if isinstance(first["input"], dict) else f" {shown}:"
        text = f"{where} {key}{joiner if key else ''} {message[:1].lower()}{message[1:]}"
    others = {_dotted(p["loc"][:2]) for p in problems[1:]} - {_dotted(first["loc"][:2])}
    return text + (f" (and {len(others)} more)" if others else "")


def _dotted(location) -> str:
    return ".".join(str(part) for part in location)


def _is_union_tag(part) -> bool:
    """pydantic adds the tried alternative of a Union to the location; users never wrote it."""
    return isinstance(part, str) and (not part.isidentifier() or part in ("int", "float", "str", "bool"))


def _keys_at(location) -> List[str]:
    kind = Recipe
    for part in location:
        field = kind.model_fields.get(part) if isinstance(part, str) else None
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Group)):
            return list(kind.model_fields)
        kind = field.annotation
    return list(kind.model_fields)


def _deep_matches(name, exact: bool = False) -> List[str]:
    """Dotted keys anywhere in the recipe whose last part is (near) `name`: a key in the wrong group."""
    table = {}
    for group, field in Recipe.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            for key in field.annotation.model_fields:
                table.setdefault(key, f"{group}.{key}")
    if exact:
        return [table[name]] if name in table else []
    return [table[key] for key in nearest(name, table)]


def _positive_size(value):
    sides = [value] if isinstance(value, int) else value
    if min(sides) < 1:
        raise ValueError("sizes must be at least 1 pixel")
    return value


def crop_size(value: Size) -> Tuple[int, int]:
    """(height, width) of a size that may be one number."""
    return (value, value) if isinstance(value, int) else tuple(value)


def expand_path(path: str) -> str:
    """`~` and variables resolved, as a shell would."""
    return os.path.expanduser(os.path.expandvars(path))
