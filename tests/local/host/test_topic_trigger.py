"""Topic triggers: read from the template, and at work in the host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.account import ACCOUNT_ID, REGION
from local.host.model import FunctionSpec, TopicTrigger
from local.host.template import TemplateError, load_template
from local.host.triggers.envelopes import Origin
from local.host.triggers.topics import topic_event
from local.twins.smq.model import Property, PublishedMessage
from tests.local.host.conftest import Play, Stage, function, template

ORIGIN = Origin(ACCOUNT_ID, REGION)
KEY = Property("key", "value")
RESOURCES = """
ROSTemplateFormatVersion: '2015-09-01'
Resources:
  Do:
    Type: ALIYUN::FC3::Function
    Properties: {FunctionName: do, Handler: functions.do.handler, Runtime: python3.12}
  Role:
    Type: ALIYUN::RAM::Role
    Properties: {RoleName: pusher}
  News:
    Type: ALIYUN::MNS::Topic
    Properties: {TopicName: news}
  Trigger:
    Type: ALIYUN::FC3::Trigger
    Properties:
      FunctionName: do
      TriggerName: on-news
      TriggerType: mns_topic
      InvocationRole: {Fn::GetAtt: [Role, Arn]}
      SourceArn: !Sub acs:mns:${ALIYUN::Region}:${ALIYUN::TenantId}:/topics/${News.TopicName}
      TriggerConfig: {notifyContentFormat: JSON, filterTag: bounced, notifyStrategy: BACKOFF_RETRY}
"""


def published(*properties: Property, tag: str | None = None) -> PublishedMessage:
    """A message of the topic `news`."""
    return PublishedMessage(1, "2F5B", "hello topic", tag, properties, 1_550_216_480_040)


def trigger(content_format: Any = "STREAM", filter_tag: str | None = None) -> TopicTrigger:
    """A trigger on the topic `news`."""
    return TopicTrigger("on-news", "basic-echo", "news", content_format, filter_tag)


def test_stream_is_the_body_alone() -> None:
    """Without attributes the event is what was published, JSON or not."""
    assert topic_event(trigger(), published(tag="t"), ORIGIN) == b"hello topic"


def test_stream_with_attributes_wraps_the_body() -> None:
    """Attributes come as JSON text inside `attrs`."""
    event = json.loads(topic_event(trigger(), published(KEY), ORIGIN))
    assert event["body"] == "hello topic"
    assert json.loads(event["attrs"].pop("Extend")) == {"key": "value"}
    assert event["attrs"] == {}


def test_json_is_the_documented_notification() -> None:
    """The documented fields with a numeric time; attributes are fields of their own."""
    event = json.loads(topic_event(trigger("JSON"), published(KEY), ORIGIN))
    assert event == {
        "TopicOwner": ACCOUNT_ID,
        "Message": "hello topic",
        "Subscriber": ACCOUNT_ID,
        "PublishTime": 1_550_216_480_040,
        "SubscriptionName": "on-news",
        "MessageMD5": "D6206122A430035E4EC1463CDD704B59",
        "TopicName": "news",
        "MessageId": "2F5B",
        "key": "value",
    }


def _recorder(record: Path, failures: int = 0) -> FunctionSpec:
    variables = {"RECORD": str(record), "FAILURES": str(failures)}
    # Of the two runtimes only this one tells a function how often it was repeated.
    return function("recording.record", environment=variables, runtime="python3.10")


def _lines(record: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]


def _run(play: Play, spec: FunctionSpec, calls: int, **changes: Any) -> None:
    """Publish three messages of two tags on a topic with one trigger; wait for the calls."""
    made = TopicTrigger("on-news", spec.name, "news", **changes)

    async def scene(stage: Stage) -> None:
        stage.broker.ensure_topic("news")
        stage.broker.publish("news", "too early")
        running = asyncio.create_task(stage.host.run())
        await asyncio.sleep(0)
        for body, tag in (("one", None), ("two", "bounced"), ("three", "delivered")):
            stage.broker.publish("news", body, tag=tag)
        await stage.until(lambda: len(stage.happened("function.invoked")) >= calls)
        running.cancel()
        await asyncio.wait([running])
        stage.broker.publish("news", "too late")
        await asyncio.sleep(0.1)
        told = {one.fields["trigger"] for one in stage.happened("function.invoked")}
        assert told == {"topic"}

    play(scene, template(spec, triggers=(made,)), time_scale=0.01)


def test_each_message_is_an_invocation_of_its_own(play: Play, tmp_path: Path) -> None:
    """Three messages, three invocations; none for what was published while the host stood."""
    record = tmp_path / "record"
    _run(play, _recorder(record), 3)
    assert sorted(line["event"] for line in _lines(record)) == ["one", "three", "two"]


def test_a_filter_tag_lets_its_own_messages_through(play: Play, tmp_path: Path) -> None:
    """Messages with another tag, or none, invoke nothing."""
    record = tmp_path / "record"
    _run(play, _recorder(record), 1, filter_tag="bounced")
    assert [line["event"] for line in _lines(record)] == ["two"]


def test_a_function_that_fails_is_repeated_as_asynchronous_ones_are(
    play: Play, tmp_path: Path
) -> None:
    """Three more times, with the same event; the publisher has long gone on."""
    record = tmp_path / "record"
    _run(play, _recorder(record, failures=99), 4, filter_tag="delivered")
    told = [(line["event"], line["retry_count"]) for line in _lines(record)]
    assert sorted(told) == [("three", count) for count in range(4)]


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Any]:
    """Reads a template text."""

    def read(text: str) -> Any:
        path = tmp_path / "template.yml"
        path.write_text(text, encoding="utf-8")
        return load_template(path, {})

    return read


def test_the_template_s_trigger_is_read(load: Callable[[str], Any]) -> None:
    """Topic, format and tag; what has no effect here is said."""
    found = load(RESOURCES)
    assert found.triggers == (TopicTrigger("on-news", "do", "news", "JSON", "bounced"),)
    said = [each.sentence for each in found.unsimulated]
    (sentence,) = [s for s in said if "notifyStrategy" in s]
    assert sentence.endswith("not simulated: a message reaches the function at once (Trigger)")
    assert not [s for s in said if "InvocationRole" in s or "SourceArn" in s]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("/topics/", "/queues/", "Properties.SourceArn"),
        ("      InvocationRole: {Fn::GetAtt: [Role, Arn]}\n", "", "Properties.InvocationRole"),
        ("filterTag: bounced", "filterTag: seventeen-letters", "TriggerConfig.filterTag"),
        ("Format: JSON", "Format: XML", "TriggerConfig.notifyContentFormat"),
        ("FunctionName: do\n      TriggerName", "FunctionName: di\n      TriggerName", "Function"),
    ],
)
def test_a_wrong_trigger_is_refused_with_its_place(
    load: Callable[[str], Any], old: str, new: str, where: str
) -> None:
    """No queue's ARN, no missing role, no long tag, no format that functions do not get."""
    assert old in RESOURCES
    with pytest.raises(TemplateError, match=where):
        load(RESOURCES.replace(old, new, 1))
