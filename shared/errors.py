"""Postbus's exceptions: whose fault, and whether trying again can help.

PostbusError
├── SettingsError       the operator's: a setting is wrong; trying again does not help
├── LedgerUnavailable   nobody's: the store did not answer; trying again helps
├── QueueUnavailable    nobody's: SMQ did not take a message; trying again helps
├── CertificateUntrusted    the sender's: no address that its certificates are at; it does not help
└── CertificateUnavailable  nobody's: it could not be fetched; trying again helps

A mail request that breaks the contract is `shared.schema.problems.InvalidMail`: the caller's
fault, answered to the caller and never raised out of a function.
"""

from __future__ import annotations


class PostbusError(Exception):
    """The root of what Postbus raises itself."""


class SettingsError(PostbusError):
    """A setting is missing or malformed. The message names it and says what it takes."""


class LedgerUnavailable(PostbusError):
    """The ledger did not answer, or not in time; what it was asked may or may not be stored."""


class CertificateUntrusted(PostbusError):
    """A push names a certificate at an address that its sender has none at; nothing was fetched."""


class CertificateUnavailable(PostbusError):
    """The certificate of a push could not be fetched or read, just now or shortly before."""


class QueueUnavailable(PostbusError):
    """SMQ did not take the message, or its answer was lost; it may have been taken.

    Attributes:
        code: SMQ's own error code where it answered, e.g. `QueueNotExist`.
        request_id: SMQ's request id where it answered.
    """

    def __init__(self, message: str, *, code: str | None = None, request_id: str | None = None):
        super().__init__(message)
        self.code = code
        self.request_id = request_id
