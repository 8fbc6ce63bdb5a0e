"""The samples in `events/`: signed once, and taken ever since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.account import ACCOUNT_ID
from shared.cloud.certificates import Certificates
from shared.hooks.eventbridge_push import EventBridgePush
from shared.hooks.smq_push import SmqPush
from shared.hooks.standard import verify
from shared.settings import read_settings
from shared.triggers.events import read_events
from shared.triggers.http import Request, read_http_event

EVENTS = Path(__file__).parents[2] / "events"
# 2026-11-22T08:00:00Z
SIGNED_AT = 1_795_334_400_000


def sample(name: str) -> Request:
    """A sample as the function reads it."""
    return read_http_event((EVENTS / name).read_bytes())


def document(name: str) -> Any:
    """What a sample holds."""
    return json.loads((EVENTS / name).read_text(encoding="utf-8"))


@pytest.fixture
def certificates() -> Certificates:
    """With the samples' certificate, wherever it is looked for."""
    certificate = Path(__file__).with_name("push-certificate.pem").read_bytes()
    return Certificates("cn-hangzhou", (), lambda _: certificate)


@pytest.mark.parametrize("version", [1, 2])
def test_eventbridges_samples_are_taken(certificates: Certificates, version: int) -> None:
    """They bring DirectMail's event."""
    url = "https://mail.example.com/push/eventbridge"
    push = EventBridgePush(certificates, url, "sample-token")
    body = push.read(sample(f"push-eventbridge-v{version}.json"), SIGNED_AT)
    assert [e.document for e in read_events(body)] == [document("directmail-deliver-succeed.json")]


@pytest.mark.parametrize("content_format", ["simplified", "xml"])
def test_smqs_samples_are_taken(certificates: Certificates, content_format: str) -> None:
    """They bring DirectMail's event."""
    push = SmqPush(certificates, "/push/smq", ACCOUNT_ID)
    body = push.read(sample(f"push-smq-{content_format}.json"), SIGNED_AT)
    assert [e.document for e in read_events(body)] == [document("directmail-deliver-succeed.json")]


def test_a_programs_sample_is_taken() -> None:
    """It brings the sample mail request, signed with the specification's own secret."""
    secrets = read_settings(
        {
            "POSTBUS_ENVIRONMENT": "test",
            "POSTBUS_HOOK_SECRETS": "crm=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        }
    ).hook_secrets["crm"]
    request = sample("hook-mail.json")
    assert verify(request.headers, request.body, secrets, SIGNED_AT) == (
        "msg_p5jXN8AQM9LWM0D4loKWxJek"
    )
    assert json.loads(request.body) == document("mail-request.json")
