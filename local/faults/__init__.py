"""The twins misbehave on request: rules that say when, and the edges that do it.

`Faults` holds the rules and decides; the modules beside it act, each at its twin's edge, so that
the twins themselves know nothing of it. None of this is part of what is deployed.
"""

from __future__ import annotations

from local.faults.kinds import KINDS, TARGETS
from local.faults.registry import Fault, Faults
from local.faults.rules import Rule, RuleError, rules_of

__all__ = ["KINDS", "TARGETS", "Fault", "Faults", "Rule", "RuleError", "rules_of"]
