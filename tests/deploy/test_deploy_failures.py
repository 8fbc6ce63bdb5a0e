"""What stops a deployment half-way: each failure with its sentence, and with what is left of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.cloud.access import Access
from deploy.cloud.faults import (
    ClockWrong,
    CloudError,
    NoCredentials,
    NotAllowed,
    Unreachable,
    WrongCredentials,
    calling,
    kind_of,
)
from deploy.stack.artifacts import Artifact, Bucket
from deploy.stack.deploy import deploy
from deploy.stack.destroy import Removal, destroy
from deploy.stack.errors import DeployError
from deploy.stack.failures import advice_for, root_failures
from deploy.stack.follow import Pace
from deploy.stack.order import Order
from deploy.stack.stacks import Event, Stack
from local.account import AccessKey
from tests.deploy.doubles.cloud import Cloud
from tests.deploy.doubles.oss import Object
from tests.deploy.doubles.project import BIG_PACKAGE_BYTES, Project, with_key
from tests.deploy.watcher import Watcher

BUCKET = "postbus-code-1234567890123456-cn-hangzhou"
PACE = Pace(0.001)


def start(project: Project, watcher: Watcher | None = None, **changes: Any) -> Watcher:
    """Deploy without the check of the template."""
    asked = Order("staging", project.root, endpoint=project.url, pace=PACE, connect=with_key())
    watcher = watcher or Watcher()
    assert deploy(replace(asked, **changes), watcher, lambda *_: [])
    return watcher


def removal(project: Project) -> Removal:
    """The way out, of that account."""
    return Removal("staging", "cn-hangzhou", project.url, PACE, with_key())


# --- who is asking --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (AccessKey("nobody", "x"), "InvalidAccessKeyId.NotFound"),
        (AccessKey("local-access-key", "wrong"), "SignatureDoesNotMatch"),
        (AccessKey("local-access-key", "local-access-secret", "token"), "InvalidSecurityToken"),
    ],
)
def test_wrong_credentials(key: AccessKey, message: str, cloud: Cloud, project: Project) -> None:
    """With the service's code, and where to look; nothing is changed."""
    with pytest.raises(WrongCredentials, match=rf"{message}.*Look at the access key"):
        start(project, connect=with_key(key))
    assert cloud.ros.stacks == {}
    assert cloud.oss.buckets == {}


def test_no_credentials(project: Project) -> None:
    """Says where they are looked for."""

    class Nothing:
        """A chain that found nothing."""

        def get_credential(self) -> None:
            """Fail as the chain does."""
            from alibabacloud_credentials.exceptions import (  # noqa: PLC0415  # here alone
                CredentialException,
            )

            raise CredentialException("unable to load credentials from any of the providers")

    with pytest.raises(NoCredentials, match=r"ALIBABA_CLOUD_ACCESS_KEY_ID.*aliyun configure"):
        start(project, connect=lambda region, url: Access(region, url, Nothing()))


def test_a_clock_that_is_wrong(cloud: Cloud, project: Project) -> None:
    """Says that it is the clock, and not the key."""
    cloud.skew = 3600
    with pytest.raises(ClockWrong, match=r"InvalidTimeStamp.Expired.*Set this machine's clock"):
        start(project)


def test_nobody_answers(project: Project) -> None:
    """Says what could not be reached."""
    with pytest.raises(Unreachable, match=r"sts:GetCallerIdentity.*Connection"):
        start(project, endpoint="http://127.0.0.1:9")


# --- permissions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    ["ros:ListStacks", "ros:CreateChangeSet", "ros:ExecuteChangeSet", "ros:ListStackEvents"],
)
def test_a_permission_of_ros_that_is_missing(action: str, cloud: Cloud, project: Project) -> None:
    """Is named, as RAM names it; once it is given, the next run goes through."""
    cloud.denied.add(action)
    with pytest.raises(NotAllowed, match=f"Allow the RAM action {action}"):
        start(project)
    cloud.denied.clear()
    start(project)
    assert cloud.ros.stack("postbus-staging").status == "CREATE_COMPLETE"
    assert len(cloud.ros.change_sets) == 1


@pytest.mark.parametrize("action", ["oss:PutBucket", "oss:PutObject", "oss:GetObject"])
def test_a_permission_of_oss_that_is_missing(action: str, cloud: Cloud, project: Project) -> None:
    """Likewise; no stack was begun."""
    cloud.denied.add(action)
    with pytest.raises(NotAllowed, match=f"Allow the RAM action {action}"):
        start(project)
    assert cloud.ros.stacks == {}


def test_a_bucket_name_of_somebody_else(cloud: Cloud, project: Project) -> None:
    """Bucket names are shared by all: another has to be chosen, or read rights given."""
    cloud.oss.others.add("taken")
    cloud.oss.buckets["taken"] = {}
    with pytest.raises(DeployError, match="choose another with the parameter OssBucket"):
        start(project, given={"OssBucket": "taken"})
    cloud.oss.others.add("theirs")
    with pytest.raises(DeployError, match="OssBucket"):
        start(project, given={"OssBucket": "theirs"})


# --- uploads --------------------------------------------------------------------------------------


def big(project: Project) -> None:
    """Packages that take several parts."""
    project.package_bytes = BIG_PACKAGE_BYTES
    project.commit()


def artifact(project: Project, key: str = "postbus/c/sender-python3.12.zip") -> Artifact:
    """One package."""
    path = project.root / "build/package/sender-python3.12.zip"
    manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return Artifact(key, path, manifest["zip"]["sha256"], manifest["content_sha256"])


def bucket(cloud: Cloud, folder: Path) -> Bucket:
    """An empty bucket of ours."""
    cloud.oss.buckets["bucket"] = {}
    return Bucket(with_key()("cn-hangzhou", cloud.url).oss, "bucket", folder)


def test_an_upload_goes_on_where_it_stopped(cloud: Cloud, project: Project, tmp_path: Path) -> None:
    """A refusal in the middle; the next run sends what is missing, and no part twice."""
    big(project)
    there, package = bucket(cloud, tmp_path / "state"), artifact(project)
    cloud.oss.parts_allowed = 2
    with pytest.raises(NotAllowed):
        there.put(package, lambda *_: None)
    arrived = {number for _, number in cloud.oss.received}
    assert len(arrived) == 2
    cloud.oss.parts_allowed = None
    assert there.put(package, lambda *_: None)
    first_gap = next(n for n in range(1, 5) if n not in arrived)
    assert {n for _, n in cloud.oss.received[len(arrived) :]} == set(range(first_gap, 5))
    assert cloud.oss.buckets["bucket"][package.key].content == package.path.read_bytes()
    assert cloud.oss.uploads == {}
    assert not list((tmp_path / "state").iterdir())


def test_an_upload_that_oss_has_forgotten_begins_anew(
    cloud: Cloud, project: Project, tmp_path: Path
) -> None:
    """The bucket's own rules may clear unfinished uploads away."""
    big(project)
    there, package = bucket(cloud, tmp_path / "state"), artifact(project)
    with pytest.raises(NotAllowed):
        there.put(package, lambda *_: cloud.denied.add("oss:Complete"))
    cloud.denied.clear()
    cloud.oss.uploads.clear()
    assert there.put(package, lambda *_: None)
    assert cloud.oss.buckets["bucket"][package.key].content == package.path.read_bytes()


def test_what_arrives_damaged_does_not_stay(cloud: Cloud, project: Project, tmp_path: Path) -> None:
    """Whoever deploys next must not take it for the version."""
    big(project)
    there, package = bucket(cloud, tmp_path / "state"), artifact(project)
    cloud.oss.damage = True
    with pytest.raises(DeployError, match="arrived damaged and was removed"):
        there.put(package, lambda *_: None)
    assert cloud.oss.buckets["bucket"] == {}
    cloud.oss.damage = False
    assert there.put(package, lambda *_: None)


def test_a_version_is_never_overwritten(cloud: Cloud, project: Project, tmp_path: Path) -> None:
    """Other content under the same commit is an error; the same, packed otherwise, is the same."""
    there, package = bucket(cloud, tmp_path / "state"), artifact(project)
    meta = {
        "x-oss-meta-postbus-sha256": "another",
        "x-oss-meta-postbus-content-sha256": package.content_sha256,
    }
    cloud.oss.buckets["bucket"][package.key] = Object(b"packed otherwise", meta)
    assert not there.put(package, lambda *_: None)
    meta["x-oss-meta-postbus-content-sha256"] = "other content"
    with pytest.raises(DeployError, match="A version is never overwritten"):
        there.put(package, lambda *_: None)
    assert cloud.oss.buckets["bucket"][package.key].content == b"packed otherwise"


def test_two_who_deploy_the_same_commit(cloud: Cloud, project: Project, tmp_path: Path) -> None:
    """The slower one finds the package there when it is done, and takes it."""
    big(project)
    there, package = bucket(cloud, tmp_path / "state"), artifact(project)

    def overtaken(done: int, total: int) -> None:
        if done == total:
            meta = {"x-oss-meta-postbus-sha256": package.sha256}
            cloud.oss.buckets["bucket"][package.key] = Object(package.path.read_bytes(), meta)

    assert not there.put(package, overtaken)


# --- the stack ------------------------------------------------------------------------------------


def test_a_first_deployment_that_fails(cloud: Cloud, project: Project) -> None:
    """The resource's own reason, what to do about it, what is left, and the way on."""
    cloud.ros.failing["SendMailRole"] = "NoPermission: code: 403, not authorized: ram:CreateRole"
    watcher = Watcher()
    with pytest.raises(DeployError, match=r"CREATE_ROLLBACK_COMPLETE") as told:
        start(project, watcher)
    assert "SendMailRole (ALIYUN::RAM::Role): NoPermission" in watcher.text
    assert "ram:CreatePolicy" in watcher.text
    assert "postbus destroy --env staging" in str(told.value)
    # What that says is what has to be done.
    cloud.ros.failing.clear()
    with pytest.raises(DeployError, match=r"cannot be updated.*postbus destroy --env staging"):
        start(project)
    assert destroy(removal(project), Watcher(), lambda *_: True)
    start(project)


def test_an_update_that_fails_half_way(cloud: Cloud, project: Project) -> None:
    """The stack stays half updated: on with it, or back to the commit that ran before."""
    first = project.git("rev-parse", "HEAD").strip()
    start(project)
    second = project.commit()
    cloud.ros.failing["DeliveryEvents"] = "InvalidArgument: the runtime is not supported"
    watcher = Watcher()
    with pytest.raises(DeployError, match="UPDATE_FAILED") as told:
        start(project, watcher)
    assert f"--rollback {first[:12]}" in str(told.value)
    assert "Runtime: python3.10" in watcher.text
    # Those that were cancelled only because of it are not held against anybody.
    assert "Webhooks (" not in "\n".join(watcher.told)
    cloud.ros.failing.clear()
    start(project, rollback=first)
    code = cloud.ros.stack("postbus-staging").resources["SendMail"].properties["Code"]
    assert first in code["OssObjectName"]
    start(project)
    code = cloud.ros.stack("postbus-staging").resources["SendMail"].properties["Code"]
    assert second in code["OssObjectName"]


def test_an_update_that_ros_undoes(cloud: Cloud, project: Project) -> None:
    """What ran before runs, and that is said."""
    start(project)
    project.commit()
    cloud.ros.rolls_back = True
    cloud.ros.failing["Clock"] = "Throttling: flow control"
    watcher = Watcher()
    with pytest.raises(DeployError, match=r"ROLLBACK_COMPLETE.*everything back as it was"):
        start(project, watcher)
    assert "A service was asked too often: deploy again." in watcher.told
    cloud.ros.failing.clear()
    start(project)


def test_a_deletion_that_fails(cloud: Cloud, project: Project) -> None:
    """Says why, and can be tried again."""
    start(project)
    cloud.ros.failing["LogProject"] = "ProjectForbidden: it has a saved search"
    watcher = Watcher()
    with pytest.raises(DeployError, match=r"DELETE_FAILED.*postbus destroy --env staging"):
        destroy(removal(project), watcher, lambda *_: True)
    assert "LogProject (ALIYUN::SLS::Project): ProjectForbidden" in watcher.text
    cloud.ros.failing.clear()
    assert destroy(removal(project), Watcher(), lambda *_: True)


def test_somebody_else_is_at_work(cloud: Cloud, project: Project) -> None:
    """Neither a deployment nor a deletion goes between."""
    start(project)
    cloud.ros.stack("postbus-staging").status = "UPDATE_IN_PROGRESS"
    with pytest.raises(DeployError, match="is being worked on"):
        start(project)
    with pytest.raises(DeployError, match="is being worked on"):
        destroy(removal(project), Watcher(), lambda *_: True)


def test_what_an_interrupted_preview_left_is_cleared_away(cloud: Cloud, project: Project) -> None:
    """The empty stack of a first one, the change set of a later one."""

    class Gone(Watcher):
        """A person whose terminal is closed at the question."""

        def agree(self, question: str) -> bool:
            """Never answer."""
            raise SystemExit(question)

    with pytest.raises(SystemExit):
        start(project, Gone())
    assert cloud.ros.stack("postbus-staging").status == "REVIEW_IN_PROGRESS"
    watcher = start(project)
    assert any("left empty" in text for text in watcher.told)
    project.commit()
    for _ in range(2):
        with pytest.raises(SystemExit):
            start(project, Gone())
    assert len(cloud.ros.change_sets) == 2  # the executed one, and the latest
    start(project)
    assert len(cloud.ros.change_sets) == 1


def test_an_answer_that_is_lost(cloud: Cloud, project: Project) -> None:
    """Whether the change set was executed is asked of the change set; and looks go on."""
    cloud.lost += ["ros:ExecuteChangeSet", "ros:GetStack", "ros:ListStackEvents"]
    # The first GetStack comes before the execution: it may fail.
    with pytest.raises(Unreachable):
        start(project)
    cloud.lost[:] = ["ros:ExecuteChangeSet"]
    watcher = start(project)
    assert watcher.stack is not None
    assert cloud.ros.stack("postbus-staging").status == "CREATE_COMPLETE"


def test_a_call_that_was_not_carried_out(cloud: Cloud, project: Project) -> None:
    """A change set that nobody executed is no deployment."""
    execute = cloud.ros._execute_change_set
    cloud.ros._execute_change_set = lambda given: {}  # type: ignore[method-assign]  # noqa: ARG005  # lost on its way
    cloud.lost.append("ros:ExecuteChangeSet")
    with pytest.raises(Unreachable):
        start(project)
    cloud.ros._execute_change_set = execute  # type: ignore[method-assign]  # and back
    start(project)


def test_silence_while_watching(cloud: Cloud, project: Project) -> None:
    """A hiccup is sat out; a long silence ends the watching and not the stack's work."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 100
        if now[0] == 200:  # the work has begun
            cloud.lost += ["ros:GetStack"] * (lasts // 100)
        assert seconds >= 0

    cloud.ros.per_look = 5
    lasts = 200
    pace = Pace(0.001, sleep, lambda: now[0])
    watcher = start(project, pace=pace)
    assert watcher.stack is not None
    project.commit()
    now[0], lasts = 0.0, 2_000
    cloud.ros.per_look = 0
    with pytest.raises(DeployError, match="goes on without being watched"):
        start(project, pace=pace)
    cloud.lost.clear()
    with pytest.raises(DeployError, match="is being worked on"):
        start(project)


def test_changes_that_ros_cannot_compute(cloud: Cloud, project: Project) -> None:
    """Its own reason; and nothing is left."""
    create = cloud.ros._create_change_set

    def broken(given: Any) -> Any:
        made = create(given)
        found = cloud.ros.change_sets[made["ChangeSetId"]]
        found.status, found.reason = "CREATE_FAILED", "The template has a resource of no type."
        return made

    cloud.ros._create_change_set = broken  # type: ignore[method-assign]  # a fault of the service
    with pytest.raises(DeployError, match="ROS cannot compute the changes: The template has"):
        start(project)
    assert cloud.ros.change_sets == {}
    assert [stack.status for stack in cloud.ros.stacks.values()] == ["DELETE_COMPLETE"]


# --- words ----------------------------------------------------------------------------------------


def event(resource: str, status: str, reason: str, kind: str = "ALIYUN::FC3::Function") -> Event:
    """An event of a stack."""
    return Event("e", "2026-11-22T00:00:00", resource, kind, status, reason)


def test_only_what_failed_by_itself_is_told() -> None:
    """Not the stack, not what was cancelled; where all were cancelled, the first."""
    stack = Stack("id", "s", "CREATE_FAILED", "", {}, {}, {})
    own = event("A", "CREATE_FAILED", "Quota exceeded")
    cancelled = event("B", "CREATE_FAILED", "Resource CREATE cancelled")
    whole = event("s", "CREATE_FAILED", "Resource failed")
    fine = event("C", "CREATE_COMPLETE", "state changed")
    assert root_failures([cancelled, fine, own, whole], stack) == [own]
    assert root_failures([cancelled, whole], stack) == [cancelled]


@pytest.mark.parametrize(
    ("kind", "reason", "word"),
    [
        ("ALIYUN::OTS::Instance", "OTSObjectAlreadyExist: duplicated name", "LedgerSuffix"),
        ("ALIYUN::OTS::Table", "Requested table already exists.", "LedgerIs: kept"),
        ("ALIYUN::RAM::Role", "NoPermission", "ram:CreateRole"),
        ("ALIYUN::MNS::Queue", "AccessDenied: mns:CreateQueue", "the action that the reason names"),
        ("ALIYUN::FC3::Function", "invalid runtime python3.12", "python3.10"),
        ("ALIYUN::SLS::Project", "The service is not opened", "bootstrap.yml"),
        ("ALIYUN::FC3::Trigger", "AliyunServiceRoleForEventBridgeSourceMNS", "bootstrap.yml"),
        ("ALIYUN::FC3::ConcurrencyConfig", "the limit is exceeded", "Quota Center"),
        ("ALIYUN::MNS::Queue", "QueueAlreadyExist", "name is taken"),
        ("ALIYUN::MNS::Queue", "Throttling.User", "deploy again"),
        ("ALIYUN::MNS::Queue", "it rains", ""),
    ],
)
def test_advice(kind: str, reason: str, word: str) -> None:
    """By the kind of resource and the service's own words."""
    found = advice_for(event("X", "CREATE_FAILED", reason, kind))
    assert word in found
    assert bool(found) == bool(word)


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        ("NoPermission", 403, "NotAllowed"),
        ("Forbidden.RAM", 403, "NotAllowed"),
        ("SomethingElse", 403, "NotAllowed"),
        ("InvalidAccessKeyId.NotFound", 404, "WrongCredentials"),
        ("RequestTimeTooSkewed", 403, "ClockWrong"),
        ("StackNotFound", 404, "NotThere"),
        ("NoSuchBucket", 404, "NotThere"),
        ("BucketAlreadyExists", 409, "Taken"),
        ("StackExists", 409, "Taken"),
        ("InternalError", 500, "CloudError"),
    ],
)
def test_codes_of_services(code: str, status: int, name: str) -> None:
    """Become the error that knows what to do."""
    assert kind_of(code, status).__name__ == name


def test_mistakes_of_this_program_stay_what_they_are() -> None:
    """Only what the SDKs raise becomes a `CloudError`."""
    with pytest.raises(ZeroDivisionError), calling("ros:GetStack"):
        raise ZeroDivisionError
    with pytest.raises(CloudError), calling("ros:GetStack"):
        raise CloudError("as it is")
