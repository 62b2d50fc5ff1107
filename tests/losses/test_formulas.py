"""Each loss against a plain NumPy form of its formula, and its gradient against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from mxnetseg.losses import LOSSES
from tests.losses.scores import IGNORE, loss_of

SHAPE = (2, 3, 4, 5)


def scores(shape=SHAPE):
    return np.random.default_rng(3).normal(size=shape) * 1.5


def labels(nclass=3):
    rng = np.random.default_rng(4)
    found = rng.integers(0, nclass, (2, 4, 5))
    found[rng.random(found.shape) < 0.2] = IGNORE
    return found


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def parts(x, y):
    """Probabilities (pixels, classes) and labels of the valid pixels, image by image."""
    p = softmax(x) if x.shape[1] > 1 else sigmoid(x)
    for image, label in zip(p, y):
        yield image.reshape(len(image), -1).T[label.ravel() != IGNORE], label[label != IGNORE]


def together(x, y):
    p, t = zip(*parts(x, y))
    return np.concatenate(p), np.concatenate(t)


def true_p(x, y):
    p, t = together(x, y)
    return p[np.arange(len(t)), t]


def hot(t, classes):
    return t[:, None] if classes == 1 else np.eye(classes)[t]


def cross_entropy(x, y, smoothing=0.0):
    p, t = together(x, y)
    target = hot(t, p.shape[1]) * (1 - smoothing) + smoothing / p.shape[1]
    return -(target * np.log(p)).sum(axis=1).mean()


def each_class(x, y):
    p, t = together(np.stack([x[:, c] for c in range(x.shape[1])], axis=1), y)
    p = np.concatenate([sigmoid(a.reshape(len(a), -1).T[b.ravel() != IGNORE]) for a, b in zip(x, y)])
    there = hot(t, x.shape[1])
    return np.where(there, p, 1 - p), there


def sigmoid_focal(x, y, gamma=2.0, alpha=0.25):
    right, there = each_class(x, y)
    return (np.where(there, alpha, 1 - alpha) * (1 - right) ** gamma * -np.log(right)).mean()


def binary(x, y, smoothing=0.0):
    p, t = together(x, y)
    t = t * (1 - smoothing) + smoothing / 2
    return -(t * np.log(p[:, 0]) + (1 - t) * np.log(1 - p[:, 0])).mean()


def dice(p, t, squared=True):
    there = hot(t, p.shape[1])
    if squared:
        return 1 - 2 * (p * there).sum() / ((p**2).sum() + (there**2).sum() + 2e-3)
    return 1 - (2 * (p * there).sum() + 1e-3) / (p.sum() + there.sum() + 1e-3)


def tversky(p, t):
    there = hot(t, p.shape[1])
    true, over, missed = (p * there).sum(0), (p * (1 - there)).sum(0), ((1 - p) * there).sum(0)
    return (1 - (true + 1) / (true + 0.3 * over + 0.7 * missed + 1)).mean()


def jaccard(error, there):
    """The Lovasz extension by its definition: errors in falling order, each times what its pixel adds."""
    order = np.argsort(-error)
    total, before = 0.0, 0.0
    wrong = np.zeros(len(error), bool)
    for i in order:
        wrong[i] = True
        left = (there & ~wrong).sum()
        now = 1 - left / (there | wrong).sum()
        total, before = total + error[i] * (now - before), now
    return total


def lovasz(p, t):
    present = [c for c in range(p.shape[1]) if (t == c).any()]
    return np.mean([jaccard(np.abs((t == c) - p[:, c]), t == c) for c in present])


def hinge(x, y):
    s = np.concatenate([a[0][b != IGNORE] for a, b in zip(x, y)])
    t = y[y != IGNORE]
    return jaccard(np.maximum(1 - s * (2 * t - 1), 0), t == 1)


def balanced(x, y):
    p = sigmoid(x[:, 0])[y != IGNORE]
    t = y[y != IGNORE]
    edge, rest = (t == 1).mean(), (t == 0).mean()
    return -np.where(t == 1, rest * np.log(p), edge * np.log(1 - p)).mean()


def balanced_twice(x, y):
    """What the authors of BiAlignNet minimize: they hand a sigmoid to a loss that takes one itself."""
    p = sigmoid(sigmoid(x[:, 0]))[y != IGNORE]
    yes = y[y != IGNORE] == 1
    weight = np.where(yes, (~yes).sum(), yes.sum()) / yes.size
    return -(weight * np.log(np.where(yes, p, 1 - p))).sum() / yes.size


def distance_focal(x, y, gamma=0.5, bins=(1.5, 2.5), alphas=(4.0, 2.0, 1.0)):
    """By brute force: distance of each pixel to the nearest pixel of another label. The factor of p is that
    of the scores themselves, whatever step away from them `x` is."""
    p, focus, weights = true_p(x, y), true_p(scores(), y), []
    for label in y:
        places = np.argwhere(np.ones_like(label, bool))
        for place in np.argwhere(label != IGNORE):
            other = places[label.ravel() != label[tuple(place)]]
            weights.append(alphas[np.digitize(np.sqrt(((other - place) ** 2).sum(1)).min(), bins)])
    return (np.array(weights) * np.exp(gamma * (1 - focus)) * -np.log(p)).mean()


def mean(formula, **keywords):
    return lambda x, y: np.mean([formula(p, t, **keywords) for p, t in parts(x, y)])


def whole(formula, **keywords):
    return lambda x, y: formula(*together(x, y), **keywords)


# name of the case: (settings, NumPy form, logits)
CASES = {
    "cross_entropy": (dict(), cross_entropy, 3),
    "cross_entropy smoothed": (dict(label_smoothing=0.2), lambda x, y: cross_entropy(x, y, 0.2), 3),
    "binary_cross_entropy": (dict(), binary, 1),
    "binary_cross_entropy smoothed": (dict(label_smoothing=0.2), lambda x, y: binary(x, y, 0.2), 1),
    "focal": (dict(), lambda x, y: ((1 - true_p(x, y)) ** 2 * -np.log(true_p(x, y))).mean(), 3),
    "sigmoid_cross_entropy": (dict(), lambda x, y: -np.log(each_class(x, y)[0]).mean(), 3),
    "sigmoid_focal": (dict(options=dict(alpha=0.25)), sigmoid_focal, 3),
    "boundary_aware_focal": (
        dict(options=dict(bins=[1.5, 2.5], alphas=[4, 2, 1]), normalizer="pixels"),
        distance_focal,
        3,
    ),
    "dice": (dict(), mean(dice), 3),
    "dice of the batch": (dict(options=dict(per_image=False)), whole(dice), 3),
    "dice of one logit": (dict(options=dict(squared=False)), mean(dice, squared=False), 1),
    "tversky": (dict(), mean(tversky), 3),
    "tversky of the batch": (dict(options=dict(per_image=False)), whole(tversky), 3),
    "lovasz": (dict(), whole(lovasz), 3),
    "lovasz per image": (dict(options=dict(per_image=True)), mean(lovasz), 3),
    "lovasz of one logit": (dict(), hinge, 1),
    "balanced_cross_entropy": (dict(), balanced, 1),
    "balanced_cross_entropy twice": (dict(options=dict(twice=True)), balanced_twice, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_the_value_is_that_of_the_formula_and_the_gradient_its_slope(case):
    settings, formula, logits = CASES[case]
    name = case.split()[0]
    settings = dict(settings, name="cross_entropy" if name == "binary_cross_entropy" else name)
    x, y = scores((2, logits, 4, 5)), labels(max(logits, 2))
    losses, (gradient,) = loss_of(x, y, **settings)
    assert losses["main"] == pytest.approx(formula(x, y), rel=1e-6)
    direction = np.random.default_rng(5).normal(size=x.shape)
    step = 1e-6
    slope = (formula(x + step * direction, y) - formula(x - step * direction, y)) / (2 * step)
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_every_registered_loss_has_a_formula_here_or_among_the_tests_of_the_criterion():
    elsewhere = {"presence", "point_cross_entropy", "mask_set"}
    assert set(LOSSES.names()) == {case.split()[0] for case in CASES} | elsewhere


def test_a_loss_of_no_valid_pixel_is_finite_and_has_no_gradient():
    for name in LOSSES.names():
        if "pixels" not in LOSSES.get(name).outputs:
            continue
        count = 1 if LOSSES.get(name).logits == "one" else 3
        losses, (gradient,) = loss_of(scores((2, count, 4, 5)), np.full((2, 4, 5), IGNORE), name=name)
        assert np.isfinite(losses["main"]) and not gradient.any(), name
