"""The operations of queues and their messages, each as its page of the documentation has it.

https://www.alibabacloud.com/help/en/mns/developer-reference/api-overview
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from local.twins.smq import limits, requests
from local.twins.smq.api import Answer, Call, ClientGone, Operation, created, listing
from local.twins.smq.broker import Broker
from local.twins.smq.errors import SmqError, refusal
from local.twins.smq.model import Message, Property, QueueAttributes, SentMessage
from local.twins.smq.notification import body_md5
from local.twins.smq.wire import document


class QueueApi:
    """The operations under `/queues`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def operations(self) -> dict[tuple[str, str], Operation]:
        """What to do for a method and a path whose names are stars."""
        return {
            ("GET", "/queues"): Operation(self._list),
            ("PUT", "/queues/*"): Operation(self._put, ("metaoverride",)),
            ("GET", "/queues/*"): Operation(self._get),
            ("DELETE", "/queues/*"): Operation(self._drop),
            ("POST", "/queues/*/messages"): Operation(self._send),
            ("GET", "/queues/*/messages"): Operation(
                self._receive, ("waitseconds", "numofmessages", "peekonly")
            ),
            ("PUT", "/queues/*/messages"): Operation(
                self._change_visibility, ("receipthandle", "visibilitytimeout")
            ),
            ("DELETE", "/queues/*/messages"): Operation(self._delete, ("receipthandle",)),
        }

    async def _list(self, call: Call) -> Answer:
        with_meta = call.headers.get("x-mns-with-meta", "").lower() == "true"

        def describe(name: str) -> dict[str, object]:
            url = {"QueueURL": f"{call.url}/queues/{name}"}
            return {**url, **self._attributes(name)} if with_meta else {**url}

        return listing(call, "Queue", self._broker.queues(), describe)

    async def _put(self, call: Call) -> Answer:
        (name,) = call.names
        if call.query.flag("metaoverride"):
            base = self._broker.queue(name).attributes
            self._broker.ensure_queue(name, requests.queue_attributes(call.body, base))
            return Answer(204)
        wanted = requests.queue_attributes(call.body, QueueAttributes())
        limits.check_queue(name, wanted)
        anew = name not in self._broker.queues()
        if anew:
            self._broker.ensure_queue(name, wanted)
        else:
            # This document cannot speak of dead-letter queues, so they are not compared.
            there = self._broker.queue(name).attributes
            if replace(there, dead_letter_queue=None, max_receive_count=None) != wanted:
                raise refusal("QueueAlreadyExist")
        return created(call, f"/queues/{name}", anew=anew)

    async def _get(self, call: Call) -> Answer:
        return Answer(200, document("Queue", self._attributes(call.names[0])))

    async def _drop(self, call: Call) -> Answer:
        self._broker.delete_queue(call.names[0])
        return Answer(204)

    async def _send(self, call: Call) -> Answer:
        batch, messages = requests.messages(call.body)
        self._broker.queue(call.names[0])
        results = [self._try_send(call.names[0], message) for message in messages]
        failed = [result for result in results if isinstance(result, SmqError)]
        if failed and not batch:
            raise failed[0]
        entries = [
            ("Message", _failed(result) if isinstance(result, SmqError) else _sent(result))
            for result in results
        ]
        if not batch:
            return Answer(201, document(*entries[0]))
        return Answer(failed[0].status if failed else 201, document("Messages", entries))

    def _try_send(self, queue: str, message: requests.NewMessage) -> SentMessage | SmqError:
        try:
            return self._broker.send(
                queue,
                message.body,
                delay_seconds=message.delay_seconds,
                priority=message.priority,
                properties=message.properties,
                system_properties=message.system_properties,
            )
        except SmqError as error:
            return error

    async def _receive(self, call: Call) -> Answer:
        (name,) = call.names
        count = call.query.integer("numofmessages", 1)
        if call.query.flag("peekonly"):
            messages = self._broker.peek(name, count)
        else:
            polling = self._broker.queue(name).attributes.polling_wait_seconds
            messages = await self._poll(call, count, call.query.integer("waitseconds", polling))
        if not messages:
            raise refusal("MessageNotExist")
        if "numofmessages" not in call.query:
            return Answer(200, document("Message", _message(messages[0])))
        entries = [("Message", _message(message)) for message in messages]
        return Answer(200, document("Messages", entries))

    async def _poll(self, call: Call, count: int, seconds: int) -> list[Message]:
        """Receive, unless the client is gone: then nothing is taken from the others."""
        limits.check_range("waitseconds", seconds, limits.POLLING_SECONDS)
        messages = await self._broker.receive(call.names[0], count=count)
        if messages or not seconds:
            return messages
        receive = self._broker.receive(call.names[0], count=count, wait_seconds=seconds)
        poll, gone = asyncio.ensure_future(receive), asyncio.ensure_future(call.gone())
        try:
            await asyncio.wait({poll, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not poll.done():
                raise ClientGone
            return poll.result()
        finally:
            poll.cancel()
            gone.cancel()

    async def _change_visibility(self, call: Call) -> Answer:
        handle = _handle(call)
        if "visibilitytimeout" not in call.query:
            raise refusal("MissingVisibilityTimeout")
        seconds = call.query.integer("visibilitytimeout", 0)
        new, due = self._broker.change_visibility(call.names[0], handle, seconds)
        changed = {"ReceiptHandle": new, "NextVisibleTime": due}
        return Answer(200, document("ChangeVisibility", changed))

    async def _delete(self, call: Call) -> Answer:
        if "receipthandle" in call.query or not call.body:
            self._broker.delete(call.names[0], _handle(call))
            return Answer(204)
        self._broker.queue(call.names[0])
        tried = [
            (handle, self._try_delete(call.names[0], handle))
            for handle in requests.receipt_handles(call.body)
        ]
        failed = [(handle, error) for handle, error in tried if error is not None]
        if not failed:
            return Answer(204)
        entries = [("Error", {**_failed(e), "ReceiptHandle": handle}) for handle, e in failed]
        return Answer(failed[0][1].status, document("Errors", entries))

    def _try_delete(self, queue: str, handle: str) -> SmqError | None:
        try:
            self._broker.delete(queue, handle)
        except SmqError as error:
            return error
        return None

    def _attributes(self, name: str) -> dict[str, object]:
        queue, depth = self._broker.queue(name), self._broker.depth(name)
        return {
            "QueueName": name,
            "CreateTime": queue.created_at_ms // 1000,
            "LastModifyTime": queue.modified_at_ms // 1000,
            "DelaySeconds": queue.attributes.delay_seconds,
            "MaximumMessageSize": queue.attributes.maximum_message_size,
            "MessageRetentionPeriod": queue.attributes.message_retention_seconds,
            "VisibilityTimeout": queue.attributes.visibility_timeout_seconds,
            "PollingWaitSeconds": queue.attributes.polling_wait_seconds,
            "ActiveMessages": depth.visible,
            "InactiveMessages": depth.in_flight,
            "DelayMessages": depth.delayed,
            "LoggingEnabled": queue.attributes.logging_enabled,
        }


def _handle(call: Call) -> str:
    handle = call.query.text("receipthandle")
    if not handle:
        raise refusal("MissingReceiptHandle")
    return handle


def _failed(error: SmqError) -> dict[str, object]:
    return {"ErrorCode": error.code, "ErrorMessage": error.message}


def _sent(sent: SentMessage) -> dict[str, object]:
    entry: dict[str, object] = {"MessageId": sent.id, "MessageBodyMD5": sent.body_md5}
    if sent.receipt_handle is not None:
        entry["ReceiptHandle"] = sent.receipt_handle
    return entry


def _message(message: Message) -> dict[str, object]:
    entry: dict[str, object] = {
        "MessageId": message.id,
        "MessageBodyMD5": body_md5(message.body),
        "MessageBody": message.body,
        "EnqueueTime": message.enqueued_at_ms,
        "FirstDequeueTime": message.first_dequeued_at_ms,
        "DequeueCount": message.dequeue_count,
        "Priority": message.priority,
    }
    if message.receipt_handle:
        entry["ReceiptHandle"] = message.receipt_handle
        entry["NextVisibleTime"] = message.next_visible_at_ms
    if message.properties:
        entry["UserProperties"] = _properties("PropertyValue", message.properties)
    if message.system_properties:
        entry["SystemProperties"] = _properties("SystemPropertyValue", message.system_properties)
    return entry


def _properties(name: str, properties: Iterable[Property]) -> list[tuple[str, object]]:
    return [(name, {"Name": p.name, "Value": p.value, "Type": p.type}) for p in properties]
