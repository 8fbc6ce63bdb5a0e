"""Every queue keeps its messages for 7 days and gives up into a dead-letter queue.

https://www.alibabacloud.com/help/en/mns/user-guide/dead-letter-queues
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.check.problems import Problem
from deploy.check.rendered import Made, Rendered
from deploy.check.rules.arns import endpoint_name

RETENTION_SECONDS = 7 * 24 * 3600
# A restart of the consumer in mid-flight counts as a receive.
RECEIVES_MIN = 10


def check_queues(rendered: Rendered) -> Iterator[Problem]:
    """What is wrong with queues, topics' subscriptions and their nets."""
    queues = rendered.of("MNS::Queue")
    names = {queue.get("QueueName") for queue in queues}
    ends = set(_ends(rendered))
    for queue in queues:
        retention = queue.get("MessageRetentionPeriod")
        if str(retention) != str(RETENTION_SECONDS):
            where = f"{queue.path}.MessageRetentionPeriod"
            yield Problem(where, f"is {retention}, not {RETENTION_SECONDS}: 7 days", "retention")
        if queue.get("DlqPolicy") is not None:
            yield from _policy(queue, names)
        elif queue.get("QueueName") not in ends:
            yield Problem(queue.path, "has no dead-letter queue", "dead-letters")
    for subscription in rendered.of("MNS::Subscription"):
        yield from _subscription(subscription, rendered)


def dead_letter_queues(rendered: Rendered) -> set[str]:
    """The queues that another queue's policy, a trigger or a rule gives up into."""
    found = {
        str(queue.get("DlqPolicy", "DeadLetterTargetQueue")) for queue in rendered.of("MNS::Queue")
    }
    return (found | set(_pushed(rendered))) - {"None"}


def _ends(rendered: Rendered) -> Iterator[str]:
    """The queues where everything has ended, and which therefore need no queue behind them."""
    yield from dead_letter_queues(rendered)


def _pushed(rendered: Rendered) -> Iterator[str]:
    for trigger in rendered.of("FC3::Trigger"):
        arn = trigger.get("TriggerConfig", "runOptions", "deadLetterQueue", "Arn", default="")
        yield str(arn).rpartition("/queues/")[2]
    for rule in rendered.of("EventBridge::Rule"):
        for target in rule.get("Targets", default=[]):
            letters = target.get("DeadLetterQueue") or {}
            yield str(letters.get("Arn", "")).rpartition("/queues/")[2]


def _policy(queue: Made, names: set[str]) -> Iterator[Problem]:
    path = f"{queue.path}.DlqPolicy"
    target, receives = (
        queue.get("DlqPolicy", "DeadLetterTargetQueue"),
        queue.get("DlqPolicy", "MaxReceiveCount"),
    )
    if str(queue.get("DlqPolicy", "Enabled")).lower() != "true":
        yield Problem(f"{path}.Enabled", "is off", "dead-letters")
    if target not in names:
        yield Problem(path, f"{target!r} is no queue of this stack", "dead-letters")
    elif target == queue.get("QueueName"):
        yield Problem(path, "a queue cannot be its own dead-letter queue", "dead-letters")
    if not (str(receives).isdigit() and int(receives) >= RECEIVES_MIN):
        yield Problem(
            f"{path}.MaxReceiveCount", f"is {receives}, less than {RECEIVES_MIN}", "dead-letters"
        )


def _subscription(subscription: Made, rendered: Rendered) -> Iterator[Problem]:
    if subscription.get("NotifyStrategy") != "EXPONENTIAL_DECAY_RETRY":
        where = f"{subscription.path}.NotifyStrategy"
        yield Problem(where, "is not EXPONENTIAL_DECAY_RETRY: others give up in a minute", "retry")
    if subscription.get("PushType") == "queue" and not endpoint_name(
        subscription.get("Endpoint"), rendered
    ):
        where = f"{subscription.path}.Endpoint"
        yield Problem(where, f"{subscription.get('Endpoint')} is no queue of this stack", "arn")
