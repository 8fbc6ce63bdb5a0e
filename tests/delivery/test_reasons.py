"""Why a mail bounced, from whatever DirectMail and the remote host said."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.twins.directmail.reports import KNOWN
from shared.delivery.causes import PERMANENT, SENDER, TEMPORARY
from shared.delivery.reasons import CLASSIFICATIONS, REASONS, STATUSES, cause_of
from shared.delivery.smtp_answers import CODES, ENHANCED, VAGUE, WORDS

Case = tuple[str | None, str | None, int | None, str | None]


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_a_known_classification_is_enough(name: str) -> None:
    """Without a status, a code and an answer; only a name server's failure depends on the code."""
    cause = cause_of(name, None, None, None)
    row = CLASSIFICATIONS[name]
    assert (cause.reason, cause.by) == (row.reason, "failed_type")
    assert cause.bounce == row.bounce or (row.bounce is None and cause.bounce == TEMPORARY)


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "SendOk"])
def test_every_failure_of_the_twin_has_its_reason(name: str) -> None:
    """What the twin reports is in the tables, and falls through to no class of code."""
    report = KNOWN[name]
    cause = cause_of(report.failed_type, report.status, int(report.code), report.message)
    assert cause.by != "class"
    assert cause.reason != "other"


@pytest.mark.parametrize(
    ("given", "reason", "bounce"),
    [
        (("SysOutDnsResolveFail", "4", 524, None), "domain-not-found", PERMANENT),
        (("SysOutDnsResolveFail", "4", 423, None), "domain-not-found", TEMPORARY),
        (("SmtpContSpam", "3", 554, "x"), "content-spam", SENDER),
        # A classification that nobody knows, or that says little: the answer's codes ...
        (("New", "4", 550, "550 5.1.1 no"), "mailbox-not-found", PERMANENT),
        (("New", "4", 450, "450 4.1.1 no"), "mailbox-not-found", TEMPORARY),
        (("New", "4", 552, "552-5.2.2 no"), "mailbox-full", TEMPORARY),
        (("New", "4", 550, "550 5.7.26 no"), "sender-authentication", SENDER),
        (("New", "4", 550, "550 5.7.1 no"), "policy", SENDER),
        (("New", "4", 550, "550 5.7.1 SPF says no"), "sender-authentication", SENDER),
        (("New", "4", 451, "451 4.7.1 wait"), "rate-limited", TEMPORARY),
        (("New", "4", 559, "no"), "suppressed-by-provider", PERMANENT),
        (("New", "4", 421, "no"), "connection", TEMPORARY),
        (("New", "4", 551, "no"), "mailbox-not-found", PERMANENT),
        # (too many recipients in one mail: none of their addresses is at fault)
        (("New", "4", 556, "no"), "policy", SENDER),
        # ... its words ...
        (("SmtpZPermErr", "4", 550, "550 no such user here"), "mailbox-not-found", PERMANENT),
        (("SmtpZPermErr", "4", 550, "550 Recipient is unknown"), "mailbox-not-found", PERMANENT),
        (("SmtpZPermErr", "4", 552, "552 mailbox is full"), "mailbox-full", TEMPORARY),
        (("SmtpZPermErr", "4", 550, "550 listed on a blacklist"), "blocked-sender", SENDER),
        (("SmtpZPermErr", "4", 550, "550 looks like SPAM"), "content-spam", SENDER),
        (("SmtpZPermErr", "4", 550, "550 too many mails"), "rate-limited", TEMPORARY),
        (("SmtpZPermErr", "4", 550, "550 domain not found"), "domain-not-found", PERMANENT),
        (("SmtpZPermErr", "4", 552, "552 message too large"), "policy", SENDER),
        (("SmtpZPermErr", "4", 451, "451 connection timed out"), "connection", TEMPORARY),
        (("SmtpZPermErr", "4", 550, "550 because"), "other", PERMANENT),
        ((None, None, None, "550 5.1.1 gone"), "mailbox-not-found", PERMANENT),
        # ... within what the status says ...
        (("New", "2", 450, "because"), "mailbox-not-found", PERMANENT),
        (("New", "2", 550, "mailbox is full"), "mailbox-not-found", PERMANENT),
        (("New", "2", 524, "host not found"), "domain-not-found", PERMANENT),
        (("New", "3", 554, "because"), "content-spam", SENDER),
        (("New", "3", 554, "no such user"), "content-spam", SENDER),
        (("New", "3", 554, "sender blocked; it is blacklisted"), "blocked-sender", SENDER),
        (("SmtpZPermErr", "2", 550, "550 because"), "mailbox-not-found", PERMANENT),
        # ... and at last the class of the code.
        (("New", "4", 550, "because"), "other", PERMANENT),
        (("New", "4", 450, "because"), "other", TEMPORARY),
        (("New", "4", 250, None), "other", TEMPORARY),
        (("New", "9", None, "550 because"), "other", PERMANENT),
        ((None, None, None, None), "other", TEMPORARY),
    ],
)
def test_whoever_knows_most_tells_the_reason(given: Case, reason: str, bounce: str) -> None:
    """Classification, then the answer within the status, then the status, then the class."""
    assert cause_of(*given)[:2] == (reason, bounce)


@pytest.mark.parametrize(
    "answer", ["at 10.5.1.1 it ended", "5.1.1.9 is listed nowhere", "id 15.1.1x", "v4.5.1.1"]
)
def test_an_ip_address_is_no_enhanced_code(answer: str) -> None:
    """Digits and dots that belong to something longer say nothing of a mailbox."""
    assert cause_of("New", "4", 550, answer).reason != "mailbox-not-found"


def test_content_spam_is_not_the_addresss_fault() -> None:
    """Another mail to it may well arrive: nobody is suppressed for it."""
    for cause in (*CLASSIFICATIONS.values(), *STATUSES.values(), *(cause for cause, _ in WORDS)):
        if cause.reason == "content-spam":
            assert cause.bounce == SENDER


def test_every_row_is_of_the_vocabulary() -> None:
    """A reason that is not listed would reach consumers that have never heard of it."""
    rows = [*CLASSIFICATIONS.values(), *STATUSES.values(), *ENHANCED.values(), *CODES.values()]
    rows += [*VAGUE.values(), *(cause for cause, _ in WORDS)]
    assert {row.reason for row in rows} == set(REASONS)


@given(
    st.sampled_from([None, "New", "SmtpZPermErr", "SmtpNxBox"]),
    st.sampled_from([None, "0", "2", "3", "4", "x"]),
    st.none() | st.integers(0, 10**9),
    st.none() | st.text(max_size=80),
)
def test_there_is_always_a_reason(
    classification: str | None, status: str | None, code: int | None, message: str | None
) -> None:
    """Whatever comes, it is one of ours, and the bounce is told."""
    cause = cause_of(classification, status, code, message)
    assert cause.reason in REASONS
    assert cause.bounce in {PERMANENT, TEMPORARY, SENDER}


@pytest.mark.parametrize(
    "text", ["user " * 20_000, "mailbox " + "x" * 100_000, "host" * 20_000, "5.1." * 20_000]
)
def test_a_strangers_text_costs_little(text: str) -> None:
    """However it is made, its answer is there in a moment."""
    begun = time.process_time()
    cause_of("New", "4", 550, text)
    assert time.process_time() - begun < 0.1
