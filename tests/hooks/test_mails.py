"""Mail requests of other programs: who may, what becomes of them, and what they are told."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.errors import QueueUnavailable
from shared.hooks.mails import HookMails
from shared.hooks.standard import ID, SIGNATURE, TIMESTAMP, sign
from shared.schema import limits
from shared.sending.compose import Policy
from shared.sending.identity import mail_id_of
from shared.sending.letters import PINNED_KEY_MAX, Letter
from shared.triggers.http import Request, Response
from tests.hooks.conftest import NOW, call
from tests.hooks.malformed import MALFORMED

SECRET, OLD = b"n" * 32, b"o" * 32
MAIL = {
    "sender": {"address": "noreply@mail.example.com"},
    "to": ["ada@example.net"],
    "subject": "Hello",
    "text": "Hello Ada",
}


@dataclass
class MailQueue:
    """A queue that notes what it gets, or fails."""

    down: bool = False
    got: list[Letter] = field(default_factory=list)

    def put_back(self, letter: Letter, delay: int) -> str:
        """Put a letter on the queue."""
        assert delay == 0
        if self.down:
            raise QueueUnavailable("down")
        self.got.append(letter)
        return "M-1"


@pytest.fixture
def queue() -> MailQueue:
    """The queue of mails."""
    return MailQueue()


@pytest.fixture
def hooks(queue: MailQueue) -> HookMails:
    """Two sources; one changes its secret just now."""
    policy = Policy("test", allowed_recipients=("@example.net",))
    return HookMails({"crm": (SECRET, OLD), "shop": (b"s" * 32,)}, policy, queue)


def signed(
    mail: Any = MAIL,
    *,
    secret: bytes = SECRET,
    identity: str = "msg_1",
    headers: dict[str, str] | None = None,
) -> Request:
    """A request as the other program sends it."""
    body = mail if isinstance(mail, bytes) else json.dumps(mail).encode()
    seconds = str(NOW // 1000)
    signature = "v1," + sign(secret, identity, seconds, body).decode()
    given = {ID: identity, TIMESTAMP: seconds, SIGNATURE: signature}
    given["content-type"] = "application/json; charset=utf-8"
    return Request("POST", "/hooks/crm", {**given, **(headers or {})}, {}, body)


def told(answer: Response) -> dict[str, Any]:
    """An answer's document."""
    assert answer.body is not None
    return dict(answer.body)


def test_a_mail_goes_on_the_queue(hooks: HookMails, queue: MailQueue) -> None:
    """The answer is 202 with the id that the mail will be known by."""
    answer = hooks.answer(signed(), "crm", call())
    (letter,) = queue.got
    assert letter.given == MAIL
    assert letter.key == "hook:crm:msg_1"
    assert (letter.custody, letter.first_seen) == (0, NOW)
    assert answer.status == 202
    assert told(answer) == {
        "mail_id": mail_id_of("test", "hook:crm:msg_1"),
        "key": "hook:crm:msg_1",
        "state": "accepted",
    }


def test_a_repeat_is_the_same_mail(hooks: HookMails, queue: MailQueue) -> None:
    """A sender that did not hear the answer tries again under the same id."""
    first, second = (hooks.answer(signed(), "crm", call()) for _ in range(2))
    assert first == second
    assert queue.got[0].body() == queue.got[1].body()


def test_an_id_is_its_sources_own(hooks: HookMails, queue: MailQueue) -> None:
    """The same id of two sources is two mails."""
    hooks.answer(signed(), "crm", call())
    hooks.answer(signed(secret=b"s" * 32), "shop", call())
    assert [letter.key for letter in queue.got] == ["hook:crm:msg_1", "hook:shop:msg_1"]


def test_a_mails_own_key_wins(hooks: HookMails, queue: MailQueue) -> None:
    """A program that knows better says so."""
    answer = hooks.answer(signed({**MAIL, "key": "order-1"}), "crm", call())
    assert queue.got[0].key == "order-1"
    assert told(answer)["mail_id"] == mail_id_of("test", "order-1")


def test_the_longest_id_fits_into_a_key(hooks: HookMails, queue: MailQueue) -> None:
    """Also of the source with the longest name."""
    assert len(f"hook:{'s' * 32}:{'i' * 200}") <= PINNED_KEY_MAX
    assert hooks.answer(signed(identity="i" * 200), "crm", call()).status == 202
    assert len(queue.got) == 1


def test_both_secrets_are_valid_during_a_change(hooks: HookMails, queue: MailQueue) -> None:
    """And another source's is not."""
    statuses = [
        hooks.answer(signed(secret=secret, identity=f"msg_{n}"), "crm", call()).status
        for n, secret in enumerate((SECRET, OLD, b"s" * 32))
    ]
    assert statuses == [202, 202, 401]
    assert len(queue.got) == 2


@pytest.mark.parametrize("source", ["crm2", "CRM", "", "unknown"])
def test_a_source_that_is_not_there_is_answered_like_a_wrong_signature(
    hooks: HookMails, source: str
) -> None:
    """So that nobody learns which ones there are."""
    wrong = hooks.answer(signed(secret=b"x" * 32), "crm", call())
    assert hooks.answer(signed(), source, call()) == wrong
    assert wrong.status == 401
    assert told(wrong)["type"] == "urn:postbus:problem:not-signed"


def test_malformed_headers_are_a_401_only(hooks: HookMails, queue: MailQueue) -> None:
    """All of them, and nothing is put on the queue."""
    answers = [hooks.answer(signed(headers=changed), "crm", call()) for changed in MALFORMED]
    assert {answer.status for answer in answers} == {401}
    assert len(answers) >= 60
    assert queue.got == []


INVALID: list[tuple[Any, int, str]] = [
    (b"{", 400, "bad-request"),
    (b"", 400, "bad-request"),
    (b"\xff", 400, "bad-request"),
    ([MAIL], 400, "bad-request"),
    ({}, 422, "invalid-mail"),
    ({**MAIL, "to": ["nobody"]}, 422, "invalid-mail"),
    ({**MAIL, "unknown": 1}, 422, "invalid-mail"),
    ({**MAIL, "to": ["eve@elsewhere.example"]}, 422, "invalid-mail"),
    ({**MAIL, "text": "x" * limits.QUEUE_BODY_MAX}, 413, "too-big"),
]


@pytest.mark.parametrize(("mail", "status", "kind"), INVALID)
def test_an_invalid_mail_is_told_what_is_wrong(
    hooks: HookMails, queue: MailQueue, mail: Any, status: int, kind: str
) -> None:
    """In the words of the API: a problem document with a pointer for each thing."""
    answer = hooks.answer(signed(mail), "crm", call())
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    assert told(answer)["type"] == f"urn:postbus:problem:{kind}"
    assert all("pointer" in error for error in told(answer)["errors"])
    assert queue.got == []


def test_another_content_type_is_refused(hooks: HookMails) -> None:
    """As the API does."""
    answer = hooks.answer(signed(headers={"content-type": "text/plain"}), "crm", call())
    assert (answer.status, told(answer)["type"][-18:]) == (415, "wrong-content-type")


def test_a_queue_that_is_down_is_a_503(hooks: HookMails, queue: MailQueue) -> None:
    """The sender keeps its message and comes again."""
    queue.down = True
    answer = hooks.answer(signed(), "crm", call())
    assert answer.status == 503
    assert "Retry-After" in answer.headers


def test_secrets_are_not_shown(hooks: HookMails) -> None:
    """Not even where somebody prints the object."""
    assert repr(SECRET) not in repr(hooks)
    assert base64.b64encode(SECRET).decode() not in repr(hooks)
