"""This project's own rules for its template: what the vendor would accept and we would regret."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from deploy.check.problems import Problem
from deploy.check.rendered import Rendered
from deploy.check.rules.alarms import check_alarms
from deploy.check.rules.functions import check_functions
from deploy.check.rules.queues import check_queues
from deploy.check.rules.quotas import check_quotas
from deploy.check.rules.roles import check_roles
from deploy.check.rules.streams import check_streams
from deploy.check.rules.tables import check_tables
from deploy.check.rules.triggers import check_triggers

__all__ = ["RULES", "Rule"]

Rule = Callable[[Rendered], Iterator[Problem]]
RULES: tuple[Rule, ...] = (
    check_alarms,
    check_functions,
    check_queues,
    check_quotas,
    check_roles,
    check_streams,
    check_tables,
    check_triggers,
)
