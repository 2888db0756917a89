"""Talk to a listening socket as its clients do, and say why it would not talk.

A TLS 1.3 server judges the client's certificate after the client believes the handshake to be over, so nothing counts
before an answer has come back: to a gRPC health check, an HTTP request, a TChannel greeting. And a refusal counts with
its reason only. A connection that just ends may have lost the alert on its way, so it is tried again.
"""

import http.client
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived

from tests.e2e.certificates import Pair
from tests.e2e.temporal import Cluster, Listener, Protocol
from tools.processes import wait_until

ATTEMPTS = 10
TIMEOUT_SECONDS = 10
SYSTEM_INFO = "/api/v1/system-info"

HUNG_UP = "hung up"


class RefusedError(Exception):
    """One side would not talk. The message is what the caller was told, if only that the other side HUNG_UP.

    `logged` waits for what the server has to say about it in its log. On membership ports it says nothing there.
    """

    def __init__(self, told: str, logged: Callable[[], str]) -> None:
        super().__init__(told)
        self.logged = logged


class NoReasonError(Exception):
    """The connection ended with neither an answer nor a reason."""


@dataclass(frozen=True)
class Caller:
    """How somebody calls: what they show, and the authority and the name by which they know the server."""

    pair: Pair | None
    authority: Path
    server_name: str
    tls: bool = True


def converse(cluster: Cluster, listener: Listener, caller: Caller) -> None:
    """Get an answer from a listener, or raise RefusedError."""
    for attempt in range(ATTEMPTS):
        try:
            return _call(cluster, listener, caller)
        except (NoReasonError, ConnectionError, ssl.SSLEOFError):
            if attempt + 1 == ATTEMPTS:
                raise


def opens(cluster: Cluster, listener: Listener, caller: Caller) -> bool:
    """Whether a listener answers the caller."""
    try:
        converse(cluster, listener, caller)
    except RefusedError:
        return False
    return True


def presented(cluster: Cluster, listener: Listener, caller: Caller) -> x509.Certificate:
    """The certificate that a listener shows."""
    with _connected(cluster, listener) as connection, _secured(listener, caller, connection) as secured:
        certificate = secured.getpeercert(binary_form=True)
    assert certificate
    return x509.load_der_x509_certificate(certificate)


def asked_for(cluster: Cluster, listener: Listener, caller: Caller) -> set[str]:
    """The distinguished names of the authorities that a listener names when it asks for a certificate."""
    assert caller.pair
    options = {
        "-connect": f"127.0.0.1:{cluster.ports[listener]}",
        "-cert": str(caller.pair.certificate),
        "-key": str(caller.pair.private_key),
        "-CAfile": str(caller.authority),
        "-nameopt": "RFC2253",
    }
    command = ["openssl", "s_client", *(part for option in options.items() for part in option)]
    said = subprocess.run(command, input="", capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    _, _, names = said.stdout.partition("Acceptable client certificate CA names\n")
    return {line for line in names.partition("\nRequested Signature Algorithms")[0].splitlines() if "=" in line}


@contextmanager
def kept_open(cluster: Cluster, listener: Listener, caller: Caller) -> Iterator[Callable[[], str]]:
    """A connection to an HTTP listener: each call asks on this one, and returns the answer."""
    with _connected(cluster, listener) as connection, _secured(listener, caller, connection) as secured:
        http_connection = http.client.HTTPConnection("localhost")
        http_connection.sock, http_connection.auto_open = secured, 0

        def ask() -> str:
            http_connection.request("GET", SYSTEM_INFO)
            with http_connection.getresponse() as response:
                return response.read().decode()

        yield ask


def _call(cluster: Cluster, listener: Listener, caller: Caller) -> None:
    log = cluster.processes[listener.process].log
    logged_before = log.stat().st_size
    with _connected(cluster, listener) as connection:
        described = re.compile(rf'127\.0\.0\.1:{connection.getsockname()[1]}(?:\\"\) failed)?: (.*?)"?\n')

        def logged() -> str:
            found = described.search(log.read_bytes()[logged_before:].decode())
            return found[1] if found else ""

        told = _refusal(listener, caller, connection)
    if told:
        raise RefusedError(told, lambda: wait_until(logged, f"{log.name} has {described.pattern}"))


def _refusal(listener: Listener, caller: Caller, connection: socket.socket) -> str | None:
    """Why one side would not talk; None if there was an answer."""
    if not caller.tls:
        return _talk(listener.protocol, connection)
    try:
        with _secured(listener, caller, connection) as secured:
            return _talk(listener.protocol, secured)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except ssl.SSLEOFError:
        raise
    except ssl.SSLError as error:
        return error.reason


def _connected(cluster: Cluster, listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", cluster.ports[listener]), timeout=TIMEOUT_SECONDS)


def _secured(listener: Listener, caller: Caller, connection: socket.socket) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=caller.authority)
    # As Go, rustls and Java do: an intermediate is as good an anchor as a root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if caller.pair:
        context.load_cert_chain(caller.pair.certificate, caller.pair.private_key)
    if listener.protocol is Protocol.GRPC:
        context.set_alpn_protocols(["h2"])
    return context.wrap_socket(connection, server_hostname=caller.server_name)


def _talk(protocol: Protocol, connection: socket.socket) -> str | None:
    match protocol:
        case Protocol.GRPC:
            return _check_health(connection)
        case Protocol.HTTP:
            return _get_system_info(connection)
        case Protocol.MEMBERSHIP:
            return _greet(connection)


def _check_health(connection: socket.socket) -> str | None:
    """grpc.health.v1.Health/Check. On a caller without TLS gRPC just hangs up: the reason is in the server's log."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    path = "/grpc.health.v1.Health/Check"
    headers = {":method": "POST", ":scheme": "https", ":authority": "localhost", ":path": path}
    client.send_headers(1, [*headers.items(), ("content-type", "application/grpc"), ("te", "trailers")])
    client.send_data(1, _grpc_message(b""), end_stream=True)
    connection.sendall(client.data_to_send())
    while received := connection.recv(65536):
        for event in client.receive_data(received):
            if isinstance(event, DataReceived):
                assert event.data == _grpc_message(b"\x08\x01"), f"not SERVING: {event.data!r}"
                return None
    if isinstance(connection, ssl.SSLSocket):
        raise NoReasonError
    return HUNG_UP


def _grpc_message(message: bytes) -> bytes:
    return struct.pack(">BI", 0, len(message)) + message


def _get_system_info(connection: socket.socket) -> str | None:
    connection.sendall(b"GET " + SYSTEM_INFO.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    try:
        with http.client.HTTPResponse(connection) as response:
            response.begin()
            body = response.read().decode()
    except http.client.RemoteDisconnected as error:
        raise NoReasonError from error
    return None if response.status == http.HTTPStatus.OK else body.strip()


def _greet(connection: socket.socket) -> str | None:
    """TChannel's init request, which its peer answers with an init response (frame type 2).

    To a caller without TLS a Go server that expects TLS just hangs up, unless the first bytes could be a TLS record;
    then it answers with an alert. This greeting is a valid TChannel frame whose length (0x1603), type (1), flags and
    identifier (0x04010000) read as a TLS record as well, of a handshake with an empty ClientHello: a peer without TLS
    answers the greeting, one with TLS complains of the ClientHello.
    """
    length, init_request, identifier = 0x1603, 1, 0x04010000
    headers = {
        "host_port": "0.0.0.0:0",
        "tchannel_language": "",
        "tchannel_language_version": "",
        "tchannel_version": "",
    }
    filling = length - 16 - len(_tchannel_headers(headers | {"process_name": ""}))
    payload = _tchannel_headers(headers | {"process_name": "x" * filling})
    connection.sendall(struct.pack(">HBBI8x", length, init_request, 0, identifier) + payload)
    answer = connection.recv(65536)
    if not answer:
        raise NoReasonError
    if answer.startswith(b"\x15\x03"):
        return f"TLS alert {answer[6]}"
    assert answer[2] == 2, f"not an init response: {answer!r}"
    return None


def _tchannel_headers(headers: dict[str, str]) -> bytes:
    texts = (text.encode() for header in headers.items() for text in header)
    return struct.pack(">HH", 2, len(headers)) + b"".join(struct.pack(">H", len(text)) + text for text in texts)
