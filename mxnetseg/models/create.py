"""From the name of an architecture, and of one of its published forms, to a network."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import Any, Dict, Optional, Union

import mxnet as mx

from mxnetseg.backbones.base import accepted_options, create_backbone, nearest_stride, of_one_stride
from mxnetseg.errors import ConfigError, MxnetsegError
from mxnetseg.facts import form_options
from mxnetseg.models.base import MODELS, Segmentor
from mxnetseg.nn.initial import FAN_OUT, draw_in_style
from mxnetseg.nn.norm import convert_norm, tune_norm


def create_model(
    name: str,
    nclass: int,
    form: str = "paper",
    backbone: Optional[str] = None,
    aux: Optional[bool] = None,
    output_stride: Optional[int] = None,
    norm: str = "bn",
    num_devices: int = 1,
    norm_momentum: Optional[float] = None,
    norm_epsilon: Optional[float] = None,
    norm_frozen: bool = False,
    in_channels: int = 3,
    backbone_options: Optional[Dict[str, Any]] = None,
    init: Union[bool, mx.init.Initializer] = True,
    **options,
) -> Segmentor:
    """Build and initialize (on the CPU) a registered architecture in one of its published forms.

    `nclass`: number of logits (1: one sigmoid logit for binary masks). `form`: one of
    `model_info(name)["forms"]`; what is given here wins over it. `backbone`, `output_stride`, `aux`: None
    takes the form's, else the architecture's own; `aux=False` leaves auxiliary heads out. `norm`: `bn`,
    `syncbn` over `num_devices` contexts, or `gn`. `norm_momentum`, `norm_epsilon`, `norm_frozen`: see
    `mxnetseg.nn.norm.tune_norm`. `in_channels`: of the images. `backbone_options`:
    keywords of the backbone's constructor (`stem`, `dilation` of a ResNet). `init`: True draws the weights,
    an `mx.init.Initializer` fills them (zeros are quicker where a file fills them next), False gives them
    shapes only, which is all that counting and tracing need. `options`: the keywords of the architecture's
    constructor. ImageNet weights are loaded afterwards, by
    `mxnetseg.weights.imagenet.load_backbone(net.backbone, ...)`. Raises RegistryError for unknown names or
    options (nearest ones in the text) and ConfigError for impossible combinations.
    """
    if not isinstance(nclass, int) or isinstance(nclass, bool) or nclass < 1:
        raise ConfigError(f"nclass must be a whole number of at least 1, not {nclass!r}")
    facts = MODELS.info(name)
    preset = form_options(name, form)
    backbone = backbone or preset.pop("backbone", facts["backbone"])
    wanted = preset.pop("output_stride", facts.get("output_stride", 32))
    # What the architecture and its form prefer applies to backbones that have it.
    built = {
        **accepted_options(backbone, facts.get("backbone_options", {})),
        **accepted_options(backbone, preset.pop("backbone_options", {})),
        **(backbone_options or {}),
    }
    if of_one_stride(backbone) and not facts.get("one_stride"):
        built.setdefault("pyramid", "multilevel")
    stride = output_stride or nearest_stride(backbone, wanted)
    with _buildable(name, {**(backbone_options or {}), **options}):
        c0 = preset.pop("c0", facts.get("c0", False))
        features = create_backbone(backbone, stride, in_channels=in_channels, c0=c0, **built)
        preset.pop("backbone", None)
        keywords = {**preset, **options}
        if aux is not None:
            keywords["aux"] = aux
        # Some architectures take it themselves: their authors draw each layer apart.
        own = "drawn" in inspect.signature(MODELS.get(name)).parameters
        style = None if own else keywords.pop("drawn", None)
        net = MODELS.build(name, nclass, features, **keywords)
        if style is not None:
            draw_in_style(style, *(part for part in (net.neck, net.head, net.aux_heads) if part is not None))
        if norm == "syncbn" and num_devices > 1 and net.backbone.runs_twice:
            raise ConfigError(
                f"model {name!r} runs its backbone more than once in a pass, which MXNet's synchronized "
                "batch norm cannot do on more than one device; use norm 'bn' or 'gn'"
            )
        convert_norm(net, norm, num_devices)
        tune_norm(net, norm_momentum, norm_epsilon, norm_frozen)
        side = net.backbone.trace_size
        _settle(net, (1, in_channels, side, side))
    if init:
        _initialize(net, init)
    return net


@contextlib.contextmanager
def _buildable(name, options):
    """ConfigError for whatever goes wrong with options: sizes below zero, lists too short, parts that do not
    divide."""
    try:
        yield
    except MxnetsegError:
        raise
    except Exception as error:
        if not options:
            raise
        stated = ", ".join(f"{key} {value!r}" for key, value in options.items())
        raise ConfigError(f"model {name!r} cannot be built with {stated} ({type(error).__name__})") from error


def _initialize(net, init):
    if init is not True:
        # In place of the layers' own, but for norms and biases.
        for parameter in net.collect_params().values():
            if parameter.grad_req != "null" and len(parameter.shape) > 1:
                parameter.initialize(init=init)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Parameter .* is already initialized", UserWarning)
        net.initialize(FAN_OUT if init is True else init)


def _settle(net, data_shape):
    """Make every parameter's shape known, and freeze those that no output depends on.

    Heads that read some of the maps only leave parts of backbones like HRNet idle; an optimizer would
    stumble over gradients that never come.
    """
    symbol = mx.sym.Group(list(net(mx.sym.var("data"))))
    shapes, _, auxiliary = symbol.infer_shape(data=data_shape)
    known = dict(zip(symbol.list_arguments(), shapes))
    known.update(zip(symbol.list_auxiliary_states(), auxiliary))
    for name, parameter in net.collect_params().items():
        if name in known:
            parameter.shape = known[name]
        else:
            parameter.grad_req = "null"
