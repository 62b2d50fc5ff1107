"""The fields of a recipe: everything a run depends on, typed, with defaults, limits and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple, Union

import yaml
from pydantic import Field, PrivateAttr, field_validator, model_validator

from mxnetseg.errors import ConfigError
from mxnetseg.recipe.group import Group, Size, positive_size
from mxnetseg.recipe.loss import LossGroup
from mxnetseg.recipe.protocol import Protocol


class ModelGroup(Group):
    """The network; see `mxnetseg.models.create_model`."""

    name: str = Field(description="architecture, as registered")
    form: str = Field("paper", description="published form of the architecture; its options are its own")
    backbone: Optional[str] = Field(None, description="backbone; none: the form's default")
    nclass: Optional[int] = Field(
        None, ge=1, description="logits; none: the data set's classes; 1: one sigmoid logit for binary masks"
    )
    output_stride: Optional[Literal[8, 16, 32]] = Field(
        None, description="stride of the deepest maps; none: the form's default"
    )
    aux: Optional[bool] = Field(None, description="auxiliary heads; none: the form's default")
    pretrained: Union[bool, str] = Field(
        False, description="start the backbone from ImageNet weights; a path: the file that has them"
    )
    norm: Literal["bn", "syncbn", "gn"] = Field(
        "bn", description="normalization: per device, over all devices of this process, or group norm"
    )
    norm_momentum: Optional[float] = Field(
        None,
        ge=0,
        le=1,
        description="share of their running statistics that batch norms keep in a step (PyTorch's 1 - "
        "momentum); none: the network's own, mostly 0.9",
    )
    norm_epsilon: Optional[float] = Field(
        None, gt=0, description="what batch norms add to the variance; none: the network's own, mostly 1e-5"
    )
    norm_frozen: bool = Field(
        False, description="batch norms use and keep the running statistics that they start with"
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
    timeout: Optional[float] = Field(
        300.0,
        gt=0,
        description="seconds to wait for a sample that is being read; none: no limit",
    )
    cache: int = Field(
        0,
        ge=0,
        description="megabytes of decoded training samples that the workers together keep in memory, so that "
        "these are read and decoded once; 0: none",
    )
    skip_bad_samples: bool = Field(
        False, description="put a neighbour in place of a damaged sample instead of stopping"
    )


class InputGroup(Group):
    """How pictures are normalized: (value / range - mean) / std per channel, before the network.

    None: the data set's statistics. A checkpoint's own come with it when it is imported.
    """

    mean: Optional[List[float]] = Field(None, description="per channel, of values 0 to `range`")
    std: Optional[List[float]] = Field(None, description="likewise")
    range: Literal[1, 255] = Field(1, description="largest channel value that mean and std are stated for")

    @model_validator(mode="after")
    def _both(self):
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both mean and std, or neither")
        if self.mean is not None and (len(self.mean) != len(self.std) or min(self.std) <= 0):
            raise ValueError("mean and std need a value for each channel, std above 0")
        return self

    def of(self, dataset: Any) -> Tuple[List[float], List[float]]:
        """(mean, std) in units of the full range 0 to 1: these, or the data set's where none are stated.

        ConfigError where they are for another number of channels than the data set's images have.
        """
        if self.mean is None:
            return list(dataset.mean), list(dataset.std)
        if len(self.mean) != dataset.channels:
            raise ConfigError(
                f"input.mean has {len(self.mean)} values, the images of data set {dataset.name!r} have "
                f"{dataset.channels} channels"
            )
        return [m / self.range for m in self.mean], [s / self.range for s in self.std]


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
    resize: Optional[Tuple[int, int]] = Field(
        None,
        description="[long, short]: sides, pixels, that the image is scaled to fit into at scale 1, as in "
        "mmsegmentation's (2048, 512); none: base",
    )
    fill: Union[float, List[float], None] = Field(
        None,
        description="colour outside the image, 0 to 255, one number or one for each channel; none: the mean "
        "colour",
    )
    label_fill: Optional[int] = Field(
        None, ge=0, description="train id of the label outside the image; none: the ignored one"
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

    @field_validator("crop", "resize")
    @classmethod
    def _positive_sizes(cls, value):
        return None if value is None else positive_size(value)

    @field_validator("fill")
    @classmethod
    def _colour(cls, value):
        if value is not None and not all(
            0 <= v <= 255 for v in (value if isinstance(value, list) else [value])
        ):
            raise ValueError("colours are 0 to 255 per channel")
        return value

    @model_validator(mode="after")
    def _ordered(self):
        if self.base is not None and self.resize is not None:
            raise ValueError("give either base or resize, not both")
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min {self.scale_min} is above scale_max {self.scale_max}")
        if not 0 <= self.blur_sigma[0] <= self.blur_sigma[1] <= 100:
            raise ValueError(f"blur_sigma {list(self.blur_sigma)} must be [low, high], both from 0 to 100")
        return self


class OptimizerGroup(Group):
    """How parameters move. Learning rates are for a loss that is a mean over pixels."""

    name: Literal["sgd", "nag", "adam", "adamw", "lars", "lamb"] = Field(
        "sgd", description="update rule; lars and lamb are for large batches"
    )
    lr: float = Field(0.01, gt=0, description="base learning rate, of the batch size of the recipe file")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd, nag and lars")
    beta1: float = Field(0.9, ge=0, lt=1, description="of adam, adamw and lamb")
    beta2: float = Field(0.999, ge=0, lt=1, description="of adam, adamw and lamb")
    epsilon: float = Field(1e-8, gt=0, description="of adam, adamw and lamb")
    trust: float = Field(
        0.001, gt=0, description="of lars: length of a step over that of the weights, at lr 1"
    )
    weight_decay: float = Field(1e-4, ge=0, description="added to the gradient; decoupled in adamw and lamb")
    backbone_weight_decay: Optional[float] = Field(
        None, ge=0, description="weight decay of the backbone; none: as everywhere"
    )
    head_lr_mult: float = Field(
        1.0, gt=0, description="learning rate of all but the backbone, relative to it"
    )
    layer_decay: Optional[float] = Field(
        None,
        gt=0,
        le=1,
        description="factor on the rate from each stage of the backbone (ViT: block) to the one before",
    )
    layer_decay_last: int = Field(
        1, ge=0, description="how often that factor is already on the rate of the last stage"
    )
    frozen_stages: int = Field(
        0,
        ge=0,
        description="stages of the backbone (ViT: blocks), and what is before, that stay as they are",
    )
    no_decay: List[Literal["norm", "bias", "embedding"]] = Field(
        default_factory=list,
        description="no weight decay on norms, on biases and other vectors, on embeddings and tokens",
    )
    ema: Optional[float] = Field(
        None,
        gt=0,
        lt=1,
        description="evaluate and save a moving average of the weights: share of the old one at each step",
    )
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
    epochs: Optional[int] = Field(
        None, ge=1, le=10**6, description="length of the run, passes over the training split"
    )
    iterations: Optional[int] = Field(None, ge=1, le=10**9, description="length of the run, optimizer steps")
    power: float = Field(0.9, gt=0, description="exponent of poly")
    end_lr: float = Field(0.0, ge=0, description="learning rate at the end of poly, cosine and linear")
    warmup_iterations: int = Field(0, ge=0, description="optimizer steps of warm-up")
    warmup_epochs: float = Field(0.0, ge=0, description="the same in epochs (used where iterations is 0)")
    warmup_start: float = Field(0.0, ge=0, le=1, description="learning rate it starts from, relative to lr")
    warmup: Literal["linear", "exponential"] = Field(
        "linear", description="equal steps, or equal factors (from a warmup_start above 0)"
    )
    step_epochs: List[int] = Field(default_factory=list, description="epochs after which step decays")
    step_iterations: List[int] = Field(
        default_factory=list, description="the same in optimizer steps (used where step_epochs is empty)"
    )
    step_factor: float = Field(0.1, gt=0, lt=1, description="factor of each decay of step")

    @field_validator("step_epochs", "step_iterations")
    @classmethod
    def _ascending(cls, value):
        # Those of a long run may fall on one epoch of a short one.
        if any(later < earlier for earlier, later in zip([1, *value], value)):
            raise ValueError("must be whole numbers from 1 in ascending order")
        return value

    @model_validator(mode="after")
    def _one_length(self):
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                "give either epochs or iterations, not both" if self.epochs else "give epochs or iterations"
            )
        if self.warmup == "exponential" and not self.warmup_start:
            raise ValueError("warmup exponential needs a warmup_start above 0")
        if self.name == "step" and not (self.step_epochs or self.step_iterations):
            raise ValueError("name step needs step_epochs or step_iterations")
        return self


class EvaluationGroup(Protocol):
    """Protocol of validation and of eval.py, and when to validate."""

    every: int = Field(1, ge=1, description="epochs between validations; the last epoch always has one")
    limit: Optional[int] = Field(None, ge=1, description="validate on the first so many images only")


class CheckpointGroup(Group):
    """What is written in training, apart from the checkpoint after every epoch."""

    every_minutes: Optional[float] = Field(
        10.0, gt=0, description="also in the middle of an epoch, so often at most"
    )
    every_iterations: Optional[int] = Field(None, ge=1, description="also after so many optimizer steps")
    keep: int = Field(0, ge=0, description="also keep epoch_<n>.params of the last so many epochs")


class ComputeGroup(Group):
    """How the engine computes, where it has a choice. All of it is of the torch engine."""

    amp: Literal["none", "bf16", "fp16"] = Field(
        "none",
        description="automatic mixed precision: convolutions and products in this type, parameters and "
        "losses in float32; fp16 scales the loss",
    )
    compile: bool = Field(
        False, description="networks through torch.compile, which takes minutes at the start"
    )
    activation_checkpointing: bool = Field(
        False,
        description="keep a part of the activations and compute the others again for the gradient: less "
        "memory for large crops, a third more time",
    )
    cuda_graphs: bool = Field(
        False, description="record the prediction of each input size on GPUs as one CUDA graph, and replay it"
    )

    @model_validator(mode="after")
    def _exclusive(self):
        if self.compile and (self.activation_checkpointing or self.cuda_graphs):
            raise ValueError("compile cannot be joined with activation_checkpointing or cuda_graphs")
        return self

    def asked(self) -> List[str]:
        """What is not as by default, such as "compute.amp bf16"."""
        given = {name: (getattr(self, name), f.default) for name, f in type(self).model_fields.items()}
        return [f"compute.{name} {value}" for name, (value, usual) in given.items() if value != usual]


def check_channels(recipe: Recipe, dataset: Any) -> None:
    """ConfigError where the network takes another number of channels than the data set's images have."""
    wanted, have = recipe.model.in_channels, dataset.channels
    if wanted != have:
        raise ConfigError(
            f"model.in_channels is {wanted}, but the images of data set {dataset.name!r} have {have}: set "
            f"model.in_channels to {have}, or data.options.channels where the data set takes it"
        )


class Recipe(Group):
    """One run, completely."""

    model: ModelGroup
    data: DataGroup
    input: InputGroup = Field(default_factory=InputGroup)
    augment: AugmentGroup = Field(default_factory=AugmentGroup)
    loss: LossGroup = Field(default_factory=LossGroup)
    optimizer: OptimizerGroup = Field(default_factory=OptimizerGroup)
    schedule: ScheduleGroup
    evaluation: EvaluationGroup = Field(default_factory=EvaluationGroup)
    checkpoint: CheckpointGroup = Field(default_factory=CheckpointGroup)
    compute: ComputeGroup = Field(default_factory=ComputeGroup)
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

    def dump(self, path) -> None:
        """Write the resolved recipe as YAML, every field stated."""
        Path(path).write_text(self.to_yaml(), encoding="utf-8")

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
