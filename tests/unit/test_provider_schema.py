"""Each resource, described four times: schema, model, state and program agree."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import InvokeRequest
from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel, to_snake

from cloud.identity import STACK_SETTINGS
from pki import CertificateFilter, IssuancePolicy, NameConstraints, Subject, SubjectAlternativeNames
from plugin import PluginError
from provider import NAME, VERSION, authority_in_state, namespace_inputs, secret_inputs
from provider.authority_in_state import AuthorityInStateInputs
from provider.directory import DirectoryPermission as NeededPermission
from provider.inputs import COMPUTED_NAMES, INPUT_NAMES, STATE_NAMES, CertificateInputs, IssuerReference
from provider.plugin import KeyVaultProvider
from provider.resources import (
    Caller,
    CloudNamespaceAccess,
    CloudNamespaceAccessArgs,
    DirectoryPermission,
    Issuer,
    Rollover,
    StandingInState,
    StepInState,
    VaultCertificate,
    VaultCertificateArgs,
    VaultSecret,
    VaultSecretArgs,
    check_access,
    check_directory_access,
    deleted_vaults,
    existing_authority,
    get_caller,
)
from provider.resources import KeyVaultProvider as DeclaredProvider
from provider.standing_in_state import StandingInputs, StepInputs, input_names, state_names
from tests.certificates import leaf_policy
from tests.unit.declared import AUTHORITY, EXISTING_AUTHORITY, SUBSCRIPTION, TENANT, Azure, declare
from tests.unit.declared import VERSION as KEY_VERSION

SCHEMA = json.loads((Path(__file__).parents[2] / "provider/schema.json").read_text())
CERTIFICATE = SCHEMA["resources"]["temporalazure:keyvault:Certificate"]
SECRET = SCHEMA["resources"]["temporalazure:keyvault:Secret"]
IN_STATE = SCHEMA["resources"]["temporalazure:state:Authority"]
ACCESS = SCHEMA["resources"]["temporalazure:cloud:NamespaceAccess"]
RECORDS: list[tuple[dict[str, Any], type[StepInputs]]] = [
    (SCHEMA["resources"]["temporalazure:state:Step"], StepInputs),
    (SCHEMA["resources"]["temporalazure:state:Standing"], StandingInputs),
]
VAULT = "https://temporal-leaf-abc.vault.azure.net/"

ROLLOVER = Rollover(
    issued_by="clients-1", trusted=["clients-1", "clients-2"], acknowledged=["sign-clients-1"], peers=["shipping"]
)

MODELS: dict[str, type[Any]] = {
    "keyvault:Subject": Subject,
    "keyvault:SubjectAlternativeNames": SubjectAlternativeNames,
    "keyvault:NameConstraints": NameConstraints,
    "keyvault:IssuancePolicy": IssuancePolicy,
    "keyvault:Issuer": IssuerReference,
    "index:DirectoryPermission": NeededPermission,
    "cloud:CertificateFilter": CertificateFilter,
}


def test_the_schema_is_of_this_plugin() -> None:
    """The engine asks for the version that the program was written with."""
    assert (SCHEMA["name"], SCHEMA["version"]) == (NAME, VERSION)
    assert list(SCHEMA["resources"]) == [
        "temporalazure:keyvault:Certificate",
        "temporalazure:state:Authority",
        "temporalazure:state:Step",
        "temporalazure:state:Standing",
        "temporalazure:keyvault:Secret",
        "temporalazure:cloud:NamespaceAccess",
    ]


@pytest.mark.parametrize("name", MODELS)
def test_a_type_is_its_model(name: str) -> None:
    """`pulumi package add` and the documentation would promise what check refuses."""
    described = SCHEMA["types"][f"temporalazure:{name}"]
    _assert_described(described["properties"], described.get("required", []), MODELS[name])


def test_there_are_no_other_types() -> None:
    assert SCHEMA["types"].keys() == {f"temporalazure:{name}" for name in MODELS}


def test_the_inputs_are_the_models() -> None:
    _assert_described(CERTIFICATE["inputProperties"], CERTIFICATE["requiredInputs"], CertificateInputs)
    assert tuple(CERTIFICATE["inputProperties"]) == INPUT_NAMES
    _assert_described(IN_STATE["inputProperties"], IN_STATE["requiredInputs"], AuthorityInStateInputs)
    assert tuple(IN_STATE["inputProperties"]) == authority_in_state.INPUT_NAMES
    for record, model in RECORDS:
        _assert_described(record["inputProperties"], record["requiredInputs"], model)
        assert tuple(record["inputProperties"]) == input_names(model)
    _assert_described(SECRET["inputProperties"], SECRET["requiredInputs"], secret_inputs.SecretInputs)
    assert tuple(SECRET["inputProperties"]) == secret_inputs.INPUT_NAMES
    _assert_described(ACCESS["inputProperties"], ACCESS["requiredInputs"], namespace_inputs.NamespaceAccessInputs)
    assert tuple(ACCESS["inputProperties"]) == namespace_inputs.INPUT_NAMES


def test_the_outputs_are_inputs_and_what_is_computed() -> None:
    """Another language's program would miss an output, or rely on one that may be missing."""
    assert tuple(CERTIFICATE["properties"]) == (*STATE_NAMES, *COMPUTED_NAMES)
    assert CERTIFICATE["required"] == [
        *CERTIFICATE["requiredInputs"],
        *(name for name in COMPUTED_NAMES if name not in ("secretId", "signingRequestPem")),
    ]
    assert tuple(IN_STATE["properties"]) == (*authority_in_state.STATE_NAMES, *authority_in_state.COMPUTED_NAMES)
    assert IN_STATE["required"] == ["name", "policy", "certificatePem"]
    for record, model in RECORDS:
        assert tuple(record["properties"]) == state_names(model)
        assert record["required"] == record["requiredInputs"]
    assert tuple(SECRET["properties"]) == (*secret_inputs.INPUT_NAMES, *secret_inputs.COMPUTED_NAMES)
    assert SECRET["required"] == [*SECRET["requiredInputs"], *secret_inputs.COMPUTED_NAMES]
    assert tuple(ACCESS["properties"]) == (*namespace_inputs.INPUT_NAMES, *namespace_inputs.COMPUTED_NAMES)
    assert ACCESS["required"] == [*ACCESS["requiredInputs"], *namespace_inputs.COMPUTED_NAMES]
    for resource in (CERTIFICATE, IN_STATE, SECRET, ACCESS, *(record for record, _ in RECORDS)):
        for name in resource["inputProperties"].keys() & resource["properties"]:
            assert resource["properties"][name] == resource["inputProperties"][name]


def test_what_is_secret_is_said_to_be() -> None:
    """A generated SDK would show it, and so would a program in another language."""
    none = frozenset[str]()
    without = [(record, none) for record in (CERTIFICATE, ACCESS, *(record for record, _ in RECORDS))]
    for resource, secret in (*without, (SECRET, secret_inputs.SECRET_NAMES)):
        for properties in (resource["inputProperties"], resource["properties"]):
            assert {name for name, described in properties.items() if described.get("secret")} == secret
    assert [name for name, value in IN_STATE["inputProperties"].items() if value.get("secret")] == ["privateKeyPem"]
    settings = SCHEMA["config"]["variables"]
    assert [name for name, described in settings.items() if described.get("secret")] == ["temporalCloudApiKey"]


def test_everything_is_described() -> None:
    def undescribed(properties: dict[str, Any]) -> list[str]:
        return [name for name, value in properties.items() if not value.get("description", "").endswith((".", "told."))]

    assert undescribed(CERTIFICATE["properties"]) == []
    assert undescribed(IN_STATE["inputProperties"]) == []
    assert undescribed(SECRET["properties"]) == []
    assert undescribed(ACCESS["properties"]) == []
    for record, _ in RECORDS:
        assert undescribed(record["inputProperties"]) == []
    assert undescribed(SCHEMA["config"]["variables"]) == []
    for described in SCHEMA["types"].values():
        assert undescribed(described["properties"]) == []


def test_the_configuration_is_what_the_plugin_reads() -> None:
    """A setting that is not in the schema is dropped by tools that go by it."""
    known = {*STACK_SETTINGS, "permissionWaitSeconds", *namespace_inputs.CLOUD_SETTINGS}
    assert SCHEMA["config"]["variables"].keys() == known
    assert SCHEMA["provider"]["inputProperties"] == SCHEMA["config"]["variables"]


@pytest.mark.parametrize("token", SCHEMA["functions"])
async def test_a_function_exists(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """It gets as far as asking which cloud there is."""
    monkeypatch.delenv("ARM_METADATA_HOSTNAME", raising=False)
    monkeypatch.setenv("ARM_ENVIRONMENT", "nowhere")
    provider = KeyVaultProvider(None)  # type: ignore[arg-type]
    arguments = {name: _property() for name in SCHEMA["functions"][token]["inputs"].get("properties", {})}
    with pytest.raises(PluginError, match='"nowhere", which is not known'):
        await provider.invoke(InvokeRequest(token, arguments))


def test_the_program_asks_functions_as_the_schema_has_them() -> None:
    """A misspelled argument would come out at the first run on Azure."""

    def program() -> dict[str, Any]:
        options = pulumi.InvokeOptions()
        check_access("/scope", ["one"], {"definition": "Title"}, SUBSCRIPTION, options)
        needed = [DirectoryPermission(names=["Application.ReadWrite.OwnedBy"], needed_for="signOn")]
        check_directory_access(needed, options)
        check_directory_access(needed, options, tenant_id="another")
        get_caller(options, tenant_id="another")
        return {
            "caller": get_caller(options),
            "deleted": deleted_vaults(("deleted", "new"), "westeurope", SUBSCRIPTION, options),
            "existing": existing_authority(f"{VAULT}certificates/ca", options),
        }

    declared = declare(program)
    assert declared.outputs == {
        "caller": Caller(object_id="caller", tenant_id=TENANT, kind="User", authority=AUTHORITY),
        "deleted": ["deleted"],
        "existing": EXISTING_AUTHORITY,
    }
    assert {token for token, _ in declared.asked} == SCHEMA["functions"].keys()
    for token, arguments in declared.asked:
        inputs = SCHEMA["functions"][token]["inputs"]
        assert set(inputs.get("required", ())) <= arguments.keys() <= inputs.get("properties", {}).keys()
    in_another = [arguments for _, arguments in declared.asked if arguments.get("tenantId") == "another"]
    assert len(in_another) == 2
    [needed] = in_another[0]["permissions"]
    assert NeededPermission.model_validate(needed).names == ("Application.ReadWrite.OwnedBy",)


def test_a_refused_question_is_its_reason_alone() -> None:
    """The engine wraps the message in its own, and the SDK in a traceback."""
    with pytest.raises(pulumi.RunError, match=r"^Sign in with `az login`\.$"):
        declare(lambda: get_caller(pulumi.InvokeOptions()).kind, Azure(refusal="Sign in with `az login`."))


# The program's side


def test_the_programs_class_has_every_name() -> None:
    outputs = VaultCertificate.__annotations__
    assert outputs.keys() == _snake(COMPUTED_NAMES)
    of_a_rollover = {field.name for field in fields(Rollover)}
    of_others = {field.name for field in fields(VaultCertificateArgs)} - {"rollover"}
    assert of_others | of_a_rollover == _snake(INPUT_NAMES)
    assert Issuer.__annotations__.keys() == IssuerReference.model_fields.keys()
    for name, hint in outputs.items():
        assert ("None" in str(hint)) is (to_camel(name) not in CERTIFICATE["required"])


def test_what_is_declared_is_what_the_plugin_takes() -> None:
    """Check would refuse the program's own inputs."""
    policy = leaf_policy().model_dump(mode="json", by_alias=True, exclude_none=True)

    def program() -> dict[str, Any]:
        provider = DeclaredProvider("temporalazure", {"environment": "public"})
        certificate = VaultCertificate(
            "orders",
            VaultCertificateArgs(
                vault_id="/vault",
                vault_uri=VAULT,
                name="orders",
                policy=policy,
                issuer=Issuer(certificate_pem=pulumi.Output.from_input("pem"), key_id="key", chain_pem=["root"]),
                renewal=1,
                rollover=ROLLOVER,
                tags={"owner": "shop"},
                issued_pem="issued",
            ),
            pulumi.ResourceOptions(provider=provider),
        )
        return {name: getattr(certificate, name) for name in _snake(COMPUTED_NAMES)} | {"id": certificate.id}

    declared = declare(program)
    registered = declared.one("temporalazure:keyvault:Certificate")
    assert registered.inputs == {
        "vaultId": "/vault",
        "vaultUri": VAULT,
        "name": "orders",
        "policy": policy,
        "issuer": {"certificatePem": "pem", "keyId": "key", "chainPem": ["root"]},
        "renewal": 1,
        "issuedBy": "clients-1",
        "trusted": ["clients-1", "clients-2"],
        "acknowledged": ["sign-clients-1"],
        "peers": ["shipping"],
        "tags": {"owner": "shop"},
        "issuedPem": "issued",
    }
    assert registered.inputs.keys() == set(INPUT_NAMES)
    assert registered.version == VERSION
    assert registered.provider.startswith(declared.one("pulumi:providers:temporalazure").urn)
    assert declared.outputs["key_id"] == f"{VAULT}keys/orders/{KEY_VERSION}"
    assert declared.outputs["chain_pem"] == ["pem", "root"]
    assert [name for name, value in declared.outputs.items() if value is None] == ["signing_request_pem"]


def test_the_records_of_a_leaf_are_declared_as_the_plugin_takes_them() -> None:
    """Check would refuse the program's own inputs."""

    def program() -> dict[str, Any]:
        StepInState("orders", role="client", rollover=ROLLOVER)
        standing = StandingInState("orders", role="client", rollover=ROLLOVER, certificate_pem="pem")
        return {"certificate_pem": standing.certificate_pem}

    declared = declare(program)
    step, standing = declared.one("temporalazure:state:Step"), declared.one("temporalazure:state:Standing")
    assert step.inputs == {
        "name": "orders",
        "role": "client",
        "issuedBy": "clients-1",
        "trusted": ["clients-1", "clients-2"],
        "acknowledged": ["sign-clients-1"],
        "peers": ["shipping"],
    }
    assert standing.inputs == {**step.inputs, "certificatePem": "pem"}
    assert [tuple(sorted(each.inputs)) for each in (step, standing)] == [
        tuple(sorted(input_names(model))) for _, model in RECORDS
    ]
    assert (step.version, standing.version) == (VERSION, VERSION)
    assert declared.outputs == {"certificate_pem": "pem"}


def test_the_secrets_class_has_every_name() -> None:
    assert VaultSecret.__annotations__.keys() == _snake(secret_inputs.COMPUTED_NAMES)
    assert {field.name for field in fields(VaultSecretArgs)} == _snake(secret_inputs.INPUT_NAMES)


def test_a_secret_is_declared_as_the_plugin_takes_it() -> None:
    """Its value must not even reach the engine in the clear."""

    def program() -> dict[str, Any]:
        secret = VaultSecret(
            "client-secret",
            VaultSecretArgs(
                vault_id="/vault",
                vault_uri=VAULT,
                name="client-secret",
                value=pulumi.Output.from_input("hunter2"),
                content_type="text/plain",
                not_after=pulumi.Output.from_input("2027-01-31T00:00:00Z"),
                tags={"owner": "shop"},
            ),
        )
        return {name: getattr(secret, name) for name in _snake(secret_inputs.COMPUTED_NAMES)} | {"id": secret.id}

    declared = declare(program)
    registered = declared.one("temporalazure:keyvault:Secret")
    assert registered.inputs.keys() == set(secret_inputs.INPUT_NAMES)
    assert registered.inputs | {"value": None} == {
        "vaultId": "/vault",
        "vaultUri": VAULT,
        "name": "client-secret",
        "value": None,
        "contentType": "text/plain",
        "notAfter": "2027-01-31T00:00:00Z",
        "tags": {"owner": "shop"},
    }
    assert isinstance(registered.inputs["value"], dict), "the value is not marked as a secret"
    assert registered.inputs["value"]["value"] == "hunter2"
    assert registered.version == VERSION
    versionless = f"{VAULT}secrets/client-secret"
    assert declared.outputs == {
        "secret_id": f"{versionless}/{KEY_VERSION}",
        "versionless_id": versionless,
        "version": KEY_VERSION,
        "id": versionless,
    }


def test_the_classes_of_an_access_have_every_name() -> None:
    assert CloudNamespaceAccess.__annotations__.keys() == _snake(namespace_inputs.COMPUTED_NAMES)
    assert {field.name for field in fields(CloudNamespaceAccessArgs)} == _snake(namespace_inputs.INPUT_NAMES)


@pytest.mark.parametrize("later", [False, True])
def test_an_access_is_declared_as_the_plugin_takes_it(later: bool) -> None:
    """Check would refuse the program's own inputs, or those that another resource makes."""

    def program() -> dict[str, Any]:
        access = CloudNamespaceAccess(
            "orders",
            CloudNamespaceAccessArgs(
                namespace="orders.a1b2c",
                certificate_authorities_pem=pulumi.Output.from_input(["pem"]) if later else ["pem"],
                filters=[CertificateFilter(common_name="orders-*", subject_alternative_name="*.example.com")],
                timeout_seconds=60,
            ),
        )
        return {name: getattr(access, name) for name in _snake(namespace_inputs.COMPUTED_NAMES)}

    declared = declare(program)
    registered = declared.one("temporalazure:cloud:NamespaceAccess")
    assert registered.inputs == {
        "namespace": "orders.a1b2c",
        "certificateAuthoritiesPem": ["pem"],
        "filters": [{"commonName": "orders-*", "subjectAlternativeName": "*.example.com"}],
        "exclusive": False,
        "timeoutSeconds": 60,
    }
    assert registered.inputs.keys() == set(namespace_inputs.INPUT_NAMES)
    assert registered.version == VERSION
    assert None not in declared.outputs.values()


def test_the_api_key_is_marked_though_the_program_did_not() -> None:
    """It would lie in the state in the clear, with all that it opens."""
    settings = {"temporalCloudAddress": "localhost:7233", "temporalCloudApiKey": "hunter2"}
    declared = declare(lambda: {"urn": DeclaredProvider("temporalazure", settings).urn})
    registered = declared.one("pulumi:providers:temporalazure")
    assert registered.inputs["temporalCloudAddress"] == "localhost:7233"
    assert isinstance(registered.inputs["temporalCloudApiKey"], dict), "the key is not marked as a secret"
    assert registered.inputs["temporalCloudApiKey"]["value"] == "hunter2"


def test_the_provider_takes_settings_and_no_credentials_of_azure() -> None:
    """A credential that it took would lie in the state."""
    declared = declare(lambda: {"urn": DeclaredProvider("temporalazure", {"environment": "china"}).urn})
    registered = declared.one("pulumi:providers:temporalazure")
    assert registered.inputs == {"environment": "china"}
    assert registered.version == VERSION
    assert not [name for name in SCHEMA["config"]["variables"] if re.search("(?i)secret|password|token$", name)]


def _snake(names: tuple[str, ...]) -> set[str]:
    return {to_snake(name) for name in names}


def _property() -> Any:
    return PropertyValue("given")


def _assert_described(properties: dict[str, Any], required: list[str], model: type[Any]) -> None:
    written = TypeAdapter(model).json_schema(by_alias=True)
    assert list(properties) == list(written["properties"])
    assert required == written.get("required", [])
    for name, described in properties.items():
        assert _kind(described, SCHEMA) == _kind(written["properties"][name], written)


def _kind(described: dict[str, Any], document: dict[str, Any]) -> Any:
    """Return a type's outline, of a Pulumi schema or of a JSON schema, without what only one of them can say."""
    if "$ref" in described:
        target: Any = document
        for step in described["$ref"].removeprefix("#/").split("/", 1 if document is SCHEMA else -1):
            target = target[step]
        return _kind(target, document)
    if choices := [choice for choice in described.get("anyOf", []) if choice.get("type") != "null"]:
        [only] = choices
        return _kind(only, document)
    match described["type"]:
        case "array":
            return [_kind(described["items"], document)]
        case "object" if "properties" in described:
            return {name: _kind(inner, document) for name, inner in described["properties"].items()}
        case kind:
            return kind
