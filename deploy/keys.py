"""The leaves' private keys, read from Key Vault by whoever deploys.

Each key is one secret, at the version that the stack's outputs name, so that a reader needs a role on that secret and
on nothing else. What cannot be read is a problem of the consumer that needs it, and of no other.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import yaml
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.keyvault.secrets import KeyVaultSecretIdentifier
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_delay, wait_exponential

from cloud import CloudError, Identity, Session, inner_code, is_missing_role
from cloud.identity import STACK_SETTINGS
from deploy.outputs import IssuedCertificate, Outputs
from deploy.problem import DeployError, Problem
from deploy.secret import Keys, Secret

ROLE = "Key Vault Secrets User"
_AT_ONCE = 16
_SIGN_IN_NAMESPACES = ("azure-native", "temporalazure")


async def sign_in(environ: Mapping[str, str], config_file: Path) -> Session:
    """Return a session of the identity that `up` takes: the stack's settings come before the environment.

    Raises DeployError if there is no such cloud.
    """
    try:
        return await Session.open(Identity.found(environ, sign_in_settings(config_file)))
    except CloudError as error:
        raise DeployError(str(error)) from error


def sign_in_settings(config_file: Path) -> dict[str, str]:
    """Return what a stack's file says about signing in, `temporalazure:` over `azure-native:`; nothing without a file.

    Encrypted values are left out: credentials come from the environment.
    """
    if not config_file.exists():
        return {}
    try:
        config = dict((yaml.safe_load(config_file.read_text(encoding="utf-8")) or {}).get("config") or {})
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        raise DeployError(f"{config_file} is not a stack's file. Nothing was written. Restore it from git.") from None
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for namespace in _SIGN_IN_NAMESPACES
        for name in STACK_SETTINGS
        if isinstance(value := config.get(f"{namespace}:{name}"), str | bool)
    }


async def read_keys(
    session: Session,
    outputs: Outputs,
    consumers: Iterable[str],
    *,
    wait_seconds: float = 0,
    waiting: Callable[[str], None] = lambda _: None,
) -> Keys:
    """Return the secrets of these consumers' certificates, read concurrently.

    A missing role is waited for, at most `wait_seconds`, since a new one takes minutes to reach a vault; `waiting` is
    told so. A certificate that is not there, or names no secret, is `checks.problems`' business. Raises DeployError if
    the sign-in fails.
    """
    holders = {name: outputs.startups[name].consumer.certificate for name in consumers}
    secrets = {name: certificate for name in holders.values() if (certificate := outputs.certificates.get(name))}
    answers: dict[str, Secret | AzureError | ValueError] = {}
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def ask(name: str, certificate: IssuedCertificate, secret_id: str) -> None:
        async with at_once:
            try:
                answers[name] = await _read(session, str(certificate.vault_uri), secret_id)
            except ClientAuthenticationError:
                raise
            except (AzureError, ValueError) as error:
                answers[name] = error

    async def ask_for_what_is_missing() -> int:
        await asyncio.gather(
            *(
                ask(name, certificate, certificate.secret_id)
                for name, certificate in secrets.items()
                if certificate.secret_id and not isinstance(answers.get(name), Secret)
            )
        )
        return sum(map(is_missing_role, answers.values()))

    def before_sleep(state: RetryCallState) -> None:
        waiting(
            f"Waiting for the permission to read private keys: Azure takes minutes to pass a new role assignment on to "
            f"a vault ({int(state.seconds_since_start or 0)} s so far, at most {wait_seconds:.0f} s)."
        )
        session.renew()

    retrying = AsyncRetrying(
        retry=retry_if_result(bool),
        wait=wait_exponential(multiplier=1, min=1, max=20),
        stop=stop_after_delay(wait_seconds),
        before_sleep=before_sleep,
        retry_error_callback=lambda _: None,
    )
    try:
        await retrying(ask_for_what_is_missing)
        who = await _caller(session) if any(map(is_missing_role, answers.values())) else ""
    except (ClientAuthenticationError, CloudError) as error:
        raise DeployError(
            f"Could not sign in to Azure to read the private keys: {_first_line(error)} Nothing was written. Sign in "
            f"with `az login`, or check the ARM_* variables."
        ) from error
    return Keys(
        {name: answer for name, answer in answers.items() if isinstance(answer, Secret)},
        tuple(
            _problem(consumer, name, answer, who, outputs)
            for consumer, name in holders.items()
            if isinstance(answer := answers.get(name), Exception)
        ),
    )


async def _read(session: Session, vault_uri: str, secret_id: str) -> Secret:
    identifier = KeyVaultSecretIdentifier(secret_id)
    client = session.secrets(f"{vault_uri.rstrip('/')}/")
    answer = await client.get_secret(identifier.name, identifier.version)
    return Secret.parse(answer.value or "", answer.properties.content_type)


async def _caller(session: Session) -> str:
    principal = await session.principal()
    return f"the {principal.kind} {principal.object_id}"


def _problem(consumer: str, name: str, error: AzureError | ValueError, who: str, outputs: Outputs) -> Problem:
    certificate = outputs.certificates[name]
    consequence = f"The private key of {name} cannot be written."
    if is_missing_role(error):
        vault = next((vault for vault in outputs.key_vaults.values() if vault.uri == certificate.vault_uri), None)
        scope = f"{vault.id}/secrets/{name}" if vault else f"{certificate.vault_uri}secrets/{name}"
        return Problem(
            consumer,
            f"{who} may not read the secret {name} (403 ForbiddenByRbac)",
            consequence,
            f'It needs the role "{ROLE}" on that one secret, {scope}: name it under access.readers.{name} and run '
            f"`make up`. If that was just done, wait for it with --wait 900.",
        )
    if isinstance(error, ResourceNotFoundError):
        return Problem(
            consumer,
            f"the vault has no secret {certificate.secret_id} (404)",
            consequence,
            "Somebody deleted it: run `pulumi refresh`, then `make up`.",
        )
    if isinstance(error, HttpResponseError) and error.status_code == 403:
        return Problem(
            consumer,
            f"the vault refused to hand out the secret {name} (403 {inner_code(error)}): {_first_line(error)}",
            consequence,
            "Where a firewall refuses, allow this machine's address under vaults.network, or run this where the vault "
            "can be reached; where the secret is disabled, find out who did that.",
        )
    if isinstance(error, AzureError):
        return Problem(
            consumer,
            f"the secret {name} could not be read from {certificate.vault_uri}: {_first_line(error)}",
            consequence,
            "Check the network and that the vault exists, then run the same command again.",
        )
    return Problem(
        consumer,
        f"the secret {certificate.secret_id} is not a certificate's: {error}",
        consequence,
        f"Somebody replaced it: have {name} issued anew with `pulumi refresh` and `make up`.",
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
