"""A word that is in everything that a mail says, and a stack whose functions say all they can."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local.fire.orders import Order
from local.stack import ROOT, Stack, StackOptions, running
from local.twins.smq.broker import Message
from shared.sending.identity import mail_id_of

WORD = "kanarienvogel"
LOUD = Path(__file__).parent / "loud"
HOOK_SECRET = f"{WORD}-hook-secret-0123".encode()
SUPPRESSION_KEY = f"{WORD}-suppression-key-0123456789"
# The time-out and the grace of the functions are shorter here, so that what is unknown is settled.
SECONDS, GRACE = 10, 2
SETTLED_WITHIN = 60.0

# The lines that end a mail. Each mail has exactly one of them, but for one whose sending was
# proven by its event: there the copy that finds the proof says so. (A repeat says so as well.)
OUTCOMES = frozenset({"mail.sent", "mail.refused", "mail.expired", "mail.suppressed", "mail.held"})
PROVEN = "mail.finished"

Line = tuple[str, str]


@dataclass
class Aviary:
    """A running stack and what its functions have printed.

    Attributes:
        stack: in this process, so that its keys and queues are at hand.
        client: for its one address.
        lines: function and line, as the host captured them.
        expected: mail id -> the lines of which it is to have one, once.
        secrets: further texts that no line may hold.
    """

    stack: Stack
    client: httpx.AsyncClient
    lines: list[Line] = field(default_factory=list)
    expected: dict[str, tuple[str, ...]] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def mail(self, key: str, *outcomes: str, **changes: Any) -> dict[str, Any]:
        """A mail that says the word in every place.

        Args:
            key: made its idempotency key.
            outcomes: the lines of which the mail has to have one, once; see `expected`.
            changes: to its fields.
        """
        whole = f"{WORD}-{key}"
        if outcomes:
            self.expected[mail_id_of("local", whole)] = outcomes
        return {
            "key": whole,
            "sender": {"address": "noreply@mail.example.com", "alias": "Kanarienvogel"},
            "to": [f"{WORD}-{key}@example.net"],
            "bcc": [f"{WORD}-bcc-{key}@example.org"],
            "subject": f"{WORD} subject",
            "text": f"{WORD} text",
            "html": f"<html><body><p>{WORD} html</p></body></html>",
            "reply_to": {"address": f"{WORD}-reply@example.net"},
            "notify": {"Canary": f"{WORD} notify"},
            **changes,
        }

    def put(self, body: Any, queue: str = "mails") -> None:
        """Put a message on a queue: JSON, or text as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.stack.broker.send(f"postbus-local-{queue}", base64.b64encode(text.encode()).decode())

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """`POST`: JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **headers}
        return await self.client.post(path, content=content, headers=given)

    async def invoke(self, function: str, event: Any) -> None:
        """Call a function with an event, as a trigger does."""
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        await self.stack.host.invoke(function, payload)

    def fire(self, event: str, key: str, **changes: Any) -> None:
        """Fire an event of DirectMail about a mail of this stack."""
        self.stack.firing.fire(Order(event, mail=f"{WORD}-{key}", **changes))

    def letters(self, queue: str) -> list[Message]:
        """What lies on a queue."""
        return self.stack.broker.look(f"postbus-local-{queue}", 1_000)

    def idle(self) -> bool:
        """Whether no mail waits to be worked on, or is; what is due later may stay."""
        depth = self.stack.broker.depth("postbus-local-mails")
        return depth.visible + depth.in_flight == 0

    async def until(self, true: Callable[[], object], what: str = "") -> None:
        """Wait for something to become true."""
        end = time.monotonic() + SETTLED_WITHIN
        while not true():
            assert time.monotonic() < end, what or self.missing()
            await asyncio.sleep(0.05)

    async def ended(self, *keys: str) -> None:
        """Wait until each of these mails has its line."""
        wanted = {mail_id_of("local", f"{WORD}-{key}") for key in keys}
        await self.until(lambda: not wanted & set(self.missing()))

    def said(self, event: str) -> list[dict[str, Any]]:
        """The structured lines of a name."""
        return [line for line in self.structured() if line["event"] == event]

    def structured(self) -> Iterator[dict[str, Any]]:
        """Every line of Postbus's own."""
        for _, line in self.lines:
            if line.startswith("{"):
                document = json.loads(line)
                if isinstance(document, dict) and isinstance(document.get("event"), str):
                    yield document

    def outcomes(self) -> dict[str, Counter[str]]:
        """Mail id -> the lines that end a mail, counted."""
        found: dict[str, Counter[str]] = {}
        proven: dict[str, Counter[str]] = {}
        for line in self.structured():
            into = found if line["event"] in OUTCOMES else proven
            if "mail_id" in line and line["event"] in {*OUTCOMES, PROVEN}:
                into.setdefault(line["mail_id"], Counter())[line["event"]] += 1
        return {**proven, **found}

    def missing(self) -> dict[str, tuple[str, ...]]:
        """The mails that have not ended yet, and how they should."""
        found = self.outcomes()
        return {each: lines for each, lines in self.expected.items() if each not in found}

    def endings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """How the expected mails have ended, where not as expected; and how they should have."""
        found = self.outcomes()
        wrong = {
            each: lines
            for each, lines in self.expected.items()
            if not any(found.get(each) == Counter([line]) for line in lines)
        }
        return {each: found.get(each) for each in wrong}, wrong

    def hits(self) -> list[Line]:
        """The lines that hold the word, in any of its disguises, or a secret."""
        wanted = [re.compile(WORD, re.IGNORECASE), *map(re.compile, disguises(WORD))]
        wanted += [re.compile(re.escape(secret)) for secret in self.secrets | self._keys()]
        return [(f, line) for f, line in self.lines if any(w.search(line) for w in wanted)]

    def _keys(self) -> set[str]:
        """The secrets and tokens of every access key that this stack has issued."""
        keys = self.stack.host.account._keys.values()
        return {text for key in keys for text in (key.secret, key.token) if text}


def disguises(word: str) -> list[str]:
    """The word inside base64, at each of the three places where it can begin; and in hex."""
    found = []
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + word.encode()).decode().rstrip("=")
        # The first and the last characters also depend on what stands around the word.
        found.append(re.escape(encoded[2 if shift else 0 : -2][shift and 1 :]))
    return [*found, word.encode().hex()]


@asynccontextmanager
async def aviary(folder: Path, variables: Iterable[tuple[str, str]] = ()) -> AsyncIterator[Aviary]:
    """A stack with every logger of its functions turned on.

    Args:
        folder: for its state and template.
        variables: further ones of the functions.
    """
    template = folder / "template.yml"
    text = (ROOT / "template.yml").read_text()
    assert "Timeout: 120" in text
    template.write_text(text.replace("Timeout: 120", f"Timeout: {SECONDS}"))
    lines: list[Line] = []
    options = StackOptions(
        port=0,
        state=folder / "state",
        template=template,
        ledger="tablestore",
        time_scale=0.05,
        environment={
            "DEBUG": "sdk",
            "PYTHONPATH": str(LOUD),
            "POSTBUS_LOG_LEVEL": "debug",
            "POSTBUS_UNKNOWN_GRACE_SECONDS": str(GRACE),
            "POSTBUS_HOOK_SECRETS": f"crm=whsec_{base64.b64encode(HOOK_SECRET).decode()}",
            "POSTBUS_SUPPRESSION_KEY": SUPPRESSION_KEY,
            **dict(variables),
        },
        log=lambda function, line: lines.append((function, line)),
    )
    async with (
        running(options) as stack,
        httpx.AsyncClient(base_url=stack.url, trust_env=False, timeout=60) as client,
    ):
        yield Aviary(stack, client, lines)
