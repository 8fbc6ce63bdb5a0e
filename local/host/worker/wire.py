"""Frames between the host and a worker: two lengths, a JSON header, the payload as it is.

    4 bytes header length | 4 bytes payload length | header (JSON, UTF-8) | payload

The payload is never encoded or copied into the header: an event of 32 MB costs its own bytes.
Used by both ends: standard library only.
"""

from __future__ import annotations

import json
import struct
from typing import Any

LENGTHS = struct.Struct(">II")


def pack(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One frame."""
    head = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((LENGTHS.pack(len(head), len(payload)), head, payload))


def unpack(buffer: bytearray) -> tuple[dict[str, Any], bytes] | None:
    """Take one whole frame off the front of a buffer; None while it is incomplete."""
    if len(buffer) < LENGTHS.size:
        return None
    head_size, payload_size = LENGTHS.unpack_from(buffer)
    head_end = LENGTHS.size + head_size
    end = head_end + payload_size
    if len(buffer) < end:
        return None
    header = json.loads(buffer[LENGTHS.size : head_end])
    payload = bytes(memoryview(buffer)[head_end:end])
    del buffer[:end]
    return header, payload
