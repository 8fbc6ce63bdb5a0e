"""The switches of a running stack, over its console: what a test and a program use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from local.faults.rules import COUNTERS, PATH, Rule


class FaultSwitches:
    """The faults of one stack, as `postbus faults` has them.

    Args:
        url: where the stack answers.
        file: keeps the rules, so that a restarted stack begins with them.
    """

    def __init__(self, url: str, file: Path) -> None:
        self._url = url + PATH
        self._file = file

    def set(self, target: str, action: str, kind: str, **options: Any) -> None:
        """Add a rule to those in force; the first that hits decides.

        Args:
            target: directmail, events, smq or tablestore.
            action: e.g. SingleSendMail; `*` is all.
            kind: what goes wrong, e.g. timeout-after.
            options: fields of `local.faults.Rule`: probability, count, seed, match, seconds …

        Raises:
            RuleError: the rule makes no sense; the message says what would.
        """
        rule = Rule(target, action, kind, **options).as_json()
        there = [
            {name: value for name, value in each.items() if name not in COUNTERS}
            for each in self.list()
        ]
        self._put([*there, rule])

    def list(self) -> list[dict[str, Any]]:
        """The rules in force, each with how often it was `asked` and its `hits`."""
        rules: list[dict[str, Any]] = _checked(httpx.get(self._url, trust_env=False))["rules"]
        return rules

    def clear(self) -> None:
        """Let everything go well again."""
        self._put([])

    def _put(self, rules: Sequence[Mapping[str, Any]]) -> None:
        document = {"rules": list(rules)}
        _checked(httpx.put(self._url, json=document, trust_env=False))
        self._file.write_text(json.dumps(document))


def _checked(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document
