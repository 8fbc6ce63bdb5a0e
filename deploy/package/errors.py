"""What can go wrong, in words for whoever runs `make package`."""

from __future__ import annotations


class PackageError(Exception):
    """A package cannot be made; the message says why and what to do."""


class InterpreterMissing(PackageError):
    """This machine has no Python of the runtime's version, so its code cannot be compiled."""
