"""The files of `events/directmail/`: written from the samples, and kept true by a test.

python -m tests.delivery.sample_files
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.delivery.envelopes import ALL_ENVELOPES, ENVELOPES
from tests.delivery.samples import OCCURRENCES, Dialect, legacy, spell

FOLDER = Path(__file__).parents[2] / "events" / "directmail"
PAGES: Mapping[str, str] = {
    "events": "https://help.aliyun.com/zh/eventbridge/user-guide/events-of-the-direct-mail-type",
    "older": "https://help.aliyun.com/document_detail/52965.html",
    "triggers": "https://help.aliyun.com/zh/fc/user-guide/formats-of-event-for-different-triggers",
    "queues": "https://www.alibabacloud.com/help/en/functioncompute/fc/mns-queue-triggers",
    "notifications": "https://help.aliyun.com/document_detail/27482.html",
    "targets": "https://help.aliyun.com/zh/eventbridge/user-guide/overview-6",
}
# What a type spells in its own way, whatever the year.
_NATURAL: Mapping[str, Mapping[str, str]] = {
    "complained": {"times": "epoch text", "ids": "complaint", "header": "absent"},
    "unsubscribed": {"ids": "feedback", "header": "absent"},
    "resubscribed": {"ids": "feedback", "header": "absent", "name": "blank"},
    "opened": {"header": "absent"},
    "clicked": {"header": "absent"},
}
_YEARS: Mapping[str, Mapping[str, str]] = {
    "2025": {},
    "2024": {"source": "acs.dm", "year": "2024", "times": "zoned"},
}
TYPES = ("delivered", "bounced", *_NATURAL, "validated")
# Slug -> envelope, and the page that shows it or describes it.
SHOWN: Mapping[str, tuple[str, str]] = {
    "object.json": ("object", "triggers"),
    "array.json": ("array", "targets"),
    "data-as-text.json": ("object with data as text", "targets"),
    "queue-stream.json": ("queue: stream, plain", "queues"),
    "queue-stream-base64.json": ("queue: stream, base64", "queues"),
    "queue-stream-json-string.json": ("queue: stream, JSON string", "queues"),
    "queue-stream-parsed.json": ("queue: body parsed", "queues"),
    "queue-stream-array.json": ("queue: an array in the body", "queues"),
    "queue-event-driven.json": ("queue: event-driven, base64", "queues"),
    "queue-texts.json": ("queue: stream of texts, plain", "queues"),
    "queue-rawdata.json": ("queue: RawData, plain", "queues"),
    "queue-rawdata-one.json": ("queue: one RawData, base64", "queues"),
    "topic-trigger-json.json": ("topic trigger: JSON of plain", "triggers"),
    "topic-trigger-stream.txt": ("push: SIMPLIFIED of plain", "triggers"),
    "topic-trigger-stream-base64.txt": ("push: SIMPLIFIED of base64", "triggers"),
    "topic-trigger-attributes.json": ("topic trigger: STREAM with attributes of plain", "triggers"),
    "push-xml.xml": ("push: XML of plain", "notifications"),
    "push-xml-base64.xml": ("push: XML of base64", "notifications"),
    "push-json.json": ("push: JSON of plain", "notifications"),
    "topic-to-queue-xml.json": ("topic to queue: XML of plain, stream", "notifications"),
    "topic-to-queue-xml-base64.json": ("topic to queue: XML of base64, stream", "notifications"),
    "topic-to-queue-json.json": ("topic to queue: JSON of plain, stream", "notifications"),
    "topic-to-queue-simplified.json": (
        "topic to queue: SIMPLIFIED of plain, stream",
        "notifications",
    ),
}


@dataclass(frozen=True)
class File:
    """A file of `events/directmail/`."""

    name: str
    data: bytes
    what: str
    sentence: str
    page: str


def files() -> Iterator[File]:
    """Every type in its own spelling of either year and in the older text; every envelope."""
    for name in TYPES:
        what = OCCURRENCES[name]
        for year, words in _YEARS.items():
            # What a type has of its own goes before what the year had.
            document = spell(what, Dialect(**{**words, **_NATURAL.get(name, {})}))
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            yield File(
                f"{name}-{year}.json", text.encode(), name, f"`{what.type}`, {year}", "events"
            )
        if what.legacy:
            told = f"the older notification's text, `event={what.legacy}`"
            yield File(f"{name}-older.txt", legacy(what).encode(), name, told, "older")
    event = json.dumps(spell(OCCURRENCES["bounced"], Dialect()))
    for slug, (envelope, page) in SHOWN.items():
        yield File(
            f"bounced-{slug}", ALL_ENVELOPES[envelope](event), "bounced", f"in {envelope}", page
        )
        if envelope in ENVELOPES:
            text = legacy(OCCURRENCES["bounced"])
            told = f"the older text, in {envelope}"
            data = ENVELOPES[envelope](text)
            yield File(f"bounced-older-{slug}", data, "bounced", told, page)


def readme() -> str:
    """The table of the files."""
    rows = [
        f"| `{file.name}` | {file.sentence} | [{file.page}]({PAGES[file.page]}) |"
        for file in files()
    ]
    return "\n".join(
        [
            "# DirectMail's events, in every type, dialect and envelope",
            "",
            "What came is one mail's: to one recipient, at one time. The pages show the failed",
            "delivery whole and describe the rest; the values are our own.",
            "`python -m tests.delivery.sample_files` writes them and this table, a test keeps them",
            "true, and `postbus invoke delivery_events FILE` hands one to the function.",
            "",
            "| file | what | page |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def write() -> None:
    """Write the files and their table."""
    FOLDER.mkdir(exist_ok=True)
    for file in files():
        (FOLDER / file.name).write_bytes(file.data)
    (FOLDER / "README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    write()
