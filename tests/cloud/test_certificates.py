"""Certificates of pushes: whose addresses count, how they are fetched, and for how long kept."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from local.twins.directmail.certificate import Certificate
from local.twins.push.key import PushKey, push_key
from shared.cloud.certificates import (
    FAILED_MAX,
    FAILED_SECONDS,
    KEPT_MAX,
    KEPT_SECONDS,
    Certificates,
    Sender,
)
from shared.cloud.https_fetch import BYTES_MAX, HttpsFetch
from shared.cloud.rsa import read_certificate
from shared.errors import CertificateUnavailable, CertificateUntrusted
from tests.cloud.conftest import listening, serving
from tests.cloud.hostile import HOSTILE_EVENTBRIDGE, HOSTILE_SMQ

SMQ = "https://mnstest.oss-cn-hangzhou.aliyuncs.com/x509_public_certificate.pem"
EVENTBRIDGE = (
    "https://eu-central-1-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_{}.pem"
)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PushKey:
    """Whose certificate is there."""
    return push_key(tmp_path_factory.mktemp("key"))


class Network:
    """What is at the addresses, and who asked when."""

    def __init__(self, certificate: bytes) -> None:
        self.certificate = certificate
        self.down = False
        self.now = 1_000.0
        self.seen: list[str] = []

    def fetch(self, url: str) -> bytes:
        """Fetch."""
        self.seen.append(url)
        if self.down:
            raise CertificateUnavailable("nobody there")
        return self.certificate

    def clock(self) -> float:
        """The time, in seconds."""
        return self.now


@pytest.fixture
def network(key: PushKey) -> Network:
    """A network with the certificate everywhere."""
    return Network(key.certificate)


@pytest.fixture
def certificates(network: Network) -> Certificates:
    """Those of eu-central-1, with one local host."""
    return Certificates("eu-central-1", ["127.0.0.1:8026"], network.fetch, network.clock)


# --- Addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "url"),
    [
        ("smq", SMQ),
        ("smq", "https://mns-cert.oss-cn-hangzhou.aliyuncs.com/x509_public_certificate.pem"),
        ("smq", "https://mns-cert.oss-cn-hongkong.aliyuncs.com/cert_2024-1.pem"),
        ("smq", "https://127.0.0.1:8026/x509_public_certificate_local.pem"),
        ("eventbridge", EVENTBRIDGE.format("prod_1")),
        ("eventbridge", "https://127.0.0.1:8026/x509_public_certificate_local.pem"),
    ],
)
def test_documented_addresses_are_fetched(
    certificates: Certificates, network: Network, sender: Sender, url: str
) -> None:
    """As they are."""
    assert certificates.key(sender, url)
    assert network.seen == [url]


def test_smqs_http_is_fetched_over_https(certificates: Certificates, network: Network) -> None:
    """Its sample of 2016 says http; EventBridge's documents never do."""
    assert certificates.key("smq", SMQ.replace("https", "http"))
    assert network.seen == [SMQ]
    with pytest.raises(CertificateUntrusted):
        certificates.key("eventbridge", EVENTBRIDGE.format("1").replace("https", "http"))


@pytest.mark.parametrize(
    ("sender", "urls"), [("smq", HOSTILE_SMQ), ("eventbridge", HOSTILE_EVENTBRIDGE)]
)
def test_hostile_addresses_are_not_fetched(
    network: Network, sender: Sender, urls: list[str]
) -> None:
    """None of at least 30; the refusal does not repeat the address."""
    certificates = Certificates("cn-hangzhou", (), network.fetch)
    assert len(set(urls)) >= 30
    for url in urls:
        with pytest.raises(CertificateUntrusted) as caught:
            certificates.key(sender, url)
        assert not url or url not in str(caught.value)
    assert network.seen == []


def test_a_local_host_is_only_what_it_says(network: Network) -> None:
    """Another port or another name of the same machine is another host; in the cloud none is."""
    local = Certificates("cn-hangzhou", ["127.0.0.1:8026"], network.fetch)
    cloud = Certificates("cn-hangzhou", (), network.fetch)
    file = "/x509_public_certificate_local.pem"
    for certificates, host in (
        *((local, each) for each in ("127.0.0.1", "127.0.0.1:8027", "localhost:8026")),
        (cloud, "127.0.0.1:8026"),
    ):
        with pytest.raises(CertificateUntrusted):
            certificates.key("smq", f"https://{host}{file}")
    assert network.seen == []


# --- Keeping ----------------------------------------------------------------------------------


def test_a_certificate_is_fetched_once_an_hour(
    certificates: Certificates, network: Network
) -> None:
    """Kept for that long and no longer."""
    for _ in range(3):
        certificates.key("smq", SMQ)
    network.now += KEPT_SECONDS - 1
    certificates.key("smq", SMQ)
    assert len(network.seen) == 1
    network.now += 2
    certificates.key("smq", SMQ)
    assert len(network.seen) == 2


def test_a_failure_is_kept_for_a_short_while(certificates: Certificates, network: Network) -> None:
    """A push that comes again at once does not ask again; one that comes later does."""
    network.down = True
    for _ in range(3):
        with pytest.raises(CertificateUnavailable):
            certificates.key("smq", SMQ)
    assert len(network.seen) == 1
    network.down = False
    network.now += FAILED_SECONDS + 1
    assert certificates.key("smq", SMQ)


def test_only_so_many_are_kept(certificates: Certificates, network: Network) -> None:
    """The oldest goes first."""
    for number in range(KEPT_MAX + 1):
        certificates.key("eventbridge", EVENTBRIDGE.format(number))
    network.seen.clear()
    for number in (KEPT_MAX, 0):
        certificates.key("eventbridge", EVENTBRIDGE.format(number))
    assert network.seen == [EVENTBRIDGE.format(0)]
    assert len(certificates._kept._values) == KEPT_MAX


def test_addresses_without_a_certificate_drive_nobody_out(
    certificates: Certificates, network: Network
) -> None:
    """Anybody can name as many as they like; they cost a bounded memory."""
    certificates.key("eventbridge", EVENTBRIDGE.format("real"))
    network.down = True
    for number in range(FAILED_MAX + 10):
        with pytest.raises(CertificateUnavailable):
            certificates.key("eventbridge", EVENTBRIDGE.format(number))
    network.seen.clear()
    certificates.key("eventbridge", EVENTBRIDGE.format("real"))
    assert network.seen == []
    assert len(certificates._failed._values) == FAILED_MAX


# --- Reading ----------------------------------------------------------------------------------


def test_a_key_verifies_and_recovers(key: PushKey, network: Network) -> None:
    """What its other half signed or wrapped, and nothing else."""
    public = read_certificate(network.certificate)
    signature = key.sign(b"text", "SHA256")
    assert public.verify(signature, b"text", "SHA256")
    assert not public.verify(signature, b"text", "SHA1")
    assert not public.verify(signature, b"other", "SHA256")
    assert not public.verify(b"", b"text", "SHA256")
    assert public.recover(key.wrap(b"secret")) == b"secret"
    for block in (b"", b"x", bytes(256), b"\xff" * 256, bytes(300)):
        assert public.recover(block) is None


def _elliptic() -> bytes:
    """A key in PEM that is none of RSA's and no certificate."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form)


def _of_no_version(key: PushKey) -> bytes:
    """A certificate whose version number is one that there is none of."""
    der = x509.load_pem_x509_certificate(key.certificate).public_bytes(serialization.Encoding.DER)
    made = base64.encodebytes(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1))
    return b"-----BEGIN CERTIFICATE-----\n" + made + b"-----END CERTIFICATE-----\n"


def test_a_certificate_of_no_version_is_none(key: PushKey) -> None:
    """What its library raises for that is no ValueError."""
    with pytest.raises(CertificateUnavailable):
        read_certificate(_of_no_version(key))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        _elliptic(),
        b"\xff" * 1000,
    ],
)
def test_what_is_no_certificate_is_none(data: bytes) -> None:
    """An error page, an empty one, another kind of key."""
    with pytest.raises(CertificateUnavailable):
        read_certificate(data)


# --- Fetching ---------------------------------------------------------------------------------


def _answers(key: PushKey) -> Starlette:
    """A host with a file of each kind."""

    def good(_: Request) -> Response:
        return Response(key.certificate)

    def elsewhere(_: Request) -> Response:
        return RedirectResponse("/good.pem")

    def big(_: Request) -> Response:
        return Response(b"x" * (BYTES_MAX + 1))

    def zipped(_: Request) -> Response:
        return Response(b"x" * 100, headers={"content-encoding": "gzip"})

    def slow(_: Request) -> Response:
        def drip() -> Iterator[bytes]:
            for _ in range(100):
                time.sleep(0.2)
                yield b"x"

        return StreamingResponse(drip())

    def missing(_: Request) -> Response:
        return Response("nothing", 404)

    pages = {"good": good, "elsewhere": elsewhere, "big": big, "zipped": zipped, "slow": slow}
    routes = [Route(f"/{name}.pem", page) for name, page in {**pages, "missing": missing}.items()]
    return Starlette(routes=routes)


@pytest.fixture(scope="module")
def host(key: PushKey, certificate: Certificate) -> Iterator[str]:
    """Such a host over HTTPS."""
    door: socket.socket = listening()
    with serving((_answers(key), door, certificate)):
        yield f"https://127.0.0.1:{door.getsockname()[1]}"


@pytest.fixture
def fetch(certificate: Certificate) -> HttpsFetch:
    """Trusts the host."""
    return HttpsFetch(str(certificate.ca_file))


def test_a_certificate_is_fetched(fetch: HttpsFetch, host: str, key: PushKey) -> None:
    """Over real TLS."""
    assert fetch(f"{host}/good.pem") == key.certificate


@pytest.mark.parametrize(
    ("name", "why"),
    [("elsewhere", "answered 307"), ("missing", "answered 404"), ("big", "more than 16384 bytes")],
)
def test_what_is_not_simply_there_is_not_taken(
    fetch: HttpsFetch, host: str, name: str, why: str
) -> None:
    """No redirect is followed, no error page read, and nothing large."""
    with pytest.raises(CertificateUnavailable, match=why):
        fetch(f"{host}/{name}.pem")


def test_nothing_is_unpacked(fetch: HttpsFetch, host: str) -> None:
    """A small answer cannot become a large one."""
    assert fetch(f"{host}/zipped.pem") == b"x" * 100


def test_a_host_that_drips_is_given_up(fetch: HttpsFetch, host: str) -> None:
    """Each byte comes in time, and all of them would take 20 s."""
    began = time.monotonic()
    with pytest.raises(CertificateUnavailable, match="too slowly"):
        fetch(f"{host}/slow.pem")
    assert time.monotonic() - began < 2.5


def test_a_host_that_nobody_vouches_for_is_refused(host: str) -> None:
    """Its own certificate is of an authority that is not trusted."""
    stranger = Certificates("cn-hangzhou", [host.removeprefix("https://")], HttpsFetch())
    with pytest.raises(CertificateUnavailable, match="SSLError"):
        stranger.key("smq", f"{host}/good.pem")


def test_nobody_there(fetch: HttpsFetch) -> None:
    """A refused connection is an error that says so."""
    door = listening()
    port: Any = door.getsockname()[1]
    door.close()
    with pytest.raises(CertificateUnavailable, match="did not come"):
        fetch(f"https://127.0.0.1:{port}/good.pem")
