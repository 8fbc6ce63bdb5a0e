"""Fires: finds the mail, makes the event that was asked for, and sends it on its way."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from local.account import Account
from local.fire.carriers import Carriers
from local.fire.orders import LATEST, Order
from local.twins.directmail import events, legacy
from local.twins.directmail.bodies import URL, Occurrence
from local.twins.directmail.outbox import Outbox, Posted
from shared.sending.identity import mail_id_of


class NotFound(LookupError):
    """No such mail in the outbox, or no such recipient of it; the message says which."""


class Firing:
    """One stack's.

    Args:
        outbox: whose mails the events are about.
        carriers: the ways.
        account: for the names in events.
        environment: in which keys become mail ids.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        outbox: Outbox,
        carriers: Carriers,
        *,
        account: Account,
        environment: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._carriers = carriers
        self._account = account
        self._environment = environment
        self._clock = clock

    def fire(self, order: Order) -> dict[str, Any]:
        """Fire one event, as often as the order says.

        Returns:
            What was fired: its `id`, `type`, `env_id`, `recipient`, `envelope`, `times`, `delay`,
            and the `event`: the CloudEvent, or the legacy notification's text.

        Raises:
            NotFound: there is no such mail.
            OrderError: the order contradicts itself.
        """
        posted = self._find(order.mail)
        happened = self._happened(order, posted)
        event, send = self._made(order, happened)
        if order.delay:
            self._carriers.later(order.delay, send)
        else:
            send()
        return {
            "id": happened.id,
            "type": order.type,
            "env_id": posted.env_id,
            "recipient": happened.recipient,
            "envelope": order.envelope,
            "times": order.times,
            "delay": order.delay,
            "event": event,
        }

    def _find(self, mail: str) -> Posted:
        """By EnvId, by mail id, by key, or the latest."""
        if mail == LATEST:
            found = self._outbox.find()
        else:
            found = self._outbox.find(env_id=mail)
            for mail_id in (mail, mail_id_of(self._environment, mail)):
                # In the packed header that every mail of ours carries.
                found = found or self._outbox.find(told=f"v1.{self._environment}.{mail_id}.")
        if found is None:
            what = "no mail yet" if mail == LATEST else f"no mail with EnvId, id or key {mail!r}"
            raise NotFound(f"the outbox holds {what}")
        return found

    def _happened(self, order: Order, posted: Posted) -> Occurrence:
        recipient = order.recipient or posted.recipients[0]
        if recipient.lower() not in {each.lower() for each in posted.recipients}:
            raise NotFound(
                f"mail {posted.env_id} did not go to {recipient}; it went to "
                + ", ".join(posted.recipients[:5])
            )
        return Occurrence(
            id=order.id or str(uuid.uuid4()),
            type=order.type,
            at=self._clock() + order.delay,
            env_id=posted.env_id,
            recipient=recipient,
            mail=posted.facts,
            report=order.report(),
            url=order.url or URL,
        )

    def _made(self, order: Order, happened: Occurrence) -> tuple[Any, Callable[[], None]]:
        """The event, and what sends it as often as it is to come."""
        dialect, way = order.spoken(), order.envelope
        if way.startswith("legacy-"):
            text = legacy.notification(happened, region=self._account.region, dialect=dialect)
            return text, lambda: _times(order.times, lambda: self._carriers.notify(way, text))
        event = events.render(happened, account=self._account, dialect=dialect, now=happened.at)
        return event, lambda: _times(order.times, lambda: self._carriers.carry(way, event))


def _times(count: int, work: Callable[[], None]) -> None:
    for _ in range(count):
        work()
