"""Reading the golden files: what published networks compute for deterministic weights.

A golden's expectations become (name, our array, expected array) triples; every one must agree within
the tolerance its README states.
"""

from __future__ import annotations

import functools
import importlib.util
import json

import mxnet as mx
import numpy as np

from mxnetseg.weights import load

# Compared in double precision: in this network, with these weights, the argument of a gate cancels (terms of
# 1e7) and rounding decides which way it goes; the reference's own two precisions differ there.
DOUBLE = {"mmseg_cgnet", "mmseg_mobilenet-v3-d8_lraspp"}
# Which of the saved maps our head takes, where the published decoder takes more, or in another order.
HEAD_MAPS = {
    "mmseg_bisenetv2": (0,),
    "mmseg_fast_scnn": (2, 1),
    "mmseg_icnet_r50-d8": (2, 0, 1),
    "mmseg_mobilenet-v3-d8_lraspp": (0, 1, 2, 2, 2),
    "mmseg_stdc1": (3, 2, 1),
    "mmseg_stdc2": (3, 2, 1),
}


# What only the network in MXNet shows: a part of it, or a map before it is resized.
INSIDE = {"headonly", "raw", "class_queries", "masks_queries"}
# Where a head that predicts masks gives what the reference calls so.
QUERIES = {"class_queries": 1, "masks_queries": 2}
# Where a head gives what the reference saves as its raw map, if that is not the first.
RAW = {"mmseg_point_rend_r50": 1}


def description(golden_dir, reference_id, scaled=False):
    """The JSON file of a reference: in the folder, in its `third` for the newer ones, or in its `scaled`."""
    if scaled:
        return golden_dir / "scaled" / f"{reference_id}.json"
    here, newer = (folder / f"{reference_id}.json" for folder in (golden_dir, golden_dir / "third"))
    return newer if newer.exists() else here


def recipe(golden_dir):
    """The module that draws the tensors and images: the folder's or that of the one above."""
    file = golden_dir / "recipe.py"
    if not file.exists():
        file = golden_dir.resolve().parent / file.name
    spec = importlib.util.spec_from_file_location("golden_recipe", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(golden_dir, reference_id, scaled=False, engine="mxnet", device="cpu"):
    """{array name: (worst |difference| / std, tolerance)} of one golden file, everything it saved.

    `engine`: mxnet, or torch, which computes whole networks on `device` and leaves out what is inside
    (`raw`).
    """
    forward = _outputs if engine == "mxnet" else functools.partial(_torch_outputs, device=device)
    file = description(golden_dir, reference_id, scaled)
    meta = json.loads(file.read_text())
    drawn = recipe(golden_dir)
    net = load(reference_id, drawn.tensors(meta), meta["nclass"])
    saved_file = file.with_suffix(".npz")
    images = [mx.nd.array(drawn.image(i["shape"], i["seed"])) for i in meta["inputs"]]
    dtype = "float64" if reference_id in DOUBLE else "float32"
    outputs = forward(net, images, dtype)
    assert all(np.isfinite(y).all() for ys in outputs for y in ys)
    if not saved_file.exists():
        return {}
    saved = np.load(saved_file)
    strides = {name: every or 1 for name, every in meta.get("saved_stride", {}).items()}
    of_logits = meta.get("stride_of_saved_outputs", 4)
    found = {}
    for name in saved.files:
        expected = saved[name]
        if name == "logits_calm":
            calm = load(reference_id, drawn.tensors(meta, meta["variant"]["scale"]), meta["nclass"])
            image = images[meta["variant"].get("input", 0)]
            ours = _strided(forward(calm.deploy(), [image], "float32")[0][0], 8)
        elif name in INSIDE and engine != "mxnet":
            continue
        elif name == "raw" or name in QUERIES:
            ours = _maps(net, images[0], dtype)["head"][QUERIES.get(name, RAW.get(reference_id, 0))]
            ours = _strided(ours, strides.get(name, 1)) if ours.ndim == 4 else ours
        elif name == "headonly":
            features = [
                mx.nd.array(drawn.image(shape, 100 + q)) for q, shape in enumerate(meta["headonly_features"])
            ]
            features = [features[i] for i in HEAD_MAPS.get(reference_id, ())] or features
            if net.neck is None:
                features = _four(features)
            ours = _strided(_after_the_neck(net.head)(*features)[0].asnumpy(), strides.get(name, 1))
        elif name.startswith("aux") or name.startswith("head"):
            # Further outputs of the decode head (head1, head2) come before those of auxiliary heads.
            index = int(name.lstrip("auxhed"))
            if strides.get(name, 1) == 2:  # a raw map of which not all was saved
                ours = _strided(_maps(net, images[0], dtype)["aux"][index], 2)
                found[name] = _difference(meta, name, ours, expected)
                continue
            of_head = sum(f"head{k}" in saved.files for k in (1, 2, 3))
            ours = outputs[0][1 + of_head + index] if name.startswith("aux") else outputs[0][index]
            # GluonCV's ICNet returns its side outputs at their own sizes.
            sizes = meta.get("full_output_shapes_input1")
            raw = sizes is not None and tuple(sizes[1 + index][2:]) != ours.shape[2:]
            place = 1 + of_head + index if name.startswith("aux") else index
            ours, expected = _comparable(ours, expected, meta, net.corners[place], raw)
        else:
            ours = _strided(outputs[int(name[6:] or 1) - 1][0], of_logits)
        found[name] = _difference(meta, name, ours, expected)
    return found


def _difference(meta, name, ours, expected):
    assert ours.shape == expected.shape, (name, ours.shape, expected.shape)
    worst = float(np.abs(ours.astype(np.float64) - expected).max() / expected.std())
    return worst, tolerance(meta, name, expected)


def _strided(maps, every):
    return maps[:, :, ::every, ::every]


def _maps(net, image, dtype):
    """What `head` returns and the `aux` heads give, at their own resolutions: {part: arrays}."""
    net.cast(dtype)
    image = image.astype(dtype)
    maps = {"backbone": net.backbone(image)}
    maps["neck"] = maps["backbone"] if net.neck is None else net.neck(image, *maps["backbone"])
    maps["head"] = net.head(*maps["neck"])
    sources = zip(net.aux_heads, net._sources)
    aux = [block(maps[of][index]).asnumpy() for block, (of, index) in sources]
    net.cast("float32")
    return {"head": [y.asnumpy() for y in maps["head"]], "aux": aux}


def _outputs(net, images, dtype):
    if dtype != "float32":
        net.cast(dtype)
    outputs = [[y.asnumpy() for y in net(image.astype(dtype))] for image in images]
    if dtype != "float32":
        net.cast("float32")
    return outputs


def _torch_outputs(net, images, dtype, device):
    import torch

    from mxnetseg.compute import to_torch
    from mxnetseg.compute.torch.devices import devices

    (chosen,) = devices([device])
    # As predictions compute it; kernels that are compared in double precision stay what they were.
    module = to_torch(net, folded=dtype == "float32").to(chosen, getattr(torch, dtype))
    # cuDNN would round what convolutions multiply to ten bits.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        tensors = [torch.from_numpy(image.asnumpy().astype(dtype)).to(chosen) for image in images]
        return [[y.cpu().numpy() for y in module(x)] for x in tensors]


def _after_the_neck(head):
    """The head with what `headonly` starts behind taken out: JPU, feature pyramid, ERFNet's decoder."""
    if getattr(head, "jpu", None) is not None:
        object.__setattr__(head, "jpu", lambda c2, c3, c4: c4)
    if getattr(head, "fpn", None) is not None:
        object.__setattr__(head, "fpn", lambda *maps: maps)
    if getattr(head, "decoder", None) is not None:
        object.__setattr__(head, "decoder", lambda c4: c4)
    return head


def _four(features):
    """mmsegmentation's FastFCN has no first level: any map stands for it."""
    return [features[0]] * (4 - len(features)) + features


def _comparable(ours, expected, meta, corners, raw=False):
    """Auxiliary maps are saved at stride 4 of the image, or raw (mmsegmentation, ICNet), which are resized
    with `corners` aligned or not."""
    expected = expected.reshape(expected.shape + (1,) * (4 - expected.ndim))
    strided = ours[:, :, ::4, ::4]
    if 4 in [every for name, every in meta.get("saved_stride", {}).items() if name.startswith("aux")]:
        return strided, expected
    if raw or meta["id"].startswith("mmseg_") or strided.shape != expected.shape:
        full = mx.nd.contrib.BilinearResize2D(
            mx.nd.array(expected), height=ours.shape[2], width=ours.shape[3], align_corners=corners
        )
        return ours, full.asnumpy()
    return strided, expected


def tolerance(meta, name, expected):
    """max(1e-3, 10 x the reference's own rounding noise), relative to the standard deviation."""
    noise = 0.0
    stats = meta.get("stats", {}).get(name, {})
    noise = max(noise, stats.get("float64_max_abs_diff_over_std") or 0.0)
    absolute = meta.get("float32_minus_float64_absmax", {}).get(name)
    if absolute is not None:
        noise = max(noise, absolute / float(expected.std()))
    # A message where the reference could not be run in float64 (AlignSeg).
    of_arrays = meta.get("f32_error", {}).get("max_abs_vs_float64_over_std")
    if isinstance(of_arrays, dict):
        noise = max(noise, of_arrays.get(name) or 0.0)
    return max(1e-3, 10 * noise)
