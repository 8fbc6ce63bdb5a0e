"""Names of queues in ARNs, whose two spellings are not interchangeable.

`acs:mns:<region>:<account>:/queues/<name>` is the resource, for dead-letter queues of triggers and
rules; `acs:mns:<region>:<account>:queues/<name>` is an endpoint, for targets and subscriptions;
with `/messages` behind the first it is a destination of asynchronous calls.
https://www.alibabacloud.com/help/en/ros/developer-reference/aliyun-eventbridge-rule
"""

from __future__ import annotations

import re

from deploy.check.rendered import Rendered

_RESOURCE = "{prefix}:/queues/{name}"
_ENDPOINT = "{prefix}:queues/{name}"
_DESTINATION = "{prefix}:/queues/{name}/messages"


def queue_names(rendered: Rendered) -> set[str]:
    """The names of the queues of this stack, as they will be."""
    return {str(queue.get("QueueName")) for queue in rendered.of("MNS::Queue")}


def resource_name(arn: object, rendered: Rendered) -> str | None:
    """The queue of this stack that a resource's ARN names, or None."""
    return _name(arn, _RESOURCE, rendered)


def endpoint_name(arn: object, rendered: Rendered) -> str | None:
    """The queue of this stack that an endpoint names, or None."""
    return _name(arn, _ENDPOINT, rendered)


def destination_name(arn: object, rendered: Rendered) -> str | None:
    """The queue of this stack that a destination names, or None."""
    return _name(arn, _DESTINATION, rendered)


def _name(arn: object, form: str, rendered: Rendered) -> str | None:
    prefix = rf"acs:mns:{re.escape(rendered.case.region)}:[0-9]+"
    found = re.fullmatch(form.format(prefix=prefix, name="([^/]+)"), str(arn))
    return found[1] if found and found[1] in queue_names(rendered) else None
