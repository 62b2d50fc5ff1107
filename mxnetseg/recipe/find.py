"""Finding the recipe of a model on a data set under configs/."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional

from mxnetseg.errors import ConfigError, nearest

PACKAGE = Path(__file__).resolve().parents[1]


def configs_folders() -> List[Path]:
    """Where recipes are looked for: in the installed package, in the checkout, in the current folder."""
    folders = [PACKAGE / "configs", PACKAGE.parent / "configs", Path.cwd() / "configs"]
    seen, unique = set(), []
    for folder in folders:
        if folder.is_dir() and folder.resolve() not in seen:
            seen.add(folder.resolve())
            unique.append(folder)
    return unique


def find_recipe(model: str, backbone: Optional[str] = None, dataset: str = "cityscapes"):
    """(file, overrides, notes) of the recipe for a model on a data set.

    The file is configs/<model>/<backbone>_<dataset>.yaml. Where a backbone is asked for that has no file of
    its own the model's recipe with another backbone serves with the backbone replaced; where the
    model has none at all for this data set, configs/_base_/<dataset>.yaml with the model put in. Both are
    said in the notes. Without a backbone the recipe with the architecture's default one is preferred.
    """
    files = _recipes_of(model)
    wanted = [backbone] if backbone else [_default_backbone(model)]
    for name in wanted:
        if name and f"{name}_{dataset}" in files:
            return files[f"{name}_{dataset}"], {}, []
    others = sorted(stem for stem in files if stem.endswith(f"_{dataset}"))
    if others and not backbone:
        return files[others[0]], {}, []
    if others:
        note = f"no recipe {model}/{backbone}_{dataset}.yaml: using {others[0]}.yaml with backbone {backbone}"
        return files[others[0]], {"model.backbone": backbone}, [note]
    for folder in configs_folders():
        general = folder / "_base_" / f"{dataset}.yaml"
        if general.is_file():
            note = f"no recipe of {model} for {dataset}: using the data set's general one, {general.name}"
            overrides = {"model.name": model}
            if backbone:
                overrides["model.backbone"] = backbone
            return general, overrides, [note]
    raise ConfigError(_no_recipe(model, backbone, dataset, files))


def _recipes_of(model: str) -> Dict[str, Path]:
    files: Dict[str, Path] = {}
    for folder in configs_folders():
        for file in sorted((folder / model).glob("*.yaml")):
            files.setdefault(file.stem, file)
    return files


def _no_recipe(model, backbone, dataset, files) -> str:
    from mxnetseg.data import list_datasets

    folders = configs_folders()
    if not folders:
        return "no configs folder found beside the package or here: give a recipe with --recipe FILE"
    wanted = f"{model}/{backbone or '<backbone>'}_{dataset}.yaml"
    if dataset not in list_datasets():
        close = nearest(dataset, list_datasets()) or list_datasets()
        return f"no data set is named {dataset!r}; did you mean {' or '.join(close)}?"
    have = ", ".join(sorted(files)) or "none"
    return f"no recipe configs/{wanted} (recipes of {model}: {have}): give one with --recipe FILE"


def _default_backbone(model: str) -> Optional[str]:
    from mxnetseg.models import model_info

    return model_info(model).get("backbone")
