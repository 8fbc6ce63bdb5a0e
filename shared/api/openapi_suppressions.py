"""The API's description: suppressions and recipients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.api.suppression_request import SuppressionBody
from shared.api.suppressions import PAGE, PAGE_MAX

_JSON = "application/json"
_SCOPE = {
    "name": "scope",
    "in": "path",
    "required": True,
    "description": "`account`, `@` and a sender's domain, or a sender's address.",
    "schema": {"type": "string"},
}
_ADDRESS = {
    "name": "address",
    "in": "path",
    "required": True,
    "description": "The recipient's address, or `hash:` and the keyed hash that a list shows.",
    "schema": {"type": "string"},
}
_TEXT = {"type": ["string", "null"]}
_TIME = {"type": "string", "format": "date-time"}
SUPPRESSION: dict[str, Any] = {
    "type": "object",
    "required": ["recipient", "address", "scope", "active", "causes"],
    "properties": {
        "recipient": {"type": "string", "description": "The keyed hash of the address."},
        "address": {**_TEXT, "description": "Null where addresses are not stored."},
        "scope": {"type": "string"},
        "active": {"type": "boolean", "description": "Whether the recipient is suppressed."},
        "causes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["reason", "at", "expires_at", "active", "detail", "source"],
                "properties": {
                    "reason": {"enum": ["manual", "bounce", "complaint", "unsubscribe"]},
                    "at": _TIME,
                    "expires_at": {"type": ["string", "null"], "format": "date-time"},
                    "active": {"type": "boolean"},
                    "detail": _TEXT,
                    "source": _TEXT,
                },
            },
        },
    },
}


def suppression_request() -> dict[str, Any]:
    """The schema of what a `PUT` may say."""
    return SuppressionBody.model_json_schema()


def suppression_paths(problems: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The paths; `problems` describes the answers with these statuses."""
    one = [_SCOPE, _ADDRESS]
    return {
        "/v1/suppressions": {
            "get": {
                "summary": "List suppressions, a page at a time",
                "parameters": [
                    _query("limit", f"Rows of a page, to {PAGE_MAX}; {PAGE} without it."),
                    _query("after", "The `next` of the page before."),
                    _query("address", "Only this recipient's, in every scope."),
                    _query("all", "`true`: also what was lifted or has expired."),
                ],
                "responses": {"200": _answer("A page.", _PAGE), **problems(400, 503)},
            }
        },
        "/v1/suppressions/{scope}/{address}": {
            "get": {
                "summary": "Is this recipient suppressed?",
                "parameters": one,
                "responses": {"200": _answer("It is.", _ONE), **problems(400, 404, 503)},
            },
            "put": {
                "summary": "Suppress a recipient; the same again changes nothing",
                "parameters": one,
                "requestBody": {
                    "required": False,
                    "content": {
                        _JSON: {"schema": {"$ref": "#/components/schemas/SuppressionRequest"}}
                    },
                },
                "responses": {
                    "200": _answer("It was so before.", _ONE),
                    "201": _answer("It is so now.", _ONE),
                    **problems(400, 422, 503),
                },
            },
            "delete": {
                "summary": "Lift a suppression",
                "parameters": [*one, _query("reason", "Only for this reason.")],
                "responses": {"204": {"description": "It is lifted."}, **problems(400, 404, 503)},
            },
        },
        "/v1/recipients/{address}": {
            "delete": {
                "summary": "Erase what the ledger knows of a recipient",
                "parameters": [
                    _ADDRESS,
                    _query("lift", "`true`: also lift suppressions."),
                    _query("after", "The `next` of the answer before, until it is null."),
                ],
                "responses": {"200": _answer("What is gone.", _ERASED), **problems(400, 503)},
            }
        },
    }


_ONE = {"$ref": "#/components/schemas/Suppression"}
_PAGE = {
    "type": "object",
    "required": ["suppressions", "next"],
    "properties": {"suppressions": {"type": "array", "items": _ONE}, "next": _TEXT},
}
_ERASED = {
    "type": "object",
    "required": ["recipient", "erased", "suppressed", "next"],
    "properties": {
        "recipient": {"type": "string"},
        "erased": {"type": "object", "additionalProperties": {"type": "integer"}},
        "suppressed": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The scopes in which the recipient stays suppressed.",
        },
        "next": _TEXT,
    },
}


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"}}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": schema}}}
