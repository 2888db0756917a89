"""The stack's outputs, as far as files are made of them. Typed, and checked for their shape only: `checks` judges them.

Certificates are parsed on the way in, so that whatever follows deals with certificates and not with text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from deploy.problem import DeployError
from environment import CLI, SERVER, UI, AuthorityBundle, AuthoritySlot, Consumer, Environment, contents, worker
from pki import Role, load_certificate
from pki.chain import issued
from pki.held import printable


def _certificate(pem: object) -> x509.Certificate:
    if not isinstance(pem, str):
        raise ValueError("not a certificate in PEM")
    return load_certificate(pem)


Pem = Annotated[x509.Certificate, BeforeValidator(_certificate)]
WorkerName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]*$")]


HIDDEN = "[secret]"
"""What the engine puts in the place of a secret's value, for whoever did not ask for it or may not decrypt it."""


def common_name(name: x509.Name) -> str:
    """Return a name's last common name, or all of it if it has none, for a person to read."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return printable(str(found[-1].value) if found else name.rfc4514_string())


def _authorities_in(*environments: Environment) -> list[str]:
    """Return the names of the authorities whose files environments name."""
    named = contents(*environments).values()
    return list(dict.fromkeys(one.authority for one in named if isinstance(one, AuthoritySlot | AuthorityBundle)))


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class IssuedCertificate(_Model):
    """A certificate and those above it.

    `secret_id` names the version of the secret that holds its private key, where that is in a vault. Inside its last
    `renew_before_days` (whole UTC days) `up` renews a leaf; authorities have no such window.
    """

    role: Role
    renew_before_days: int
    certificate: Pem = Field(alias="certificatePem")
    chain: tuple[Pem, ...] = Field(alias="chainPem")
    secret_id: str | None = None
    vault_uri: str | None

    @property
    def renewal_day(self) -> date | None:
        """The first UTC day on which `up` renews it.

        None for an authority, and for a leaf that could not be made to last longer because its authority ends with it.
        """
        ends = self.certificate.not_valid_after_utc
        if self.role is Role.AUTHORITY or any(above.not_valid_after_utc <= ends for above in self.chain[:1]):
            return None
        return (ends - timedelta(days=self.renew_before_days)).date()


class ClientSecretFacts(_Model):
    """What is public of a client secret: when it ends. Inside its last `renew_before_days` `up` makes another."""

    not_after: datetime
    renew_before_days: int

    @property
    def renewal_day(self) -> date:
        """The first UTC day on which `up` makes another."""
        return (self.not_after - timedelta(days=self.renew_before_days)).date()


class WorkerIdentityFacts(_Model):
    client_secret: ClientSecretFacts | None = None


class SignOnFacts(_Model):
    """What is public of sign-on; empty where there is none. `workers` are those that have an identity."""

    client_id: str = ""
    tenant_id: str = ""
    client_secret: ClientSecretFacts | None = None
    workers: dict[str, WorkerIdentityFacts] = {}

    @property
    def client_secrets(self) -> dict[str, ClientSecretFacts]:
        """Each client secret there is, by its consumer."""
        secrets = {"ui": self.client_secret, **{name: worker.client_secret for name, worker in self.workers.items()}}
        return {name: secret for name, secret in secrets.items() if secret}


class KeyVault(_Model):
    name: str
    id: str
    uri: str


@dataclass(frozen=True)
class Startup:
    """A consumer, and what it starts with: the variables of each of its environment files."""

    consumer: Consumer
    environments: Mapping[str, Environment]


class Outputs(_Model):
    """What `up` left for the consumers. `certificates` has leaves and authorities, `ca_bundles` trusted generations.

    `certificate_signing_requests` are for issuers whose keys are elsewhere, by the authorities' names.
    `private_keys` are those of leaves that are in the stack's state, by the leaf's name.
    """

    server_env: dict[str, str]
    internal_frontend_env: dict[str, str]
    ui_env: dict[str, str]
    cli_env: dict[str, str]
    worker_envs: dict[WorkerName, dict[str, str]]
    server_config: str
    dynamic_config: str
    certificates: dict[str, IssuedCertificate]
    ca_bundles: dict[str, tuple[Pem, ...]]
    certificate_signing_requests: dict[str, str] = {}
    key_vaults: dict[str, KeyVault]
    private_keys: dict[str, SecretStr] = {}
    sign_on: SignOnFacts

    @classmethod
    def parse(cls, raw: Mapping[str, Any], stack: str) -> Outputs:
        """Return the outputs of `stack`. Raises DeployError, with everything that is missing or malformed."""
        if not raw:
            raise DeployError(
                f"The stack {stack} has no outputs, so there is nothing to write. Run `make up STACK={stack}` first."
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)]
            heading = f"The outputs of the stack {stack} are not what this version of the program makes:"
            ending = f"Nothing was written. Run `make up STACK={stack}` with this version, then try again."
            raise DeployError("\n".join([heading, *(f"  {one}" for one in wrong), ending])) from None

    def name_of(self, authority: x509.Certificate) -> str:
        """Return what an authority is called among the certificates, or its common name if it is none of them.

        One that was renewed since, with the same key, is called so.
        """
        for name, one in self.certificates.items():
            if one.certificate == authority:
                return name
        for name, one in self.certificates.items():
            if one.role is Role.AUTHORITY and one.certificate.public_key() == authority.public_key():
                return f"{name} before its renewal"
        return common_name(authority.subject)

    def issuer_of(self, line: Sequence[x509.Certificate]) -> str:
        """Return the name of who issued a certificate, which comes first in `line`, before its chain."""
        leaf, *chain = line
        authorities = [one.certificate for one in self.certificates.values() if one.role is Role.AUTHORITY]
        above = next((one for one in (*chain[:1], *authorities) if issued(leaf, by=one)), None)
        return self.name_of(above) if above else common_name(leaf.issuer)

    @property
    def authorities(self) -> list[x509.Certificate]:
        """Every authority that is trusted."""
        return [authority for bundle in self.ca_bundles.values() for authority in bundle]

    def judged_by(self, consumer: str) -> list[str]:
        """Return the names of the authorities by which a consumer is to judge others."""
        return _authorities_in(*self.startups[consumer].environments.values())

    def relied_on_by(self, consumer: str) -> list[str]:
        """Return those that each process of a consumer judges by. Whom only one of them admits may be missed."""
        each = (set(_authorities_in(environment)) for environment in self.startups[consumer].environments.values())
        return sorted(set.intersection(*each))

    def trusted_by(self, consumer: str) -> list[x509.Certificate]:
        """Return the generations of these authorities that are trusted."""
        return list(dict.fromkeys(one for name in self.judged_by(consumer) for one in self.ca_bundles.get(name, ())))

    @property
    def hides_secrets(self) -> bool:
        """Whether secret values are hidden, so that nothing can be compared with them."""
        return any(
            HIDDEN in env.values() for startup in self.startups.values() for env in startup.environments.values()
        )

    @property
    def awaited(self) -> tuple[str, ...]:
        """The authorities that wait for their certificates."""
        return tuple(name for name in self.certificate_signing_requests if name not in self.certificates)

    @property
    def startups(self) -> dict[str, Startup]:
        """Every consumer's, by the consumer's name: `server`, `ui`, `cli`, `workers/<name>`."""
        given: list[tuple[Consumer, tuple[Environment, ...]]] = [
            (SERVER, (self.server_env, self.internal_frontend_env)),
            (UI, (self.ui_env,)),
            (CLI, (self.cli_env,)),
            *((worker(name), (variables,)) for name, variables in self.worker_envs.items()),
        ]
        return {
            consumer.directory: Startup(consumer, dict(zip(consumer.environment_files, environments, strict=True)))
            for consumer, environments in given
        }
