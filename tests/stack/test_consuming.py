"""The consumer of docs/consuming.md, as it stands there, against a running stack."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mns.queue import Message

from local.pytest_plugin import Postbus
from shared.delivery.routing import compile_routing
from shared.schema.routes import parse_routes

pytestmark = pytest.mark.stack

DOC = (Path(__file__).parents[2] / "docs" / "consuming.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
(ROUTES,) = re.findall(r"```json\n(.*?)```", DOC, re.DOTALL)


def test_it_has_twenty_lines() -> None:
    """Of code, imports and comments aside, so that anybody can have it."""
    body = CODE[CODE.index("def consume") :]
    lines = [
        line for line in body.splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    assert len(lines) <= 20


def test_the_documents_routes_are_routes() -> None:
    """They are read, and lead where the text says."""
    routing = compile_routing(parse_routes(ROUTES), environment="local", events="e")
    assert routing.knows("topic:mail-events-shop-local")
    assert routing.named == {"crm": ("queue:mail-events-crm",)}


def test_the_consumer_verifies_de_duplicates_and_reads(
    stack: Postbus, mail: dict[str, Any]
) -> None:
    """Each event once, however often it is on the queue; what is not Postbus's is passed over."""
    names: dict[str, Any] = {}
    exec(compile(CODE, "docs/consuming.md", "exec"), names)  # noqa: S102  # the document's code is what is tested
    stack.put([{**mail, "key": "1"}, {**mail, "key": "2", "to": ["bounce@example.net"]}])
    (first, second) = stack.events(2)
    assert first["id"] != second["id"]
    strange = {**first, "source": "postbus/other", "id": "x"}
    queue = stack.queue("mail-events-inbox", base64=False)
    for event in (first, second, first, strange, first):
        queue.send_message(Message(json.dumps(event)))
    seen: set[str] = set()
    read: list[tuple[str, str, str]] = []

    def handle(kind: str, data: dict[str, Any]) -> None:
        read.append((kind, data["key"], data["notify"]["OrderId"]))

    assert names["consume"](queue, "postbus/local", seen, handle) == 2
    assert sorted(read) == [
        ("postbus.mail.bounced", "2", "4711"),
        ("postbus.mail.delivered", "1", "4711"),
    ]
    assert seen == {first["id"], second["id"]}
    queue.send_message(Message(json.dumps(second)))
    assert names["consume"](queue, "postbus/local", seen, handle) == 0
