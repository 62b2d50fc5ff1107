"""Names to constructors: one table for each role (model, backbone, data set, loss, published network)."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import pkgutil
import typing
from typing import Any, Callable, Dict, List, Mapping, Optional

from mxnetseg.errors import RegistryError, nearest


class Registry:
    """The table of one role. `role` is the word error messages use, such as `model`.

    `package`: its modules register themselves; they are imported when the table is first asked, so that a
    new file in that package is all that a new entry takes.
    """

    def __init__(self, role: str, package: Optional[str] = None):
        self.role = role
        self._package = package
        self._entries: Dict[str, Any] = {}
        self._facts: Dict[str, Dict[str, Any]] = {}

    def register(self, name: str, **facts: Any) -> Callable:
        """Decorator that enters a class or function under `name` with facts to be read by `info`."""

        def enter(constructor):
            if name in self._entries:
                raise ValueError(f"{self.role} {name!r} is registered twice")
            self._entries[name] = constructor
            self._facts[name] = facts
            return constructor

        return enter

    def get(self, name: str) -> Any:
        """The constructor of `name`; RegistryError with the nearest names if there is none."""
        self._fill()
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise RegistryError(self._unknown(name)) from None

    def info(self, name: str) -> Dict[str, Any]:
        """A copy of the facts given at registration, with the name itself under `name`."""
        self.get(name)
        return {"name": name, **self._facts[name]}

    def names(self, pattern: str = "*") -> List[str]:
        """Registered names matching a shell pattern, sorted."""
        self._fill()
        return sorted(n for n in self._entries if fnmatch.fnmatchcase(n, pattern))

    def build(self, name: str, *args: Any, **keywords: Any) -> Any:
        """Call the constructor. RegistryError in one line for a keyword that it does not take (with those it
        takes) and for a value that the keyword's annotation does not allow (with those it allows)."""
        self.check(name, keywords)
        return self.get(name)(*args, **keywords)

    def check(self, name: str, keywords: Mapping[str, Any]) -> None:
        """What `build` finds wrong with keywords, without building anything."""
        check_options(f"{self.role} {name!r}", self.get(name), keywords)

    def _fill(self) -> None:
        if self._package is None:
            return
        name, self._package = self._package, None  # first, as the modules may ask the table themselves
        try:
            package = importlib.import_module(name)
            for module in pkgutil.iter_modules(package.__path__):
                if module.name != "__main__":
                    importlib.import_module(f"{name}.{module.name}")
        except BaseException:
            self._package = name
            raise

    def _unknown(self, name: Any) -> str:
        close = nearest(name, self._entries)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(self.names())}"
        return f"no {self.role} is named {name!r}; {hint}"

    def __contains__(self, name: str) -> bool:
        self._fill()
        return name in self._entries


def check_options(what: str, constructor: Any, options: Mapping[str, Any], given: int = 0) -> None:
    """RegistryError for an option that the constructor of `what` does not take, or whose annotation does not
    allow the value. `given`: how many of its first parameters are no options."""
    accepted = list(inspect.signature(constructor).parameters)[given:]
    hints = _hints(constructor)
    for key, value in options.items():
        if key not in accepted:
            close = nearest(key, accepted) or accepted
            known = f"nearest: {', '.join(close)}" if close else "it takes none"
            raise RegistryError(f"{what} has no option {key!r}; {known}")
        if key in hints and not allows(hints[key], value):
            raise RegistryError(f"{what}: option {key} is {_short(value)}; expected {_described(hints[key])}")


# ----- values against annotations


_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "nothing",
}


def allows(hint: Any, value: Any) -> bool:
    """Whether an annotation allows a value that came from YAML, where tuples are lists and 1 serves as 1.0.

    Annotations that do not describe such values (classes, Any) allow everything, and any annotation what
    YAML cannot hold (a path, an array, an initializer): Python's callers know what they pass.
    """
    if not isinstance(value, (str, int, float, type(None), list, tuple, typing.Mapping)):
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return any(value == a and type(value) is type(a) for a in arguments)
    if origin is typing.Union:
        return any(allows(one, value) for one in arguments)
    if hint is type(None):
        return value is None
    if hint in (bool, str):
        return isinstance(value, hint)
    if hint in (int, float):
        number = (int, float) if hint is float else int
        return isinstance(value, number) and not isinstance(value, bool)
    if isinstance(origin, type) and issubclass(origin, typing.Mapping):
        return isinstance(value, typing.Mapping) and all(allows(arguments[-1], v) for v in value.values())
    if isinstance(origin, type) and issubclass(origin, typing.Sequence):
        return _allows_each(origin, arguments, value)
    return True


def _allows_each(origin: type, arguments: tuple, value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    if origin is tuple and Ellipsis not in arguments:
        return len(value) == len(arguments) and all(map(allows, arguments, value))
    return all(allows(arguments[0], v) for v in value)


def _hints(constructor: Any) -> Dict[str, Any]:
    return typing.get_type_hints(constructor.__init__ if isinstance(constructor, type) else constructor)


def _described(hint: Any) -> str:
    """An annotation in words: `resize or flow`, `a whole number`, `text or nothing`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(str(a) for a in arguments)
    if origin is typing.Union:
        return " or ".join(_described(one) for one in arguments)
    if hint in _WORDS:
        return _WORDS[hint]
    return "a mapping" if isinstance(origin, type) and issubclass(origin, typing.Mapping) else "a list"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
