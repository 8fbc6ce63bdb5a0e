"""The command: every deployment of the project's own templates, the code, and what it prints."""

from __future__ import annotations

import json
import random
import re
import zipfile
from pathlib import Path

import pytest

from deploy.check.__main__ import CACHE, ROOT, main
from deploy.check.cases import ENVIRONMENTS, REGIONS, cases, everything, plain
from deploy.check.check import check_template
from deploy.check.definitions import load_spec
from deploy.check.handlers import check_handlers, check_packages
from deploy.check.problems import Problem
from deploy.check.rendered import Made, Rendered, render
from deploy.check.settings_used import NAMES, NOT_DECLARED, check_environment, settings_used
from deploy.check.spec import Spec
from deploy.package.targets import TARGETS, find_interpreter
from local.host.template.yaml_reader import read_yaml
from shared.settings import DIRECTMAIL_REGIONS

TEMPLATE = ROOT / "template.yml"
MUTATIONS = 40
SEED = 5


@pytest.fixture(scope="module")
def spec() -> Spec:
    """The vendor's definitions, read once."""
    return load_spec(CACHE)


def rendered(spec: Spec) -> Rendered:
    """The template with everything in it."""
    found: list[Problem] = []
    made = render(read_yaml(TEMPLATE), everything(), spec, found.append)
    assert found == []
    return made


def test_the_templates_are_right_for_every_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    """This is `make check-template`: no problem, and a sentence for people."""
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "template.yml: right for 23 deployments" in said
    assert "bootstrap.yml: right for 1 deployments" in said


def test_every_environment_is_checked_in_every_region() -> None:
    """And no region is left out that DirectMail sends events in."""
    names = {case.name for case in cases()}
    assert {f"{e} in {r}" for e in ENVIRONMENTS for r in REGIONS} <= names
    assert DIRECTMAIL_REGIONS - set(REGIONS) == {"ap-southeast-2"}  # closed, and without events


def test_a_region_without_events_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """At the mappings, which is where ROS would refuse it as well."""
    given = ["Env=staging", "OssBucket=b", "CodeVersion=v", f"SuppressionKey={'k' * 32}"]
    options = [each for one in given for each in ("-p", one)]
    assert main([str(TEMPLATE), "--no-code", "--region", "cn-beijing", *options]) == 1
    assert "Mappings has no Runtimes.by-region.cn-beijing [reference]" in capsys.readouterr().out


def test_a_problem_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line, path, message and rule; the count goes to people, beside the list."""
    file = tmp_path / "queue.yml"
    file.write_text(
        "ROSTemplateFormatVersion: '2015-09-01'\n"
        "Resources:\n"
        "  Queue:\n"
        "    Type: ALIYUN::MNS::Queue\n"
        "    Properties:\n"
        "      QueueName: q\n"
        "      DelaySeconds: -1\n",
        encoding="utf-8",
    )
    assert main([str(file), "-p", "Env=q"]) == 1
    said = capsys.readouterr()
    path = "Resources.Queue.Properties.DelaySeconds"
    assert f"queue.yml:7: {path}: it is -1, less than 0 [range]\n" in said.out
    assert re.search(r"queue\.yml: \d+ problems", said.err)


@pytest.mark.parametrize("content", ["", "- 1", "a: [", "a: 1\na: 2", "\x00"])
def test_what_is_no_template_is_a_problem(content: str, tmp_path: Path) -> None:
    """With an exit code of its own kind and no traceback."""
    file = tmp_path / "none.yml"
    file.write_text(content, encoding="utf-8")
    assert main([str(file)]) == 1


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """And ends well."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "without an account" in capsys.readouterr().out


def test_a_wrong_option_is_told_apart_from_a_wrong_template() -> None:
    """By the exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["-p", "Env"])


def test_no_template_breaks_the_check(spec: Spec, tmp_path: Path) -> None:
    """Any value of any other type at any place: an answer, and never a traceback."""
    document, dice = read_yaml(TEMPLATE), random.Random(SEED)
    places = list(_places(document))
    file = tmp_path / "template.yml"
    found = 0
    for _ in range(MUTATIONS):
        changed = json.loads(json.dumps(document))
        way = dice.choice(places)
        inside = changed
        for key in way[:-1]:
            inside = inside[key]
        inside[way[-1]] = dice.choice([5, "x", [], {}, ["y"], {"a": 1}, True, None])
        file.write_text(json.dumps(changed), encoding="utf-8")
        found += bool(check_template(file, spec, [everything()]).problems)
    # Free texts may be anything, and so may what is in a condition that stays as it is.
    assert found > MUTATIONS * 0.7


def _places(node: object, way: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inner = [way] if way else []
    if isinstance(node, dict):
        return inner + [p for key, value in node.items() for p in _places(value, (*way, key))]
    if isinstance(node, list):
        return inner + [p for n, value in enumerate(node) for p in _places(value, (*way, n))]
    return inner


# --- the code -------------------------------------------------------------------------------------


def test_every_setting_is_read_by_somebody() -> None:
    """So that the reading of the code finds what there is, in every function's way."""
    files = [file for file in (ROOT / "functions").glob("*.py") if file.stem != "__init__"]
    used = {file.stem: settings_used(file, ROOT) for file in files}
    assert set().union(*used.values()) == NAMES
    assert "directmail_endpoint" in used["send_mail"]
    assert "directmail_endpoint" not in used["delivery_events"]
    assert set(NOT_DECLARED) <= NAMES


def test_a_variable_that_is_missing_or_too_many(spec: Spec) -> None:
    """Each is named with its function."""
    made = rendered(spec)
    function = made.made["SendMail"]
    variables = dict(function.properties["EnvironmentVariables"])
    del variables["POSTBUS_REDIRECT_TO"]
    variables["POSTBUS_COLOUR"] = "red"
    properties = {**function.properties, "EnvironmentVariables": variables}
    changed = Made(function.name, function.kind, function.written, properties)
    document = Rendered(made.case, made.document, {**made.made, "SendMail": changed})
    assert [(p.path.rpartition(".")[2], p.message) for p in check_environment(document, ROOT)] == [
        ("EnvironmentVariables", "POSTBUS_REDIRECT_TO is read by the code"),
        ("POSTBUS_COLOUR", "is read by nobody"),
    ]


def _with_handler(spec: Spec, handler: str) -> Rendered:
    made = rendered(spec)
    function = made.made["SendMail"]
    properties = {**function.properties, "Handler": handler, "InstanceLifecycleConfig": {}}
    changed = Made(function.name, function.kind, function.written, properties)
    return Rendered(made.case, made.document, {"SendMail": changed})


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        ("index.handler", None),
        ("index.missing", "AttributeError"),
        ("index.number", "is not a function"),
        ("nowhere.handler", "ModuleNotFoundError"),
        ("broken.handler", "SystemExit"),
    ],
)
def test_handlers_are_imported(
    handler: str, problem: str | None, spec: Spec, tmp_path: Path
) -> None:
    """From the working copy, and from the package by the runtime's own Python alone."""
    document = _with_handler(spec, handler)
    files = {
        "index.py": "number = 1\ndef handler(event, context): pass\n",
        "broken.py": "import sys\nsys.exit(3)\n",
    }
    function = document.made["SendMail"]
    package = tmp_path / str(function.get("Code", "OssObjectName")).rpartition("/")[2]
    with zipfile.ZipFile(package, "w") as archive:
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
            archive.writestr(name, text)
    find_interpreter(TARGETS[str(function.get("Runtime"))])
    for found in (check_handlers(document, tmp_path), check_packages(document, tmp_path)):
        assert [problem in each.message for each in found if problem] == [True] * bool(problem)


def test_a_package_that_was_not_built_is_named(spec: Spec, tmp_path: Path) -> None:
    """One problem for each of the two packages that the functions share."""
    found = list(check_packages(rendered(spec), tmp_path))
    assert sorted(each.message.rpartition("/")[2] for each in found) == [
        *("plain-python3.10.zip", "sender-python3.10.zip"),
    ]


# --- the account's own template -------------------------------------------------------------------


@pytest.mark.parametrize("role", ["SendToFunctions", "SendToQueues", "ReadQueues"])
def test_a_role_that_the_account_has_is_left_out(role: str, spec: Spec) -> None:
    """So that the small template can be used in an account that is in use."""
    document = read_yaml(ROOT / "bootstrap.yml")
    case = plain()
    found: list[Problem] = []
    whole = render(document, case, spec, found.append)
    less = render(document, type(case)(case.name, case.region, {role: ""}), spec, found.append)
    assert set(whole.made) - set(less.made) == {f"{role}Role"}
    assert found == []
