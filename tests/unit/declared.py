"""A Pulumi program's resources as they are declared, with what Azure would answer.

The mocks of the SDK take two resources with one URN; these do not. Assertions are made when everything is declared and
resolved, outside of any `apply`, where a failing one could pass in silence.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import grpc
import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks, test
from pulumi.runtime.rpc import unwrap_rpc_secret
from pydantic.alias_generators import to_camel

from localazure.plugins.tls.provider import MAKERS
from localazure.plugins.tls.resource import Resource
from pki import to_pem
from plugin import plain
from plugin.values import property_value
from provider.authority_in_state import AuthorityInStateInputs, issued
from provider.resources import ExistingAuthority
from tests.certificates import NOW, authority_policy, issue

PROJECT, STACK = "temporal-azure", "unit"
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
TENANT = "10000000-0000-0000-0000-000000000001"
AUTHORITY = "https://login.microsoftonline.com"
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/temporal"
VERSION = "0123456789abcdef0123456789abcdef"

ARM_TYPES = {
    "azure-native:keyvault:Vault": "Microsoft.KeyVault/vaults",
    "azure-native:network:PrivateEndpoint": "Microsoft.Network/privateEndpoints",
}


GRAPH_OBJECT_ID = "00000000-aaaa-4000-8000-000000000003"
DEPLOYER = "00000000-aaaa-4000-8000-000000000004"
"""Who runs the program, in the directory."""


EXISTING_AUTHORITY = ExistingAuthority(
    certificate_pem=to_pem(issue(authority_policy("corporate")).certificate),
    key_id=f"https://corporate.vault.azure.net/keys/ca/{VERSION}",
    certificate_id=f"https://corporate.vault.azure.net/certificates/ca/{VERSION}",
)
"""What is in a vault already."""


def guid(text: str) -> str:
    """The ID that Entra ID gives to what is called so."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


@dataclass(frozen=True, kw_only=True)
class Somebody:
    """Who is in the directory; `kind` is `user`, `group` or `service principal`."""

    kind: str
    object_id: str
    display_name: str
    user_principal_name: str = ""
    mail: str = ""
    client_id: str = ""


class _Refused(grpc.RpcError):
    def __init__(self, details: str) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.FAILED_PRECONDITION

    def details(self) -> str:
        return self._details


class Azure(Mocks):
    """Answers as Azure, Entra ID, tls and our provider do; with a `refusal`, every question is answered with that."""

    def __init__(self, refusal: str | None = None, directory: Sequence[Somebody] = ()) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._refusal = refusal
        self._directory = directory

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = args.inputs
        match args.typ:
            case "azure-native:keyvault:Vault":
                name = inputs["vaultName"]
                properties = {**inputs["properties"], "vaultUri": f"https://{name}.vault.azure.net/"}
                return f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/{name}", {
                    "name": name,
                    "properties": properties,
                }
            case "azure-native:authorization:RoleAssignment":
                scope, name = inputs["scope"], inputs["roleAssignmentName"]
                return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", {**inputs, "name": name}
            case "azure-native:network:PrivateEndpoint":
                name = inputs["privateEndpointName"]
                return f"{GROUP_ID}/providers/Microsoft.Network/privateEndpoints/{name}", {**inputs, "name": name}
            case "azure-native:monitor:DiagnosticSetting":
                scope, name = inputs["resourceUri"], inputs["name"]
                return f"{scope}/providers/Microsoft.Insights/diagnosticSettings/{name}", dict(inputs)
            case "temporalazure:keyvault:Certificate":
                return self._certificate(inputs)
            case "temporalazure:keyvault:Secret":
                identifier = f"{inputs['vaultUri']}secrets/{inputs['name']}"
                found = {"secretId": f"{identifier}/{VERSION}", "versionlessId": identifier, "version": VERSION}
                return identifier, {**inputs, **found}
            case "temporalazure:cloud:NamespaceAccess":
                of_the_service = {"enabled": True, "resourceVersion": "2", "state": "active"}
                return inputs["namespace"], {**inputs, **of_the_service, "fingerprints": ["f"], "unmanaged": []}
            case "temporalazure:state:Authority":
                given = {name: unwrap_rpc_secret(value) for name, value in inputs.items()}
                return inputs["name"], {
                    **inputs,
                    "certificatePem": issued(AuthorityInStateInputs.model_validate(given)),
                }
            case token if token.startswith("tls:"):
                resource = Resource.of(token)
                # As a provider's own host hands them over: without marks, and whole numbers as such.
                given = plain({name: property_value(unwrap_rpc_secret(value)) for name, value in inputs.items()})
                plan = resource.planned(given, None, NOW)
                made = MAKERS[resource.spec.class_name](plan, NOW)
                return made.id, {**plan, **made.outputs}
            case "azuread:index/application:Application":
                object_id = guid(f"application {inputs['displayName']}")
                identity = {"objectId": object_id, "clientId": guid(f"client {inputs['displayName']}")}
                return f"/applications/{object_id}", {**inputs, **identity}
            case "azuread:index/servicePrincipal:ServicePrincipal":
                object_id = guid(f"principal {inputs['clientId']}")
                return f"/servicePrincipals/{object_id}", {**inputs, "objectId": object_id}
            case "azuread:index/applicationPassword:ApplicationPassword":
                key_id = guid(f"password {inputs['displayName']}")
                value = f"hunter2~{inputs['displayName']}"
                return f"{inputs['applicationId']}/password/{key_id}", {**inputs, "keyId": key_id, "value": value}
        return None, dict(inputs)

    def call(self, args: MockCallArgs) -> Any:
        self.asked.append((args.token, args.args))
        if self._refusal is not None:
            raise _Refused(f"invocation of {args.token} returned an error: {self._refusal}")
        match args.token:
            case "temporalazure:index:getCaller":
                return {"objectId": "caller", "tenantId": TENANT, "kind": "User", "authority": AUTHORITY}
            case "temporalazure:keyvault:getDeletedVault":
                return {"exists": args.args["name"] == "deleted"}
            case "temporalazure:keyvault:getAuthority":
                return {to_camel(name): value for name, value in asdict(EXISTING_AUTHORITY).items()}
            case "azuread:index/getClientConfig:getClientConfig":
                return {"id": "config", "objectId": DEPLOYER, "clientId": "client", "tenantId": TENANT}
            case "azuread:index/getServicePrincipal:getServicePrincipal":
                return {**args.args, "id": GRAPH_OBJECT_ID, "objectId": GRAPH_OBJECT_ID}
            case "azuread:index/getUsers:getUsers":
                return self._found("user", args)
            case "azuread:index/getGroups:getGroups":
                return self._found("group", args)
            case "azuread:index/getServicePrincipals:getServicePrincipals":
                return self._found("service principal", args)
        return {}

    def _found(self, kind: str, args: MockCallArgs) -> dict[str, Any]:
        """Answer as azuread's data sources do, for which a name that two have is an error."""
        [(argument, names)] = [(name, value) for name, value in args.args.items() if name != "ignoreMissing"]
        assert args.args["ignoreMissing"], "without it azuread fails for whoever is missing"
        attribute = _ATTRIBUTES[argument]
        found: list[Somebody] = []
        for name in names:
            alike = [item for item in self._directory if item.kind == kind and _equal(getattr(item, attribute), name)]
            if len(alike) > 1:
                word = attribute.replace("_", " ")
                raise _Refused(
                    f"invocation of {args.token} returned an error: invoking {args.token}: 1 error occurred:\n"
                    f'\t* More than one {kind} found with {word}: "{name}"\n\n'
                )
            found += alike
        people = [
            {to_camel(name): value for name, value in asdict(item).items() if name != "kind" and value}
            for item in found
        ]
        return {
            "id": "found",
            "ignoreMissing": True,
            {"user": "users", "group": "groups", "service principal": "servicePrincipals"}[kind]: people,
            **{name: [getattr(item, attribute) for item in found] for name, attribute in _ATTRIBUTES.items()},
        }

    def _certificate(self, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        vault, name, policy = inputs["vaultUri"], inputs["name"], inputs["policy"]
        issuer = inputs.get("issuer")
        subject = f"CN={policy['subject']['commonName']}"
        elsewhere = issuer is not None and "keyId" not in issuer
        request = f"signing request of {name}\n" if elsewhere else None
        if elsewhere and "issuedPem" not in inputs:
            return f"{vault}certificates/{name}", {**inputs, "signingRequestPem": request}
        state = {
            **inputs,
            "certificatePem": inputs.get("issuedPem", f"certificate of {name}\n"),
            "chainPem": [issuer["certificatePem"], *issuer["chainPem"]] if issuer else [],
            "subject": subject,
            "issuerSubject": f"CN=issuer of {name}" if issuer else subject,
            "serialNumber": "1a2b",
            "thumbprint": "00" * 20,
            "notBefore": "2026-03-28T23:00:00+00:00",
            "notAfter": "2026-06-27T00:00:00+00:00",
            "version": VERSION,
            "certificateId": f"{vault}certificates/{name}/{VERSION}",
            "keyId": f"{vault}keys/{name}/{VERSION}",
            "secretId": None if policy["role"] == "authority" else f"{vault}secrets/{name}/{VERSION}",
            "signingRequestPem": request,
        }
        return f"{vault}certificates/{name}", state


_ATTRIBUTES = {
    "objectIds": "object_id",
    "displayNames": "display_name",
    "userPrincipalNames": "user_principal_name",
    "mails": "mail",
    "clientIds": "client_id",
}


def _equal(one: str, other: str) -> bool:
    return bool(one) and one.casefold() == other.casefold()


@dataclass(frozen=True)
class Registered:
    """One resource as the engine would be asked for it."""

    urn: str
    parent: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    dependencies: frozenset[str]
    ignore_changes: tuple[str, ...]
    former_names: tuple[str, ...]
    delete_before_replace: bool
    replacement_trigger: Any
    provider: str
    version: str


class _Monitor(MockMonitor):
    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.registered: dict[str, Registered] = {}

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self.registered:
            raise AssertionError(f"two resources are {urn}")
        if request.type != "pulumi:pulumi:Stack":
            self.registered[urn] = Registered(
                urn=urn,
                parent=request.parent,
                type=request.type,
                name=request.name,
                custom=request.custom,
                inputs=MessageToDict(request.object),
                dependencies=frozenset(request.dependencies),
                ignore_changes=tuple(request.ignoreChanges),
                former_names=tuple(alias.spec.name for alias in request.aliases if alias.spec.name),
                delete_before_replace=request.deleteBeforeReplace,
                replacement_trigger=MessageToDict(request.replacement_trigger),
                provider=request.provider,
                version=request.version,
            )
        with _loop_of_this_thread():
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any) -> Any:
        with _loop_of_this_thread():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


@contextmanager
def _loop_of_this_thread() -> Iterator[None]:
    """The SDK makes a loop for each thread that has none, and leaves it open."""
    with closing(asyncio.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)
        try:
            yield
        finally:
            asyncio.set_event_loop(None)


@dataclass(frozen=True)
class Declared:
    """What a program declared, sorted by URN, what it asked, and what its outputs are."""

    resources: tuple[Registered, ...]
    asked: list[tuple[str, dict[str, Any]]]
    outputs: Any

    def of_type(self, type_token: str) -> list[Registered]:
        """The resources whose type ends so."""
        return [resource for resource in self.resources if resource.type.endswith(type_token)]

    def one(self, type_token: str, name: str | None = None) -> Registered:
        """The only resource of a type, or the only one of that name among them."""
        [found] = [item for item in self.of_type(type_token) if name is None or item.name == name]
        return found


def declare(program: Callable[[], Any], mocks: Azure | None = None, *, preview: bool = False) -> Declared:
    """Run a program, and return what it declared; `program` returns outputs, which are resolved."""
    azure = mocks or Azure()
    monitor = _Monitor(azure)
    resolved: list[Any] = []

    @test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[None]:
        return pulumi.Output.from_input(program()).apply(resolved.append)

    with _loop_of_this_thread():
        set_mocks(azure, project=PROJECT, stack=STACK, preview=preview, monitor=monitor)
        run()
    return Declared(tuple(item for _, item in sorted(monitor.registered.items())), azure.asked, resolved[0])
