"""What a person decides: redrive dead letters, list and resolve mails whose outcome is unknown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from mns.account import Account
from mns.mns_exception import MNSServerException
from mns.queue import Message, Queue
from rich.progress import Progress

from local.account import OWNER
from local.cli import show
from local.cli.client import Client
from local.cli.exits import USAGE, CommandError
from local.cli.options import URL, Json, Url
from local.cli.redrive_events import redrive_events
from shared.sending.claims import KEEP
from shared.sending.identity import mail_id_of
from shared.sending.redrive import DeadLetter, read_dead_letter
from shared.stores.ledger import MailRecord
from shared.stores.sqlite.ledger import SqliteLedger
from shared.times import rfc3339

LISTED_MAX = 1_000
BATCH = 16

State = Annotated[
    Path, typer.Option(envvar="POSTBUS_STATE", help="The folder that keeps the ledger.")
]

unknown = typer.Typer(no_args_is_help=True, help="Mails whose outcome is not known.")


@dataclass(frozen=True)
class Received:
    """A dead letter that was taken from its queue, and how to take it for good."""

    message_id: str
    handle: str
    body: str
    letter: DeadLetter


class DeadQueue:
    """The dead-letter queue of mails and the queue that its letters go back to.

    Args:
        url: SMQ's endpoint.
    """

    def __init__(self, url: str) -> None:
        client = Client(url)
        self._account = Account(url, OWNER.id, OWNER.secret, "")
        self._dead: Queue = self._account.get_queue(client.name_of("queues", "mails-dead"))
        self._mails: Queue = self._account.get_queue(client.name_of("queues", "mails"))
        self._taken: list[str] = []
        self.waiting = client.get("/_local/status")["queues"][self._dead.queue_name]["visible"]

    def letters(self) -> Iterator[Received]:
        """Take letters until there are none; those that are not put back stay."""
        for _ in range(-(-self.waiting // BATCH) + 1):
            try:
                messages = self._dead.batch_receive_message(BATCH, 0)
            except MNSServerException as error:
                if error.type != "MessageNotExist":
                    raise CommandError(f"SMQ: {error.type}: {error.message}") from None
                return
            for message in messages:
                body: bytes = message.message_body  # the SDK has undone base64
                letter = read_dead_letter(
                    body,
                    message_id=message.message_id,
                    now=now_ms(),
                    keep=KEEP,
                )
                self._taken.append(message.receipt_handle)
                yield Received(message.message_id, message.receipt_handle, body.decode(), letter)

    def put_back(self, received: Received) -> None:
        """Put it on the mail queue first: dying between the two leaves a copy, not a loss."""
        letter = received.letter.letter
        # In its envelope, so that a bare request keeps the key that it has here.
        self._mails.send_message(Message(letter.body() if letter else received.body))
        self._dead.delete_message(received.handle)
        self._taken.remove(received.handle)

    def close(self) -> None:
        """Let the letters that stay be seen again, and close the connection."""
        for handle in self._taken:
            with suppress(MNSServerException):  # it is to be seen again already
                self._dead.change_message_visibility(handle, 1)
        self._account.mns_client.close_connection()


def now_ms() -> int:
    """The time, in ms since 1970."""
    return time.time_ns() // 1_000_000


def redrive(
    only: Annotated[
        str | None, typer.Option(help="Only letters in this state: parked, held or failed.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only the mail with this key.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go back, and put nothing back.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also letters older than the ledger's records (45 days), and bare requests "
            "without a key: the ledger would not know them again.",
        ),
    ] = False,
    events: Annotated[
        bool,
        typer.Option(
            "--events",
            help="Instead of mails: events that a topic or queue did not take for too long, or "
            "that nobody could handle.",
        ),
    ] = False,
    sink: Annotated[
        str | None,
        typer.Option(help="With --events: only those for this sink, e.g. topic:shop-events."),
    ] = None,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Put dead and parked letters back on the queue.

    A letter whose mail turns out to be sent is dropped by its claim.
    """
    if events:
        redrive_events(url, sink=sink, dry_run=dry_run, as_json=as_json)
        return
    counts: Counter[str] = Counter()
    with closing(DeadQueue(url)) as queue, Progress(console=show.err, transient=True) as bar:
        task = bar.add_task("redrive", total=queue.waiting)
        for received in queue.letters():
            bar.advance(task)
            decided = _decide(received.letter, only=only, key=key, force=force)
            counts[decided] += 1
            if decided == "put back" and not dry_run:
                queue.put_back(received)
            if as_json:
                show.json_line(
                    {
                        "message_id": received.message_id,
                        "key": received.letter.key,
                        "state": received.letter.state,
                        "code": received.letter.code,
                        "decided": decided,
                    }
                )
    if not as_json:
        would = "would be " if dry_run else ""
        told = ", ".join(f"{count} {would}{what}" for what, count in sorted(counts.items()))
        show.line(told or "no letters")


def _decide(letter: DeadLetter, *, only: str | None, key: str | None, force: bool) -> str:
    if letter.fitness == "no-mail":
        return "left: no mail"
    if (only and letter.state != only) or (key and letter.key != key):
        return "left: not asked for"
    if letter.fitness == "no-key" and not force:
        return "left: without a key it could be sent twice (--force)"
    if letter.fitness == "too-old" and not force:
        return "left: older than the ledger's records (--force)"
    return "put back"


@unknown.command("list")
def unknown_list(state: State = Path(".postbus"), as_json: Json = False) -> None:
    """List the mails that are unknown or held."""
    with closing(_ledger(state)) as ledger:
        rows = ledger.by_state(("unknown", "held"), LISTED_MAX)
    if as_json:
        for row in rows:
            show.json_line(_described(row))
        return
    show.table(
        f"{len(rows)} mails",
        ["mail", "key", "state", "since", "attempts", "sender", "reason"],
        [
            [
                row.mail_id,
                row.key,
                row.state,
                show.clock_of_ms(row.unknown_since or row.updated_at),
                str(row.attempt),
                row.sender or "",
                row.reason or "",
            ]
            for row in rows
        ],
    )


def resolve(
    mail: Annotated[str, typer.Argument(help="A mail id, or a key.")],
    sent: Annotated[bool, typer.Option("--sent", help="It was sent: evidence by hand.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="It was not: send it again.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Let it be.")] = False,
    state: State = Path(".postbus"),
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Show the evidence about a mail, and decide what became of it."""
    if sent + resend + cancel > 1:
        raise CommandError("decide for one of --sent, --resend and --cancel", USAGE)
    with closing(_ledger(state)) as ledger:
        row = ledger.get(mail) or ledger.get(mail_id_of("local", mail))
        if row is None:
            raise CommandError(f"no mail {mail!r} in {state}/ledger.db")
        if sent:
            ledger.prove(
                row.mail_id, envelope_id=None, request_id=None, evidence="person", at=now_ms()
            )
        elif cancel:
            cancelled = replace(row, state="cancelled", updated_at=now_ms())
            if row.state not in ("held", "parked") or not ledger.change(row, cancelled):
                raise CommandError(f"a mail that is {row.state} cannot be cancelled")
        elif resend:
            _resend(row, url)
        found = ledger.get(row.mail_id) or row
        evidence = {
            **_described(found),
            "deliveries": [vars(each) for each in ledger.deliveries(row.mail_id)],
            "channel": vars(ledger.channel((row.sender or "").lower())),
            "statistics": Client(url).statistics(found) if not (sent or cancel) else [],
        }
    if as_json:
        show.json_line(evidence)
        return
    for name, value in evidence.items():
        show.line((f"{name:<14}", "dim"), str(value))


def _resend(row: MailRecord, url: str) -> None:
    if row.state not in ("held", "parked", "failed"):
        raise CommandError(f"the mail is {row.state}; only held, parked and failed ones go again")
    with closing(DeadQueue(url)) as queue:
        for received in queue.letters():
            if received.letter.key == row.key:
                queue.put_back(received)
                return
    raise CommandError(
        "its letter is not on mails-dead: for a mail that was posted over HTTP, repeat the request "
        "with the same key"
    )


def _ledger(state: Path) -> SqliteLedger:
    path = state / "ledger.db"
    if not path.is_file():
        raise CommandError(f"there is no ledger at {path}: say where with --state", USAGE)
    return SqliteLedger(path)


def _described(row: MailRecord) -> dict[str, Any]:
    return {
        "mail_id": row.mail_id,
        "key": row.key,
        "state": row.state,
        "since": rfc3339(row.unknown_since or row.updated_at),
        "attempt": row.attempt,
        "attempted_at": rfc3339(row.attempted_at),
        "sender": row.sender,
        "envelope_id": row.envelope_id,
        "evidence": row.evidence,
        "reason": row.reason,
    }
