"""A deployment against doubles of the account, through the official SDKs over HTTP."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.check.cases import ENVIRONMENTS
from deploy.cloud.access import Access
from deploy.stack.deploy import deploy
from deploy.stack.destroy import Removal, destroy
from deploy.stack.errors import DeployError, UsageError
from deploy.stack.follow import Pace
from deploy.stack.order import Order
from deploy.stack.parameters import (
    check_parameters,
    check_region,
    environment_file,
    read_environment,
)
from deploy.stack.release import Release, problems
from local.host.template.yaml_reader import read_yaml
from tests.deploy.doubles.cloud import Cloud
from tests.deploy.doubles.project import KEY, ROOT, Project, make_project, with_key
from tests.deploy.watcher import Watcher

BUCKET = "postbus-code-1234567890123456-cn-hangzhou"
PACE = Pace(0.001)


def order(project: Project, **changes: object) -> Order:
    """What a person asks for in that repository."""
    asked = Order("staging", project.root, endpoint=project.url, pace=PACE, connect=with_key())
    return replace(asked, **changes)  # type: ignore[arg-type]  # the test's own fields


def run(project: Project, watcher: Watcher | None = None, **changes: object) -> Watcher:
    """Deploy without the check of the template, which has tests of its own."""
    watcher = watcher or Watcher()
    assert deploy(order(project, **changes), watcher, lambda *_: [])
    return watcher


def running(cloud: Cloud) -> str:
    """The commit whose code the stack's functions run."""
    functions = [
        each.properties["Code"]["OssObjectName"]
        for each in cloud.ros.stack("postbus-staging").resources.values()
        if each.kind == "ALIYUN::FC3::Function"
    ]
    (commit,) = {str(name).split("/")[1] for name in functions}
    return commit


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository whose account must not be asked anything."""
    return make_project(tmp_path_factory.mktemp("offline"), "")


def refuse(project: Project, found: list[str] | None = None, **changes: Any) -> str:
    """What stops a deployment before the account is asked."""

    def connect(_region: str, _endpoint: str) -> Access:
        raise AssertionError("the account was asked")

    asked = order(project, connect=connect, **changes)
    with pytest.raises(DeployError) as told:
        deploy(asked, Watcher(), lambda *_: found or [])
    assert isinstance(told.value, UsageError) or not changes
    return str(told.value)


# --- the whole way --------------------------------------------------------------------------------


def test_a_first_deployment(cloud: Cloud, project: Project) -> None:
    """Bucket, packages under the commit's name, stack: all made, agreed to once, told."""
    commit = project.git("rev-parse", "HEAD").strip()
    watcher = run(project)
    assert set(cloud.oss.buckets[BUCKET]) == {
        f"postbus/{commit}/{name}-python3.12.zip" for name in ("sender", "plain")
    }
    for name in ("sender", "plain"):
        stored = cloud.oss.buckets[BUCKET][f"postbus/{commit}/{name}-python3.12.zip"]
        path = project.root / "build" / "package" / f"{name}-python3.12.zip"
        assert stored.content == path.read_bytes()
    stack = cloud.ros.stack("postbus-staging")
    assert stack.status == "CREATE_COMPLETE"
    assert stack.parameters["SenderDomain"] == "mail.example.com"
    assert len(watcher.questions) == 1
    assert {change.action for change in watcher.shown} == {"Add"}
    assert {change.name for change in watcher.shown} == set(stack.resources)
    assert watcher.progress[-1] == (len(stack.resources), len(stack.resources))
    assert watcher.stack is not None
    assert watcher.stack.outputs["RejectedQueueName"] == "postbus-staging-rejected"
    assert watcher.stack.descriptions["MailApiUrl"] == "The HTTP API"


def test_events_are_told_once_each_and_in_order(cloud: Cloud, project: Project) -> None:
    """More of them than a page has, and read several times."""
    watcher = run(project)
    told = [(event.resource, event.status) for event in watcher.events]
    happened = [
        (event["LogicalResourceId"], event["Status"])
        for event in cloud.ros.stack("postbus-staging").events
    ]
    assert told == happened
    assert len(told) > 100


def test_the_same_again_changes_nothing(cloud: Cloud, project: Project) -> None:
    """Nothing is uploaded or asked; the outputs are shown all the same."""
    run(project)
    received = list(cloud.oss.received)
    for says in (True, False):  # ROS may call that a failure, or a change set without changes
        cloud.ros.says_no_change = says
        again = run(project)
        assert again.questions == []
        assert again.stack is not None
        assert again.stack.outputs
        assert any("nothing to change" in text for text in again.told)
    assert cloud.oss.received == received
    assert cloud.ros.change_sets.keys() <= {"cs-2"}  # the one that was executed


def test_a_new_commit_updates_what_changed(cloud: Cloud, project: Project) -> None:
    """The functions get the new code; queues and tables are not touched."""
    run(project)
    project.edit("template.yml", "QueueName: !Sub postbus-${Env}-rejected\n",
                 "QueueName: !Sub postbus-${Env}-rejected\n      DelaySeconds: 1\n")  # fmt: skip
    commit = project.commit()
    watcher = run(project)
    assert running(cloud) == commit
    changed = {change.name: change for change in watcher.shown}
    assert {change.action for change in changed.values()} == {"Modify"}
    assert set(changed) == {
        *("SendMail", "MailApi", "Clock", "DeliveryEvents", "Webhooks", "RejectedQueue"),
    }
    assert changed["SendMail"].properties == ("Code",)
    assert changed["RejectedQueue"].properties == ("DelaySeconds",)


def test_what_would_be_lost_is_said_in_the_question(cloud: Cloud, project: Project) -> None:
    """A resource that is made anew, and one that goes."""
    run(project)
    project.edit("template.yml", "postbus-${Env}-rejected\n", "postbus-${Env}-refused\n")
    project.commit()
    watcher = run(project)
    assert "RejectedQueue may lose what it holds" in watcher.questions[0]
    assert cloud.ros.stack("postbus-staging").status == "UPDATE_COMPLETE"


def test_without_agreement_nothing_changes(cloud: Cloud, project: Project) -> None:
    """Neither a change set nor the empty stack of a first one is left; likewise for an update."""
    watcher = Watcher(answer=False)
    assert not deploy(order(project), watcher, lambda *_: [])
    assert cloud.ros.change_sets == {}
    assert [stack.status for stack in cloud.ros.stacks.values()] == ["DELETE_COMPLETE"]
    run(project)
    first = running(cloud)
    project.commit()
    assert not deploy(order(project), watcher, lambda *_: [])
    assert running(cloud) == first
    assert cloud.ros.stack("postbus-staging").status == "CREATE_COMPLETE"


def test_a_dry_run_leaves_nothing(cloud: Cloud, project: Project) -> None:
    """No bucket, no upload, no secret, no stack: only a look at what would be."""
    watcher = run(project, dry_run=True)
    assert watcher.shown
    assert watcher.questions == []
    assert cloud.oss.buckets == {}
    assert cloud.ros.change_sets == {}
    assert [stack.status for stack in cloud.ros.stacks.values()] == ["DELETE_COMPLETE"]
    assert not list((project.root / ".postbus").rglob("*"))


def test_the_region_chooses_runtime_and_packages(cloud: Cloud, project: Project) -> None:
    """Only those that its functions need are uploaded."""
    cloud.oss.region = "eu-central-1"
    run(project, region="eu-central-1", dry_run=False, given={"Runtime": "python3.10"})
    (bucket,) = cloud.oss.buckets.values()
    assert {key.rpartition("/")[2] for key in bucket} == {
        *("sender-python3.10.zip", "plain-python3.10.zip"),
    }


# --- back, and out --------------------------------------------------------------------------------


def test_back_to_an_earlier_commit(cloud: Cloud, project: Project) -> None:
    """Its packages, its template and its environment's file; the working copy does not matter."""
    first = project.git("rev-parse", "HEAD").strip()
    run(project)
    before = {
        name: each.properties for name, each in cloud.ros.stack("postbus-staging").resources.items()
    }
    project.edit("template.yml", "QueueName: !Sub postbus-${Env}-rejected\n",
                 "QueueName: !Sub postbus-${Env}-rejected\n      DelaySeconds: 1\n")  # fmt: skip
    project.edit("deploy/environments/staging.yml", "'@example.com'", "'@example.org'")
    project.commit()
    run(project)
    assert running(cloud) != first
    (project.root / "half-done.txt").write_text("not committed", encoding="utf-8")
    uploads = len(cloud.oss.received)
    watcher = run(project, rollback=first[:10])
    assert running(cloud) == first
    now = {
        name: each.properties for name, each in cloud.ros.stack("postbus-staging").resources.items()
    }
    assert now == before
    assert len(cloud.oss.received) == uploads
    assert any("its packages are in the bucket" in text for text in watcher.told)


def test_back_to_a_commit_that_was_never_deployed(cloud: Cloud, project: Project) -> None:
    """It says so before anything is changed, and how to get it."""
    first = project.git("rev-parse", "HEAD").strip()
    project.commit()
    run(project)
    with pytest.raises(DeployError, match="was not deployed there") as told:
        deploy(order(project, rollback=first), Watcher(), lambda *_: [])
    assert "git worktree add" in str(told.value)
    assert running(cloud) != first


def test_todays_rules_do_not_stop_the_way_back(cloud: Cloud, project: Project) -> None:
    """What the check says of an old template is told, and that is all."""
    first = project.git("rev-parse", "HEAD").strip()
    run(project)
    project.commit()
    run(project)
    watcher = Watcher()
    assert deploy(order(project, rollback=first), watcher, lambda *_: ["a new rule"])
    assert "by today's rules: a new rule" in watcher.told
    assert running(cloud) == first


def test_destroying_keeps_the_tables(cloud: Cloud, project: Project) -> None:
    """Also those whose resource would not say so itself; a new stack is then told to use them."""
    run(project)
    cloud.ros.stack("postbus-staging").resources["MailsTable"].retain = False
    asked = []

    def agree(_stack: object, goes: list[str], stays: list[str]) -> bool:
        asked.append((goes, stays))
        return True

    removal = Removal("staging", "cn-hangzhou", project.url, PACE, with_key())
    assert destroy(removal, Watcher(), agree)
    ((goes, stays),) = asked
    assert {"Ledger", "MailsTable", "SuppressionsTable"} <= set(stays)
    assert {"SendMail", "MailsQueue", "LogProject"} <= set(goes)
    kinds = sorted({kind for kind, _ in cloud.ros.kept})
    assert kinds == ["ALIYUN::OTS::Instance", "ALIYUN::OTS::Table"]
    assert len(cloud.ros.kept) == len(stays)
    with pytest.raises(DeployError, match=r"LedgerIs|see above|CREATE_ROLLBACK"):
        deploy(order(project), watcher := Watcher(), lambda *_: [])
    assert "LedgerIs: kept" in watcher.text
    destroy(removal, Watcher(), agree)
    run(project, given={"LedgerIs": "kept"})
    assert "Ledger" not in cloud.ros.stack("postbus-staging").resources


def test_destroying_is_not_done_unasked(cloud: Cloud, project: Project) -> None:
    """No is no; and a stack that is not there is an error."""
    removal = Removal("staging", "cn-hangzhou", project.url, PACE, with_key())
    with pytest.raises(DeployError, match=r"there is no stack postbus-staging"):
        destroy(removal, Watcher(), lambda *_: True)
    run(project)
    assert not destroy(removal, Watcher(), lambda *_: False)
    assert cloud.ros.stack("postbus-staging").status == "CREATE_COMPLETE"


# --- parameters and secrets -----------------------------------------------------------------------


def test_the_command_line_wins_over_the_file(cloud: Cloud, project: Project) -> None:
    """And what is given nowhere is the template's default, also after it was given once."""
    run(project, given={"LogDays": "7", "AllowedRecipients": "*"})
    parameters = cloud.ros.stack("postbus-staging").parameters
    assert (parameters["LogDays"], parameters["AllowedRecipients"]) == ("7", "*")
    run(project)
    parameters = cloud.ros.stack("postbus-staging").parameters
    assert (parameters["LogDays"], parameters["AllowedRecipients"]) == ("30", "@example.com")


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("the parameter Colour: is not declared", {"given": {"Colour": "red"}}),
    ("CallsPerSecond: 'many' is not a number", {"given": {"CallsPerSecond": "many"}}),
    ("RecordDays: it is 3, less than 37", {"given": {"RecordDays": "3"}}),
    ("Runtime: 'python2' is none of", {"given": {"Runtime": "python2"}}),
    ("Env cannot be given: it is --env", {"given": {"Env": "production"}}),
    ("CodeVersion cannot be given: it is the commit", {"given": {"CodeVersion": "1"}}),
    ("set it as the variable POSTBUS_PUSH_TOKEN", {"given": {"PushToken": "x"}}),
    ("sends no events in cn-beijing", {"region": "cn-beijing"}),
    ("--env is one of dev, staging, production", {"environment": "local"}),
    ("no region: say --region", {"environment": "dev"}),
    ("is no commit", {"rollback": "0" * 40}),
    ("is no commit", {"rollback": "nowhere"}),
    ("is no commit", {"rollback": "--help"}),
]


@pytest.mark.parametrize(("message", "changes"), WRONG)
def test_what_cannot_be_given(message: str, changes: dict[str, Any], offline: Project) -> None:
    """Is said by name before the account is asked anything."""
    assert message in refuse(offline, **changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region: [", "is not YAML"),
        ("- a list", "is not a mapping"),
        ("regoin: x", "regoin is not known"),
        ("parameters: [1]", "parameters is not a mapping"),
        ("parameters: {LogDays: [1]}", "LogDays is neither"),
        ("tags: one", "tags is not a list"),
    ],
)
def test_a_file_that_is_none(text: str, message: str) -> None:
    """Its mistake is named, with the file."""
    with pytest.raises(UsageError, match=rf"staging\.yml.*{message}"):
        read_environment("staging", text, "staging.yml")


def test_a_file_as_people_write_it() -> None:
    """Empty sections are empty; numbers and words of YAML are what ROS takes."""
    text = "region: us-east-1\nparameters: {LogDays: 7, TimerEnabled: yes, RedirectTo: }\ntags:\n"
    found = read_environment("dev", text, "dev.yml")
    assert found.given == {"LogDays": "7", "TimerEnabled": "true", "RedirectTo": ""}
    assert (found.region, found.tags) == ("us-east-1", ())
    assert read_environment("dev", None, "dev.yml").given == {}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_files_of_this_project(name: str) -> None:
    """Each says a region, and gives the template nothing that it does not take."""
    file = environment_file(ROOT, name)
    found = read_environment(name, file.read_text(encoding="utf-8"), file.name)
    assert check_region(found.region)
    check_parameters(read_yaml(ROOT / "template.yml")["Parameters"], found.given)


def test_a_secret_in_the_file_is_refused(offline: Project) -> None:
    """A file is committed; the sentence says where the secret goes."""
    declared = read_yaml(offline.root / "template.yml")["Parameters"]
    with pytest.raises(UsageError, match=r"HookSecrets is a secret: .* POSTBUS_HOOK_SECRETS"):
        check_parameters(declared, {"HookSecrets": "crm=whsec_x"})


def test_a_secret_is_made_once_and_kept(cloud: Cloud, project: Project) -> None:
    """In a file that nobody else reads; a stack that is made again gets the same one."""
    watcher = run(project)
    file = project.root / ".postbus/deploy/staging.secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = json.loads(file.read_text(encoding="utf-8"))["SuppressionKey"]
    assert len(key) >= 32
    assert cloud.ros.stack("postbus-staging").parameters["SuppressionKey"] == key
    assert any(str(file) in text for text in watcher.told)
    assert key not in watcher.text
    project.commit()
    file.unlink()  # a stack keeps its secrets itself
    run(project)
    assert cloud.ros.stack("postbus-staging").parameters["SuppressionKey"] == key
    assert not file.exists()


def test_a_stack_that_is_made_again_has_the_same_secret(cloud: Cloud, project: Project) -> None:
    """Without it, its tables would know no suppressed address."""
    run(project)
    key = cloud.ros.stack("postbus-staging").parameters["SuppressionKey"]
    destroy(
        Removal("staging", "cn-hangzhou", project.url, PACE, with_key()), Watcher(), lambda *_: True
    )
    run(project, given={"LedgerIs": "kept"})
    assert cloud.ros.stack("postbus-staging").parameters["SuppressionKey"] == key


def test_secrets_come_from_variables(cloud: Cloud, project: Project) -> None:
    """And are not kept on this machine; given anew to a stack that has them, that is said."""
    variables = {"POSTBUS_SUPPRESSION_KEY": KEY, "POSTBUS_PUSH_TOKEN": "a-token"}
    watcher = run(project, variables=variables, ci=True)
    parameters = cloud.ros.stack("postbus-staging").parameters
    assert (parameters["SuppressionKey"], parameters["PushToken"]) == (KEY, "a-token")
    assert not (project.root / ".postbus/deploy/staging.secrets.json").exists()
    again = run(project, variables={**variables, "POSTBUS_PUSH_TOKEN": "another"})
    assert any("POSTBUS_PUSH_TOKEN, POSTBUS_SUPPRESSION_KEY" in text for text in again.told)
    assert cloud.ros.stack("postbus-staging").parameters["PushToken"] == "another"
    for secret in (KEY, "a-token", "another"):
        assert secret not in watcher.text + again.text + repr(again.stack)


def test_ci_makes_no_secret_that_is_lost_with_its_machine(cloud: Cloud, project: Project) -> None:
    """It is told how to make one that lasts; nothing is left behind."""
    with pytest.raises(DeployError, match=r"POSTBUS_SUPPRESSION_KEY.*token_urlsafe"):
        deploy(order(project, ci=True), Watcher(), lambda *_: [])
    assert cloud.ros.stacks == {}


def test_a_secret_that_is_not_allowed_is_not_shown(project: Project) -> None:
    """Its rule is, by the variable's name."""
    variables = {"POSTBUS_SUPPRESSION_KEY": "short-secret"}
    with pytest.raises(DeployError, match="POSTBUS_SUPPRESSION_KEY: the length is 12") as told:
        deploy(order(project, variables=variables), Watcher(), lambda *_: [])
    assert "short-secret" not in str(told.value)


# --- the working copy -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["changed", "new", "staged"])
def test_a_dirty_tree_is_refused(how: str, offline: Project) -> None:
    """Whatever kind of difference: what runs must be found again by its commit."""
    name = "template.yml" if how == "changed" else "new.txt"
    path = offline.root / name
    before = path.read_text(encoding="utf-8") if path.exists() else None
    with path.open("a", encoding="utf-8") as file:
        file.write("# a difference\n")
    if how == "staged":
        offline.git("add", "-A")
    assert f"differs from its commit: {name}" in refuse(offline)
    offline.git("reset", "-q")
    if before is None:
        path.unlink()
    else:
        path.write_text(before, encoding="utf-8")


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    """In Git's own words."""
    assert "not a git repository" in refuse(Project(tmp_path, ""))


def test_a_template_that_does_not_pass_is_refused(offline: Project) -> None:
    """With what is wrong."""
    assert "does not pass:\n  this\n  that" in refuse(offline, ["this", "that"])


def test_the_check_is_that_of_make_check_template(offline: Project) -> None:
    """With the parameters of this deployment, and no secret in what it says."""
    path = offline.root / "template.yml"
    given = {"Env": "staging", "CodeVersion": "c", "LogDays": "7"}
    release = Release("c", "", path, read_yaml(path), "cn-hangzhou", given)
    assert problems(release, None, {}) == []
    (found,) = problems(release, None, {"POSTBUS_SUPPRESSION_KEY": "short-secret"})
    assert "SuppressionKey" in found
    assert "short-secret" not in found
