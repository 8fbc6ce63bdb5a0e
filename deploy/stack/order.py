"""What a person asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.cloud.access import Access
from deploy.stack.follow import Pace


@dataclass(frozen=True)
class Order:
    """What a person asked for.

    Attributes:
        environment: the environment's name.
        root: the repository.
        region: of the command line; empty leaves it to the environment's file.
        given: parameters of the command line.
        rollback: a commit to go back to; empty deploys the working copy's.
        dry_run: show the change set and remove it.
        ci: nobody keeps a secret that is made here.
        variables: of this process.
        endpoint: where all services answer instead of their own addresses.
        pace: how often to look.
        connect: region and endpoint -> the account's services.
    """

    environment: str
    root: Path
    region: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    rollback: str = ""
    dry_run: bool = False
    ci: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    pace: Pace = field(default_factory=Pace)
    connect: Callable[[str, str], Access] = Access

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"postbus-{self.environment}"

    @property
    def state(self) -> Path:
        """Where this machine keeps what a later run needs."""
        return self.root / ".postbus" / "deploy"
