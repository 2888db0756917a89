"""Temporal, secured with Azure: settings in, components, and what a deployment starts with out.

Wiring only: what a setting means is in `settings`, what Azure gets is in `components`, what Temporal is told is in
`environment`. Only this module reads the stack's configuration, and only this one exports.
"""

from collections.abc import Iterable

import pulumi
from pulumi import runtime
from pulumi_azure_native import authorization, resources

import settings
from components import AUTHORITIES, EVERY_LEAF, LEAVES, MutualTls, MutualTlsArgs, Principal, VaultPolicy, vault_name
from environment import (
    Deployment,
    cli_environment,
    dynamic_config,
    internal_frontend_environment,
    server_config,
    server_environment,
    ui_environment,
    worker_environment,
)
from provider.resources import KeyVaultProvider, get_caller, is_deleted_vault

project, stack = pulumi.get_project(), pulumi.get_stack()
configuration, secret_keys = settings.decode(runtime.get_config_env()), runtime.get_config_secret_keys_env()
try:
    config = settings.parse(configuration, project=project, stack=stack, secret_keys=secret_keys)
except settings.SettingsError as error:
    raise pulumi.RunError(str(error)) from None
for warning in config.warnings:
    pulumi.warn(warning)

# Who runs this, and which of the vaults exist as deleted ones.
provider = KeyVaultProvider("temporalazure", settings.azure_settings(configuration))
ask = pulumi.InvokeOptions(provider=provider)
caller, azure = get_caller(ask), authorization.get_client_config()
identity = (azure.tenant_id, azure.subscription_id, project, stack, str(config.vaults.generation))
vault_names = {AUTHORITIES: vault_name("ca", *identity), LEAVES: vault_name("leaf", *identity)}
deleted = {
    vault for vault, name in vault_names.items() if is_deleted_vault(name, config.location, azure.subscription_id, ask)
}


def principals(named: Iterable[settings.Principal]) -> list[Principal]:
    first_caller = Principal(caller.object_id, caller.kind, first_caller=True)
    return [Principal(item.id, item.kind) for item in named] or [first_caller]


tags = {**config.tags, "pulumi-project": project, "pulumi-stack": stack}
group = resources.ResourceGroup(
    "temporal", resource_group_name=config.resource_group, location=config.location, tags=tags
)
mutual_tls = MutualTls(
    "mutual-tls",
    MutualTlsArgs(
        vault_names=vault_names,
        recovered_vaults=deleted,
        vault_policy=VaultPolicy(
            resource_group_name=group.name,
            location=config.location,
            tenant_id=azure.tenant_id,
            subscription_id=azure.subscription_id,
            protection=config.vaults,
            deployers=principals(config.access.deployers),
            manage_access=config.access.manage,
            tags=tags,
            provider=provider,
        ),
        authorities=config.certificate_authorities,
        leaves=config.certificates,
        readers={name: principals(named) for name, named in (config.access.readers or {EVERY_LEAF: ()}).items()},
    ),
)

deployment = Deployment(
    internode_authority=config.certificates["cluster"].issuer,
    client_authorities=config.client_authorities,
    frontend_address=config.frontend.address,
    server_name=config.frontend.server_name,
    namespace=config.frontend.namespace,
)
pulumi.export("serverEnv", server_environment(deployment))
pulumi.export("internalFrontendEnv", internal_frontend_environment(deployment))
pulumi.export("serverConfig", server_config(deployment))
pulumi.export("dynamicConfig", dynamic_config())
pulumi.export("uiEnv", ui_environment(deployment))
pulumi.export("cliEnv", cli_environment(deployment))
pulumi.export("workerEnvs", {name: worker_environment(deployment, name) for name in config.workers})
pulumi.export("certificates", mutual_tls.certificates)
pulumi.export("caBundles", mutual_tls.ca_bundles)
pulumi.export("keyVaults", mutual_tls.key_vaults)
pulumi.export("signOn", {})
pulumi.export("temporalCloud", {})
