"""A deployment from its beginning to its end.

    clean tree, checked template -> packages -> bucket -> change set -> agreed -> executed

Before the change set is agreed to, nothing is changed in the account but the bucket: what is there
is under the commit's name, and nothing runs it yet. Whatever is interrupted is taken up or cleared
away by the next run.
"""

from __future__ import annotations

from deploy.stack.artifacts import Artifact, Bucket, missing
from deploy.stack.build import artifacts_of
from deploy.stack.change import Update, change, remove_empty
from deploy.stack.errors import DeployError
from deploy.stack.failures import state_advice
from deploy.stack.order import Order
from deploy.stack.plan import Plan
from deploy.stack.release import Proof, Release, problems, read_release
from deploy.stack.ros import Ros
from deploy.stack.stacks import IN_REVIEW, UPDATABLE, Stack
from deploy.stack.talk import Talk


def deploy(order: Order, talk: Talk, check: Proof | None = None) -> bool:
    """Deploy; whether the environment is now as it should be.

    Args:
        order: what is asked for.
        talk: is told and asked.
        check: finds what is wrong with a template; that of `make check-template` by default.

    Raises:
        DeployError: it cannot go on; `UsageError` where what was given is wrong.
        CloudError: a service refused or did not answer.
    """
    release = read_release(order, talk, check or problems)
    access = order.connect(release.region, order.endpoint)
    identity = access.identity()
    ros = Ros(access.ros, release.region)
    before = _usable(ros, ros.find(order.stack), order, talk)
    talk.say(
        f"{order.stack} in {release.region} of account {identity.account}: commit "
        f"{release.commit[:12]}{_runs_now(before)}"
    )
    given = dict(release.given)
    given.setdefault("OssBucket", f"postbus-code-{identity.account}-{release.region}")
    plan = Plan(release.document, release.region, given, identity.account)
    bucket = Bucket(access.oss, given["OssBucket"], order.state)
    if order.rollback or not order.dry_run:
        _provide(order, release, plan, bucket, talk)
    return change(Update(order, release, plan, given, before), ros, talk)


def _usable(ros: Ros, stack: Stack | None, order: Order, talk: Talk) -> Stack | None:
    """The stack to update; None where one has to be made.

    Raises:
        DeployError: somebody else is at work, or the stack must be removed first.
    """
    if stack is None:
        return None
    if stack.status == IN_REVIEW:
        # Left by a run that was interrupted before anything was agreed to: there is nothing in it.
        talk.say(f"removing {stack.name}, which an interrupted run left empty")
        remove_empty(ros, stack.id, order.pace)
        return None
    if stack.busy:
        raise DeployError(
            f"{stack.name} is being worked on ({stack.status}): wait for that to end, then run it "
            "again"
        )
    if stack.status not in UPDATABLE:
        raise DeployError(
            f"{stack.name} cannot be updated. {state_advice(stack, order.environment, '')}"
        )
    return stack


def _runs_now(stack: Stack | None) -> str:
    if stack is None:
        return "; nothing runs there yet"
    return f"; {stack.parameters.get('CodeVersion', 'unknown')[:12]} runs there now"


def _provide(order: Order, release: Release, plan: Plan, bucket: Bucket, talk: Talk) -> None:
    """See to it that the packages are in the bucket."""
    needed = plan.packages()
    if order.rollback:
        absent = missing(bucket, sorted(needed)) if bucket.exists() else sorted(needed)
        if absent:
            raise DeployError(
                f"{', '.join(absent)} is not in the bucket {bucket.name}: that commit was not "
                f"deployed there. Check it out (`git worktree add ../back {release.commit[:12]}`) "
                "and deploy it from there."
            )
        talk.say(f"its packages are in the bucket {bucket.name}")
        return
    artifacts = artifacts_of(order.root, release.commit, needed, talk.say)
    if not bucket.exists():
        talk.say(f"making the bucket {bucket.name}, private")
        bucket.make()
    for artifact in artifacts:
        _upload(bucket, artifact, talk)


def _upload(bucket: Bucket, artifact: Artifact, talk: Talk) -> None:
    size = artifact.path.stat().st_size

    def progress(done: int, total: int) -> None:
        talk.uploading(artifact.path.name, done, total)

    new = bucket.put(artifact, progress)
    done = "uploaded" if new else "is there already"
    talk.say(f"{artifact.key} {done} ({size / 1_000_000:.1f} MB, sha256 {artifact.sha256[:12]}…)")
