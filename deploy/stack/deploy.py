"""A deployment from its beginning to its end.

    clean tree, checked template -> packages -> bucket -> change set -> agreed -> executed

Before the change set is agreed to, nothing is changed in the account but the bucket: what is there
is under the commit's name, and nothing runs it yet. Whatever is interrupted is taken up or cleared
away by the next run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.check.cases import ENVIRONMENTS, REGIONS
from deploy.check.check import Code, check_template
from deploy.check.definitions import DefinitionsMissing, load_spec
from deploy.check.rendered import Case
from deploy.cloud.access import Access
from deploy.cloud.faults import NotThere, Unreachable
from deploy.stack import parameters
from deploy.stack.artifacts import Artifact, Bucket, missing
from deploy.stack.build import artifacts_of
from deploy.stack.errors import DeployError, UsageError
from deploy.stack.failures import advice_for, root_failures, state_advice
from deploy.stack.follow import Course, Pace, Work, follow
from deploy.stack.parameters import Environment
from deploy.stack.plan import Plan
from deploy.stack.ros import IN_REVIEW, UPDATABLE, WELL, ChangeSet, Ros, Stack, Wanted
from deploy.stack.secrets import find_secrets
from deploy.stack.talk import Talk
from deploy.stack.tree import clean_commit, find_commit, show_file

TEMPLATE = "template.yml"
# A change set is computed in seconds; nobody waits longer than this.
PREPARING_SECONDS = 300.0
_NOTHING = re.compile(r"no change|not changed|same stack|nothing to", re.IGNORECASE)
_STANDIN = "k" * 64


@dataclass(frozen=True)
class Order:
    """What a person asked for.

    Attributes:
        environment: the environment's name.
        root: the repository.
        region: of the command line; empty leaves it to the environment's file.
        given: parameters of the command line.
        rollback: a commit to go back to; empty deploys the working copy's.
        dry_run: show the change set and remove it.
        ci: nobody keeps a secret that is made here.
        variables: of this process.
        endpoint: where all services answer instead of their own addresses.
        pace: how often to look.
        connect: region and endpoint -> the account's services.
    """

    environment: str
    root: Path
    region: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    rollback: str = ""
    dry_run: bool = False
    ci: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    pace: Pace = field(default_factory=Pace)
    connect: Callable[[str, str], Access] = Access

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"postbus-{self.environment}"

    @property
    def state(self) -> Path:
        """Where this machine keeps what a later run needs."""
        return self.root / ".postbus" / "deploy"


@dataclass(frozen=True)
class Release:
    """A commit with its template and parameters, before any account is asked.

    Attributes:
        commit: its full id.
        template: its text.
        path: a file with it.
        region: where.
        given: parameters, those of the deployment's own included.
    """

    commit: str
    template: str
    path: Path
    region: str
    given: Mapping[str, str]


# What is deployed, where its code is, variables -> what is wrong.
Proof = Callable[[Release, Path | None, Mapping[str, str]], list[str]]


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
    release = _release(order, talk, check or problems)
    access = order.connect(release.region, order.endpoint)
    identity = access.identity()
    ros = Ros(access.ros, release.region)
    before = usable(ros, ros.find(order.stack), order.environment, talk)
    talk.say(
        f"{order.stack} in {release.region} of account {identity.account}: commit "
        f"{release.commit[:12]}{_runs_now(before)}"
    )
    given = dict(release.given)
    given.setdefault("OssBucket", f"postbus-code-{identity.account}-{release.region}")
    plan = Plan(release.path, release.region, given, identity.account)
    bucket = Bucket(access.oss, given["OssBucket"], order.state)
    if order.rollback or not order.dry_run:
        _provide(order, release, plan, bucket, talk)
    return _change(order, release, plan, given, ros, before, talk)


def _release(order: Order, talk: Talk, check: Proof) -> Release:
    """What is deployed, checked as far as one machine can."""
    if order.environment not in ENVIRONMENTS:
        raise UsageError(f"--env is one of {', '.join(ENVIRONMENTS)}")
    if order.rollback:
        return _earlier(order, talk, check)
    commit = clean_commit(order.root)
    path = order.root / TEMPLATE
    file = parameters.environment_file(order.root, order.environment)
    text = file.read_text(encoding="utf-8") if file.is_file() else None
    release = _decide(order, commit, path, path.read_text(encoding="utf-8"), text)
    talk.say("checking the template")
    found = check(release, order.root, order.variables)
    if found:
        shown = "\n  ".join(found)
        raise DeployError(f"the template does not pass:\n  {shown}\n`make check-template` has all")
    return release


def _earlier(order: Order, talk: Talk, check: Proof) -> Release:
    """An earlier commit, with its template and its environment's file."""
    commit = find_commit(order.root, order.rollback)
    template = show_file(order.root, commit, TEMPLATE)
    if template is None:
        raise UsageError(f"the commit {commit[:12]} has no {TEMPLATE}")
    name = f"{parameters.FOLDER}/{order.environment}.yml"
    text = show_file(order.root, commit, name)
    if text is None:
        file = order.root / name
        text = file.read_text(encoding="utf-8") if file.is_file() else None
    order.state.mkdir(parents=True, exist_ok=True)
    path = order.state / f"template-{commit[:12]}.yml"
    path.write_text(template, encoding="utf-8")
    release = _decide(order, commit, path, template, text)
    # It was checked when it was deployed. A rule that is younger must not stand in the way back.
    for problem in check(release, None, order.variables):
        talk.warn(f"by today's rules: {problem}")
    return release


def _decide(order: Order, commit: str, path: Path, template: str, text: str | None) -> Release:
    environment: Environment = parameters.read_environment(
        order.environment, text, f"{parameters.FOLDER}/{order.environment}.yml"
    )
    region = parameters.check_region(order.region or environment.region)
    given = {**environment.given, **order.given}
    declared = Plan(path, REGIONS[0], {"Env": order.environment}).declared
    parameters.check_parameters(declared, given)
    own = {"Env": order.environment, "CodeVersion": commit}
    return Release(commit, template, path, region, {**given, **own})


def problems(release: Release, tree: Path | None, variables: Mapping[str, str]) -> list[str]:
    """What `make check-template` finds, for this deployment alone.

    Args:
        release: what is deployed.
        tree: where the functions' code is, to be looked at as well; None leaves it out.
        variables: of this process, for the secrets.

    Raises:
        DeployError: the vendor's definitions are not installed.
    """
    try:
        spec = load_spec(Path(__file__).resolve().parents[2] / "build" / "definitions")
    except DefinitionsMissing as error:
        raise DeployError(str(error)) from error
    declared = Plan(release.path, release.region, {"Env": release.given["Env"]}).declared
    secret = {
        name: variables.get(parameters.variable(name)) or _STANDIN
        for name, rules in declared.items()
        if parameters.is_secret(rules)
        and (variables.get(parameters.variable(name)) or rules.get("Default") is None)
    }
    given = {"OssBucket": "postbus-code", **secret, **release.given}
    case = Case("this deployment", release.region, given)
    report = check_template(release.path, spec, [case], Code(tree) if tree else None)
    return [_without(str(problem), secret.values()) for problem in report.problems]


def _without(text: str, secrets: Iterable[str]) -> str:
    """A text without what nobody may see."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


def usable(ros: Ros, stack: Stack | None, environment: str, talk: Talk) -> Stack | None:
    """The stack to update; None where one has to be made.

    Raises:
        DeployError: somebody else is at work, or the stack must be removed first.
    """
    if stack is None:
        return None
    if stack.status == IN_REVIEW:
        # Left by a run that was interrupted before anything was agreed to: there is nothing in it.
        talk.say(f"removing {stack.name}, which an interrupted run left empty")
        ros.delete(stack.id, [])
        return None
    if stack.busy:
        raise DeployError(
            f"{stack.name} is being worked on ({stack.status}): wait for that to end, then run it "
            "again"
        )
    if stack.status not in UPDATABLE:
        raise DeployError(f"{stack.name} cannot be updated. {state_advice(stack, environment, '')}")
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


def _change(  # noqa: PLR0913, PLR0917  # the last step needs what all others found
    order: Order,
    release: Release,
    plan: Plan,
    given: Mapping[str, str],
    ros: Ros,
    before: Stack | None,
    talk: Talk,
) -> bool:
    """Preview, ask, execute, follow."""
    if before is not None:
        for leftover in ros.change_sets(before.id):
            ros.discard(leftover)
    secrets = find_secrets(
        plan.declared,
        order.variables,
        order.state / f"{order.environment}.secrets.json",
        before.parameters if before else (),
        may_make="no" if order.ci else "try" if order.dry_run else "keep",
    )
    if secrets.made and not order.dry_run:
        talk.warn(
            f"{', '.join(secrets.made)} was made and is in {secrets.file}: keep a copy where "
            "secrets are kept. Without it, a stack that is made again knows no suppressed address."
        )
    given_anew = [parameters.variable(name) for name in secrets.values if before is not None]
    if given_anew:
        talk.warn(f"taken from this environment's variables anew: {', '.join(sorted(given_anew))}")
    wanted = Wanted(
        stack=order.stack,
        stack_id=before.id if before else None,
        template=release.template,
        parameters={**parameters.effective(plan.declared, given), **secrets.values},
        name=f"postbus-{release.commit[:12]}-{int(time.time())}",
        description=f"Postbus, commit {release.commit}",
    )
    found = _prepared(ros, ros.prepare(wanted), order.pace)
    if found.status != "CREATE_COMPLETE" or not found.changes:
        return _no_change(ros, found, before, talk)
    talk.changes(found.changes)
    if order.dry_run or not talk.agree(_question(found, order)):
        _forget(ros, found, before)
        talk.say("nothing was changed; the change set is removed")
        return order.dry_run
    course = _execute(ros, found, order, talk)
    return _finish(course, order, before, talk)


def _prepared(ros: Ros, change_set_id: str, pace: Pace) -> ChangeSet:
    """The change set, once ROS has computed it."""
    until = pace.clock() + PREPARING_SECONDS
    while True:
        found = ros.change_set(change_set_id)
        if found.status not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return found
        if pace.clock() > until:
            raise DeployError("ROS has not computed the changes in time: run it again")
        pace.sleep(pace.seconds)


def _no_change(ros: Ros, found: ChangeSet, before: Stack | None, talk: Talk) -> bool:
    _forget(ros, found, before)
    if found.status == "CREATE_COMPLETE" or _NOTHING.search(found.reason):
        talk.say("nothing to change: this is what runs")
        if before is not None:
            talk.ended(before)
        return True
    raise DeployError(f"ROS cannot compute the changes: {found.reason or found.status}")


def _question(found: ChangeSet, order: Order) -> str:
    lost = [
        change.name
        for change in found.changes
        if change.action == "Remove" or change.replacement != "False"
    ]
    risk = f" {', '.join(lost)} may lose what it holds." if lost else ""
    return f"Do this to {order.stack}?{risk}"


def _forget(ros: Ros, found: ChangeSet, before: Stack | None) -> None:
    """Remove a change set, and the empty stack that one for a new stack makes."""
    ros.discard(found.id)
    if before is None and found.stack_id:
        ros.delete(found.stack_id, [])


def _execute(ros: Ros, found: ChangeSet, order: Order, talk: Talk) -> Course:
    stack = ros.get(found.stack_id)
    old = {event.id for event in ros.events(stack.id)}
    try:
        ros.execute(found.id)
    except Unreachable:
        # Executed or not, nobody knows: the change set does.
        if not _was_executed(ros, found.id):
            raise
    return follow(ros, Work(stack, old, len(found.changes)), talk, order.pace)


def _was_executed(ros: Ros, change_set_id: str) -> bool:
    try:
        return ros.change_set(change_set_id).execution.startswith("EXECUTE_")
    except NotThere:
        return True


def _finish(course: Course, order: Order, before: Stack | None, talk: Talk) -> bool:
    if course.stack.status in WELL:
        talk.ended(course.stack)
        return True
    for event in root_failures(course.events, course.stack):
        talk.warn(f"{event.resource} ({event.kind}): {event.reason}")
        if advice := advice_for(event):
            talk.warn(advice)
    previous = before.parameters.get("CodeVersion", "") if before else ""
    raise DeployError(
        f"{course.stack.name} is {course.stack.status}: {course.stack.reason or 'see above'}. "
        f"{state_advice(course.stack, order.environment, previous)}"
    )
