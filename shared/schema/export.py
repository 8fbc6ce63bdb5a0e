"""The contract as JSON Schema (draft 2020-12), for producers and consumers in any language.

What the parser accepts, the schema accepts. The other way round a few things remain that JSON
Schema cannot say or says badly: sizes after encoding, the characters of headers, the alphabet and
punycode of addresses, names compared without case.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from shared.schema.headers import NOTIFY_PREFIX, RESERVED_NOTIFY, STANDARD, USER_PREFIX
from shared.schema.limits import (
    ATTACHMENTS_BYTES_MAX,
    HEADER_NAME_MAX,
    HEADER_VALUE_MAX,
    TEMPLATE_VALUES_MAX,
)
from shared.schema.mail_event import ABSENT, MailEvent
from shared.schema.mail_request import MailRequest
from shared.schema.routes import SHORT, RoutingDocument

Schema = dict[str, Any]

_EXAMPLE_REQUEST: Schema = {
    "sender": {"address": "orders@example.com", "alias": "Example Shop"},
    "to": ["ada@example.net"],
    "subject": "Your order 4711 is on its way",
    "html": "<html><body><p>It left our house today.</p></body></html>",
    "text": "It left our house today.",
    "tag": "orders",
    "notify": {"order": "4711"},
    "key": "order-4711-shipped",
}


def json_schemas() -> dict[str, Schema]:
    """Every schema of the contract, by the name of its file."""
    request = _schema(MailRequest, "mail-request", "Postbus mail request", "validation")
    _say_rules(request)
    request["examples"] = [_EXAMPLE_REQUEST]
    event = _schema(MailEvent, "mail-event", "Postbus mail event", "serialization")
    for name in ABSENT:
        event["required"].remove(name)
        event["properties"][name] = {
            "type": "string",
            "description": event["properties"][name]["description"],
        }
    return {"mail-request": request, "mail-event": event, "routes": _routes()}


def _routes() -> Schema:
    """The routing document's, where one value may stand for a list of it."""
    routes = _schema(RoutingDocument, "routes", "Postbus routing document", "validation")
    properties = [routes["properties"], *(each["properties"] for each in routes["$defs"].values())]
    for fields in properties:
        for name in SHORT & fields.keys():
            fields[name] = _or_one(fields[name])
    values = routes["$defs"]["When"]["properties"]["notify"]["anyOf"][0]
    values["additionalProperties"] = _or_one(values["additionalProperties"])
    routes["properties"]["named"]["additionalProperties"] = _or_one(
        routes["properties"]["named"]["additionalProperties"]
    )
    return routes


def _or_one(schema: Schema) -> Schema:
    """A list's schema, or one in which a list is one of several, that takes one value as well."""
    said: Schema = {name: schema[name] for name in ("default", "description") if name in schema}
    forms = schema.get("anyOf") or [{n: v for n, v in schema.items() if n not in said}]
    (items,) = [form["items"] for form in forms if form.get("type") == "array"]
    return {"anyOf": [items, *forms], **said}


def write(directory: Path) -> list[Path]:
    """Write each schema into the directory as `<name>.json`; returns the files.

    The one function of `shared/schema/` that touches a disk; it runs at a developer's command.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for name, schema in json_schemas().items():
        file = directory / f"{name}.json"
        text = json.dumps(schema, ensure_ascii=False, indent=2)
        file.write_text(text + "\n", encoding="utf-8")
        files.append(file)
    return files


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of field names: they say nothing new."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # pydantic's signature
        return False


def _schema(model: type[BaseModel], name: str, title: str, mode: JsonSchemaMode) -> Schema:
    schema = model.model_json_schema(mode=mode, schema_generator=_Untitled)
    head = {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:postbus:schema:{name}:1",
        "title": title,
        "description": schema["description"],
    }
    return head | {key: value for key, value in schema.items() if key not in head}


def _say_rules(schema: Schema) -> None:
    """Add to the mail request's schema what pydantic does not know: our own checks."""
    parts, fields = schema["$defs"], schema["properties"]
    parts["Sender"]["oneOf"] = [_given("address"), _given("domain")]
    parts["Template"]["properties"]["data"]["maxProperties"] = TEMPLATE_VALUES_MAX
    # Four characters of base64 for each three bytes begun.
    parts["Attachment"]["properties"]["content"]["maxLength"] = -(-ATTACHMENTS_BYTES_MAX // 3) * 4
    fields["headers"] |= {
        "propertyNames": {"pattern": _HEADER_NAMES, "maxLength": HEADER_NAME_MAX},
        "additionalProperties": {
            "type": "string",
            "pattern": "^[ -~]+$",
            "maxLength": HEADER_VALUE_MAX,
        },
    }
    fields["notify"] |= {
        "propertyNames": {
            "pattern": f"^(?!{_any_case(RESERVED_NOTIFY)}$){_NAME_CHARACTERS}$",
            "maxLength": HEADER_NAME_MAX - len(NOTIFY_PREFIX),
        },
        "additionalProperties": {
            "type": "string",
            "pattern": "^[!-~]([ -~]*[!-~])?$",
            "maxLength": HEADER_VALUE_MAX,
        },
    }
    schema["allOf"] = [
        {"oneOf": [_given("template"), {"anyOf": [_given("html"), _given("text")]}]},
        {
            "if": _true("track_clicks"),
            "then": _given("tag") | {"anyOf": [_given("html"), _given("template")]},
        },
        {"if": _true("separate"), "then": {"properties": {"bcc": {"maxItems": 0}}}},
        {
            "if": {"properties": {"sender": {"type": "object"} | _given("domain")}}
            | {"required": ["sender"]},
            "then": _true("domain_auth"),
        },
    ]


def _given(name: str) -> Schema:
    """Matches an object in which that field is given: null counts as not given."""
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _true(name: str) -> Schema:
    return {"required": [name], "properties": {name: {"const": True}}}


def _any_case(text: str) -> str:
    """A pattern for the text in whatever case; JSON Schema's patterns have no such flag."""
    return "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in text)


_NAME_CHARACTERS = "[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_HEADER_NAMES = (
    f"^({'|'.join(_any_case(name) for name in STANDARD)}"
    f"|(?!{_any_case(NOTIFY_PREFIX)}){_any_case(USER_PREFIX)}{_NAME_CHARACTERS})$"
)
