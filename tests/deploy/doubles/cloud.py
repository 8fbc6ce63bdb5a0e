"""One address behind which a whole account answers the unmodified official SDKs.

Who is asked is seen from the request: OSS and SMQ by the kind of signature, all others by the
operation that a header names. DirectMail and SMQ are the twins that everybody runs; what is
deployed is what the double of ROS made.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local.account import ACCOUNT_ID, Account
from local.activity import Activity
from local.twins.directmail import wire
from local.twins.directmail.acs3 import SignedRequest, Verifier, join_headers
from local.twins.directmail.errors import ApiError
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.rules import DirectMailRules
from local.twins.directmail.service import DirectMail
from local.twins.smq.app import create_app
from local.twins.smq.broker import Broker
from local.twins.smq.model import QueueAttributes
from tests.cloud.conftest import Running, serving
from tests.deploy.doubles.deployed import Deployed, DeployedRefusal
from tests.deploy.doubles.oss import Oss, Request
from tests.deploy.doubles.ros import Ros, RosRefusal

PRODUCTS = {
    "2015-04-01": "sts",
    "2015-05-01": "ram",
    "2015-11-23": "dm",
    "2019-09-10": "ros",
    "2020-04-01": "eventbridge",
    "2022-01-19": "mns",
    "2023-03-30": "fc",
}
RULES = DirectMailRules(
    senders=frozenset({"no-reply@mail.example.com"}),
    domains=frozenset({"mail.example.com"}),
    tags=frozenset({"order-shipped"}),
)


class Cloud:
    """The account.

    Attributes:
        ros: stacks.
        oss: buckets.
        deployed: what the other services show of the stacks.
        rules: DirectMail's console.
        denied: RAM actions that are refused, like `ros:CreateChangeSet`.
        lost: actions that are carried out and whose answer is lost, each once.
        calls: every action that was asked for, in order.
        arn: who asks.
        skew: seconds by which the account's clock is ahead of this machine's.
    """

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self.account = Account()
        self.rules = RULES
        self.denied: set[str] = set()
        self.lost: list[str] = []
        self.calls: list[str] = []
        self.arn = f"acs:ram::{ACCOUNT_ID}:user/deployer"
        self.skew = 0.0
        self.ros = Ros(lambda: self.url, ACCOUNT_ID)
        self.oss = Oss(self.account, "cn-hangzhou")
        self.oss.denied = self.denied
        self.deployed = Deployed(self.ros)
        self._verifier = Verifier(self.account, lambda: time.time() + self.skew)
        self._folder = folder
        self._smq: Any = None
        self.broker: Broker
        self.running: Running

    def begin(self, url: str, running: Running) -> None:
        """Open what lives in the server's thread."""
        self.url, self.running = url, running

        def open_them() -> None:
            self.broker = Broker(self._folder / "smq.db", activity=Activity())
            self._smq = create_app(self.broker, self.account)
            self._outbox = Outbox(self._folder / "outbox")

        running.do(open_them)

    def end(self) -> None:
        """Close it again."""
        self.running.do(self.broker.close)
        self.running.do(self._outbox.close)

    def put(self, queue: str, body: str = "e30=") -> None:
        """Put a message on a queue that is made for it."""

        def put() -> None:
            self.broker.ensure_queue(queue, QueueAttributes())
            self.broker.send(queue, body)

        self.running.do(put)

    def make_queues(self) -> None:
        """Make the queues that the stacks have, so that they can be looked into."""
        names = self.deployed.queue_names()

        def make() -> None:
            for name in names:
                self.broker.ensure_queue(name, QueueAttributes())

        self.running.do(make)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = join_headers(scope["headers"])
        asked = headers.get("authorization", "")
        if asked.startswith("MNS "):
            if "mns:PeekMessage" in self.denied:
                refusal = (
                    '<Error xmlns="http://mns.aliyuncs.com/doc/v1/"><Code>AccessDenied</Code>'
                    "<Message>no</Message><RequestId>R</RequestId><HostId>H</HostId></Error>"
                )
                await Response(refusal, 403, media_type="text/xml")(scope, receive, send)
                return
            await self._smq(scope, receive, send)
            return
        body = await HttpRequest(scope, receive).body()
        path = scope["raw_path"].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        if asked.startswith("OSS4"):
            if await self._was_held(query):
                return  # whoever sent it is gone
            found = self.oss.answer(Request(scope["method"], path, query, headers, body))
            response = Response(found.body, found.status, dict(found.headers))
        else:
            request = SignedRequest(scope["method"], path, query, headers, body)
            response = self._rpc(request)
        await response(scope, receive, send)

    async def _was_held(self, query: str) -> bool:
        """Keep a part waiting that is not to be taken yet; whether it was."""
        number = int(parse_qs(query).get("partNumber", ["0"])[0])
        held = self.oss.parts_taken is not None and number > self.oss.parts_taken
        while held and self.oss.parts_taken is not None:  # noqa: ASYNC110  # a test's thread ends it
            await asyncio.sleep(0.01)
        return held

    def _rpc(self, request: SignedRequest) -> Response:
        action = request.headers.get("x-acs-action", "")
        product = PRODUCTS.get(request.headers.get("x-acs-version", ""), "unknown")
        name = f"{product}:{action}"
        self.calls.append(name)
        try:
            status, body = self._answer(product, action, request, name)
        except ApiError as error:
            status, body = error.status, _refused(error.code, error.message)
        except (RosRefusal, DeployedRefusal) as error:
            status, body = error.status, _refused(error.code, error.message)
        if name in self.lost:
            self.lost.remove(name)
            return Response("<html>Bad gateway</html>", 502, media_type="text/html")
        body = {"RequestId": str(uuid.uuid4()).upper(), **body}
        return Response(json.dumps(body), status, media_type="application/json")

    def _answer(
        self, product: str, action: str, request: SignedRequest, name: str
    ) -> tuple[int, dict[str, Any]]:
        if name in self.denied:
            self._verifier.verify(request)
            return 403, self._denied(product, name)
        if product == "dm":
            return self._directmail().answer(request)
        self._verifier.verify(request)
        form = request.headers.get("content-type", "").startswith(wire.FORM)
        given = wire.decode(request.query.encode(), request.body if form else b"").values
        if product == "ros":
            return 200, self.ros.call(action, given)
        if name == "sts:GetCallerIdentity":
            return 200, {"AccountId": ACCOUNT_ID, "Arn": self.arn, "IdentityType": "RAMUser"}
        return 200, self.deployed.call(name, given, request.path)

    def _directmail(self) -> DirectMail:
        """DirectMail with the console as it is now."""
        return DirectMail(
            self._outbox,
            account=self.account,
            rules=self.rules,
            emit=lambda _event: None,
            activity=Activity(),
            upload_port=None,
            clock=lambda: time.time() + self.skew,
        )

    @staticmethod
    def _denied(product: str, name: str) -> dict[str, Any]:
        if product == "dm":  # it says no more than this
            return _refused("Forbidden.RAM", "User not authorized to operate on the resource.")
        told = _refused("NoPermission", f"You are not authorized to do this action: {name}.")
        return {**told, "AccessDeniedDetail": {"AuthAction": name, "NoPermissionType": "Implicit"}}


def _refused(code: str, message: str) -> dict[str, Any]:
    return {"Code": code, "Message": message, "HostId": "127.0.0.1"}


def _listening() -> socket.socket:
    # Without its protocol named, asyncio leaves Nagle's algorithm on, and each answer waits 40 ms.
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.bind(("127.0.0.1", 0))
    door.listen(128)
    return door


class Address:
    """One address of this machine, behind which accounts take turns."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.running: Running
        self._now: Cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of the account that is there now."""
        await self._now(scope, receive, send)

    @contextlib.contextmanager
    def account(self, folder: Path) -> Iterator[Cloud]:
        """A new account, until the block is left."""
        cloud = Cloud(folder)
        cloud.begin(self.url, self.running)
        self._now = cloud
        yield cloud
        cloud.end()


@contextlib.contextmanager
def serving_address() -> Iterator[Address]:
    """An address that answers, until the block is left."""
    door = _listening()
    address = Address(f"http://127.0.0.1:{door.getsockname()[1]}")
    with serving((address, door, None)) as running:
        address.running = running
        yield address
