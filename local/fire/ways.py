"""The ways an event can take to the function that handles it, as one table.

EventBridge reaches a function itself, through a queue or by a signed push to its URL; the legacy
notification and other publishers go over an SMQ topic, whose subscription is a queue, a function's
trigger or a URL.
"""

from __future__ import annotations

from collections.abc import Mapping

WAYS: Mapping[str, str] = {
    "queue": "EventBridge's rule -> queue -> function, as the template has it",
    "queue-plain": "the same queue, the text not in base64",
    "eventbridge": "EventBridge -> function: one object",
    "eventbridge-array": "EventBridge -> function: an array",
    "topic-stream": "topic trigger -> function: STREAM",
    "topic-attributes": "topic trigger -> function: STREAM, with attributes",
    "topic-json": "topic trigger -> function: JSON",
    "legacy-xml": "legacy notification -> topic -> queue -> function: XML",
    "legacy-json": "legacy notification -> topic -> queue -> function: JSON",
    "legacy-simplified": "legacy notification -> topic -> queue -> function: SIMPLIFIED",
    "legacy-topic-stream": "legacy notification -> topic trigger -> function: STREAM",
    "legacy-topic-json": "legacy notification -> topic trigger -> function: JSON",
    "legacy-push-xml": "legacy notification -> topic -> signed push to a URL: XML",
    "legacy-push-json": "legacy notification -> topic -> signed push to a URL: JSON",
    "legacy-push-simplified": "legacy notification -> topic -> signed push to a URL: SIMPLIFIED",
    "push-eventbridge-v1": "EventBridge -> push to a URL, signed in version 1 (HMAC-SHA1)",
    "push-eventbridge-v2": "EventBridge -> push to a URL, signed in version 2 (RSA)",
    "push-eventbridge-array": "the same, an array",
    "push-smq": "topic -> signed push to a URL: JSON",
}
