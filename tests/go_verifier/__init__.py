"""What Go's own crypto/x509 says of certificates: the verifier inside Temporal's server, asked as it asks."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding


class GoVerifier:
    """A process that answers one question after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def refusal(self, presented: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], at: datetime) -> str:
        """Why a client is refused that presents these certificates, its own first; empty if it gets in."""
        asked = {"Presented": _encoded(presented), "Trusted": _encoded(trusted), "At": int(at.timestamp())}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer.endswith("\n"), "the verifier has ended"
        return answer.removesuffix("\n")


@contextmanager
def go_verifier(directory: Path) -> Iterator[GoVerifier]:
    """Build the verifier in an empty directory, and have it at hand."""
    program = directory / "verifier"
    own = Path(__file__).parent
    # Compiled for this machine alone, and by the Go that is there.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", program, "."], cwd=own, env=environment, check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield GoVerifier(process)
        finally:
            process.kill()


def _encoded(certificates: Sequence[x509.Certificate]) -> list[str]:
    return [b64encode(each.public_bytes(Encoding.DER)).decode("ascii") for each in certificates]
