"""The recipe: everything a run depends on.

A recipe is a YAML file under configs/ (`load`) of typed fields (`fields`), found by model and data set
(`find`) or composed for them (`compose`); what is wrong with one is reported in one line (`explain`). The
resolved recipe is saved beside every checkpoint, so that a checkpoint describes itself. Nothing here imports
MXNet.
"""

from mxnetseg.recipe.fields import Group, Recipe
from mxnetseg.recipe.find import find_recipe
from mxnetseg.recipe.load import load_recipe, make_recipe
from mxnetseg.recipe.values import parse_settings

__all__ = [
    "Group",
    "Recipe",
    "find_recipe",
    "load_recipe",
    "make_recipe",
    "parse_settings",
]
