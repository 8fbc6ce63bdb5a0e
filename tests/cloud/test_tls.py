"""One context for all connections, one connection ahead of its use, and no trust in strangers."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import urllib3
from cryptography import x509

from deploy.package.certificates import separate, subject_hash
from shared.cloud.tls import connect_ahead, context_for, pool_options


class Server(http.server.ThreadingHTTPServer):
    """Answers over TLS and counts its connections."""

    daemon_threads = True
    taken = 0

    def get_request(self) -> tuple[ssl.SSLSocket, tuple[str, int]]:
        """Called for each connection."""
        connection, address = super().get_request()
        self.taken += 1
        return connection, address  # type: ignore[return-value]  # likewise

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that do not trust it."""


class Ok(http.server.BaseHTTPRequestHandler):
    """Answers everything with nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(
    authority: trustme.CA, host: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> Iterator[Server]:
    """A server with a certificate for a host, issued by an authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = context.maximum_version = version
    authority.issue_cert(host).configure_cert(context)
    with Server(("127.0.0.1", 0), Ok) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Its certificate."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def url_of(server: Server) -> str:
    """Where it answers."""
    return f"https://127.0.0.1:{server.server_address[1]}/"


@contextlib.contextmanager
def pool_of(server: Server, ca_file: str) -> Iterator[urllib3.HTTPConnectionPool]:
    """A pool for it, as the edge makes its pools."""
    url = url_of(server)
    with urllib3.PoolManager(retries=False, **pool_options(url, ca_file)) as manager:
        yield manager.connection_from_url(url)


def test_certificates_are_read_once(ca_file: str) -> None:
    """The same certificates give the same context, and an address without TLS needs none."""
    assert context_for(ca_file) is context_for(ca_file)
    assert context_for(ca_file) is not context_for(None)
    assert pool_options("http://127.0.0.1:9", ca_file) == {}
    for context in (context_for(ca_file), context_for(None)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_first_request_takes_the_connection_that_was_opened_ahead(
    authority: trustme.CA, ca_file: str, version: ssl.TLSVersion
) -> None:
    """Also with TLS 1.3, whose servers send something after the handshake."""
    with serving(authority, "127.0.0.1", version) as server, pool_of(server, ca_file) as pool:
        connect_ahead(pool)
        assert pool.request("GET", "/").status == 200
        assert server.taken == 1


def test_a_stranger_is_refused(ca_file: str) -> None:
    """A certificate of another authority is: ahead, and in the request after it."""
    with serving(trustme.CA(), "127.0.0.1") as server, pool_of(server, ca_file) as pool:
        with pytest.raises(ssl.SSLCertVerificationError):
            connect_ahead(pool)
        with pytest.raises(urllib3.exceptions.SSLError):
            pool.request("GET", "/")


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, ca_file: str) -> None:
    """Trusted, but not for the name that was called."""
    with serving(authority, "dm.aliyuncs.com") as server, pool_of(server, ca_file) as pool:
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for '127"):
            connect_ahead(pool)
        with pytest.raises(urllib3.exceptions.SSLError):
            pool.request("GET", "/")


def test_nobody_there_is_told(ca_file: str) -> None:
    """Where nobody listens there is nothing ahead, and the pool is as good as before."""
    pool = urllib3.HTTPSConnectionPool(
        "127.0.0.1", 9, retries=False, ssl_context=context_for(ca_file)
    )
    for _ in range(2):
        with pytest.raises(urllib3.exceptions.NewConnectionError):
            connect_ahead(pool)


def test_a_folder_of_separate_certificates_is_trusted_as_the_bundle_is(
    authority: trustme.CA, tmp_path: Path
) -> None:
    """OpenSSL finds the authority by the name that the package gives its file, and nobody else."""
    for path, content in separate(authority.cert_pem.bytes()).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    context = ssl.create_default_context(capath=str(tmp_path / "certificates"))
    for issuer, trusted in ((authority, True), (trustme.CA(), False)):
        with serving(issuer, "127.0.0.1") as server:
            pool = urllib3.HTTPSConnectionPool(
                "127.0.0.1", server.server_address[1], retries=False, ssl_context=context
            )
            refused = (
                contextlib.nullcontext() if trusted else pytest.raises(urllib3.exceptions.SSLError)
            )
            with refused, contextlib.closing(pool):
                assert pool.request("GET", "/").status == 200


def test_the_hash_of_a_name_is_openssls() -> None:
    """Names in another case or with other spaces have the same hash; other names another."""

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, text)])

    assert subject_hash(name("Some  CA ")) == subject_hash(name("some ca"))
    assert subject_hash(name("Some CA")) != subject_hash(name("Some CB"))
