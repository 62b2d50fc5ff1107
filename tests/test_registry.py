"""The registry: names, options and their values, in one line where they are wrong."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple, Union

import pytest

from mxnetseg.backbones.base import BACKBONES
from mxnetseg.data import DATASETS
from mxnetseg.errors import RegistryError
from mxnetseg.models.base import MODELS
from mxnetseg.registry import Registry, allows


def registry():
    things = Registry("thing")

    @things.register("one")
    def one(place, size: int = 1, kind: Literal["flow", "resize"] = "flow", free=None):
        return place, size, kind, free

    @things.register("two")
    class Two:
        def __init__(self, names: Sequence[str] = ()):
            self.names = names

    return things


def test_values_that_the_annotations_allow_are_passed_on():
    things = registry()
    assert things.build("one", "here", size=3, kind="resize", free=object) == ("here", 3, "resize", object)
    assert things.build("two", names=["a"]).names == ["a"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("one", {"kind": "flw"}, "thing 'one': option kind is 'flw'; expected flow or resize"),
        ("one", {"size": "64"}, "thing 'one': option size is '64'; expected a whole number"),
        ("one", {"size": True}, "option size is True; expected a whole number"),
        ("two", {"names": "abc"}, "thing 'two': option names is 'abc'; expected a list"),
        ("one", {"sise": 1}, "thing 'one' has no option 'sise'; nearest: size"),
        ("three", {}, "no thing is named 'three'"),
    ],
)
def test_a_wrong_option_is_one_line_that_says_what_is_expected(name, options, expected):
    with pytest.raises(RegistryError, match=expected):
        registry().build(name, "here", **options) if name == "one" else registry().build(name, **options)


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (Optional[int], [None, 3], ["3", 1.5, [3]]),
        (float, [1, 0.5], ["1", None]),
        (bool, [True], [1, "true"]),
        (Union[int, Sequence[int]], [3, [1, 2], (1, 2)], ["3", [1, "2"]]),
        (Tuple[float, float], [[1, 0.5]], [[1], 1, [1, "2"]]),
        (Tuple[int, ...], [[], [1, 2, 3]], [["1"]]),
        (List[str], [["a"]], ["a", {"a": 1}]),
        (Dict[str, int], [{"a": 1}], [{"a": "b"}, [1]]),
        (Literal[1, "x", None], [1, "x", None], [True, 1.0, "y"]),
        (Any, [1, "x", [None]], []),
        (str, ["x", Path("x")], [1]),
    ],
)
def test_annotations_are_held_against_what_yaml_gives(hint, good, bad):
    assert all(allows(hint, value) for value in good)
    assert not any(allows(hint, value) for value in bad)


def test_a_number_in_quotes_is_no_number_of_scenes():
    from mxnetseg.data import create_dataset

    with pytest.raises(RegistryError, match="option length is '64'; expected a whole number or nothing"):
        create_dataset("synthetic", length="64")


@pytest.mark.parametrize("table", [MODELS, BACKBONES, DATASETS], ids=lambda table: table.role)
def test_the_annotations_of_every_constructor_can_be_read(table):
    for name in table.names():
        constructor = table.get(name)
        function = constructor.__init__ if isinstance(constructor, type) else constructor
        typing.get_type_hints(function)
        # Python 3.9 cannot evaluate `int | None`.
        assert not [one for one in function.__annotations__.values() if " | " in str(one)], name


def test_the_modules_of_a_package_are_imported_when_the_table_is_first_asked(tmp_path, monkeypatch):
    (tmp_path / "shelf_of_things").mkdir()
    (tmp_path / "shelf_of_things" / "__init__.py").write_text(
        "from mxnetseg.registry import Registry\nTHINGS = Registry('thing', package=__name__)\n"
    )
    (tmp_path / "shelf_of_things" / "lamp.py").write_text(
        "from shelf_of_things import THINGS\nTHINGS.register('lamp', light=3)(dict)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import shelf_of_things

    assert "lamp" in shelf_of_things.THINGS
    assert shelf_of_things.THINGS.info("lamp") == {"name": "lamp", "light": 3}
