"""Temporal, secured with Azure: settings in, components, and what a deployment starts with out.

Wiring only: what a setting means is in `settings`, what Azure gets is in `components`, what Temporal is told is in
`environment`. Only this module reads the stack's configuration, and only this one exports.
"""

import pulumi
from pulumi import InvokeOptions, ResourceOptions, runtime
from pulumi_azure_native import authorization, resources

import components as azure
import environment as temporal
import settings
from provider import clock
from provider.resources import KeyVaultProvider, deleted_vaults, get_caller

project, stack = pulumi.get_project(), pulumi.get_stack()
configuration, secret_keys = settings.decode(runtime.get_config_env()), runtime.get_config_secret_keys_env()
try:
    config = settings.parse(configuration, project=project, stack=stack, secret_keys=secret_keys)
except settings.SettingsError as error:
    raise pulumi.RunError(str(error)) from None
for warning in config.warnings:
    pulumi.warn(warning)

# Who runs this, which of the vaults exist as deleted ones, and who is meant by the names under signOn.
sign_in = settings.azure_settings(configuration)
provider = KeyVaultProvider("temporalazure", sign_in)
ask = InvokeOptions(provider=provider)
caller, client = get_caller(ask), authorization.get_client_config()
identity = (client.tenant_id, client.subscription_id, project, stack)
vault_names = azure.vault_names(*identity, str(config.vaults.generation)) if config.in_vaults else {}
deleted = deleted_vaults(vault_names.values(), config.location, client.subscription_id, ask)
if config.sign_on:
    tenant_id = config.sign_on.tenant_id or client.tenant_id
    directory = azure.Directory(tenant_id, settings.directory_settings(configuration), sign_in.get("clientId"))
    azure.require_permissions(config.sign_on, directory, ask)
    people = azure.find_principals(config.sign_on, directory)

tags = {**config.tags, "pulumi-project": project, "pulumi-stack": stack}
group = resources.ResourceGroup(
    "temporal", resource_group_name=config.resource_group, location=config.location, tags=tags
)
vault_policy = azure.VaultPolicy(
    resource_group_name=group.name,
    location=config.location,
    tenant_id=client.tenant_id,
    subscription_id=client.subscription_id,
    protection=config.vaults,
    access=azure.Access.resolved(config.access, caller),
    tags=tags,
    provider=provider,
)
mutual_tls_args = azure.MutualTlsArgs(
    vault_names=vault_names,
    recovered_vaults=deleted,
    vault_policy=vault_policy,
    authorities=config.certificate_authorities,
    existing=azure.find_authorities(config.certificate_authorities, ask),
    leaves=config.certificates,
    client_authorities=config.admitted_authorities,
    cloud_namespaces=config.temporal_cloud,
)
mutual_tls = azure.MutualTls("mutual-tls", mutual_tls_args)
sign_on = None
if config.sign_on:
    sign_on_args = azure.SignOnArgs(
        policy=config.sign_on,
        principals=people,
        authority=caller.authority,
        tenant_id=directory.tenant_id,
        identity=identity,
        today=clock.now().date(),
        vault=mutual_tls.leaves_vault,
        vault_policy=vault_policy,
    )
    sign_on = azure.SignOn("sign-on", sign_on_args, ResourceOptions(providers=[directory.provider]))

deployment = temporal.Deployment.of(config, sign_on)
outputs = {
    "serverEnv": temporal.server_environment(deployment),
    "internalFrontendEnv": temporal.internal_frontend_environment(deployment),
    "serverConfig": temporal.server_config(deployment),
    "dynamicConfig": temporal.dynamic_config(),
    "uiEnv": temporal.ui_environment(deployment),
    "cliEnv": temporal.cli_environment(deployment),
    "workerEnvs": {name: temporal.worker_environment(deployment, name) for name in config.workers},
    "certificates": mutual_tls.certificates,
    "caBundles": mutual_tls.ca_bundles,
    "certificateSigningRequests": mutual_tls.signing_requests,
    "keyVaults": mutual_tls.key_vaults,
    "privateKeys": mutual_tls.private_keys,
    "temporalCloud": mutual_tls.temporal_cloud,
    "signOn": sign_on.facts if sign_on else {},
}
for name, value in outputs.items():
    pulumi.export(name, value)
