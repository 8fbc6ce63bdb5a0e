"""Handlers that write down the events they get, for the tests of triggers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


def record(event: bytes, context: Any) -> str:
    """Append the event to the file that RECORD names; fail while it has fewer than FAILURES + 1."""
    path = Path(os.environ["RECORD"])
    retry_count = getattr(context, "retry_count", 0)
    line = {"event": event.decode(), "retry_count": retry_count, "id": context.request_id}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    if len(path.read_text(encoding="utf-8").splitlines()) <= int(os.environ.get("FAILURES", "0")):
        raise RuntimeError("not yet")
    return "recorded"


def record_slowly(event: bytes, context: Any) -> str:
    """The same, after as many seconds as PAUSE says."""
    time.sleep(float(os.environ["PAUSE"]))
    return record(event, context)


def http(event: bytes, context: Any) -> Any:  # noqa: ARG001  # the platform's signature
    """Answer with the event itself; a body that is a JSON object is the result instead."""
    document = json.loads(event)
    try:
        given = json.loads(document["body"])
    except ValueError:
        given = None
    if isinstance(given, dict) and "return" in given:
        return given["return"]
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "isBase64Encoded": False,
        "body": json.dumps(document),
    }
