"""The kinds of values a mail request is made of: each a string with its check.

A check runs after pydantic's own (type, length), so it sees a string of bounded length.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from shared.schema.addresses import parse_address, parse_domain
from shared.schema.headers import check_header_count, check_headers, check_notify
from shared.schema.limits import (
    ADDRESS_MAX,
    ALIAS_MAX,
    BODY_WIRE_MAX,
    FILE_NAME_MAX,
    HEADERS_MAX,
    ID_MAX,
    KEY_MAX,
    SUBJECT_MAX,
    TAG_MAX,
    TEMPLATE_VALUES_MAX,
)
from shared.schema.problems import json_type, refuse, shown
from shared.schema.sizes import base64_decoded_size, form_encoded_size
from shared.schema.text import check_alias, check_characters, check_line
from shared.schema.times import parse_time
from shared.schema.tracing import (
    TRACEPARENT,
    TRACESTATE,
    TRACESTATE_MAX,
    check_traceparent,
    check_tracestate,
)


def _check_version(value: Any) -> Any:
    # Literal[1] alone would let true and 1.0 pass, which equal 1 in Python.
    if type(value) is not int:
        raise refuse("wrong-type", "must be a number without a fraction", given=json_type(value))
    if value != 1:
        raise refuse("not-allowed", "must be 1", limit=1, given=shown(value))
    return value


def _check_body(text: str) -> str:
    size = form_encoded_size(text)
    if size > BODY_WIRE_MAX:
        raise refuse(
            "body-too-large",
            f"has at most {BODY_WIRE_MAX} bytes as it travels, form-encoded",
            limit=BODY_WIRE_MAX,
            given=size,
        )
    return text


def _check_tag(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise refuse("tag", "must be letters, digits, _ and -", given=shown(text))
    return text


def _check_id(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise refuse("id", "must be printable ASCII without spaces", given=shown(text))
    return text


def _check_key(text: str) -> str:
    check_characters(text)
    if not text.strip():
        raise refuse("empty", "must hold more than spaces")
    return text


def _check_file_name(text: str) -> str:
    check_line(text)
    if text in {".", ".."} or re.search(r"[/\\]", text):
        raise refuse("file-name", "must be a file's name without a path", given=shown(text))
    return text


def _check_base64(content: str) -> str:
    base64_decoded_size(content)
    return content


def _check_value_count(values: Any) -> Any:
    if isinstance(values, dict) and len(values) > TEMPLATE_VALUES_MAX:
        raise refuse(
            "too-many",
            f"has at most {TEMPLATE_VALUES_MAX} entries",
            limit=TEMPLATE_VALUES_MAX,
            given=len(values),
        )
    return values


def _check_values(values: dict[str, str]) -> dict[str, str]:
    # They become a body, so together they are held to what a body is held to.
    size = sum(form_encoded_size(name) + form_encoded_size(v) for name, v in values.items())
    if size > BODY_WIRE_MAX:
        raise refuse(
            "body-too-large",
            f"has at most {BODY_WIRE_MAX} bytes as it travels, form-encoded",
            limit=BODY_WIRE_MAX,
            given=size,
        )
    return values


Version = Annotated[Literal[1], BeforeValidator(_check_version)]

Address = Annotated[
    str,
    AfterValidator(parse_address),
    WithJsonSchema(
        {"type": "string", "format": "idn-email", "minLength": 3, "maxLength": ADDRESS_MAX}
    ),
]
Domain = Annotated[
    str,
    AfterValidator(parse_domain),
    WithJsonSchema(
        {"type": "string", "format": "idn-hostname", "minLength": 3, "maxLength": ADDRESS_MAX}
    ),
]
Alias = Annotated[str, Field(min_length=1, max_length=ALIAS_MAX), AfterValidator(check_alias)]
Subject = Annotated[str, Field(min_length=1, max_length=SUBJECT_MAX), AfterValidator(check_line)]
Body = Annotated[
    str,
    Field(min_length=1, json_schema_extra={"maxLength": BODY_WIRE_MAX}),
    AfterValidator(_check_body),
]
Tag = Annotated[
    str,
    Field(min_length=1, max_length=TAG_MAX, json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"}),
    AfterValidator(_check_tag),
]
Identifier = Annotated[
    str,
    Field(min_length=1, max_length=ID_MAX, json_schema_extra={"pattern": "^[!-~]+$"}),
    AfterValidator(_check_id),
]
Key = Annotated[str, Field(min_length=1, max_length=KEY_MAX), AfterValidator(_check_key)]
FileName = Annotated[
    str, Field(min_length=1, max_length=FILE_NAME_MAX), AfterValidator(_check_file_name)
]
Base64 = Annotated[
    str,
    Field(json_schema_extra={"contentEncoding": "base64"}),
    AfterValidator(_check_base64),
]
Values = Annotated[
    dict[str, str], BeforeValidator(_check_value_count), AfterValidator(_check_values)
]
Headers = Annotated[
    dict[str, str],
    BeforeValidator(check_header_count),
    AfterValidator(check_headers),
    Field(json_schema_extra={"maxProperties": HEADERS_MAX}),
]
Notify = Annotated[
    dict[str, str],
    BeforeValidator(check_header_count),
    AfterValidator(check_notify),
    Field(json_schema_extra={"maxProperties": HEADERS_MAX}),
]
Time = Annotated[
    datetime,
    BeforeValidator(parse_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
TraceParent = Annotated[
    str,
    AfterValidator(check_traceparent),
    Field(json_schema_extra={"pattern": f"^{TRACEPARENT}$"}),
]
TraceState = Annotated[
    str,
    Field(max_length=TRACESTATE_MAX, json_schema_extra={"pattern": f"^{TRACESTATE}$"}),
    AfterValidator(check_tracestate),
]
