"""The program on a stack of its own: its settings, its day, what a run did and said, and what is in its vaults.

Runs are asked for the engine's events, so that a test can tell which resource a step or a message belongs to.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from azure.keyvault.certificates import CertificateClient, CertificatePolicy, KeyVaultCertificate
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient
from cryptography import x509

from localazure.access import role_named
from localazure.client import LocalAzure
from localazure.store import Document, Store
from provider.clock import VARIABLE as NOW
from tests.engine.localazure.sdk import Sdk
from tools.plugins import official_plugins
from tools.stack import EngineError, LocalStack, Outcome

PROJECT = "temporal-azure"
CERTIFICATE = "temporalazure:keyvault:Certificate"
_Client = TypeVar("_Client", CertificateClient, KeyClient, SecretClient)
WAITING = "Waiting for permission"
_LEAF = "temporal-azure:components:MutualTls$temporal-azure:components:Certificate"
_AUTHORITY = "temporal-azure:components:MutualTls$temporal-azure:components:CertificateAuthority"

QUICK_SETTINGS: Mapping[str, Any] = {
    "location": "westeurope",
    "authorization": "none",
    "certificateAuthorities": {"internode": {"keyType": "EC-P256"}, "clients": {"keyType": "EC-P256"}},
}
"""Settings of every stack here unless it says otherwise: keys of authorities that are made in no time."""

Step = tuple[str, str]
"""An operation and the URN of its resource."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What the engine showed, beside the resource `name` or beside the stack."""

    name: str
    severity: str
    text: str


class Run:
    """How one run of the engine ended, step by step."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.exit_status = outcome.exit_status
        self._events: list[dict[str, Any]] = [
            json.loads(line) for line in outcome.stdout.splitlines() if line.startswith('{"sequence"')
        ]

    @property
    def steps(self) -> set[Step]:
        """What was done, resources that stay as they are included."""
        done = (event["metadata"] for event in self._of("resOutputsEvent"))
        return {(step["op"], step["urn"]) for step in done}

    @property
    def changes(self) -> dict[str, int]:
        """How many resources by operation."""
        (summary,) = self._of("summaryEvent")
        return dict(summary["resourceChanges"])

    @property
    def stack_outputs(self) -> dict[str, Any]:
        """What the stack's outputs are after the run, as far as that is known."""
        steps = (event["metadata"] for event in self._of("resOutputsEvent"))
        *_, last = (step for step in steps if step["type"] == "pulumi:pulumi:Stack")
        return dict(last["new"]["outputs"])

    @cached_property
    def messages(self) -> list[Message]:
        """What a person sees, in its order."""
        return [
            Message(name=_name(event.get("urn", "")), severity=event["severity"], text=event["message"])
            for event in self._of("diagnosticEvent")
            if event["severity"] != "debug"
        ]

    @property
    def shown(self) -> str:
        """All that a person sees."""
        return "\n".join([*(message.text for message in self.messages), self._outcome.stderr])

    def said_of(self, name: str) -> str:
        """What a person sees beside the resource of that name."""
        return "\n".join(message.text for message in self.messages if message.name == name)

    def errors(self) -> dict[str, str]:
        """The errors, by the name of the resource that they stand beside."""
        return {message.name: message.text for message in self.messages if message.severity == "error" and message.name}

    def certificates(self, operation: str) -> set[str]:
        """The names of the certificates, authorities included, that the operation was done to."""
        return {_name(urn) for op, urn in self.steps if op == operation and _type(urn) == CERTIFICATE}

    def others(self, operation: str) -> set[str]:
        """The names of the resources that are no certificates and that the operation was done to."""
        return {_name(urn) for op, urn in self.steps if op == operation and _type(urn) != CERTIFICATE}

    def check(self) -> Self:
        """This run, when the engine succeeded. Raises EngineError when it did not."""
        if self.exit_status:
            raise EngineError(f"exited with {self.exit_status}:\n{self.shown}")
        return self

    def refused(self) -> Self:
        """This run, when the engine failed and told it to a person, not to a programmer."""
        assert self.exit_status, self.changes
        assert "Traceback" not in self.shown, self.shown
        assert 'File "' not in self.shown, self.shown
        return self

    def _of(self, kind: str) -> Iterator[dict[str, Any]]:
        return (event[kind] for event in self._events if kind in event)


class ProgramStack(LocalStack):
    """The program with settings that a test changes from run to run.

    `today`: what the program takes for now. `variables` are added to every run's environment.
    """

    def __init__(self, root: Path, *, azure: LocalAzure, pulumi_home: Path, name: str) -> None:
        # What the tests show of a stand-in, they show of the official plugin on a machine that has it.
        official = official_plugins(os.environ.get("OFFICIAL_PLUGINS", ""))
        super().__init__(root, azure=azure, name=name, pulumi_home=pulumi_home, official_plugins=official)
        self.azure = azure
        self.today: datetime | None = None
        self.variables: dict[str, str] = {}
        self.settings: dict[str, Any] = {}
        self.set()

    def set(self, *, elsewhere: Mapping[str, Any] | None = None, **settings: Any) -> None:
        """Change settings, by their names; `elsewhere` are keys of other namespaces. None takes a setting out."""
        named = {f"{PROJECT}:{name}": value for name, value in settings.items()}
        quick = {f"{PROJECT}:{name}": value for name, value in QUICK_SETTINGS.items()}
        changed = (self.settings or quick) | named | dict(elsewhere or {})
        self.settings = {key: value for key, value in changed.items() if value is not None}
        self.configure(self.settings)

    def environment(self, identity: str | None = None) -> dict[str, str]:
        now = {NOW: self.today.isoformat()} if self.today else {}
        events = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
        return super().environment(identity) | events | now | self.variables

    def run(self, operation: str, *arguments: str, identity: str | None = None) -> Run:
        """`pulumi OPERATION --json`, without questions, to its end."""
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        with self.start(operation, *unasked, *arguments, "--json", identity=identity) as running:
            return Run(running.wait())

    def urn(self, path: str) -> str:
        """The URN of `types::name`, types qualified by those of the parents."""
        return f"urn:pulumi:{self.name}::{self.project_name}::{path}"

    def leaf_urn(self, name: str) -> str:
        """The URN of a leaf."""
        return self.urn(f"{_LEAF}${CERTIFICATE}::{name}")

    def component_urn(self, name: str) -> str:
        """The URN of the component that holds a leaf."""
        return self.urn(f"{_LEAF}::{name}")

    def authority_urn(self, name: str) -> str:
        """The URN of an authority's generation."""
        return self.urn(f"{_AUTHORITY}${CERTIFICATE}::{name}")

    def owner_tags(self, urn: str) -> dict[str, str]:
        """The tags that mark what is in a vault as made by the resource `urn` of this stack."""
        return {"pulumi-project": self.project_name, "pulumi-stack": self.name, "pulumi-urn": urn}

    def facts(self) -> dict[str, dict[str, Any]]:
        """What the outputs say of each certificate."""
        return dict(self.outputs()["certificates"])

    def vault(self, purpose: str) -> dict[str, str]:
        """Name, id and uri of the vault of `authorities`, or of `leaves`."""
        return dict(self.outputs()["keyVaults"][purpose])


class Watch:
    """The requests of a local Azure from now on."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure
        self._after = max((request["n"] for request in azure.requests()), default=0)

    def requests(self, host: str | None = None) -> list[dict[str, Any]]:
        """All of them, or those to `entra`, `arm` or a `vault`."""
        return [request for request in self._azure.requests(self._after) if host in (None, request["host"])]

    def writes(self, host: str | None = None) -> list[str]:
        """Method and path of those that were let in to change something."""
        return [_line(request) for request in self.requests(host) if request["write"]]

    def signatures(self) -> list[str]:
        """Method and path of the requests to sign."""
        return [_line(request) for request in self.requests("vault") if request["path"].rstrip("/").endswith("/sign")]

    def answered(self, status: int) -> list[str]:
        """Method and path of those that were answered with that status."""
        return [_line(request) for request in self.requests() if request["status"] == status]


@contextmanager
def dialled(azure: LocalAzure, **dials: Any) -> Iterator[None]:
    """The dials, set for a while."""
    before = azure.dials()
    azure.dials(**dials)
    try:
        yield
    finally:
        azure.dials(**before)


class Hand:
    """Somebody who may do everything in every vault, and does it by hand with the official clients."""

    def __init__(self, azure: LocalAzure, closing: ExitStack) -> None:
        self._azure = azure
        self._closing = closing
        self.sdk = Sdk(azure, closing)
        self._clients: dict[tuple[type[Any], str, str], Any] = {}
        azure.create_identity("hand")
        role = role_named("Key Vault Administrator").id
        self.sdk.assign("hand", role, f"/subscriptions/{azure.subscription_id}")

    def certificates(self, vault_uri: str) -> CertificateClient:
        return self._client(CertificateClient, vault_uri)

    def keys(self, vault_uri: str) -> KeyClient:
        return self._client(KeyClient, vault_uri)

    def secrets(self, vault_uri: str, identity: str = "hand") -> SecretClient:
        """As the hand, or as somebody else, with what rights these have."""
        return self._client(SecretClient, vault_uri, identity)

    def create(self, vault_uri: str, name: str, policy: CertificatePolicy, **options: Any) -> KeyVaultCertificate:
        """A certificate that the vault issues itself, once it is issued."""
        poller = self.certificates(vault_uri).begin_create_certificate(name, policy, _polling_interval=0, **options)
        created = poller.result()
        assert isinstance(created, KeyVaultCertificate)
        return created

    def request(self, vault_uri: str, name: str, policy: CertificatePolicy, **options: Any) -> None:
        """A request that waits for somebody to sign it."""
        self.certificates(vault_uri).begin_create_certificate(name, policy, _polling_interval=0, **options)

    def assign(self, identity: str, role: str, scope: str) -> None:
        """Assign a built-in role, by its name, as the deployer."""
        self.sdk.assign(identity, role_named(role).id, scope)

    def _client(self, kind: type[_Client], vault_uri: str, identity: str = "hand") -> _Client:
        known = (kind, vault_uri, identity)
        if known not in self._clients:
            make: Any = kind
            client = make(
                vault_uri,
                credential=self.sdk.credential(identity),
                verify_challenge_resource=False,
                retry_total=0,
                **self.sdk.trust,
            )
            self._clients[known] = self._closing.enter_context(client)
        return cast(_Client, self._clients[known])


def stored(azure: LocalAzure, vault_name: str, *, deleted: bool = False) -> dict[str, Document]:
    """What a vault keeps of its certificates, private keys included, by name: none of it passes through a client."""
    store = Store(azure.state / "state.sqlite3")
    try:
        return dict(store.items(f"vault/{vault_name}/{'deleted' if deleted else ''}certificates"))
    finally:
        store.close()


def versions(document: Document) -> list[str]:
    """The versions of a stored certificate, oldest first."""
    return [version["version"] for version in document["versions"]]


def loaded(facts: Mapping[str, Any]) -> x509.Certificate:
    """The certificate of an entry of the output `certificates`."""
    return x509.load_pem_x509_certificate(str(facts["certificatePem"]).encode())


def _line(request: Mapping[str, Any]) -> str:
    return f"{request['method']} {request['path']}"


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _type(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2] if urn else ""
