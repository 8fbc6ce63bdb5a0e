"""ROS's functions, and errors that name the place in the template."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.account import ACCOUNT_ID
from local.host.model import FunctionSpec, Template, Unsimulated
from local.host.template import TemplateError, load_template
from local.host.template.unsimulated import summary

HEAD = """
ROSTemplateFormatVersion: '2015-09-01'
Parameters:
  Env: {Type: String, AllowedValues: [local, production]}
  Size: {Type: Number, Default: 512}
  Enabled: {Type: Boolean, Default: 'true'}
  Bucket: {Type: String}
Mappings:
  Limits: {local: {Timeout: 5}, production: {Timeout: 50}}
Conditions:
  IsLocal: {'Fn::Equals': [!Ref Env, local]}
  IsProduction: !Not [IsLocal]
  Both: {'Fn::And': [IsLocal, !Equals [!Ref Enabled, 'true']]}
  Either: {'Fn::Or': [IsProduction, {Condition: Both}]}
  Circle: !Not [Circle]
Resources:
  Work:
    Type: ALIYUN::MNS::Queue
    Properties: {QueueName: !Sub 'app-${Env}-work'}
"""
FUNCTION = """
  Do:
    Type: ALIYUN::FC3::Function
    Properties:
      FunctionName: do
      Handler: functions.do.handler
      Runtime: python3.12
      Timeout: {Fn::FindInMap: [Limits, !Ref Env, Timeout]}
      MemorySize: !Ref Size
"""

Load = Callable[..., Template]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a template of `HEAD` and the given resources, for the environment `local`."""

    def run(text: str, head: str = HEAD, **parameters: str) -> Template:
        path = tmp_path / "template.yml"
        path.write_text(head + text, encoding="utf-8")
        return load_template(path, {"Env": "local", **parameters})

    return run


def _with_variable(value: str) -> str:
    return FUNCTION + f"      EnvironmentVariables:\n        VALUE: {value}\n"


def _value(load: Load, value: str, **parameters: str) -> str:
    (spec,) = load(_with_variable(value), **parameters).functions
    return spec.environment["VALUE"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("plain", "plain"),
        ("!Ref Env", "local"),
        ("{Ref: 'ALIYUN::Region'}", "cn-hangzhou"),
        ("!Ref Size", "512"),
        ("!Ref Enabled", "true"),
        ("5", "5"),
        ("[1, two]", '[1, "two"]'),
        ("{Fn::GetAtt: [Work, QueueName]}", "app-local-work"),
        ("!GetAtt Work.QueueName", "app-local-work"),
        ("!GetAtt Work.ARN.WithSlash", f"acs:mns:cn-hangzhou:{ACCOUNT_ID}:/queues/app-local-work"),
        ("!Sub '${Env}/${Work.QueueName}/${!Not}/${Size}'", "local/app-local-work/${Not}/512"),
        ("!Sub ['${x}-${Env}', {x: !Ref Size}]", "512-local"),
        ("!Join ['-', [a, !Ref Env, 1]]", "a-local-1"),
        ("{Fn::Join: ['', []]}", ""),
        ("!FindInMap [Limits, !Ref Env, Timeout]", "5"),
        ("!If [IsLocal, here, there]", "here"),
        ("!If [Either, here, there]", "here"),
        ("{Fn::If: [{Fn::Not: [Both]}, here, there]}", "there"),
        ("!If [!Equals [1, '1'], same, different]", "same"),
        ("2015-09-01", "2015-09-01"),
    ],
)  # fmt: skip
def test_functions_are_evaluated(load: Load, written: str, expected: str) -> None:
    """In the long form and the short one."""
    assert _value(load, written) == expected


def test_parameters_decide(load: Load) -> None:
    """A given value wins over the default, in conditions and mappings too."""
    text = _with_variable("!If [IsProduction, there, here]")
    (spec,) = load(text, Env="production", Size="1024").functions
    assert (spec.environment["VALUE"], spec.timeout_seconds, spec.memory_mb) == ("there", 50, 1024)


def test_no_value_leaves_a_key_out(load: Load) -> None:
    """So that an optional property can depend on a condition."""
    (spec,) = load(_with_variable("{Ref: 'ALIYUN::NoValue'}")).functions
    assert "VALUE" not in spec.environment


def test_a_resource_whose_condition_is_false_is_not_made(load: Load) -> None:
    """Nor read."""
    text = (
        "  Other:\n    Type: ALIYUN::MNS::Queue\n    Condition: IsProduction\n    Properties: {}\n"
    )
    assert [queue.name for queue in load(text).queues] == ["app-local-work"]


def test_what_only_a_deployment_knows_may_stand_where_nobody_looks(load: Load) -> None:
    """A parameter that was not given, a generated attribute: fine in what is not simulated."""
    code = "      Code: {OssBucketName: !Ref Bucket, OssObjectName: !Sub '${Bucket}/x.zip'}\n"
    assert load(FUNCTION + code).functions


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        (_with_variable("!Ref Nobody"), "Do.Properties.EnvironmentVariables.VALUE", "'Nobody'"),
        (_with_variable("!Ref Work"), "EnvironmentVariables.VALUE", "only a deployment knows"),
        (_with_variable("!Ref Bucket"), "VALUE", "the parameter Bucket, which was not given"),
        (_with_variable("!Sub 'x-${Bucket}'"), "VALUE", "the parameter Bucket"),
        (_with_variable("!Join ['', [!Ref Bucket]]"), "VALUE", "the parameter Bucket"),
        (_with_variable("!GetAtt Work.QueueUrl"), "VALUE", "Work.QueueUrl"),
        (_with_variable("!GetAtt Nobody.X"), "VALUE.Fn::GetAtt", "no resource 'Nobody'"),
        (_with_variable("!GetAtt Work"), "VALUE.Fn::GetAtt", "a resource and an attribute"),
        (_with_variable("!Sub '${Nobody}'"), "VALUE.Fn::Sub", "'Nobody'"),
        (_with_variable("!Sub [1, 2, 3]"), "VALUE.Fn::Sub", "needs a text"),
        (_with_variable("!Sub ['${x}', {x: [1]}]"), "VALUE.Fn::Sub", "cannot be part of a text"),
        (_with_variable("!Join [a]"), "VALUE.Fn::Join", "a separator and a list"),
        (_with_variable("!Join [a, b]"), "VALUE.Fn::Join", "is not a list"),
        (_with_variable("!FindInMap [Limits, x, y]"), "VALUE.Fn::FindInMap", "Limits.x.y"),
        (_with_variable("!FindInMap [Limits, x]"), "VALUE.Fn::FindInMap", "second key"),
        (_with_variable("!If [Nobody, 1, 2]"), "VALUE.Fn::If", "no condition 'Nobody'"),
        (_with_variable("!If [Circle, 1, 2]"), "Conditions.Circle", "needs itself"),
        (_with_variable("!If [IsLocal, 1]"), "VALUE.Fn::If", "two values"),
        (_with_variable("!If [!Ref Size, 1, 2]"), "VALUE.Fn::If", "neither true nor false"),
        (_with_variable("!If [!Equals [1], 1, 2]"), "Fn::Equals", "two values"),
        (_with_variable("!If [!Equals [1, !Ref Bucket], 1, 2]"), "Fn::Equals", "Bucket"),
        (FUNCTION.replace("!Ref Size", "100"), "Do.Properties.MemorySize", "128 to 32768"),
        (_with_variable("!If [!And [IsLocal], 1, 2]"), "Fn::And", "at least two"),
        (_with_variable("!Magic x"), "EnvironmentVariables.VALUE", "Fn::Magic is not known"),
        (FUNCTION.replace("Handler:", "Handle:"), "Do.Properties.Handler", "is missing"),
        (FUNCTION.replace("python3.12", "nodejs20"), "Do.Properties.Runtime", "python3.10 and"),
        (FUNCTION.replace("!Ref Size", "large"), "Do.Properties.MemorySize", "whole number"),
        (FUNCTION.replace("!Ref Size", "1.5"), "Do.Properties.MemorySize", "whole number"),
        (FUNCTION.replace("FunctionName: do", "FunctionName: 5"), "FunctionName", "not a text"),
        (FUNCTION + "      EnvironmentVariables: 5\n", "EnvironmentVariables", "not a mapping"),
        ("  X: {Properties: {}}\n", "Resources.X", "has no Type"),
        ("  X: {Type: ALIYUN::RAM::Role, Properties: {A: !Ref B}}\n", "X.Properties.A", "'B'"),
        ("Outputs: {X: {Value: !Ref Nobody}}\n", "Outputs.X.Value", "'Nobody'"),
        ("Outputs: []\n", "Outputs", "is not a mapping"),
        ("Ressources: {}\n", "Ressources", "not a section"),
        ("  Work: {Type: x}\n", "line", "the key 'Work' is there twice"),
        ("  On: {Type: x}\n", "line", "the key True is not a text; put it in quotes"),
        ("  [a]: {Type: x}\n", "line", "is not a text"),
    ],
)  # fmt: skip
def test_errors_name_the_place(load: Load, text: str, path: str, problem: str) -> None:
    """The dotted path in the template, and what is wrong there."""
    with pytest.raises(TemplateError) as caught:
        load(text)
    assert path in caught.value.path
    assert problem in caught.value.problem


def test_properties_that_need_each_other_are_an_error(load: Load) -> None:
    """And not an endless search."""
    text = "  X: {Type: ALIYUN::MNS::Queue, Properties: {QueueName: !GetAtt X.QueueName}}\n"
    with pytest.raises(TemplateError, match="needs itself"):
        load(text)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"Env": "moon"}, r"Parameters\.Env: 'moon' is none of local, production"),
        ({"Nobody": "x"}, r"Parameters\.Nobody: is not declared"),
        ({"Size": "large"}, r"Parameters\.Size: 'large' is not a number"),
    ],
)
def test_parameters_are_checked(load: Load, parameters: dict[str, str], problem: str) -> None:
    """Against what the template declares."""
    with pytest.raises(TemplateError, match=problem):
        load(FUNCTION, **parameters)


def test_an_allowed_pattern_is_checked(load: Load) -> None:
    """The whole value must match."""
    head = HEAD.replace(
        "Bucket: {Type: String}", "Bucket: {Type: String, AllowedPattern: '[a-z]+'}"
    )
    assert load(FUNCTION, head=head, Bucket="abc").functions
    with pytest.raises(TemplateError, match=r"Parameters\.Bucket"):
        load(FUNCTION, head=head, Bucket="abc9")


@pytest.mark.parametrize("content", ["- a list", "{", "\ufeff\x00"])
def test_what_is_no_template_is_refused(tmp_path: Path, content: str) -> None:
    """With the file's name."""
    path = tmp_path / "t.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TemplateError, match=r"t\.yml"):
        load_template(path, {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(TemplateError, match="nowhere"):
        load_template(tmp_path / "nowhere.yml", {})


def test_what_is_not_simulated_is_said(load: Load) -> None:
    """Each property and each resource type, with the resources it is about."""
    text = FUNCTION + "      Cpu: 0.5\n      NasConfig: {UserId: 1}\n"
    text += "  Table:\n    Type: ALIYUN::OSS::Bucket\n"
    said = [each.sentence for each in load(text).unsimulated]
    assert "Cpu is not simulated: a worker takes what the machine has (Do)" in said
    assert "NasConfig is not simulated: this host does not know it (Do)" in said
    assert "ALIYUN::OSS::Bucket is not simulated: this host does not know it (Table)" in said
    assert any(sentence.startswith("MemorySize is not simulated") for sentence in said)


def test_what_is_not_simulated_is_told_in_four_lines() -> None:
    """Properties by what they are about, whole types last; each name once, and few lines."""
    found = [
        Unsimulated("ALIYUN::FC3::Function", "Cpu", "why", ("A", "B")),
        Unsimulated("ALIYUN::FC3::Trigger", "TriggerConfig.authType", "why", ("C",)),
        Unsimulated("ALIYUN::EventBridge::Rule", "Targets.Retry", "why", ("D",)),
        Unsimulated("ALIYUN::MNS::Subscription", "NotifyStrategy", "why", ("E",)),
        Unsimulated("ALIYUN::RAM::Role", "", "why", ("F",)),
        Unsimulated("ALIYUN::OTS::Table", "", "why", ("G", "H")),
    ]
    assert summary(found) == [
        ("functions", "Cpu"),
        ("triggers", "authType"),
        ("queues, events", "Retry, NotifyStrategy"),
        ("not at all", "RAM::Role, OTS::Table"),
    ]
    assert found[0].sentence == "Cpu is not simulated: why (A, B)"
    assert found[-1].sentence == "ALIYUN::OTS::Table is not simulated: why (G, H)"


def _trigger(kind: str, config: dict[str, Any]) -> str:
    trigger = {
        "Type": "ALIYUN::FC3::Trigger",
        "Metadata": {"LocalRoutes": ["/x"]},
        "Properties": {
            "FunctionName": "do",
            "TriggerName": "t",
            "TriggerType": kind,
            "TriggerConfig": config,
        },
    }
    return FUNCTION + f"  T: {json.dumps(trigger)}\n"


def _stream(**changes: Any) -> dict[str, Any]:
    queue = {"sourceMNSParameters": {"QueueName": "q"}}
    source = {"eventSourceType": "MNS", "eventSourceParameters": queue}
    return {"eventSourceConfig": source, **changes}


def test_a_trigger_s_defaults_are_the_platform_s(load: Load) -> None:
    """Event-driven, CloudEvents, decoded, three repeats, blocking."""
    (trigger,) = load(_trigger("eventbridge", _stream())).triggers
    assert vars(trigger) == {
        "name": "t",
        "function": "do",
        "queue": "q",
        "base64_decode": True,
        "schema": "CloudEvents",
        "streaming": False,
        "batch_count": 1,
        "batch_seconds": 0,
        "retry": "BACKOFF_RETRY",
        "tolerate_errors": False,
        "dead_letter_queue": None,
        "enabled": True,
    }


def test_a_default_source_is_a_rule_of_the_bus(load: Load) -> None:
    """Named after function and trigger, as the platform does it."""
    pattern = {"source": ["acs.dm"], "type": [{"prefix": "dm:"}]}
    source = {"eventSourceType": "Default"}
    config = {"eventRuleFilterPattern": json.dumps(pattern), "eventSourceConfig": source}
    loaded = load(_trigger("eventbridge", config))
    (rule,) = loaded.rules
    assert (rule.name, rule.pattern) == ("do-t", pattern)
    assert [(target.type, target.name) for target in rule.targets] == [("acs.fc.function", "do")]
    off = load(_trigger("eventbridge", {**config, "triggerEnable": False}))
    assert off.rules == ()


@pytest.mark.parametrize(
    ("kind", "config", "path"),
    [
        ("oss", {}, "TriggerType"),
        ("timer", {}, "TriggerConfig.cronExpression"),
        ("http", {"methods": "GET"}, "TriggerConfig.methods"),
        ("eventbridge", {}, "eventSourceConfig.eventSourceType"),
        ("eventbridge", {"eventSourceConfig": {"eventSourceType": "Kafka"}}, "eventSourceType"),
        ("eventbridge", {"eventSourceConfig": {"eventSourceType": "Default"}}, "FilterPattern"),
        ("eventbridge", _stream(eventRuleFilterPattern="{"), "eventRuleFilterPattern"),
        ("eventbridge", _stream(eventRuleFilterPattern='{"a": ["b"]}'), "eventRuleFilterPattern"),
        ("eventbridge", _stream(runOptions={"mode": "both"}), "runOptions.mode"),
        ("eventbridge", _stream(runOptions={"errorsTolerance": "SOME"}), "errorsTolerance"),
        ("eventbridge", _stream(runOptions={"deadLetterQueue": {"Arn": "x"}}), "Arn"),
        ("eventbridge", _stream(triggerEnable="perhaps"), "triggerEnable"),
        ("eventbridge", _stream(runOptions={"batchWindow": {"CountBasedWindow": -1}}), "Count"),
    ],
)
def test_a_trigger_s_errors_name_the_place(
    load: Load, kind: str, config: dict[str, Any], path: str
) -> None:
    """Down to the setting."""
    with pytest.raises(TemplateError) as caught:
        load(_trigger(kind, config))
    assert path in caught.value.path


def test_a_trigger_of_nobody_s_function_is_refused(load: Load) -> None:
    """By its name."""
    text = _trigger("timer", {"cronExpression": "@every 1m"}).replace('"do"', '"don\'t"')
    with pytest.raises(TemplateError, match=r"Resources\.T\.Properties\.FunctionName: .*don't"):
        load(text)


def test_a_function_s_module_is_its_short_name() -> None:
    """`send_mail` for `functions.send_mail.handler`."""
    spec = FunctionSpec("A", "b", "functions.send_mail.handler", "python3.12", 1, 128, {})
    assert spec.module == "send_mail"
