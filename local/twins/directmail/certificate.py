"""The twin's own certificate authority, for the upload door that speaks HTTPS only."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """A server certificate for this machine, in PEM files.

    Attributes:
        ca_file: what a client must trust, for example as `RuntimeOptions(ca=...)`.
        cert_file: the server's certificate, its IP address included.
        key_file: the server's private key.
    """

    ca_file: Path
    cert_file: Path
    key_file: Path


def issue_certificate(directory: Path) -> Certificate:
    """The certificate kept in `directory`, made at the first call.

    It is for 127.0.0.1 (as an IP address: `127.0.0.1` is what Bucket and Endpoint add up to) and
    localhost. The authority's key is thrown away, so nothing else can be signed with it.
    """
    home = directory / "tls"
    if not home.is_dir():
        _make(home)
    return Certificate(home / "ca.pem", home / "server.pem", home / "server.key")


def _make(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="Postbus local twin")
    server = authority.issue_cert("127.0.0.1", "localhost")
    # Files of two makings must never mix, so the folder appears whole or not at all.
    fresh = Path(tempfile.mkdtemp(prefix="tls-", dir=home.parent))
    authority.cert_pem.write_to_path(fresh / "ca.pem")
    for blob in server.cert_chain_pems:
        blob.write_to_path(fresh / "server.pem", append=True)
    server.private_key_pem.write_to_path(fresh / "server.key")
    fresh.rename(home)
