"""What waits for its first use is used: each deferred feature of each SDK, in a fresh process.

These are the features that Postbus never calls. They are here so that a new version of an SDK
cannot make one of them a trap for whoever calls it one day.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DIRECTMAIL = (
    "from shared.cloud.directmail_sdk import *\nimport shared.cloud.directmail_sdk as loaded"
)
TABLESTORE = "import shared.stores.tablestore.sdk as loaded\nots = loaded.ots"
STRUCTLOG = """
from shared.sdk_loading import load
structlog = load("structlog", without={"asyncio"})
class loaded: WAITING = {"asyncio"}
"""

# What loads it, and a program that uses a feature of what waits, and says so.
FEATURES = {
    "DirectMail's asynchronous client": (
        DIRECTMAIL,
        "aiohttp",
        """
        import asyncio, http.server, threading
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                body = b'{"EnvId": "600000", "RequestId": "R"}'
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *args): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(Config(access_key_id="a", access_key_secret="b", region_id="cn-hangzhou",
            endpoint=f"127.0.0.1:{server.server_address[1]}", protocol="http"))
        request = models.SingleSendMailRequest(account_name="a@b.c", to_address="d@e.f")
        sent = asyncio.run(client.single_send_mail_with_options_async(request, RuntimeOptions()))
        print(sent.body.env_id == "600000")
        """,
    ),
    "credentials that renew themselves": (
        DIRECTMAIL,
        "apscheduler",
        """
        from alibabacloud_credentials.provider.ecs_ram_role import EcsRamRoleCredentialsProvider
        EcsRamRoleCredentialsProvider(role_name="nobody", async_update_enabled=True)
        import threading
        print(any("APScheduler" in thread.name for thread in threading.enumerate()))
        """,
    ),
    "credentials from a file, asynchronously": (
        DIRECTMAIL,
        "aiofiles",
        """
        import asyncio, pathlib
        from alibabacloud_credentials.provider.profile import ProfileCredentialsProvider
        file = pathlib.Path("credentials.ini")
        file.write_text("[default]\\ntype=access_key\\naccess_key_id=id\\naccess_key_secret=s\\n")
        provider = ProfileCredentialsProvider(profile_file=str(file))
        print(asyncio.run(provider.get_credentials_async()).get_access_key_id() == "id")
        """,
    ),
    "credentials from a file": (
        DIRECTMAIL,
        "configparser",
        """
        import pathlib
        from alibabacloud_credentials.provider.profile import ProfileCredentialsProvider
        file = pathlib.Path("credentials.ini")
        file.write_text("[default]\\ntype=access_key\\naccess_key_id=id\\naccess_key_secret=s\\n")
        provider = ProfileCredentialsProvider(profile_file=str(file))
        print(provider.get_credentials().get_access_key_id() == "id")
        """,
    ),
    "RSA signatures": (
        DIRECTMAIL,
        "cryptography",
        """
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from alibabacloud_tea_openapi.utils import signature_method
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())
        print(len(signature_method(key.decode(), "text", "ACS3-RSA-SHA256")) == 256)
        """,
    ),
    "streaming services": (
        DIRECTMAIL,
        "websocket",
        """
        import darabonba.websocket as streaming
        print(streaming.ABNF.OPCODE_BINARY == 2, callable(streaming.websocket.WebSocketApp))
        """,
    ),
    "the charset of an answer": (
        DIRECTMAIL,
        "charset_normalizer",
        """
        answer = requests.models.Response()
        answer._content = "Grüße aus dem Süden, für alle übrigen Wörter".encode()
        print(answer.apparent_encoding == "utf-8", answer.text.startswith("Grüße"))
        """,
    ),
    "all of DirectMail's models": (
        DIRECTMAIL,
        None,
        """
        import pickle
        made = [getattr(models, name)() for name in models.__all__]
        print(len(made) > 200)
        mail = models.SingleSendMailRequest(account_name="a@b.c")
        print(pickle.loads(pickle.dumps(mail)).to_map() == mail.to_map())
        """,
    ),
    "Tablestore's asynchronous client": (
        TABLESTORE,
        "aiohttp",
        """
        import asyncio
        async def ask():
            client = ots.AsyncOTSClient("http://127.0.0.1:9", "id", "secret", "instance",
                retry_policy=__import__("tablestore.retry").retry.NoRetryPolicy())
            try:
                await client.list_table()
            except Exception as error:
                print("connect" in str(error).lower())
        asyncio.run(ask())
        """,
    ),
    "vectors of Tablestore's time series": (
        TABLESTORE,
        "numpy",
        """
        import flatbuffers, numpy
        builder = flatbuffers.Builder(64)
        builder.Finish(builder.CreateNumpyVector(numpy.array([1, 2, 3], dtype=numpy.int32)))
        print(len(builder.Output()) > 12)
        """,
    ),
    "texts of Tablestore's messages": (
        TABLESTORE,
        "google.protobuf.text_format",
        """
        import tablestore.protocol as protocol, tablestore.protobuf.table_store_pb2 as messages
        message = messages.DeleteTableRequest(table_name="mails")
        print("mails" in protocol.text_format.MessageToString(message))
        """,
    ),
    "the command of crc32c": (
        TABLESTORE,
        "crc32c._cli",
        """
        import crc32c
        try:
            crc32c.main("crc32c", ["--help"])
        except SystemExit:
            pass
        print(True)
        """,
    ),
    "asynchronous lines of the log": (
        STRUCTLOG,
        "asyncio",
        """
        import asyncio
        async def say():
            await structlog.get_logger().ainfo("said")
        asyncio.run(say())
        print(True)
        """,
    ),
}
HEAVY = "print([name for name in loaded.WAITING if name in __import__('sys').modules])"


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_that_waits_works_when_it_is_used(feature: str, tmp_path: Path) -> None:
    """After loading nothing that waits is in memory; the feature then does what it is for."""
    loading, module, use = FEATURES[feature]
    told = f"import sys; print({module!r} is None or {module!r} in sys.modules)"
    done = subprocess.run(  # noqa: S603  # our own program, above
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "\n".join((loading, HEAVY, textwrap.dedent(use), told)),
        ],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", ""), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "[]", "what waits was imported"
    assert lines[-1] == "True", f"{module} was not used"
    assert "False" not in " ".join(lines[1:])
