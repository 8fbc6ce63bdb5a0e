"""`make run`: put the sample mail on the queue and tell each step of its way as it happens."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from local.activity import Happening
from local.cli import show
from local.cli.client import Client
from local.cli.exits import CommandError
from local.stack import ENVIRONMENT, ROOT, Stack
from shared.sending.identity import mail_id_of

SAMPLE = ROOT / "events" / "mail-request.json"
PATIENCE_SECONDS = 60.0
QUEUE = f"postbus-{ENVIRONMENT}-mails"
TOPIC = f"postbus-{ENVIRONMENT}-mail-events"


async def travel(stack: Stack, sample: Path = SAMPLE) -> dict[str, Any]:
    """Send the sample mail and follow it until its delivery event is on the topic.

    Returns:
        The event.

    Raises:
        CommandError: it did not arrive in time.
    """
    request = json.loads(sample.read_bytes())  # noqa: ASYNC240  # one small file
    # Every run is a new mail; the sample with the same key again would be a repeat, and not sent.
    request["key"] = f"journey-{secrets.token_hex(4)}"
    mail_id = mail_id_of(ENVIRONMENT, request["key"])
    show.line(("\nThe journey of a mail", "bold"), f"  {sample.name}, key {request['key']}")
    follower = stack.activity.follow()
    steps = asyncio.ensure_future(_steps(follower, mail_id, stack))
    await asyncio.sleep(0)
    client = Client(stack.url)
    message_id = await asyncio.to_thread(client.send, QUEUE, json.dumps(request))
    _step(1, "queue", f"message {message_id} on {QUEUE}")
    try:
        return await asyncio.wait_for(steps, PATIENCE_SECONDS)
    except asyncio.TimeoutError:
        raise CommandError(
            f"no event of mail {mail_id} arrived within {PATIENCE_SECONDS:.0f} s; "
            f"look at the functions' log in {stack.outbox.directory.parent}/functions.log"
        ) from None


async def _steps(
    happenings: AsyncIterator[Happening], mail_id: str, stack: Stack
) -> dict[str, Any]:
    """Print what concerns this mail as it happens; ends with its event on the topic."""
    env_id = None
    async for happening in happenings:
        fields = happening.fields
        if happening.name == "directmail.accepted" and env_id is None:
            env_id = fields["env_id"]
            _step(
                2,
                "send_mail",
                f"checked, claimed as mail {mail_id}, sent with SingleSendMail",
            )
            _step(3, "DirectMail", f"accepted: EnvId {env_id}, RequestId {fields['request_id']}")
            _note(f"kept as {fields['eml']}")
        elif happening.name == "directmail.event" and fields["env_id"] == env_id:
            _step(4, "EventBridge", f"{fields['type']}, event {fields['id']}")
        elif happening.name == "smq.published" and fields["topic"] == TOPIC:
            event = _event_of(stack, fields["message_id"])
            if event["data"].get("mail_id") == mail_id:
                _step(5, "delivery_events", f"normalised: {event['type']}, id {event['id']}")
                _step(6, "topic", f"{TOPIC}, tag {fields['tag']}, message {fields['message_id']}")
                return event
    raise AssertionError("following never ends")


def _event_of(stack: Stack, message_id: str) -> dict[str, Any]:
    latest = stack.broker.topic(TOPIC).published
    for message in stack.broker.published(TOPIC, after=max(0, latest - 50)):
        if message.id == message_id:
            event: dict[str, Any] = json.loads(message.body)
            return event
    return {"data": {}}


def _step(number: int, where: str, what: str) -> None:
    show.line((f"  {number}  ", "dim"), (f"{where:<16}", "cyan"), what)


def _note(text: str) -> None:
    show.line(" " * 21, (text, "dim"))
