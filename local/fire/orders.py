"""What to fire: read from JSON, checked, with errors that say what would be right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from local.fire.ways import WAYS
from local.twins.directmail import catalogue
from local.twins.directmail.dialects import Dialect, DialectError, dialect_of
from local.twins.directmail.reports import FAIL, SUCCEED, SUCCESS, Report, report_of
from local.twins.directmail.rules import HeaderStyle

# Where the console takes orders.
PATH = "/_local/fire"
LATEST = "latest"

TIMES_MAX = 1_000
DELAY_MAX = 3_600.0
_HEADERS = get_args(HeaderStyle)
_REPORT = ("failed_type", "err_code", "err_msg", "status")
# The statuses of a failure: invalid address, spam, other.
_STATUSES = ("2", "3", "4")
_TEXTS = ("event", "mail", "envelope", "header")


class OrderError(ValueError):
    """An order that makes no sense; the message says what would."""


@dataclass(frozen=True)
class Order:
    """One event to fire.

    Attributes:
        event: the type, with or without `dm:`, in any case.
        mail: an EnvId, a mail id, a key, or `latest`: a mail in the outbox.
        recipient: one of the mail's; None is its first.
        dialect: words of `dialects.WORDS`.
        envelope: one of `ways.WAYS`.
        header: how the notify headers come back.
        failed_type: of a Deliver:Fail: any text; None is SmtpNxBox. Likewise
        err_code: the remote server's code,
        err_msg: its text, `{rcpt}` in it standing for the recipient, and
        status: 2 invalid address, 3 spam, 4 other; each None is what is usual for the failed_type.
        url: what was clicked; None is an example.
        id: of the event; None makes a new one.
        times: how often it comes, each time with the same id.
        delay: before the first time, in seconds.

    Raises:
        OrderError: one of them is not what it should be.
    """

    event: str
    mail: str = LATEST
    recipient: str | None = None
    dialect: tuple[str, ...] = ()
    envelope: str = "queue"
    header: str = "given"
    failed_type: str | None = None
    err_code: str | None = None
    err_msg: str | None = None
    status: str | None = None
    url: str | None = None
    id: str | None = None
    times: int = 1
    delay: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_text(field.name, getattr(self, field.name))
        if catalogue.type_of(self.event) is None:
            raise OrderError(f"unknown event: {self.event!r}; known: {', '.join(catalogue.TYPES)}")
        _one_of("envelope", self.envelope, tuple(WAYS))
        _one_of("header", self.header, _HEADERS)
        self._check_belonging()
        if type(self.times) is not int or not 1 <= self.times <= TIMES_MAX:
            raise OrderError(f"times is a whole number from 1 to {TIMES_MAX}, not {self.times!r}")
        if not _is_number(self.delay) or not 0 <= self.delay <= DELAY_MAX:
            raise OrderError(f"delay is 0 to {DELAY_MAX:g} seconds, not {self.delay!r}")
        self.spoken()

    def _check_belonging(self) -> None:
        given = [name for name in _REPORT if getattr(self, name) is not None]
        if given and self.type not in catalogue.DELIVERIES:
            raise OrderError(f"{given[0]} belongs to a delivery, not to {self.type}")
        if self.type == FAIL and self.status is not None:
            _one_of("status", self.status, _STATUSES)
        if self.type == SUCCEED and self.status not in {None, SUCCESS}:
            raise OrderError(f"status of {self.type} is {SUCCESS}")
        if self.url is not None and self.type != catalogue.CLICK:
            raise OrderError(f"url belongs to {catalogue.CLICK}, not to {self.type}")
        legacy = self.envelope.startswith("legacy-")
        if legacy and catalogue.TYPES[self.type].legacy is None:
            raise OrderError(f"the legacy notification has no {self.type}")
        if legacy and (self.dialect or self.header == "json"):
            raise OrderError("the legacy notification is a dialect of its own: it takes no other")

    @property
    def type(self) -> str:
        """The event's type as it is documented."""
        return catalogue.type_of(self.event) or self.event

    def spoken(self) -> Dialect:
        """How the event is spelled.

        Raises:
            OrderError: there is no such dialect.
        """
        header = next(style for style in _HEADERS if style == self.header)
        try:
            return dialect_of(self.dialect, header)
        except DialectError as error:
            raise OrderError(str(error)) from None

    def report(self) -> Report:
        """How the delivery ended.

        Raises:
            OrderError: a failure cannot end in success.
        """
        usual = "SmtpNxBox" if self.type == FAIL else "SendOk"
        report = report_of(
            usual if self.failed_type is None else self.failed_type,
            code=self.err_code,
            message=self.err_msg,
            status=self.status or (SUCCESS if self.type == SUCCEED else None),
        )
        if self.type == FAIL and report.status == SUCCESS:
            raise OrderError(f"a {self.type} has no failed_type {self.failed_type!r}")
        return report

    def as_json(self) -> dict[str, Any]:
        """What was given, for JSON."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return {**given, "dialect": list(self.dialect)}

    @classmethod
    def from_json(cls, value: Any) -> Order:
        """An order out of a JSON object.

        Raises:
            OrderError: it is not one, has a field that no order has, or a wrong value.
        """
        if not isinstance(value, Mapping) or "event" not in value:
            raise OrderError("an order is a JSON object with an event")
        known = [each.name for each in fields(cls)]
        for name in value:
            _one_of("field", name, tuple(known))
        words = value.get("dialect", [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise OrderError("dialect is a list of words")
        return cls(**{**value, "dialect": tuple(words)})


def _check_text(name: str, value: Any) -> None:
    if name in {"dialect", "times", "delay"}:
        return
    if value is None and name not in _TEXTS:
        return
    if not isinstance(value, str) or not value:
        raise OrderError(f"{name} is a text, not {value!r}")


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise OrderError(f"unknown {what}: {value!r}; known: {', '.join(known)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
