"""Stacks and change sets of ROS, as calls of the official SDK.

https://www.alibabacloud.com/help/en/ros/developer-reference/api-ros-2019-09-10-overview
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alibabacloud_ros20190910 import models

from deploy.cloud.faults import NotThere, calling
from deploy.stack.stacks import GONE, Change, ChangeSet, Event, Stack, Wanted

PAGE = 50
MINUTES = 60


class Ros:
    """The calls that a deployment makes.

    Args:
        client: of the official SDK.
        region: where the stacks are.
    """

    def __init__(self, client: Any, region: str) -> None:
        self._client = client
        self._region = region

    def find(self, name: str) -> Stack | None:
        """The stack of that name; None where there is none.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        request = models.ListStacksRequest(
            region_id=self._region, stack_name=[name], page_size=PAGE
        )
        with calling("ros:ListStacks"):
            rows = self._client.list_stacks(request).body.stacks or []
        for row in rows:
            if row.stack_name == name and row.status != GONE:
                return self.get(row.stack_id)
        return None

    def get(self, stack_id: str) -> Stack:
        """A stack by its id.

        Raises:
            CloudError: likewise; `NotThere` once it was deleted.
        """
        with calling("ros:GetStack"):
            body = self._client.get_stack(
                models.GetStackRequest(region_id=self._region, stack_id=stack_id)
            ).body
        outputs = [row for row in body.outputs or [] if row.get("OutputKey")]
        return Stack(
            str(body.stack_id),
            str(body.stack_name),
            str(body.status),
            str(body.status_reason or ""),
            {str(row.parameter_key): str(row.parameter_value) for row in body.parameters or []},
            {row["OutputKey"]: str(row.get("OutputValue", "")) for row in outputs},
            {row["OutputKey"]: str(row.get("Description", "")) for row in outputs},
        )

    def prepare(self, wanted: Wanted) -> str:
        """Have a change set made; gives its id.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        update = wanted.stack_id is not None
        request = models.CreateChangeSetRequest(
            region_id=self._region,
            change_set_name=wanted.name,
            change_set_type="UPDATE" if update else "CREATE",
            description=wanted.description,
            stack_id=wanted.stack_id,
            stack_name=None if update else wanted.stack,
            template_body=wanted.template,
            timeout_in_minutes=MINUTES,
            use_previous_parameters=True if update else None,
            parameters=[
                models.CreateChangeSetRequestParameters(parameter_key=name, parameter_value=value)
                for name, value in wanted.parameters.items()
            ],
        )
        with calling("ros:CreateChangeSet"):
            return str(self._client.create_change_set(request).body.change_set_id)

    def change_set(self, change_set_id: str) -> ChangeSet:
        """A change set by its id.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        with calling("ros:GetChangeSet"):
            body = self._client.get_change_set(
                models.GetChangeSetRequest(region_id=self._region, change_set_id=change_set_id)
            ).body
        return ChangeSet(
            change_set_id,
            str(body.stack_id or ""),
            str(body.status),
            str(body.status_reason or ""),
            str(body.execution_status or ""),
            tuple(_change(row.get("ResourceChange") or {}) for row in body.changes or []),
        )

    def change_sets(self, stack_id: str) -> Iterator[str]:
        """The ids of a stack's change sets that were not executed.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        request = models.ListChangeSetsRequest(
            region_id=self._region, stack_id=stack_id, page_size=PAGE
        )
        with calling("ros:ListChangeSets"):
            rows = self._client.list_change_sets(request).body.change_sets or []
        for row in rows:
            if row.execution_status in ("AVAILABLE", "UNAVAILABLE"):
                yield str(row.change_set_id)

    def discard(self, change_set_id: str) -> None:
        """Delete a change set; one that is gone is no error.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        request = models.DeleteChangeSetRequest(region_id=self._region, change_set_id=change_set_id)
        try:
            with calling("ros:DeleteChangeSet"):
                self._client.delete_change_set(request)
        except NotThere:
            pass

    def execute(self, change_set_id: str) -> None:
        """Do what a change set says.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        request = models.ExecuteChangeSetRequest(
            region_id=self._region, change_set_id=change_set_id
        )
        with calling("ros:ExecuteChangeSet"):
            self._client.execute_change_set(request)

    def events(self, stack_id: str) -> list[Event]:
        """Everything that happened to a stack, the earliest first.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        found: dict[str, Event] = {}
        page = 1
        while True:
            request = models.ListStackEventsRequest(
                region_id=self._region, stack_id=stack_id, page_size=PAGE, page_number=page
            )
            with calling("ros:ListStackEvents"):
                body = self._client.list_stack_events(request).body
            rows = body.events or []
            # Events that come meanwhile move the pages: some are seen twice, none is missed.
            found |= {str(row.event_id): _event(row) for row in rows}
            if len(rows) < PAGE or page * PAGE >= int(body.total_count or 0):
                break
            page += 1
        # The newest come first, and a second may have many: turned around, the order holds.
        events = list(found.values())
        events.reverse()
        events.sort(key=lambda event: event.at)
        return events

    def resources(self, stack_id: str) -> dict[str, str]:
        """Name -> type of a stack's resources.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        with calling("ros:ListStackResources"):
            rows = self._client.list_stack_resources(
                models.ListStackResourcesRequest(region_id=self._region, stack_id=stack_id)
            ).body.resources
        return {str(row.logical_resource_id): str(row.resource_type) for row in rows or []}

    def delete(self, stack_id: str, retain: list[str]) -> None:
        """Delete a stack without some of its resources.

        Raises:
            CloudError: ROS refused or did not answer.
        """
        request = models.DeleteStackRequest(
            region_id=self._region, stack_id=stack_id, retain_resources=retain or None
        )
        with calling("ros:DeleteStack"):
            self._client.delete_stack(request)


def _change(row: Mapping[str, Any]) -> Change:
    # https://www.alibabacloud.com/help/en/ros/user-guide/data-structures
    targets = [detail.get("Target") or {} for detail in row.get("Details") or []]
    names = [str(each.get("Name") or each.get("Attribute") or "") for each in targets]
    return Change(
        str(row.get("Action", "")),
        str(row.get("LogicalResourceId", "")),
        str(row.get("ResourceType", "")),
        str(row.get("Replacement") or "False"),
        tuple(dict.fromkeys(name for name in names if name)),
    )


def _event(row: Any) -> Event:
    return Event(
        str(row.event_id),
        str(row.create_time),
        str(row.logical_resource_id),
        str(row.resource_type),
        str(row.status),
        str(row.status_reason or ""),
    )
