"""What the components declare: the vaults, who may do what on them, the authorities and the leaves."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.mocks import MockResourceArgs

from components import (
    AUTHORITIES,
    EVERY_LEAF,
    LEAVES,
    Access,
    KeyVault,
    KeyVaultArgs,
    MutualTls,
    MutualTlsArgs,
    Principal,
    VaultPolicy,
    vault_name,
    vault_names,
)
from components.access import VaultRole, assign
from pki import CertificateFilter, IssuancePolicy, Role, to_pem
from provider.resources import KeyVaultProvider
from tests.certificates import authority_policy, issue, leaf_policy
from tests.unit.declared import GROUP_ID, SUBSCRIPTION, TENANT, VERSION, Azure, Declared, Registered, declare

SUBNET = f"{GROUP_ID}/providers/Microsoft.Network/virtualNetworks/net/subnets/vaults"
WORKSPACE = f"{GROUP_ID}/providers/Microsoft.OperationalInsights/workspaces/logs"
VAULTS = {AUTHORITIES: "temporal-ca-abc", LEAVES: "temporal-leaf-abc"}
IDS = {name: f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/{vault}" for name, vault in VAULTS.items()}
TAGS = {"owner": "shop"}

OFFICER = "a4417e6f-fecd-4de8-b567-7b0420556985"
CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"

ALICE = Principal("aaaaaaaa-0000-4000-8000-000000000001", "User")
TEAM = Principal("bbbbbbbb-0000-4000-8000-000000000002", "Group")
ROBOT = Principal("cccccccc-0000-4000-8000-000000000003", "ServicePrincipal")
CALLER = replace(ALICE, first_caller=True)


@dataclass(frozen=True)
class Network:
    public_access: bool = True
    default_action: str = "Allow"
    allowed_addresses: Sequence[str] = ()
    allowed_subnets: Sequence[str] = ()
    private_endpoint_subnet: str | None = None


@dataclass(frozen=True)
class Protection:
    sku: str = "standard"
    purge_protection: bool = True
    soft_delete_retention_days: int = 90
    network: Network = field(default_factory=Network)
    diagnostics_workspace: str | None = None


@dataclass(frozen=True)
class Generation:
    certificate_name: str
    renewal: int = 0
    certificate_pem: str | None = None
    vault_certificate: str | None = None
    issued_pem: str | None = None
    awaits_certificate: bool = False


@dataclass(frozen=True)
class Authority:
    name: str
    generations: Mapping[int, Generation]
    signing: int = 1
    issuer: str | None = None
    acknowledged: Sequence[str] = ()

    def policy(self, generation: int) -> IssuancePolicy:
        return authority_policy(f"{self.name} {generation}")


@dataclass(frozen=True)
class Leaf:
    policy: IssuancePolicy
    issuer: str


AUTHORITY_SETTINGS = {
    "internode": Authority("internode", {1: Generation("internode-1")}),
    "clients": Authority(
        "clients",
        {2: Generation("clients-2", renewal=3), 1: Generation("clients-1")},
        signing=2,
        acknowledged=("sign-clients-2",),
    ),
}
LEAF_SETTINGS = {
    "cluster": Leaf(leaf_policy("temporal.internal", role=Role.NODE), "internode"),
    "ui": Leaf(leaf_policy("ui"), "clients"),
    "orders": Leaf(leaf_policy("orders"), "clients"),
}


@dataclass(frozen=True)
class CloudNamespace:
    certificates: tuple[str, ...]
    apply: bool
    exclusive: bool = False
    timeout_seconds: int | None = None
    authorities: tuple[str, ...] = ("clients",)
    filters: tuple[CertificateFilter, ...] = (CertificateFilter(common_name="orders", organization="Contoso"),)


class RealCertificates(Azure):
    """What is issued is a certificate: a bundle for Temporal Cloud is made of nothing else."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        identifier, state = super().new_resource(args)
        if "certificatePem" in state:
            state |= {"certificatePem": to_pem(issue(authority_policy(args.name)).certificate)}
        return identifier, state


def _policy(provider: pulumi.ProviderResource, access: Access, protection: Protection | None) -> VaultPolicy:
    return VaultPolicy(
        resource_group_name="temporal",
        location="westeurope",
        tenant_id=TENANT,
        subscription_id=SUBSCRIPTION,
        protection=protection or Protection(),
        access=access,
        tags=TAGS,
        provider=provider,
    )


def vault(
    *,
    recover: bool = False,
    azure: Azure | None = None,
    protection: Protection | None = None,
    deployers: Sequence[Principal] = (CALLER,),
    manage: bool = True,
) -> Declared:
    """Declare one vault, for leaves."""
    access = Access(deployers, {}, manage)

    def program() -> dict[str, Any]:
        declared = KeyVault(
            LEAVES,
            KeyVaultArgs(
                vault_name=VAULTS[LEAVES],
                recover=recover,
                deployer_roles=(VaultRole.CERTIFICATES_OFFICER,),
                policy=_policy(KeyVaultProvider("temporalazure", {}), access, protection),
            ),
        )
        return {"id": declared.id, "name": declared.name, "uri": declared.uri}

    return declare(program, azure)


def mutual_tls(
    *,
    deployers: Sequence[Principal] = (CALLER,),
    readers: Mapping[str, Sequence[Principal]] | None = None,
    manage: bool = True,
    recovered: Sequence[str] = (),
    protection: Protection | None = None,
    cloud_namespaces: Mapping[str, CloudNamespace] | None = None,
) -> Declared:
    """Declare everything."""
    access = Access(deployers, {EVERY_LEAF: (CALLER,)} if readers is None else readers, manage)

    def program() -> dict[str, Any]:
        declared = MutualTls(
            "mutual-tls",
            MutualTlsArgs(
                vault_names=VAULTS,
                recovered_vaults=recovered,
                vault_policy=_policy(KeyVaultProvider("temporalazure", {}), access, protection),
                authorities=AUTHORITY_SETTINGS,
                leaves=LEAF_SETTINGS,
                client_authorities=("clients",),
                cloud_namespaces=cloud_namespaces or {},
            ),
        )
        return {
            "certificates": declared.certificates,
            "caBundles": declared.ca_bundles,
            "keyVaults": declared.key_vaults,
            "temporalCloud": declared.temporal_cloud,
        }

    return declare(program, RealCertificates() if cloud_namespaces else None)


@cache
def read_by_the_team() -> Declared:
    """A stack in which a group reads every leaf, and nobody deploys."""
    return mutual_tls(readers={EVERY_LEAF: (TEAM,)}, deployers=())


@cache
def everything() -> Declared:
    """What a stack gets that sets nothing."""
    return mutual_tls()


def properties(declared: Declared) -> dict[str, Any]:
    found: dict[str, Any] = declared.one("azure-native:keyvault:Vault").inputs["properties"]
    return found


def granted(declared: Declared) -> set[tuple[str, str, str]]:
    """Who has which role where."""
    return {
        (item.inputs["principalId"], item.inputs["roleDefinitionId"].rpartition("/")[2], f"/{item.inputs['scope']}")
        for item in declared.of_type(":RoleAssignment")
    }


# The tree


def test_every_resource_has_its_parent() -> None:
    """A child without its parent is deleted and created when somebody mends that."""
    declared = mutual_tls(protection=Protection(network=Network(private_endpoint_subnet=SUBNET)))
    by_urn = {item.urn: item for item in declared.resources}
    expected = {
        "MutualTls": "Stack",
        "KeyVault": "MutualTls",
        "CertificateAuthority": "MutualTls",
        "Certificate": "MutualTls",
        "Vault": "KeyVault",
        "PrivateEndpoint": "KeyVault",
    }
    for item in declared.resources:
        kind, parent = item.type.rpartition(":")[2], by_urn.get(item.parent)
        parent_kind = parent.type.rpartition(":")[2] if parent else "Stack"
        if item.type == "temporalazure:keyvault:Certificate":
            assert parent_kind in ("CertificateAuthority", "Certificate")
        elif kind == "RoleAssignment":
            assert parent_kind in ("KeyVault", "MutualTls", "Certificate")
        elif not item.type.startswith("pulumi:providers"):
            assert parent_kind == expected[kind], item.urn


def test_names_and_types_do_not_change_by_accident() -> None:
    """They live in the state: another name is another resource, and another authority."""
    declared = mutual_tls(readers={EVERY_LEAF: (TEAM,), "orders": (ROBOT,)})
    tree = {
        item.urn.partition("::temporal-azure::")[2].removeprefix("pulumi:pulumi:Stack$") for item in declared.resources
    }
    kind, own = "temporal-azure:components:", "temporalazure:keyvault:Certificate"
    mine = f"{kind}MutualTls"
    assert tree == {
        "pulumi:providers:temporalazure::temporalazure",
        f"{mine}::mutual-tls",
        f"{mine}${kind}KeyVault::authorities",
        f"{kind}KeyVault$azure-native:keyvault:Vault::authorities",
        f"{kind}KeyVault$azure-native:authorization:RoleAssignment::authorities-certificates-officer-first-caller",
        f"{kind}KeyVault$azure-native:authorization:RoleAssignment::authorities-crypto-user-first-caller",
        f"{mine}${kind}KeyVault::leaves",
        f"{kind}KeyVault$azure-native:keyvault:Vault::leaves",
        f"{kind}KeyVault$azure-native:authorization:RoleAssignment::leaves-certificates-officer-first-caller",
        f"{mine}$azure-native:authorization:RoleAssignment::leaves-secrets-user-{TEAM.object_id}",
        f"{mine}${kind}CertificateAuthority::internode",
        f"{kind}CertificateAuthority${own}::internode-1",
        f"{mine}${kind}CertificateAuthority::clients",
        f"{kind}CertificateAuthority${own}::clients-1",
        f"{kind}CertificateAuthority${own}::clients-2",
        *(f"{mine}${kind}Certificate::{name}" for name in LEAF_SETTINGS),
        *(f"{kind}Certificate${own}::{name}" for name in LEAF_SETTINGS),
        f"{kind}Certificate$azure-native:authorization:RoleAssignment::orders-secrets-user-{ROBOT.object_id}",
    }


def test_a_second_resource_with_one_urn_is_found() -> None:
    """The SDK's mocks take it, and the engine refuses it: this is what the tests here rely on."""

    def program() -> dict[str, Any]:
        first, second = (KeyVaultProvider("temporalazure", {}) for _ in range(2))
        return {"first": first.urn, "second": second.urn}

    with pytest.raises(AssertionError, match="two resources are"):
        declare(program)


# Vaults


def test_a_vault_is_safe_unless_told_otherwise() -> None:
    declared = vault()
    inputs = declared.one("azure-native:keyvault:Vault").inputs
    assert {name: value for name, value in inputs.items() if name != "properties"} == {
        "vaultName": VAULTS[LEAVES],
        "resourceGroupName": "temporal",
        "location": "westeurope",
        "tags": TAGS,
    }
    sdk_defaults = dict.fromkeys(
        ("enabledForDeployment", "enabledForDiskEncryption", "enabledForTemplateDeployment"), False
    )
    assert sdk_defaults | inputs["properties"] == sdk_defaults | {
        "tenantId": TENANT,
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
        "enableSoftDelete": True,
        "enablePurgeProtection": True,
        "softDeleteRetentionInDays": 90,
        "publicNetworkAccess": "Enabled",
        "networkAcls": {"bypass": "None", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": []},
    }
    assert declared.outputs == {
        "id": IDS[LEAVES],
        "name": VAULTS[LEAVES],
        "uri": f"https://{VAULTS[LEAVES]}.vault.azure.net/",
    }


def test_purge_protection_is_on_or_not_mentioned() -> None:
    """Azure refuses False for a vault that ever had it."""
    assert properties(vault())["enablePurgeProtection"] is True
    assert "enablePurgeProtection" not in properties(vault(protection=Protection(purge_protection=False)))


def test_a_deleted_vault_is_recovered_and_a_living_one_is_left() -> None:
    """Its name is taken for up to 90 days; and what it was created with must be no change for the next run."""
    assert properties(vault(recover=True))["createMode"] == "recover"
    assert "createMode" not in properties(vault())
    for recover in (True, False):
        declared = vault(recover=recover).one("azure-native:keyvault:Vault")
        assert declared.ignore_changes == ("properties.createMode",)


def test_only_the_deleted_vault_is_recovered() -> None:
    """`recover` fails where there is nothing to recover."""
    declared = mutual_tls(recovered=[VAULTS[LEAVES], "of another stack"])
    modes = {item.name: item.inputs["properties"].get("createMode") for item in declared.of_type("keyvault:Vault")}
    assert modes == {AUTHORITIES: None, LEAVES: "recover"}


def test_network_rules_are_the_settings() -> None:
    rules = Network(
        public_access=False,
        default_action="Deny",
        allowed_addresses=["203.0.113.7", "198.51.100.0/24"],
        allowed_subnets=[SUBNET],
    )
    found = properties(vault(protection=Protection(sku="premium", soft_delete_retention_days=7, network=rules)))
    assert found["publicNetworkAccess"] == "Disabled"
    assert found["networkAcls"] == {
        "bypass": "None",
        "defaultAction": "Deny",
        "ipRules": [{"value": "203.0.113.7"}, {"value": "198.51.100.0/24"}],
        "virtualNetworkRules": [{"id": SUBNET}],
    }
    assert found["sku"] == {"family": "A", "name": "premium"}
    assert found["softDeleteRetentionInDays"] == 7


@pytest.mark.parametrize(
    ("protection", "kinds"),
    [
        (Protection(), set()),
        (Protection(network=Network(private_endpoint_subnet=SUBNET)), {"PrivateEndpoint"}),
        (Protection(diagnostics_workspace=WORKSPACE), {"DiagnosticSetting"}),
        (
            Protection(network=Network(private_endpoint_subnet=SUBNET), diagnostics_workspace=WORKSPACE),
            {"PrivateEndpoint", "DiagnosticSetting"},
        ),
    ],
)
def test_what_is_not_set_is_not_declared(protection: Protection, kinds: set[str]) -> None:
    """A private endpoint and a workspace cost money, and need rights that not everybody has."""
    found = {item.type.rpartition(":")[2] for item in vault(protection=protection).resources}
    assert found & {"PrivateEndpoint", "DiagnosticSetting"} == kinds


def test_a_private_endpoint_leads_to_its_vault() -> None:
    declared = vault(protection=Protection(network=Network(private_endpoint_subnet=SUBNET)))
    inputs = declared.one(":PrivateEndpoint").inputs
    assert inputs.pop("subnet")["id"] == SUBNET
    assert inputs == {
        "privateEndpointName": VAULTS[LEAVES],
        "resourceGroupName": "temporal",
        "location": "westeurope",
        "privateLinkServiceConnections": [
            {"name": VAULTS[LEAVES], "privateLinkServiceId": IDS[LEAVES], "groupIds": ["vault"]}
        ],
        "tags": TAGS,
    }


def test_the_audit_log_goes_to_the_workspace() -> None:
    declared = vault(protection=Protection(diagnostics_workspace=WORKSPACE))
    assert declared.one(":DiagnosticSetting").inputs == {
        "name": "audit",
        "resourceUri": IDS[LEAVES],
        "workspaceId": WORKSPACE,
        "logs": [{"categoryGroup": "audit", "enabled": True}],
    }


# Names of vaults

identities = st.lists(st.text("abcdefghij-0123456789|", min_size=1, max_size=40), min_size=1, max_size=5)


@given(st.sampled_from(["ca", "leaf"]), identities)
def test_a_vaults_name_is_one_that_azure_takes(purpose: str, identity: list[str]) -> None:
    """3 to 24 letters, digits and hyphens, a letter first, no hyphen last, no two in a row."""
    name = vault_name(purpose, *identity)
    assert re.fullmatch(r"[a-z](?:-?[a-z0-9])+", name)
    assert 3 <= len(name) <= 24
    assert name == vault_name(purpose, *identity) == vault_name(purpose, *(part.upper() for part in identity))


def test_a_vaults_name_stays() -> None:
    """A killed run must find its vault again, and so must the next version of this program."""
    identity = (TENANT, SUBSCRIPTION, "temporal-azure", "dev", "1")
    assert vault_name("ca", *identity) == "temporal-ca-j4xvkopave"
    assert vault_name("leaf", *identity) == "temporal-leaf-5uc7wlvo65"


def test_each_vault_of_a_stack_has_its_own_name() -> None:
    """Authorities' keys would lie where readers of leaves may look."""
    identity = (TENANT, SUBSCRIPTION, "temporal-azure", "dev", "1")
    assert vault_names(*identity) == {
        AUTHORITIES: vault_name("ca", *identity),
        LEAVES: vault_name("leaf", *identity),
    }


def test_whatever_sets_stacks_apart_sets_their_vaults_apart() -> None:
    """Names are global in Azure: two stacks would meet in one vault."""
    identity = [TENANT, SUBSCRIPTION, "temporal-azure", "dev", "1"]
    names = {vault_name(purpose, *identity) for purpose in ("ca", "leaf")}
    for index in range(len(identity)):
        names.add(vault_name("ca", *identity[:index], f"{identity[index]}2", *identity[index + 1 :]))
    assert len(names) == 2 + len(identity)


# Who may do what


@dataclass(frozen=True)
class Named:
    id: str
    kind: str


@dataclass(frozen=True)
class Settings:
    deployers: Sequence[Named] = ()
    readers: Mapping[str, Sequence[Named]] = field(default_factory=dict)
    manage: bool = True


ANNE, CREW = Named("a", "User"), Named("c", "Group")
FIRST = replace(CALLER, object_id="me")
PEOPLE = [Principal("a", "User"), Principal("c", "Group")]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (Settings(), Access([FIRST], {EVERY_LEAF: [FIRST]})),
        (Settings(deployers=(ANNE, CREW)), Access(PEOPLE, {EVERY_LEAF: [FIRST]})),
        (Settings(readers={"ui": (ANNE, CREW)}), Access([FIRST], {"ui": PEOPLE})),
        (Settings(readers={"ui": (), "*": (CREW,)}), Access([FIRST], {"ui": [FIRST], EVERY_LEAF: PEOPLE[1:]})),
        (Settings(manage=False), Access([FIRST], {}, manage=False)),
        (Settings((ANNE, CREW), {"ui": (ANNE,)}, manage=False), Access(PEOPLE, {}, manage=False)),
    ],
)
def test_the_caller_stands_in_where_nobody_is_named(named: Settings, expected: Access) -> None:
    """Who is named is left out, or whoever happens to run this is given a right beside those who are named."""
    assert Access.resolved(named, replace(FIRST, first_caller=False)) == expected


def test_a_deployer_has_exactly_what_issuing_needs() -> None:
    """Officer on both vaults, signing on the authorities' alone, and no right to read any leaf's key."""
    declared = mutual_tls(readers={}, deployers=(ALICE, ROBOT))
    assert granted(declared) == {
        (deployer.object_id, role, scope)
        for deployer in (ALICE, ROBOT)
        for role, scope in (
            (OFFICER, IDS[AUTHORITIES]),
            (CRYPTO_USER, IDS[AUTHORITIES]),
            (OFFICER, IDS[LEAVES]),
        )
    }


def test_a_reader_reads_its_own_key_alone() -> None:
    """Secrets User on a vault reads every leaf's key in it."""
    declared = mutual_tls(readers={"orders": (ROBOT,), "ui": (TEAM, ROBOT)}, deployers=())
    assert granted(declared) == {
        (ROBOT.object_id, SECRETS_USER, f"{IDS[LEAVES]}/secrets/orders"),
        (TEAM.object_id, SECRETS_USER, f"{IDS[LEAVES]}/secrets/ui"),
        (ROBOT.object_id, SECRETS_USER, f"{IDS[LEAVES]}/secrets/ui"),
    }


def test_a_reader_of_every_leaf_reads_the_leaves_vault() -> None:
    declared = read_by_the_team()
    assert granted(declared) == {(TEAM.object_id, SECRETS_USER, IDS[LEAVES])}


@pytest.mark.parametrize("principal", [ALICE, TEAM, ROBOT])
def test_a_principal_keeps_its_kind(principal: Principal) -> None:
    """The default is User: for a new service principal Azure then finds nobody of that id."""
    [assignment] = mutual_tls(readers={EVERY_LEAF: (principal,)}, deployers=()).of_type(":RoleAssignment")
    assert assignment.inputs["principalType"] == principal.kind
    assert assignment.ignore_changes == ()


def test_a_role_is_named_in_its_subscription() -> None:
    """Azure answers so, and another spelling would show as a change."""
    [assignment] = read_by_the_team().of_type(":RoleAssignment")
    definitions = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
    assert assignment.inputs["roleDefinitionId"] == f"{definitions}/{SECRETS_USER}"


def test_the_first_caller_stays_whoever_runs_the_next() -> None:
    """The next person's `up` would take the first one's rights away, or fail for want of the right to."""
    somebody_else = replace(ROBOT, first_caller=True)
    runs = [mutual_tls(deployers=(caller,), readers={EVERY_LEAF: (caller,)}) for caller in (CALLER, somebody_else)]
    first, second = ([_without_principal(item) for item in run.of_type(":RoleAssignment")] for run in runs)
    assert len(first) == 4
    assert first == second
    assert all(item.ignore_changes == ("principalId", "principalType") for item in first)


def test_whoever_is_named_takes_over_from_the_first_caller() -> None:
    """The first caller is among the named, as a rule, and Azure refuses a second equal assignment."""
    declared = mutual_tls(deployers=(ALICE, TEAM), readers={})
    for prefix in ("authorities-certificates-officer", "authorities-crypto-user", "leaves-certificates-officer"):
        first = declared.one(":RoleAssignment", f"{prefix}-{ALICE.object_id}")
        assert first.former_names == (f"{prefix}-first-caller",)
        assert first.delete_before_replace
        second = declared.one(":RoleAssignment", f"{prefix}-{TEAM.object_id}")
        assert second.former_names == ()
        assert first.urn in second.dependencies


def test_the_caller_takes_over_from_itself_once_nobody_is_named() -> None:
    """What it held under its own name is an equal assignment too."""
    declared = mutual_tls(deployers=(CALLER,), readers={})
    first = declared.one(":RoleAssignment", "authorities-crypto-user-first-caller")
    assert first.former_names == (f"authorities-crypto-user-{CALLER.object_id}",)
    assert first.delete_before_replace


def test_an_assignments_name_is_its_own_and_stays() -> None:
    """Azure refuses an equal assignment under another name, and another one under the same."""
    runs = [mutual_tls(deployers=(ALICE, TEAM), readers={EVERY_LEAF: (ROBOT,), "ui": (ROBOT,)}) for _ in range(2)]
    names = [[item.inputs["roleAssignmentName"] for item in run.of_type(":RoleAssignment")] for run in runs]
    assert names[0] == names[1]
    assert len(set(names[0])) == len(names[0]) == 8
    assert {uuid.UUID(name).version for name in names[0]} == {5}


def test_an_assignments_name_is_the_same_in_every_version() -> None:
    [assignment] = read_by_the_team().of_type(":RoleAssignment")
    assert assignment.inputs["roleAssignmentName"] == "0b0e4d00-7a4f-5efb-9494-7245a629a437"


def test_an_assignments_name_does_not_depend_on_case() -> None:
    """Azure spells the ids of one resource in more than one way."""

    def name(scope: str, object_id: str) -> str:
        def program() -> pulumi.Output[str]:
            parent = KeyVaultProvider("temporalazure", {})
            principals = [Principal(object_id, "Group")]
            [assignment] = assign("leaves", VaultRole.SECRETS_USER, scope, principals, SUBSCRIPTION, parent)
            return assignment.name

        return str(declare(program).outputs)

    assert name(IDS[LEAVES], TEAM.object_id) == name(IDS[LEAVES].upper(), TEAM.object_id.upper())
    assert name(IDS[LEAVES], TEAM.object_id) != name(IDS[AUTHORITIES], TEAM.object_id)


def test_without_the_right_to_assign_roles_are_looked_for_instead() -> None:
    """Whoever may not assign would fail; whoever lacks a role would find out at the first certificate."""
    declared = mutual_tls(manage=False, deployers=(ALICE, TEAM), readers={})
    assert declared.of_type(":RoleAssignment") == []
    questions = [arguments for token, arguments in declared.asked if token == "temporalazure:index:checkAccess"]
    assert sorted(questions, key=lambda question: question["scope"]) == [
        {
            "scope": IDS[AUTHORITIES],
            "objectIds": [ALICE.object_id, TEAM.object_id],
            "roles": {OFFICER: "Key Vault Certificates Officer", CRYPTO_USER: "Key Vault Crypto User"},
            "subscriptionId": SUBSCRIPTION,
        },
        {
            "scope": IDS[LEAVES],
            "objectIds": [ALICE.object_id, TEAM.object_id],
            "roles": {OFFICER: "Key Vault Certificates Officer"},
            "subscriptionId": SUBSCRIPTION,
        },
    ]


def test_a_caller_who_is_not_named_is_not_looked_for() -> None:
    """The caller is no input of the next run: a colleague without roles may still preview."""
    declared = vault(manage=False, deployers=(CALLER,))
    [(_, arguments)] = declared.asked
    assert arguments["objectIds"] == []


def test_a_missing_role_stops_what_needs_the_vault() -> None:
    with pytest.raises(pulumi.RunError, match="has no role Key Vault Crypto User"):
        vault(azure=Azure(refusal="It has no role Key Vault Crypto User."), manage=False, deployers=(ALICE,))


def test_with_the_right_to_assign_nobody_is_asked() -> None:
    assert everything().asked == []


# Certificates


def test_an_authority_is_declared_generation_by_generation() -> None:
    declared = everything()
    found = {item.name: item.inputs for item in _certificates(declared, "CertificateAuthority")}
    assert found.keys() == {"internode-1", "clients-1", "clients-2"}
    assert found["clients-2"] == {
        "vaultId": IDS[AUTHORITIES],
        "vaultUri": f"https://{VAULTS[AUTHORITIES]}.vault.azure.net/",
        "name": "clients-2",
        "policy": authority_policy("clients 2").model_dump(mode="json", by_alias=True, exclude_none=True),
        "renewal": 3,
        "tags": TAGS,
    }


def test_a_leaf_is_issued_by_the_generation_that_signs() -> None:
    declared = everything()
    found = {item.name: item.inputs for item in _certificates(declared, "Certificate")}
    assert found.keys() == LEAF_SETTINGS.keys()
    authorities = f"https://{VAULTS[AUTHORITIES]}.vault.azure.net"
    assert found["orders"] == {
        "vaultId": IDS[LEAVES],
        "vaultUri": f"https://{VAULTS[LEAVES]}.vault.azure.net/",
        "name": "orders",
        "policy": leaf_policy("orders").model_dump(mode="json", by_alias=True, exclude_none=True),
        "issuer": {
            "certificatePem": "certificate of clients-2\n",
            "keyId": f"{authorities}/keys/clients-2/{VERSION}",
            "chainPem": [],
        },
        "renewal": 0,
        "issuedBy": "clients-2",
        "trusted": ["clients-1", "clients-2"],
        "acknowledged": ["sign-clients-2"],
        "peers": ["ui"],
        "tags": TAGS,
    }
    assert found["cluster"]["issuer"]["certificatePem"] == "certificate of internode-1\n"


def test_a_leaf_is_trusted_by_whom_it_is_shown_to() -> None:
    """The order of a rollover is kept by this: a node that counted clients' authorities would miss a step."""
    found = {item.name: item.inputs for item in _certificates(everything(), "Certificate")}
    assert {name: (inputs["issuedBy"], inputs["trusted"]) for name, inputs in found.items()} == {
        "cluster": ("internode-1", ["internode-1"]),
        "ui": ("clients-2", ["clients-1", "clients-2"]),
        "orders": ("clients-2", ["clients-1", "clients-2"]),
    }
    assert "peers" not in found["cluster"]


@pytest.mark.parametrize("private", [False, True])
def test_nothing_is_issued_before_its_issuer_may(private: bool) -> None:
    """The vault would refuse it, or could not be reached: roles and endpoint come first, then authority, then leaf."""
    network = Network(private_endpoint_subnet=SUBNET if private else None)
    declared = mutual_tls(deployers=(ALICE, ROBOT), protection=Protection(network=network))
    by_urn = {item.urn: item for item in declared.resources}
    for component, purpose in (("CertificateAuthority", AUTHORITIES), ("Certificate", LEAVES)):
        ready = {
            item.urn
            for item in declared.resources
            if item.type.endswith((":RoleAssignment", ":PrivateEndpoint"))
            and by_urn[item.parent].type.endswith(":KeyVault")
            and by_urn[item.parent].name == purpose
        }
        assert len(ready) == (4 if purpose == AUTHORITIES else 2) + private
        for certificate in _certificates(declared, component):
            assert certificate.dependencies >= ready
    signing = {item.urn for item in _certificates(declared, "CertificateAuthority") if item.name != "clients-1"}
    for leaf in _certificates(declared, "Certificate"):
        assert len(leaf.dependencies & signing) == 1


def test_our_provider_makes_every_certificate() -> None:
    """The default provider would sign in as whoever the environment says, elsewhere."""
    declared = everything()
    provider = declared.one("pulumi:providers:temporalazure").urn
    certificates = declared.of_type("temporalazure:keyvault:Certificate")
    assert len(certificates) == 6
    assert all(item.provider.startswith(f"{provider}::") for item in certificates)


# Outputs


def test_outputs_tell_where_a_certificate_is_and_what_it_says() -> None:
    """The writer of .deploy/ and the docs rely on these names."""
    certificates = everything().outputs["certificates"]
    assert certificates.keys() == {*LEAF_SETTINGS, "internode-1", "clients-1", "clients-2"}
    leaves = f"https://{VAULTS[LEAVES]}.vault.azure.net/"
    assert certificates["orders"] == {
        "role": "client",
        "subject": "CN=orders",
        "subjectAlternativeNames": {
            "dnsNames": ["orders.example.com"],
            "ipAddresses": [],
            "uris": [],
            "emails": [],
        },
        "issuer": "CN=issuer of orders",
        "serialNumber": "1a2b",
        "notBefore": "2026-03-28T23:00:00+00:00",
        "notAfter": "2026-06-27T00:00:00+00:00",
        "renewBeforeDays": 30,
        "certificateId": f"{leaves}certificates/orders/{VERSION}",
        "keyId": f"{leaves}keys/orders/{VERSION}",
        "secretId": f"{leaves}secrets/orders/{VERSION}",
        "vaultUri": leaves,
        "certificatePem": "certificate of orders\n",
        "chainPem": ["certificate of clients-2\n"],
    }
    assert certificates["cluster"]["role"] == "node"
    assert {name: facts["secretId"] for name, facts in certificates.items() if facts["role"] == "authority"} == {
        "internode-1": None,
        "clients-1": None,
        "clients-2": None,
    }


def test_a_bundle_has_every_trusted_generation_the_signing_one_first() -> None:
    """A generation that is left out is distrusted, in the middle of a rollover."""
    assert everything().outputs["caBundles"] == {
        "internode": ["certificate of internode-1\n"],
        "clients": ["certificate of clients-2\n", "certificate of clients-1\n"],
    }


def test_a_namespace_of_temporal_cloud_is_set_up_before_who_connects_to_it_gets_a_certificate() -> None:
    """A worker has a certificate of a generation that its namespace does not know yet, and is refused."""
    declared = mutual_tls(
        cloud_namespaces={
            "payments.a1b2c": CloudNamespace(("orders",), apply=True, exclusive=True, timeout_seconds=60),
            "shop.a1b2c": CloudNamespace(("ui",), apply=False),
        }
    )
    access = declared.one("temporalazure:cloud:NamespaceAccess")
    output = declared.outputs["temporalCloud"]

    assert access.name == "payments.a1b2c"
    assert access.parent == declared.one("temporal-azure:components:MutualTls").urn
    assert access.provider.rpartition("::")[0] == declared.one("pulumi:providers:temporalazure").urn
    assert access.inputs == {
        "namespace": "payments.a1b2c",
        "certificateAuthoritiesPem": declared.outputs["caBundles"]["clients"],
        "filters": [{"commonName": "orders", "organization": "Contoso"}],
        "exclusive": True,
        "timeoutSeconds": 60,
    }
    assert output["payments.a1b2c"]["caBundlePem"] == "".join(access.inputs["certificateAuthoritiesPem"])
    assert output["payments.a1b2c"]["filters"] == {"filters": access.inputs["filters"]}
    assert {name: facts["applied"] for name, facts in output.items()} == {"payments.a1b2c": True, "shop.a1b2c": False}
    authorities = {item.urn for item in _certificates(declared, "CertificateAuthority") if "clients" in item.name}
    assert access.dependencies == authorities
    waiting = {leaf.name for leaf in _certificates(declared, "Certificate") if access.urn in leaf.dependencies}
    assert waiting == {"orders"}


def test_outputs_tell_the_vaults() -> None:
    assert everything().outputs["keyVaults"] == {
        purpose: {"name": name, "id": IDS[purpose], "uri": f"https://{name}.vault.azure.net/"}
        for purpose, name in VAULTS.items()
    }


def _certificates(declared: Declared, component: str) -> list[Registered]:
    parents = {item.urn for item in declared.of_type(f"temporal-azure:components:{component}")}
    return [item for item in declared.of_type("temporalazure:keyvault:Certificate") if item.parent in parents]


def _without_principal(assignment: Registered) -> Registered:
    inputs = {name: value for name, value in assignment.inputs.items() if name not in ("principalId", "principalType")}
    return replace(assignment, inputs=inputs, former_names=())
