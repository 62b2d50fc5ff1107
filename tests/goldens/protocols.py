"""Reading the protocol goldens: what published evaluation pipelines predict for a picture.

A case's fields and its steps in words become a `Protocol`, input statistics and a network; nothing here
knows a case by its id.
"""

from __future__ import annotations

import json
import re
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from mxnetseg.compute.mxnet_inference import MxnetInference
from mxnetseg.data.reading import read_image
from mxnetseg.predict.evaluation import make_protocol
from mxnetseg.predict.predictor import Predictor
from mxnetseg.predict.views import resize_picture, scaled_size
from mxnetseg.recipe.protocol import Protocol
from mxnetseg.weights import load
from tests.conftest import shared_folder
from tests.goldens.golden import recipe

# A word of `reference` -> the protocol whose rules that publisher's code follows. SwiftNet's evaluation is
# mmsegmentation's of whole pictures at one scale.
PUBLISHERS = {
    "mmseg": "mmseg",
    "SFSegNets": "sfsegnets",
    "swiftnet": "mmseg",
    "MXNetSeg": "mxnetseg",
    "gluon": "gluoncv",
}


def _torch_inference(net):
    import torch

    from mxnetseg.compute import to_torch
    from mxnetseg.compute.torch.inference import TorchInference

    module = to_torch(net.deploy(), folded=True).to(memory_format=torch.channels_last)
    return TorchInference([module], [torch.device("cpu")])


INFERENCES = {"mxnet": MxnetInference, "torch": _torch_inference}


class Agreement(NamedTuple):
    """How a prediction compares with a case's; `problems` is empty where it agrees."""

    labels: float  # share of equal pixels
    score: float  # worst |difference| of a stored score over what is allowed
    problems: List[str]


def case_files(folder) -> List[Path]:
    """The cases of a folder, in order."""
    return sorted(path for path in Path(folder).glob("*.json") if path.with_suffix(".npz").exists())


def agreements(path, golden_dir, engine="mxnet") -> Iterator[Tuple[str, Agreement]]:
    """(picture, how the prediction of it agrees) of the case in this JSON file, by an engine."""
    path = Path(path)
    case = json.loads(path.read_text())
    saved = np.load(path.with_suffix(".npz"))
    protocol = protocol_of(case)
    inference = INFERENCES[engine](network_of(case, golden_dir))
    predictor = Predictor(inference, protocol, *statistics_of(case))
    for name, facts in case["pictures"].items():
        image = read_image(str(picture_file(path.parent, facts)))
        assert zlib.crc32(image.tobytes()) == facts["rgb_crc32"], f"{name}: decoded to other pixels"
        same_picture = _resizes_alike(image, protocol, case.get("resized_rgb_crc32", {}).get(name, {}))
        scores = predictor.scores(image)
        labels = predictor.predict(image)
        yield name, compare(case, name, saved, labels, scores, same_picture)


def compare(case, name, saved, labels, scores, same_picture=True) -> Agreement:
    """The agreement that the goldens' README asks for."""
    expected, margin = saved[f"{name}_labels"], saved[f"{name}_margin"]
    stored = saved[f"{name}_scores"].astype(np.float64)
    spread = case["accuracy"][name]["score_std"]
    differs = labels != expected
    share = 1 - float(differs.mean())
    several = len(case["sizes_wh"][name]) > 1 if case.get("sizes_wh") else False
    wanted = 0.999 if same_picture else 0.995 if several else 0.985
    problems = []
    if share < wanted:
        problems.append(f"{100 * share:.3f}% of the labels are equal, {100 * wanted}% are wanted")
    found = scores[:, 8::16, 8::16].astype(np.float64)
    worst = float((np.abs(found - stored) / (0.002 * spread + 0.001 * np.abs(stored))).max())
    if same_picture:
        wide = float(margin[differs[4::8, 4::8]].max(initial=0))
        if wide > 0.01 * spread:
            problems.append(f"a pixel with margin {wide:.3g} differs (std {spread:.3g})")
        if worst > 1:
            problems.append(f"a score differs by {worst:.2f} times what is allowed")
    return Agreement(share, worst, problems)


def protocol_of(case: Dict[str, Any]) -> Protocol:
    """The settings that say this case's protocol."""
    words = " ".join(case["protocol"])
    fields: Dict[str, Any] = {"protocol": _publisher(case["reference"])}
    fields["scales"] = _scales(case, words)
    fields["flip"] = bool(case.get("flip", re.search(r"plain and mirrored", words) is not None))
    fields.update(_resizing(words))
    fields.update(_windows(case, words))
    if re.search(r"align_corners true everywhere", words, re.I):
        fields["align_corners"] = True
    final = re.search(r"ogits are resized to the picture's own size \(bilinear, align_corners (\w+)", words)
    if final:
        fields["align_corners"] = final[1].lower() == "true"
    if re.search(r"PROBABILITIES of all passes are averaged", words):
        fields["average"] = "view_probabilities"
    if re.search(r"LOGITS( \([^)]*\))? of all passes are averaged", words):
        fields["average"] = "logits"
    return make_protocol(**fields).resolved()


def statistics_of(case: Dict[str, Any]) -> Tuple[List[float], List[float]]:
    """(mean, std) in units of the full range 0 to 1."""
    given = case["normalization"]
    if given.get("inside_network"):
        return [0.0] * 3, [1 / 255] * 3
    unit = 1 if given.get("value_scale") == "0..1" else 255
    return [m / unit for m in given["mean"]], [s / unit for s in given["std"]]


def network_of(case: Dict[str, Any], golden_dir) -> Any:
    """The case's network, filled."""
    meta = json.loads((Path(golden_dir) / f"{case['network']}.json").read_text())
    options = {}
    if re.search(r"align_corners true everywhere", " ".join(case["protocol"]), re.I):
        options["align_corners"] = True
    return load(case["network"], tensors_of(case, golden_dir), meta["nclass"], **options)


def tensors_of(case: Dict[str, Any], golden_dir) -> Dict[str, np.ndarray]:
    """The network's tensors by their published names."""
    meta = json.loads((Path(golden_dir) / f"{case['network']}.json").read_text())
    tensors = recipe(Path(golden_dir)).tensors(meta, case["tensors"]["scale"])
    for name, change in case["tensors"].get("overrides", {}).items():
        old = np.asarray(tensors[name])
        if "times" in change:
            tensors[name] = (old * np.float32(change["times"])).astype(np.float32)
        else:
            tensors[name] = np.asarray(change["values"], np.float32).reshape(old.shape)
    return tensors


def picture_file(folder: Path, facts: Dict[str, Any]) -> Path:
    """Where a case's picture lies: beside it, or in the shared folder."""
    name = facts["file"].split(" ")[0]
    beside = folder / Path(name).name
    if beside.exists():
        return beside
    shared = shared_folder()
    places = [shared / name.removeprefix("shared/"), shared / "golden" / "protocols" / Path(name).name]
    return next((place for place in places if place.exists()), places[0])


def _publisher(reference: str) -> str:
    for word, protocol in PUBLISHERS.items():
        if word.lower() in reference.lower():
            return protocol
    raise ValueError(f"no protocol is known for {reference!r}; known are {', '.join(PUBLISHERS)}")


def _scales(case, words: str) -> List[float]:
    if case.get("scales"):
        return [float(scale) for scale in case["scales"]]
    listed = re.search(r"\(ratios? ([\d.]+(?:(?:, | and )[\d.]+)*)", words)
    if not listed:
        return [1.0]
    return [float(ratio) for ratio in re.findall(r"\d+(?:\.\d+)?", listed[1])]


def _resizing(words: str) -> Dict[str, Any]:
    box = re.search(r"Resize\(scale=\((\d+), (\d+)\)", words)
    # Test-time augmentation names what its ratios are of.
    if not box or "of the picture's own size" in words:
        return {}
    return {"resize": (int(box[1]), int(box[2]))}


def _windows(case, words: str) -> Dict[str, Any]:
    if "slide" in case:
        crop, stride = case["slide"]["crop"], case["slide"]["stride"]
        return {"mode": "slide", "crop": _pair(crop), "stride": _pair(stride)}
    if "sliding" in case:
        overlap = Fraction(str(case["sliding"]["overlap"]))
        share = 1 - overlap.numerator / overlap.denominator
        return {"mode": "slide", "crop": _pair(case["sliding"]["crop"]), "stride": share}
    return {"mode": "whole"}


def _pair(size) -> Tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _resizes_alike(image, protocol: Protocol, crcs: Dict[str, int]) -> bool:
    """Whether the resized pictures are those of the case, bit by bit."""
    found = {}
    for scale in protocol.scales:
        size = scaled_size(protocol, image.shape[:2], scale)
        resized = resize_picture(image, size, protocol.resample)
        found[f"{size[1]}x{size[0]}"] = zlib.crc32(np.ascontiguousarray(resized).tobytes())
    return all(found.get(size) == crc for size, crc in crcs.items())
