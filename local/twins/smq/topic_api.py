"""The operations of topics and their subscriptions, each as its page of the documentation has it.

https://www.alibabacloud.com/help/en/mns/developer-reference/api-overview
"""

from __future__ import annotations

from dataclasses import replace

from local.account import ACCOUNT_ID
from local.twins.smq import limits, requests
from local.twins.smq.api import Answer, Call, Operation, created, listing
from local.twins.smq.broker import Broker
from local.twins.smq.errors import refusal
from local.twins.smq.model import Subscription, TopicAttributes
from local.twins.smq.wire import document

# How long the service keeps trying to push a message: fixed, and only shown.
RETENTION_SECONDS = 86_400


class TopicApi:
    """The operations under `/topics`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def operations(self) -> dict[tuple[str, str], Operation]:
        """What to do for a method and a path whose names are stars."""
        one = "/topics/*/subscriptions/*"
        return {
            ("GET", "/topics"): Operation(self._list),
            ("PUT", "/topics/*"): Operation(self._put, ("metaoverride",)),
            ("GET", "/topics/*"): Operation(self._get),
            ("DELETE", "/topics/*"): Operation(self._drop),
            ("POST", "/topics/*/messages"): Operation(self._publish),
            ("GET", "/topics/*/subscriptions"): Operation(self._list_subscriptions),
            ("PUT", one): Operation(self._put_subscription, ("metaoverride",)),
            ("GET", one): Operation(self._get_subscription),
            ("DELETE", one): Operation(self._unsubscribe),
        }

    async def _list(self, call: Call) -> Answer:
        with_meta = call.headers.get("x-mns-with-meta", "").lower() == "true"

        def describe(name: str) -> dict[str, object]:
            url = {"TopicURL": f"{call.url}/topics/{name}"}
            return {**url, **self._attributes(name)} if with_meta else {**url}

        return listing(call, "Topic", self._broker.topics(), describe)

    async def _put(self, call: Call) -> Answer:
        (name,) = call.names
        if call.query.flag("metaoverride"):
            base = self._broker.topic(name).attributes
            self._broker.ensure_topic(name, requests.topic_attributes(call.body, base))
            return Answer(204)
        wanted = requests.topic_attributes(call.body, TopicAttributes())
        limits.check_topic(wanted)
        anew = name not in self._broker.topics()
        if anew:
            self._broker.ensure_topic(name, wanted)
        elif self._broker.topic(name).attributes != wanted:
            raise refusal("TopicAlreadyExist")
        return created(call, f"/topics/{name}", anew=anew)

    async def _get(self, call: Call) -> Answer:
        return Answer(200, document("Topic", self._attributes(call.names[0])))

    async def _drop(self, call: Call) -> Answer:
        self._broker.delete_topic(call.names[0])
        return Answer(204)

    async def _publish(self, call: Call) -> Answer:
        message = requests.publication(call.body)
        sent = self._broker.publish(
            call.names[0],
            message.body,
            tag=message.tag,
            properties=message.properties,
            system_properties=message.system_properties,
        )
        entry = {"MessageId": sent.id, "MessageBodyMD5": sent.body_md5}
        return Answer(201, document("Message", entry))

    async def _list_subscriptions(self, call: Call) -> Answer:
        (topic,) = call.names
        names = [each.name for each in self._broker.subscriptions(topic)]

        def describe(name: str) -> dict[str, object]:
            return {"SubscriptionURL": f"{call.url}/topics/{topic}/subscriptions/{name}"}

        return listing(call, "Subscription", names, describe)

    async def _put_subscription(self, call: Call) -> Answer:
        topic, name = call.names
        if call.query.flag("metaoverride"):
            there = self._broker.subscription(topic, name)
            strategy = requests.subscription_strategy(call.body)
            changed = replace(_wish(there), notify_strategy=strategy)
            self._broker.ensure_subscription(topic, name, **vars(changed))
            return Answer(204)
        wanted = requests.subscription(call.body)
        earlier = {each.name: _wish(each) for each in self._broker.subscriptions(topic)}.get(name)
        if earlier is None:
            self._broker.ensure_subscription(topic, name, **vars(wanted))
        elif earlier != wanted:
            raise refusal("SubscriptionAlreadyExist")
        return created(call, f"/topics/{topic}/subscriptions/{name}", anew=earlier is None)

    async def _get_subscription(self, call: Call) -> Answer:
        topic, name = call.names
        found = self._broker.subscription(topic, name)
        shown: dict[str, object] = {
            "SubscriptionName": name,
            "Subscriber": ACCOUNT_ID,
            "TopicOwner": ACCOUNT_ID,
            "TopicName": topic,
            "Endpoint": found.endpoint,
            "NotifyStrategy": found.notify_strategy,
            "NotifyContentFormat": found.content_format,
            **({} if found.filter_tag is None else {"FilterTag": found.filter_tag}),
            "CreateTime": found.created_at_ms // 1000,
            "LastModifyTime": found.modified_at_ms // 1000,
        }
        return Answer(200, document("Subscription", shown))

    async def _unsubscribe(self, call: Call) -> Answer:
        self._broker.unsubscribe(*call.names)
        return Answer(204)

    def _attributes(self, name: str) -> dict[str, object]:
        topic = self._broker.topic(name)
        return {
            "TopicName": name,
            "CreateTime": topic.created_at_ms // 1000,
            "LastModifyTime": topic.modified_at_ms // 1000,
            "MaximumMessageSize": topic.attributes.maximum_message_size,
            "MessageRetentionPeriod": RETENTION_SECONDS,
            # Messages that wait to be pushed: here none ever does.
            "MessageCount": 0,
            "LoggingEnabled": topic.attributes.logging_enabled,
        }


def _wish(there: Subscription) -> requests.NewSubscription:
    """A subscription as Subscribe would have to ask for it."""
    return requests.NewSubscription(
        endpoint=there.endpoint,
        queue=there.queue,
        content_format=there.content_format,
        filter_tag=there.filter_tag,
        notify_strategy=there.notify_strategy,
    )
