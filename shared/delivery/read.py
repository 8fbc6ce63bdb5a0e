"""DirectMail's events, read: words of the edge in, facts in the field's words out.

https://help.aliyun.com/zh/eventbridge/user-guide/events-of-the-direct-mail-type

The page shows one type whole, and the others differ from it and from year to year: the table below
is every name that a field was seen under. What a type or a year does not tell is not known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from shared.delivery import fields
from shared.delivery.cloudevents import SOURCE, SOURCES, state_of_type
from shared.delivery.facts import DeliveryFact, Unrecognised
from shared.delivery.legacy import EVENTS, read_pairs, state_of_pairs
from shared.delivery.reasons import cause_of
from shared.delivery.states import STATES, VALIDATED
from shared.triggers.events import ArrivedEvent
from shared.triggers.json_bytes import NotJson, read_json
from shared.triggers.notifications import is_notification
from shared.triggers.queue import fingerprint

# What is known of an event as soon as its type is.
REASONS = {"complained": "complaint", "unsubscribed": "unsubscribed"}
LEGACY = "notification"


def read_event(arrived: ArrivedEvent) -> DeliveryFact | Unrecognised:
    """Read one event. Total: what cannot be read is `Unrecognised`, with the event kept whole."""
    document = arrived.document
    if document is None:
        text = arrived.raw.decode("utf-8", "replace")
        return Unrecognised(arrived.id, arrived.broken or "not an object", text)
    if is_notification(document):
        return _read_notification(document)
    if "type" in document:
        return _read_cloudevent(document)
    if "event" in document:
        return _read_data(document)
    return Unrecognised(_event_id(document), "neither a type nor an event", document)


def _read_cloudevent(document: dict[str, Any]) -> DeliveryFact | Unrecognised:
    """An event in EventBridge's envelope."""
    kind, source, data = document["type"], document.get("source"), document.get("data")
    state = state_of_type(kind) if isinstance(kind, str) else None
    if state is None:
        return Unrecognised(_event_id(document), f"type {fields.shown(kind)}", document)
    if not isinstance(source, str) or source not in SOURCES:
        return Unrecognised(_event_id(document), f"source {fields.shown(source)}", document)
    if isinstance(data, str):
        data = _object(data)
    if not isinstance(data, dict):
        if state != VALIDATED:
            return Unrecognised(_event_id(document), "no data object", document)
        data = {}
    return _fact(_event_id(document), state, data, document)


def _read_notification(document: dict[str, Any]) -> DeliveryFact | Unrecognised:
    """The older notification, as the object of its JSON form."""
    text = document["Message"]
    if not isinstance(text, str):
        return Unrecognised(_event_id(document), "a Message that is no text", document)
    own = fields.read_id(document.get("MessageId"))
    event_id = f"{LEGACY}/{own or fingerprint(text.encode('utf-8', 'surrogatepass'))}"
    pairs = read_pairs(text)
    state = state_of_pairs(pairs)
    if state is None:
        why = f"event {fields.shown(pairs.get('event'))}"
        return Unrecognised(event_id, why, document)
    return _fact(event_id, state, pairs, document)


def _read_data(document: dict[str, Any]) -> DeliveryFact | Unrecognised:
    """An event whose envelope was left away; of the types, deliveries name theirs in the data."""
    event = document["event"]
    if isinstance(event, str) and event in EVENTS:
        state = state_of_pairs(document)
    else:
        state = state_of_type(event) if isinstance(event, str) else None
    if state is None:
        return Unrecognised(_event_id(document), f"event {fields.shown(event)}", document)
    return _fact(_event_id(document), state, document, document)


def _event_id(document: Mapping[str, Any]) -> str:
    """Source and id; without them a fingerprint, lest two such events look like one's repeat.

    Both spellings of the source are one source.
    """
    given, source = fields.read_id(document.get("id")), document.get("source")
    if given and isinstance(source, str) and source in SOURCES:
        return f"{SOURCE}/{given}"
    return fingerprint(json.dumps(document, sort_keys=True).encode())


def _object(text: str) -> Any:
    try:
        return read_json(text)
    except NotJson:
        return None


def _fact(
    event_id: str, state: str, data: Mapping[str, Any], document: Mapping[str, Any]
) -> DeliveryFact:
    get = data.get
    notify, token = fields.read_header(get("header"))
    message_id = fields.read_message_id_text(get("msg_id") or get("message_id"))
    classification, code = fields.read_text(get("failed_type")), fields.read_number(get("err_code"))
    message, status = fields.read_text(get("err_msg")), fields.read_status(get("status"))
    reason, bounce = REASONS.get(state), None
    if state == "bounced":
        reason, bounce, _ = cause_of(classification, status, code, message)
    of_a_mail = state != VALIDATED
    if not of_a_mail:
        classification = status
    text = fields.read_text
    account = text(get("account"))
    delivered = fields.read_time(get("deliver_time") or get("end_time"))
    sent = fields.read_time(get("send_time") or get("recv_time"))
    return DeliveryFact.of(
        event_id=event_id,
        state=state,
        recipient=text(get("rcpt")) or text(get("block_email")) or text(get("email")),
        token=token or fields.token_of_message_id(message_id) if of_a_mail else None,
        envelope_id=fields.read_digits(get("env_id") or get("envid")) if of_a_mail else None,
        message_id=message_id,
        bounce=bounce,
        reason=reason,
        classification=classification,
        smtp_code=code,
        smtp_message=message,
        sender=text(get("from")) or text(get("send_email")) or account,
        account=account,
        tag=text(get("tag")),
        notify=notify,
        url=text(get("url")),
        user_agent=text(get("user_agent")),
        client_ip=text(get("client_ip")),
        isp=text(get("fbl_isp")) or text(get("esp")),
        sent_at=sent[0] if sent else None,
        delivered_at=delivered[0] if delivered and state in STATES else None,
        occurred_at=_occurred(get, document, delivered),
        raw=document,
    )


def _occurred(
    get: Callable[[str], Any], document: Mapping[str, Any], delivered: fields.Moment | None
) -> str | None:
    """When it happened: as the data says, or, where that has no offset, as the envelope says.

    A naive time is China's only by what was seen; EventBridge's own time tells its offset.
    """
    told = fields.read_time(get("operate_time") or get("block_time")) or delivered
    if told is None or not told[1]:
        around = fields.read_time(document.get("time"))
        told = around if around and (around[1] or told is None) else told
    return told[0] if told else None
