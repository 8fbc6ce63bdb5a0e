"""What a mail says is in no log line, even with every logger of the SDKs turned on.

In a process of its own, whose loggers nobody has touched yet, a mail full of canaries is sent,
refused and lost, and its events are forwarded; then everything that was printed is searched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CANARIES = {
    "alias": "canary-alias",
    "bcc": "canary-bcc@example.net",
    "content": "canary-content",
    "file": "canary-file.txt",
    "html": "<p>canary-html</p>",
    "notify": "canary-notify",
    "reply": "canary-reply@example.net",
    "subject": "canary-subject",
    "text": "canary-text",
    "to": "canary-to@example.net",
    "wrong": "canary-wrong",
}


@pytest.mark.parametrize("debug", ["", "sdk"], ids=["loggers on", "loggers and DEBUG=sdk"])
def test_no_log_line_holds_what_a_mail_says(
    *,
    directmail_twin: Any,
    smq_twin: Any,
    account: Any,
    certificate: Any,
    closed_port: int,
    tmp_path: Path,
    debug: str,
) -> None:
    """Addresses, subject, bodies, aliases, files, notify values and secrets stay out of logs."""
    key = account.assume("canary")
    given = {
        "canaries": CANARIES,
        "key": {
            "access_key_id": key.id,
            "access_key_secret": key.secret,
            "security_token": key.token,
        },
        "directmail": directmail_twin.port,
        "smq": smq_twin.port,
        "closed": closed_port,
        "ca": str(certificate.ca_file),
        "ledger": str(tmp_path / "ledger.db"),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "tests.cloud.canary_program"],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, "DEBUG": debug},
    )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout + ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "answers": ["Accepted", "Accepted", "Rejected", "Rejected", "Broken", "Broken"],
        "ends": {"bounced": 1, "opened": 1, "unrecognised": 2},
    }
    assert "event.forwarded" in printed
    assert "smq.failed" in printed
    for secret in ("canary", key.secret, key.token):
        assert secret not in printed, [line for line in printed.splitlines() if secret in line]
