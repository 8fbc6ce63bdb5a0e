"""The public certificates in a package: all of them, each under the name that OpenSSL looks for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import certifi
import pytest

from deploy.package.certificates import FOLDER, separate

BUNDLE = Path(certifi.where()).read_bytes()


def test_no_certificate_is_lost() -> None:
    """The bundle's certificates are all there, one in each file."""
    found = separate(BUNDLE)
    assert len(found) == BUNDLE.count(b"-----BEGIN CERTIFICATE-----")
    assert all(path.startswith(f"{FOLDER}/") for path in found)
    assert {content.count(b"-----BEGIN") for content in found.values()} == {1}


def test_certificates_with_one_subject_are_numbered() -> None:
    """The second of a name is looked for under `.1`."""
    first = next(iter(separate(BUNDLE).values()))
    assert [path[-2:] for path in separate(first + first)] == [".0", ".1"]


def test_every_name_is_the_one_that_openssl_computes() -> None:
    """For each public certificate, whatever its name is made of."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("this machine has no openssl to compare with")
    for path, content in separate(BUNDLE).items():
        told = subprocess.run(  # noqa: S603  # openssl of this machine
            [openssl, "x509", "-noout", "-subject_hash"],
            input=content,
            capture_output=True,
            check=True,
        )
        assert path.partition("/")[2].partition(".")[0] == told.stdout.decode().strip()
