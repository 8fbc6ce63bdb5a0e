"""The public certificates one by one, named so that OpenSSL finds the one it needs.

A function that reads all of certifi's bundle spends more time on it than on sending a mail. Of a
folder OpenSSL reads only the certificate that a connection asks for, by a hash of its subject.
https://docs.openssl.org/3.0/man1/openssl-rehash/ tells the names, X509_NAME_hash the hash.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

# Where `shared/cloud/tls.py` looks for them, below the code.
FOLDER = "certificates"
_OID, _UTF8, _SEQUENCE, _SET = 0x06, 0x0C, 0x30, 0x31
_LONG = 0x80


def separate(bundle: bytes) -> dict[str, bytes]:
    """Name of the file -> certificate, of a bundle in PEM."""
    found: dict[str, bytes] = {}
    taken: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots have serial numbers that today's rules forbid
        certificates = x509.load_pem_x509_certificates(bundle)
    for certificate in certificates:
        subject = subject_hash(certificate.subject)
        found[f"{FOLDER}/{subject}.{taken[subject]}"] = certificate.public_bytes(Encoding.PEM)
        taken[subject] += 1
    return found


def subject_hash(name: x509.Name) -> str:
    """What `openssl x509 -subject_hash` prints: of the name in lower case, without extra spaces."""
    relative = b"".join(_der(_SET, b"".join(sorted(map(_attribute, rdn)))) for rdn in name.rdns)
    digest = hashlib.sha1(relative, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _attribute(attribute: x509.NameAttribute[str | bytes]) -> bytes:
    value = attribute.value
    if isinstance(value, bytes):
        raise TypeError(f"{attribute.oid.dotted_string} is no text")
    # Only ASCII has a case and spaces here, whatever else Unicode knows.
    plain = b" ".join(value.encode().lower().split())
    return _der(_SEQUENCE, _der(_OID, _oid(attribute.oid)) + _der(_UTF8, plain))


def _oid(oid: x509.ObjectIdentifier) -> bytes:
    first, second, *rest = (int(part) for part in oid.dotted_string.split("."))
    return b"".join(_base_128(number) for number in (first * 40 + second, *rest))


def _base_128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | _LONG)
    return bytes(reversed(digits))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(length))) + length + content
