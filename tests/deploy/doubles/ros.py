"""A double of ROS: stacks, change sets and events, computed from the template that it is given.

It works when it is looked at: each GetStack does some more resources, so a test needs no waiting.
https://www.alibabacloud.com/help/en/ros/developer-reference/api-ros-2019-09-10-overview
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from deploy.stack.parameters import is_secret
from deploy.stack.plan import Plan
from local.host.template.parameters import read_parameters
from local.host.template.scope import DeployTime
from local.host.template.yaml_reader import TemplateError, read_yaml

HIDDEN = "******"
# The property that a resource is known by: another one means another resource.
IDENTITIES = ("FunctionName", "QueueName", "TopicName", "TableName", "RuleName", "InstanceName")
PER_LOOK = 15


class RosRefusal(Exception):
    """An error of the service."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


@dataclass
class Resource:
    """A resource of a stack."""

    kind: str
    properties: dict[str, Any]
    retain: bool = False


@dataclass
class Work:
    """What a stack is busy with: (action, name, resource) by turns, and what comes after."""

    kind: str
    steps: list[tuple[str, str, Resource]]
    done: list[tuple[str, str, Resource | None]] = field(default_factory=list)


@dataclass
class Stack:
    """A stack."""

    id: str
    name: str
    status: str
    reason: str = ""
    template: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    events: list[dict[str, str]] = field(default_factory=list)
    work: Work | None = None


@dataclass
class ChangeSet:
    """A change set."""

    id: str
    name: str
    stack: Stack
    template: str
    parameters: dict[str, str]
    wanted: dict[str, Resource]
    changes: list[dict[str, Any]]
    status: str
    reason: str = ""
    execution: str = "AVAILABLE"
    looks: int = 1


class Ros:
    """The double.

    Attributes:
        stacks: by their id.
        change_sets: by their id.
        failing: name of a resource -> why it cannot be made or changed.
        kept: kinds and names of resources that outlived their stack.
        rolls_back: whether a failed update is put back.
        says_no_change: whether a change set without changes fails, with a sentence.
        seen: every parameter that was ever given, to look for secrets.
    """

    def __init__(self, endpoint: Callable[[], str], account: str) -> None:
        self._endpoint = endpoint
        self._account = account
        self._ids = itertools.count(1)
        self.stacks: dict[str, Stack] = {}
        self.change_sets: dict[str, ChangeSet] = {}
        self.failing: dict[str, str] = {}
        self.kept: dict[tuple[str, str], Resource] = {}
        self.rolls_back = False
        self.says_no_change = True
        self.per_look = PER_LOOK

    def stack(self, name: str) -> Stack:
        """The living stack of that name."""
        return next(
            s for s in self.stacks.values() if s.name == name and s.status != "DELETE_COMPLETE"
        )

    def call(self, action: str, given: Mapping[str, str]) -> dict[str, Any]:
        """Serve one call."""
        work = {
            "ListStacks": self._list_stacks,
            "GetStack": self._get_stack,
            "CreateChangeSet": self._create_change_set,
            "GetChangeSet": self._get_change_set,
            "ListChangeSets": self._list_change_sets,
            "DeleteChangeSet": self._delete_change_set,
            "ExecuteChangeSet": self._execute_change_set,
            "ListStackEvents": self._list_stack_events,
            "ListStackResources": self._list_stack_resources,
            "DeleteStack": self._delete_stack,
        }[action]
        return work(given)

    # ------------------------------------------------------------------ reading

    def _list_stacks(self, given: Mapping[str, str]) -> dict[str, Any]:
        rows = [
            {"StackId": s.id, "StackName": s.name, "Status": s.status}
            for s in self.stacks.values()
            if s.name == given["StackName.1"]
        ]
        return {"Stacks": rows, "TotalCount": len(rows)}

    def _get_stack(self, given: Mapping[str, str]) -> dict[str, Any]:
        stack = self._find(given)
        self._work(stack)
        declared = _declared(stack.template)
        shown = [
            {
                "ParameterKey": name,
                "ParameterValue": HIDDEN if is_secret(declared.get(name)) else value,
            }
            for name, value in stack.parameters.items()
        ]
        return {
            "StackId": stack.id,
            "StackName": stack.name,
            "Status": stack.status,
            "StatusReason": stack.reason,
            "Parameters": shown,
            "Outputs": self._outputs(stack),
        }

    def _outputs(self, stack: Stack) -> list[dict[str, str]]:
        if stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return []
        outputs = yaml_of(stack.template).get("Outputs") or {}
        plan = self._plan(stack.template, stack.parameters)
        rows = []
        for name, output in outputs.items():
            value = plan._evaluator.evaluate(output["Value"], name)
            if isinstance(value, DeployTime):
                value = f"{self._endpoint()}/{str(value).lower()}"
            if name == "MailsQueueUrl":
                queue = stack.resources["MailsQueue"].properties["QueueName"]
                value = f"{self._endpoint()}/queues/{queue}"
            rows.append(
                {
                    "OutputKey": name,
                    "OutputValue": value,
                    "Description": output.get("Description", ""),
                }
            )
        return rows

    def _list_stack_events(self, given: Mapping[str, str]) -> dict[str, Any]:
        stack = self._find(given)
        size, page = int(given["PageSize"]), int(given["PageNumber"])
        newest_first = stack.events[::-1]
        rows = newest_first[(page - 1) * size : page * size]
        return {"Events": rows, "TotalCount": len(stack.events)}

    def _list_stack_resources(self, given: Mapping[str, str]) -> dict[str, Any]:
        stack = self._find(given)
        rows = [
            {"LogicalResourceId": name, "ResourceType": each.kind}
            for name, each in stack.resources.items()
        ]
        return {"Resources": rows}

    # ------------------------------------------------------------------ change sets

    def _create_change_set(self, given: Mapping[str, str]) -> dict[str, Any]:
        parameters = {
            value: given[f"{key.rpartition('.')[0]}.ParameterValue"]
            for key, value in given.items()
            if key.startswith("Parameters.") and key.endswith(".ParameterKey")
        }
        if given.get("ChangeSetType") == "CREATE":
            stack = self._reviewed(given["StackName"])
        else:
            stack = self._find(given)
            if str(given.get("UsePreviousParameters")).lower() == "true":
                parameters = {**stack.parameters, **parameters}
        template = given["TemplateBody"]
        declared = _declared(template)
        parameters = {name: value for name, value in parameters.items() if name in declared}
        try:
            values = read_parameters(declared, parameters)
        except TemplateError as error:
            raise RosRefusal(400, "StackValidationFailed", str(error)) from None
        for name, value in values.items():
            if isinstance(value, DeployTime):
                raise RosRefusal(
                    400, "ParameterMissing", f"The Parameter ({name}) was not provided."
                )
        wanted = self._resources(template, parameters)
        changes = _changes(stack.resources, wanted)
        made = ChangeSet(
            f"cs-{next(self._ids)}", given["ChangeSetName"], stack, template,
            {**{n: str(r["Default"]) for n, r in declared.items() if "Default" in r}, **parameters},
            wanted, changes, "CREATE_IN_PROGRESS",
        )  # fmt: skip
        self.change_sets[made.id] = made
        return {"ChangeSetId": made.id, "StackId": stack.id}

    def _reviewed(self, name: str) -> Stack:
        if any(s.name == name and s.status != "DELETE_COMPLETE" for s in self.stacks.values()):
            raise RosRefusal(409, "StackExists", f"The Stack ({name}) already exists.")
        stack = Stack(f"stack-{next(self._ids)}", name, "REVIEW_IN_PROGRESS")
        self.stacks[stack.id] = stack
        return stack

    def _get_change_set(self, given: Mapping[str, str]) -> dict[str, Any]:
        found = self._set(given)
        if found.status == "CREATE_IN_PROGRESS":
            found.looks -= 1
            if found.looks < 0:
                found.status = "CREATE_COMPLETE"
                if not found.changes and self.says_no_change:
                    found.status, found.execution = "CREATE_FAILED", "UNAVAILABLE"
                    found.reason = "There are no changes in the change set."
        return {
            "ChangeSetId": found.id,
            "ChangeSetName": found.name,
            "StackId": found.stack.id,
            "Status": found.status,
            "StatusReason": found.reason,
            "ExecutionStatus": found.execution,
            "Changes": found.changes if found.status == "CREATE_COMPLETE" else [],
        }

    def _list_change_sets(self, given: Mapping[str, str]) -> dict[str, Any]:
        stack = self._find(given)
        rows = [
            {"ChangeSetId": c.id, "ExecutionStatus": c.execution, "Status": c.status}
            for c in self.change_sets.values()
            if c.stack is stack
        ]
        return {"ChangeSets": rows}

    def _delete_change_set(self, given: Mapping[str, str]) -> dict[str, Any]:
        found = self._set(given)
        del self.change_sets[found.id]
        return {}

    def _execute_change_set(self, given: Mapping[str, str]) -> dict[str, Any]:
        found = self._set(given)
        stack = found.stack
        if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise RosRefusal(409, "ActionInProgress", "Stack already has an action in progress.")
        found.execution = "EXECUTE_IN_PROGRESS"
        self.change_sets = {
            c.id: c for c in self.change_sets.values() if c.stack is not stack or c is found
        }
        kind = "CREATE" if stack.status == "REVIEW_IN_PROGRESS" else "UPDATE"
        stack.template, stack.parameters = found.template, dict(found.parameters)
        steps = [
            (
                change["ResourceChange"]["Action"],
                change["ResourceChange"]["LogicalResourceId"],
                found.wanted.get(change["ResourceChange"]["LogicalResourceId"])
                or stack.resources[change["ResourceChange"]["LogicalResourceId"]],
            )
            for change in found.changes
        ]
        self._begin(stack, kind, steps)
        return {}

    def _delete_stack(self, given: Mapping[str, str]) -> dict[str, Any]:
        stack = self._find(given)
        retain = {value for key, value in given.items() if key.startswith("RetainResources.")}
        steps = [("Remove", name, each) for name, each in stack.resources.items()]
        for name, each in stack.resources.items():
            each.retain = each.retain or name in retain
        self.change_sets = {c.id: c for c in self.change_sets.values() if c.stack is not stack}
        self._begin(stack, "DELETE", steps)
        return {}

    # ------------------------------------------------------------------ working

    def _begin(self, stack: Stack, kind: str, steps: list[tuple[str, str, Resource]]) -> None:
        stack.status, stack.reason = f"{kind}_IN_PROGRESS", f"Stack {kind} started"
        stack.work = Work(kind, steps)
        self._tell(stack, stack.name, "ALIYUN::ROS::Stack", stack.status, stack.reason)

    def _work(self, stack: Stack) -> None:
        for _ in range(self.per_look):
            if stack.work is None:
                return
            if not stack.work.steps:
                self._end(stack, f"{stack.work.kind}_COMPLETE", "")
                return
            self._step(stack, stack.work)

    def _step(self, stack: Stack, work: Work) -> None:
        action, name, resource = work.steps.pop(0)
        verb = {"Add": "CREATE", "Modify": "UPDATE", "Remove": "DELETE"}[action]
        self._tell(stack, name, resource.kind, f"{verb}_IN_PROGRESS", "state changed")
        reason = self._refusal(name, action, resource)
        if reason:
            self._tell(stack, name, resource.kind, f"{verb}_FAILED", reason)
            self._fail(stack, work, reason)
            return
        if action == "Remove":
            if resource.retain:
                self.kept[resource.kind, _identity(resource)] = resource
            stack.resources.pop(name, None)
        else:
            stack.resources[name] = resource
        self._tell(stack, name, resource.kind, f"{verb}_COMPLETE", "state changed")

    def _refusal(self, name: str, action: str, resource: Resource) -> str:
        if name in self.failing:
            return self.failing[name]
        if action == "Add" and (resource.kind, _identity(resource)) in self.kept:
            return (
                "OTSObjectAlreadyExist: code: 409, Requested instance name already exists "
                f"({_identity(resource)})"
            )
        return ""

    def _fail(self, stack: Stack, work: Work, reason: str) -> None:
        text = f"Resource failed: {reason}"
        if work.kind == "CREATE":
            gone = [("Remove", name, each) for name, each in stack.resources.items()]
            for _, name, each in gone:
                self._tell(stack, name, each.kind, "DELETE_COMPLETE", "rollback")
            stack.resources.clear()
            self._end(stack, "CREATE_ROLLBACK_COMPLETE", text)
        elif work.kind == "UPDATE" and self.rolls_back:
            self._end(stack, "ROLLBACK_COMPLETE", text)
        else:
            for _, name, each in work.steps:
                self._tell(stack, name, each.kind, f"{work.kind}_FAILED", f"{work.kind} cancelled")
            self._end(stack, f"{work.kind}_FAILED", text)

    def _end(self, stack: Stack, status: str, reason: str) -> None:
        stack.work, stack.status, stack.reason = None, status, reason
        self._tell(stack, stack.name, "ALIYUN::ROS::Stack", status, reason)

    def _tell(self, stack: Stack, name: str, kind: str, status: str, reason: str) -> None:
        stack.events.append(
            {
                "EventId": f"e-{next(self._ids)}",
                "CreateTime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S"),
                "LogicalResourceId": name,
                "ResourceType": kind,
                "StackId": stack.id,
                "StackName": stack.name,
                "Status": status,
                "StatusReason": reason,
            }
        )

    # ------------------------------------------------------------------ templates

    def _resources(self, template: str, parameters: Mapping[str, str]) -> dict[str, Resource]:
        document = yaml_of(template)
        plan = self._plan(template, parameters)
        kinds = {each["Type"] for each in document["Resources"].values()}
        return {
            each.name: Resource(
                each.kind,
                json.loads(json.dumps(each.properties)),
                document["Resources"][each.name].get("DeletionPolicy") == "Retain",
            )
            for each in plan.of(*kinds)
        }

    def _plan(self, template: str, parameters: Mapping[str, str]) -> Plan:
        return Plan(yaml_of(template), "cn-hangzhou", parameters, self._account)

    def _find(self, given: Mapping[str, str]) -> Stack:
        stack = self.stacks.get(given["StackId"])
        if stack is None or (stack.status == "DELETE_COMPLETE" and not stack.events):
            raise RosRefusal(
                404, "StackNotFound", f"The Stack ({given['StackId']}) could not be found."
            )
        return stack

    def _set(self, given: Mapping[str, str]) -> ChangeSet:
        found = self.change_sets.get(given["ChangeSetId"])
        if found is None:
            raise RosRefusal(
                404,
                "ChangeSetNotFound",
                f"The ChangeSet {given['ChangeSetId']} could not be found.",
            )
        return found


@lru_cache(maxsize=8)
def yaml_of(template: str) -> dict[str, Any]:
    """A template's text as values."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
        file.write(template)
        file.flush()
        return read_yaml(Path(file.name))


def _declared(template: str) -> dict[str, Any]:
    return (yaml_of(template).get("Parameters") or {}) if template else {}


def _identity(resource: Resource) -> str:
    return ".".join(str(resource.properties.get(name, "")) for name in IDENTITIES)


def _changes(old: Mapping[str, Resource], new: Mapping[str, Resource]) -> list[dict[str, Any]]:
    rows = []
    for name, resource in new.items():
        if name not in old:
            rows.append(_row("Add", name, resource.kind))
        elif resource.properties != old[name].properties:
            row = _row("Modify", name, resource.kind)
            before = old[name].properties
            changed = [
                key
                for key in {**before, **resource.properties}
                if before.get(key) != resource.properties.get(key)
            ]
            again = any(key in IDENTITIES for key in changed)
            row["ResourceChange"] |= {
                "Replacement": "True" if again else "False",
                "Scope": ["Properties"],
                "Details": [
                    {"Target": {"Attribute": "Properties", "Name": key}} for key in changed
                ],
            }
            rows.append(row)
    return rows + [_row("Remove", name, each.kind) for name, each in old.items() if name not in new]


def _row(action: str, name: str, kind: str) -> dict[str, Any]:
    change = {"Action": action, "LogicalResourceId": name, "ResourceType": kind}
    return {"Type": "Resource", "ResourceChange": change}
