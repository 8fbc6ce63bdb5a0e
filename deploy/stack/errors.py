"""Why a deployment does not go on, when no service has refused anything."""

from __future__ import annotations


class DeployError(Exception):
    """The deployment ends here; the message says what to do."""


class UsageError(DeployError):
    """What was given cannot be deployed: a parameter, a file, a commit."""
