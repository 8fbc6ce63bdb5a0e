"""The rules: what is taken, what is refused, and what the dice do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.activity import Activity
from local.faults import KINDS, Faults, Rule, RuleError, rules_of


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def hits(faults: Faults, asks: int, action: str = "SingleSendMail") -> str:
    """Ask so many times: a cross for each hit, a point for each miss."""
    return "".join(
        "x" if faults.choose("directmail", action, "ann@example.net") else "." for _ in range(asks)
    )


def armed(*rules: Rule, clock: Clock | None = None) -> Faults:
    """Faults with these rules."""
    faults = Faults(clock=clock or Clock())
    faults.set(rules)
    return faults


def test_nothing_goes_wrong_without_a_rule() -> None:
    """No rules: every choice is None, and no twin has to look at its requests."""
    faults = Faults()
    assert hits(faults, 3) == "..."
    assert not faults.concern("directmail")


def test_the_same_seed_hits_the_same_requests() -> None:
    """The dice depend on the seed alone; another seed hits others, about as often as asked."""
    one, again, other = (
        hits(armed(Rule("directmail", "*", "reset-after", probability=0.3, seed=seed)), 1000)
        for seed in (7, 7, 8)
    )
    assert one == again
    assert one != other
    assert 250 < one.count("x") < 350


def test_two_rules_with_one_seed_have_their_own_dice() -> None:
    """Otherwise a second rule of the same probability would never hit."""
    faults = armed(
        Rule("directmail", "*", "reset-after", probability=0.5),
        Rule("directmail", "*", "empty", probability=0.5),
    )
    kinds = [faults.choose("directmail", "SingleSendMail") for _ in range(200)]
    assert {fault.kind if fault else None for fault in kinds} == {"reset-after", "empty", None}


def test_a_rule_is_over_after_its_count() -> None:
    """`count` hits, then nothing more; the listing says how often it was asked and hit."""
    faults = armed(Rule("directmail", "SingleSendMail", "throttled", count=2))
    assert hits(faults, 4) == "xx.."
    (listed,) = faults.list()
    assert (listed["hits"], listed["asked"], listed["count"]) == (2, 2, 2)


def test_the_first_rule_that_hits_decides() -> None:
    """Rules are asked in their order."""
    faults = armed(
        Rule("directmail", "*", "empty", count=1),
        Rule("directmail", "*", "slow", seconds=3),
    )
    found = [faults.choose("directmail", "SingleSendMail") for _ in range(2)]
    assert [(fault.kind, fault.seconds) for fault in found if fault] == [("empty", 0), ("slow", 3)]


def test_a_rule_concerns_its_action_and_its_match() -> None:
    """Another action, and a request without the text, are left alone and not counted."""
    faults = armed(Rule("directmail", "SingleSendMail", "throttled", match="ann@"))
    assert faults.choose("directmail", "AuthorizeFileUpload", "ann@example.net") is None
    assert faults.choose("directmail", "SingleSendMail", "bob@example.net") is None
    assert faults.choose("smq", "SendMessage", "ann@example.net") is None
    assert faults.list()[0]["asked"] == 0
    assert hits(faults, 1) == "x"


def test_a_rule_that_stays_goes_on() -> None:
    """Setting further rules revives none that is over; clearing begins anew."""
    once = Rule("directmail", "*", "empty", count=1)
    faults = armed(once)
    assert hits(faults, 2) == "x."
    faults.set([once, Rule("smq", "*", "down")])
    assert hits(faults, 1) == "."
    faults.clear()
    faults.set([once])
    assert hits(faults, 1) == "x"


def test_down_ends_by_itself() -> None:
    """`down` with seconds holds from when it was set; without, until it is cleared."""
    clock = Clock()
    faults = armed(Rule("smq", "*", "down", seconds=10), clock=clock)
    assert faults.down("smq", "ReceiveMessage", "mails")
    clock.now += 11
    assert not faults.down("smq", "ReceiveMessage", "mails")
    assert faults.choose("smq", "SendMessage") is None
    faults.set([Rule("smq", "*", "down")])
    clock.now += 1_000_000
    assert faults.down("smq", "ReceiveMessage", "mails")


def test_rate_limit_is_a_sliding_second() -> None:
    """Any second admits so many calls, across the turn of a second too; refused ones are free."""
    clock = Clock()
    faults = armed(Rule("directmail", "*", "rate-limit", per_second=2), clock=clock)
    clock.now += 0.9
    assert hits(faults, 3) == "..x"
    clock.now += 0.2
    assert hits(faults, 1) == "x"
    clock.now += 0.8
    assert hits(faults, 3) == "..x"


def test_daily_quota_counts_what_was_accepted() -> None:
    """Recipients over it are refused until the next day, which may be a simulated one."""
    clock = Clock()
    rule = Rule("directmail", "*", "daily-quota", recipients=3, day_seconds=60)
    faults = armed(rule, clock=clock)

    def send(recipients: int) -> bool:
        refused = faults.choose("directmail", "SingleSendMail", recipients=recipients)
        if not refused:
            faults.accepted("SingleSendMail", "", recipients)
        return not refused

    assert [send(2), send(2), send(1), send(1)] == [True, False, True, False]
    clock.now += 60
    assert send(3)


def test_each_fault_is_told() -> None:
    """The activity has each one, for the log of `postbus up`."""
    activity = Activity()
    faults = Faults(activity=activity)
    faults.set([Rule("events", "*", "lost")])
    faults.choose("events", "dm:Deliver:Fail")
    (happening,) = activity.kept()
    assert happening.fields == {"target": "events", "action": "dm:Deliver:Fail", "kind": "lost"}


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"target": "post"}, "unknown target: 'post'; known: directmail, events, smq, tablestore"),
        ({"kind": "broken"}, "unknown kind of directmail: 'broken'; known: throttled, "),
        ({"action": "SendMail"}, "known: *, AuthorizeFileUpload, SingleSendMail"),
        ({"target": "smq", "kind": "duplicate", "action": "DeleteMessage"}, "*, SendMessage"),
        ({"probability": 1.5}, "probability must be a number from 0 to 1, not 1.5"),
        ({"probability": True}, "probability"),
        ({"probability": float("nan")}, "probability"),
        ({"count": 0}, "count must be a whole number of 1 or more"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"match": ""}, "match must be a text"),
        ({"seconds": -1, "kind": "slow"}, "seconds must be a number from 0"),
        ({"seconds": 1}, "reset-after takes no seconds"),
        ({"kind": "rate-limit"}, "rate-limit needs per_second"),
        ({"kind": "daily-quota", "recipients": 1.5}, "recipients must be a whole number"),
        ({"often": 1}, "unknown field: 'often'; known: target"),
        ({"target": None}, "a rule needs target, a text"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any], told: str) -> None:
    """With a message that says what would; nothing is changed."""
    good = {"target": "directmail", "action": "*", "kind": "reset-after"}
    with pytest.raises(RuleError) as refused:
        rules_of({"rules": [good, {**good, **rule}]})
    assert str(refused.value).startswith("rule 2: ")
    assert told in str(refused.value)


@pytest.mark.parametrize("document", [None, [], {"rules": 1}, {"rules": [], "more": 1}, {}])
def test_a_document_that_is_none_is_refused(document: Any) -> None:
    """Only {"rules": [...]} is one."""
    with pytest.raises(RuleError, match="faults are a JSON object"):
        rules_of(document)


def test_what_is_listed_can_be_set() -> None:
    """A listing goes through JSON and back into the same rules."""
    rules = [
        Rule.from_json(
            {"target": target, "action": "*", "kind": name, **dict.fromkeys(kind.options, 2)}
        )
        for target, kinds in KINDS.items()
        for name, kind in kinds.items()
    ]
    assert rules_of(json.loads(json.dumps({"rules": armed(*rules).list()}))) == rules
