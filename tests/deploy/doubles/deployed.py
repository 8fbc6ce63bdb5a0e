"""What the other services show of the stacks that the double of ROS has made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.stack.plan import FUNCTION, QUEUE, RULE, TRIGGER
from local.account import ACCOUNT_ID
from tests.deploy.doubles.ros import Resource, Ros

LINKED_ROLES = (
    "AliyunServiceRoleForEventBridgeSendToFC",
    "AliyunServiceRoleForEventBridgeSendToMNS",
    "AliyunServiceRoleForEventBridgeSourceMNS",
)


class DeployedRefusal(Exception):
    """An error of a service."""

    def __init__(self, status: int, code: str, message: str = "not found") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


class Deployed:
    """Queues, rules, functions and roles.

    Attributes:
        roles: names of roles that the account has.
        regions: where Function Compute is.
        counts_queues: whether a queue tells how many messages it has, which it may cease to do.
        says_missing: whether EventBridge answers 200 with an error's code in the body.
    """

    def __init__(self, ros: Ros) -> None:
        self._ros = ros
        self.roles: set[str] = set(LINKED_ROLES)
        self.regions = {"cn-hangzhou", "ap-southeast-1", "eu-central-1", "us-east-1"}
        self.counts_queues = True
        self.says_missing = False

    def call(self, name: str, given: Mapping[str, str], path: str) -> dict[str, Any]:
        """Serve one call."""
        if name == "ram:GetRole":
            return self._role(given["RoleName"])
        if name == "eventbridge:GetRule":
            return self._rule(given["RuleName"])
        if name == "mns:GetQueueAttributes":
            return self._queue(given["QueueName"])
        if name == "fc:DescribeRegions":
            rows = [{"RegionId": region, "LocalName": region} for region in sorted(self.regions)]
            return {"Regions": {"Region": rows}}
        if name == "fc:GetFunction":
            return self._function(path.rpartition("/")[2])
        if name == "fc:GetTrigger":
            found = re.fullmatch(r".*/functions/([^/]+)/triggers/([^/]+)", path)
            return self._trigger(*(found.groups() if found else ("", "")))
        raise DeployedRefusal(404, "InvalidAction.NotFound", name)

    def queue_names(self) -> list[str]:
        """Of all queues."""
        return [str(each.properties["QueueName"]) for each in self._of(QUEUE)]

    def queue(self, name: str) -> Resource:
        """A queue, to be changed by hand."""
        return self._one(QUEUE, "QueueName", name)

    def rule(self, name: str) -> Resource:
        """A rule, likewise."""
        return self._one(RULE, "RuleName", name)

    def triggers(self) -> list[Resource]:
        """All triggers, likewise."""
        return list(self._of(TRIGGER))

    def _of(self, kind: str) -> Iterator[Resource]:
        for stack in self._ros.stacks.values():
            yield from (each for each in stack.resources.values() if each.kind == kind)

    def _one(self, kind: str, key: str, name: str) -> Resource:
        for each in self._of(kind):
            if each.properties[key] == name:
                return each
        raise DeployedRefusal(404, f"{key}.NotFound", f"{name} does not exist")

    def _role(self, name: str) -> dict[str, Any]:
        if name not in self.roles:
            raise DeployedRefusal(404, "EntityNotExist.Role", f"The role not exists: {name}.")
        return {"Role": {"RoleName": name, "Arn": f"acs:ram::{ACCOUNT_ID}:role/{name}"}}

    def _rule(self, name: str) -> dict[str, Any]:
        try:
            properties = self.rule(name).properties
        except DeployedRefusal:
            if self.says_missing:
                return {"Code": "EventRuleNotExisted", "Message": "not there", "Success": False}
            raise
        return {
            "Code": "Success",
            "Success": True,
            "Data": {
                **properties,
                "FilterPattern": json.dumps(properties["FilterPattern"]),
                "Targets": properties["Targets"],
            },
        }

    def _queue(self, name: str) -> dict[str, Any]:
        properties = self.queue(name).properties
        counts = {"ActiveMessages": 0, "InactiveMessages": 0, "DelayMessages": 0}
        return {
            "Code": 200,
            "Status": 200,
            "Success": True,
            "Data": {**counts, **properties},
        }

    def _function(self, name: str) -> dict[str, Any]:
        properties = self._one(FUNCTION, "FunctionName", name).properties
        return {"functionName": name, "runtime": properties["Runtime"]}

    def _trigger(self, function: str, name: str) -> dict[str, Any]:
        for each in self.triggers():
            if (each.properties["FunctionName"], each.properties["TriggerName"]) == (
                function,
                name,
            ):
                config = json.dumps(each.properties["TriggerConfig"])
                return {"triggerName": name, "triggerConfig": config}
        raise DeployedRefusal(404, "TriggerNotFound", name)
