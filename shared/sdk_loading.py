"""SDKs imported without the parts that no mail needs, each of which arrives when it is used.

Most of a cold start is the import of what an SDK could do: an asynchronous client (aiohttp), a
scheduler for credentials that renew themselves (APScheduler), RSA signatures (cryptography), 240
request models. `load` imports an SDK while such modules have stand-ins:

    load("sdk.client", without={"aiohttp"})
        sdk/client.py:  import aiohttp                     the stand-in; nothing is loaded
                        from aiohttp import ClientSession  a stand-in for the name
    later, in a call:   aiohttp.TCPConnector(...)          now the real aiohttp is imported

Stand-ins are in `sys.modules` only while `load` runs. Afterwards an import, anywhere, is a normal
one, and only the SDK's own globals still hold stand-ins, which hand over to the real thing at
their first use. Where an SDK does not come up with stand-ins, it is imported plainly.

What a stand-in cannot be is a value: a constant of a waiting module that an SDK keeps at import
would stay a stand-in. So a module waits only if nothing but its classes and functions is taken from
it, and tests/cloud/test_sdk_features.py uses for real whatever waits, at each version of the SDKs.

To be used before threads start: until `load` returns, every import in the process meets the
stand-ins. A module that is there already is left alone.
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any


def load(name: str, *, without: Collection[str]) -> ModuleType:
    """Import a module, and whatever it imports, with stand-ins for some modules.

    Args:
        name: the module's full name.
        without: full names of the modules that wait for their first use, each with its
            submodules; those that are loaded already are used as they are.

    Raises:
        ImportError: it cannot be imported, with stand-ins or plainly.
    """
    if name in sys.modules:
        return sys.modules[name]
    with warnings.catch_warnings():
        # What an SDK warns of at import (its own syntax; the absence of what waits) helps nobody.
        warnings.simplefilter("ignore")
        try:
            with _stand_ins(without):
                return importlib.import_module(name)
        except Exception:  # noqa: BLE001  # whatever went wrong, the plain import tells it better
            return importlib.import_module(name)


def load_lazily(name: str) -> ModuleType:
    """Import a package that only gathers classes, so that each class is imported when asked for.

    Made for the models of a generated SDK: `__init__.py` is a list of `from .<module> import
    <class>`. A package that looks different is imported plainly.

    Args:
        name: the package's full name; its parent is imported.
    """
    if name in sys.modules:
        return sys.modules[name]
    parent = importlib.import_module(name.rpartition(".")[0])
    spec = PathFinder.find_spec(name, parent.__path__)
    index = _classes_of(spec) if spec else {}
    if not spec or not index:
        return importlib.import_module(name)
    package = _Gathering(name, spec, index)
    sys.modules[name] = package
    setattr(parent, name.rpartition(".")[2], package)
    return package


@contextmanager
def _stand_ins(names: Collection[str]) -> Iterator[None]:
    finder = _Finder(names)
    # A log record looks for asyncio in `sys.modules`, and would find a stand-in there.
    tasks = getattr(logging, "logAsyncioTasks", True)
    setattr(logging, "logAsyncioTasks", False)  # noqa: B010  # Python 3.10 and 3.11 have it not
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        setattr(logging, "logAsyncioTasks", tasks)  # noqa: B010  # likewise
        for name in list(names):
            finder.withdraw(name)


class _Finder:
    """Finds a stand-in for each of these modules and all below them. It is its own loader."""

    def __init__(self, names: Collection[str]) -> None:
        self._waiting = set(names)
        self._made: list[str] = []

    def waiting(self, name: str) -> str | None:
        """The one of the waiting modules that this one is, or is below."""
        while name and name not in self._waiting:
            name = name.rpartition(".")[0]
        return name or None

    def withdraw(self, waiting: str) -> None:
        """From now on a module and all below it are imported for real."""
        self._waiting.discard(waiting)
        for name in self._made:
            if f"{name}.".startswith(f"{waiting}.") and isinstance(sys.modules.get(name), _Module):
                del sys.modules[name]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of what the import system asks of a finder."""
        del path, target
        if not self.waiting(name) or ".__" in name:
            return None
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]  # a loader by shape

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Part of what the import system asks of a loader."""
        self._made.append(spec.name)
        return _Module(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


class _Module(ModuleType):
    """Stands in for a module: its names stand in too while it waits, then it hands over."""

    def __init__(self, name: str, finder: _Finder) -> None:
        super().__init__(name)
        self.__dict__["_finder"] = finder

    def __getattr__(self, name: str) -> Any:
        if not self._waits():
            return getattr(self._real(), name)
        if name.startswith("__"):  # asked by the import system and by `typing`, never for use
            raise AttributeError(name)
        return _Name(self, name)

    def _waits(self) -> bool:
        finder: _Finder = self.__dict__["_finder"]
        return finder.waiting(self.__name__) is not None

    def _real(self) -> ModuleType:
        finder: _Finder = self.__dict__["_finder"]
        if waiting := finder.waiting(self.__name__):  # used while the SDK is being imported
            finder.withdraw(waiting)
        return importlib.import_module(self.__name__)


class _Name:
    """Stands in for a class or function: whatever is done with it is done with the real one."""

    def __init__(self, module: _Module, name: str) -> None:
        self.__module = module
        self.__name = name

    def __real(self) -> Any:
        return getattr(self.__module._real(), self.__name)  # noqa: SLF001  # of this file

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and self.__module._waits():  # noqa: SLF001  # as above
            raise AttributeError(name)
        return getattr(self.__real(), name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.__real(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self.__real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.__real())


class _Gathering(ModuleType):
    """A package whose classes are imported from its modules when they are asked for."""

    def __init__(self, name: str, spec: ModuleSpec, index: dict[str, str]) -> None:
        super().__init__(name, "Classes that are imported when they are asked for.")
        self.__spec__ = spec
        self.__loader__ = spec.loader
        self.__file__ = spec.origin
        self.__package__ = name
        self.__path__ = list(spec.submodule_search_locations or ())
        self.__all__ = list(index)
        self.__dict__["_index"] = index

    def __getattr__(self, name: str) -> Any:
        module = self.__dict__.get("_index", {}).get(name)
        if module is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{self.__name__}.{module}"), name)
        self.__dict__[name] = found
        return found

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.__all__})


_FROM = re.compile(r"^from \.(\w+) import (\w+)$", re.MULTILINE)
_IMPORT = re.compile(r"^\s*(?:from|import)\b", re.MULTILINE)
_FUTURE = "from __future__ import annotations"


def _classes_of(spec: ModuleSpec) -> dict[str, str]:
    """Class -> module of a package that only gathers; nothing of one that does more."""
    try:
        text = Path(spec.origin or "").read_text(encoding="utf-8").replace(_FUTURE, "")
    except OSError:
        return {}
    index = {name: module for module, name in _FROM.findall(text)}
    return index if len(index) == len(_IMPORT.findall(text)) else {}
