"""Facts are at hand without MXNet, and are the same that the loaded networks state."""

from __future__ import annotations

import ast

import pytest

from mxnetseg import facts
from mxnetseg.errors import RegistryError
from mxnetseg.models.base import MODELS


def test_the_facts_in_the_source_are_those_of_the_registry():
    source = facts.facts_of_source()
    assert source.names() == MODELS.names()
    for name in MODELS.names():
        assert source.info(name) == MODELS.info(name)


def registered(text):
    return dict(facts._registrations(ast.parse(text)))


def test_facts_may_be_written_with_dict_and_with_names_of_other_literals():
    found = registered(
        """
SHARED = dict(aux=True)
FORMS = {"paper": {}, "mmseg": {**SHARED, "width": -1, "levels": (1, 2)}}
WIDTHS = [n * 2 for n in (1, 2)]

@MODELS.register("x", backbone="resnet18", forms=FORMS, options=dict(SHARED, stem="deep"))
def x(nclass, backbone):
    pass
"""
    )
    assert found == {
        "x": {
            "backbone": "resnet18",
            "forms": {"paper": {}, "mmseg": {"aux": True, "width": -1, "levels": (1, 2)}},
            "options": {"aux": True, "stem": "deep"},
        }
    }


def test_a_fact_that_has_to_be_computed_is_an_error_with_its_line():
    with pytest.raises(ValueError, match=r"line 2: facts of an architecture are literals, not \[n for n"):
        registered("\n@MODELS.register('x', scores=[n for n in (1, 2)])\ndef x(): pass\n")


def test_a_form_that_no_one_published_offers_the_nearest():
    assert facts.form_options("fcn", "paper") == facts.model_info("fcn")["forms"]["paper"]
    with pytest.raises(RegistryError, match="model 'fcn' has no form 'papper'; nearest: paper"):
        facts.form_options("fcn", "papper")
