"""Line 9: the protocol as a state machine, against the real stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from local.account import OWNER, Account
from local.twins.tablestore.server import serving
from local.twins.tablestore.store import Store
from shared.stores.ledger import Ledger, MailRecord
from shared.stores.sqlite.ledger import SqliteLedger
from shared.stores.tablestore.ledger import TablestoreLedger
from shared.stores.tablestore.rows import TABLES
from shared.triggers.context import Credentials, Invocation
from tests.proofs.machine import MailMachine

pytestmark = pytest.mark.stack

SEED = 9
STEPS_OF_EXAMPLE = 50
INSTANCE = "postbus"

Open = Callable[[int], Ledger]


@contextmanager
def sqlite(folder: Path) -> Iterator[Open]:
    """Ledgers in files, one for each example."""
    yield lambda number: SqliteLedger(folder / f"ledger-{number}.db")


@contextmanager
def tablestore(folder: Path) -> Iterator[Open]:
    """Ledgers in the twin, over HTTP; one prefix for each example."""
    store = Store(folder / "twin.db")

    def now() -> int:
        return 0

    key = Credentials(OWNER.id, OWNER.secret)
    with serving(store, Account()) as endpoint:

        def open_ledger(number: int) -> Ledger:
            prefix = f"e{number}_"
            for table in TABLES:
                name = prefix + table.name
                store.ensure_table(INSTANCE, name, table.keys, ttl_seconds=table.ttl_seconds)
            ledger = TablestoreLedger.at(f"{endpoint}/{INSTANCE}?prefix={prefix}")
            ledger.use(Invocation("request", "function", 2**60, key, now))
            return ledger

        yield open_ledger
    store.close()


@pytest.fixture
def quiet() -> Iterator[None]:
    """No log lines: there would be thousands."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


class Careless(SqliteLedger):
    """A ledger that lets an owner settle its mail whatever an event has proven meanwhile."""

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """Ask for the owner only."""
        row = self.get(old.mail_id)
        return row is not None and row.owner == old.owner and super().change(row, new)


def run(machine: type[MailMachine], examples: int, **more: Any) -> None:
    """Run so many examples, always the same."""
    run_state_machine_as_test(
        seed(SEED)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS_OF_EXAMPLE,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            **more,
        ),
    )


@pytest.mark.usefixtures("quiet")
def test_evidence_that_one_call_ignores_is_noticed(tmp_path: Path) -> None:
    """The machine is no ornament: it finds an event lost to the end of the call it came in."""
    counted: Counter[str] = Counter()

    class Machine(MailMachine):
        """The machine over a ledger with that mistake."""

        open_ledger = staticmethod(lambda number: Careless(tmp_path / f"ledger-{number}.db"))
        steps = counted

    with pytest.raises(AssertionError, match="evidence was lost"):
        run(Machine, 100, phases=[Phase.generate])
    print(f"\nmachine: seed {SEED}: ignored evidence found within {counted.total()} steps")


@pytest.mark.usefixtures("quiet")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("place", [sqlite, tablestore])
def test_no_invariant_is_broken(
    place: Callable[[Path], AbstractContextManager[Open]], tmp_path: Path, proving: bool
) -> None:
    """Whatever comes in whatever order: sent once, nothing lost, evidence and ends are kept."""
    # Over HTTP a step takes seven times as long as in a file.
    reduced = 250 if place is tablestore else 1_000
    steps = 10_000 if proving else reduced
    counted: Counter[str] = Counter()
    with place(tmp_path) as opened:

        class Machine(MailMachine):
            """The machine over this store."""

            open_ledger = staticmethod(opened)
            steps = counted

        # Some examples are shorter: so a fifth more of them.
        run(Machine, steps * 6 // (5 * STEPS_OF_EXAMPLE))
    assert counted.total() >= steps
    print(f"\nmachine: seed {SEED}: {place.__name__}: {counted.total()} steps: {dict(counted)}")
