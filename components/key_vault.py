"""A Key Vault with role-based access, its network rules and its audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pulumi
from pulumi_azure_native import keyvault, monitor, network

from components.access import Access, VaultRole, assign
from components.derived import digest
from provider.resources import check_access

AUTHORITIES, LEAVES = "authorities", "leaves"
"""The two vaults: who may read a leaf's key has nothing to do where the authorities' keys are."""


class NetworkRules(Protocol):
    """Who can reach a vault. With `default_action` `Deny`, only what is named here."""

    @property
    def public_access(self) -> bool: ...

    @property
    def default_action(self) -> str: ...

    @property
    def allowed_addresses(self) -> Sequence[str]: ...

    @property
    def allowed_subnets(self) -> Sequence[str]: ...

    @property
    def private_endpoint_subnet(self) -> str | None: ...


class Protection(Protocol):
    """How vaults are protected: tier, deletion, network, and the workspace that takes their audit log."""

    @property
    def sku(self) -> str: ...

    @property
    def purge_protection(self) -> bool: ...

    @property
    def soft_delete_retention_days(self) -> int: ...

    @property
    def network(self) -> NetworkRules: ...

    @property
    def diagnostics_workspace(self) -> str | None: ...


@dataclass(frozen=True, kw_only=True)
class VaultPolicy:
    """What the vaults of a stack have in common: their place, their protection, who may work in them and read."""

    resource_group_name: pulumi.Input[str]
    location: str
    tenant_id: str
    subscription_id: str
    protection: Protection
    access: Access
    tags: Mapping[str, str]
    provider: pulumi.ProviderResource


@dataclass(frozen=True, kw_only=True)
class KeyVaultArgs:
    """What one vault is to be.

    `recover`: a deleted vault holds the name, and is taken back with all that is in it. `deployer_roles` are what a
    deployer needs in this one.
    """

    vault_name: str
    recover: bool
    deployer_roles: Sequence[VaultRole]
    policy: VaultPolicy


class KeyVault(pulumi.ComponentResource):
    """A vault that its deployers may work in.

    What uses the vault depends on `ready`, so that deployers have their roles before, and keep them until after.
    """

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(self, name: str, args: KeyVaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:KeyVault", name, None, opts)
        policy, protection = args.policy, args.policy.protection
        vault = keyvault.Vault(
            name,
            vault_name=args.vault_name,
            resource_group_name=policy.resource_group_name,
            location=policy.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=policy.tenant_id,
                sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName(protection.sku)),
                create_mode=keyvault.CreateMode.RECOVER if args.recover else None,
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                # Azure takes True or nothing: what was switched on cannot be switched off.
                enable_purge_protection=True if protection.purge_protection else None,
                soft_delete_retention_in_days=protection.soft_delete_retention_days,
                public_network_access="Enabled" if protection.network.public_access else "Disabled",
                network_acls=_network_rule_set(protection.network),
            ),
            tags=dict(policy.tags),
            # How a vault came to be is no property of it: the next run finds it there and would have it otherwise.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["properties.createMode"]),
        )
        self.id = vault.id
        self.name = vault.name
        self.ready: list[pulumi.Resource] = []
        uri = vault.properties.apply(lambda properties: str(properties.vault_uri))
        if policy.access.manage:
            for role in args.deployer_roles:
                self.ready += assign(name, role, vault.id, policy.access.deployers, policy.subscription_id, self)
        else:
            uri = once_checked(uri, vault.id, args.deployer_roles, policy, self)
        self.uri = uri
        if protection.network.private_endpoint_subnet:
            self.ready.append(_private_endpoint(name, args, vault.id, protection.network.private_endpoint_subnet, self))
        if protection.diagnostics_workspace:
            _audit_log(name, vault.id, protection.diagnostics_workspace, self)
        self.register_outputs({"id": self.id, "name": self.name, "uri": self.uri})


def vault_names(*identity: str) -> dict[str, str]:
    """Return the name of each vault, by what it is for, derived from all that sets a stack apart from every other."""
    return {AUTHORITIES: vault_name("ca", *identity), LEAVES: vault_name("leaf", *identity)}


def vault_name(purpose: str, *identity: str) -> str:
    """Return the name of the vault for `purpose` (at most four letters), derived from all that sets it apart.

    The same identity always gives the same name, so that a killed run finds its vault again; names are global in
    Azure, and of 3 to 24 characters.
    """
    return f"temporal-{purpose}-{digest(purpose, *identity, length=10)}"


def once_checked(
    uri: pulumi.Output[str],
    scope: pulumi.Output[str],
    roles: Sequence[VaultRole],
    policy: VaultPolicy,
    parent: pulumi.Resource,
) -> pulumi.Output[str]:
    """Return `uri`, for stacks that do not assign roles: it fails unless named deployers have these on `scope`."""
    named = [principal.object_id for principal in policy.access.deployers if not principal.first_caller]
    titles = {role.definition: role.title for role in roles}
    options = pulumi.InvokeOptions(provider=policy.provider, parent=parent)
    checked = scope.apply(lambda where: check_access(where, named, titles, policy.subscription_id, options))
    return pulumi.Output.all(uri, checked).apply(lambda found: str(found[0]))


def _network_rule_set(rules: NetworkRules) -> keyvault.NetworkRuleSetArgs:
    return keyvault.NetworkRuleSetArgs(
        bypass=keyvault.NetworkRuleBypassOptions.NONE,
        default_action=keyvault.NetworkRuleAction(rules.default_action),
        ip_rules=[keyvault.IPRuleArgs(value=address) for address in rules.allowed_addresses],
        virtual_network_rules=[keyvault.VirtualNetworkRuleArgs(id=subnet) for subnet in rules.allowed_subnets],
    )


def _private_endpoint(
    name: str, args: KeyVaultArgs, vault_id: pulumi.Input[str], subnet: str, parent: pulumi.Resource
) -> network.PrivateEndpoint:
    return network.PrivateEndpoint(
        name,
        private_endpoint_name=args.vault_name,
        resource_group_name=args.policy.resource_group_name,
        location=args.policy.location,
        subnet=network.SubnetArgs(id=subnet),
        private_link_service_connections=[
            network.PrivateLinkServiceConnectionArgs(
                name=args.vault_name, private_link_service_id=vault_id, group_ids=["vault"]
            )
        ],
        tags=dict(args.policy.tags),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _audit_log(name: str, vault_id: pulumi.Input[str], workspace: str, parent: pulumi.Resource) -> None:
    monitor.DiagnosticSetting(
        name,
        name="audit",
        resource_uri=vault_id,
        workspace_id=workspace,
        logs=[monitor.DiagnosticsLogSettingsArgs(category_group="audit", enabled=True)],
        opts=pulumi.ResourceOptions(parent=parent),
    )
