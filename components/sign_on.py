"""Sign-on to Temporal from Entra ID: the application, its scope and roles, who has them, and who the workers are.

One application is both the client that people sign in with and the API that tokens are for. Its client ID is the
audience that the server insists on: together with `AzureADMyOrg` the only thing that keeps other tenants' tokens out,
since Entra ID signs for all of them with the same keys.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import pulumi
import pulumi_azuread as azuread

from components.application import Owners, Registration, register
from components.client_secret import ClientSecret, ClientSecretArgs, SecretPolicy, Validity
from components.directory import Directory, DirectoryPrincipal, Named
from components.key_vault import KeyVault, VaultPolicy
from components.worker_identity import Worker, WorkerIdentity, WorkerIdentityArgs
from provider.resources import DirectoryPermission, check_directory_access

UI_CLIENT_SECRET = "ui-client-secret"
SCOPE = "default"

_NAMES = uuid.UUID("3c6e9f5a-1c0e-5b0d-8f55-6f5a2b7a9d10")
_AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
_GRAPH = "00000003-0000-0000-c000-000000000000"
_GRAPH_SCOPES = {
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
}
"""What the UI asks for besides its own scope, under the IDs that Microsoft Graph gives them in every tenant."""

_SYSTEM = "temporal-system"
_MAY = {
    "read": "May see workflows in",
    "write": "May start, signal and end workflows in, and work for,",
    "worker": "Grants nothing by itself in",
    "admin": "May do everything in",
}


class WorkerPolicy(Worker, Protocol):
    """What a worker is to be, and the managed identity that it runs under, if any."""

    @property
    def managed_identity(self) -> Named | None: ...


class SignOnPolicy(Protocol):
    """What sign-on is to be: who may do what, and how the UI gets tokens."""

    @property
    def display_name(self) -> str: ...

    @property
    def ui_url(self) -> str: ...

    @property
    def callback_url(self) -> str: ...

    @property
    def redirect_uris(self) -> Sequence[str]: ...

    @property
    def roles(self) -> Mapping[str, Sequence[Named]]: ...

    @property
    def owners(self) -> Sequence[Named]: ...

    @property
    def workers(self) -> Mapping[str, WorkerPolicy]: ...

    @property
    def scope_form(self) -> str: ...

    @property
    def admin_consent(self) -> bool: ...

    @property
    def azure_cli(self) -> bool: ...

    @property
    def client_secret(self) -> Validity: ...


@dataclass(frozen=True)
class SignOnPrincipals:
    """Who is meant in a policy: who has each role, who owns the applications, which workers are managed identities."""

    roles: Mapping[str, Sequence[DirectoryPrincipal]]
    owners: Owners
    managed_identities: Mapping[str, DirectoryPrincipal]


def find_principals(policy: SignOnPolicy, directory: Directory) -> SignOnPrincipals:
    """Look up everybody whom a policy names.

    Raises RunError if somebody is not there, or is to have one role twice, before anything is declared.
    """
    managed = {name: worker.managed_identity for name, worker in policy.workers.items() if worker.managed_identity}
    found = directory.look_up(
        {
            **{f"signOn.roles.{role}": assignees for role, assignees in policy.roles.items()},
            "signOn.owners": policy.owners,
            **{f"signOn.workers.{name}.managedIdentity": [identity] for name, identity in managed.items()},
        }
    )
    owners = dict.fromkeys(found[owner.kind, owner.name].object_id for owner in policy.owners)
    principals = SignOnPrincipals(
        roles={role: [found[item.kind, item.name] for item in assignees] for role, assignees in policy.roles.items()},
        owners=Owners(list(owners)) if owners else Owners([directory.caller()], first_caller=True),
        managed_identities={name: found[identity.kind, identity.name] for name, identity in managed.items()},
    )
    _require_single_assignments(policy, principals)
    return principals


def _require_single_assignments(policy: SignOnPolicy, principals: SignOnPrincipals) -> None:
    given = [
        *((role, who, f"signOn.roles.{role}") for role, assignees in principals.roles.items() for who in assignees),
        *(
            (role, identity, f"signOn.workers.{worker}.managedIdentity")
            for worker, identity in principals.managed_identities.items()
            for role in policy.workers[worker].roles
        ),
    ]
    places: dict[tuple[str, str], list[str]] = {}
    for role, principal, place in given:
        places.setdefault((role, principal.object_id), []).append(place)
    twice = {assignment: found for assignment, found in places.items() if len(found) > 1}
    if twice:
        problems = [
            f"  {' and '.join(dict.fromkeys(found))}: {object_id} is named more than once for {role}. Keep one of them."
            for (role, object_id), found in twice.items()
        ]
        heading = "Entra ID gives a principal a role once, by whichever name. Nothing was created or changed."
        raise pulumi.RunError("\n\n".join([heading, *problems]))


def require_permissions(policy: SignOnPolicy, directory: Directory, opts: pulumi.InvokeOptions) -> None:
    """Raise RunError, naming all that are missing, unless the caller has the Microsoft Graph permissions for an `up`.

    Entra ID's own refusal names none. A preview needs no right to write, so nothing is asked for it; nor can another
    identity be asked about than the caller's own.
    """
    if not pulumi.runtime.is_dry_run() and not directory.has_identity_of_its_own:
        check_directory_access(needed_permissions(policy), opts, directory.tenant_id)


def needed_permissions(policy: SignOnPolicy) -> list[DirectoryPermission]:
    """Return the permissions of Microsoft Graph that an `up` needs, each with the setting that needs it."""
    needed = {
        "signOn": ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"),
        "signOn.roles and signOn.workers, to find who is meant": ("Directory.Read.All",),
    }
    if any(policy.roles.values()) or policy.workers:
        needed["signOn.roles and signOn.workers"] = ("AppRoleAssignment.ReadWrite.All",)
    if policy.admin_consent:
        needed["signOn.adminConsent"] = ("DelegatedPermissionGrant.ReadWrite.All",)
    return [DirectoryPermission(names=names, needed_for=setting) for setting, names in needed.items()]


@dataclass(frozen=True, kw_only=True)
class SignOnArgs:
    """What sign-on is to be, and who is meant in it.

    `authority` is the sign-in service's address. `identity` is all that sets the stack apart from every other; `today`
    is in UTC. Who may read the leaf of the UI or of a worker in the vault may read its client secret there too.
    """

    policy: SignOnPolicy
    principals: SignOnPrincipals
    authority: str
    tenant_id: str
    identity: Sequence[str]
    today: date
    vault: KeyVault | None
    vault_policy: VaultPolicy


class SignOn(pulumi.ComponentResource):
    """The application that stands for Temporal in Entra ID. Give it the azuread provider of the tenant.

    It has what Temporal and its clients have to be told: `client_secret` and what is in `worker_variables` under
    AZURE_CLIENT_SECRET are secrets of the stack, and nothing else is one. `facts` are what is public.
    """

    issuer: str
    keys_url: str
    ui_url: str
    callback_url: str
    client_id: pulumi.Output[str]
    client_secret: pulumi.Output[str]
    scopes: pulumi.Output[str]
    token_scope: pulumi.Output[str]
    worker_variables: dict[str, dict[str, pulumi.Input[str]]]
    facts: dict[str, Any]

    def __init__(self, name: str, args: SignOnArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:SignOn", name, None, opts)
        policy, tenant = args.policy, f"{args.authority}/{args.tenant_id}"
        registration = Registration(owners=args.principals.owners, identity=args.identity)
        secrets = SecretPolicy(
            validity=policy.client_secret, today=args.today, vault=args.vault, vault_policy=args.vault_policy
        )
        readers = args.vault_policy.access.readers
        role_ids = {role: _id("role", role, *args.identity) for role in policy.roles}
        scope_id = _id("scope", SCOPE, *args.identity)
        redirect_uris = [policy.callback_url, *policy.redirect_uris]
        application, principal = register(
            name,
            policy.display_name,
            registration,
            self,
            assignment_required=True,
            api=_api(scope_id),
            app_roles=[_app_role(role, role_id) for role, role_id in role_ids.items()],
            required_resource_accesses=[_graph_access()],
            web=azuread.ApplicationWebArgs(homepage_url=policy.ui_url, redirect_uris=redirect_uris),
        )
        identifier_uri = azuread.ApplicationIdentifierUri(
            name,
            application_id=application.id,
            identifier_uri=pulumi.Output.format("api://{0}", application.client_id),
            opts=pulumi.ResourceOptions(parent=self),
        )
        if policy.azure_cli:
            azuread.ApplicationPreAuthorized(
                "azure-cli",
                application_id=application.id,
                authorized_client_id=_AZURE_CLI,
                permission_ids=[scope_id],
                opts=pulumi.ResourceOptions(parent=self),
            )
        if policy.admin_consent:
            self._consent(principal)
        secret = ClientSecret(
            UI_CLIENT_SECRET,
            ClientSecretArgs(application_id=application.id, policy=secrets, readers=readers.get("ui", ())),
            pulumi.ResourceOptions(parent=self),
        )
        for role, assignees in args.principals.roles.items():
            for assignee in assignees:
                azuread.AppRoleAssignment(
                    f"{role.replace(':', '-')}-{assignee.object_id}",
                    app_role_id=role_ids[role],
                    principal_object_id=assignee.object_id,
                    resource_object_id=principal.object_id,
                    opts=pulumi.ResourceOptions(parent=self),
                )
        workers = {
            worker: WorkerIdentity(
                worker,
                WorkerIdentityArgs(
                    worker=described,
                    managed_identity=args.principals.managed_identities.get(worker),
                    registration=registration,
                    secrets=secrets,
                    readers=readers.get(worker, ()),
                    resource_id=principal.object_id,
                    role_ids=role_ids,
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for worker, described in policy.workers.items()
        }
        self.issuer, self.keys_url = f"{tenant}/v2.0", f"{tenant}/discovery/v2.0/keys"
        self.ui_url, self.callback_url = policy.ui_url, policy.callback_url
        self.client_id, self.client_secret = application.client_id, secret.value
        # By its URI an application that is client and API in one gets a first token, and no second (AADSTS90009).
        asked = identifier_uri.identifier_uri if policy.scope_form == "uri" else application.client_id
        self.scopes = pulumi.Output.format(f"{','.join(_GRAPH_SCOPES)},{{0}}/{SCOPE}", asked)
        self.token_scope = pulumi.Output.format("{0}/.default", identifier_uri.identifier_uri)
        self.worker_variables = {
            worker: {"AZURE_AUTHORITY_HOST": args.authority, "AZURE_TENANT_ID": args.tenant_id, **identity.variables}
            for worker, identity in workers.items()
        }
        self.facts = {
            "tenantId": args.tenant_id,
            "clientId": self.client_id,
            "objectId": principal.object_id,
            "issuer": self.issuer,
            "scope": pulumi.Output.format(f"{{0}}/{SCOPE}", application.client_id),
            "redirectUris": redirect_uris,
            "roles": role_ids,
            "clientSecret": secret.facts,
            "workers": {worker: identity.facts for worker, identity in workers.items()},
        }
        self.register_outputs({"signOn": self.facts})

    def _consent(self, principal: azuread.ServicePrincipal) -> None:
        graph = azuread.get_service_principal_output(
            client_id=_GRAPH, opts=pulumi.InvokeOutputOptions(parent=self)
        ).object_id
        granted: dict[str, tuple[pulumi.Input[str], list[str]]] = {
            "own-scope": (principal.object_id, [SCOPE]),
            "sign-in": (graph, list(_GRAPH_SCOPES)),
        }
        for name, (resource, scopes) in granted.items():
            azuread.ServicePrincipalDelegatedPermissionGrant(
                name,
                service_principal_object_id=principal.object_id,
                resource_service_principal_object_id=resource,
                claim_values=scopes,
                opts=pulumi.ResourceOptions(parent=self),
            )


def _id(*parts: str) -> str:
    """Return the GUID of a scope or role: the same for the same stack and name, so that it is stable."""
    return str(uuid.uuid5(_NAMES, "|".join(parts)))


def _api(scope_id: str) -> azuread.ApplicationApiArgs:
    return azuread.ApplicationApiArgs(
        requested_access_token_version=2,
        oauth2_permission_scopes=[
            azuread.ApplicationApiOauth2PermissionScopeArgs(
                id=scope_id,
                value=SCOPE,
                type="User",
                enabled=True,
                admin_consent_display_name="Use Temporal",
                admin_consent_description="Use Temporal on behalf of the signed-in user, as far as their roles allow.",
                user_consent_display_name="Use Temporal",
                user_consent_description="Use Temporal on your behalf, as far as your roles allow.",
            )
        ],
    )


def _app_role(role: str, role_id: str) -> azuread.ApplicationAppRoleArgs:
    namespace, _, name = role.rpartition(":")
    where = "every namespace, and list them" if namespace == _SYSTEM else namespace
    return azuread.ApplicationAppRoleArgs(
        id=role_id,
        value=role,
        display_name=role,
        description=f"{_MAY[name]} {where}",
        allowed_member_types=["Application", "User"],
        enabled=True,
    )


def _graph_access() -> azuread.ApplicationRequiredResourceAccessArgs:
    return azuread.ApplicationRequiredResourceAccessArgs(
        resource_app_id=_GRAPH,
        resource_accesses=[
            azuread.ApplicationRequiredResourceAccessResourceAccessArgs(id=scope_id, type="Scope")
            for scope_id in _GRAPH_SCOPES.values()
        ],
    )
