"""The vendor's definitions are read whole, and a form that is new stops the reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.check import definitions
from deploy.check.definitions import SERVICES, DefinitionsMissing, load_spec
from deploy.check.extract import ExtractionError, extract
from deploy.check.spec import Resource, Rule, Spec

MODULE = """
function RosPostPropsValidator(properties) {
    const errors = new ros.ValidationResults();
    errors.collect(ros.propertyValidator('name', ros.requiredValidator)(properties.name));
    if (properties.name && (typeof properties.name) !== 'object') {
        errors.collect(ros.propertyValidator('name', ros.validateAllowedPattern)({
            data: properties.name,
            reg: /^[a-z]+\\/$/
        }));
    }
    errors.collect(ros.propertyValidator('name', ros.validateString)(properties.name));
    if (properties.size && (typeof properties.size) !== 'object') {
        errors.collect(ros.propertyValidator('size', ros.validateRange)({
            data: properties.size,
            min: 0.5,
            max: undefined,
        }));
    }
    errors.collect(ros.propertyValidator('size', ros.validateNumber)(properties.size));
    errors.collect(ros.propertyValidator('kind', ros.validateAllowedValues)({
        data: properties.kind,
        allowedValues: ["a", "b"],
    }));
    errors.collect(ros.propertyValidator('kind', ros.validateString)(properties.kind));
    errors.collect(ros.propertyValidator('boxes', ros.listValidator(BOX))(properties.boxes));
    errors.collect(ros.propertyValidator('either', ros.unionValidator(EITHER))(properties.either));
    return errors.wrap('no');
}
function rosPostPropsToRosTemplate(properties, enable) {
    return {
        'Name': ros.stringToRosTemplate(properties.name),
        'Size': ros.numberToRosTemplate(properties.size),
        'Kind': ros.stringToRosTemplate(properties.kind),
        'Boxes': ros.listMapper(rosPostBoxPropertyToRosTemplate)(properties.boxes),
        'Either': ros.unionMapper([], [])(properties.either),
    };
}
class RosPost extends ros.RosResource {
    constructor(scope) {
        this.attrName = this.getAtt('Name');
        this.attrArnWithSlash = this.getAtt('ARN.WithSlash');
    }
}
RosPost.ROS_RESOURCE_TYPE_NAME = "ALIYUN::X::Post";
function RosPost_BoxPropertyValidator(properties) {
OPEN}
function rosPostBoxPropertyToRosTemplate(properties) {
    return {
        'Open': ros.booleanToRosTemplate(properties.open),
    };
}
"""
OPEN = "    errors.collect(ros.propertyValidator('open', ros.validateBoolean)(properties.open));\n"
MODULE = (
    MODULE.replace("BOX", "RosPost_BoxPropertyValidator")
    .replace("EITHER", "ros.validateString, ros.hashValidator(ros.validateAny)")
    .replace("OPEN", OPEN)
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """All services, read from the packages."""
    return load_spec(tmp_path_factory.mktemp("definitions"))


def test_every_form_of_the_generator_is_read() -> None:
    """Names, types of types, limits, what is required, and attributes."""
    types, resources = extract(MODULE, "X")
    assert resources == {"ALIYUN::X::Post": Resource("X.RosPostProps", ("ARN.WithSlash", "Name"))}
    assert types == {
        "X.RosPostProps": {
            "Name": Rule(["string"], required=True, pattern="^[a-z]+/$"),
            "Size": Rule(["number"], minimum=0.5),
            "Kind": Rule(["string"], allowed=("a", "b")),
            "Boxes": Rule(["list", ["type", "X.RosPost_BoxProperty"]]),
            "Either": Rule(["union", ["string"], ["map", ["any"]]]),
        },
        "X.RosPost_BoxProperty": {"Open": Rule(["boolean"])},
    }


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ros.validateBoolean", "ros.validateColour", "validateColour"),
        ("RosPost_BoxPropertyValidator)", "SomethingElse)", "SomethingElse"),
        ("function rosPostBoxPropertyToRosTemplate", "function other", "RosPost_BoxProperty"),
        ("function RosPostPropsValidator", "function RosMailPropsValidator", "RosMailProps"),
        ("ToRosTemplate(properties.open)", "ToRosTemplate(properties.shut)", "open"),
        ('allowedValues: ["a", "b"],', "allowed: [],", "could not be read"),
        ("('size', ros.validateNumber)", "('weight', ros.validateNumber)", "weight"),
        (OPEN, "", "no type was found for Open"),
    ],
)
def test_a_form_that_is_not_known_is_an_error(old: str, new: str, problem: str) -> None:
    """Better no check than one that has silently become weaker."""
    assert old in MODULE
    with pytest.raises(ExtractionError, match=problem):
        extract(MODULE.replace(old, new), "X")


def test_the_packages_are_read_whole(spec: Spec) -> None:
    """Every service that the template uses, every type that a type refers to."""
    assert len(spec.sources) == len(SERVICES)
    assert len(spec.resources) > 100
    for rules in spec.types.values():
        for rule in rules.values():
            kinds = [rule.type]
            while kinds:
                kind, *inner = kinds.pop()
                if kind == "type":
                    assert inner[0] in spec.types
                else:
                    kinds += inner


@pytest.mark.parametrize(
    ("resource", "key", "rule"),
    [
        ("FC3::Function", "MemorySize", Rule(["number"], minimum=128, maximum=65536)),
        ("FC3::Function", "Handler", Rule(["string"], required=True)),
        ("MNS::Queue", "VisibilityTimeout", Rule(["number"], minimum=1, maximum=43200)),
        ("FC3::AsyncInvokeConfig", "MaxAsyncRetryAttempts", Rule(["number"], minimum=0, maximum=8)),
    ],
)
def test_known_limits_are_there(spec: Spec, resource: str, key: str, rule: Rule) -> None:
    """A few that the documentation names, so that a reader that reads nothing is noticed."""
    assert spec.types[spec.resources[f"ALIYUN::{resource}"].properties][key] == rule


def test_attributes_are_there(spec: Spec) -> None:
    """With dots in them, where they have some."""
    assert spec.resources["ALIYUN::MNS::Queue"].attributes == (
        *("ARN.WithSlash", "QueueName", "QueueUrl"),
    )


def test_what_was_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is read anew, and the same comes out."""
    first = load_spec(tmp_path)
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text(encoding="utf-8"))["sources"] == first.sources
    monkeypatch.setattr(definitions, "_read", lambda _: pytest.fail("was read anew"))
    assert load_spec(tmp_path) == first


def test_another_package_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept belongs to the packages' contents."""
    load_spec(tmp_path)
    archive = definitions._archive
    changed = {"ros-cdk-mns": archive("ros-cdk-oss")}
    monkeypatch.setattr(definitions, "_archive", lambda name: changed.get(name) or archive(name))
    assert "ALIYUN::MNS::Queue" not in load_spec(tmp_path).resources
    assert len(list(tmp_path.iterdir())) == 2


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to get it."""
    monkeypatch.setitem(SERVICES, "ros-cdk-nowhere", "Nowhere")
    with pytest.raises(DefinitionsMissing, match=r"ros-cdk-nowhere .*make install"):
        load_spec(tmp_path)
