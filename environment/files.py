"""The files behind the variables: where each lies under the deploy root, and what it holds.

An environment is the only list of files there is: `contents` reads from it what has to be written, `relocated` says
where the consumer will see it, `inlined` puts it into the variables themselves. So no file can be forgotten that a
variable names, and none is written that no variable names.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from string import ascii_lowercase
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Environment: TypeAlias = Mapping[str, str]

FEWEST_SLOTS = 2
MOST_SLOTS = len(ascii_lowercase)


def slots(generations: int) -> str:
    """The letters of the files that an authority with so many trusted generations has on the server.

    Two at least, so that a second generation comes and goes while the server runs: it reads what is in the files again,
    and which files there are only at start.
    """
    return ascii_lowercase[: max(generations, FEWEST_SLOTS)]


@dataclass(frozen=True)
class Certificate:
    """PEM of the leaf `name`, then of its chain."""

    name: str


@dataclass(frozen=True)
class PrivateKey:
    """PEM of the private key of the leaf `name`."""

    name: str


@dataclass(frozen=True)
class AuthoritySlot:
    """PEM of one generation of an authority, alone: `a` is the one that signs, `b` and so on the other trusted ones.

    A letter beyond the last generation stands for the first one again. The server compares the first certificate of a
    file to see whether it changed, so a second one would go unnoticed.
    """

    authority: str
    slot: str

    def chosen(self, generations: Sequence[T]) -> T:
        """The one of the trusted generations, the one that signs first, that is in this file."""
        position = ascii_lowercase.index(self.slot)
        return generations[position if position < len(generations) else 0]


@dataclass(frozen=True)
class AuthorityBundle:
    """PEM of every trusted generation of an authority, the one that signs first. Clients read it once, at connect."""

    authority: str


class Document(Enum):
    """A configuration file of the server; the value is the file's name."""

    SERVER_CONFIG = "server.yaml"
    DYNAMIC_CONFIG = "dynamicconfig.yaml"


Content: TypeAlias = Certificate | PrivateKey | AuthoritySlot | AuthorityBundle | Document


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """Somebody who starts from a directory of its own under the deploy root, and holds one certificate."""

    directory: str
    certificate: str
    environment_files: tuple[str, ...]

    @property
    def certificate_path(self) -> str:
        return f"{self.directory}/{self.certificate}.pem"

    @property
    def private_key_path(self) -> str:
        return f"{self.directory}/{self.certificate}.key"

    def slot_path(self, authority: str, slot: str) -> str:
        return f"{self.directory}/ca/{authority}-{slot}.pem"

    def bundle_path(self, authority: str) -> str:
        return f"{self.directory}/ca/{authority}.pem"

    @property
    def https_trust_path(self) -> str:
        """Where the authorities are that this consumer trusts for HTTPS to others, if that is not left to its system.

        No certificate and no authority can have a file of that name.
        """
        return f"{self.directory}/https.crt"

    def document_path(self, document: Document) -> str:
        return f"{self.directory}/{document.value}"


SERVER = Consumer(directory="server", certificate="cluster", environment_files=("server.env", "internal-frontend.env"))
UI = Consumer(directory="ui", certificate="ui", environment_files=("ui.env",))
CLI = Consumer(directory="cli", certificate="cli", environment_files=("cli.env",))


def worker(name: str) -> Consumer:
    """The worker whose certificate is called `name`."""
    return Consumer(directory=f"workers/{name}", certificate=name, environment_files=("worker.env",))


# Each set says which variables name a file, and so which take its content instead: NAME_DATA for the server
# (common/rpc/encryption) and the UI (server/rpc of ui-server), which want base64 of PEM; NAME_DATA in the place of
# NAME_PATH for the SDKs and the CLI (envconfig), which want the PEM itself. Documents can only be files.
_BASE64_DATA = re.compile(
    r"TEMPORAL_TLS_(?:(?:SERVER|FRONTEND)_(?:CERT|KEY)|(?:SERVER\d*|(?:HOST\d+_)?CLIENT\d+)_CA_CERT|CERT|KEY|CA)"
)
_PEM_DATA = re.compile(r"TEMPORAL_TLS_(?:CLIENT_CERT|CLIENT_KEY|SERVER_CA_CERT)_PATH")
_DOCUMENT = re.compile(r"TEMPORAL_SERVER_CONFIG_FILE_PATH|DYNAMIC_CONFIG_FILE_PATH")
_HTTPS_TRUST = re.compile(r"SSL_CERT_FILE|REQUESTS_CA_BUNDLE")


def trusting(environment: Environment, consumer: Consumer) -> dict[str, str]:
    """`environment` for a consumer that trusts the authorities in `https_trust_path` for HTTPS, as to Entra ID.

    The variables are those of Go and of Python's ssl (SSL_CERT_FILE), and of requests, which azure-identity uses.
    """
    return {**environment, "SSL_CERT_FILE": consumer.https_trust_path, "REQUESTS_CA_BUNDLE": consumer.https_trust_path}


def contents(*environments: Environment) -> dict[str, Content]:
    """What each file holds that these environments name, by its path under the deploy root.

    Takes the environments as the stack's outputs have them, before `relocated`.
    """
    return {
        path: _content(PurePosixPath(path))
        for environment in environments
        for variable, path in environment.items()
        if _names_file(variable)
    }


def relocated(environment: Environment, root: str) -> dict[str, str]:
    """`environment` for a consumer that sees the deploy root as `root`."""
    return {
        variable: str(PurePosixPath(root) / value)
        if _names_file(variable) or _HTTPS_TRUST.fullmatch(variable)
        else value
        for variable, value in environment.items()
    }


def inlined(environment: Environment, read: Callable[[str], bytes]) -> dict[str, str]:
    """`environment` with certificates, keys and authorities in the variables; `read` has a file's content for its path.

    The server's two documents stay files, as nothing else can hold them. What is inlined is not read again: a renewed
    certificate or another authority needs a restart.
    """
    result: dict[str, str] = {}
    for variable, value in environment.items():
        if _BASE64_DATA.fullmatch(variable):
            result[f"{variable}_DATA"] = base64.b64encode(read(value)).decode("ascii")
        elif _PEM_DATA.fullmatch(variable):
            result[f"{variable.removesuffix('_PATH')}_DATA"] = read(value).decode("ascii")
        else:
            result[variable] = value
    return result


def carried(environment: Environment) -> dict[str, bytes]:
    """What `inlined` has put into an environment, as PEM, by the variable that names a file otherwise.

    Raises ValueError for what is neither PEM nor base64.
    """
    found: dict[str, bytes] = {}
    for variable, value in environment.items():
        stem = variable.removesuffix("_DATA")
        # The server and the SDKs have a variable of the same name, in which they look for base64 and for PEM.
        if variable != stem and value.startswith("-----BEGIN") and _PEM_DATA.fullmatch(f"{stem}_PATH"):
            found[f"{stem}_PATH"] = value.encode()
        elif variable != stem and _BASE64_DATA.fullmatch(stem):
            found[stem] = base64.b64decode(value, validate=True)
    return found


def _names_file(variable: str) -> bool:
    return any(pattern.fullmatch(variable) for pattern in (_BASE64_DATA, _PEM_DATA, _DOCUMENT))


def _content(path: PurePosixPath) -> Content:
    match path.parts:
        case ("server", "ca", _):
            authority, _, slot = path.stem.rpartition("-")
            return AuthoritySlot(authority, slot)
        case ("workers", _, "ca", _) | ("ui" | "cli", "ca", _):
            return AuthorityBundle(path.stem)
        case (_, name) if path.suffix == ".yaml":
            return Document(name)
        case _:
            return PrivateKey(path.stem) if path.suffix == ".key" else Certificate(path.stem)
