"""docs/outputs.md, made from the code: every stack output, and every variable that a consumer starts with.

The values shown are those of a stack with every default, and sign-on. What is meant by a variable is said here and
nowhere else; a variable without a meaning is an error, so none is added that nobody explains.
"""

import re
from collections.abc import Iterator, Mapping

from environment.sample import SampleSignOn, sample_deployment, sample_identity
from environment.variables import (
    cli_environment,
    internal_frontend_environment,
    server_environment,
    ui_environment,
    worker_environment,
)

OUTPUTS = {
    "serverEnv": "The variables of the server's first process: public frontend, history, matching and system worker.",
    "internalFrontendEnv": "The variables of the server's second process, the internal frontend.",
    "serverConfig": "The server's `server.yaml`, the same for both processes.",
    "dynamicConfig": "The server's `dynamicconfig.yaml`.",
    "uiEnv": "The variables of the UI. `TEMPORAL_AUTH_CLIENT_SECRET` is a secret.",
    "cliEnv": "The variables of the CLI.",
    "workerEnvs": "The variables of each worker, by its name. `AZURE_CLIENT_SECRET` is a secret.",
    "certificates": "What is public of each certificate, by its name: role, subject, names, issuer, serial number, "
    "validity, where it and its key are in Key Vault, PEM and chain.",
    "caBundles": "The trusted generations of each authority, as PEM, the one that signs first.",
    "certificateSigningRequests": "What an issuer whose key is elsewhere is to sign, as PEM, by the authority's "
    "generation ([topologies.md](topologies.md#an-offline-root)). Empty when none waits.",
    "keyVaults": "Name, id and address of the two vaults, `authorities` and `leaves`. Empty with custody `state`.",
    "privateKeys": "With custody `state`, the private key of each leaf, by its name: **secrets**. Else empty.",
    "temporalCloud": "For each namespace of Temporal Cloud that the stack names: CA bundle, fingerprints, certificate "
    "filters, tcld's commands.",
    "signOn": "Tenant, client id, issuer, scope, redirect URIs, the ids of roles, who the workers are, when client "
    "secrets end. Empty without sign-on.",
}

_MEANINGS = {
    "TEMPORAL_SERVICES": "The services of the process.",
    "TEMPORAL_SERVER_CONFIG_FILE_PATH": "`server.yaml`, which reads all the others.",
    "DYNAMIC_CONFIG_FILE_PATH": "`dynamicconfig.yaml`, which closes the membership ports.",
    "USE_INTERNAL_FRONTEND": "The services talk to the internal frontend, where no token is asked for.",
    "TEMPORAL_ALLOW_NO_AUTH": "With `authorization: none`, instead of what begins with `TEMPORAL_AUTH_` and "
    "`TEMPORAL_JWT_`: the server starts without an authorizer.",
    "TEMPORAL_AUTH_AUTHORIZER": "Each call needs the role that it needs.",
    "TEMPORAL_AUTH_CLAIM_MAPPER": "Roles are read from the token.",
    "TEMPORAL_JWT_KEY_SOURCE1": "Where Entra ID publishes the keys that tokens are signed with.",
    "TEMPORAL_JWT_KEY_REFRESH": "How often these are read again.",
    "TEMPORAL_JWT_PERMISSIONS_CLAIM": "The claim of a token that holds the roles.",
    "TEMPORAL_JWT_AUDIENCE": "Whom a token must be for. Read by our `server.yaml`; the image's own knows no audience.",
    "TEMPORAL_TLS_REQUIRE_CLIENT_AUTH": "Nobody is served without a certificate.",
    "TEMPORAL_TLS_(SERVER|FRONTEND)_CERT": "The certificate `cluster`, with its chain.",
    "TEMPORAL_TLS_(SERVER|FRONTEND)_KEY": "Its private key.",
    r"TEMPORAL_TLS_SERVER\d*_CA_CERT": "An authority of the nodes: one generation a file.",
    r"TEMPORAL_TLS_HOST\d+_CLIENT\d+_CA_CERT": "An authority that is admitted under another name of the frontend.",
    r"TEMPORAL_TLS_CLIENT\d+_CA_CERT": "An authority whose certificates are admitted: one generation a file.",
    "TEMPORAL_TLS_(INTERNODE|FRONTEND)_SERVER_NAME": "The name that the services ask each other's certificate for.",
    "TEMPORAL_TLS_REFRESH_INTERVAL": "How often files are read again.",
    "TEMPORAL_TLS_EXPIRATION_CHECKS_WARNING_WINDOW": "How long before its end a certificate is logged as a warning.",
    "TEMPORAL_TLS_EXPIRATION_CHECKS_ERROR_WINDOW": "How long before its end it is logged as an error.",
    "TEMPORAL_TLS_EXPIRATION_CHECKS_CHECK_INTERVAL": "How often that is looked at.",
    "TEMPORAL_ADDRESS": "Where the frontend is.",
    "TEMPORAL_(DEFAULT_)?NAMESPACE": "The namespace.",
    "TEMPORAL_TLS": "TLS, though no API key is set.",
    "TEMPORAL_TLS_CA": "The authorities of the server's certificate.",
    "TEMPORAL_TLS_CERT": "The UI's certificate, with its chain.",
    "TEMPORAL_TLS_KEY": "Its private key.",
    "TEMPORAL_TLS_SERVER_NAME": "The name that the server's certificate is asked for.",
    "TEMPORAL_TLS_ENABLE_HOST_VERIFICATION": "It is asked for.",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "The client's certificate, with its chain.",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "Its private key.",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "The authorities of the server's certificate.",
    "TEMPORAL_AUTH_ENABLED": "People sign in.",
    "TEMPORAL_AUTH_TYPE": "How: OpenID Connect.",
    "TEMPORAL_AUTH_LABEL": "What the button says.",
    "TEMPORAL_AUTH_(PROVIDER|ISSUER)_URL": "Entra ID, as the claim `iss` of every token has it, to the letter.",
    "TEMPORAL_AUTH_CLIENT_ID": "The application.",
    "TEMPORAL_AUTH_CLIENT_SECRET": "Its secret. **A secret** of the state; also in Key Vault.",
    "TEMPORAL_AUTH_CALLBACK_URL": "Where people come back to after signing in.",
    "TEMPORAL_AUTH_SCOPES": "What the UI asks for: the scope `default` of the application, and to stay signed in.",
    "TEMPORAL_CORS_ORIGINS": "Where the UI's pages are from.",
    "TEMPORAL_CSRF_COOKIE_INSECURE": "`true` only where the UI is opened over plain http.",
    "TEMPORAL_TOKEN_SCOPE": "What a worker asks a token for. Read by the few lines in `examples/`.",
    "AZURE_AUTHORITY_HOST": "The sign-in service, as azure-identity reads it.",
    "AZURE_TENANT_ID": "The tenant.",
    "AZURE_CLIENT_ID": "The worker's application, or managed identity.",
    "AZURE_CLIENT_SECRET": "Its secret, where it signs in with one. **A secret** of the state; also in Key Vault.",
}

_INTRODUCTION = """\
# Stack outputs

`pulumi stack output --json` has all of them. They hold no private key unless custody is `state`; the secrets among
them are Pulumi secrets, one by one. File names are relative: `python -m deploy write --root PATH` says where a consumer
sees them.

This page is made from `environment/`."""

_WORKER = "orders"


def reference() -> str:
    """Return the page."""
    identities = {_WORKER: sample_identity(client_secret=True)}
    deployment = sample_deployment(SampleSignOn(worker_variables=identities))
    public, internal = server_environment(deployment), internal_frontend_environment(deployment)
    server = {
        name: f"`{value}`" if internal[name] == value else f"`{value}`, `{internal[name]}`"
        for name, value in public.items()
    }
    tables = {
        "The server: `serverEnv`, and after a comma `internalFrontendEnv`": server,
        "The UI: `uiEnv`": _quoted(ui_environment(deployment)),
        "The CLI: `cliEnv`": _quoted(cli_environment(deployment)),
        f"A worker called `{_WORKER}`: `workerEnvs`": _quoted(worker_environment(deployment, _WORKER)),
    }
    outputs = (f"| `{name}` | {meaning} |" for name, meaning in OUTPUTS.items())
    sections = [_INTRODUCTION, "\n".join(("| Output | What it has |", "|---|---|", *outputs))]
    for title, variables in tables.items():
        sections += [f"## {title}", "\n".join(_table(variables))]
    return "\n\n".join(sections) + "\n"


def meaning_of(variable: str) -> str:
    """Return what a variable tells its consumer. Raises LookupError for one that is not explained."""
    for pattern, meaning in _MEANINGS.items():
        if re.fullmatch(pattern, variable):
            return meaning
    raise LookupError(f"environment/reference.py does not say what {variable} means")


def _quoted(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: f"`{value}`" for name, value in variables.items()}


def _table(variables: Mapping[str, str]) -> Iterator[str]:
    yield "| Variable | Value | Meaning |"
    yield "|---|---|---|"
    for name, value in variables.items():
        yield f"| `{name}` | {value} | {meaning_of(name)} |"
