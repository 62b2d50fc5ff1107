"""Names to constructors: one table for each role (model, backbone, data set, loss)."""

from __future__ import annotations

import fnmatch
import inspect

from mxnetseg.errors import RegistryError, nearest


class Registry:
    """The table of one role. `role` is the word error messages use, such as `model`."""

    def __init__(self, role):
        self.role = role
        self._entries = {}
        self._facts = {}

    def register(self, name, **facts):
        """Decorator that enters a class or function under `name` with facts to be read by `info`."""

        def enter(constructor):
            if name in self._entries:
                raise ValueError(f"{self.role} {name!r} is registered twice")
            self._entries[name] = constructor
            self._facts[name] = facts
            return constructor

        return enter

    def get(self, name):
        """The constructor of `name`; RegistryError with the nearest names if there is none."""
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise RegistryError(self._unknown(name)) from None

    def info(self, name):
        """A copy of the facts given at registration, with the name itself under `name`."""
        self.get(name)
        return {"name": name, **self._facts[name]}

    def names(self, pattern="*"):
        """Registered names matching a shell pattern, sorted."""
        return sorted(n for n in self._entries if fnmatch.fnmatchcase(n, pattern))

    def build(self, name, *args, **keywords):
        """Call the constructor; a keyword that it does not take is a RegistryError naming those it takes."""
        constructor = self.get(name)
        accepted = inspect.signature(constructor).parameters
        for key in keywords:
            if key not in accepted:
                close = nearest(key, accepted) or list(accepted)
                raise RegistryError(
                    f"{self.role} {name!r} has no option {key!r}; nearest: {', '.join(close)}"
                )
        return constructor(*args, **keywords)

    def _unknown(self, name):
        close = nearest(name, self._entries)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(self.names())}"
        return f"no {self.role} is named {name!r}; {hint}"

    def __contains__(self, name):
        return name in self._entries
