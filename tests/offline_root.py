"""An authority whose key is elsewhere, as somebody has one in a safe: openssl, its files, and what it is told to sign.

It shares no code with pki/, so that a mistake there cannot hide here.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

EXTENSION = re.compile(r"^ +(\w+=\S.*)$", re.MULTILINE)
"""A line of what the program says that a certificate must have."""


class OfflineRoot:
    """A root with a path length that its openssl makes of itself, in a folder."""

    def __init__(self, folder: Path, common_name: str, path_length: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate, self.private_key = folder / "root.pem", folder / "root.key"
        _make_key(self.private_key)
        _openssl(
            *("req", "-x509", "-new", "-key", self.private_key, "-subj", f"/O=Contoso/CN={common_name}"),
            *("-days", "3650", "-out", self.certificate),
            *("-addext", f"basicConstraints=critical,CA:TRUE,pathlen:{path_length}"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    @property
    def pem(self) -> str:
        return self.certificate.read_text()

    def sign(self, request_pem: str, subject: str, extensions: Sequence[str], *options: str) -> str:
        """Return the certificate that openssl makes from a request, for `/O=…/CN=…` and with these extensions."""
        request, lines, issued = (self._folder / name for name in ("request.csr", "extensions.cnf", "issued.pem"))
        request.write_text(request_pem)
        lines.write_text("\n".join(extensions) + "\n")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.private_key, "-CAcreateserial"),
            *("-subj", subject, "-extfile", lines, "-days", "1000", "-out", issued, *options),
        )
        return issued.read_text()

    def issue(self, stem: Path, subject: str, *options: str) -> None:
        """Write a client's pair that has the authority in its file."""
        key, request = stem.with_suffix(".key"), stem.with_suffix(".csr")
        _make_key(key)
        _openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        usages = (
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "extendedKeyUsage=clientAuth",
        )
        stem.with_suffix(".pem").write_text(self.sign(request.read_text(), subject, usages, *options) + self.pem)


def _make_key(file: Path) -> None:
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file)


def _openssl(*arguments: object) -> None:
    finished = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
