"""What goes into the packages, and what stays out, with the reason: nothing by accident.

Every distribution of `requirements.lock` is named here once for each group of functions, in
`DISTRIBUTIONS` or in `LEFT_OUT`. A new dependency is named nowhere, and the build says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatch

SENDER = "sender"
PLAIN = "plain"
# The packages: the one with the DirectMail SDK and the one without. The template has these names.
GROUPS = (SENDER, PLAIN)

# Module of `functions/` -> group. The template's handlers must all be here.
FUNCTIONS: Mapping[str, str] = {
    "send_mail": SENDER,
    "mail_api": SENDER,
    "clock": SENDER,
    "delivery_events": PLAIN,
    "webhooks": PLAIN,
}

_EVERYWHERE = frozenset(
    {
        "aliyun-mns-sdk",
        "annotated-types",
        "certifi",
        "crc32c",
        "flatbuffers",
        "idna",
        "protobuf",
        "pydantic",
        "pydantic-core",
        "six",
        "structlog",
        "tablestore",
        "typing-extensions",
        "typing-inspection",
        "urllib3",
    }
)
_DIRECTMAIL = frozenset(
    {
        "alibabacloud-credentials",
        "alibabacloud-credentials-api",
        "alibabacloud-dm20151123",
        "alibabacloud-gateway-spi",
        "alibabacloud-tea",
        "alibabacloud-tea-openapi",
        "alibabacloud-tea-util",
        "charset-normalizer",
        "darabonba-core",
        "requests",
    }
)
_SIGNATURES = frozenset({"cffi", "cryptography"})

DISTRIBUTIONS: Mapping[str, frozenset[str]] = {
    SENDER: _EVERYWHERE | _DIRECTMAIL,
    PLAIN: _EVERYWHERE | _SIGNATURES,
}

_ASYNC = "the SDKs' asynchronous clients: a function makes one call after another"
_OWN_CREDENTIALS = "credentials that an SDK fetches by itself: ours come with each invocation"
_NEVER = {
    "aiofiles": _OWN_CREDENTIALS,
    "aiohappyeyeballs": _ASYNC,
    "aiohttp": _ASYNC,
    "aiosignal": _ASYNC,
    "apscheduler": _OWN_CREDENTIALS,
    "async-timeout": _ASYNC,
    "attrs": _ASYNC,
    "deprecated": "a decorator of the part of aliyun-mns-sdk that Postbus replaces",
    "frozenlist": _ASYNC,
    "future": "Python 2 for tablestore, which does not import it",
    "multidict": _ASYNC,
    "numpy": "the time series and SQL of tablestore",
    "propcache": _ASYNC,
    "pycparser": "for who compiles extensions",
    "pycryptodome": "required by aliyun-mns-sdk, which does not import it",
    "tzdata": "for Windows",
    "tzlocal": _OWN_CREDENTIALS,
    "websocket-client": "streaming services of the SDK",
    "wrapt": "of `deprecated`",
    "yarl": _ASYNC,
}

# Group -> distribution -> why it stays out.
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    SENDER: {
        **_NEVER,
        **dict.fromkeys(_SIGNATURES, "RSA signatures: DirectMail's calls are signed with HMAC"),
    },
    PLAIN: {
        **_NEVER,
        **dict.fromkeys(_DIRECTMAIL, "the DirectMail SDK: these functions do not send"),
    },
}

# Published as source only: its packages are copied as they are, nothing of it is run or compiled.
SOURCE_ONLY: Mapping[str, tuple[str, ...]] = {"alibabacloud-tea": ("Tea",)}

# Files of distributions that stay out; `*` also matches `/`.
LEFT_OUT_FILES: tuple[tuple[str, str], ...] = (
    ("*.pyi", "types, for people who write code"),
    ("*/py.typed", "likewise"),
    ("*/tests/*", "tests of packages"),
    ("*/testdata/*", "likewise"),
    ("*/testing_refleaks.py", "likewise"),
    ("*.c", "sources of extensions that are compiled already"),
    ("*.h", "likewise"),
    ("*.proto", "likewise, of protobuf's modules"),
    ("*.fbs", "likewise, of flatbuffers' modules"),
    ("*.md", "documentation"),
    ("cffi/*", "for who compiles extensions; cryptography needs its `_cffi_backend` only"),
    ("crc32c/benchmark.py", "for who develops it"),
    ("cryptography/hazmat/bindings/_rust/*", "types"),
    ("google/protobuf/compiler/*", "for who develops with protobuf"),
    ("pydantic/mypy.py", "a plug-in of a type checker"),
    ("pydantic/v1/*", "the old pydantic inside the new one"),
    ("tablestore/native/*.so", "for one Python version only, and switched off by Postbus"),
    ("tablestore/ots_sdk/*.so", "likewise; 13 MB"),
    ("urllib3/contrib/emscripten/*", "for browsers"),
)

# Of a distribution's own records, what the package keeps: licences, entry points, the metadata that
# `importlib.metadata` reads.
_KEPT_RECORDS = re.compile(
    r"(METADATA|entry_points\.txt|licenses/.*|(LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*)"
)

# https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage: 100 MB
# in every region. Far below it a package that grows is noticed.
ZIP_BYTES_MAX = 12_000_000


def wanted(path: str) -> bool:
    """Whether a file of a distribution goes into the package.

    Args:
        path: its place in site-packages, with `/`.
    """
    folder, _, rest = path.partition("/")
    if folder.endswith(".dist-info"):
        return _KEPT_RECORDS.fullmatch(rest) is not None
    return not any(fnmatch(path, pattern) for pattern, _ in LEFT_OUT_FILES)


def unnamed(group: str, distributions: Collection[str]) -> set[str]:
    """The distributions that nobody has decided about for this group."""
    return set(distributions) - DISTRIBUTIONS[group] - set(LEFT_OUT[group])
