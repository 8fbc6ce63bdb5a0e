"""Who is asking, whether the clock is right, and whether the platform has what is needed."""

from __future__ import annotations

from collections.abc import Iterator

from alibabacloud_fc20230330 import models as fc
from alibabacloud_ram20150501 import models as ram

from deploy.cloud.faults import NotThere, calling
from deploy.doctor.findings import Finding, Patient
from deploy.stack.plan import FUNCTION
from deploy.stack.stacks import IN_REVIEW, WELL

SKEW_WARNING = 60
SKEW_ERROR = 15 * 60
# EventBridge acts with these.
# https://www.alibabacloud.com/help/en/eventbridge/user-guide/service-linked-roles
LINKED_ROLES = {
    "AliyunServiceRoleForEventBridgeSendToFC": "SendToFunctions",
    "AliyunServiceRoleForEventBridgeSendToMNS": "SendToQueues",
    "AliyunServiceRoleForEventBridgeSourceMNS": "ReadQueues",
}


def credentials(patient: Patient) -> Iterator[Finding]:
    """Whose credentials these are."""
    who = patient.identity
    if who.arn.endswith(":root"):
        yield Finding(
            "credentials",
            "warning",
            f"account {who.account}, as the account itself",
            "Use a RAM user or role with less than every right.",
        )
        return
    yield Finding("credentials", "ok", f"account {who.account}, as {who.arn.rpartition(':')[2]}")


def clock(patient: Patient) -> Iterator[Finding]:
    """How far this machine's clock is from the service's."""
    ahead = patient.identity.ahead(patient.now)
    if ahead is None:
        yield Finding("clock", "unknown", "the service did not say what time it is")
        return
    apart = abs(ahead)
    told = f"{apart:.0f} s {'ahead' if ahead > 0 else 'behind'}"
    if apart < SKEW_WARNING:
        yield Finding("clock", "ok", "right to the minute")
        return
    yield Finding(
        "clock",
        "error" if apart >= SKEW_ERROR else "warning",
        f"this machine's clock is {told}; beyond 15 minutes signatures are refused",
        "Set it: timedatectl set-ntp true.",
    )


def stack(patient: Patient) -> Iterator[Finding]:
    """What state the environment's stack is in."""
    found = patient.stack
    again = f"postbus deploy --env {patient.environment}"
    if found is None or found.status == IN_REVIEW:
        yield Finding("stack", "warning", "nothing is deployed yet", f"Run `{again}`.")
        return
    runs = f"commit {found.parameters.get('CodeVersion', 'unknown')[:12]}"
    if found.status in WELL:
        yield Finding("stack", "ok", f"{found.name}: {found.status}, {runs}")
    elif found.busy:
        yield Finding("stack", "warning", f"{found.name}: {found.status}", "Wait for its end.")
    elif found.status == "ROLLBACK_COMPLETE":
        yield Finding(
            "stack", "warning", f"{found.name}: the last deployment was undone",
            f"Run `{again}` and see what it says.",
        )  # fmt: skip
    else:
        yield Finding(
            "stack", "error", f"{found.name}: {found.status} {found.reason}".strip(),
            f"Run `{again}`: it says what to do in this state.",
        )  # fmt: skip


def runtime(patient: Patient) -> Iterator[Finding]:
    """Whether Function Compute is in the region, and its runtime with it."""
    region = patient.access.region
    with calling("fc:DescribeRegions"):
        body = patient.access.functions.describe_regions(fc.DescribeRegionsRequest()).body
    there = {row.region_id for row in (body.regions.region if body.regions else None) or []}
    if region not in there:
        yield Finding(
            "runtime", "error", f"Function Compute 3.0 is not in {region}", "Choose another region."
        )
        return
    for name in sorted(set(patient.plan.packages().values())):
        yield _runtime(patient, name, region)


def _runtime(patient: Patient, name: str, region: str) -> Finding:
    """No call says which runtimes a region has; a function that is there with one does."""
    function = next(each.properties for each in patient.plan.of(FUNCTION))
    try:
        with calling("fc:GetFunction"):
            body = patient.access.functions.get_function(
                function["FunctionName"], fc.GetFunctionRequest()
            ).body
        running = str(body.runtime)
    except NotThere:
        running = ""
    if running == name:
        return Finding("runtime", "ok", f"{name} runs in {region}")
    # https://www.alibabacloud.com/help/en/functioncompute/fc/python/
    if name == "python3.10" or region.startswith("cn-"):
        return Finding("runtime", "ok", f"{name} is documented for {region}")
    return Finding(
        "runtime",
        "warning",
        f"{name} is not documented for {region}",
        "Set the parameter Runtime: python3.10 if the deployment is refused.",
    )


def roles(patient: Patient) -> Iterator[Finding]:
    """Whether EventBridge has the roles with which it reads queues, writes to them and calls."""
    absent = []
    for name, parameter in LINKED_ROLES.items():
        try:
            with calling("ram:GetRole"):
                patient.access.ram.get_role(ram.GetRoleRequest(role_name=name))
        except NotThere:
            absent.append((name, parameter))
    if not absent:
        yield Finding("roles", "ok", "EventBridge has its three service-linked roles")
        return
    there = [
        parameter for name, parameter in LINKED_ROLES.items() if (name, parameter) not in absent
    ]
    empty = "".join(f" {parameter}=''" for parameter in there)
    # Two of the names follow the pattern of the documented one: not found is not for certain.
    yield Finding(
        "roles",
        "warning",
        f"the account seems to lack {', '.join(name for name, _ in absent)}",
        f"Deploy bootstrap.yml once{f', with{empty}' if empty else ''}.",
    )
