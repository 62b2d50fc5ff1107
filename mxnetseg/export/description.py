"""What an exported ONNX file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mxnetseg.errors import ExportError
from mxnetseg.recipe import Recipe
from mxnetseg.recipe.load import make_recipe

MARK = "mxnetseg_version"  # metadata that only files of this library have


class Description(NamedTuple):
    """What an ONNX file of this library says of itself."""

    recipe: Recipe
    nclass: int
    argmax: bool
    uint8: bool


def read_description(path: Any, settings: Any = None) -> Description:
    """What an exported file says of itself; ExportError where it is none, damaged, or of another program.

    `settings` win over the recipe in it, as `load_recipe` takes them.
    """
    import onnx

    path = Path(path)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # protobuf's reader has errors of its own
        raise ExportError(f"{path}: not an ONNX file, or cut short") from error
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if MARK not in texts or "recipe" not in texts:
        raise ExportError(
            f"{path}: was not written by `python -m mxnetseg.export` from a checkpoint, so that its classes "
            f"and input are unknown"
        )
    try:
        recipe = make_recipe(yaml.safe_load(texts["recipe"]), settings, str(path))
        form = json.loads(texts["form"])
        return Description(recipe, len(json.loads(texts["classes"])), form["argmax"], form["uint8"])
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ExportError(f"{path}: its metadata cannot be read ({error})") from error
