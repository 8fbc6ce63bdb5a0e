"""A root of its own for proofs: the parts that `shared/wiring` makes, and adapters that kill.

    python tests/proofs/worker.py PLAN.json

It stands where Function Compute stands: so many instances, each a process that takes a batch from
a queue over HTTP, hands it to the function's use case, and deletes it when that returns. An
instance that dies is replaced; its messages come back by their visibility. Instances are forked,
so that a death costs milliseconds and a proof can have hundreds.

The plan: instances, batch, timeout (seconds of an invocation),
notes (a folder), kills (mail id -> the points where its process dies, one after the other).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mns.account import Account
from mns.mns_exception import MNSExceptionBase
from mns.queue import Queue

from shared.app import App, build_consumer
from shared.sending.answers import Accepted, Answer
from shared.sending.compose import OutgoingMail
from shared.sending.identity import HEADER, read_token
from shared.sending.letters import Letter
from shared.sending.mailer import Mailer
from shared.sending.results import Carrier, Result
from shared.stores.ledger import MailRecord
from shared.triggers.context import Invocation
from shared.triggers.queue import read_queue_event

# So long a call is under way when the process is to die in it: the twin has the request by then.
MID_CALL_SECONDS = 0.6


@dataclass(frozen=True)
class Kills:
    """Where processes die: at each point once, whichever instance comes by.

    Args:
        plan: mail id -> points, in the order in which they are due.
        notes: keeps a mark for each death, so that no later process dies there again.
    """

    plan: dict[str, list[str]]
    notes: Path

    def due(self, mail_id: str, point: str) -> bool:
        """Whether that mail's next death is here; if so, it is marked as died."""
        points = self.plan.get(mail_id, ())
        done = sum((self.notes / f"{mail_id}.{n}").exists() for n in range(len(points)))
        if done == len(points) or points[done] != point:
            return False
        with contextlib.suppress(FileExistsError):
            (self.notes / f"{mail_id}.{done}").touch(exist_ok=False)
            return True
        return False

    def at(self, mail_id: str, point: str) -> None:
        """Die here, if it is due."""
        if self.due(mail_id, point):
            die()


def die() -> None:
    """Kill -9 to this process, by itself."""
    os.kill(os.getpid(), signal.SIGKILL)


class KillingLedger:
    """A ledger around which processes die.

    Points: before-claim, after-claim, before-release, after-release, before-save, after-save.
    """

    def __init__(self, inner: Any, kills: Kills) -> None:
        self._inner = inner
        self._kills = kills

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real ledger's."""
        return getattr(self._inner, name)

    def create(self, record: MailRecord) -> bool:
        """See `Ledger.create`."""
        return self._around(record, "claim", lambda: self._inner.create(record))

    def change(self, old: MailRecord, new: MailRecord) -> bool:
        """See `Ledger.change`."""
        what = "claim" if new.state == "sending" else "release"
        return self._around(new, what, lambda: self._inner.change(old, new))

    def prove(self, mail_id: str, **proof: Any) -> MailRecord | None:
        """See `Ledger.prove`."""
        self._kills.at(mail_id, "before-save")
        row: MailRecord | None = self._inner.prove(mail_id, **proof)
        self._kills.at(mail_id, "after-save")
        return row

    def _around(self, record: MailRecord, what: str, work: Callable[[], bool]) -> bool:
        self._kills.at(record.mail_id, f"before-{what}")
        done = work()
        self._kills.at(record.mail_id, f"after-{what}")
        return done


class KillingProvider:
    """A provider in whose calls processes die. Points: mid-call, after-accept."""

    def __init__(self, inner: Any, kills: Kills) -> None:
        self._inner = inner
        self._kills = kills

    def send(self, mail: OutgoingMail, call: Invocation, timeout: int) -> Answer:
        """See `Provider.send`."""
        token = read_token(dict(mail.headers)[HEADER])
        mail_id = token.mail_id if token else ""
        if self._kills.due(mail_id, "mid-call"):
            threading.Timer(MID_CALL_SECONDS, die).start()
        answer: Answer = self._inner.send(mail, call, timeout)
        if isinstance(answer, Accepted):
            self._kills.at(mail_id, "after-accept")
        return answer


class NotingMailer(Mailer):
    """A mailer that writes down what each delivery was told."""

    note: Callable[[dict[str, Any]], None] = staticmethod(lambda _note: None)

    def attempt(
        self,
        letter: Letter,
        call: Invocation,
        carrier: Carrier = "queue",
        outgoing: OutgoingMail | None = None,
        *,
        new: bool = False,
    ) -> Result:
        """See `Mailer.attempt`."""
        result = super().attempt(letter, call, carrier, outgoing, new=new)
        row = result.record
        type(self).note(
            {
                "told": result.kind,
                "key": letter.key,
                "envelope_id": row.envelope_id if row else None,
            }
        )
        return result


class Notes:
    """A file of JSON lines for each process; a line that was written outlives the process."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        self._file = os.open(folder / f"notes-{os.getpid()}.jsonl", flags)

    def write(self, note: dict[str, Any]) -> None:
        """Add a line."""
        os.write(self._file, json.dumps(note).encode() + b"\n")


def build(plan: dict[str, Any], notes: Notes) -> App[Any]:
    """The app of `send_mail`, in which a process dies where the plan says."""
    app = build_consumer()
    mailer, kills = app.use.mailer, Kills(plan["kills"], Path(plan["notes"]))
    NotingMailer.note = staticmethod(notes.write)
    noting = NotingMailer(
        KillingLedger(mailer.ledger, kills),
        KillingProvider(mailer.provider, kills),
        mailer.policy,
        mailer.new_owner,
        mailer.grace,
        mailer.pacer,
        mailer.lag,
    )
    # Never a delay by chance: what is throttled comes back after the shortest time.
    return replace(app, use=replace(app.use, mailer=noting, chance=lambda: 0.0))


def serve(plan: dict[str, Any]) -> None:
    """Be one instance, until killed."""
    notes = Notes(Path(plan["notes"]))
    app = build(plan, notes)
    queue = open_queue(os.environ["POSTBUS_MAILS_QUEUE"])
    function = SimpleNamespace(name="send-mail", timeout=plan["timeout"])
    while True:
        try:
            messages = queue.batch_receive_message(plan["batch"], 1)
        except (MNSExceptionBase, OSError):  # nothing there, or nobody
            time.sleep(0.05)
            continue
        bodies = [message.message_body for message in messages]
        for body in bodies:
            notes.write({"received": key_of(body)})
        call = app.begin(SimpleNamespace(request_id="proof", function=function))
        signal.alarm(plan["timeout"] + 1)  # as the platform ends a function
        try:
            work(app, messages, call)
        except Exception as error:  # noqa: BLE001  # a function that fails: its batch comes again
            print("failed:", repr(error), flush=True)
            continue
        finally:
            signal.alarm(0)
        with contextlib.suppress(MNSExceptionBase, OSError):
            queue.batch_delete_message([message.receipt_handle for message in messages])


def work(app: App[Any], messages: Sequence[Any], call: Invocation) -> None:
    """What the door of the function does."""
    elements = [
        {"data": {"messageId": each.message_id, "messageBody": text_of(each.message_body)}}
        for each in messages
    ]
    event = json.dumps(elements).encode()
    app.use.settle_all(read_queue_event(event), call)


def text_of(body: bytes | str) -> str:
    """A body as the trigger gives it: text."""
    return body.decode() if isinstance(body, bytes) else body


def key_of(body: bytes | str) -> str:
    """The key of a letter; of another message, nothing."""
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    return str(document.get("key", "")) if isinstance(document, dict) else ""


def open_queue(name: str) -> Queue:
    """The queue, through the official SDK."""
    account = Account(
        os.environ["POSTBUS_SMQ_ENDPOINT"],
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
        "",
    )
    queue = account.get_queue(name)
    queue.set_encoding(True)
    return queue


def supervise(plan: dict[str, Any]) -> None:
    """Keep so many instances alive."""
    import alibabacloud_dm20151123.client  # noqa: F401, PLC0415  # before the forks: once for all

    def start() -> None:
        if os.fork() == 0:
            try:
                serve(plan)
            finally:
                os._exit(1)

    for _ in range(plan["instances"]):
        start()
    while True:
        os.wait()
        start()


if __name__ == "__main__":
    supervise(json.loads(Path(sys.argv[1]).read_text()))
