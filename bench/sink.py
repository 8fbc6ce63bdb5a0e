# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""A DirectMail that accepts everything and remembers what it was last sent, as a digest.

    python bench/sink.py

It prints its port. `GET /` tells the length and the SHA-256 of the last body.
"""

from __future__ import annotations

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sink(BaseHTTPRequestHandler):
    """Answers as SingleSendMail does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    last = ""

    def do_POST(self) -> None:
        """Take a call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Sink.last = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        self._answer(json.dumps({"EnvId": "600000192837465000", "RequestId": "SINK"}).encode())

    def do_GET(self) -> None:
        """Tell what was last sent."""
        self._answer(Sink.last.encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's signature
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
