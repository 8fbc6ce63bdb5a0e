"""Roles allow what is named and nothing else.

https://www.alibabacloud.com/help/en/ram/user-guide/policy-elements
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.check.problems import Problem
from deploy.check.rendered import Made, Rendered

# Services that know no resources in permissions, so that the resource can only be `*`.
WITHOUT_RESOURCES = frozenset({"dm", "openplatform"})
TRUSTED = frozenset({"fc.aliyuncs.com", "mns.aliyuncs.com"})


def check_roles(rendered: Rendered) -> Iterator[Problem]:
    """What is wrong with roles."""
    for role in rendered.of("RAM::Role"):
        trust = role.get("AssumeRolePolicyDocument", "Statement", default=[])
        for number, statement in enumerate(trust):
            where = f"{role.path}.AssumeRolePolicyDocument.Statement[{number}]"
            if (statement.get("Action"), statement.get("Effect")) != ("sts:AssumeRole", "Allow"):
                yield Problem(where, "does not allow sts:AssumeRole", "role")
            services = statement.get("Principal", {}).get("Service", [])
            for service in set(map(str, services)) - TRUSTED:
                yield Problem(where, f"trusts {service}", "role")
        if role.get("PolicyAttachments") is not None:
            where = f"{role.path}.PolicyAttachments"
            yield Problem(where, "ready-made policies allow more than is needed", "role")
        for path, statement in _statements(role):
            yield from _statement(path, statement)
    for function in rendered.of("FC3::Function"):
        yield from _platform(function, rendered)


def _platform(function: Made, rendered: Rendered) -> Iterator[Problem]:
    """The platform writes a function's logs, and its failed calls, with the function's role."""
    name = str(function.get("Role")).rpartition("/")[2]
    roles = [role for role in rendered.of("RAM::Role") if role.get("RoleName") == name]
    if not roles:
        yield Problem(f"{function.path}.Role", f"{name!r} is no role of this stack", "role")
        return
    allowed = {
        (action, resource)
        for _, statement in _statements(roles[0])
        for action in _texts(statement.get("Action"))
        for resource in _texts(statement.get("Resource"))
    }
    logs = function.get("LogConfig", default={})
    store = f":project/{logs.get('Project')}/logstore/{logs.get('Logstore')}"
    if not any(a == "log:PostLogStoreLogs" and r.endswith(store) for a, r in allowed):
        yield Problem(roles[0].path, f"does not allow log:PostLogStoreLogs on {store}", "role")
    for config in rendered.of("FC3::AsyncInvokeConfig"):
        destination = config.get("DestinationConfig", "OnFailure", "Destination")
        mine = config.get("FunctionName") == function.get("FunctionName")
        if mine and ("mns:SendMessage", destination) not in allowed:
            yield Problem(roles[0].path, f"does not allow mns:SendMessage on {destination}", "role")


def _statements(role: Made) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for policy_number, policy in enumerate(role.get("Policies", default=[])):
        document = policy.get("PolicyDocument", {}) if isinstance(policy, Mapping) else {}
        for number, statement in enumerate(document.get("Statement", [])):
            where = f"{role.path}.Policies[{policy_number}].PolicyDocument.Statement[{number}]"
            yield where, statement


def _statement(path: str, statement: Mapping[str, Any]) -> Iterator[Problem]:
    if statement.get("Effect") != "Allow" or "NotAction" in statement:
        yield Problem(path, "is not a plain Allow of actions", "role")
    actions = _texts(statement.get("Action"))
    for action in actions:
        if "*" in action or ":" not in action:
            yield Problem(f"{path}.Action", f"{action!r} is a wildcard", "wildcard")
    for resource in _texts(statement.get("Resource")):
        if resource != "*" and not resource.startswith("acs:"):
            yield Problem(f"{path}.Resource", f"{resource!r} is no resource", "role")
    services = {action.partition(":")[0] for action in actions}
    if "*" in _texts(statement.get("Resource")) and not services <= WITHOUT_RESOURCES:
        named = ", ".join(sorted(services - WITHOUT_RESOURCES))
        yield Problem(f"{path}.Resource", f"is *, and {named} knows resources", "wildcard")


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
