"""Who a worker is in Entra ID, and its roles at Temporal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pulumi
import pulumi_azuread as azuread

from components.access import Principal
from components.application import Registration, register
from components.client_secret import ClientSecret, ClientSecretArgs, SecretPolicy
from components.directory import DirectoryPrincipal


class FederatedCredential(Protocol):
    """A token of somebody else's that is as good as a secret: its claims `iss`, `sub` and `aud`."""

    @property
    def issuer(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def audience(self) -> str: ...


class Worker(Protocol):
    """What a worker is to be. Without federated credentials its application has a client secret."""

    @property
    def display_name(self) -> str: ...

    @property
    def roles(self) -> Sequence[str]: ...

    @property
    def federated_credentials(self) -> Sequence[FederatedCredential]: ...


@dataclass(frozen=True, kw_only=True)
class WorkerIdentityArgs:
    """The worker, its managed identity, which stands in for an application of its own, and what a secret would need.

    `role_ids` are the app roles of `resource_id`, the object ID of Temporal's service principal.
    """

    worker: Worker
    managed_identity: DirectoryPrincipal | None
    registration: Registration
    secrets: SecretPolicy
    readers: Sequence[Principal]
    resource_id: pulumi.Input[str]
    role_ids: Mapping[str, str]


class WorkerIdentity(pulumi.ComponentResource):
    """A worker's service principal. `variables` are what azure-identity reads, a client secret too if it has one.

    `facts` are what is public of it.
    """

    client_id: pulumi.Input[str]
    object_id: pulumi.Input[str]
    variables: dict[str, pulumi.Input[str]]
    facts: dict[str, Any]

    def __init__(self, name: str, args: WorkerIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:WorkerIdentity", name, None, opts)
        secret = None
        if args.managed_identity:
            self.client_id, self.object_id = args.managed_identity.client_id, args.managed_identity.object_id
        else:
            secret = self._register(name, args)
        for role in args.worker.roles:
            azuread.AppRoleAssignment(
                # A worker's name has no period: no two of a worker and a role make one name.
                f"{name}.{role.replace(':', '-')}",
                app_role_id=args.role_ids[role],
                principal_object_id=self.object_id,
                resource_object_id=args.resource_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.variables = {"AZURE_CLIENT_ID": self.client_id}
        self.facts = {"clientId": self.client_id, "objectId": self.object_id}
        if secret:
            self.variables["AZURE_CLIENT_SECRET"] = secret.value
            self.facts["clientSecret"] = secret.facts
        self.register_outputs(self.facts)

    def _register(self, name: str, args: WorkerIdentityArgs) -> ClientSecret | None:
        worker = args.worker
        application, principal = register(name, worker.display_name, args.registration, self)
        self.client_id, self.object_id = application.client_id, principal.object_id
        for credential in worker.federated_credentials:
            # Not by number: if one is removed, the next would be written while its equal is still there.
            digest = hashlib.sha256(f"{credential.issuer}|{credential.subject}".encode()).hexdigest()[:10]
            azuread.ApplicationFederatedIdentityCredential(
                f"{name}-{digest}",
                application_id=application.id,
                display_name=f"{name}-{digest}",
                issuer=credential.issuer,
                subject=credential.subject,
                audiences=[credential.audience],
                opts=pulumi.ResourceOptions(parent=self),
            )
        if worker.federated_credentials:
            return None
        return ClientSecret(
            f"{name}-client-secret",
            ClientSecretArgs(application_id=application.id, policy=args.secrets, readers=args.readers),
            pulumi.ResourceOptions(parent=self),
        )
