"""The official DirectMail SDK, imported without what a synchronous send never uses.

Importing this module imports the SDK, so only functions that send do. What waits for its first use
(`shared.sdk_loading`), and for what:

- aiohttp, asyncio: the SDK's asynchronous methods.
- apscheduler, aiofiles, configparser: credentials that the SDK fetches by itself; ours come with
  each invocation.
- cryptography: the RSA variant of the signature; ours is HMAC-SHA256.
- websocket: streaming services.
- charset_normalizer: guessing the charset of an answer that names none.
- the SDK's models, except those of a send.
"""

from __future__ import annotations

from typing import Any

from shared.sdk_loading import load, load_lazily

WAITING = frozenset(
    {
        "aiofiles",
        "aiohttp",
        "apscheduler",
        "asyncio",
        "charset_normalizer",
        "configparser",
        "cryptography",
        "websocket",
    }
)

# More than the threads of any instance, so that no connection is thrown away after its use.
CONNECTIONS = 64

requests: Any = load("requests", without=WAITING)
models: Any = load_lazily("alibabacloud_dm20151123.models")
Client: Any = load("alibabacloud_dm20151123.client", without=WAITING).Client
_open_api: Any = load("alibabacloud_tea_openapi.utils_models", without=WAITING)
Config, OpenApiRequest, Params = _open_api.Config, _open_api.OpenApiRequest, _open_api.Params
DaraCore: Any = load("darabonba.core", without=WAITING).DaraCore
RuntimeOptions: Any = load("darabonba.runtime", without=WAITING).RuntimeOptions
TeaException: Any = load("Tea.exceptions", without=WAITING).TeaException
