"""FaPN's pyramid and the deformable convolution in it."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from mxnetseg.models import create_model
from mxnetseg.models.fapn import AlignedPyramid, ModulatedDeformableConv


@pytest.mark.parametrize("peak", [1.0, 2.0])
def test_a_deformable_convolution_starts_as_a_plain_one_times_half_its_peak(peak):
    block = ModulatedDeformableConv(16, 4, 8, peak=peak)
    block.initialize(mx.init.Xavier())
    x = mx.nd.random.normal(shape=(2, 16, 7, 9))
    plain = mx.nd.Convolution(x, block.weight.data(), kernel=(3, 3), pad=(1, 1), num_filter=8, no_bias=True)
    found = block(x, mx.nd.random.normal(shape=(2, 4, 7, 9)))
    np.testing.assert_allclose(found.asnumpy(), plain.asnumpy() * peak / 2, atol=1e-5)


def test_every_level_but_the_coarsest_has_an_output_convolution_of_its_own():
    pyramid = AlignedPyramid((4, 6, 8, 10), 8)
    pyramid.initialize(mx.init.Xavier())
    features = [mx.nd.random.normal(shape=(1, n, 32 >> k, 48 >> k)) for k, n in enumerate((4, 6, 8, 10))]
    pyramid(*features)
    for alignment in pyramid.aligns:
        alignment.align.weight.set_data(mx.nd.zeros(alignment.align.weight.shape))
    maps = pyramid(*features)
    # What is aligned is now zero, so that each level is its own lateral.
    levels = zip(pyramid.aligns, pyramid.outs, features[2::-1], maps[2::-1])
    for alignment, out, feature, found in levels:
        np.testing.assert_allclose(found.asnumpy(), out(alignment.select(feature)).asnumpy(), atol=1e-5)
    np.testing.assert_allclose(maps[3].asnumpy(), pyramid.reduce(features[3]).asnumpy(), atol=1e-5)


def test_the_papers_form_sums_all_levels_and_mxnetsegs_classifies_the_finest():
    paper, mxnetseg = (
        create_model("fapn", 3, form=form, backbone="resnet18", init=False) for form in ("paper", "mxnetseg")
    )
    assert len(paper.head.branches) == 4 and not hasattr(mxnetseg.head, "branches")
    assert (paper.corners, mxnetseg.corners) == ((False,), (True, True))
