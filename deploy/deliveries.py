"""What lies in the consumers' directories, compared with what `deploy write` would put there now.

Each directory's files are composed anew, with the private key, the root and the options that are found in it. So
"current" means that the same `deploy write` would change nothing: no certificate, no authority, no variable, and no
client secret either, unless the caller may not decrypt those: then they alone are left out (`Outputs.hides_secrets`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from deploy import directory, envfile
from deploy.composition import Files, compose
from deploy.outputs import HIDDEN, Outputs, Startup
from deploy.secret import Secret
from environment import AuthorityBundle, AuthoritySlot, Deployment, carried, contents, worker, worker_environment
from pki.chain import issued

WORKERS = "workers"
SECRETS_NOT_COMPARED = (
    "Client secrets were not compared with the stack's: they cannot be decrypted here. Set the passphrase, or take a "
    "role on the key that encrypts them."
)


class State(StrEnum):
    """How what is in a consumer's directory compares with the stack; `revoked` is a worker that the stack has not."""

    CURRENT = "current"
    OUTDATED = "outdated"
    MISSING = "missing"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Difference:
    """What is not as the stack has it: a file, or a variable in one."""

    file: str
    what: str
    variable: str = ""

    def __str__(self) -> str:
        return f"{self.variable} in {self.file} {self.what}" if self.variable else f"{self.file} {self.what}"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What a consumer's directory holds.

    `line` is the leaf and its chain, and `trusted` are the authorities by which the consumer judges others; both are
    empty where nothing can be read.
    """

    consumer: str
    state: State
    differences: tuple[Difference, ...] = ()
    line: tuple[x509.Certificate, ...] = ()
    trusted: tuple[x509.Certificate, ...] = ()

    @property
    def leaf(self) -> x509.Certificate | None:
        return self.line[0] if self.line else None


def deliveries(base: Path, outputs: Outputs) -> list[Delivery]:
    """Return what is delivered to each consumer of the stack, and to workers that it no longer has.

    Raises DeployError if a directory is not safe to read.
    """
    own = [
        compared(outputs, name, directory.read(base, startup.consumer.directory))
        for name, startup in outputs.startups.items()
    ]
    gone = [name for name in directory.names(base, WORKERS) if name not in outputs.worker_envs]
    return own + [_revoked(name, directory.read(base, f"{WORKERS}/{name}") or {}) for name in gone]


def compared(outputs: Outputs, name: str, files: Files | None) -> Delivery:
    """Return what these files of the consumer `name` are, against the stack's outputs."""
    if not files:
        return Delivery(consumer=name, state=State.MISSING)
    startup = outputs.startups[name]
    held = _Held(startup, files)
    differences = tuple(_differences(outputs, startup, held))
    return Delivery(
        consumer=name,
        state=State.OUTDATED if differences else State.CURRENT,
        differences=differences,
        line=held.line,
        trusted=held.trusted,
    )


def trusts(authorities: Iterable[x509.Certificate], line: Iterable[x509.Certificate]) -> bool:
    """Tell whether whoever trusts `authorities` accepts a leaf with its chain, as far as who issued it goes."""
    line = tuple(line)
    return any(link == authority or issued(link, by=authority) for authority in authorities for link in line)


class _Held:
    """A consumer's files, read as their consumer reads them; `unreadable` says why an environment file cannot be."""

    def __init__(self, startup: Startup, files: Files) -> None:
        self.files = files
        self.told: dict[str, dict[str, str]] = {}
        self.unreadable: dict[str, str] = {}
        self._by_path: dict[str, bytes] = {}
        self._startup = startup
        for file in startup.environments:
            if file in files:
                self._read(file, files[file])
        for path, content in files.items():
            self._by_path[f"{startup.consumer.directory}/{path}"] = content
        self.line = _certificates(self._by_path.get(startup.consumer.certificate_path, b""))
        self.trusted = tuple(dict.fromkeys(self._authorities()))

    @property
    def inline(self) -> bool:
        return any(carried(variables) for variables in self.told.values())

    @property
    def root(self) -> str:
        """Where the consumer sees the deploy root."""
        for file, variables in self.told.items():
            expected = self._startup.environments[file]
            for variable, path in expected.items():
                value = variables.get(variable, "")
                if path in contents(expected) and value.endswith(f"/{path}"):
                    return value.removesuffix(path)
        return "/"

    @property
    def private_key(self) -> Secret | None:
        """The key, with the leaf beside it."""
        consumer = self._startup.consumer
        pair = self._by_path.get(consumer.private_key_path, b"") + self._by_path.get(consumer.certificate_path, b"")
        try:
            return Secret.parse(pair.decode("ascii"), None)
        except ValueError:
            return None

    def _read(self, file: str, content: bytes) -> None:
        try:
            told = envfile.parse(content)
        except ValueError as error:
            self.unreadable[file] = f"cannot be read as an environment file: {error}"
            return
        try:
            inlined = carried(told)
        except ValueError:
            self.unreadable[file] = "holds certificates or keys that are neither PEM nor base64"
            return
        self.told[file] = told
        expected = self._startup.environments[file]
        self._by_path |= {expected[variable]: pem for variable, pem in inlined.items() if variable in expected}

    def _authorities(self) -> Iterator[x509.Certificate]:
        beside = f"{self._startup.consumer.directory}/ca/"
        named = contents(*self._startup.environments.values())
        for path, content in self._by_path.items():
            if path.startswith(beside) or isinstance(named.get(path), AuthoritySlot | AuthorityBundle):
                yield from _certificates(content)


def _revoked(name: str, files: Files) -> Delivery:
    sample = Deployment(internode_authority="internode", client_authorities=("clients",))
    consumer = worker(name)
    startup = Startup(consumer, dict.fromkeys(consumer.environment_files, worker_environment(sample, name)))
    held = _Held(startup, files)
    return Delivery(consumer=consumer.directory, state=State.REVOKED, line=held.line, trusted=held.trusted)


def _differences(outputs: Outputs, startup: Startup, held: _Held) -> Iterator[Difference]:
    consumer, name = startup.consumer, startup.consumer.certificate
    stacks, key = outputs.certificates.get(name), held.private_key
    if stacks is None:
        yield Difference(f"{name}.pem", "is of a certificate that the stack has not")
        return
    if held.unreadable:
        yield from (Difference(file, why) for file, why in held.unreadable.items())
        return
    if key is None:
        yield Difference(f"{name}.pem", "or its private key is missing or unreadable")
        return
    try:
        expected = compose(
            outputs,
            {name: key},
            held.root,
            consumers=[consumer.directory],
            inline=held.inline,
            https_trust=held.files.get(consumer.https_trust_path.removeprefix(f"{consumer.directory}/")),
        )[consumer.directory]
    except (LookupError, ValueError):
        yield Difference(consumer.directory, "cannot be compared: the stack's outputs are not in order")
        return
    if held.line[:1] == (stacks.certificate,) and not key.fits:
        yield Difference(f"{name}.key", f"does not belong to {name}.pem")
    for path in sorted(expected.keys() | held.files.keys()):
        if path in startup.environments:
            yield from _of_variables(path, envfile.parse(expected[path]), held.told.get(path))
        elif path not in expected:
            yield Difference(path, "is not among the stack's files")
        elif path not in held.files:
            yield Difference(path, "is missing")
        elif held.files[path] != expected[path]:
            yield Difference(path, "is not the stack's")


def _of_variables(file: str, expected: Mapping[str, str], told: Mapping[str, str] | None) -> Iterator[Difference]:
    if told is None:
        yield Difference(file, "is missing")
        return
    for variable in sorted(expected.keys() | told.keys()):
        if variable not in told:
            yield Difference(file, "is missing", variable)
        elif variable not in expected:
            yield Difference(file, "is not among the stack's variables", variable)
        elif expected[variable] not in (told[variable], HIDDEN):
            yield Difference(file, "is not the stack's", variable)


def _certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return ()
