"""The API's description, made from the models and the table of problems it really uses."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from shared.api.openapi_suppressions import SUPPRESSION, suppression_paths, suppression_request
from shared.api.problems import KINDS, WEBHOOK_KINDS
from shared.schema.export import json_schemas

_JSON = "application/json"
_PROBLEM = "application/problem+json"


@lru_cache(maxsize=1)
def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    schemas = json_schemas()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postbus",
            "version": "1",
            "description": "Send mail once through DirectMail, and look up what became of it.",
        },
        "paths": {
            "/v1/mails": {"post": _post(), "get": _find()},
            "/v1/mails/{id}": {"get": _get()},
            **suppression_paths(_problems),
            "/healthz": {"get": {"summary": "Is it up?", "responses": {"200": _body("Yes.", {})}}},
        },
        "components": {
            "schemas": {
                "MailRequest": _inline(schemas["mail-request"]),
                "Mail": _MAIL,
                "SeparateMails": _SEPARATE_MAILS,
                "Suppression": SUPPRESSION,
                "SuppressionRequest": suppression_request(),
                "Problem": _PROBLEM_DOCUMENT,
            }
        },
    }


def _post() -> dict[str, Any]:
    return {
        "summary": "Send a mail now, or accept it for later",
        "parameters": [
            _header("Idempotency-Key", "The mail's key: requests with the same key send one mail."),
            _header("Prefer", "`respond-async` puts the mail on the queue and answers 202."),
        ],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": {"$ref": "#/components/schemas/MailRequest"}}},
        },
        "responses": {
            "201": _mail("DirectMail has it."),
            "202": _body(
                "Accepted for later, or its outcome is not known yet; a `separate` mail as one "
                "mail for each recipient.",
                {"oneOf": [_reference("Mail"), _reference("SeparateMails")]},
            ),
            **_problems(400, 409, 413, 415, 422, 429, 502, 503),
        },
    }


def _find() -> dict[str, Any]:
    key = {"name": "key", "in": "query", "required": True, "schema": {"type": "string"}}
    return {
        "summary": "Look a mail up by its key",
        "parameters": [key],
        "responses": {"200": _mail("The mail."), **_problems(400, 404, 503)},
    }


def _get() -> dict[str, Any]:
    mail_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "summary": "Look a mail up by its id",
        "parameters": [mail_id],
        "responses": {"200": _mail("The mail."), **_problems(404, 503)},
    }


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _body(description: str, schema: dict[str, Any], media: str = _JSON) -> dict[str, Any]:
    return {"description": description, "content": {media: {"schema": schema}}}


def _mail(description: str) -> dict[str, Any]:
    return _body(description, _reference("Mail"))


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _problems(*statuses: int) -> dict[str, Any]:
    """The problem answers: each status with the types that go with it."""
    return {
        str(status): _body(
            "; ".join(
                f"`{kind}`: {title}"
                for kind, (own, title) in KINDS.items()
                if own == status and kind not in WEBHOOK_KINDS
            ),
            _reference("Problem"),
            _PROBLEM,
        )
        for status in statuses
    }


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as a component: without a name, its references from the document's root."""
    part = {name: value for name, value in schema.items() if name not in ("$id", "$schema")}
    text = json.dumps(part).replace('"#/$defs/', '"#/components/schemas/MailRequest/$defs/')
    inlined: dict[str, Any] = json.loads(text)
    return inlined


_TEXT = {"type": ["string", "null"]}
_MAIL: dict[str, Any] = {
    "type": "object",
    "required": ["mail_id", "key", "state"],
    "properties": {
        "mail_id": {"type": "string"},
        "key": {"type": "string"},
        "state": {"type": "string"},
        "env_id": {**_TEXT, "description": "DirectMail's id of the accepted call."},
        "request_id": _TEXT,
        "attempt": {"type": "integer", "description": "Provider calls so far."},
        "reason": _TEXT,
        "tag": _TEXT,
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
        "recipients": {"type": "array", "items": {"type": "object"}},
        "suppressed": {
            "type": "array",
            "description": "Whom the mail does not go to; absent when it goes to all.",
            "items": {
                "type": "object",
                "properties": {"recipient": {"type": "string"}, "reason": _TEXT},
            },
        },
    },
}
_SEPARATE_MAILS: dict[str, Any] = {
    "type": "object",
    "required": ["state", "mails"],
    "properties": {
        "state": {"type": "string"},
        "mails": {"type": "array", "items": {"$ref": "#/components/schemas/Mail"}},
    },
}
_PROBLEM_DOCUMENT: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "type", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901)"},
                    "type": {"type": "string"},
                    "detail": {"type": "string"},
                    "limit": {},
                    "given": {},
                },
            },
        },
    },
}
