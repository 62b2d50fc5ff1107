"""EMANet's bases: moved by training, left alone by inference."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from mxnetseg.models.emanet import EMAttention


def attention(hybridize, moving=True, unit_mean=False):
    mx.random.seed(1)
    block = EMAttention(8, 3, rounds=2, epsilon=1e-6, moving=moving, unit_mean=unit_mean)
    block.initialize()
    if hybridize:
        block.hybridize()
    return block


@pytest.mark.parametrize("unit_mean", [False, True])
@pytest.mark.parametrize("hybridize", [False, True])
def test_training_moves_the_bases_a_tenth_of_the_way_and_inference_does_not(hybridize, unit_mean):
    block = attention(hybridize, unit_mean=unit_mean)
    x = mx.nd.random.normal(shape=(2, 8, 5, 6))
    block(x).wait_to_read()
    before = block.bases.data().asnumpy()
    block(x).wait_to_read()
    np.testing.assert_array_equal(block.bases.data().asnumpy(), before)
    x.attach_grad()
    with autograd.record():
        y = block(x)
    y.backward()
    after = block.bases.data().asnumpy()
    reached = (after - 0.9 * before) / 0.1
    expected = final_bases(x.asnumpy(), before.reshape(1, 8, 3), rounds=2).mean(axis=0)
    if unit_mean:
        expected /= np.sqrt((expected**2).sum(axis=0, keepdims=True))
    np.testing.assert_allclose(reached, expected.ravel(), rtol=1e-4, atol=1e-5)


def test_fixed_bases_stay_in_training():
    block = attention(True, moving=False)
    before = block.bases.data().asnumpy()
    with autograd.record():
        y = block(mx.nd.random.normal(shape=(2, 8, 5, 6)))
    y.wait_to_read()
    np.testing.assert_array_equal(block.bases.data().asnumpy(), before)


def final_bases(x, bases, rounds):
    pixels = x.reshape(x.shape[0], x.shape[1], -1)
    bases = np.repeat(bases, len(x), axis=0)
    for _ in range(rounds):
        scores = np.einsum("ncp,nck->npk", pixels, bases)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        weights = shares / (1e-6 + shares.sum(axis=1, keepdims=True))
        bases = np.einsum("ncp,npk->nck", pixels, weights)
        bases /= 1e-6 + np.sqrt((bases**2).sum(axis=1, keepdims=True))
    return bases
