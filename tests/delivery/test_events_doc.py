"""`docs/events.md` says what the code does."""

from __future__ import annotations

import re

from local.events_doc import PAGE, PARTS, written


def test_the_page_is_written_from_the_code() -> None:
    """`make schema` brings it up to date."""
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page


def test_the_page_has_every_part_once() -> None:
    """No table of the code is missing, and a part that was edited by hand is written anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(re.findall(r"<!-- begin (\S+) -->", page)) == sorted(PARTS)
    assert written(page.replace("`mailbox-not-found`", "`nowhere`")) == page
