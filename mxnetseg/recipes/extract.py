"""Read mmsegmentation's own files as rows of `tables/mmseg.yaml`: what each published configuration states,
in the table's terms.

A configuration is a Python file of dictionaries on top of others (`_base_`); its scores stand in the
`metafile.yaml` beside it. Both come with the installed package (its folder `.mim`) and with the repository,
and neither is needed to use the table. Files are executed as mmsegmentation itself does: read only folders
that you trust. What a network is called here, and its parameters, the files do not say.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import yaml

from mxnetseg.errors import ConfigError
from mxnetseg.recipes.mmseg import STEPS, TEST_SCALES, usual_scale
from mxnetseg.recipes.rows import table

Facts = Dict[str, Any]

# Their class of data set -> ours.
DATA = {
    "ADE20KDataset": "ade20k",
    "CityscapesDataset": "cityscapes",
    "ChaseDB1Dataset": "chase_db1",
    "COCOStuffDataset": "cocostuff",
    "DRIVEDataset": "drive",
    "HRFDataset": "hrf",
    "ISPRSDataset": "vaihingen",
    "LoveDADataset": "loveda",
    "MapillaryDataset_v1": "mapillary",
    "PascalContextDataset": "pascal_context60",
    "PascalContextDataset59": "pascal_context",
    "PascalVOCDataset": "voc_aug",
    "PotsdamDataset": "potsdam",
    "STAREDataset": "stare",
    "iSAIDDataset": "isaid",
}
# Entries whose metafile names the configuration of another run, or one that there is not, by the folder that
# their weights lie in -> the configuration that was trained.
MISNAMED = {
    "bisenetv1_r101-d32_lr5e-3_4x4_512x512_160k_coco-stuff164k": (
        "bisenetv1_r101-d32_4xb4-160k_coco-stuff164k-512x512"
    ),
    "deeplabv3plus_r101-d16-mg124_512x1024_40k_cityscapes": (
        "deeplabv3plus_r101-d16-mg124_4xb2-40k_cityscapes-512x1024"
    ),
    "deeplabv3plus_r101-d8_512x512_80k_ade20k": "deeplabv3plus_r101-d8_4xb4-80k_ade20k-512x512",
    "emanet_r50-d8_512x1024_80k_cityscapes": "emanet_r50-d8_4xb2-80k_cityscapes-512x1024",
    **{
        f"fastfcn_r50-d32_jpu_{head}_4x4_512x1024_80k_cityscapes": (
            f"fastfcn_r50-d32_jpu_{head}_4xb4-80k_cityscapes-512x1024"
        )
        for head in ("aspp", "enc", "psp")
    },
    "ocrnet_hr18_512x512_160k_ade20k": "ocrnet_hr18_4xb4-160k_ade20k-512x512",
    "ocrnet_hr18s_512x512_160k_ade20k": "ocrnet_hr18s_4xb4-160k_ade20k-512x512",
    "pspnet_r50-d32_512x1024_80k_cityscapes": "pspnet_r50-d32_4xb2-80k_cityscapes-512x1024",
    "twins_svt-l_uperhead_8x2_512x512_160k_ade20k": "twins_svt-l_uperhead_8xb2-160k_ade20k-512x512",
}
# A configuration whose file has another name.
_FILES = {"fpn_poolformer_s36_8xb4-40k_ade20k-512x512": "fpn_poolformer_s36_8x4_512x512_40k_ade20k"}
_IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


class Published(NamedTuple):
    """A configuration of a metafile: its name, its file, its scores in percent, where its weights are.
    `other`: scores in words that are not mIoU."""

    name: str
    file: Path
    miou: Optional[float]
    miou_ms: Optional[float]
    weights: Optional[str]
    other: Optional[str] = None


def published(folder: Path) -> Iterator[Published]:
    """Every configuration that the metafiles under `folder` (a checkout, or an installed package's `.mim`)
    list. ConfigError where there is none."""
    metafiles = sorted(Path(folder).glob("configs/*/metafile.yaml"))
    if not metafiles:
        raise ConfigError(
            f"{folder}: no configs/*/metafile.yaml is below it: give a checkout of mmsegmentation, or the "
            "folder mmseg/.mim of an installed one"
        )
    for metafile in metafiles:
        stated = yaml.safe_load(metafile.read_text(encoding="utf-8"))
        for entry in stated["Models"]:
            results = entry["Results"]
            metrics = (results[0] if isinstance(results, list) else results)["Metrics"]
            metrics = metrics[0] if isinstance(metrics, list) else metrics
            several = metrics.get("mIoU(ms+flip)", metrics.get("mIoU (ms+flip)"))
            weights = entry.get("Weights")
            trained = MISNAMED.get((weights or "/").split("/")[-2])
            name = trained or entry["Name"]
            file = metafile.parent / f"{_FILES.get(name, name)}.py"
            dice = [f"{key} {metrics[key]:g}" for key in ("Dice", "mDice") if key in metrics]
            other = ", ".join(dice) or None
            yield Published(name, file, metrics.get("mIoU"), several, weights, other)


def read_config(file: Path) -> Facts:
    """A configuration's variables, those of its bases below them. ConfigError for a file that there is not or
    that cannot be run."""
    values: Facts = {}
    try:
        exec(compile(Path(file).read_text(encoding="utf-8"), str(file), "exec"), values)
    except Exception as error:
        raise ConfigError(f"{file}: not readable as a configuration: {error}") from error
    bases = values.pop("_base_", [])
    merged: Facts = {}
    for base in [bases] if isinstance(bases, str) else bases:
        merged.update(read_config(Path(file).parent / base))
    return _joined(merged, {key: value for key, value in values.items() if not key.startswith("__")})


def _joined(below: Any, above: Any) -> Any:
    """Dictionaries are joined key by key unless the upper one says `_delete_`; all else is replaced."""
    if not isinstance(above, dict):
        return above
    replaces = above.get("_delete_") or not isinstance(below, dict)
    found = {} if replaces else dict(below)
    for key, value in above.items():
        if key != "_delete_":
            found[key] = _joined(found.get(key), value)
    return found


def facts(name: str, config: Facts) -> Facts:
    """What a configuration states of data, training and testing, in the table's terms and without what the
    table leaves unsaid. ConfigError for a data set that is not here."""
    loader = config["train_dataloader"]
    data = _data(name, loader["dataset"])
    steps = {step["type"]: step for step in _pipeline(loader["dataset"])}
    crop = list(steps["RandomCrop"]["crop_size"])
    found: Facts = {"data": data, "crop": crop}
    gpus = re.search(r"(\d+)xb\d+", name)
    found.update(gpus=int(gpus[1]) if gpus else None, images=loader["batch_size"])
    found["iterations"] = config["train_cfg"]["max_iters"]
    found.update(_scales(steps, data, crop))
    found.update(_tested(config, data, found.get("scale") or usual_scale(data, crop[0])))
    if "PhotoMetricDistortion" not in steps:
        found["photometric"] = False
    if steps["RandomCrop"].get("cat_max_ratio", 1.0) != 0.75:
        found["cat_max_ratio"] = steps["RandomCrop"].get("cat_max_ratio", 1.0)
    found.update(_optimization(config["optim_wrapper"]), **_schedule(config["param_scheduler"]))
    if config["model"]["backbone"]["type"] == "VisionTransformer":
        # Its norms are called `ln`, so that a rule on `norm` finds none.
        found["optimizer"].pop("norm_decay_mult", None)
    found.update(_windows(config["model"].get("test_cfg", {}), crop[0]), **_dice(config["model"]))
    shown = config["model"]["data_preprocessor"]
    divisor = (shown.get("test_cfg") or {}).get("size_divisor")
    if divisor:
        found["divisor"] = divisor
    if [*map(list, (shown["mean"], shown["std"]))] != [*_IMAGENET]:
        found.update(mean=list(shown["mean"]), std=list(shown["std"]))
    return found


def _data(name: str, dataset: Facts) -> str:
    while "dataset" in dataset or "datasets" in dataset:
        dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
    kind = dataset["type"]
    if kind not in DATA:
        raise ConfigError(f"{name}: its data set {kind} is not here")
    return "cocostuff10k" if kind == "COCOStuffDataset" and "10k" in name else DATA[kind]


def _pipeline(dataset: Facts) -> List[Facts]:
    while "pipeline" not in dataset:
        dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
    return dataset["pipeline"]


def _optimization(wrapper: Facts) -> Facts:
    stated = wrapper["optimizer"]
    found: Facts = {}
    if stated["type"] != "SGD":
        found["type"] = stated["type"]
    for key, usual in (("lr", 0.01), ("weight_decay", 5e-4)):
        if stated.get(key, usual) != usual:
            found[key] = stated[key]
    rules = wrapper.get("paramwise_cfg") or {}
    for key, rule in rules.get("custom_keys", {}).items():
        if key == "head" and rule.get("lr_mult", 1) != 1:
            found["head_lr_mult"] = float(rule["lr_mult"])
        if key == "backbone" and rule.get("lr_mult", 1) != 1:
            found["backbone_lr_mult"] = rule["lr_mult"]
        if rule.get("decay_mult") == 0 and key != "pos_block":  # which names no parameter of any network
            found["norm_decay_mult" if "norm" in key else "embedding_decay_mult"] = 0
    if rules.get("norm_decay_mult") == 0:
        found["norm_decay_mult"] = 0
    rate = rules.get("layer_decay_rate", rules.get("decay_rate"))
    if rate is not None:
        found["layer_decay"] = rate
        if rules.get("decay_type") == "stage_wise":  # of four stages among more steps
            found["layer_decay_last"] = rules["num_layers"] - 3
    clip = wrapper.get("clip_grad") or {}
    if clip.get("max_norm"):
        found["clip"] = clip["max_norm"]
    group: Facts = {"optimizer": found} if found else {}
    if wrapper["type"] == "AmpOptimWrapper":
        group["precision"] = "half"
    return group


def _schedule(parts: List[Facts]) -> Facts:
    found: Facts = {}
    for part in parts:
        if part["type"] == "LinearLR":
            found.update(warmup=part["end"], warmup_factor=part["start_factor"])
        elif part["type"] == "MultiStepLR":
            found["milestones"] = list(part["milestones"])
        else:
            usual = (("power", 0.9), ("eta_min", 1e-4))
            found.update({key: part[key] for key, value in usual if part[key] != value})
    return {"schedule": found} if found else {}


def _scales(steps: Facts, data: str, crop: List[int]) -> Facts:
    """What pictures are fitted into in training, long and short side, where it is not the usual."""
    if "RandomChoiceResize" in steps:
        chosen = steps["RandomChoiceResize"]
        sides = list(chosen["scales"])
        # From a half to twice a side; the long one has a limit that few pictures reach.
        scale = [chosen["max_size"], 2 * sides[0]]
        usual = {} if scale[1] == usual_scale(data, crop[0])[1] else {"scale": scale}
        return {**usual, "short_sides": len(sides)}
    scale = sorted(steps["RandomResize"]["scale"], reverse=True)
    return {} if scale == usual_scale(data, crop[0]) else {"scale": scale}


def _tested(config: Facts, data: str, trained: List[int]) -> Facts:
    steps = {step["type"]: step for step in _pipeline(config["test_dataloader"]["dataset"])}
    scale = sorted(steps["Resize"]["scale"], reverse=True)
    found: Facts = {} if scale == TEST_SCALES.get(data, trained) else {"test_scale": scale}
    if "ResizeToMultiple" in steps:
        found["multiple"] = steps["ResizeToMultiple"]["size_divisor"]
    return found


def _dice(model: Facts) -> Facts:
    head = model["decode_head"]
    stated = (head[-1] if isinstance(head, list) else head).get("loss_decode")
    terms = {term["type"]: term for term in (stated if isinstance(stated, list) else [])}
    return {"dice": terms["DiceLoss"]["loss_weight"]} if "DiceLoss" in terms else {}


def _windows(stated: Facts, crop: int) -> Facts:
    if stated.get("mode") != "slide":
        return {}
    window, step = stated["crop_size"][0], stated["stride"][0]
    return {} if window == crop and STEPS.get(crop) == step else {"window": window, "step": step}


def report(folder: Path) -> Iterator[str]:
    """What the table says otherwise than the files in `folder`, and the rows that it lacks, as lines to put
    into it; the last line counts both. A person adds what the network is called here, and `parameters`."""
    rows = {row.name: row for row in table("mmseg").rows}
    absent = table("mmseg").absent
    same = different = new = 0
    for one in published(folder):
        row = rows.get(one.name)
        if row is None and one.name in absent:
            continue
        stated = facts(one.name, read_config(one.file))
        scores = {"miou": one.miou, "miou_ms": one.miou_ms}
        if row is None:
            new += 1
            known = {key: value for key, value in {**stated, **scores}.items() if value is not None}
            yield f"{one.name}: {yaml.safe_dump(known, default_flow_style=True, width=10**6).strip()}"
            continue
        here = {**row.facts, "data": row.data, "miou": row.miou, "miou_ms": row.miou_ms}
        lines = [
            f"{one.name}: {key} is {_shown(here.get(key))} in the table, {_shown(value)} in its files"
            for key, value in {**stated, **scores}.items()
            if here.get(key) != value
        ]
        yield from lines
        different, same = different + bool(lines), same + (not lines)
    yield f"{same} rows are as their files state, {different} differ, {new} are not in the table"


def _shown(value: Any) -> str:
    return "not stated" if value is None else str(value)
