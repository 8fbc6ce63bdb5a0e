"""What a topic puts into the message that it pushes, in each NotifyContentFormat.

https://www.alibabacloud.com/help/doc-detail/27482.htm
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from local.twins.smq.wire import document

FORMATS = ("JSON", "SIMPLIFIED", "XML")


@dataclass(frozen=True)
class Notification:
    """A published message on its way to one subscription."""

    account: str
    topic: str
    subscription: str
    message_id: str
    body: str
    tag: str | None
    at_ms: int

    def render(self, content_format: str) -> str:
        """The body of the queue's message.

        SIMPLIFIED is the published body alone: a queue has no headers for the rest. Elsewhere the
        publish time is text, and the tag is there only when the message has one.
        """
        if content_format == "SIMPLIFIED":
            return self.body
        fields = {
            "TopicOwner": self.account,
            "TopicName": self.topic,
            "Subscriber": self.account,
            "SubscriptionName": self.subscription,
            "MessageId": self.message_id,
            "Message": self.body,
            "MessageMD5": body_md5(self.body),
            **({} if self.tag is None else {"MessageTag": self.tag}),
            "PublishTime": str(self.at_ms),
        }
        if content_format == "JSON":
            return json.dumps(fields, ensure_ascii=False)
        return document("Notification", fields)


def body_md5(body: str) -> str:
    """A body's digest as SMQ shows it: upper-case hexadecimal."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest().upper()
