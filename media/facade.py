"""Facades that load a module when one of its names is asked for: importing the package costs nothing."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names live in other modules.

    `modules`: what the facade shows of each module, by the module's full name.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(home), name)

    return load
