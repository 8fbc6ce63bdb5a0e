"""Dataclasses that are quick to define: most of what an instance holds when it is ready is values.

Python writes each method of a dataclass as a text and compiles it, for a frozen one six, which
takes 0.5 to 0.7 ms for each class at every cold start. The constructor is left to Python here; the
other methods are the same functions for all classes. What comes out is a dataclass all the same
(`fields`, `replace`, `asdict`, `match`), and behaves like one of `dataclasses`, which is also what
a type checker takes it for. docs/cold-start.md has the figures, tests/test_values.py compares.

Making an object of such a frozen class is slower, each field passes a guard in Python. What is
made several times for each mail (`MailRecord`, `Letter`, `OutgoingMail`, `Result`) is therefore one
of `dataclasses`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414  # exported to type checkers
else:

    def dataclass(cls: type[T] | None = None, /, *, frozen: bool = False) -> Any:
        """Make a class a dataclass, like `dataclasses.dataclass`.

        Args:
            cls: the class, where the decorator has no arguments.
            frozen: whether its objects never change; they can be hashed then.
        """
        return _made(cls, frozen) if cls else lambda cls: _made(cls, frozen)


def _made(cls: type[T], frozen: bool) -> type[T]:  # noqa: FBT001  # the decorator's argument
    methods: dict[str, Callable[..., object] | None] = {"__eq__": _eq, "__repr__": _repr}
    methods |= (
        {"__hash__": _hash, "__setattr__": _set_once, "__delattr__": _delete}
        if frozen
        else {"__hash__": None}
    )
    for name, method in methods.items():
        # Python sets `__hash__` to None by itself, in a class that has its own `__eq__`.
        if name not in vars(cls) or (name == "__hash__" and vars(cls)[name] is None):
            setattr(cls, name, method)
    return dataclasses.dataclass(eq=False, repr=False)(cls)


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, field.name) for field in dataclasses.fields(value) if field.compare)


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _compared(self) == _compared(other)


def _hash(self: Any) -> int:
    return hash(_compared(self))


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (field.name for field in dataclasses.fields(self) if field.repr)
    inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{self.__class__.__qualname__}({inside})"


def _set_once(self: Any, name: str, value: object) -> None:
    """The constructor sets each field, nobody anything afterwards."""
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r} of {self.__class__.__qualname__}")
