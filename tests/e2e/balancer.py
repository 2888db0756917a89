"""What stands before several frontends: one address, and whoever is in rotation behind it. It never looks into TLS."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Self


class Balancer:
    """Listens on a port of this machine and passes connections on, by turns.

    Who is taken out of rotation gets no new connection, and keeps those that there are.
    """

    def __init__(self, port: int, *backends: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self._rotation = list(backends)
        self._turn = count()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @contextmanager
    def without(self, backend: int) -> Iterator[None]:
        """Take a backend out of rotation for a while."""
        self._rotation.remove(backend)
        try:
            yield
        finally:
            self._rotation.append(backend)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                backend = self._rotation[next(self._turn) % len(self._rotation)]
                try:
                    server = socket.create_connection(("127.0.0.1", backend))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    """Pass on what each side says to the other until one of them ends."""
    with client, server:
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
