"""`postbus deploy`, `destroy` and `doctor` as people and CI run them: the command, end to end."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.cloud.faults import CloudError
from deploy.stack.errors import DeployError, UsageError
from deploy.stack.stacks import Change, Stack
from local.cli.cloud import cloud_errors, lacking
from local.cli.deploy import Screen, deploy, destroy
from local.cli.exits import USAGE, CommandError
from tests.deploy.doubles.cloud import Cloud
from tests.deploy.doubles.project import BIG_PACKAGE_BYTES, KEY, Project, make_project

pytestmark = pytest.mark.stack
BUCKET = "postbus-code-1234567890123456-cn-hangzhou"


@pytest.fixture
def whole(tmp_path: Path, cloud: Cloud) -> Project:
    """A repository with the functions' code, so that everything can be checked."""
    folder = tmp_path / "whole"
    folder.mkdir()
    return make_project(folder, cloud.url, code=True)


def test_the_commands_one_after_another(cloud: Cloud, whole: Project) -> None:
    """Deployed with the key of the variables, examined, destroyed; outputs for programs."""
    whole.environment["POSTBUS_SUPPRESSION_KEY"] = KEY
    done = whole.run("deploy", "--env", "staging", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    assert outputs["status"] == "CREATE_COMPLETE"
    assert outputs["MailsQueueUrl"].endswith("/queues/postbus-staging-mails")
    assert "checking the template" in done.stderr
    assert "SendMail" in done.stderr
    assert KEY not in done.stdout + done.stderr
    cloud.make_queues()
    cloud.rules = cloud.rules.__class__(senders=frozenset(), domains=cloud.rules.domains)
    examined = whole.run("doctor", "--env", "staging", "--json")
    assert examined.returncode == 1, examined.stderr
    findings = [json.loads(line) for line in examined.stdout.splitlines()]
    assert {f["check"] for f in findings if f["level"] == "error"} == {"sender", "tags"}
    assert all(f["todo"] for f in findings if f["level"] != "ok")
    gone = whole.run("destroy", "--env", "staging", "--confirm", "staging")
    assert gone.returncode == 0, gone.stderr
    assert "LedgerIs: kept" in gone.stderr
    assert cloud.ros.stacks["stack-1"].status == "DELETE_COMPLETE"


def test_the_command_to_try_works(
    cloud: Cloud, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed at the end puts a mail on the queue, as it stands."""
    cloud.put("postbus-staging-mails", "first")
    url = f"{cloud.url}/queues/postbus-staging-mails"
    stack = Stack(
        "i", "s", "CREATE_COMPLETE", "", {}, {"MailsQueueUrl": url}, {"MailsQueueUrl": ""}
    )
    Screen(agreed=True, as_json=False).ended(stack)
    shown = capsys.readouterr().out
    command = shown[shown.index("python -c") :].replace("python", sys.executable, 1)
    done = subprocess.run(  # noqa: S603  # the command under test
        ["/bin/sh", "-c", command], env=project.variables(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    messages = cloud.running.do(lambda: cloud.broker.peek("postbus-staging-mails", count=2))
    assert [message.id for message in messages][1:] == [done.stdout.strip()]


def test_killed_in_the_middle_of_an_upload(cloud: Cloud, whole: Project) -> None:
    """By SIGKILL: the next run sends no part twice that had arrived in order, and deploys."""
    whole.package_bytes = BIG_PACKAGE_BYTES
    commit = whole.commit()
    cloud.oss.parts_taken = 2
    process = whole.start("deploy", "--env", "staging", "--yes")
    until = time.monotonic() + 40
    while len(cloud.oss.received) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    cloud.oss.parts_taken = None
    before = list(cloud.oss.received)
    assert {number for _, number in before} == {1, 2}
    assert cloud.ros.stacks == {}
    done = whole.run("deploy", "--env", "staging", "--yes")
    assert done.returncode == 0, done.stderr
    key = before[0][0]
    after = [number for name, number in cloud.oss.received[len(before) :] if name == key]
    assert sorted(after) == [3, 4]
    stored = cloud.oss.buckets[BUCKET]
    assert stored[key].content == (whole.root / "build/package" / Path(key).name).read_bytes()
    assert f"postbus/{commit}" in key
    assert cloud.oss.uploads == {}


@pytest.mark.parametrize(
    ("work", "hint"),
    [
        (lambda: deploy("staging"), "--yes agrees, --dry-run only shows"),
        (lambda: destroy("staging"), "--confirm staging"),
        (lambda: destroy("staging", confirm="production"), "--confirm says 'production'"),
    ],
)
def test_where_nobody_can_be_asked(work: Callable[[], None], hint: str) -> None:
    """It refuses at once with what to do, as an error of the command line."""
    with pytest.raises(CommandError, match=hint) as told:
        work()
    assert told.value.code == USAGE


def test_failures_end_in_one_line_and_an_exit_code(cloud: Cloud, project: Project) -> None:
    """1 where a service says no; never a traceback. 2 where what was given is wrong."""
    cloud.denied.add("ros:ListStacks")
    refused = project.run("destroy", "--env", "staging", "--confirm", "staging")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "Allow the RAM action ros:ListStacks" in refused.stderr
    for code, error in ((1, DeployError("no")), (2, UsageError("no")), (1, CloudError("no"))):
        with pytest.raises(CommandError) as told, cloud_errors():
            raise error
        assert told.value.code == code


def test_an_sdk_that_is_not_installed(project: Project) -> None:
    """Says how to get it, and leaves mistakes of this program alone."""
    program = (
        "import sys; sys.modules['alibabacloud_ros20190910'] = None; "
        "sys.argv[1:] = ['destroy', '--env', 'staging', '--confirm', 'staging']; "
        "from local.cli import main; main()"
    )
    done = subprocess.run(  # noqa: S603  # the command under test
        [sys.executable, "-c", program], env=project.variables(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pip install 'postbus[deploy]'" in done.stderr
    with pytest.raises(ModuleNotFoundError):
        lacking(ModuleNotFoundError(name="deploy.nothing"))


# --- people ---------------------------------------------------------------------------------------


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A screen of somebody who has to be asked."""
    with Screen(agreed=False, as_json=False) as screen:
        yield screen


def test_a_person_is_asked(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, so that the outputs stay alone; an empty answer is no."""
    answers: list[tuple[str, bool]] = [("y\n", True), ("n\n", False), ("\n", False)]
    for text, answer in answers:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert screen.agree("Do this?") is answer
    shown = capsys.readouterr()
    assert "Do this? [y/N]" in shown.err
    assert shown.out.strip() == ""


def test_changes_as_a_table(
    screen: Screen, make_change: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is made anew is said in so many words; names with brackets are no markup."""
    screen.changes([make_change("Modify", "[red]Queue", "True"), make_change("Add", "Topic")])  # type: ignore[list-item]  # changes
    shown = capsys.readouterr().err
    assert "1 made, 1 changed, 0 removed" in shown
    assert "[red]Queue" in shown
    assert "MADE ANEW, what it holds is lost: QueueName" in shown


@pytest.fixture
def make_change() -> Callable[..., object]:
    """Makes a change of a queue."""

    def make(action: str, name: str, replacement: str = "False") -> object:
        return Change(action, name, "ALIYUN::MNS::Queue", replacement, ("QueueName",))

    return make
