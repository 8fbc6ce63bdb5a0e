"""Functions: times, sizes, logs, instances, failed calls, and their environment variables.

https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.check.problems import Problem
from deploy.check.rendered import Made, Rendered
from deploy.check.rules.arns import destination_name, queue_names
from local.host.template.scope import DeployTime

LOG_BEGIN_RULES = ("DefaultRegex", "None")
RUNTIMES = ("python3.10", "python3.12")
# EventBridge waits 5 minutes for a push.
PUSH_SECONDS = 300
ENVIRONMENT_BYTES_MAX = 4096
MEMORY_STEP_MB = 64
CPU_STEPS = 20  # of a vCPU, each 0.05
# vCPU to GB of memory, from 1:1 to 1:4.
GB_PER_CPU = (1, 4)


def check_functions(rendered: Rendered) -> Iterator[Problem]:
    """What is wrong with functions."""
    functions = rendered.of("FC3::Function")
    for function in functions:
        yield from _times(function)
        yield from _sizes(function)
        yield from _environment(function)
        yield from _names(function, rendered)
        for key in ("LogConfig", "Role", "Code"):
            if function.get(key) is None:
                yield Problem(function.path, f"{key} is missing", "function")
        if function.get("Runtime") not in RUNTIMES:
            where = f"{function.path}.Runtime"
            yield Problem(where, f"is none of {', '.join(RUNTIMES)}", "function")
        yield from _logs(function, rendered)
        yield from _companions(function, rendered)
    yield from _roles(functions)


def _times(function: Made) -> Iterator[Problem]:
    timeout = _number(function.get("Timeout"))
    if timeout is None or timeout >= PUSH_SECONDS:
        where = f"{function.path}.Timeout"
        yield Problem(where, f"is not below {PUSH_SECONDS} s, the end of a push", "timeout")
    hook = function.get("InstanceLifecycleConfig", "Initializer", default={})
    module = str(function.get("Handler")).rpartition(".")[0]
    if hook.get("Handler") != f"{module}.initialize":
        where = f"{function.path}.InstanceLifecycleConfig"
        yield Problem(where, f"has no initializer {module}.initialize", "function")
    limit = _number(hook.get("Timeout"))
    if limit is None or not 1 <= limit <= PUSH_SECONDS:
        where = f"{function.path}.InstanceLifecycleConfig.Initializer"
        yield Problem(where, f"Timeout is not from 1 to {PUSH_SECONDS} s", "timeout")


def _sizes(function: Made) -> Iterator[Problem]:
    memory, cpu = _number(function.get("MemorySize")), _number(function.get("Cpu"))
    if memory is None or memory % MEMORY_STEP_MB:
        yield Problem(f"{function.path}.MemorySize", f"is no multiple of {MEMORY_STEP_MB}", "size")
        return
    if cpu is None or round(cpu * CPU_STEPS, 6) % 1:
        yield Problem(f"{function.path}.Cpu", "is no multiple of 0.05", "size")
        return
    least, most = GB_PER_CPU
    if not least <= memory / 1024 / cpu <= most:
        problem = f"vCPU to GB is not between 1:{least} and 1:{most}: {cpu} and {memory / 1024:g}"
        yield Problem(f"{function.path}.Cpu", problem, "size")


def _environment(function: Made) -> Iterator[Problem]:
    path = f"{function.path}.EnvironmentVariables"
    variables = function.get("EnvironmentVariables", default={})
    for name, value in variables.items():
        if not isinstance(value, str):
            yield Problem(f"{path}.{name}", f"{value!r} is not a text", "environment")
        if not name.startswith("POSTBUS_"):
            yield Problem(f"{path}.{name}", "does not begin with POSTBUS_", "environment")
    size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
    if size > ENVIRONMENT_BYTES_MAX:
        yield Problem(path, f"has {size} bytes, more than {ENVIRONMENT_BYTES_MAX}", "quota")


def _names(function: Made, rendered: Rendered) -> Iterator[Problem]:
    """The queues and the topic that the code is told of are this stack's."""
    topics = {str(topic.get("TopicName")) for topic in rendered.of("MNS::Topic")}
    for variable, value in function.get("EnvironmentVariables", default={}).items():
        for ending, names in (("_QUEUE", queue_names(rendered)), ("_TOPIC", topics)):
            if variable.endswith(ending) and str(value) not in names:
                where = f"{function.path}.EnvironmentVariables.{variable}"
                yield Problem(where, f"{value!r} is not of this stack", "environment")


def _logs(function: Made, rendered: Rendered) -> Iterator[Problem]:
    """Logs go to a log store of this stack, one entry for each line of ours."""
    config = function.get("LogConfig", default={})
    stores = {(s.get("ProjectName"), s.get("LogstoreName")) for s in rendered.of("SLS::Logstore")}
    if config and (config.get("Project"), config.get("Logstore")) not in stores:
        yield Problem(f"{function.path}.LogConfig", "is no log store of this stack", "logs")
    if config and config.get("LogBeginRule") not in LOG_BEGIN_RULES:
        where = f"{function.path}.LogConfig.LogBeginRule"
        yield Problem(where, f"is none of {', '.join(LOG_BEGIN_RULES)}", "logs")


def _companions(function: Made, rendered: Rendered) -> Iterator[Problem]:
    """Each function has a share of instances and a place for calls that failed."""
    name = function.get("FunctionName")
    for kind in ("FC3::ConcurrencyConfig", "FC3::AsyncInvokeConfig"):
        if name not in [each.get("FunctionName") for each in rendered.of(kind)]:
            yield Problem(function.path, f"there is no {kind} for it", "function")
    for config in rendered.of("FC3::AsyncInvokeConfig"):
        destination = config.get("DestinationConfig", "OnFailure", "Destination")
        if config.get("FunctionName") == name and not destination_name(destination, rendered):
            where = f"{config.path}.DestinationConfig"
            yield Problem(where, f"OnFailure {destination} is no queue of this stack", "arn")


def _roles(functions: list[Made]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for function in functions:
        role = str(function.get("Role"))
        if role in owners:
            where = f"{function.path}.Role"
            yield Problem(where, f"is the role of {owners[role]}, too", "role")
        owners[role] = function.name


def _number(value: Any) -> float | None:
    if isinstance(value, DeployTime):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
