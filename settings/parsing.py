"""From the engine's configuration to Settings, or to everything that is wrong with it.

Whoever makes three mistakes hears of all three at once. So a wrong value is cut out and the rest is checked on, across
settings too; a finding that rests on a wrong value is left out, because the first fix may be the only one needed.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from settings.conflicts import conflicts, unwise
from settings.problems import Location, Problem, SettingsError
from settings.resolved import Settings, resolve
from settings.schema import SCHEMA, explained, place
from settings.written import WrittenSettings

_CREDENTIALS = ("clientSecret", "clientCertificate", "clientCertificatePassword", "oidcToken", "oidcRequestToken")
_DIRECTORY_SETTINGS = {
    "environment": "environment",
    "metadataHost": "metadata_host",
    "clientId": "client_id",
    "clientCertificatePath": "client_certificate_path",
    "useOidc": "use_oidc",
    "oidcTokenFilePath": "oidc_token_file_path",
    "useMsi": "use_msi",
}
_SIGN_IN_NAMESPACES = ("azure-native", "temporalazure")
_API_KEY = "temporalazure:temporalCloudApiKey"
_PROVIDER_NAMESPACES = (*_SIGN_IN_NAMESPACES, "azuread")


def decode(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the engine's configuration (`pulumi.runtime.get_config_env()`) as plain data.

    The engine hands over maps and lists as JSON, and everything else as text: a name like `007` stays what it is.
    """
    return {key: _decoded(value) for key, value in values.items()}


def _decoded(value: str) -> Any:
    if value.lstrip().startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def azure_settings(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Return how to sign in to which Azure, as far as the stack says: `azure-native:`, and `temporalazure:` over it.

    For a configuration that `parse` accepted: then there is no credential and no secret among them but the API key of
    Temporal Cloud, `temporalCloudApiKey`, if the stack has it.
    """
    settings: dict[str, str] = {}
    for wanted in _SIGN_IN_NAMESPACES:
        for key, value in configuration.items():
            namespace, _, name = key.partition(":")
            if namespace == wanted:
                settings[name] = str(value)
    return settings


def directory_settings(configuration: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return the same for Entra ID, as arguments of the azuread provider: `azuread:` comes before `azure-native:`.

    What is left out is taken from the environment, as azure-native does.
    """
    settings: dict[str, str | bool] = {}
    for wanted in ("azure-native", "azuread"):
        for name, argument in _DIRECTORY_SETTINGS.items():
            if value := configuration.get(f"{wanted}:{name}"):
                settings[argument] = str(value).lower() == "true" if argument.startswith("use_") else str(value)
    return settings


def parse(raw: Mapping[str, Any], *, project: str, stack: str, secret_keys: Collection[str] = ()) -> Settings:
    """Return the settings in a stack's configuration.

    `raw` is plain data under full keys (`temporal-azure:location`), of any namespace. Keys that are stored as secrets
    (`pulumi.runtime.get_config_secret_keys_env()`) are refused without a look at their values, so that no message can
    hold one; the API key of Temporal Cloud is refused unless it is one. Raises SettingsError with everything that is
    wrong.
    """
    raw = json.loads(json.dumps(raw, default=str))  # keys of maps become text, as the engine makes them
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    broken: set[Location] = set()
    for key, value in raw.items():
        namespace, _, name = key.partition(":")
        if namespace in (project, *_PROVIDER_NAMESPACES) and _looks_like(name, _API_KEY):
            problems += _api_key(key, value, is_secret=key in secret_keys)
        elif namespace != project:
            problems += _foreign(namespace, name, project, is_secret=key in secret_keys)
        elif key in secret_keys and name in SCHEMA["properties"]:
            problems.append(_secret(name))
            broken.add((name,))
        else:
            values[name] = None if value == "" else value

    settings = None
    while settings is None:
        try:
            written = WrittenSettings.model_validate(_without(values, broken))
            settings = resolve(written, project=project, stack=stack)
        except ValidationError as invalid:
            for error in invalid.errors():
                problems.append(explained(error))
                broken.add(_cut(place(error)))
    problems += (problem for problem in conflicts(settings) if not _rests_on_any(problem, broken))
    if problems:
        problems.sort(key=lambda problem: _position(problem.location, raw, project))
        raise SettingsError(problems, project=project, stack=stack)
    return replace(settings, warnings=tuple(map(str, unwise(settings))))


def _cut(location: Location) -> Location:
    """Return what to leave out for the rest to be checked: from a list the whole entry, which may be worth nothing."""
    numbers = [index for index, step in enumerate(location) if isinstance(step, int)]
    return location[: numbers[-1] + 1] if numbers else location


def _without(value: Any, broken: Collection[Location], here: Location = ()) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, broken, (*here, key)) for key, item in value.items() if (*here, key) not in broken}
    if isinstance(value, list):
        places = ((*here, index) for index in range(len(value)))
        return [_without(item, broken, at) for item, at in zip(value, places, strict=True) if at not in broken]
    return value


def _rests_on_any(problem: Problem, broken: Collection[Location]) -> bool:
    """Tell whether a finding was derived from something that was cut out: a setting, what holds it, or its entries."""
    bases = (problem.location, *problem.rests_on)
    return any(cut == basis[: len(cut)] or cut[:-1] == basis for basis in bases for cut in broken)


def _position(location: Location, raw: Mapping[str, Any], project: str) -> tuple[int, ...]:
    """Return where a setting stands, for sorting; what is missing comes before what is there.

    That is the order of the file, as far as the engine keeps it: it sorts keys by name.
    """
    value: Any = raw
    position: list[int] = []
    top = str(location[0])
    for step in (top if ":" in top else f"{project}:{top}", *location[1:]):
        if isinstance(value, dict) and step in value:
            position.append(list(value).index(step))
        elif isinstance(value, list) and isinstance(step, int):
            position.append(step)
        else:
            return (*position, -1)
        value = value[step]
    return tuple(position)


def _secret(key: str) -> Problem:
    return Problem(
        (key,),
        "is stored as a secret",
        "No setting is one: its value would stand in the clear in Azure and in the stack's state.",
        "Set it again without --secret.",
    )


def _looks_like(name: str, key: str) -> bool:
    """Tell whether a name is that of a key, or was meant to be."""
    wanted = key.partition(":")[2].lower()
    return bool(difflib.get_close_matches(name.lower(), [wanted], cutoff=0.85))


def _api_key(key: str, value: Any, *, is_secret: bool) -> Iterator[Problem]:
    """Find what is wrong with the API key of Temporal Cloud, but for its value, which is not looked at."""
    fix = f"Remove it (pulumi config rm {key}), and set it anew: pulumi config set --secret {_API_KEY}."
    if not is_secret and value != "":
        yield Problem(
            (key,),
            "is stored in the clear",
            "Whoever reads the stack's file could let anybody in to your namespaces of Temporal Cloud.",
            f"{fix} If others can have seen the file, disable this key in Temporal Cloud and set another one.",
        )
    elif key != _API_KEY:
        yield Problem((key,), f"is not {_API_KEY}", "It would have no effect.", fix)
    elif not isinstance(value, str):
        yield Problem((key,), "is a map or a list", "No API key looks like that.", fix)


def _foreign(namespace: str, name: str, project: str, *, is_secret: bool) -> Iterator[Problem]:
    """Find credentials, what is secret and handed on to a provider, and settings that missed their namespace."""
    key = f"{namespace}:{name}"
    if namespace in _PROVIDER_NAMESPACES and name in _CREDENTIALS:
        yield Problem(
            (key,),
            "is a credential in the stack's configuration",
            "It would lie in the repository and in the state, and the provider for certificates would not see it.",
            f"Remove it (pulumi config rm {key}) and sign in with az login; with ARM_CLIENT_ID, ARM_CLIENT_SECRET and "
            "ARM_TENANT_ID in the environment; with OIDC (ARM_USE_OIDC=true); or as a managed identity "
            "(ARM_USE_MSI=true).",
        )
    elif namespace in _PROVIDER_NAMESPACES and is_secret:
        yield _secret(key)
    elif key == "azuread:tenantId":
        yield Problem(
            (key,),
            "is not where the tenant of sign-on is set",
            "It would have no effect.",
            f"Move it: pulumi config set --path {project}:signOn.tenantId.",
        )
    elif name in SCHEMA["properties"] and difflib.get_close_matches(namespace, [project], cutoff=0.8):
        yield Problem(
            (key,), "is in another namespace", "It would have no effect.", f'Did you mean "{project}:{name}"?'
        )
