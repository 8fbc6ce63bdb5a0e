"""Modules that wait: absent after an SDK is loaded, and real at their first use."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

Run = Callable[[str], list[str]]

# A small SDK: what SDKs do at import with modules that they may never use.
SDK = {
    "heavy/__init__.py": "print('heavy')\nfrom heavy.sub import Base, work\nNUMBER = 7\n",
    "heavy/sub.py": "class Base:\n    kind = 'real'\ndef work(x): return x + 1\n",
    "sdk/__init__.py": "",
    "sdk/client.py": """
        from typing import Optional, Union
        import heavy
        import heavy.sub as sub
        from heavy import Base
        from heavy.sub import work

        def typed(given: Union[heavy.Base, None], other: Optional[Base] = None): ...

        class Client:
            def number(self): return heavy.NUMBER
            def call(self): return work(1) + sub.work(1)
            def is_base(self, value): return isinstance(value, Base)
            def derived(self):
                class Derived(Base): ...
                return Derived
    """,
    "sdk/eager.py": "import heavy\nVALUE = heavy.work(6)\n",
    "sdk/broken.py": "import heavy\nOK = len(heavy.__file__) > 0\n",
    "sdk/models/__init__.py": "from ._one import One\nfrom ._two import Two\n",
    "sdk/models/_one.py": "print('one')\nclass One: ...\n",
    "sdk/models/_two.py": "print('two')\nclass Two: ...\n",
    "sdk/busy/__init__.py": "from .client import Client\nimport json\n",
    "sdk/busy/client.py": "class Client: ...\n",
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program in a fresh process that finds the small SDK; gives what it printed."""
    for path, text in SDK.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(textwrap.dedent(text))

    def run(program: str) -> list[str]:
        head = "import sys\nfrom shared.sdk_loading import load, load_lazily\n"
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-W", "ignore", "-c", head + textwrap.dedent(program)],
            env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_a_waiting_module_is_not_imported_and_leaves_no_stand_in(run: Run) -> None:
    """After loading, the module is neither there nor represented; the next import is a real one."""
    printed = run(
        """
        load("sdk.client", without={"heavy"})
        print([name for name in sys.modules if name.startswith("heavy")], len(sys.meta_path))
        import heavy
        print(type(heavy).__name__, heavy.NUMBER)
        """
    )
    assert printed[0] == "[]"
    assert printed[2:] == ["heavy", "module", "7"]


@pytest.mark.parametrize(
    ("use", "result"),
    [
        ("client.number()", "7"),
        ("client.call()", "4"),
        ("client.is_base(1)", "False"),
        ("client.derived().kind", "real"),
        ("__import__('sdk.client').client.Base().kind", "real"),
        ("__import__('sdk.client').client.Base.kind", "real"),
        ("issubclass(bool, __import__('sdk.client').client.Base)", "False"),
    ],
)
def test_the_first_use_is_a_use_of_the_real_thing(run: Run, use: str, result: str) -> None:
    """Attributes, calls, subclasses and type checks reach the module, which is imported then."""
    printed = run(
        f"""
        client = load("sdk.client", without={{"heavy"}}).Client()
        print("before")
        print({use})
        """
    )
    assert printed == ["before", "heavy", result]


def test_a_module_that_is_used_at_import_is_imported_then(run: Run) -> None:
    """A function that is called at once is the real one."""
    assert run('print(load("sdk.eager", without={"heavy"}).VALUE)') == ["heavy", "7"]


def test_an_sdk_that_does_not_come_up_is_imported_plainly(run: Run) -> None:
    """Whatever a stand-in breaks, the plain import mends."""
    assert run('print(load("sdk.broken", without={"heavy"}).OK)') == ["heavy", "True"]


def test_a_module_that_is_there_already_is_left_alone(run: Run) -> None:
    """What was imported before stays what it was, during the loading and after."""
    printed = run(
        """
        import heavy
        client = load("sdk.client", without={"heavy"})
        print(client.heavy is heavy, sys.modules["heavy"] is heavy, client.Base is heavy.Base)
        """
    )
    assert printed == ["heavy", "True", "True", "True"]


def test_what_is_missing_is_told_at_its_first_use(run: Run) -> None:
    """A package without the waiting module loads; using it says which module is missing."""
    printed = run(
        """
        import os, shutil
        shutil.rmtree("heavy")
        client = load("sdk.client", without={"heavy"}).Client()
        try:
            client.number()
        except ModuleNotFoundError as error:
            print(error.name)
        """
    )
    assert printed == ["heavy"]


def test_classes_of_a_package_are_imported_one_by_one(run: Run) -> None:
    """Asking for a class imports its module and no other; the package looks as it did."""
    printed = run(
        """
        models = load_lazily("sdk.models")
        print("loaded", sorted(models.__all__) == ["One", "Two"], "One" in dir(models))
        print(models.Two.__module__)
        from sdk.models import One
        import pickle
        print(pickle.loads(pickle.dumps(One)) is models.One, hasattr(models, "Three"))
        """
    )
    assert printed == ["loaded", "True", "True", "two", "sdk.models._two", "one", "True", "False"]


def test_a_package_that_does_more_is_imported_plainly(run: Run) -> None:
    """Only a list of imports is taken for one."""
    assert run('print(load_lazily("sdk.busy").json.__name__)') == ["json"]
