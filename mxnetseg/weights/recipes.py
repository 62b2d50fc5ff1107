"""How published networks were trained: a recipe fragment for each reference.

So an imported checkpoint can be trained on as its authors did. Losses carry the names that the reference's
own logs give them.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Callable, Dict, List, Tuple

from mxnetseg.recipe.fields import ModelGroup
from mxnetseg.weights.layouts import layout
from mxnetseg.weights.published import USUAL_DATA, published_evaluation, published_input
from mxnetseg.weights.rename import reference_info
from mxnetseg.weights.transformer_recipes import run_of

Group = Dict[str, Any]

# Weights of Cityscapes' classes: those of PIDNet and DDRNet, and those of CGNet, in mmsegmentation.
STREET_WEIGHTS = [
    *(0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
    *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
]
CGNET_WEIGHTS = [
    *(
        2.5959933,
        6.7415504,
        3.5354059,
        9.8663225,
        9.690899,
        9.369352,
        10.289121,
        9.953208,
        4.3097677,
        9.490387,
    ),
    *(7.674431, 9.396905, 10.347791, 6.3927646, 10.226669, 10.241062, 10.280587, 10.396974, 10.055647),
]


def recipe(reference_id: str) -> Group:
    """The groups `model`, `loss`, `optimizer`, `schedule`, `data`, `augment`, `input` and `evaluation` of a
    recipe, as the reference was published.

    `loss` states every output. `ohem_min_kept` is what one process keeps there; where the number of images
    that a process sees is part of the publication, `ohem_per` says it. Learning rates are for a loss that is
    a mean over the batch: GluonCV's and MXNetSeg's are converted.
    """
    entry = reference_info(reference_id)
    family = family_of(reference_id)
    data = USUAL_DATA.get(layout(reference_id).nclass, "")
    made = deepcopy(_FAMILIES[family](reference_id, entry.model))
    if data:
        made["data"]["name"] = data
    options = deepcopy(entry.options_for({}))
    fields = set(ModelGroup.model_fields)
    model = {"name": entry.model, **{k: v for k, v in options.items() if k in fields}}
    model["options"] = {k: v for k, v in options.items() if k not in fields}
    return {
        "model": model,
        **made,
        "input": published_input(reference_id),
        "evaluation": published_evaluation(reference_id, data),
    }


def family_of(reference_id: str) -> str:
    """Whose code a reference is: the part of its id in front of `_`, or `sfsegnets`."""
    first = reference_id.split("_")[0]
    if first.startswith("swiftnet"):
        return "swiftnet"
    return first if first in _FAMILIES else "sfsegnets"


# ----- mmsegmentation


def _ce(label: str, weight: float = 1.0, **more: Any) -> Group:
    """Its cross-entropy: ignored pixels add nothing and are counted."""
    return dict(label=label, weight=weight, normalizer="all", **more)


def _mmseg_aux(count: int, weight: float) -> List[List[Group]]:
    if count == 1:
        return [[_ce("aux.loss_ce", weight)]]
    return [[_ce(f"aux_{k}.loss_ce", weight)] for k in range(count)]


# Auxiliary outputs that are not one of weight 0.4.
_MMSEG_AUX: Dict[str, Tuple[int, float]] = {
    **dict.fromkeys(
        ("segformer", "segmenter", "segnext", "semanticfpn", "erfnet", "lraspp", "dpt"), (0, 0.0)
    ),
    "bisenet": (2, 1.0),
    "bisenetv2": (4, 1.0),
    "icnet": (2, 0.4),
}


def _mmseg_losses(reference_id: str, model: str) -> Group:
    special = {
        "cgnet": _cgnet,
        "danet": _danet,
        "ddrnet": _ddrnet,
        "encnet": _encnet,
        "fastscnn": _fastscnn,
        "knet": _knet,
        "ocrnet": _ocrnet,
        "pidnet": _pidnet,
        "pointrend": _pointrend,
        "stdcseg": _stdcseg,
    }
    if model in special:
        return special[model]()
    if model in _MASK_RUNS:
        return _of_queries(model)
    count, weight = _MMSEG_AUX.get(model, (1, 0.4))
    if model == "setr":
        count = 4 if reference_id.endswith("_mla") else 3
    if reference_id.startswith("mmseg_fcn_hr"):
        count = 0
    return dict(outputs=[[_ce("decode.loss_ce")], *_mmseg_aux(count, weight)])


# Its OhemCrossEntropy: weighted losses, divided by the number of pixels that are kept.
_HARD = dict(ohem_threshold=0.9, ohem_min_kept=131072, ohem_rule="below", normalizer="pixels")


def _cgnet() -> Group:
    # With class weights it divides by the sum of the weights of all labels.
    return dict(outputs=[[dict(label="decode.loss_ce")]], class_weights=CGNET_WEIGHTS)


def _danet() -> Group:
    branches = [[_ce(f"decode.{branch}.loss_ce")] for branch in ("pam_cam", "pam", "cam")]
    return dict(outputs=[*branches, *_mmseg_aux(1, 0.4)])


def _ddrnet() -> Group:
    context, spatial = (dict(label=f"decode.loss_{what}", **_HARD) for what in ("context", "spatial"))
    return dict(outputs=[[context], [dict(spatial, weight=0.4)]], class_weights=STREET_WEIGHTS)


def _encnet() -> Group:
    presence = [dict(name="presence", label="decode.loss_se", weight=0.2)]
    return dict(outputs=[[_ce("decode.loss_ce")], presence, *_mmseg_aux(1, 0.4)])


def _fastscnn() -> Group:
    # use_sigmoid: each class by itself.
    one = dict(name="sigmoid_cross_entropy")
    outputs = [[_ce("decode.loss_ce", **one)], *_mmseg_aux(2, 0.4)]
    for auxiliary in outputs[1:]:
        auxiliary[0].update(one)
    return dict(outputs=outputs)


def _knet() -> Group:
    # The last masks, the auxiliary head's, those of the FCN and of the stages before the last.
    stages = [[_ce(f"decode.loss_ce.s{k}")] for k in (3, 0, 1, 2)]
    return dict(outputs=[stages[0], *_mmseg_aux(1, 0.4), *stages[1:]])


def _ocrnet() -> Group:
    return dict(outputs=[[_ce("decode_1.loss_ce")], [_ce("decode_0.loss_ce", 0.4)]])


def _pidnet() -> Group:
    near_edges = dict(label="decode.loss_sem_bd", where=dict(output=2, above=0.8), **_HARD)
    outputs = [
        [dict(label="decode.loss_sem_i", **_HARD), near_edges],
        [dict(label="decode.loss_sem_p", weight=0.4)],
        [dict(name="balanced_cross_entropy", label="decode.loss_bd", weight=20.0)],
    ]
    return dict(outputs=outputs, class_weights=STREET_WEIGHTS)


def _pointrend() -> Group:
    # The refined map has no loss of its own.
    points = dict(name="point_cross_entropy", label="decode_1.pointloss_ce", options=dict(over_all=True))
    return dict(outputs=[[], [_ce("decode_0.loss_ce")], [points]])


def _of_queries(model: str) -> Group:
    """The map is trained through the queries."""
    layers, options, *_ = _MASK_RUNS[model]
    each = [[], [dict(name="mask_set", options=options)]]
    return dict(outputs=[[], *layers * each])


def _stdcseg() -> Group:
    hard = dict(ohem_threshold=0.7, ohem_min_kept=10000, ohem_per="image", ohem_rule="below")
    detail = [
        dict(name="sigmoid_cross_entropy", label="aux_2.loss_ce"),
        dict(name="dice", label="aux_2.loss_dice", options=dict(activation="sigmoid")),
    ]
    aux = [[_ce(f"aux_{k}.loss_ce", **hard)] for k in range(2)]
    return dict(outputs=[[_ce("decode.loss_ce", **hard)], *aux, detail])


def _poly(iterations: int, end_lr: float = 1e-4, power: float = 0.9, warmup: int = 0, start: float = 0.1):
    schedule: Group = dict(name="poly", power=power, iterations=iterations, end_lr=end_lr)
    if warmup:
        schedule.update(warmup_iterations=warmup, warmup_start=start)
    return schedule


# (optimizer, schedule, batch size, crop) of what is not SGD 0.01 over 40,000 steps of 8 crops of 512 x 1024.
_SEGFORMER = dict(name="adamw", lr=6e-5, weight_decay=0.01, head_lr_mult=10.0, no_decay=["norm"])
_KNET = dict(name="adamw", lr=1e-4, weight_decay=5e-4, clip_grad_norm=1.0)
# 80,000 steps of 16 of ADE20K's pictures, tenths after 60,000 and 72,000.
_KNET_STEPS = dict(name="step", epochs=63, step_epochs=[48, 57], warmup_iterations=1000, warmup_start=1e-3)
_MMSEG_RUNS: Dict[str, Tuple[Group, Group, int, Any]] = {
    "bisenet": (dict(lr=0.025), _poly(160000, warmup=1000), 16, 1024),
    "bisenetv2": (dict(lr=0.05), _poly(160000, warmup=1000), 16, 1024),
    "cgnet": (dict(name="adam", lr=0.001), _poly(60000), 32, [512, 1024]),
    "ddrnet": (dict(), _poly(120000, end_lr=0.0), 12, 1024),
    "emanet": (dict(), _poly(80000), 8, [512, 1024]),
    "erfnet": (dict(), _poly(160000), 16, [512, 1024]),
    "fastscnn": (dict(lr=0.12, weight_decay=4e-5), _poly(160000), 32, [512, 1024]),
    "icnet": (dict(), _poly(80000), 8, 832),
    "knet": (_KNET, _KNET_STEPS, 16, 512),
    "lraspp": (dict(), _poly(320000), 16, [512, 1024]),
    "pidnet": (dict(), _poly(120000, end_lr=0.0), 12, 1024),
    "pointrend": (dict(), _poly(80000, warmup=200), 8, [512, 1024]),
    "segformer": (_SEGFORMER, _poly(160000, 0.0, 1.0, 1500, 1e-6), 8, 1024),
    "segmenter": (dict(lr=0.001, weight_decay=0.0), _poly(160000), 8, 512),
    "semanticfpn": (dict(), _poly(80000), 8, [512, 1024]),
    "setr": (dict(weight_decay=0.0, head_lr_mult=10.0), _poly(80000), 8, 768),
    "stdcseg": (dict(), _poly(80000, warmup=1000), 48, [512, 1024]),
    "unet": (dict(), _poly(160000), 16, [512, 1024]),
}


def _mmseg(reference_id: str, model: str) -> Group:
    usual = (dict(), _poly(80000 if "fastfcn" in reference_id else 40000), 8, [512, 1024])
    changed, schedule, batch, crop = run_of(reference_id) or _MMSEG_RUNS.get(model, usual)
    optimizer = {**dict(name="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4), **changed}
    if reference_id == "mmseg_bisenetv1_r50-d32":
        optimizer["lr"] = 0.05
    if reference_id.startswith("mmseg_setr") and reference_id.endswith("_mla"):
        optimizer["lr"] = 0.002
    if model == "unet" and not reference_id.endswith("_fcn"):  # on DRIVE
        schedule, crop = _poly(40000), 64
    if reference_id in ("mmseg_pspnet_r18-d8", "mmseg_fcn_m-v2-d8", "mmseg_deeplabv3plus_s101-d8"):
        schedule = _poly(80000)
    if optimizer["name"] != "sgd":
        optimizer.pop("momentum")
    return dict(
        loss=_mmseg_losses(reference_id, model),
        optimizer=optimizer,
        schedule=schedule,
        data=dict(batch_size=batch),
        augment=dict(
            crop=crop, scale_min=0.5, scale_max=2.0, photometric_distortion=True, max_class_ratio=0.75
        ),
    )


# ----- SFSegNets

# Names of auxiliary outputs; their losses weigh 1 and keep 100,000 pixels a process.
_DSN = ["aux_dsn2", "aux_dsn1", "aux_dsn0"]
_SUPERVISED: Dict[str, List[str]] = {
    "sfnet_resnet18_dsn": _DSN,
    "sfnetlite_resnet101": _DSN,
    "sfnet_dfnetv2_dsn": ["aux_dsn1", "aux_dsn0"],
    "icnet": ["aux_24", "aux_12", "aux_up2"],
    "ocrnet": ["aux"],
    "bisenet": ["aux_16", "aux_32"],
    "bialign_dfnetv1_aux": [],
}


def _sfsegnets(reference_id: str, model: str) -> Group:
    aux = _SUPERVISED.get(reference_id, [])
    lite = reference_id.startswith("sfnetlite")
    # Two images a process.
    hard = dict(ohem_threshold=0.7, ohem_min_kept=100000 if aux or lite else 10000, ohem_per=2)
    outputs = [[dict(label=label, **hard)] for label in ("main", *aux)]
    if model == "srnet":
        outputs.append([dict(label="aux", weight=0.4, **hard)])
    if model == "stdcseg":
        outputs += [[dict(label=label, **hard)] for label in ("aux_16", "aux_32")]
    return dict(
        loss=dict(outputs=outputs),
        optimizer=dict(name="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4),
        schedule=dict(name="poly", power=1.0, epochs=1000 if lite else 300),
        data=dict(batch_size=16),
        augment=dict(crop=_SFSEGNETS_CROPS.get(model, 1024), color_jitter=0.25, blur=1.0),
    )


_SFSEGNETS_CROPS = {
    **dict.fromkeys(("pspnet", "danet", "deeplabv3plus", "ocnet", "ocrnet"), 832),
    "emanet": 800,
}


def _mmsfnet(reference_id: str, model: str) -> Group:
    """SFNet in mmsegmentation, by its authors: hard examples by the sampler."""
    hard = dict(ohem_threshold=0.7, ohem_min_kept=10000, ohem_per="image", ohem_rule="below")
    outputs = [[_ce("decode.loss_seg", **hard)]]
    if reference_id.endswith("_dsn"):
        outputs += [[_ce(f"decode.loss_dsn_{k}", **hard)] for k in range(3)]
    made = _mmseg(reference_id, "sfnet")
    made["loss"] = dict(outputs=outputs)
    made["schedule"] = dict(name="poly", power=1.0, epochs=300, end_lr=1e-4)
    return made


# ----- GluonCV, MXNetSeg, AceCoooool, SwiftNet


def _mean(count: int, aux_weight: float) -> Group:
    """Mean cross-entropy over the valid pixels of every output."""
    outputs = [[dict(label="main")]]
    return dict(outputs=outputs + [[dict(label=f"aux_{k}", weight=aux_weight)] for k in range(1, count + 1)])


def _mixed(crop: int, base: int, batch: int, epochs: int, lr: float) -> Callable:
    """GluonCV's loss, whose gradient is divided by the images of a device (two here) once more and whose
    auxiliary outputs count whole: half the rate and twice the decay of 1e-4 are the same for a mean."""

    def made(reference_id: str, model: str) -> Group:
        return dict(
            loss=_mean(_gluon_aux(reference_id), 1.0),
            optimizer=dict(name="sgd", lr=lr / 2, momentum=0.9, weight_decay=2e-4),
            schedule=dict(name="poly", power=0.9, epochs=epochs),
            data=dict(batch_size=batch),
            augment=dict(crop=crop, base=base, scale_min=0.5, scale_max=2.0, blur=0.5),
        )

    return made


# Auxiliary outputs of these families' networks that have not one; by the part of the id behind the family.
_GLUON_AUX = {
    **dict.fromkeys(("acfnet", "att2scale", "bisenet"), 2),
    **dict.fromkeys(("deeplabv3plus", "eprnet", "semanticfpn", "deeplab_v3b_plus"), 0),
    "icnet": 3,
    "setr_mla": 4,
    "setr_naive": 3,
    "setr_pup": 4,
}


def _gluon_aux(reference_id: str) -> int:
    family, name = reference_id.split("_", 1)
    if name.startswith("danet"):
        return 0 if family == "ace" else 2
    return next((count for prefix, count in _GLUON_AUX.items() if name.startswith(prefix)), 1)


def _ace(reference_id: str, model: str) -> Group:
    return dict(
        loss=_mean(_gluon_aux(reference_id), 0.5),
        optimizer=dict(name="sgd", lr=0.001, momentum=0.9, weight_decay=1e-4, head_lr_mult=10.0),
        schedule=dict(name="poly", power=0.9, epochs=50),
        data=dict(batch_size=16),
        augment=dict(crop=480, base=540),
    )


def _swiftnet(reference_id: str, model: str) -> Group:
    # Everything but the head starts from ImageNet and has a quarter of rate and decay.
    loss: Group = dict(outputs=[[dict(label="main")]])
    if model == "swiftnetpr":
        loss = dict(outputs=[[dict(name="boundary_aware_focal", label="main", normalizer="pixels")]])
    return dict(
        loss=loss,
        optimizer=dict(name="adam", lr=1e-4, beta2=0.99, weight_decay=2.5e-5, head_lr_mult=4.0),
        schedule=dict(name="cosine", epochs=250, end_lr=1e-6),
        data=dict(batch_size=14),
        augment=dict(crop=768),
    )


def _hf(reference_id: str, model: str) -> Group:
    """transformers' copies of mmsegmentation's networks, with its loss: a mean over the valid pixels."""
    if model in _MASK_RUNS:
        _, _, optimizer, schedule = _MASK_RUNS[model]
        return dict(
            _mmseg(reference_id, model),
            optimizer=dict(name="adamw", clip_grad_norm=0.01, **optimizer),
            schedule=schedule,
            data=dict(batch_size=16),
        )
    supervised = model == "upernet" or reference_id == "hf_dpt_vit-base"
    loss = _mean(1, 0.4) if supervised else _mean(0, 0.0)
    return dict(_mmseg(reference_id, model), loss=loss)


# ----- the authors of small networks


def _seaformer(reference_id: str, model: str) -> Group:
    """In mmsegmentation, on ADE20K; norms there are called `bn`, so that its rule against their decay finds
    none."""
    rate = 3e-4 if reference_id == "seaformer_tiny" else 2.5e-4
    made = _mmseg(reference_id, model)
    made["loss"] = dict(outputs=[[_ce("decode.loss_ce")]])
    made["optimizer"] = dict(
        name="adamw", lr=rate, weight_decay=0.01, head_lr_mult=10.0, no_decay=["embedding"]
    )
    made["schedule"] = _poly(160000, 0.0, 1.0, 1500, 1e-6)
    made["data"] = dict(batch_size=16)
    made["augment"]["crop"] = 512
    return made


def _enet(reference_id: str, model: str) -> Group:
    """PyTorch-ENet's, but for the weights of classes, which it counts in the training labels."""
    return dict(
        loss=dict(outputs=[[dict(label="main")]]),
        optimizer=dict(name="adam", lr=5e-4, weight_decay=2e-4),
        schedule=dict(name="step", epochs=300, step_epochs=[100, 200]),
        data=dict(batch_size=4),
        augment=dict(crop=[512, 1024], base=1024, scale_min=1.0, scale_max=1.0),
    )


# ----- torchvision, segmentation_models.pytorch


def _torchvision(reference_id: str, model: str) -> Group:
    """Its reference scripts: batches of 8 on each of 4 GPUs; the auxiliary head has ten times the rate."""
    aux = 0 if model == "lraspp" else 1
    return dict(
        loss=_mean(aux, 0.5),
        optimizer=dict(name="sgd", lr=0.02, momentum=0.9, weight_decay=1e-4),
        schedule=dict(name="poly", power=0.9, epochs=30),
        data=dict(batch_size=32),
        augment=dict(crop=480, base=520, scale_min=0.5, scale_max=2.0),
    )


def _smp(reference_id: str, model: str) -> Group:
    """No recipe belongs to its networks: optimizer and schedule are its examples', which train by the overlap
    of regions; cross-entropy beside it keeps gradients where a class is absent."""
    overlap = dict(name="dice", label="main_dice", options=dict(squared=False, per_image=False))
    return dict(
        loss=dict(outputs=[[dict(label="main"), overlap]]),
        optimizer=dict(name="adam", lr=2e-4, weight_decay=0.0),
        schedule=dict(name="cosine", epochs=50, end_lr=1e-5),
        data=dict(batch_size=16),
        augment=dict(crop=512),
    )


# Predictions that are supervised, options of their loss, optimizer and schedule of the authors.
_MASK_RUNS: Dict[str, Tuple[int, Group, Group, Group]] = {
    "maskformer": (
        6,
        dict(class_weight=1.0, pixel_weight=20.0, dice_weight=1.0, pixels="focal", points=None),
        dict(lr=6e-5, weight_decay=0.01),
        _poly(160000, 0.0, 1.0, 1500, 1e-6),
    ),
    "mask2former": (
        10,
        {},
        dict(lr=1e-5, head_lr_mult=10.0, weight_decay=0.05),
        _poly(160000, 0.0),
    ),
    "eomt": (
        4,
        {},
        dict(lr=1e-4, weight_decay=0.05, layer_decay=0.8, no_decay=["norm", "bias", "embedding"]),
        dict(name="poly", power=0.9, epochs=31, end_lr=0.0, warmup_iterations=1500),
    ),
}


_FAMILIES: Dict[str, Callable[[str, str], Group]] = {
    "tv": _torchvision,
    "smp": _smp,
    "mmseg": _mmseg,
    "hf": _hf,
    "sfsegnets": _sfsegnets,
    "mmsfnet": _mmsfnet,
    "gluoncv": _mixed(480, 520, 16, 50, 0.001),
    "mxseg": _mixed(768, 2048, 8, 240, 0.01),
    "ace": _ace,
    "swiftnet": _swiftnet,
    "seaformer": _seaformer,
    "enet": _enet,
}
