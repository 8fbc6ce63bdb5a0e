# ruff: noqa: INP001  # programs, not a package: nobody imports them
"""The loop that one would write without Postbus: `json.loads`, and the call of the official SDK.

    python bench/bare.py PORT

It reads queue trigger events, one a line, sends their mails to DirectMail's twin at that port, and
prints for each event the seconds of CPU that it took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from alibabacloud_dm20151123 import models
from alibabacloud_dm20151123.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

sys.path.insert(0, str(Path(__file__).parents[1]))

from local.account import OWNER  # `bench` is no package: its root is put there first


def main(port: int) -> None:
    """Serve until the input ends."""
    client = Client(
        Config(
            access_key_id=OWNER.id,
            access_key_secret=OWNER.secret,
            region_id="cn-hangzhou",
            endpoint=f"127.0.0.1:{port}",
            protocol="http",
        )
    )
    for event in sys.stdin.buffer:
        before = time.process_time()
        send_all(client, event)
        sys.stdout.write(f"{time.process_time() - before}\n")
        sys.stdout.flush()


def send_all(client: Client, event: bytes) -> None:
    """Send the mails of one event."""
    for element in json.loads(event):
        mail = json.loads(element["data"]["messageBody"])
        headers = {f"X-User-Notify-{k}": v for k, v in mail["notify"].items()}
        request = models.SingleSendMailRequest(
            account_name=mail["sender"]["address"],
            from_alias=mail["sender"]["alias"],
            address_type=1,
            reply_to_address="false",
            to_address=",".join(mail["to"]),
            subject=mail["subject"],
            html_body=mail["html"],
            text_body=mail["text"],
            tag_name=mail["tag"],
            headers=json.dumps(headers),
        )
        client.single_send_mail_with_options(request, RuntimeOptions())


if __name__ == "__main__":
    main(int(sys.argv[1]))
