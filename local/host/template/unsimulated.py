"""Says in plain sentences what the template declares and this machine does not do.

A local run that silently differs from the cloud is worse than none. So every property that the
host does not read, and every resource it does not know, becomes a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from local.host.template.properties import Properties

# Why, where there is more to say than that it is not simulated.
_FUNCTION, _TRIGGER = "ALIYUN::FC3::Function", "ALIYUN::FC3::Trigger"
_SUBSCRIPTION, _RULE = "ALIYUN::MNS::Subscription", "ALIYUN::EventBridge::Rule"
_REASONS: Mapping[tuple[str, str], str] = {
    (_FUNCTION, "Code"): "the working copy runs instead of the package",
    (_FUNCTION, "Cpu"): "a worker takes what the machine has",
    (_FUNCTION, "DiskSize"): "the machine's own disk is there",
    (_FUNCTION, "InstanceConcurrency"): "an instance takes one request at a time",
    (_FUNCTION, "InternetAccess"): "the network is the machine's",
    (_FUNCTION, "LogConfig"): "logs go to the terminal and the state folder, not to SLS",
    (_FUNCTION, "MemorySize"): "the function is told the size, nothing enforces it",
    (_FUNCTION, "Role"): "an instance gets the role's temporary keys, permissions are not checked",
    (_TRIGGER, "TriggerConfig.asyncInvocationType"): "pushes wait for the function's result",
    (_TRIGGER, "TriggerConfig.authType"): "whoever reaches the local port may call",
    (_TRIGGER, "TriggerConfig.disableURLInternet"): "the address is this machine's own",
    (_TRIGGER, "TriggerConfig.notifyStrategy"): "a message reaches the function at once",
    (_SUBSCRIPTION, "NotifyStrategy"): "a message reaches the queue at once",
    (_RULE, "Targets.DeadLetterQueue"): "an event reaches its target at once",
    (_RULE, "Targets.ErrorsTolerance"): "an event reaches its target at once",
    (_RULE, "Targets.PushRetryStrategy"): "an event reaches its target at once",
}
_WHOLE_TYPES: Mapping[str, str] = {
    "ALIYUN::RAM::Role": "permissions are not checked",
    "ALIYUN::OTS::Instance": "the ledger is a file here, or Tablestore's twin (--ledger)",
    "ALIYUN::OTS::Table": "the twin makes the ledger's tables itself",
    "ALIYUN::FC3::AsyncInvokeConfig": "a failed asynchronous call is repeated three times",
    "ALIYUN::FC3::ConcurrencyConfig": "--instances says how many workers a function has",
    "ALIYUN::SLS::Index": "logs go to the terminal and the state folder",
    "ALIYUN::SLS::Logstore": "logs go to the terminal and the state folder",
    "ALIYUN::SLS::Project": "logs go to the terminal and the state folder",
}
# Read, because a function can see them, but without their effect.
_WITHOUT_EFFECT: Mapping[str, tuple[str, ...]] = {_FUNCTION: ("MemorySize", "Role")}
# They name or describe, and have nothing to simulate.
_LABELS = frozenset({"Description", "Qualifier", "Tags"})


def sentences(
    read: Iterable[tuple[str, str, Properties]], unknown: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """What is not simulated.

    Args:
        read: the resources that were read: type, logical id, properties.
        unknown: the others: type and logical id.

    Returns:
        One sentence for each property and each unknown type, with the resources it is about.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for kind, logical_id, properties in read:
        without_effect = [key for key in _WITHOUT_EFFECT.get(kind, ()) if properties.has(key)]
        for key in sorted({*properties.unread(), *without_effect} - _LABELS):
            found.setdefault((kind, key), []).append(logical_id)
    whole: dict[str, list[str]] = {}
    for kind, logical_id in unknown:
        whole.setdefault(kind, []).append(logical_id)
    return (
        *(f"{key} is not simulated: {_why(kind, key, ids)}" for (kind, key), ids in found.items()),
        *(
            f"{kind} is not simulated: {_because(_WHOLE_TYPES.get(kind), ids)}"
            for kind, ids in whole.items()
        ),
    )


def _why(kind: str, key: str, ids: list[str]) -> str:
    return _because(_REASONS.get((kind, key)) or _REASONS.get((kind, key.partition(".")[0])), ids)


def _because(reason: str | None, ids: list[str]) -> str:
    names = ", ".join(ids)
    return f"{reason} ({names})" if reason else f"this host does not know it ({names})"
