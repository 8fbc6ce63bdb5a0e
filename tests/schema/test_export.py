"""The exported JSON Schemas: true, complete and of use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.schema.export import json_schemas, write
from shared.schema.mail_event import UNRECOGNISED, MailEvent, MailEventData
from shared.schema.mail_request import parse_mail
from shared.schema.problems import InvalidMail
from tests.schema.samples import (
    BAD_HEADERS,
    BROKEN_RULES,
    FULL,
    GOOD_HEADERS,
    GOOD_MAILS,
    SMALLEST,
)

DOCS = Path(__file__).parents[2] / "docs" / "schema"
SCHEMAS = json_schemas()
REQUEST = Draft202012Validator(SCHEMAS["mail-request"])
EVENT = Draft202012Validator(SCHEMAS["mail-event"])


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_the_exported_one(name: str) -> None:
    """`make schema` brings docs/schema/ up to date."""
    assert json.loads((DOCS / f"{name}.json").read_text("utf-8")) == SCHEMAS[name]


def test_no_other_file_pretends_to_be_a_schema() -> None:
    """docs/schema/ holds the exported files and nothing else."""
    assert {file.name for file in DOCS.iterdir()} == {f"{name}.json" for name in SCHEMAS}


def test_writing_makes_the_folder_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    """A second run changes nothing."""
    first = {file: file.read_bytes() for file in write(tmp_path / "new" / "folder")}
    second = {file: file.read_bytes() for file in write(tmp_path / "new" / "folder")}
    assert first == second
    assert all(content.endswith(b"}\n") for content in first.values())


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_schema_and_names_itself(name: str) -> None:
    """Draft 2020-12, with an id that carries the version."""
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:postbus:schema:{name}:1"
    assert schema["title"].startswith("Postbus")


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema and of its parts."""
    for part_name, part in [("", schema), *schema["$defs"].items()]:
        for name, field in part["properties"].items():
            yield f"{part_name}.{name}", field


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_described(name: str) -> None:
    """The schema is the users' reference: a sentence for each field, no machine-made titles."""
    for path, field in fields(SCHEMAS[name]):
        description = field.get("description", "")
        assert description.endswith("."), path
        assert len(description) > 12, path
        assert "title" not in field, path


LIMITS: list[tuple[str, int]] = [
    ("properties.to.maxItems", 100),
    ("properties.to.minItems", 1),
    ("properties.to.items.maxLength", 192),
    ("properties.bcc.maxItems", 2),
    ("properties.subject.maxLength", 256),
    ("properties.html.anyOf.0.maxLength", 8 * 1024 * 1024),
    ("properties.tag.anyOf.0.maxLength", 128),
    ("properties.headers.maxProperties", 10),
    ("properties.headers.additionalProperties.maxLength", 998),
    ("properties.notify.additionalProperties.maxLength", 998),
    ("properties.attachments.maxItems", 100),
    ("properties.key.anyOf.0.maxLength", 256),
    ("$defs.Sender.properties.alias.anyOf.0.maxLength", 14),
    ("$defs.Attachment.properties.name.maxLength", 255),
    ("$defs.Attachment.properties.content.maxLength", 10_666_668),
    ("$defs.Template.properties.data.maxProperties", 1000),
]


@pytest.mark.parametrize(("path", "limit"), LIMITS)
def test_the_limits_are_in_the_schema(path: str, limit: int) -> None:
    """A producer in another language can check them before it sends."""
    place: Any = SCHEMAS["mail-request"]
    for step in path.split("."):
        place = place[int(step)] if isinstance(place, list) else place[step]
    assert place == limit


GOOD = [
    FULL,
    *SCHEMAS["mail-request"]["examples"],
    *(SMALLEST | change for change in GOOD_MAILS.values()),
    *(SMALLEST | {field: headers} for field, headers in GOOD_HEADERS),
]


VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, 1.0, -1, "", "a", "1", " ", "\n", "上", "x" * 300),
    *("none", "console", "sender", "random", "default", "disabled", "hold", "resend"),
    *("a@b.co", "ä@b.co", "a@bücher.de", "b.co", "<a@b.co>", "2026-11-22T00:00:00Z", "YQ=="),
    *([], ["a"], ["a@b.co"], {}, {"a": "b"}, {"X-User-A": "b"}, {"address": "a@b.co"}),
    *({"id": "1"}, {"domain": "b.co"}, [{"name": "a", "content": ""}]),
]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value inside of a mail."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in inside:
        yield (*path, name)
        if isinstance(part, dict | list):
            yield from places(part, (*path, name))


PLACES = list(places(FULL))


def with_value(mail: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The mail with another value in that place."""
    copy = deepcopy(mail)
    *way, last = path
    place: Any = copy
    for step in way:
        place = place[step]
    place[last] = value
    return copy


@pytest.mark.parametrize("mail", GOOD, ids=range(len(GOOD)))
def test_what_the_parser_takes_the_schema_takes(mail: dict[str, Any]) -> None:
    """A schema that refused a good mail would be worse than none."""
    parse_mail(mail)
    REQUEST.validate(mail)


@pytest.mark.parametrize("path", PLACES, ids=lambda path: "/".join(map(str, path)))
def test_the_schema_is_never_the_stricter_one(path: tuple[str | int, ...]) -> None:
    """Whatever stands in a place of a mail: what the schema refuses, the parser refuses."""
    for value in VALUES:
        mail = with_value(FULL, path, value)
        try:
            parse_mail(mail)
        except InvalidMail:
            continue
        REQUEST.validate(mail)


# What JSON Schema cannot say: sizes and lists after normalisation, and case.
BEYOND = {
    "a recipient twice",
    "a recipient twice, once in punycode",
    "a blind copy to a recipient",
    "several rules at once",
}


@pytest.mark.parametrize("rule", sorted(set(BROKEN_RULES) - BEYOND))
def test_the_rules_between_fields_are_in_the_schema(rule: str) -> None:
    """A mail that breaks one is refused by the schema too."""
    change, _ = BROKEN_RULES[rule]
    assert not REQUEST.is_valid(SMALLEST | change)


HEADERS_IN_SCHEMA = {
    "header-name",
    "header-value",
    "notify-header",
    "reserved-header",
    "notify-value",
    "empty",
}


def test_the_names_of_headers_are_in_the_schema() -> None:
    """Names and notify values that the parser refuses, the schema refuses too."""
    for field, headers, problems in BAD_HEADERS:
        doubled = field == "notify" and any("X-User-Notify" in name for name in headers)
        if not doubled and {type_ for type_, _ in problems} <= HEADERS_IN_SCHEMA:
            assert not REQUEST.is_valid(SMALLEST | {field: headers}), headers


def test_an_event_keeps_its_schema() -> None:
    """What is published, whole or nearly empty, is what the schema describes."""
    for change in (
        {"type": UNRECOGNISED, "data": MailEventData(raw=[1])},
        {"type": "postbus.mail.sent", "subject": "1", "data": MailEventData(state="sent")},
    ):
        event = MailEvent(id="1", source="urn:x", time="2026-11-22T09:30:00Z", **change)
        EVENT.validate(json.loads(event.to_json()))


def test_an_event_without_a_member_is_not_of_the_schema() -> None:
    """Every member of data is always there, and the schema says so."""
    event = MailEvent(
        id="1",
        source="urn:x",
        time="2026-11-22T09:30:00Z",
        type=UNRECOGNISED,
        data=MailEventData(),
    )
    document = json.loads(event.to_json())
    for name in MailEventData.model_fields:
        data = {key: value for key, value in document["data"].items() if key != name}
        assert not EVENT.is_valid(document | {"data": data}), name
    assert not EVENT.is_valid(document | {"subject": None})
