"""Everything on one address: the twins, the event bus, the function host and the console's data.

One process serves it all and the functions run in worker processes of their own, so a kill -9 of
the process group is the loss of the whole cloud at once; what was on a queue or accepted by
DirectMail is in SQLite files in the state folder, and is there again after a restart.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from local import console
from local.account import Account
from local.activity import Activity
from local.faults import Faults, Rule
from local.faults.directmail import DirectMailEdge
from local.faults.events import FaultyDirectMail, faulty_bus
from local.faults.smq import FaultyBroker, SmqEdge
from local.fire.carriers import Carriers, Ends
from local.fire.firing import Firing
from local.host import app as host_app
from local.host.host import Host
from local.host.model import Template
from local.host.template import load_template
from local.host.triggers.retries import push_pauses
from local.serving import ADDRESS, Asgi, Scope, Server, end, listen, raise_ended, server
from local.twins.directmail import app as directmail_app
from local.twins.directmail.certificate import issue_certificate
from local.twins.directmail.outbox import Outbox
from local.twins.directmail.rules import DirectMailRules
from local.twins.eventbridge import EventBus, Target
from local.twins.eventbridge_push import TargetPush
from local.twins.push.certificate_door import with_certificate
from local.twins.push.key import CERTIFICATE_PATH, push_key
from local.twins.push.pusher import Pusher
from local.twins.smq import app as smq_app
from local.twins.smq.broker import Broker
from local.twins.smq.http_push import HttpPush

ROOT = Path(__file__).resolve().parent.parent
PORT = 8025
ENVIRONMENT = "local"
INSTANCE = "pb-local"
# The template's parameters on this machine. Every recipient is allowed: nothing leaves it.
LOCAL_PARAMETERS = {
    "Env": ENVIRONMENT,
    "OssBucket": "local",
    "CodeVersion": "worktree",
    "DefaultSender": "noreply@mail.example.com",
    "AllowedRecipients": "*",
    "SuppressionKey": "the key of one machine, and of no cloud",
}

# What pushes of the local event bus carry along, and what a local program signs its hooks with.
PUSH_TOKEN = "local-push-token"  # noqa: S105  # of this machine only
HOOK_SECRET = "whsec_bG9jYWwtaG9vay1zZWNyZXQtMjRi"  # noqa: S105  # likewise


@dataclass(frozen=True)
class StackOptions:
    """How to run.

    Attributes:
        port: of the one address; the upload door is on the next one. 0 picks free ones.
        state: the folder that everything is kept in.
        template: the template that says what runs.
        rules: what the DirectMail twin knows, and the form of its events.
        instances: worker processes for each function, at most.
        time_scale: 1 is real time; 0.01 makes the platform's retry delays a hundredth.
        environment: further variables for the functions.
        ledger: `sqlite`, or `tablestore` for its twin.
        faults: how the twins misbehave from the start; see `local.faults`.
        log: takes the function and the line, for each line that one prints.
    """

    port: int = PORT
    state: Path = Path(".postbus")
    template: Path = ROOT / "template.yml"
    rules: DirectMailRules = field(
        default_factory=lambda: DirectMailRules(domains=frozenset({"mail.example.com"}))
    )
    instances: int = 2
    time_scale: float = 1.0
    environment: dict[str, str] = field(default_factory=dict)
    ledger: Literal["sqlite", "tablestore"] = "sqlite"
    faults: tuple[Rule, ...] = ()
    log: Callable[[str, str], None] = lambda _function, _line: None


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    url: str
    template: Template
    broker: Broker
    outbox: Outbox
    host: Host
    activity: Activity
    faults: Faults
    firing: Firing


@asynccontextmanager
async def running(options: StackOptions) -> AsyncIterator[Stack]:
    """Run a stack until the block ends.

    Raises:
        PortInUseError: one of the two ports is taken.
    """
    with listen(options.port) as main, listen(options.port and options.port + 1) as upload:
        stack, servers, jobs = _build(options, main, upload)
        tasks = [asyncio.ensure_future(job) for job in jobs]
        tasks += [
            asyncio.ensure_future(server.serve(sockets=[at]))
            for server, at in zip(servers, (main, upload), strict=True)
        ]
        try:
            while not all(server.started for server in servers):
                raise_ended(tasks)
                await asyncio.sleep(0.01)
            await stack.host.warm()
            tasks.append(asyncio.ensure_future(stack.host.run()))
            yield stack
        finally:
            for server in servers:
                server.should_exit = True
            await end(tasks[: len(jobs)] + tasks[len(jobs) + len(servers) :])
            await asyncio.gather(*tasks, return_exceptions=True)
            await stack.host.close()
            stack.broker.close()
            stack.outbox.close()


def _build(
    options: StackOptions, main: socket.socket, upload: socket.socket
) -> tuple[Stack, list[Server], list[Any]]:
    port, upload_port = main.getsockname()[1], upload.getsockname()[1]
    url = f"http://{ADDRESS}:{port}"
    options.state.mkdir(parents=True, exist_ok=True)
    state = options.state.resolve()
    certificate = issue_certificate(state)
    account, activity = Account(), Activity()
    faults = Faults(activity=activity)
    faults.set(options.faults)
    template = load_template(options.template, LOCAL_PARAMETERS)
    broker = _broker(template, FaultyBroker(state / "smq.db", activity=activity, faults=faults))
    tablestore = _tablestore(state, account, faults) if options.ledger == "tablestore" else None
    host = Host(
        template,
        code_root=ROOT,
        broker=broker,
        account=account,
        activity=activity,
        environment={
            "POSTBUS_SMQ_ENDPOINT": url,
            "POSTBUS_DIRECTMAIL_ENDPOINT": url,
            "POSTBUS_OPEN_PLATFORM_ENDPOINT": f"{ADDRESS}:{port}",
            "POSTBUS_CA_FILE": str(certificate.ca_file),
            "POSTBUS_LEDGER": f"sqlite:{state / 'ledger.db'}"
            if tablestore is None
            else f"tablestore:{url}/{INSTANCE}",
            "POSTBUS_PUBLIC_URL": url,
            "POSTBUS_PUSH_TOKEN": PUSH_TOKEN,
            "POSTBUS_PUSH_CERT_HOSTS": f"{ADDRESS}:{upload_port}",
            "POSTBUS_HOOK_SECRETS": f"local={HOOK_SECRET}",
            **options.environment,
        },
        instances=options.instances,
        time_scale=options.time_scale,
        log=options.log,
    )
    outbox = Outbox(state / "outbox")
    key = push_key(state)
    pusher = Pusher(activity, _pauses, options.time_scale, certificate.ca_file)
    signed_by = key, f"https://{ADDRESS}:{upload_port}{CERTIFICATE_PATH}", time.time
    broker.push_to_url = HttpPush(pusher, *signed_by)
    push = TargetPush(pusher, *signed_by)
    bus = EventBus(template.rules, deliver=_deliver(broker, host, push))
    emit = faulty_bus(bus.put, faults)
    ends = Ends(
        queue=f"postbus-{ENVIRONMENT}-delivery-events",
        topic=f"postbus-{ENVIRONMENT}-directmail-notifications",
        function="delivery_events",
        url=url,
        token=PUSH_TOKEN,
    )
    carriers = Carriers(ends, put=emit, push=push, broker=broker, host=host, account=account)
    firing = Firing(outbox, carriers, account=account, environment=ENVIRONMENT)
    directmail = FaultyDirectMail(
        outbox,
        account=account,
        rules=options.rules,
        emit=emit,
        activity=activity,
        upload_port=upload_port,
        faults=faults,
    )
    stack = Stack(url, template, broker, outbox, host, activity, faults, firing)
    front = _front(
        smq=SmqEdge(smq_app.create_app(broker, account), faults),
        directmail=DirectMailEdge(directmail_app.create_app(directmail), faults),
        functions=host_app.create_app(host),
        tablestore=tablestore,
        console_=console.create_app(stack),
    )
    servers = [
        server(front),
        server(
            with_certificate(directmail_app.create_upload_app(directmail), key.certificate),
            ssl_certfile=str(certificate.cert_file),
            ssl_keyfile=str(certificate.key_file),
        ),
    ]
    return stack, servers, [directmail.run(), pusher.serve()]


def _broker(template: Template, broker: Broker) -> Broker:
    """SMQ with the template's queues, topics and subscriptions."""
    for queue in template.queues:
        broker.ensure_queue(queue.name, queue.attributes)
    for topic in template.topics:
        broker.ensure_topic(topic)
    for subscription in template.subscriptions:
        broker.ensure_subscription(
            subscription.topic,
            subscription.name,
            queue=subscription.queue,
            content_format=subscription.content_format,
            filter_tag=subscription.filter_tag,
            endpoint=subscription.endpoint,
            notify_strategy=subscription.retry,
        )
    return broker


def _tablestore(state: Path, account: Account, faults: Faults) -> Asgi:
    """Tablestore with the ledger's tables."""
    # The SDK whose message modules the twin uses is slow to import, and few ask for it.
    from local.faults.tablestore import tablestore_faults  # noqa: PLC0415  # see above
    from local.twins.tablestore.app import create_app  # noqa: PLC0415  # likewise
    from local.twins.tablestore.store import Store  # noqa: PLC0415  # likewise
    from shared.stores.tablestore.rows import TABLES  # noqa: PLC0415  # likewise

    store = Store(state / "tablestore.db")
    store.fault = tablestore_faults(faults)
    for table in TABLES:
        store.ensure_table(INSTANCE, table.name, table.keys, ttl_seconds=table.ttl_seconds)
    return create_app(store, account)


def _pauses(strategy: str) -> Iterator[float]:
    """SMQ and EventBridge repeat pushes in the same two ways."""
    decay = strategy == "EXPONENTIAL_DECAY_RETRY"
    return push_pauses("EXPONENTIAL_DECAY_RETRY" if decay else None)


def _deliver(
    broker: Broker, host: Host, push: Callable[[Target, str], None]
) -> Callable[[Target, str], None]:
    """How the event bus reaches its targets."""
    background: set[asyncio.Task[Any]] = set()

    def deliver(target: Target, text: str) -> None:
        if target.type == "acs.mns.queue":
            broker.send(target.name, text)
            return
        if target.type != "acs.fc.function":
            push(target, text)
            return
        task = asyncio.ensure_future(host.deliver_event(target.name, text))
        background.add(task)
        task.add_done_callback(background.discard)

    return deliver


def _front(
    *, smq: Asgi, directmail: Asgi, functions: Asgi, tablestore: Asgi | None, console_: Asgi
) -> Asgi:
    """One address for all: by path, and `/` by what the request is."""

    async def front(scope: Scope, receive: Any, send: Any) -> None:
        path = scope.get("path", "/")
        if tablestore is not None and _is_for_tablestore(scope):
            app = tablestore
        elif path.startswith(("/queues", "/topics")):
            app = smq
        elif path.startswith("/_local") or (path == "/" and _is_a_person(scope)):
            app = console_
        elif path == "/":
            app = directmail
        else:
            app = functions
        await app(scope, receive, send)

    return front


def _is_for_tablestore(scope: Scope) -> bool:
    """Every request of Tablestore's SDK names its instance in a header."""
    return any(name == b"x-ots-instancename" for name, _ in scope.get("headers", ()))


def _is_a_person(scope: Scope) -> bool:
    """Whether this is a look with a browser, and not a call of DirectMail or of the upload API."""
    names = {name for name, _ in scope.get("headers", ())}
    return scope.get("method") in ("GET", "HEAD") and b"x-acs-action" not in names
