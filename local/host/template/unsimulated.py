"""Finds what the template declares and this machine does not do, and says it in plain sentences.

A local run that silently differs from the cloud is worse than none. So every property that the
host does not read, and every resource it does not know, is found.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence

from local.host.model import FunctionSpec, Unsimulated
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
_NOT_KNOWN = "this host does not know it"
_GROUPS: Mapping[str, str] = {_FUNCTION: "functions", _TRIGGER: "triggers"}
# They name or describe, and have nothing to simulate.
_LABELS = frozenset({"Description", "Qualifier", "Tags"})


def find_unsimulated(
    read: Iterable[tuple[str, str, Properties]], unknown: Iterable[tuple[str, str]]
) -> tuple[Unsimulated, ...]:
    """What is not simulated.

    Args:
        read: the resources that were read: type, logical id, properties.
        unknown: the others: type and logical id.

    Returns:
        One for each property and each unknown type, with the resources it is about.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for kind, logical_id, properties in read:
        without_effect = [key for key in _WITHOUT_EFFECT.get(kind, ()) if properties.has(key)]
        for key in sorted({*properties.unread(), *without_effect} - _LABELS):
            found.setdefault((kind, key), []).append(logical_id)
    for kind, logical_id in unknown:
        found.setdefault((kind, ""), []).append(logical_id)
    return tuple(
        Unsimulated(kind, key, _why(kind, key), tuple(ids))
        for (kind, key), ids in sorted(found.items(), key=lambda item: not item[0][1])
    )


def other_runtimes(functions: Iterable[FunctionSpec]) -> Iterator[Unsimulated]:
    """The functions that run with another Python here than in the cloud."""
    here = ".".join(platform.python_version_tuple()[:2])
    others: dict[str, list[str]] = {}
    for spec in functions:
        if spec.runtime != f"python{here}":
            others.setdefault(spec.runtime, []).append(spec.logical_id)
    for runtime, ids in sorted(others.items()):
        why = f"Python {here} runs instead of {runtime}"
        yield Unsimulated(_FUNCTION, "Runtime", why, tuple(ids))


def summary(found: Sequence[Unsimulated]) -> list[tuple[str, str]]:
    """At most four lines for all of it: what it is about, and the names."""
    groups: dict[str, list[str]] = {}
    for each in found:
        if each.setting:
            group = _GROUPS.get(each.kind, "queues, events")
            name = each.setting.rpartition(".")[2]
        else:
            group, name = "not at all", each.kind.removeprefix("ALIYUN::")
        names = groups.setdefault(group, [])
        if name not in names:
            names.append(name)
    return [(group, ", ".join(names)) for group, names in groups.items()]


def _why(kind: str, key: str) -> str:
    if not key:
        return _WHOLE_TYPES.get(kind, _NOT_KNOWN)
    return _REASONS.get((kind, key)) or _REASONS.get((kind, key.partition(".")[0]), _NOT_KNOWN)
