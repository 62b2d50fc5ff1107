"""The recipe: everything a run depends on.

A recipe is a YAML file under configs/ (`load`), found by model and data set (`find`), of typed fields
(`fields`); what is wrong with one is told in one line (`explain`). The resolved recipe is saved beside
every checkpoint, so that a checkpoint describes itself. Nothing here imports MXNet.
"""

from mxnetseg.recipe.fields import Group, Recipe
from mxnetseg.recipe.find import configs_folders, find_recipe
from mxnetseg.recipe.load import load_recipe, make_recipe, parse_overrides

__all__ = [
    "Group",
    "Recipe",
    "configs_folders",
    "find_recipe",
    "load_recipe",
    "make_recipe",
    "parse_overrides",
]
