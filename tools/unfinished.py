"""Takes up what a killed engine had begun to create, before the next `up` or `destroy`.

The engine notes each creation before it begins. Killed in between, it cannot know whether Azure made the resource, and
azure-native refuses to create what is there already, while azuread makes a second application beside the first. So
Azure is asked: what is there is imported into the state, and the notes are struck off. Certificates need no import:
their provider knows its own by their tags, and goes on.

Run as a program, with a stack's variables, it is the part that asks Azure.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError

from cloud import CloudError, Identity, Session
from tools import REPOSITORY, ToolError
from tools.unfinished_directory import DIRECTORY_TYPES, import_id

_GROUP = "/subscriptions/{subscription}/resourceGroups/{resourceGroupName}"
_IDENTIFIERS = {
    "azure-native:resources:ResourceGroup": (_GROUP, "2024-03-01"),
    "azure-native:keyvault:Vault": (f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}", "2024-11-01"),
    "azure-native:network:PrivateEndpoint": (
        f"{_GROUP}/providers/Microsoft.Network/privateEndpoints/{{privateEndpointName}}",
        "2024-05-01",
    ),
    "azure-native:authorization:RoleAssignment": (
        "/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        "2022-04-01",
    ),
    "azure-native:monitor:DiagnosticSetting": (
        "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
        "2021-05-01-preview",
    ),
}
"""Where a resource of each type is, by its inputs, and the API version to ask with."""

_DIRECTORY_PROVIDER = "pulumi:providers:azuread"


def take_up(pulumi: Callable[..., str], state: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Bring a stack's state up to what a killed engine did, and return the URNs that were imported.

    `pulumi` runs the CLI on the stack with some arguments, and raises what its caller expects when that fails; `state`
    is the exported one. Does nothing, and asks nothing, where no creation was interrupted. Killed itself, it can be
    run again. Raises ToolError when Azure does not say what is there.
    """
    deployment = state.get("deployment") or {}
    pending = deployment.get("pending_operations") or []
    ended = [each["resource"]["urn"] for each in pending if each["type"] == "deleting" and _is_of_directory(each)]
    if ended:
        # azuread takes what is gone already for a failure, and would do so at every run.
        pulumi("refresh", "--yes", "--skip-preview", *(argument for urn in ended for argument in ("--target", urn)))
    begun = [operation["resource"] for operation in pending if operation["type"] == "creating"]
    if not begun:
        return []
    asked = [resource for resource in begun if resource["type"] in _IDENTIFIERS or resource["type"] in DIRECTORY_TYPES]
    found = _ask_azure(asked, deployment.get("resources") or [], environment) if asked else {}
    if found:
        _import(pulumi, [resource for resource in begun if resource["urn"] in found], found)
    # Nothing but the stack itself is read back; a state without resources has not even that.
    urns = [resource["urn"] for resource in deployment.get("resources") or []]
    targets = [argument for urn in urns if _is_stack(urn) for argument in ("--target", urn)]
    pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates", *targets)
    return sorted(found)


def _is_of_directory(operation: Mapping[str, Any]) -> bool:
    return operation["resource"]["type"] in DIRECTORY_TYPES


def identifier_of(resource: Mapping[str, Any], subscription_id: str) -> tuple[str, str]:
    """Return where in Azure a resource of a state is, by its inputs, and the API version to ask with."""
    template, api_version = _IDENTIFIERS[resource["type"]]
    return template.format(**resource["inputs"], subscription=subscription_id), api_version


def _ask_azure(
    begun: list[Mapping[str, Any]], resources: list[Mapping[str, Any]], environment: Mapping[str, str]
) -> dict[str, str]:
    tenants = [each["inputs"].get("tenantId") for each in resources if each.get("type") == _DIRECTORY_PROVIDER]
    secrets = [each["outputs"]["keyId"] for each in resources if "keyId" in each.get("outputs", {})]
    question = {"begun": begun, "tenantId": next(iter(tenants), None), "knownSecrets": secrets}
    answer = subprocess.run(
        [sys.executable, "-m", "tools.unfinished"],
        input=json.dumps(question),
        env=dict(environment),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        names = ", ".join(resource["urn"].split("::", 2)[2].rpartition("$")[2] for resource in begun)
        raise ToolError(
            f"a killed run had begun to create {names}, and Azure does not say what is there, so nothing was done: "
            f"{answer.stderr.strip()} Then run the same again."
        )
    return dict(json.loads(answer.stdout))


def _import(pulumi: Callable[..., str], begun: list[Mapping[str, Any]], identifiers: Mapping[str, str]) -> None:
    parents = {resource["parent"] for resource in begun if not _is_stack(resource["parent"])}
    providers = {provider for resource in begun if (provider := _provider(resource))}
    names = {urn: f"name{number}" for number, urn in enumerate(sorted(parents | providers))}
    document = {
        "nameTable": {name: urn for urn, name in names.items()},
        "resources": [
            {
                "type": resource["type"],
                "name": resource["urn"].rpartition("::")[2],
                "id": identifiers[resource["urn"]],
                **({"parent": names[resource["parent"]]} if resource["parent"] in names else {}),
                **({"provider": names[provider]} if (provider := _provider(resource)) in names else {}),
            }
            for resource in begun
        ],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        pulumi("import", "--yes", "--skip-preview", "--protect=false", "--generate-code=false", "--file", file.name)


def _is_stack(urn: str) -> bool:
    return "::pulumi:pulumi:Stack::" in urn


def _provider(resource: Mapping[str, Any]) -> str:
    """Return the URN of a resource's provider, if it is one that the program declares: it is then no default."""
    urn = str(resource.get("provider", "")).rpartition("::")[0]
    return "" if urn.rpartition("::")[2].startswith("default") else urn


async def _existing(question: Mapping[str, Any]) -> dict[str, str]:
    """Return, by URN, what of the resources that were begun is there, and how it is imported."""
    of_directory = [resource for resource in question["begun"] if resource["type"] in DIRECTORY_TYPES]
    of_azure = [resource for resource in question["begun"] if resource["type"] not in DIRECTORY_TYPES]
    found: dict[str, str] = {}
    async with await Session.open(Identity.found(os.environ)) as session:
        if of_directory:
            async with session.directory(question["tenantId"]) as directory:
                for resource in of_directory:
                    if there := await import_id(directory, resource, question["knownSecrets"]):
                        found[resource["urn"]] = there
        if not of_azure:
            return found
        subscription = await session.subscription_id()
        async with session.resources(subscription) as client:
            for resource in of_azure:
                identifier, api_version = identifier_of(resource, subscription)
                try:
                    await client.resources.get_by_id(identifier, api_version=api_version)
                except HttpResponseError as error:
                    if error.status_code != 404:
                        raise
                else:
                    found[resource["urn"]] = identifier
    return found


if __name__ == "__main__":
    try:
        print(json.dumps(asyncio.run(_existing(json.load(sys.stdin)))))
    except (AzureError, CloudError) as error:
        sys.exit(str(error).splitlines()[0])
