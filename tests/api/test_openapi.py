"""The API's description: valid, complete, and true."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.api.openapi import openapi
from shared.api.problems import KINDS, WEBHOOK_KINDS
from shared.sending.answers import Broken, Rejected
from shared.sending.identity import payload_hash
from shared.sending.letters import MAIL_ON_QUEUE_MAX
from shared.stores.ledger import DeliveryRecord
from tests.api.conftest import MAIL, Service
from tests.sending.conftest import NOON, Say

KEY = {"idempotency-key": "k"}
ASYNC = {"prefer": "respond-async"}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def follow(reference: str) -> Any:
    """What a reference leads to, from the document's root."""
    assert reference.startswith("#/")
    target: Any = openapi()
    for part in reference[2:].split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return target


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation, with its path and method."""
    return [
        (path, method, operation)
        for path, item in openapi()["paths"].items()
        for method, operation in item.items()
    ]


def test_it_is_served(service: Service) -> None:
    """`GET /openapi.json` gives the document, as JSON can carry it."""
    answer = service.ask("GET", "/openapi.json")
    assert answer.status == 200
    assert json.loads(json.dumps(answer.body)) == openapi()


def test_its_head() -> None:
    """The document says which version of OpenAPI it is, and has what that version requires."""
    document = openapi()
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document["info"])
    assert set(document) <= {"openapi", "info", "paths", "components"}
    assert "jsonSchemaDialect" not in document


def test_every_reference_leads_somewhere() -> None:
    """Each `$ref` leads to a schema within the document."""
    references = [each["$ref"] for each in walk(openapi()) if isinstance(each.get("$ref"), str)]
    assert references
    for reference in references:
        assert isinstance(follow(reference), dict)


def test_every_schema_is_valid() -> None:
    """Each schema keeps the rules of JSON Schema 2020-12, which is OpenAPI 3.1's."""
    schemas = [each["schema"] for each in walk(openapi()) if isinstance(each.get("schema"), dict)]
    for schema in [*schemas, *openapi()["components"]["schemas"].values()]:
        Draft202012Validator.check_schema(schema)
    assert not [each for each in walk(openapi()) if "$id" in each or "$schema" in each]


def test_every_operation_is_well_formed() -> None:
    """Each operation has parameters with place and schema, and answers with descriptions."""
    for path, method, operation in operations():
        assert method in {"get", "post", "put", "delete"}
        assert set(operation) <= {"summary", "parameters", "requestBody", "responses"}
        for parameter in operation.get("parameters", []):
            assert parameter["in"] in {"query", "header", "path"}
            assert parameter["schema"]
            if parameter["in"] == "path":
                assert parameter["required"] is True
                assert f"{{{parameter['name']}}}" in path
        named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for status, answer in operation["responses"].items():
            assert 200 <= int(status) < 600
            assert answer["description"]
            assert len(answer.get("content", ())) == (status != "204")


def test_every_path_is_there(service: Service) -> None:
    """Each address that is described answers, with each method that is described."""
    for path, method, _ in operations():
        answer = service.ask(method.upper(), path.replace("{id}", "x"))
        assert answer.status not in {405, 500}
        if answer.status == 404:
            assert path == "/v1/mails/{id}"


def test_every_problem_is_described() -> None:
    """Each kind of problem that an operation can have stands at its status."""
    text = json.dumps([operation["responses"] for _, _, operation in operations()])
    missing = {kind for kind in KINDS if f"`{kind}`" not in text}
    assert missing == {"method-not-allowed"} | WEBHOOK_KINDS


def test_the_mail_request_is_whole() -> None:
    """The request's schema takes a good mail, with parts of every kind, and refuses a bad one."""
    root = {
        "$ref": "#/components/schemas/MailRequest",
        "components": openapi()["components"],
    }
    validator = Draft202012Validator(root)
    good = {
        **MAIL,
        "sender": {"address": "a@example.com", "alias": "A"},
        "reply_to": {"address": "b@example.com"},
        "attachments": [{"name": "a.txt", "content": "YQ=="}],
        "notify": {"OrderId": "1"},
    }
    assert list(validator.iter_errors(good)) == []
    for bad in ({**good, "sender": {"alias": "A"}}, {**good, "cc": []}, {**good, "to": []}):
        assert list(validator.iter_errors(bad))


# A request, as what is done to a fresh service -> the operation that it belongs to.
Asked = Callable[[Service], Any]


def scripted(answer: Any) -> Asked:
    """Post a mail that the provider answers so."""

    def ask(service: Service) -> Any:
        service.world.provider.script = [Say(answer)]
        return service.post(headers=KEY)

    return ask


def down(part: str) -> Asked:
    """Post a mail while the ledger or the queue is down."""

    def ask(service: Service) -> Any:
        service.world.ledger.down = {"get"} if part == "ledger" else set()
        service.world.queues.down = {"put_back"}
        return service.post(headers={**KEY, **ASYNC})

    return ask


def in_progress(service: Service) -> Any:
    """Post a mail that is being sent elsewhere."""
    service.world.write(state="sending", lease_until=NOON + 9, payload=payload_hash(MAIL))
    return service.post(headers=KEY)


def looked_up(service: Service) -> Any:
    """Look up a mail that has recipients."""
    service.post(headers=KEY)
    mail_id = service.world.mailer.mail_id("k")
    service.world.ledger.record_delivery(DeliveryRecord(mail_id, "a@x.org", 1, "delivered", NOON))
    return service.ask("GET", f"/v1/mails/{mail_id}")


def unknown_without_ledger(service: Service) -> Any:
    """Look a mail up while the ledger is down."""
    service.world.ledger.down = {"get"}
    return service.ask("GET", "/v1/mails/x")


ANSWERS: dict[str, tuple[str, str, Asked]] = {
    "sent": ("/v1/mails", "post", lambda service: service.post(headers=KEY)),
    "later": ("/v1/mails", "post", lambda service: service.post(headers=ASYNC)),
    "separate": (
        "/v1/mails",
        "post",
        lambda service: service.post({**MAIL, "separate": True, "to": ["a@x.org", "b@x.org"]}),
    ),
    "unknown": ("/v1/mails", "post", scripted(Broken("reset"))),
    "refused": ("/v1/mails", "post", scripted(Rejected("InvalidToAddress", 400, "no"))),
    "throttled": ("/v1/mails", "post", scripted(Rejected("Throttling", 400))),
    "misconfigured": ("/v1/mails", "post", scripted(Rejected("Forbidden", 403))),
    "unavailable": ("/v1/mails", "post", scripted(Broken("connect"))),
    "in progress": ("/v1/mails", "post", in_progress),
    "ledger down": ("/v1/mails", "post", down("ledger")),
    "queue down": ("/v1/mails", "post", down("queue")),
    "invalid": ("/v1/mails", "post", lambda service: service.post({})),
    "not JSON": (
        "/v1/mails",
        "post",
        lambda service: service.ask(
            "POST", "/v1/mails", headers={"content-type": "application/json"}
        ),
    ),
    "wrong type": ("/v1/mails", "post", lambda service: service.ask("POST", "/v1/mails")),
    "too big": (
        "/v1/mails",
        "post",
        lambda service: service.post({**MAIL, "text": "x" * MAIL_ON_QUEUE_MAX}, headers=ASYNC),
    ),
    "found": ("/v1/mails/{id}", "get", looked_up),
    "not found": ("/v1/mails/{id}", "get", lambda service: service.ask("GET", "/v1/mails/x")),
    "look-up down": ("/v1/mails/{id}", "get", unknown_without_ledger),
    "search for nothing": ("/v1/mails", "get", lambda service: service.ask("GET", "/v1/mails")),
    "search": (
        "/v1/mails",
        "get",
        lambda service: (
            service.post(headers=KEY) and service.ask("GET", "/v1/mails", query={"key": "k"})
        ),
    ),
    "health": ("/healthz", "get", lambda service: service.ask("GET", "/healthz")),
}


@pytest.mark.parametrize(("path", "method", "ask"), ANSWERS.values(), ids=ANSWERS)
def test_answers_are_as_described(service: Service, path: str, method: str, ask: Asked) -> None:
    """Each answer's status is described at its operation, and its body keeps the schema there."""
    answer = ask(service)
    described = openapi()["paths"][path][method]["responses"]
    assert str(answer.status) in described
    ((media, content),) = described[str(answer.status)]["content"].items()
    assert media == answer.content_type
    root = {**content["schema"], "components": openapi()["components"]}
    assert list(Draft202012Validator(root).iter_errors(answer.body)) == []
