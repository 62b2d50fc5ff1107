"""What is known of the architectures without loading them: MXNet takes a second to import, names do not.

The facts stand beside the network, as literals in `@MODELS.register("name", ...)` of models/<paper>.py or in
literals of that file which the call names (`forms=FORMS`). They are read from the source; once the networks
themselves are loaded, from their registry.
"""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path
from typing import Any, Dict, List

from mxnetseg.errors import RegistryError, nearest
from mxnetseg.registry import Registry

_MODELS = Path(__file__).with_name("models")


def list_models(pattern: str = "*") -> List[str]:
    """Names of the architectures that match a shell pattern, sorted."""
    return _models().names(pattern)


def model_info(name: str) -> Dict[str, Any]:
    """Facts of an architecture: name, paper, year, link, default backbone, published scores, and under
    `forms` {form: {option: value}}. RegistryError with the nearest names for one that there is not."""
    facts = _models().info(name)
    return {**facts, "forms": {"paper": {}, **facts.get("forms", {})}}


def form_options(name: str, form: str = "paper") -> Dict[str, Any]:
    """A copy of the options of a published form of an architecture; RegistryError with the nearest forms."""
    forms = model_info(name)["forms"]
    if form not in forms:
        close = nearest(form, forms) or list(forms)
        raise RegistryError(f"model {name!r} has no form {form!r}; nearest: {', '.join(close)}")
    return dict(forms[form])


def default_backbone(name: str, form: str = "paper") -> str:
    """The backbone that a form of an architecture has where none is named."""
    return form_options(name, form).get("backbone") or model_info(name)["backbone"]


def _models() -> Registry:
    loaded = sys.modules.get("mxnetseg.models.base")
    # While that module is itself being imported it has no registry yet.
    return getattr(loaded, "MODELS", None) or facts_of_source()


@functools.cache
def facts_of_source() -> Registry:
    """The facts of every architecture as its file states them; the constructors are None."""
    found = Registry("model")
    for file in sorted(_MODELS.glob("*.py")):
        for name, facts in _registrations(ast.parse(file.read_bytes(), file.name)):
            found.register(name, **facts)(None)
    return found


def _registrations(tree: ast.Module):
    known: Dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                known[node.targets[0].id] = _value(node.value, known)
            except ValueError:
                pass  # not a literal; an error only where facts need it
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "MODELS.register":
                facts = {word.arg: _value(word.value, known) for word in decorator.keywords}
                yield _value(decorator.args[0], known), facts


def _value(node: ast.expr, known: Dict[str, Any]) -> Any:
    """The value of a literal, which `dict(a=1)`, merged dictionaries and names of literals are too."""
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(one, known) for one in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict):
        result: Dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values):
            result.update(_value(value, known) if key is None else {_value(key, known): _value(value, known)})
        return result
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        result = dict(*(_value(one, known) for one in node.args))
        for word in node.keywords:
            result.update({word.arg: _value(word.value, known)} if word.arg else _value(word.value, known))
        return result
    try:
        return ast.literal_eval(node)
    except ValueError:
        what = ast.unparse(node)
        raise ValueError(f"line {node.lineno}: facts of an architecture are literals, not {what}") from None
