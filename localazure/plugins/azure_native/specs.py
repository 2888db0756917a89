"""What ARM expects of the resources that the program uses, where the SDK does not say it.

Paths, API versions, auto-naming and replacement follow the official plugin's metadata for the SDK's version. A change
of `location` or `tenantId` is no replacement of a vault there: ARM refuses it, here as there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal
from urllib.parse import quote

FLATTENED: Final = frozenset(
    {
        "RoleAssignment",
        "DiagnosticSetting",
        "PrivateEndpoint",
        "PrivateLinkServiceConnection",
        "Subnet",
        "PrivateEndpointIPConfiguration",
    }
)
"""SDK classes whose own properties are in a container `properties` of ARM's body, beside the `ENVELOPE`."""

ENVELOPE: Final = frozenset(
    {"id", "name", "type", "location", "tags", "etag", "extendedLocation", "managedBy", "systemData"}
)
"""Properties that every ARM resource has outside of `properties`."""

REFERENCES: Final[Mapping[str, frozenset[str]]] = {
    "Subnet": frozenset({"id", "privateEndpointNetworkPolicies", "privateLinkServiceNetworkPolicies"}),
    "ApplicationSecurityGroup": frozenset({"id"}),
}
"""SDK classes that describe a whole resource, where the program may only name an existing one.

What is allowed is its id, and what the SDK sets without being asked.
"""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One resource type: where it is in ARM, and how the official plugin treats it."""

    token: str
    path: str
    """ARM id, with `{parameters}` that are inputs, but for `subscriptionId`."""
    api_version: str
    auto_name: Literal["random", "uuid"] = "random"
    replacing: frozenset[str] = frozenset()
    """Inputs outside of the path whose change replaces the resource."""
    required: frozenset[str] = frozenset()
    """Inputs that ARM requires although the SDK does not, because the plugin may fill them in."""
    patterns: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions that path parameters must match."""
    long_running: bool = False
    """Whether a PUT is finished only when the resource's state says so, and not when it was answered."""
    shared_list: tuple[str, ...] = ()
    """Path of a list in the body that others may manage too: when not given, empty at create, and then left alone."""

    @property
    def module(self) -> str:
        return self.token.split(":")[1]

    @property
    def class_name(self) -> str:
        return self.token.split(":")[2]

    @cached_property
    def path_parameters(self) -> tuple[str, ...]:
        """Inputs that make the id, in order; the last one is the resource's own name."""
        return tuple(name for name in re.findall(r"{(\w+)}", self.path) if name != "subscriptionId")

    def id_of(self, inputs: Mapping[str, str], subscription_id: str) -> str:
        """Return the ARM id that `inputs` give. A parameter that begins the path is itself an id."""
        resource_id = self.path.replace("{subscriptionId}", subscription_id)
        for name in self.path_parameters:
            value = inputs[name].strip("/") if resource_id.startswith(f"/{{{name}}}/") else quote(inputs[name], safe="")
            resource_id = resource_id.replace(f"{{{name}}}", value)
        return resource_id

    def inputs_of(self, resource_id: str) -> dict[str, str] | None:
        """Return the path parameters that an ARM id holds, or None if it is no id of this type."""
        match = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>.*?)", self.path), resource_id, re.IGNORECASE)
        if match is None:
            return None
        return {name: value for name, value in match.groupdict().items() if name != "subscriptionId"}


_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers"

SPECS: Final = {
    spec.token: spec
    for spec in (
        Spec(
            token="azure-native:resources:ResourceGroup",
            path="/subscriptions/{subscriptionId}/resourcegroups/{resourceGroupName}",
            api_version="2024-03-01",
            replacing=frozenset({"location"}),
            required=frozenset({"location"}),
        ),
        Spec(
            token="azure-native:keyvault:Vault",
            path=f"{_GROUP}/Microsoft.KeyVault/vaults/{{vaultName}}",
            api_version="2024-11-01",
            required=frozenset({"location"}),
            long_running=True,
            patterns={"vaultName": "^[a-zA-Z0-9-]{3,24}$"},
            shared_list=("properties", "accessPolicies"),
        ),
        Spec(
            token="azure-native:authorization:RoleAssignment",
            path="/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
            api_version="2022-04-01",
            auto_name="uuid",
            replacing=frozenset({"principalId"}),
        ),
        Spec(
            token="azure-native:monitor:DiagnosticSetting",
            path="/{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
            api_version="2021-05-01-preview",
        ),
        Spec(
            token="azure-native:network:PrivateEndpoint",
            path=f"{_GROUP}/Microsoft.Network/privateEndpoints/{{privateEndpointName}}",
            api_version="2024-05-01",
            long_running=True,
            replacing=frozenset({"subnet"}),
        ),
    )
}
