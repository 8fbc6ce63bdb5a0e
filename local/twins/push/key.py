"""The key that the twins sign their pushes with, and the certificate that others check them by."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

# A name that both services' documents allow.
CERTIFICATE_PATH = "/x509_public_certificate_local.pem"
_BITS = 2048
_DAYS = 3650
_DIGESTS = {"SHA1": hashes.SHA1(), "SHA256": hashes.SHA256()}  # noqa: S303  # SMQ signs with SHA-1


@dataclass(frozen=True)
class PushKey:
    """A private key and its certificate in PEM."""

    private: rsa.RSAPrivateKey
    certificate: bytes

    def sign(self, data: bytes, digest: Literal["SHA1", "SHA256"]) -> bytes:
        """The signature of some bytes, PKCS#1 v1.5."""
        return self.private.sign(data, padding.PKCS1v15(), _DIGESTS[digest])

    def wrap(self, secret: bytes) -> bytes:
        """A secret as a block that the certificate's key opens: PKCS#1 v1.5, block type 1.

        It is a signature's form without a digest's name in it, which the package does not make.
        https://www.rfc-editor.org/rfc/rfc2313#section-8.1
        """
        size = (self.private.key_size + 7) // 8
        block = b"\x00\x01" + b"\xff" * (size - len(secret) - 3) + b"\x00" + secret
        numbers = self.private.private_numbers()
        power = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
        return power.to_bytes(size, "big")


def push_key(directory: Path) -> PushKey:
    """The key kept in `directory`, made at the first call."""
    file = directory / "push.pem"
    if not file.exists():
        directory.mkdir(parents=True, exist_ok=True)
        # It appears whole or not at all.
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(_make())
        fresh.rename(file)
    data = file.read_bytes()
    private = serialization.load_pem_private_key(data, None)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError(f"{file} holds no RSA key; remove it")
    return PushKey(private, data[data.index(b"-----BEGIN CERTIFICATE") :])


def _make() -> bytes:
    """A new private key with its certificate, in PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Postbus local pushes")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .sign(private, hashes.SHA256())
    )
    key = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key + certificate.public_bytes(serialization.Encoding.PEM)
