"""What the template declares, as typed values: functions, triggers, queues, topics and rules.

Everything here is read from `template.yml` by `template.py` and never changed afterwards. Names
are the cloud's own (`postbus-local-send-mail`), times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from local.twins.eventbridge import Rule
from local.twins.smq.model import QueueAttributes

RetryStrategy = Literal["BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"]


@dataclass(frozen=True)
class Initializer:
    """The hook that runs once in each new instance, before its first request."""

    handler: str
    timeout_seconds: int


@dataclass(frozen=True)
class FunctionSpec:
    """One function.

    Attributes:
        logical_id: its name in the template (`SendMail`).
        name: its name in the cloud (`postbus-local-send-mail`).
        handler: `module.function`.
        runtime: `python3.10` or `python3.12`; decides the context object and the environment.
        timeout_seconds: how long one invocation may take.
        memory_mb: told to the function, not enforced.
        environment: the template's environment variables, all values as text.
        initializer: the hook, or None.
        role: the RAM role whose temporary credentials an instance gets, or None.
    """

    logical_id: str
    name: str
    handler: str
    runtime: str
    timeout_seconds: int
    memory_mb: int
    environment: Mapping[str, str]
    initializer: Initializer | None = None
    role: str | None = None

    @property
    def module(self) -> str:
        """The short name that a person types: `send_mail` for `functions.send_mail.handler`."""
        return self.handler.rpartition(".")[0].rpartition(".")[2]


@dataclass(frozen=True)
class QueueTrigger:
    """An event stream from a queue to a function (`triggerType: eventbridge`, source MNS).

    Attributes:
        name: the trigger's name.
        function: the function's name in the cloud.
        queue: the queue it reads.
        base64_decode: whether a message's body is base64-decoded on the way.
        schema: `CloudEvents`, or `RawData` for the messages' own data alone.
        streaming: an array of up to `batch_count` messages; else one object per message.
        batch_count: how many messages make a batch full.
        batch_seconds: how long a batch that is not full waits for more.
        retry: how a failed push is repeated.
        tolerate_errors: after the last repeat go on (dead-letter queue, if any); else block.
        dead_letter_queue: where a batch goes that could not be pushed, or None.
        enabled: whether the stream runs.
    """

    name: str
    function: str
    queue: str
    base64_decode: bool = True
    schema: Literal["CloudEvents", "RawData"] = "CloudEvents"
    streaming: bool = True
    batch_count: int = 1
    batch_seconds: int = 0
    retry: RetryStrategy = "BACKOFF_RETRY"
    tolerate_errors: bool = False
    dead_letter_queue: str | None = None
    enabled: bool = True


@dataclass(frozen=True)
class HttpTrigger:
    """An HTTP trigger; `routes` are the local paths, `/v1/*` for all below `/v1/`."""

    name: str
    function: str
    methods: tuple[str, ...]
    routes: tuple[str, ...]


@dataclass(frozen=True)
class TimerTrigger:
    """A timer: `schedule` as Function Compute writes it, `payload` handed over as text."""

    name: str
    function: str
    schedule: str
    enabled: bool
    payload: str


@dataclass(frozen=True)
class EventBridgeTrigger:
    """A trigger on the default event bus (source `Default`): one event, one invocation."""

    name: str
    function: str
    pattern: Mapping[str, Any]
    retry: RetryStrategy = "BACKOFF_RETRY"
    enabled: bool = True


@dataclass(frozen=True)
class TopicTrigger:
    """A trigger on a topic (`triggerType: mns_topic`): one message, one invocation.

    Attributes:
        name: the trigger's name, and that of its subscription.
        function: the function's name in the cloud.
        topic: the topic's name.
        content_format: `STREAM`, the message's body (with its attributes, if it has any), or
            `JSON`, a notification around it.
        filter_tag: only messages with this tag; None takes all.
    """

    name: str
    function: str
    topic: str
    content_format: Literal["STREAM", "JSON"] = "STREAM"
    filter_tag: str | None = None


Trigger = QueueTrigger | HttpTrigger | TimerTrigger | EventBridgeTrigger | TopicTrigger


@dataclass(frozen=True)
class QueueSpec:
    """One queue; its dead-letter queue is in the attributes."""

    name: str
    attributes: QueueAttributes


@dataclass(frozen=True)
class SubscriptionSpec:
    """One subscription of a topic that ends in a queue, or at a URL (`endpoint`, no queue)."""

    topic: str
    name: str
    queue: str
    content_format: str = "XML"
    filter_tag: str | None = None
    endpoint: str | None = None
    retry: RetryStrategy = "BACKOFF_RETRY"


@dataclass(frozen=True)
class Unsimulated:
    """Something that the template says and this machine does not do.

    Attributes:
        kind: the resources' type.
        setting: the property, e.g. `Cpu`; empty for the whole type.
        why: in a few words.
        resources: their logical ids.
    """

    kind: str
    setting: str
    why: str
    resources: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it, for people."""
        names = ", ".join(self.resources)
        return f"{self.setting or self.kind} is not simulated: {self.why} ({names})"


@dataclass(frozen=True)
class Template:
    """All that the host and the twins need from `template.yml`.

    Attributes:
        functions: in the template's order, like everything here, but
        queues: dead-letter queues before those that need them.
        triggers: of every type, disabled ones included.
        topics: names.
        subscriptions: those whose endpoint is a queue or a URL.
        rules: of the event bus, those that `Default` triggers imply included.
        unsimulated: what the template says and this machine does not do.
    """

    functions: tuple[FunctionSpec, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    queues: tuple[QueueSpec, ...] = ()
    topics: tuple[str, ...] = ()
    subscriptions: tuple[SubscriptionSpec, ...] = ()
    rules: tuple[Rule, ...] = ()
    unsimulated: tuple[Unsimulated, ...] = field(default=())
