"""Each operator alone against MXNet's, at the corners where the two frameworks differ."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch (requirements-torch.txt) is not installed")

from mxnetseg.compute.torch import operators  # noqa: E402
from mxnetseg.compute.torch.operators import OPERATORS  # noqa: E402
from mxnetseg.errors import ConfigError  # noqa: E402

MAP = (2, 6, 7, 9)
TOKENS = (2, 5, 6)


def case(*shapes, positive=False, **attributes):
    return shapes, attributes, positive


UNARY = ("sigmoid", "tanh", "exp", "square", "erf", "negative", "abs", "relu", "floor", "ceil", "_copy")
SHAPED = ("identity", "BlockGrad", "ones_like", "zeros_like", "Flatten")
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "greater", "greater_equal", "lesser", "equal")
SCALAR = ("plus", "minus", "rminus", "mul", "div", "rdiv", "maximum", "minimum", "greater", "greater_equal")
POOL = dict(kernel=(3, 3), stride=(2, 2), pad=(1, 1))

CASES = {
    **{name: [case(MAP)] for name in (*UNARY, *SHAPED)},
    **{name: [case(MAP, positive=True)] for name in ("log", "sqrt")},
    **{f"elemwise_{name}": [case(MAP, MAP, positive=True)] for name in BINARY[:4]},
    **{f"broadcast_{name}": [case(MAP, (2, 1, 7, 1), positive=True)] for name in (*BINARY, "lesser_equal")},
    **{f"_{name}_scalar": [case(MAP, scalar=0.5)] for name in (*SCALAR, "lesser", "lesser_equal", "equal")},
    **{name: [case(MAP)] for name in ("sin", "cos")},
    "reverse": [case(MAP, axis=1), case(MAP, axis=(0, 2))],
    "topk": [case((3, 7), k=2, axis=1), case((3, 7), k=3, axis=1, ret_typ="value", is_ascend=True)],
    "gather_nd": [case((3, 4, 5), (2, 6))],
    "_contrib_index_copy": [case((5, 4), (2,), (2, 4))],
    "_maximum": [case(MAP, MAP)],
    "_minimum": [case(MAP, MAP)],
    "_power_scalar": [case(MAP, positive=True, scalar=1.5)],
    "where": [case((2, 3), (2, 3), (2, 3))],
    "clip": [case(MAP, a_min=-0.5, a_max=0.25)],
    "Activation": [case(MAP, act_type=kind) for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")],
    "LeakyReLU": [
        case(MAP, act_type="leaky", slope=0.1),
        case(MAP, act_type="elu", slope=0.5),
        case(MAP, act_type="gelu"),
        case(MAP, (6,), act_type="prelu"),
    ],
    "softmax": [case(TOKENS), case(MAP, axis=1)],
    "log_softmax": [case(TOKENS), case(MAP, axis=1)],
    "max": [case(MAP), case(MAP, axis=1), case(MAP, axis=(2, 3), keepdims=True)],
    "min": [case(MAP), case(MAP, axis=-1)],
    "sum": [case(MAP), case(MAP, axis=(1, 3))],
    "mean": [case(MAP), case(MAP, axis=2, keepdims=True)],
    "norm": [case(MAP), case(MAP, axis=2, keepdims=True), case(MAP, ord=1, axis=1)],
    "dot": [
        case((2, 3, 4, 5), (5, 6)),
        case((3, 4), (5, 4), transpose_b=True),
        case((4, 3), (4, 5), transpose_a=True),
        case((3, 4), (4, 5, 2)),
    ],
    "batch_dot": [
        case((2, 3, 4), (2, 4, 5)),
        case((2, 4, 3), (2, 4, 5), transpose_a=True),
        case((2, 3, 4), (2, 5, 4), transpose_b=True),
    ],
    "Convolution": [
        case(MAP, (4, 6, 3, 3), (4,), kernel=(3, 3), num_filter=4, stride=(2, 1), pad=(2, 2), dilate=(2, 2)),
        case(MAP, (6, 2, 1, 3), kernel=(1, 3), num_filter=6, num_group=3, no_bias=True),
    ],
    "FullyConnected": [
        case(MAP, (4, 378), (4,), num_hidden=4),
        case(TOKENS, (4, 6), num_hidden=4, flatten=False, no_bias=True),
    ],
    "LayerNorm": [case(TOKENS, (6,), (6,), eps=1e-6), case(MAP, (6,), (6,), axis=1)],
    "GroupNorm": [case(MAP, (3,), (3,), num_groups=3, eps=1e-3)],
    "Pooling": [
        case(MAP, pool_type="max", **POOL),
        case(MAP, pool_type="max", pooling_convention="full", kernel=(2, 2), stride=(2, 2)),
        case(MAP, pool_type="avg", **POOL),
        case(MAP, pool_type="sum", **POOL),
        case(MAP, pool_type="avg", count_include_pad=False, **POOL),
        case(MAP, pool_type="avg", pooling_convention="full", kernel=(2, 2), stride=(2, 2)),
        case(MAP, pool_type="avg", kernel=(1, 1), global_pool=True),
        case(MAP, pool_type="max", kernel=(1, 1), global_pool=True),
    ],
    "_contrib_AdaptiveAvgPooling2D": [
        case(MAP, output_size=1),
        case(MAP, output_size=(3, 4)),
        case((1, 2, 3, 2), output_size=(6,)),
    ],
    "_contrib_BilinearResize2D": [
        case(MAP, (1, 1, 13, 4), mode="like", align_corners=corners) for corners in (True, False)
    ]
    + [case(MAP, (1, 1, 1, 1), mode="like", align_corners=corners) for corners in (True, False)]
    + [
        case(MAP, height=3, width=20, align_corners=False),
        case(MAP, scale_height=0.5, scale_width=0.5, align_corners=True),
    ],
    "UpSampling": [case(MAP, scale=2, sample_type="nearest")],
    "BilinearSampler": [case(MAP, (2, 2, 5, 4))],
    "Reshape": [
        case(MAP, shape=(0, -1)),
        case(MAP, shape=(-3, 0, 0)),
        case(MAP, shape=(0, -4, 2, -1, -2)),
        case(MAP, shape=(0, -4, -1, 3, 0, 0)),
        case(MAP, shape=(-1, 9, 0, 6)),
    ],
    "reshape_like": [
        case((2, 63), (2, 7, 9), lhs_begin=1, lhs_end=2, rhs_begin=1, rhs_end=3),
        case((14, 3), (2, 7), lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2),
        case((6, 7), (7, 6)),
    ],
    "transpose": [case(MAP, axes=(0, 2, 3, 1)), case(TOKENS)],
    "SwapAxis": [case(MAP, dim1=1, dim2=2), case(TOKENS, dim1=2, dim2=0)],
    "expand_dims": [case(TOKENS, axis=1), case(TOKENS, axis=-1)],
    "squeeze": [case((2, 1, 3, 1), axis=1), case((2, 1, 3, 1))],
    "slice": [
        case(TOKENS, begin=(None, 1), end=(None, 4)),
        case(TOKENS, begin=(None, None, 1), end=(None, None, None), step=(1, 1, 2)),
    ],
    "slice_axis": [case(MAP, axis=2, begin=1, end=None), case(MAP, axis=-1, begin=-5, end=-2)],
    "slice_like": [case(MAP, (1, 1, 3, 4), axes=(2, 3)), case(MAP, (1, 2, 3, 4))],
    "SliceChannel": [case(MAP, num_outputs=3), case(TOKENS, num_outputs=5, axis=1, squeeze_axis=True)],
    "Concat": [case(MAP, MAP, num_args=2, dim=1), case(TOKENS, TOKENS, TOKENS, num_args=3, dim=2)],
    "stack": [case(TOKENS, TOKENS, num_args=2, axis=1)],
    "take": [case(MAP, (5,), axis=2), case((6, 4), (2, 3))],
    "tile": [case((3,), reps=(4,)), case((2, 3), reps=(2, 1, 2))],
    "Pad": [
        case(MAP, mode="constant", pad_width=(0, 0, 0, 0, 2, 1, 0, 3), constant_value=0.5),
        case(MAP, mode="edge", pad_width=(0, 0, 0, 0, 2, 1, 0, 3)),
        case(MAP, mode="reflect", pad_width=(0, 0, 0, 0, 2, 1, 0, 3)),
    ],
    "broadcast_like": [
        case((1, 6, 1, 1), MAP),
        case((1, 4, 3), (5, 2), lhs_axes=(0,), rhs_axes=(0,)),
    ],
    "Cast": [case(MAP, dtype="int32"), case(MAP, dtype="float32")],
    "_contrib_arange_like": [case(MAP, axis=3)],
    "_ones": [],
    "_zeros": [],
}
EVERY = [(name, k) for name, cases in CASES.items() for k in range(len(cases))]


def test_every_operator_has_cases():
    # What is drawn anew has a test of its own.
    assert {*CASES, "_random_uniform_like"} == set(OPERATORS)


def test_uniform_numbers_are_drawn_anew_between_their_limits():
    like = torch.zeros(2, 50, dtype=torch.bfloat16)
    one, two = (operators.uniform_like(like, low=5.0, high=7.0) for _ in range(2))
    assert one.shape == (2, 50) and not torch.equal(one, two) and one.dtype == torch.float32
    assert ((one >= 5) & (one < 7)).all() and one.std() > 0.3
    assert operators.uniform_like(like.double()).dtype == torch.float64


def test_concatenations_with_a_map_in_channels_last_are_so_too():
    x, y = torch.randn(1, 4, 6, 5), torch.randn(1, 3, 6, 5)
    last = x.contiguous(memory_format=torch.channels_last)
    joined = operators.concat(y, last)
    assert torch.equal(joined, operators.concat(y, x)) and operators.concat(y, x).is_contiguous()
    assert joined.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name, k", EVERY, ids=[f"{name}-{k}" for name, k in EVERY])
def test_an_operator_gives_what_mxnet_gives(name, k):
    shapes, attributes, positive = CASES[name][k]
    draw = np.random.RandomState(k)
    arrays = [draw.standard_normal(shape).astype(np.float32) for shape in shapes]
    if positive:
        arrays = [np.abs(a) + 0.5 for a in arrays]
    if name in ("where", "take"):
        arrays[-1 if name == "take" else 0] = draw.randint(-1, 2, shapes[-1]).astype(np.float32)
    if name == "_contrib_index_copy":
        arrays[1] = np.array([3, 0], np.float32)
    if name == "gather_nd":
        arrays[1] = draw.randint(0, 3, shapes[1]).astype(np.float32)
    variables = [mx.sym.var(f"v{i}") for i in range(len(arrays))]
    symbol = _mxnet(name)(*variables, **attributes)
    expected = symbol.eval(**{f"v{i}": mx.nd.array(a) for i, a in enumerate(arrays)})
    inputs = [torch.from_numpy(a) for a in arrays]
    attributes = {key: value for key, value in attributes.items() if key != "num_args"}
    scalar = [attributes.pop("scalar")] if "scalar" in attributes else []
    found = OPERATORS[name](*inputs, *scalar, **attributes)
    found = found if isinstance(found, list) else [found]
    assert [tuple(y.shape) for y in found] == [y.shape for y in expected]
    for a, b in zip(expected, found):
        np.testing.assert_allclose(b.numpy(), a.asnumpy(), rtol=1e-5, atol=1e-5)
        assert str(b.dtype).endswith(str(np.dtype(a.dtype)))


def _mxnet(name):
    for room in (mx.sym, mx.sym._internal, mx.sym.contrib):
        found = getattr(room, name, None) or getattr(room, name.replace("_contrib_", ""), None)
        if found is not None:
            return found
    raise AssertionError(name)


def test_constants_take_type_and_device_of_the_image():
    data = torch.zeros((1, 3, 4, 4), dtype=torch.float64)
    assert operators.ones(data, shape=(3,)).sum() == 3 and operators.zeros(data, shape=3).dtype == data.dtype


LENGTHS = [
    (operators.relu, (-2,), 0),
    (operators.floor, (1.5,), 1),
    (operators.ceil, (1.5,), 2),
    (operators.maximum, (2, 3.0), 3),
    (operators.minimum, (2, 3.0), 2),
    (operators.greater, (2, 1), 1),
    (operators.greater_equal, (1, 1), 1),
    (operators.lesser, (1, 1), 0),
    (operators.lesser_equal, (1, 1), 1),
    (operators.equal, (1, 2), 0),
    (operators.where, (0.0, 3, 4), 4),
    (operators.where, (1.0, 3, 4), 3),
    (operators.copy, (7,), 7),
    (operators.block_gradient, (7,), 7),
    (operators.ones_like, (7,), 1),
    (operators.zeros_like, (7,), 0),
    (operators.subtract_from, (7, 1.0), -6),
    (operators.divide, (2, 1.0), 0.5),
]


@pytest.mark.parametrize("function, inputs, expected", LENGTHS)
def test_lengths_stay_numbers(function, inputs, expected):
    assert function(*inputs) == expected


def test_a_length_keeps_through_shapes_and_types():
    assert operators.reshape(5, (1, 1, 1, 1)) == 5
    assert operators.cast(2.75, "int32") == 2 and operators.cast(2.75, "float32") == 2.75
    assert operators.last_index(torch.zeros(2, 3, 7), 2) == 6
    low = operators.maximum(torch.tensor([-1.0, 4.0]), 2)
    assert low.tolist() == operators.maximum(2, torch.tensor([-1.0, 4.0])).tolist() == [2, 4]
    high = operators.minimum(torch.tensor([-1.0, 4.0]), 2)
    assert high.tolist() == operators.minimum(2, torch.tensor([-1.0, 4.0])).tolist() == [-1, 2]


def test_places_stay_exact_in_half_precision():
    x = torch.zeros((1, 1, 1, 3000), dtype=torch.bfloat16)
    assert operators.arange_like(x, 3).tolist() == list(range(3000))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: operators.bilinear_resize(x, mode="odd_scale"),
        lambda x: operators.upsampling(x, 2, "bilinear"),
        lambda x: operators.take(x, x, mode="wrap"),
    ],
)
def test_a_kind_of_operator_that_is_not_translated_is_named(call):
    with pytest.raises(ConfigError, match="no PyTorch form"):
        call(torch.zeros((1, 1, 2, 2)))
