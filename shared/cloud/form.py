"""HTTP forms, written at the speed of C.

The standard library quotes byte by byte in Python, and the SDK hands it whole mails: of a call
with a body of 1 MB that is nearly all of the time. What comes out here is the same.
"""

from __future__ import annotations

import string
from collections.abc import Mapping

_SAFE = (string.ascii_letters + string.digits + "_.-~").encode()


def form_of(fields: Mapping[str, str | int]) -> bytes:
    """The fields in the order of their names, as `application/x-www-form-urlencoded`."""
    pairs = [b"%b=%b" % (_quoted(name), _quoted(str(fields[name]))) for name in sorted(fields)]
    return b"&".join(pairs)


def _quoted(text: str) -> bytes:
    """One pass for each character that has to be replaced; a mail has few different ones."""
    data = text.encode()
    unsafe = set(data.translate(None, _SAFE))
    # The sign of quoting goes first, so that nothing is quoted twice; spaces go last, when every
    # plus that was there before is quoted.
    for byte in (ord("%"), *(unsafe - {ord("%"), ord(" ")})):
        data = data.replace(bytes((byte,)), b"%%%02X" % byte)
    return data.replace(b" ", b"+")
