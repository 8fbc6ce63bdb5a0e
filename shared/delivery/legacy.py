"""The older asynchronous notification: `key=value` pairs, joined by `&` and not URL-encoded.

https://help.aliyun.com/document_detail/52965.html

    X-Notify-Message-ID=…&env_id=…&rcpt=…&status=4&event=deliver&err_msg=550 a=b&c&failed_type=…

Nothing is escaped, while a remote host's answer, a link or a browser's name may hold `&` and `=`.
So the text is cut only in front of a known name. Where such a name is there twice, one of them is
part of somebody's text. Meant is the last one before any stranger's text, else the last of all: a
notify header, whose value is the sender's own, stands before what DirectMail says, and a stranger
cannot overrule what stands before their words. (Of the strangers' texts themselves, the first.)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

# Fields whose value a stranger wrote.
FREE_TEXT = frozenset({"err_msg", "url", "user_agent", "subject"})
# What any event may have, and what only these have; another name in their text is part of it.
COMMON = frozenset(
    [
        "account",
        "deliver_time",
        "end_time",
        "env_id",
        "envid",
        "event",
        "from",
        "message_id",
        "msg_id",
        "rcpt",
        "recv_time",
        "region",
        "send_time",
        "tag",
    ]
)
_PEOPLES = {"client_ip", "operate_time"}
OWN: Mapping[str, frozenset[str]] = {
    "deliver": frozenset({"err_code", "err_msg", "failed_type", "status"}),
    "open": frozenset({"user_agent", *_PEOPLES}),
    "click": frozenset({"url", "user_agent", *_PEOPLES}),
    "complaint": frozenset(
        {"block_email", "block_time", "fbl_isp", "fingerprint", "send_email", "subject"}
    ),
    "unsubscribe": frozenset(_PEOPLES),
    "subscribe": frozenset(_PEOPLES),
}
_HEADER = r"(?i:X-(?:User-)?Notify-)[!-%'-<>-~]*"
_CUT = re.compile(
    rf"(?:\A|&)({'|'.join(sorted(COMMON.union(*OWN.values())))}|{_HEADER})=", re.ASCII
)

# `event` -> what happened; of a delivery, `status` tells.
EVENTS: Mapping[str, str | None] = {
    "deliver": None,
    "open": "opened",
    "click": "clicked",
    "complaint": "complained",
    "unsubscribe": "unsubscribed",
    "subscribe": "resubscribed",
}
_SUCCESS = "0"
_SENT = "SendOk"

Piece = tuple[str, str]


def read_pairs(text: str) -> dict[str, Any]:
    """The pairs, named as in an event of EventBridge: the notify headers are in `header`. Total."""
    pieces = _cut(text)
    event = dict(_meant(pieces)).get("event", "")
    known = COMMON | OWN.get(event, frozenset())
    pairs: dict[str, Any] = {"header": {}}
    for name, value in _meant(_joined(pieces, known)):
        if _is_header(name):
            pairs["header"][name] = value
        else:
            pairs[name] = value
    return pairs


def state_of_pairs(pairs: Mapping[str, Any]) -> str | None:
    """What happened; None where the pairs do not tell."""
    event = pairs.get("event")
    if event != "deliver":
        return EVENTS.get(event) if isinstance(event, str) else None
    if pairs.get("status"):
        return "delivered" if str(pairs["status"]) == _SUCCESS else "bounced"
    if pairs.get("failed_type"):
        return "delivered" if pairs["failed_type"] == _SENT else "bounced"
    return None


def _cut(text: str) -> list[Piece]:
    """The text in pieces, each beginning with a known name; what stands before is no pair."""
    parts = _CUT.split(text)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _joined(pieces: list[Piece], known: Collection[str]) -> list[Piece]:
    """The pieces without those whose name is not known: they are part of the text before them."""
    joined: list[Piece] = []
    for name, value in pieces:
        if name in known or _is_header(name):
            joined.append((name, value))
        elif joined:
            _append(joined, name, value)
    return joined


def _meant(pieces: list[Piece]) -> list[Piece]:
    """Those of the pieces that are pairs, with the others put back into the text they are of."""
    free = next((i for i, (name, _) in enumerate(pieces) if name in FREE_TEXT), len(pieces))
    names = [name.lower() for name, _ in pieces]
    meant = {name: i for i, name in enumerate(names)}
    meant |= {name: i for i, name in enumerate(names[:free])}
    meant |= {name: names.index(name) for name in FREE_TEXT.intersection(names)}
    pairs: list[Piece] = []
    for i, (name, value) in enumerate(pieces):
        if meant[names[i]] == i:
            pairs.append((name, value))
        elif pairs:
            _append(pairs, name, value)
    return pairs


def _append(pieces: list[Piece], name: str, value: str) -> None:
    of, text = pieces[-1]
    pieces[-1] = (of, f"{text}&{name}={value}")


def _is_header(name: str) -> bool:
    return name[:2].lower() == "x-"
