"""The doctor, against the twins of DirectMail and SMQ and doubles of the rest, over HTTP."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from deploy.cloud.faults import CloudError, NotAllowed
from deploy.doctor import account, events, mail, queues
from deploy.doctor.examine import Question, examine
from deploy.doctor.findings import Check, Finding, Patient, carefully, pages
from deploy.doctor.queues import age_of
from deploy.stack.deploy import deploy
from deploy.stack.errors import UsageError
from deploy.stack.follow import Pace
from deploy.stack.order import Order
from deploy.stack.plan import Plan, read_template
from deploy.stack.ros import Ros
from deploy.stack.stacks import Stack
from local.account import AccessKey
from tests.deploy.doubles.cloud import RULES, Cloud, serving_address
from tests.deploy.doubles.deployed import LINKED_ROLES
from tests.deploy.doubles.project import ROOT, Project, make_project, with_key
from tests.deploy.watcher import Watcher

DOCUMENT = read_template(ROOT / "template.yml")
GIVEN = {
    "Env": "staging",
    "SenderDomain": "mail.example.com",
    "DefaultSender": "no-reply@mail.example.com",
    "DailyRecipients": "2000",
}


@dataclass
class Ward:
    """A deployed environment, and who looks at it."""

    cloud: Cloud
    project: Project
    patient: Patient

    def look(self, check: Check, name: str = "x", **parameters: str) -> list[Finding]:
        """What a check finds, with other parameters."""
        return list(carefully(name, check, self.with_parameters(**parameters)))

    def with_parameters(self, **parameters: str) -> Patient:
        """The patient, had somebody decided otherwise."""
        plan = Plan(DOCUMENT, "cn-hangzhou", {**GIVEN, **parameters}, "1234567890123456")
        return replace(self.patient, plan=plan)

    def ask(self, **changes: Any) -> list[Finding]:
        """The whole examination."""
        question = Question(
            "staging", self.project.root, endpoint=self.cloud.url, connect=with_key()
        )
        return list(examine(replace(question, **changes)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Deployed once for all tests here."""
    with serving_address() as address, address.account(tmp_path_factory.mktemp("a")) as cloud:
        project = make_project(tmp_path_factory.mktemp("project"), cloud.url)
        asked = Order(
            "staging", project.root, endpoint=cloud.url, pace=Pace(0.001), connect=with_key()
        )
        deploy(asked, Watcher(), lambda *_: [])
        cloud.make_queues()
        access = with_key()("cn-hangzhou", cloud.url)
        stack = Ros(access.ros, "cn-hangzhou").find("postbus-staging")
        plan = Plan(DOCUMENT, "cn-hangzhou", GIVEN, "1234567890123456")
        patient = Patient("staging", access, access.identity(), plan, stack, (), time.time())
        yield Ward(cloud, project, patient)


@pytest.fixture
def ward(built: Ward) -> Iterator[Ward]:
    """The same, and as it was after each test."""
    cloud = built.cloud
    before = copy.deepcopy(cloud.ros.stacks)
    yield built
    cloud.ros.stacks = before
    cloud.rules = RULES
    cloud.denied.clear()
    cloud.skew = 0.0
    cloud.lost.clear()
    cloud.arn = "acs:ram::1234567890123456:user/deployer"
    cloud.deployed.roles = set(LINKED_ROLES)
    cloud.deployed.regions = {"cn-hangzhou", "eu-central-1"}
    cloud.deployed.says_missing = False


def levels(findings: list[Finding]) -> list[str]:
    """Their levels."""
    return [finding.level for finding in findings]


# --- all of it ------------------------------------------------------------------------------------


def test_an_account_where_all_is_well(ward: Ward) -> None:
    """Every check says so, each in at least one finding; nothing was changed."""
    calls = len(ward.cloud.calls)
    found = ward.ask()
    assert [f for f in found if f.level != "ok"] == []
    assert [f.check for f in found] == [
        *("credentials", "clock", "stack", "runtime", "roles", "sender", "domain", "tags"),
        *("events", "quota", "rule", "queue", "trigger"),
    ]
    reading = ("List", "Get", "Query", "Desc")
    assert all(c.partition(":")[2].startswith(reading) for c in ward.cloud.calls[calls:])


def test_before_the_first_deployment(ward: Ward) -> None:
    """What needs something deployed is not asked for; the rest is, so that it can be put right."""
    ward.cloud.ros.stacks = {}
    found = {finding.check: finding for finding in ward.ask()}
    assert found["stack"].level == "warning"
    assert "postbus deploy --env staging" in found["stack"].todo
    assert not {"rule", "queue", "trigger"} & set(found)
    assert found["sender"].level == "ok"


def test_what_may_not_be_looked_at_is_unknown(ward: Ward) -> None:
    """Each with the permission that is missing; the others are looked at all the same."""
    ward.cloud.denied |= {
        "dm:GetUser", "dm:QueryTagByParam", "ram:GetRole", "eventbridge:GetRule",
        "mns:GetQueueAttributes", "fc:GetTrigger", "ros:ListStacks",
    }  # fmt: skip
    found = ward.ask()
    unknown = {finding.todo for finding in found if finding.level == "unknown"}
    assert unknown == {
        f"Allow the RAM action {action} to whoever runs this." for action in ward.cloud.denied
    }
    assert "error" not in levels(found)
    assert {f.check for f in found if f.level == "ok"} >= {"sender", "domain", "quota"}


@pytest.mark.parametrize(
    ("key", "skew", "check", "word"),
    [
        (AccessKey("nobody", "x"), 0.0, "credentials", "InvalidAccessKeyId"),
        (AccessKey("local-access-key", "x"), 0.0, "credentials", "SignatureDoesNotMatch"),
        (AccessKey("local-access-key", "local-access-secret"), 9e3, "clock", "InvalidTimeStamp"),
    ],
)
def test_a_stranger(key: AccessKey, skew: float, check: str, word: str, ward: Ward) -> None:
    """Nothing else is asked: the one finding says what to put right first."""
    ward.cloud.skew = skew
    (found,) = ward.ask(connect=with_key(key))
    assert (found.check, found.level) == (check, "error")
    assert word in found.what
    assert found.todo


def test_no_answer_is_not_an_error_of_the_account(ward: Ward) -> None:
    """But nobody knows; wherever it happens."""
    (found,) = ward.ask(endpoint="http://127.0.0.1:9")
    assert (found.level, found.check) == ("unknown", "credentials")
    ward.cloud.lost.append("dm:GetUser")
    assert levels(ward.look(mail.event_switch)) == ["unknown"]


def test_an_environment_that_is_none(ward: Ward) -> None:
    """Is an error of the command line."""
    with pytest.raises(UsageError, match="'nowhere' is none of"):
        ward.ask(environment="nowhere", region="cn-hangzhou")
    with pytest.raises(UsageError, match="sends no events in cn-beijing"):
        ward.ask(region="cn-beijing")


# --- account --------------------------------------------------------------------------------------


def test_the_account_itself_as_a_user(ward: Ward) -> None:
    """Works, and is not what one should do."""
    ward.cloud.arn = "acs:ram::1234567890123456:root"
    identity = ward.patient.access.identity()
    (found,) = account.credentials(replace(ward.patient, identity=identity))
    assert found.level == "warning"


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [
        (0, "ok", "right"),
        (-45, "ok", "right"),
        (120, "warning", "120 s ahead"),
        (-120, "warning", "120 s behind"),
        (1000, "error", "15 minutes"),
    ],
)
def test_the_clock(ahead: float, level: str, words: str, ward: Ward) -> None:
    """By what the service's answer says about the time."""
    identity = replace(ward.patient.identity, date="Sun, 22 Nov 2026 04:00:00 GMT")
    patient = replace(ward.patient, identity=identity, now=1795320000 + ahead)
    (found,) = account.clock(patient)
    assert found.level == level
    assert words in found.what
    (silent,) = account.clock(replace(patient, identity=replace(identity, date="")))
    assert silent.level == "unknown"


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("UPDATE_COMPLETE", "ok"),
        ("UPDATE_IN_PROGRESS", "warning"),
        ("REVIEW_IN_PROGRESS", "warning"),
        ("ROLLBACK_COMPLETE", "warning"),
        ("UPDATE_FAILED", "error"),
        ("CREATE_ROLLBACK_COMPLETE", "error"),
    ],
)
def test_the_stack(status: str, level: str, ward: Ward) -> None:
    """In each of its states."""
    stack = Stack("id", "postbus-staging", status, "", {"CodeVersion": "c" * 40}, {}, {})
    (found,) = account.stack(replace(ward.patient, stack=stack))
    assert found.level == level


def test_the_runtime(ward: Ward) -> None:
    """One that runs there is there; else what the documents say; a region without the service."""
    assert "python3.12 runs in cn-hangzhou" in ward.look(account.runtime)[0].what
    ward.cloud.ros.stacks = {}
    assert "documented" in ward.look(account.runtime)[0].what
    abroad = with_key()("eu-central-1", ward.cloud.url)
    for name, level in (("python3.12", "warning"), ("python3.10", "ok")):
        given = {**GIVEN, "Runtime": name}
        plan = Plan(DOCUMENT, "eu-central-1", given)
        (found,) = account.runtime(replace(ward.patient, access=abroad, plan=plan))
        assert found.level == level
    ward.cloud.deployed.regions = set()
    (found,) = ward.look(account.runtime)
    assert (found.level, found.todo) == ("error", "Choose another region.")


def test_service_linked_roles(ward: Ward) -> None:
    """Those that are missing, and how bootstrap.yml makes only them."""
    ward.cloud.deployed.roles = {LINKED_ROLES[0]}
    (found,) = ward.look(account.roles)
    assert found.level == "warning"
    assert LINKED_ROLES[1] in found.what
    assert LINKED_ROLES[0] not in found.what
    assert "SendToFunctions=''" in found.todo


# --- DirectMail -----------------------------------------------------------------------------------


def test_senders(ward: Ward) -> None:
    """There and well; unknown; frozen; of a domain that is not verified; none at all."""
    ward.cloud.rules = replace(
        RULES,
        senders=frozenset({"a@mail.example.com", "b@mail.example.com", "c@new.example"}),
        frozen=frozenset({"b@mail.example.com"}),
        unverified=frozenset({"new.example"}),
    )
    allowed = "A@mail.example.com, b@mail.example.com,c@new.example,@mail.example.com,x@y.example"
    found = ward.look(mail.senders, DefaultSender="", AllowedSenders=allowed)
    assert levels(found) == ["ok", "error", "error", "error"]
    assert [word in f.what for word, f in zip(
        ("may send", "frozen", "its domain is not verified", "x@y.example is no sender address"),
        found, strict=True,
    )] == [True] * 4  # fmt: skip
    assert levels(ward.look(mail.senders, DefaultSender="", AllowedSenders="")) == ["warning"]


def test_more_senders_than_a_page_has(ward: Ward) -> None:
    """All pages are read, and no more."""
    senders = frozenset(f"s{number}@mail.example.com" for number in range(75))
    ward.cloud.rules = replace(RULES, senders=senders)
    before = len(ward.cloud.calls)
    assert levels(ward.look(mail.senders, DefaultSender="s9@mail.example.com")) == ["ok"]
    assert len(ward.cloud.calls) == before + 2
    asked: list[int] = []

    def call(number: int) -> list[int]:
        asked.append(number)
        return [[1, 2], [3, 4], []][number - 1]

    assert list(pages(call, lambda body: body, 2)) == [1, 2, 3, 4]
    assert asked == [1, 2, 3]


def test_domains(ward: Ward) -> None:
    """Verified; known and not verified, with the records that are wrong; unknown; none."""
    assert levels(ward.look(mail.domains)) == ["ok"]
    ward.cloud.rules = replace(RULES, unverified=frozenset({"new.example"}))
    allowed = {"AllowedSenders": "@new.example,@elsewhere.example"}
    found = ward.look(mail.domains, **allowed)
    assert levels(found) == ["ok", "error", "error"]
    assert "SPF, DKIM, DMARC not right" in found[1].what
    assert "unknown to DirectMail" in found[2].what
    none = ward.look(mail.domains, SenderDomain="", DefaultSender="", AllowedSenders="")
    assert levels(none) == ["warning"]


def test_tags(ward: Ward) -> None:
    """Those that are named anywhere: the file, the command line, a timer that sends."""
    assert levels(ward.look(mail.tags)) == ["ok"]
    named = replace(ward.patient, tags=("order-shipped", "welcome"))
    (found,) = mail.tags(named)
    assert found.level == "error"
    assert "no tag welcome:" in found.what
    timer = {"TimerMail": json.dumps({"to": ["a@b.example"], "tag": "weekly"})}
    assert levels(ward.look(mail.tags, **timer)) == ["ok"]
    (found,) = ward.look(mail.tags, TimerEnabled="true", **timer)
    assert "weekly" in found.what
    assert levels(ward.look(mail.tags, TimerEnabled="true", TimerMail="no JSON")) == ["ok"]


def test_events_that_nobody_switched_on(ward: Ward) -> None:
    """An error: without them no mail's end is known."""
    ward.cloud.rules = replace(RULES, sends_events=False)
    (found,) = ward.look(mail.event_switch)
    assert found.level == "error"
    assert "Switch EventBridge on" in found.todo


def test_quota(ward: Ward) -> None:
    """What is kept against what is allowed; and an account that may not send at all."""
    assert levels(ward.look(mail.quota)) == ["ok"]
    (found,) = ward.look(mail.quota, DailyRecipients="0")
    assert (found.level, "DailyRecipients: 2000" in found.todo) == ("warning", True)
    (found,) = ward.look(mail.quota, DailyRecipients="5000")
    assert (found.level, "to 2000 at most" in found.todo) == ("error", True)
    ward.cloud.rules = replace(RULES, user_status=2)
    found, _ = ward.look(mail.quota)
    assert (found.check, found.level) == ("account", "error")
    assert "overdue" in found.what


# --- the rule -------------------------------------------------------------------------------------


def change_rule(ward: Ward, **changes: Any) -> Mapping[str, Any]:
    """Somebody has changed the rule in the console."""
    properties = ward.cloud.deployed.rule("postbus-staging-directmail").properties
    for name, value in changes.items():
        if name in properties:
            properties[name] = value
        elif value is None:
            properties["Targets"][0].pop(name, None)
        else:
            properties["Targets"][0][name] = value
    return properties


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"Status": "DISABLE"}, "error", "switched off"),
        ({"FilterPattern": {"source": ["acs.dm"]}}, "error", "from acs:dm"),
        ({"FilterPattern": {"source": ["acs.ecs"]}}, "error", "any event of DirectMail's"),
        (
            {"FilterPattern": {"source": ["acs.dm", "acs:dm"], "type": [{"prefix": "dm:D"}]}},
            "error",
            "dm:Feedback:FblReport from acs.dm",
        ),
        ({"FilterPattern": {"source": "acs.dm"}}, "error", "anything ("),
        ({"DeadLetterQueue": None}, "error", "no dead-letter queue"),
        ({"Id": "other"}, "error", "no target queue"),
        ({"PushRetryStrategy": "BACKOFF_RETRY"}, "warning", "gives up within a minute"),
        ({"Endpoint": "acs:mns:cn-hangzhou:1:queues/x"}, "error", "leads to acs:mns"),
    ],
)
def test_a_rule_that_somebody_changed(
    changes: dict[str, Any], level: str, words: str, ward: Ward
) -> None:
    """Each difference that loses events, with what it loses."""
    change_rule(ward, **changes)
    (found,) = ward.look(events.rules)
    assert found.level == level
    assert words in found.what
    assert "postbus deploy" in found.todo or "EventBridge" in found.todo


def test_a_rule_that_is_written_otherwise_and_means_the_same(ward: Ward) -> None:
    """The pattern is tried, not compared; and a queue's name has two spellings."""
    properties = change_rule(ward, FilterPattern={"source": [{"prefix": "acs"}]})
    endpoint = properties["Targets"][0]["Endpoint"].replace(":queues/", ":/queues/")
    change_rule(ward, Endpoint=endpoint)
    assert levels(ward.look(events.rules)) == ["ok"]


def test_a_rule_that_is_gone(ward: Ward) -> None:
    """Whichever way EventBridge says so."""
    del ward.cloud.ros.stack("postbus-staging").resources["DirectMailRule"]
    for says in (False, True):
        ward.cloud.deployed.says_missing = says
        (found,) = ward.look(events.rules)
        assert (found.level, "there is no rule" in found.what) == ("error", True)


# --- queues and triggers --------------------------------------------------------------------------


def test_a_queue_that_lost_its_dead_letter_queue(ward: Ward) -> None:
    """Switched off, gone, or led elsewhere; the target may come as an address."""
    policy = ward.cloud.deployed.queue("postbus-staging-mails").properties["DlqPolicy"]
    policy["DeadLetterTargetQueue"] = "acs:mns:r:1:/queues/postbus-staging-mails-dead"
    assert levels(ward.look(queues.queues)) == ["ok"]
    policy["DeadLetterTargetQueue"] = "elsewhere"
    assert ward.look(queues.queues)[0].what.endswith(
        "dead letters go to elsewhere and not to postbus-staging-mails-dead"
    )
    policy["Enabled"] = False
    assert levels(ward.look(queues.queues)) == ["error", "ok"]
    del ward.cloud.deployed.queue("postbus-staging-mails").properties["DlqPolicy"]
    found = ward.look(queues.queues)[0]
    assert (found.check, found.level) == ("dead-letters", "error")


def test_a_queue_that_is_gone(ward: Ward) -> None:
    """Is named, and the others are looked at all the same."""
    del ward.cloud.ros.stack("postbus-staging").resources["RejectedQueue"]
    found = ward.look(queues.queues)
    assert (found[0].level, found[0].what) == (
        "error",
        "there is no queue postbus-staging-rejected",
    )
    assert levels(found[1:]) == ["ok"]


@pytest.mark.parametrize(
    ("queue", "age", "level", "words"),
    [
        ("mails", 60, None, ""),
        ("mails", 3_600 * 3, "warning", "the oldest 3 hours old"),
        ("delivery-events", 86_400 * 3, "error", "the oldest 3 days old"),
        ("mails-dead", 1, "warning", "1 or more messages"),
        ("rejected", 1, "warning", "1 or more messages"),
        ("mail-events-inbox", 86_400 * 5, None, ""),
    ],
)
def test_depth_and_age(queue: str, age: int, level: str | None, words: str, ward: Ward) -> None:
    """By the oldest message itself: the counts may be 0 at any depth."""
    name = f"postbus-staging-{queue}"
    ward.cloud.put(name)
    patient = replace(ward.patient, now=time.time() + age)
    found = [f for f in queues.queues(patient) if f.level != "ok"]
    messages = ward.cloud.running.wait(ward.cloud.broker.receive(name, count=16))
    for message in messages:
        handle = message.receipt_handle
        ward.cloud.running.do(lambda h=handle: ward.cloud.broker.delete(name, h))  # type: ignore[misc]  # bound now
    assert len(messages) == 1
    assert levels(found) == ([level] if level else [])
    assert all(words in finding.what and name in finding.what for finding in found)


def test_a_queue_that_may_be_counted_and_not_looked_into(ward: Ward) -> None:
    """Says which permission is missing, for each queue."""
    ward.cloud.denied.add("mns:PeekMessage")
    found = ward.look(queues.queues)
    assert set(levels(found)) == {"unknown"}
    assert all("mns:PeekMessage" in finding.todo for finding in found)


def test_triggers(ward: Ward) -> None:
    """Off, without a dead-letter queue, gone."""
    by_name = {each.properties["TriggerName"]: each for each in ward.cloud.deployed.triggers()}
    by_name["mails"].properties["TriggerConfig"]["triggerEnable"] = False
    del by_name["delivery-events"].properties["TriggerConfig"]["runOptions"]["deadLetterQueue"]
    del ward.cloud.ros.stack("postbus-staging").resources["DeliveryRetriesTrigger"]
    found = ward.look(queues.triggers)
    assert levels(found) == ["error"] * 3
    assert "switched off" in found[0].what
    assert (found[1].check, "no dead-letter queue" in found[1].what) == ("dead-letters", True)
    assert "has no trigger delivery-retries" in found[2].what


# --- words ----------------------------------------------------------------------------------------


def test_ages() -> None:
    """In units that people use."""
    ages = {1.2: "1 seconds", 119: "119 seconds", 3_000: "50 minutes", 7_200: "2 hours"}
    assert {seconds: age_of(seconds) for seconds in ages} == ages
    assert age_of(86_400 * 2) == "2 days"
    assert age_of(-5) == "0 seconds"


def test_a_check_that_breaks_is_a_finding(ward: Ward) -> None:
    """And what it had found before stays found."""

    def check(error: CloudError) -> Check:
        def look(_patient: Patient) -> Iterator[Finding]:
            yield Finding("x", "ok", "so far")
            raise error

        return look

    refused = NotAllowed("no", code="NoPermission", action="dm:X")
    assert levels(ward.look(check(refused))) == ["ok", "unknown"]
    assert levels(ward.look(check(CloudError("broken", code="InternalError")))) == ["ok", "error"]
