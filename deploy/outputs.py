"""The stack's outputs, as far as files are made of them. Typed, and checked for their shape only: `checks` judges them.

Certificates are parsed on the way in, so that whatever follows deals with certificates and not with text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from cryptography import x509
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from deploy.problem import DeployError
from environment import CLI, SERVER, UI, Consumer, Environment, worker
from pki import Role, load_certificate


def _certificate(pem: object) -> x509.Certificate:
    if not isinstance(pem, str):
        raise ValueError("not a certificate in PEM")
    return load_certificate(pem)


Pem = Annotated[x509.Certificate, BeforeValidator(_certificate)]
WorkerName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class IssuedCertificate(_Model):
    """A certificate and those above it.

    `secret_id` names the version of the secret that holds its private key. Inside its last `renew_before_days` (whole
    UTC days) `up` renews a leaf; authorities have no such window.
    """

    role: Role
    renew_before_days: int
    certificate: Pem = Field(alias="certificatePem")
    chain: tuple[Pem, ...] = Field(alias="chainPem")
    secret_id: str | None = None
    vault_uri: str


class ClientSecretFacts(_Model):
    """What is public of a client secret: when it ends. Inside its last `renew_before_days` `up` makes another."""

    not_after: datetime
    renew_before_days: int


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
