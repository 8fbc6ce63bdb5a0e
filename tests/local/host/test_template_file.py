"""The repository's own `template.yml`: whole, consistent, and what the design says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.host.model import HttpTrigger, QueueTrigger, Template, TimerTrigger
from local.host.template import load_template
from local.host.template.yaml_reader import read_yaml
from local.host.triggers.schedules import read_schedule
from local.twins.eventbridge import EventBus, Target
from shared.sending.clockwork import SWEEP
from shared.settings import Settings

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "template.yml"
ENVIRONMENTS = ("local", "dev", "staging", "production")
# What has no default and a function sees.
GIVEN = {"SuppressionKey": "0123456789abcdef0123456789abcdef"}


@pytest.fixture(scope="module")
def template() -> Template:
    """The template as `postbus up` reads it."""
    return load_template(FILE, {"Env": "local", **GIVEN})


def _streams(template: Template) -> list[QueueTrigger]:
    return [trigger for trigger in template.triggers if isinstance(trigger, QueueTrigger)]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("runtime", ["python3.10", "python3.12"])
def test_every_environment_and_runtime_can_be_read(environment: str, runtime: str) -> None:
    """And each environment's names are its own."""
    template = load_template(FILE, {"Env": environment, "Runtime": runtime, **GIVEN})
    names = [f.name for f in template.functions] + [queue.name for queue in template.queues]
    assert all(name.startswith(f"postbus-{environment}-") for name in names)
    assert {function.runtime for function in template.functions} == {runtime}


def test_the_names_are_those_that_producers_and_services_know(template: Template) -> None:
    """Functions, queues and the topic."""
    prefix = "postbus-local-"
    assert [f.name.removeprefix(prefix) for f in template.functions] == [
        *("send-mail", "mail-api", "clock", "delivery-events", "webhooks"),
    ]
    assert {queue.name.removeprefix(prefix) for queue in template.queues} == {
        *("mails", "rejected", "mails-dead", "delivery-events", "delivery-events-dead"),
        *("delivery-retries", "mail-events-inbox"),
        *("directmail-dead", "failed-calls", "others-dead"),
    }
    assert template.topics == ("postbus-local-mail-events",)


def test_handlers_and_initializers_are_there(template: Template) -> None:
    """Each module of `functions/` has the two functions that the template names."""
    for function in template.functions:
        assert function.initializer is not None
        for name in (function.handler, function.initializer.handler):
            module, _, inner = name.rpartition(".")
            source = REPOSITORY / (module.replace(".", "/") + ".py")
            assert re.search(rf"^def {inner}\(", source.read_text(encoding="utf-8"), re.MULTILINE)


def test_a_queue_s_messages_stay_invisible_longer_than_its_consumer_works(
    template: Template,
) -> None:
    """Else a message would be handed out twice as a matter of course."""
    timeouts = {function.name: function.timeout_seconds for function in template.functions}
    queues = {queue.name: queue.attributes for queue in template.queues}
    for trigger in _streams(template):
        assert queues[trigger.queue].visibility_timeout_seconds > timeouts[trigger.function]


def test_a_push_ends_before_eventbridge_gives_up(template: Template) -> None:
    """Every timeout is below five minutes."""
    assert all(function.timeout_seconds < 300 for function in template.functions)


def test_work_queues_have_dead_letter_queues_of_this_stack(template: Template) -> None:
    """By their own policy and by the trigger's; everything waits seven days."""
    queues = {queue.name: queue.attributes for queue in template.queues}
    for trigger in _streams(template):
        work = queues[trigger.queue]
        assert work.dead_letter_queue == trigger.dead_letter_queue
        assert work.dead_letter_queue in queues
        assert trigger.tolerate_errors
        for name in (trigger.queue, work.dead_letter_queue):
            assert queues[name].message_retention_seconds == 7 * 24 * 3600


def test_the_triggers_are_as_designed(template: Template) -> None:
    """Batches of 10 mails and 20 events within a second, decoded CloudEvents, a day of repeats."""
    windows = {t.name: (t.batch_count, t.batch_seconds) for t in _streams(template)}
    assert windows == {"mails": (10, 1), "delivery-events": (20, 1), "delivery-retries": (20, 1)}
    for trigger in _streams(template):
        assert (trigger.streaming, trigger.schema, trigger.base64_decode) == (
            *(True, "CloudEvents"),
            True,
        )
        assert trigger.retry == "EXPONENTIAL_DECAY_RETRY"


def test_the_api_has_its_local_routes(template: Template) -> None:
    """Every path that the API and the webhooks serve, and every method that they answer."""
    triggers = [one for one in template.triggers if isinstance(one, HttpTrigger)]
    assert [trigger.routes for trigger in triggers] == [
        ("/v1/*", "/healthz", "/openapi.json"),
        ("/push/*", "/hooks/*", "/unsubscribe/*"),
    ]
    assert all({"GET", "POST"} <= set(trigger.methods) for trigger in triggers)


def test_the_example_timer_is_off_until_somebody_turns_it_on() -> None:
    """Its schedule can be read and its payload is a mail request."""
    for given, expected in (({}, False), ({"TimerEnabled": "true"}, True)):
        template = load_template(FILE, {"Env": "local", **GIVEN, **given})
        timers = [one for one in template.triggers if isinstance(one, TimerTrigger)]
        (timer,) = [one for one in timers if '"to"' in one.payload]
        assert timer.enabled is expected
        read_schedule(timer.schedule)


def test_the_sweep_runs_in_every_environment() -> None:
    """Its payload is the one that the function knows as a sweep, and it is on."""
    for environment in ENVIRONMENTS:
        template = load_template(FILE, {"Env": environment, **GIVEN})
        timers = [one for one in template.triggers if isinstance(one, TimerTrigger)]
        (timer,) = [one for one in timers if json.loads(one.payload) == SWEEP]
        assert timer.enabled
        assert timer.function == f"postbus-{environment}-clock"
        read_schedule(timer.schedule)


@pytest.mark.parametrize("source", ["acs.dm", "acs:dm"])
@pytest.mark.parametrize("kind", ["dm:Deliver:Succeed", "dm:Trace:Open", "dm:Something:New"])
def test_directmail_s_events_reach_the_queue(template: Template, source: str, kind: str) -> None:
    """Both spellings of the source, every type; encoded, as the trigger expects it."""
    delivered: list[Target] = []
    bus = EventBus(template.rules, deliver=lambda target, _: delivered.append(target))
    bus.put({"source": source, "type": kind})
    bus.put({"source": "acs.oss", "type": "dm:Deliver:Succeed"})
    bus.put({"source": source, "type": "oss:Object"})
    (target,) = delivered
    assert (target.type, target.name, target.base64) == (
        *("acs.mns.queue", "postbus-local-delivery-events"),
        True,
    )


def test_events_are_kept_before_anybody_subscribes(template: Template) -> None:
    """The topic's inbox gets them as they are."""
    (subscription,) = template.subscriptions
    assert subscription.topic == "postbus-local-mail-events"
    assert subscription.queue == "postbus-local-mail-events-inbox"
    assert subscription.content_format == "SIMPLIFIED"


def test_dead_letter_queues_come_first(template: Template) -> None:
    """So that each queue can be made in this order."""
    made: set[str] = set()
    for queue in template.queues:
        letters = queue.attributes.dead_letter_queue
        assert letters is None or letters in made
        made.add(queue.name)


def test_the_environment_fits_and_holds_what_the_settings_read(template: Template) -> None:
    """At most 4 KB; every variable is one that the settings know."""
    known = {f"POSTBUS_{name.upper()}" for name in Settings.__dataclass_fields__}
    for function in template.functions:
        assert sum(len(k) + len(v) for k, v in function.environment.items()) < 2048
        assert set(function.environment) <= known


def test_every_parameter_is_used() -> None:
    """One that is not would promise something."""
    text = FILE.read_text(encoding="utf-8")
    for name in read_yaml(FILE)["Parameters"]:
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", text), name


def _roles() -> dict[str, list[dict[str, Any]]]:
    resources = read_yaml(FILE)["Resources"]
    return {
        name: [
            statement
            for policy in resource["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        for name, resource in resources.items()
        if resource["Type"] == "ALIYUN::RAM::Role"
    }


def test_each_function_has_a_role_of_its_own(template: Template) -> None:
    """Named like the function."""
    assert [function.role for function in template.functions] == [
        function.name for function in template.functions
    ]


def test_roles_allow_what_their_functions_do_and_no_more() -> None:
    """No wildcard action; only senders may send; resources are named where they can be."""
    written = {"log:PostLogStoreLogs"}  # the platform writes a function's logs with its role
    actions = {
        name: {a for s in said for a in s["Action"]} - written for name, said in _roles().items()
    }
    sending = {
        *("dm:SingleSendMail", "openplatform:AuthorizeFileUpload"),
        *("mns:SendMessage", "mns:PeekMessage", "mns:PublishMessage", "mns:GetQueueAttributes"),
    }
    rows = {"ots:GetRow", "ots:BatchGetRow", "ots:PutRow", "ots:UpdateRow"}
    assert actions == {
        "SendMailRole": sending | rows | {"ots:GetRange"},
        "MailApiRole": sending | rows | {"ots:GetRange", "ots:DeleteRow"},
        "ClockRole": sending | rows | {"ots:GetRange", "ots:DeleteRow"},
        "DeliveryEventsRole": {"mns:PublishMessage", "mns:SendMessage"} | rows,
        "WebhooksRole": {"mns:PublishMessage", "mns:SendMessage"} | rows,
        "NotificationRole": {"fc:InvokeFunction"},
    }
    for statements in _roles().values():
        for statement in statements:
            assert ("*" in statement["Resource"]) == ("dm:SingleSendMail" in statement["Action"])


def test_sending_over_http_needs_a_signature() -> None:
    """An anonymous trigger would be an open relay; `webhooks` checks signatures of its own."""
    resources = read_yaml(FILE)["Resources"]
    types = {
        name: resource["Properties"]["TriggerConfig"]["authType"]
        for name, resource in resources.items()
        if resource["Properties"].get("TriggerType") == "http"
    }
    assert types == {"MailApiTrigger": {"Ref": "MailApiAuth"}, "WebhooksTrigger": "anonymous"}
    assert read_yaml(FILE)["Parameters"]["MailApiAuth"]["Default"] == "function"


def test_what_this_machine_does_not_do_is_said_and_known(template: Template) -> None:
    """No sentence of the kind `this host does not know it`: each difference is a decision."""
    assert template.unsimulated
    assert not [each for each in template.unsimulated if "does not know it" in each.why]


def test_up_says_why_and_runs_nothing(template: Template) -> None:
    """`postbus up --unsimulated` has a line for each, and ends."""
    done = subprocess.run(
        [sys.executable, "-m", "local.cli", "up", "--unsimulated"],
        cwd=FILE.parent,
        env={"PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = done.stdout.splitlines()
    assert [each.sentence for each in template.unsimulated] == [
        line for line in told if not line.startswith("Runtime is not simulated")
    ]
