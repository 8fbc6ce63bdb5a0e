"""Values behave as dataclasses of Python's own do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from functools import cached_property
from typing import Any

import pytest

from shared import values


class Fields:
    """What both kinds are made of."""

    name: str
    key: str = dataclasses.field(default="k", repr=False)
    noted: int = dataclasses.field(default=0, compare=False)
    more: dict[str, int] | None = None

    @cached_property
    def length(self) -> int:
        """Something that is computed once."""
        return len(self.name)


@values.dataclass(frozen=True)
class Ours(Fields):
    """Made by us."""

    name: str
    key: str = dataclasses.field(default="k", repr=False)
    noted: int = dataclasses.field(default=0, compare=False)
    more: dict[str, int] | None = None


@dataclasses.dataclass(frozen=True)
class Theirs(Fields):
    """Made by Python."""

    name: str
    key: str = dataclasses.field(default="k", repr=False)
    noted: int = dataclasses.field(default=0, compare=False)
    more: dict[str, int] | None = None


@values.dataclass
class Changing:
    """One that is not frozen."""

    count: int = 0


KINDS = pytest.mark.parametrize("kind", [Ours, Theirs])


@KINDS
def test_values_are_equal_where_what_is_compared_is(kind: Any) -> None:
    """The same fields, of the same class; a field that is not compared makes no difference."""
    assert kind("a", "b") == kind("a", "b", noted=1)
    assert kind("a") != kind("b")
    assert kind("a") != kind("a", "other")
    theirs: object = Theirs("a")
    assert Ours("a") != theirs
    assert kind("a").__eq__("a") is NotImplemented


@KINDS
def test_values_can_be_keys(kind: Any) -> None:
    """Equal values have one hash; one with something inside that has none has none either."""
    assert {kind("a"): 1}[kind("a", noted=5)] == 1
    assert hash(kind("a")) == hash(kind("a", noted=5)) != hash(kind("b"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(kind("a", more={}))


@KINDS
def test_a_value_shows_its_fields_without_secrets(kind: Any) -> None:
    """In order, by name; never a field that is not to be shown; also one that holds itself."""
    assert repr(kind("a", "secret")) == f"{kind.__name__}(name='a', noted=0, more=None)"
    more: dict[str, Any] = {}
    more["me"] = round_ = kind("a", more=more)
    assert repr(round_).endswith("more={'me': ...})")


@KINDS
@pytest.mark.parametrize("name", ["name", "length", "unheard_of"])
def test_a_frozen_value_stays_as_it_is(kind: Any, name: str) -> None:
    """No field can be set or deleted, and nothing added; a property that is kept is still kept."""
    value = kind("abc")
    assert (value.length, vars(value)["length"]) == (3, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, "other")
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(value, name)
    assert value == kind("abc")


@KINDS
def test_a_value_is_a_dataclass(kind: Any) -> None:
    """It can be replaced, told as a dictionary, matched, copied and pickled."""
    value = kind("a", more={"b": 1})
    assert dataclasses.replace(value, name="c") == kind("c", more={"b": 1})
    assert list(dataclasses.asdict(value)) == ["name", "key", "noted", "more"]
    assert kind.__match_args__ == ("name", "key", "noted", "more")
    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value  # noqa: S301  # our own
    with pytest.raises(TypeError, match="required positional argument"):
        kind()


def test_what_is_not_frozen_can_change_and_has_no_hash() -> None:
    """As with Python's own."""
    value = Changing()
    value.count += 1
    assert value == Changing(1)
    assert repr(value) == "Changing(count=1)"
    with pytest.raises(TypeError, match="unhashable"):
        hash(value)


def test_a_class_keeps_the_methods_that_it_has() -> None:
    """A class that says itself what is equal is asked."""

    @values.dataclass(frozen=True)
    class Same:  # noqa: PLW1641  # its hash is what the decorator makes
        number: int

        def __eq__(self, other: object) -> bool:
            return True

    assert Same(1) == 2
    assert hash(Same(1)) == hash((1,))
