"""A stack's configuration: what is accepted, what is refused and how, and that its pages tell the same.

What concerns sign-on is in test_settings_sign_on.py; here it is turned off.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from pki import KeyType, Role
from settings import Settings, SettingsError, azure_settings, decode
from settings.reference import reference
from settings.schema import SCHEMA
from tests.unit.configured import PROJECT, parsed, paths, refusal

ROOT = Path(__file__).parents[2]
SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
NETWORK_ID = f"{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets"
SUBNET = f"{NETWORK_ID}/vaults"
WORKSPACE = f"{SUBSCRIPTION}/resourceGroups/logs/providers/Microsoft.OperationalInsights/workspaces/audit"
ALICE, BOB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
ENOUGH = {"location": "westeurope", "authorization": "none"}


def alice(**changed: object) -> dict[str, object]:
    return {"id": ALICE, "kind": "User", **changed}


def vault(**settings: object) -> dict[str, object]:
    return {"vaults": settings}


def network(**settings: object) -> dict[str, object]:
    return vault(network=settings)


def denied(*addresses: object) -> dict[str, object]:
    return network(defaultAction="Deny", allowedAddresses=list(addresses))


def authority(**settings: object) -> dict[str, object]:
    return {"certificateAuthorities": {"internode": settings, "clients": {}}}


def worker(**settings: object) -> dict[str, object]:
    return {"certificates": {"orders": settings}}


def frontend(**settings: object) -> dict[str, object]:
    return {"frontend": settings}


def hosts(admitted: Mapping[str, list[str]]) -> dict[str, object]:
    return frontend(hostOverrides={host: {"authorities": authorities} for host, authorities in admitted.items()})


# Each is one change away from what is accepted: what is written, the path, words of the consequence and of the fix.
WRONG: dict[str, tuple[dict[str, object], str, str, str]] = {
    # acknowledgements
    "an acknowledgement of everything": (
        {"acknowledge": ["replace-authority"]},
        "acknowledge[0]",
        "could not tell which change is meant",
        "Copy it from the summary",
    ),
    "an acknowledgement twice": (
        {"acknowledge": ["remove-worker:orders", "remove-worker:orders"]},
        "acknowledge",
        "could not tell which change is meant",
        "Keep one of them",
    ),
    # place
    "no location": ({"location": ""}, "location", "nowhere to put", "pulumi config set temporal-azure:location"),
    "location by its title": ({"location": "West Europe"}, "location", "nowhere to put", '"westeurope"'),
    "location as a list": ({"location": ["westeurope"]}, "location", "nowhere to put", "Use the name"),
    "resource group ends with a period": ({"resourceGroup": "temporal."}, "resourceGroup", "refuse", "no period last"),
    "resource group with a blank": ({"resourceGroup": "my group"}, "resourceGroup", "refuse", "hyphens"),
    "resource group of 91": ({"resourceGroup": "g" * 91}, "resourceGroup", "refuse", "1 to 90"),
    # whom the frontend admits
    "frontend of an authority that is not there": (
        frontend(authorities=["clients", "client"]),
        "frontend.authorities[1]",
        "refused",
        "clients, internode",
    ),
    "frontend that admits no client of the stack": (
        {
            **frontend(authorities=["internode"]),
            "certificates": {"ui": {"issuer": "internode"}, "cli": {"issuer": "internode"}, "orders": {}},
        },
        "certificates.orders.issuer",
        "the frontend would refuse it",
        "Add clients there",
    ),
    "host override of an authority that is not there": (
        hosts({"orders.internal": ["orders"]}),
        'frontend.hostOverrides["orders.internal"].authorities[0]',
        "refused",
        "clients, internode",
    ),
    "host override of nobody": (
        hosts({"orders.internal": []}),
        'frontend.hostOverrides["orders.internal"].authorities',
        "Nobody",
        "Name an authority",
    ),
    "host override of the frontend's own name": (
        hosts({"Temporal.Internal": ["clients"]}),
        'frontend.hostOverrides["Temporal.Internal"]',
        "left to chance",
        "Keep one",
    ),
    "host override with a wildcard": (
        hosts({"*.internal": ["clients"]}),
        'frontend.hostOverrides["*.internal"]',
        "refused",
        "without one",
    ),
    "server without the name of a host override": (
        {**hosts({"orders.internal": ["clients"]}), "certificates": {"cluster": {"dnsNames": ["temporal.internal"]}}},
        "certificates.cluster.dnsNames",
        "for that name",
        "Add it",
    ),
    "worker that asks for a name that is none of the frontend's": (
        worker(serverName="elsewhere.internal"),
        "certificates.orders.serverName",
        "would not be the one",
        "temporal.internal",
    ),
    "worker that asks for a name under which its authority is not admitted": (
        {**hosts({"orders.internal": ["internode"]}), **worker(serverName="orders.internal")},
        "certificates.orders.issuer",
        "Under the name orders.internal",
        "Add clients there",
    ),
    "worker in a namespace that is not listed": (
        {"authorization": None, "namespaces": ["default"], **worker(namespace="orders")},
        "certificates.orders.namespace",
        "Nobody could be given a role in it",
        "Add it to namespaces",
    ),
    "server with a namespace": (
        {"certificates": {"cluster": {"namespace": "orders"}}},
        "certificates.cluster.namespace",
        "no effect",
        "frontend.namespace",
    ),
    # tags
    "tag that is a number": ({"tags": {"costCenter": 4711}}, "tags.costCenter", "refuse", 'quotes: "4711"'),
    "tag that is empty": ({"tags": {"team": None}}, "tags.team", "refuse", "Use text"),
    "tag with a forbidden character": ({"tags": {"a/b": "x"}}, 'tags["a/b"]', "refuse", "Leave out"),
    "tag reserved by Azure": ({"tags": {"Microsoft.x": "y"}}, 'tags["Microsoft.x"]', "refuse", "another name"),
    "tag of the program's own": (
        {"tags": {"Pulumi-Stack": "y"}},
        "tags.Pulumi-Stack",
        "would be overwritten",
        "another name",
    ),
    "tag name too long": ({"tags": {"n" * 513: "y"}}, f"tags.{'n' * 513}", "refuse", "1 to 512"),
    "tag value too long": ({"tags": {"team": "v" * 257}}, "tags.team", "refuse", "at most 256"),
    "too many tags": ({"tags": {f"t{n}": "v" for n in range(12)}}, "tags", "refuse", "at most 11"),
    "tags that differ by case": ({"tags": {"team": "a", "Team": "b"}}, "tags", "refuse", "one of them"),
    # vaults
    "vaults as text": ({"vaults": "premium"}, "vaults", "hold the keys", "sku"),
    "unknown key of vaults": (vault(skus="premium"), "vaults.skus", "no effect", '"sku"'),
    "unknown key, nothing near": (vault(zone="1"), "vaults.zone", "no effect", "Known here: generation, sku"),
    "vault generation 0": (vault(generation=0), "vaults.generation", "named", "from 1 to 99"),
    "vault generation 100": (vault(generation=100), "vaults.generation", "named", "from 1 to 99"),
    "vault generation as text": (vault(generation="2"), "vaults.generation", "named", "without quotes"),
    "sku in capitals": (vault(sku="Premium"), "vaults.sku", "refuse", "standard, premium"),
    "purge protection as text": (vault(purgeProtection="no"), "vaults.purgeProtection", "lost", "without quotes"),
    "retention of 6 days": (
        vault(softDeleteRetentionDays=6),
        "vaults.softDeleteRetentionDays",
        "refuse",
        "from 7 to 90",
    ),
    "retention of 7.5 days": (
        vault(softDeleteRetentionDays=7.5),
        "vaults.softDeleteRetentionDays",
        "refuse",
        "from 7 to 90",
    ),
    "retention of 91 days": (
        vault(softDeleteRetentionDays=91),
        "vaults.softDeleteRetentionDays",
        "refuse",
        "from 7 to 90",
    ),
    "workspace by its customer id": (
        vault(diagnosticsWorkspace=ALICE),
        "vaults.diagnosticsWorkspace",
        "no audit log",
        "az monitor log-analytics workspace show",
    ),
    # network
    "denied to all": (
        network(defaultAction="Deny"),
        "vaults.network.defaultAction",
        "this program included",
        "allowedAddresses",
    ),
    "no endpoint at all": (
        network(publicAccess=False),
        "vaults.network.publicAccess",
        "this program included",
        "privateEndpointSubnet",
    ),
    "unknown action": (
        network(defaultAction="deny"),
        "vaults.network.defaultAction",
        "left to chance",
        "Allow, Deny",
    ),
    "addresses without a denying firewall": (
        network(allowedAddresses=["203.0.113.7"]),
        "vaults.network.allowedAddresses",
        "Everybody else",
        "defaultAction: Deny",
    ),
    "subnets without a denying firewall": (
        network(allowedSubnets=[SUBNET]),
        "vaults.network.allowedSubnets",
        "Everybody else",
        "defaultAction: Deny",
    ),
    "one address, not a list": (
        network(defaultAction="Deny", allowedAddresses="203.0.113.7"),
        "vaults.network.allowedAddresses",
        "refuse",
        "a list",
    ),
    "address that is none": (denied("203.0.113"), "vaults.network.allowedAddresses[0]", "refuse", "203.0.113.0/24"),
    "range by its netmask": (
        denied("203.0.113.0/255.255.255.0"),
        "vaults.network.allowedAddresses[0]",
        "refuse",
        "Use 203.0.113.0/24",
    ),
    "range with host bits": (
        denied("203.0.113.7/24"),
        "vaults.network.allowedAddresses[0]",
        "refuse",
        "203.0.113.0/24 for the range",
    ),
    "private address": (denied("10.1.2.3"), "vaults.network.allowedAddresses[0]", "public", "privateEndpointSubnet"),
    "range around private ones": (denied("172.0.0.0/8"), "vaults.network.allowedAddresses[0]", "public", "leaves from"),
    "IPv6 address": (denied("2001:db8::7"), "vaults.network.allowedAddresses[0]", "IPv4 only", "IPv4 address"),
    "every address": (
        denied("0.0.0.0/0"),
        "vaults.network.allowedAddresses[0]",
        "open to everybody",
        "defaultAction: Allow",
    ),
    "address twice": (
        denied("203.0.113.7", "203.0.113.7"),
        "vaults.network.allowedAddresses",
        "refuse",
        "one of them",
    ),
    "more addresses than a vault takes": (
        denied(*(f"203.0.{n // 250}.{n % 250}" for n in range(1001))),
        "vaults.network.allowedAddresses",
        "refuse",
        "at most 1000",
    ),
    "subnet by its name": (
        network(defaultAction="Deny", allowedSubnets=["vaults"]),
        "vaults.network.allowedSubnets[0]",
        "refuse",
        "az network vnet subnet show",
    ),
    "private endpoint in a network, not a subnet": (
        network(privateEndpointSubnet=NETWORK_ID.removesuffix("/subnets")),
        "vaults.network.privateEndpointSubnet",
        "private endpoints",
        "az network vnet subnet show",
    ),
    # authorities
    "no authority": ({"certificateAuthorities": {}}, "certificateAuthorities", "Nothing could sign", "internode"),
    "authorities as a list": (
        {"certificateAuthorities": ["internode"]},
        "certificateAuthorities",
        "Nothing could be issued",
        "a map",
    ),
    "authority with a bad name": (
        {"certificateAuthorities": {"internode": {}, "clients": {}, "Old_CA": {}}},
        "certificateAuthorities.Old_CA",
        "Key Vault",
        "lower-case",
    ),
    "authority name ending with a hyphen": (
        {"certificateAuthorities": {"internode": {}, "clients": {}, "old-": {}}},
        "certificateAuthorities.old-",
        "Key Vault",
        "no hyphen last",
    ),
    "unknown key of an authority": (
        authority(validity=10),
        "certificateAuthorities.internode.validity",
        "no effect",
        "validityDays",
    ),
    "authority for 29 days": (
        authority(validityDays=29),
        "certificateAuthorities.internode.validityDays",
        "end with it",
        "30 to 3650",
    ),
    "authority for 3651 days": (
        authority(validityDays=3651),
        "certificateAuthorities.internode.validityDays",
        "trusted for decades",
        "30 to 3650",
    ),
    "key type of nobody": (
        authority(keyType="RSA-1024"),
        "certificateAuthorities.internode.keyType",
        "could not get a key",
        "RSA-2048, RSA-3072",
    ),
    "no generation": (
        authority(generations={}),
        "certificateAuthorities.internode.generations",
        "no key",
        "Add 1: {}",
    ),
    "generation 0": (
        authority(generations={0: {}, 1: {}}),
        "certificateAuthorities.internode.generations.0",
        "which keys to trust",
        "from 1",
    ),
    "generation by a word": (
        authority(generations={"new": {}, "1": {}}),
        "certificateAuthorities.internode.generations.new",
        "which keys to trust",
        "from 1",
    ),
    "generations as a list": (
        authority(generations=[1, 2]),
        "certificateAuthorities.internode.generations",
        "which keys to trust",
        "a map",
    ),
    "seventeen generations": (
        authority(generations={number: {} for number in range(1, 18)}),
        "certificateAuthorities.internode.generations",
        "Temporal Cloud takes 16",
        "Remove",
    ),
    "signing with a generation that is not there": (
        authority(generations={1: {}, 2: {}}, signing=3),
        "certificateAuthorities.internode.signing",
        "Nothing could be issued",
        "1, 2",
    ),
    "acknowledged by a word": (
        authority(acknowledge=["sign"]),
        "certificateAuthorities.internode.acknowledge[0]",
        "against your will",
        "Write sign-2, or distrust-1",
    ),
    "acknowledged step that is none": (
        authority(acknowledge=["trust-2"]),
        "certificateAuthorities.internode.acknowledge[0]",
        "against your will",
        "Write sign-2, or distrust-1",
    ),
    "acknowledged generation 0": (
        authority(acknowledge=["sign-0"]),
        "certificateAuthorities.internode.acknowledge[0]",
        "against your will",
        "Write sign-2, or distrust-1",
    ),
    "acknowledged twice": (
        authority(acknowledge=["sign-1", "sign-1"]),
        "certificateAuthorities.internode.acknowledge",
        "against your will",
        "Keep one",
    ),
    "acknowledged signing of one that does not sign": (
        authority(generations={1: {}, 2: {}}, acknowledge=["sign-2"]),
        "certificateAuthorities.internode.acknowledge[0]",
        "something later on",
        "Set signing: 2",
    ),
    "acknowledged distrust of one that is trusted": (
        authority(generations={1: {}, 2: {}}, signing=2, acknowledge=["sign-2", "distrust-1"]),
        "certificateAuthorities.internode.acknowledge[1]",
        "something later on",
        "Remove that generation",
    ),
    "negative renewal": (
        authority(generations={1: {"renewal": -1}}),
        "certificateAuthorities.internode.generations.1.renewal",
        "against your will",
        "0 or more",
    ),
    "authority's name too long with its generation": (
        authority(commonName="n" * 63),
        "certificateAuthorities.internode.commonName",
        "64",
        "shorter",
    ),
    "authorities with one name": (
        {"certificateAuthorities": {"internode": {"commonName": "Acme"}, "clients": {"commonName": "ACME"}}},
        "certificateAuthorities.clients.commonName",
        "ambiguous",
        "another",
    ),
    "country by its name": (
        authority(country="Germany"),
        "certificateAuthorities.internode.country",
        "X.509",
        "capital letters",
    ),
    "organization of blanks": (
        authority(organization=" "),
        "certificateAuthorities.internode.organization",
        "X.509",
        "plain text",
    ),
    # certificates
    "certificate with a bad name": (
        {"certificates": {"Orders": {}}},
        "certificates.Orders",
        "Key Vault",
        "lower-case",
    ),
    "certificate name of 42": (
        {"certificates": {"o" * 42: {}}},
        f"certificates.{'o' * 42}",
        "Key Vault",
        "at most 41",
    ),
    "certificate with the name of a generation": (
        {"certificates": {"clients-1": {}}},
        "certificates.clients-1",
        "tell them apart",
        "another name",
    ),
    "issuer that is not there": (
        worker(issuer="client"),
        "certificates.orders.issuer",
        "Nothing would sign this certificate.",
        "Use one of: clients, internode.",
    ),
    "issuer left to chance": (
        {"certificateAuthorities": {"internode": {}, "mobile": {}, "web": {}}, **worker(issuer="web")}
        | {"certificates": {"orders": {}, "ui": {"issuer": "web"}, "cli": {"issuer": "web"}}},
        "certificates.orders.issuer",
        "Nothing would sign",
        "internode, mobile, web",
    ),
    "certificate for 0 days": (
        worker(validityDays=0, renewBeforeDays=0),
        "certificates.orders.validityDays",
        "revocation",
        "1 to 397",
    ),
    "certificate for 398 days": (
        worker(validityDays=398),
        "certificates.orders.validityDays",
        "stolen key",
        "1 to 397",
    ),
    "validity as text": (worker(validityDays="90"), "certificates.orders.validityDays", "stolen key", "without quotes"),
    "validity as true": (worker(validityDays=True), "certificates.orders.validityDays", "stolen key", "whole number"),
    "renewed before it begins": (
        worker(validityDays=30),
        "certificates.orders.renewBeforeDays",
        "at every run",
        "at most 29",
    ),
    "negative renewal window": (
        worker(renewBeforeDays=-1),
        "certificates.orders.renewBeforeDays",
        "too late",
        "0 or more",
    ),
    "outlives its authority": (
        {
            "certificateAuthorities": {"internode": {}, "clients": {"validityDays": 180}},
            **worker(validityDays=181),
        },
        "certificates.orders.validityDays",
        "once its authority has ended",
        "at most 180",
    ),
    "common name of 65": (worker(commonName="n" * 65), "certificates.orders.commonName", "X.509", "at most 64"),
    "common name from a long server name": (
        {"frontend": {"serverName": f"{'a' * 60}.example"}},
        "certificates.cluster.commonName",
        "64",
        "shorter",
    ),
    "name of its authority": (
        {
            "certificateAuthorities": {"internode": {}, "clients": {"commonName": "Orders"}},
            **worker(commonName="orders  1"),
        },
        "certificates.orders.commonName",
        "ambiguous",
        "another",
    ),
    "server without its name": (
        {"certificates": {"cluster": {"dnsNames": ["temporal.example.com"]}}},
        "certificates.cluster.dnsNames",
        "Every client would refuse",
        "leave dnsNames out",
    ),
    "DNS name with an underscore": (
        worker(dnsNames=["order_service"]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "hyphens",
    ),
    "DNS name ending with a period": (
        worker(dnsNames=["orders.example.com."]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "period at an end",
    ),
    "DNS label of 64": (
        worker(dnsNames=[f"{'a' * 64}.example"]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "63",
    ),
    "DNS name of 254": (
        worker(dnsNames=[".".join(["a" * 50] * 5)[:254]]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "253",
    ),
    "wildcard inside": (
        worker(dnsNames=["orders.*.example.com"]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "*.example.com",
    ),
    "wildcard in part of a label": (
        worker(dnsNames=["*orders.example.com"]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "*.example.com",
    ),
    "DNS name outside ASCII": (
        worker(dnsNames=["bestellungen-für.example"]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "xn--",
    ),
    "address as a DNS name": (
        worker(dnsNames=["10.0.0.4"]),
        "certificates.orders.dnsNames[0]",
        "Nobody would accept",
        "ipAddresses",
    ),
    "DNS name twice": (
        worker(dnsNames=["orders.example", "Orders.example"]),
        "certificates.orders.dnsNames",
        "Nobody would accept",
        "one of them",
    ),
    "range as an address": (
        worker(ipAddresses=["10.0.0.0/24"]),
        "certificates.orders.ipAddresses[0]",
        "Nobody would accept",
        "one address",
    ),
    "address twice, written differently": (
        worker(ipAddresses=["::1", "0:0::1"]),
        "certificates.orders.ipAddresses",
        "Nobody would accept",
        "one of them",
    ),
    "URI without a scheme": (
        worker(uris=["orders.example/a"]),
        "certificates.orders.uris[0]",
        "Nobody would accept",
        "spiffe://",
    ),
    "host:port as a URI": (worker(uris=["orders:7233"]), "certificates.orders.uris[0]", "Nobody", "spiffe://"),
    "URI without an authority": (worker(uris=["spiffe:///orders"]), "certificates.orders.uris[0]", "Nobody", "whole"),
    "URI with an empty label": (
        worker(uris=["spiffe://a..b/x"]),
        "certificates.orders.uris[0]",
        "Temporal would refuse the whole certificate",
        "spiffe://example.com",
    ),
    "URI with a wrong escape": (worker(uris=["http://a.b/%zz"]), "certificates.orders.uris[0]", "refuse", "Spell"),
    "URI with a port by name": (worker(uris=["http://a.b:x/"]), "certificates.orders.uris[0]", "refuse", "Spell"),
    "e-mail address with a name": (
        worker(emails=["Ops <ops@example.com>"]),
        "certificates.orders.emails[0]",
        "Nobody would accept",
        "ops@example.com",
    ),
    # frontend
    "address without a port": ({"frontend": {"address": "temporal"}}, "frontend.address", "not find", "host:port"),
    "port 65536": ({"frontend": {"address": "temporal:65536"}}, "frontend.address", "not find", "host:port"),
    "address as a URL": ({"frontend": {"address": "https://t:7233"}}, "frontend.address", "not find", "host:port"),
    "IPv6 without brackets": ({"frontend": {"address": "::1:7233"}}, "frontend.address", "not find", "[::1]:7233"),
    "address to listen on": ({"frontend": {"address": "0.0.0.0:7233"}}, "frontend.address", "not find", "127.0.0.1"),
    "server name with a wildcard": (
        {"frontend": {"serverName": "*.example.com"}},
        "frontend.serverName",
        "refuse the server's certificate",
        "without one",
    ),
    "server name that is an address": (
        {"frontend": {"serverName": "127.0.0.1"}},
        "frontend.serverName",
        "refuse the server's certificate",
        "DNS name",
    ),
    "namespace with a colon": ({"frontend": {"namespace": "a:b"}}, "frontend.namespace", "no namespace", "letters"),
    "the server's own namespace": (
        {"frontend": {"namespace": "temporal-system"}},
        "frontend.namespace",
        "server's own workflows",
        "default",
    ),
    # access
    "deployer by e-mail address": (
        {"access": {"deployers": [alice(id="alice@example.com")]}},
        "access.deployers[0].id",
        "object ids only",
        "az ad user show --id alice@example.com --query id",
    ),
    "deployer by name": (
        {"access": {"deployers": [alice(id="alice")]}},
        "access.deployers[0].id",
        "object ids",
        "GUID",
    ),
    "deployer left to fill in": (
        {"access": {"deployers": [alice(id="00000000-0000-0000-0000-000000000000")]}},
        "access.deployers[0].id",
        "object ids",
        "GUID",
    ),
    "deployer without a kind": (
        {"access": {"deployers": [{"id": ALICE}]}},
        "access.deployers[0].kind",
        "role assignment",
        "User, Group, ServicePrincipal",
    ),
    "kind in small letters": (
        {"access": {"deployers": [alice(kind="user")]}},
        "access.deployers[0].kind",
        "role assignment",
        "User, Group, ServicePrincipal",
    ),
    "deployer twice": (
        {"access": {"deployers": [alice(), alice(id=ALICE.upper(), kind="Group")]}},
        "access.deployers",
        "could not issue",
        "one of them",
    ),
    "deployer as text": ({"access": {"deployers": [ALICE]}}, "access.deployers[0]", "not issue", "id, kind"),
    "reader of nothing": (
        {"access": {"readers": {"order": [alice()]}}},
        "access.readers.order",
        "read no key",
        "default",
    ),
    "reader of an authority": (
        {"access": {"readers": {"internode": [alice()]}}},
        "access.readers.internode",
        "read no key",
        "cluster, ui, cli, default",
    ),
    "reader of all and of one": (
        {"access": {"readers": {"*": [alice()], "ui": [alice()]}}},
        "access.readers.ui",
        "take nothing from them",
        "one of the two",
    ),
    "management as text": ({"access": {"manage": "false"}}, "access.manage", "against your will", "without quotes"),
    # the rest
    "unknown authorization": ({"authorization": "entra"}, "authorization", "left to chance", 'Use "none"'),
    "misspelt key": ({"locations": "x"}, "locations", "no effect", '"location"'),
    "key in capitals": ({"Tags": {}}, "Tags", "no effect", '"tags"'),
    "key in the provider's namespace": (
        {"temporalazure:vaults": {}},
        "temporalazure:vaults",
        "no effect",
        '"temporal-azure:vaults"',
    ),
    "client secret": (
        {"azure-native:clientSecret": "s3cr3t"},
        "azure-native:clientSecret",
        "in the repository",
        "ARM_CLIENT_SECRET",
    ),
    "federated token": ({"azuread:oidcToken": "s3cr3t"}, "azuread:oidcToken", "in the repository", "ARM_USE_OIDC"),
    "certificate's password": (
        {"temporalazure:clientCertificatePassword": "s3cr3t"},
        "temporalazure:clientCertificatePassword",
        "in the repository",
        "az login",
    ),
}


PER_NAMESPACE: dict[str, Any] = {
    **ENOUGH,
    "certificateAuthorities": {"internode": {}, "clients": {}, "orders": {}, "billing": {}},
    **hosts({"Orders.temporal.internal": ["orders"], "billing.temporal.internal": ["billing"]}),
    "certificates": {
        "orders": {"issuer": "orders", "namespace": "orders"},
        "billing": {"issuer": "billing", "namespace": "billing"},
        "reports": {},
    },
}


def test_a_client_asks_for_the_name_under_which_it_is_admitted() -> None:
    """A worker that asks for the frontend's first name would be refused there, and not know of the other."""
    settings = parsed(PER_NAMESPACE)

    assert {name: (leaf.server_name, leaf.namespace) for name, leaf in settings.clients.items()} == {
        "ui": ("temporal.internal", "default"),
        "cli": ("temporal.internal", "default"),
        "orders": ("Orders.temporal.internal", "orders"),
        "billing": ("billing.temporal.internal", "billing"),
        "reports": ("temporal.internal", "default"),
    }
    assert settings.client_authorities == ("clients",)
    assert settings.host_overrides == {
        "Orders.temporal.internal": ("orders",),
        "billing.temporal.internal": ("billing",),
    }
    assert settings.certificates["cluster"].dns_names == (
        "temporal.internal",
        "Orders.temporal.internal",
        "billing.temporal.internal",
    )
    assert settings.namespaces == ("default", "orders", "billing")


def test_names_that_keep_nobody_apart_are_warned_of() -> None:
    """A name for each namespace looks like a wall."""
    assert any("keep no namespaces apart" in warning for warning in parsed(PER_NAMESPACE).warnings)
    signed_on = {key: value for key, value in PER_NAMESPACE.items() if key != "authorization"}
    assert not any("keep no namespaces apart" in warning for warning in parsed(signed_on).warnings)


def test_a_client_that_is_admitted_everywhere_keeps_the_first_name() -> None:
    """An override for some would move others to a name that their hosts cannot resolve."""
    settings = parsed(
        {**PER_NAMESPACE, "frontend": {**PER_NAMESPACE["frontend"], "authorities": ["clients", "orders", "billing"]}}
    )

    assert {leaf.server_name for leaf in settings.clients.values()} == {"temporal.internal"}


def test_a_wildcard_vouches_for_host_overrides() -> None:
    """A certificate with a wildcard would have to be issued anew for each namespace."""
    wildcard = {"dnsNames": ["temporal.internal", "*.temporal.internal"]}
    certificates = {**PER_NAMESPACE["certificates"], "cluster": wildcard}

    assert parsed({**PER_NAMESPACE, "certificates": certificates}).certificates["cluster"].dns_names == (
        "temporal.internal",
        "*.temporal.internal",
    )


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_one_message_with_path_consequence_and_fix(case: str) -> None:
    """A tired person is told that something is invalid, and neither where, nor what follows, nor what to do."""
    written, path, consequence, fix = WRONG[case]

    error = refusal({**ENOUGH, **written})

    assert paths(error) == [path]
    (problem,) = error.problems
    assert consequence in problem.consequence
    assert fix in problem.fix
    assert str(problem) == f"{path}: {problem.what}. {problem.consequence} {problem.fix}"
    assert str(problem) in str(error)


def test_the_message_is_the_one_that_was_promised() -> None:
    """The parts are all there and the sentence they make is not."""
    assert str(refusal({**ENOUGH, **worker(issuer="client"), "vaults": {"sku": "gold"}})) == (
        "2 settings are wrong in Pulumi.dev.yaml (under temporal-azure:). Nothing was created or changed.\n\n"
        '  certificates.orders.issuer: there is no authority named "client". Nothing would sign this certificate. '
        "Use one of: clients, internode.\n\n"
        '  vaults.sku: is "gold", which does not exist. Azure would refuse the vaults. Use one of: standard, premium.'
    )


RIGHT: dict[str, dict[str, object]] = {
    "region with a digit": {"location": "northcentralus2"},
    "resource group with parentheses and umlauts": {"resourceGroup": "Größe_(temporal).2-x"},
    "as many tags as fit": {"tags": {f"t{n}": "" for n in range(11)}},
    "tag with blanks and a period": {"tags": {"Cost Center.1": "4711 & more <b>"}},
    "vaults at their limits": vault(generation=99, sku="premium", softDeleteRetentionDays=7, purgeProtection=True),
    "workspace": vault(diagnosticsWorkspace=WORKSPACE),
    "acknowledged changes": {"acknowledge": ["replace-authority:clients-1", "remove-redirect:https://a.example/b"]},
    "firewall with an address and a range": denied("203.0.113.7", "198.51.100.0/24", "192.0.2.1/32"),
    "firewall with a subnet": network(defaultAction="Deny", allowedSubnets=[SUBNET.upper()]),
    "private endpoint only": network(publicAccess=False, privateEndpointSubnet=SUBNET),
    "private endpoint behind a denying firewall": network(defaultAction="Deny", privateEndpointSubnet=SUBNET),
    "one authority for all": {"certificateAuthorities": {"ca": {}}},
    "authorities left empty": {"certificateAuthorities": {"internode": None, "clients": None}},
    "steps acknowledged": authority(generations={"2": {}}, acknowledge=["sign-2", "distrust-1"]),
    "generations left empty": authority(generations={"2": None, "7": None}),
    "every key type": {
        "certificateAuthorities": {"internode": {"keyType": "RSA-3072"}, "clients": {"keyType": "EC-P384"}},
        "certificates": {"a": {"keyType": "EC-P256"}, "b": {"keyType": "RSA-4096"}},
    },
    "certificate for a day": worker(validityDays=1, renewBeforeDays=0),
    "certificate for 397 days": worker(validityDays=397, renewBeforeDays=396),
    "as long as its authority": {
        "certificateAuthorities": {"internode": {}, "clients": {"validityDays": 90}},
        **worker(validityDays=90),
    },
    "all kinds of names": worker(
        commonName="Orders",
        organization="Acme & Söhne",
        organizationalUnit="Shop",
        country="DE",
        dnsNames=["*.orders.example", "orders", "a-1.xn--bcher-kva.example"],
        ipAddresses=["10.0.0.4", "2001:db8::4"],
        uris=[
            "spiffe://example.com/orders",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "spiffe://example.com/Orders",
        ],
        emails=["ops+orders@example.com"],
    ),
    "server with more names": {"certificates": {"cluster": {"dnsNames": ["temporal.example", "Temporal.Internal"]}}},
    "name like an authority's, without a number": {"certificates": {"clients-eu": {}, "clients": {}}},
    "address with an IPv6 host": {"frontend": {"address": "[::1]:7233", "namespace": "orders.a1b2c"}},
    "checked, not assigned": {"access": {"manage": False, "deployers": [alice(), alice(id=BOB, kind="Group")]}},
    "readers of all and of one": {"access": {"readers": {"*": [alice()], "ui": [alice(id=BOB)]}}},
    "identity of azure-native": {
        "azure-native:tenantId": ALICE,
        "azure-native:clientCertificatePath": "c.pem",
        "azure-native:location": "x",
        "pulumi:tags": "{}",
    },
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_setting_is_accepted_and_makes_a_policy(case: str) -> None:
    """A check refuses what Azure, X.509 and Temporal take, or lets through what the policy's model refuses."""
    accepted = parsed({**ENOUGH, **RIGHT[case]})

    assert_policies_are_made(accepted)


def assert_policies_are_made(accepted: Settings) -> None:
    for authority in accepted.certificate_authorities.values():
        for number in authority.generations:
            assert authority.policy(number).role is Role.AUTHORITY
    for certificate in accepted.certificates.values():
        assert certificate.policy.role is certificate.role


DEFAULTS: dict[str, object] = {
    "acknowledge": (),
    "resource_group": "temporal-azure-dev",
    "tags": {},
    "vaults.generation": 1,
    "vaults.sku": "standard",
    "vaults.purge_protection": True,
    "vaults.soft_delete_retention_days": 90,
    "vaults.diagnostics_workspace": None,
    "vaults.network.public_access": True,
    "vaults.network.default_action": "Allow",
    "vaults.network.allowed_addresses": (),
    "vaults.network.allowed_subnets": (),
    "vaults.network.private_endpoint_subnet": None,
    "certificate_authorities.internode.key_type": KeyType.RSA_4096,
    "certificate_authorities.internode.validity_days": 1825,
    "certificate_authorities.internode.organization": "temporal-azure",
    "certificate_authorities.internode.signing": 1,
    "certificate_authorities.internode.acknowledged": (),
    "certificate_authorities.internode.generations.1.renewal": 0,
    "certificate_authorities.internode.generations.1.certificate_name": "internode-1",
    "certificate_authorities.internode.generations.1.common_name": "temporal-azure dev internode 1",
    "certificate_authorities.clients.generations.1.common_name": "temporal-azure dev clients 1",
    "certificates.cluster.role": Role.NODE,
    "certificates.cluster.issuer": "internode",
    "certificates.cluster.common_name": "temporal.internal",
    "certificates.cluster.dns_names": ("temporal.internal",),
    "certificates.ui.role": Role.CLIENT,
    "certificates.ui.issuer": "clients",
    "certificates.ui.common_name": "ui",
    "certificates.cli.dns_names": (),
    "certificates.default.organization": "temporal-azure",
    "certificates.default.key_type": KeyType.RSA_2048,
    "certificates.default.validity_days": 90,
    "certificates.default.renew_before_days": 30,
    "workers": ("default",),
    "client_authorities": ("clients",),
    "frontend.address": "127.0.0.1:7233",
    "frontend.server_name": "temporal.internal",
    "frontend.namespace": "default",
    "access.manage": True,
    "access.deployers": (),
    "access.readers": {},
    "namespaces": ("default",),
    "sign_on": None,
    "warnings": (),
}


@pytest.mark.parametrize("path", DEFAULTS)
def test_a_default_does_not_change_by_accident(path: str) -> None:
    """An upgrade of this program changes what a stack file that nobody touched means."""
    value: Any = parsed(ENOUGH)
    for step in path.split("."):
        value = value[int(step) if step.isdigit() else step] if isinstance(value, dict) else getattr(value, step)

    assert value == DEFAULTS[path]


def test_a_worker_that_is_named_takes_the_place_of_the_default_one() -> None:
    """A certificate for a worker that nobody runs lies about, or cluster, ui and cli are lost to an entry."""
    accepted = parsed({**ENOUGH, "certificates": {"orders": None, "ui": {"validityDays": 45}, "billing": {}}})

    assert accepted.workers == ("orders", "billing")
    assert accepted.certificates.keys() == {"cluster", "ui", "cli", "orders", "billing"}
    assert accepted.certificates["ui"].validity_days == 45


def test_the_lowest_generation_signs_until_told_otherwise() -> None:
    """To trust a new key makes it sign at once, before anybody trusts it."""
    generations = {"10": {}, "9": {"renewal": 2}}
    accepted = parsed({**ENOUGH, **authority(generations=generations)}).certificate_authorities["internode"]

    assert accepted.signing == 9
    assert {number: item.renewal for number, item in accepted.generations.items()} == {10: 0, 9: 2}
    told = parsed({**ENOUGH, **authority(generations=generations, signing=10)})
    assert told.certificate_authorities["internode"].signing == 10


def test_an_acknowledged_step_is_of_its_authority_and_warned_about() -> None:
    """It would open the order for the other authority too, or stay for good."""
    accepted = parsed({**ENOUGH, **authority(generations={"2": {}}, acknowledge=["sign-2", "distrust-1"])})

    authorities = accepted.certificate_authorities
    assert authorities["internode"].acknowledged == ("sign-internode-2", "distrust-internode-1")
    assert authorities["clients"].acknowledged == ()
    [warning] = accepted.warnings
    assert warning.startswith("certificateAuthorities.internode.acknowledge: lets through sign-2 and distrust-1, ")
    assert warning.endswith("Take it out as soon as this `up` is through.")


def test_the_only_authority_signs_everything() -> None:
    """A stack with one authority has to repeat its name in every certificate."""
    accepted = parsed({**ENOUGH, "certificateAuthorities": {"ca": {}}})

    assert {certificate.issuer for certificate in accepted.certificates.values()} == {"ca"}


# All at once


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    """Five mistakes take five runs to find, or are told in an order that nobody can follow in the file."""
    error = refusal(
        {
            "vaults": {"sku": "gold", "network": {"defaultAction": "Deny"}, "generation": 0},
            "azure-native:clientSecret": "s3cr3t",
            "certificates": {"orders": {"issuer": "client", "emails": ["nobody", "ops@example.com", "x@"]}},
            "authorization": "none",
            "typo": 1,
        }
    )

    assert paths(error) == [
        "location",
        "vaults.sku",
        "vaults.network.defaultAction",
        "vaults.generation",
        "azure-native:clientSecret",
        "certificates.orders.issuer",
        "certificates.orders.emails[0]",
        "certificates.orders.emails[2]",
        "typo",
    ]
    assert str(error).startswith("9 settings are wrong in Pulumi.dev.yaml")


RESTING_ON_WHAT_IS_WRONG: dict[str, tuple[dict[str, object], list[str]]] = {
    "validity decides on the renewal window": (
        worker(validityDays="9", renewBeforeDays=100),
        ["certificates.orders.validityDays"],
    ),
    "an address may let somebody in": (denied("my-office"), ["vaults.network.allowedAddresses[0]"]),
    "a generation may be the one that signs": (
        authority(generations={"1": {}, "two": {}}, signing=2),
        ["certificateAuthorities.internode.generations.two"],
    ),
    "an authority may be the one that signs": (
        {"certificateAuthorities": {"internode": {}, "Clients": {}}, **worker(issuer="Clients")},
        ["certificateAuthorities.Clients"],
    ),
    "a certificate may be the one that is read": (
        {"certificates": {"Orders": {}}, "access": {"readers": {"Orders": [alice()]}}},
        ["certificates.Orders"],
    ),
    "a name may be the server's": (
        {"certificates": {"cluster": {"dnsNames": ["temporal.internal."]}}},
        ["certificates.cluster.dnsNames[0]"],
    ),
    "a deployer with two mistakes": (
        {"access": {"deployers": [{"id": "alice", "kind": "user"}, {}]}},
        ["access.deployers[0].id", "access.deployers[0].kind", "access.deployers[1].id", "access.deployers[1].kind"],
    ),
}


@pytest.mark.parametrize("case", RESTING_ON_WHAT_IS_WRONG)
def test_what_rests_on_a_wrong_setting_is_not_held_against_anybody(case: str) -> None:
    """One typo brings five messages, of which four are false."""
    written, expected = RESTING_ON_WHAT_IS_WRONG[case]

    assert paths(refusal({**ENOUGH, **written})) == expected


def test_a_second_fault_that_the_first_one_hid_is_told_as_well() -> None:
    """A map is checked as a whole only when each entry is right, and the rest is found at the next run."""
    error = refusal({**ENOUGH, "tags": {"team": "a", "Team": "b", "azure": "c"}})

    assert paths(error) == ["tags", "tags.azure"]


# Secrets


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temporal-azure:location", "s3cr3t!"),
        ("temporal-azure:tags", {"team": "s3cr3t", "s3cr3t<": "x"}),
        ("temporal-azure:access", {"deployers": [{"id": "s3cr3t", "kind": "s3cr3t"}]}),
        ("temporal-azure:frontend", {"serverName": "s3cr3t.example"}),
        ("temporal-azure:typo", "s3cr3t"),
        ("azure-native:clientSecret", "s3cr3t"),
        ("azure-native:clientId", "s3cr3t"),
        ("temporalazure:tenantId", "s3cr3t"),
        ("azuread:clientId", "s3cr3t"),
        ("temporal-azure:signOn", {"displayName": "s3cr3t", "roles": {"s3cr3t:read": []}}),
    ],
)
def test_a_secret_value_is_refused_and_never_repeated(key: str, value: object) -> None:
    """A log of a failed run holds what somebody took care to encrypt."""
    error = refusal({**ENOUGH, key: value}, secret_keys=(key,))

    assert paths(error) == [key.removeprefix(f"{PROJECT}:")]
    assert "s3cr3t" not in str(error)
    assert "s3cr3t" not in repr(error.problems)


def test_a_credential_that_is_not_encrypted_is_not_repeated_either() -> None:
    """The message that refuses a password prints it."""
    for name in ("clientSecret", "clientCertificate", "clientCertificatePassword", "oidcToken", "oidcRequestToken"):
        assert "s3cr3t" not in str(refusal({**ENOUGH, f"azure-native:{name}": "s3cr3t"}))


def test_another_namespace_may_keep_its_secrets() -> None:
    """A stack cannot be used because of a secret that is none of this program's business."""
    assert parsed({**ENOUGH, "monitoring:token": "s3cr3t"}, secret_keys=("monitoring:token",)) == parsed(ENOUGH)


# What the engine hands over


def test_the_engines_text_becomes_what_was_written() -> None:
    """A resource group named 007 becomes a number, or a map stays a text."""
    decoded = decode(
        {
            "temporal-azure:resourceGroup": "007",
            "temporal-azure:location": "true",
            "temporal-azure:vaults": '{"generation":2}',
            "temporal-azure:tags": "{not json",
            "temporal-azure:x": "",
        }
    )

    assert decoded == {
        "temporal-azure:resourceGroup": "007",
        "temporal-azure:location": "true",
        "temporal-azure:vaults": {"generation": 2},
        "temporal-azure:tags": "{not json",
        "temporal-azure:x": "",
    }


def test_a_key_left_empty_counts_as_left_out() -> None:
    """`vaults:` with nothing under it, which the engine hands over as an empty text, is refused or means null."""
    empty = dict.fromkeys(SCHEMA["properties"], "")

    assert parsed({**empty, **ENOUGH}) == parsed(ENOUGH)
    assert parsed({**ENOUGH, "vaults": {"network": None, "sku": None}}) == parsed(ENOUGH)


def test_other_providers_sign_in_as_azure_native_does() -> None:
    """The certificates are asked for in another tenant than the vaults."""
    configuration = {
        "azure-native:tenantId": ALICE,
        "azure-native:environment": "china",
        "temporalazure:environment": "public",
        "temporal-azure:location": "westeurope",
    }

    assert azure_settings(configuration) == {"tenantId": ALICE, "environment": "public"}


# Warnings


WARNINGS: dict[str, tuple[dict[str, object], str]] = {
    "one authority for all": (
        {"certificateAuthorities": {"ca": {}}},
        "certificateAuthorities.ca: signs the server's certificate and those of clients (ui, cli, default).",
    ),
    "an authority that ends soon after its leaves": (
        {"certificateAuthorities": {"internode": {}, "clients": {"validityDays": 179}}},
        "certificateAuthorities.clients.validityDays: is 179, and it signs certificates of 90 days. After 89 days",
    ),
    "keys that can be destroyed": (vault(purgeProtection=False), "vaults.purgeProtection: is false."),
    "rules for a closed door": (
        network(publicAccess=False, privateEndpointSubnet=SUBNET, allowedSubnets=[SUBNET]),
        "vaults.network.publicAccess: is false.",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_unwise_is_allowed_with_a_warning(case: str) -> None:
    """A choice with a cost is made without anybody knowing, or cannot be made."""
    written, beginning = WARNINGS[case]

    (warning,) = parsed({**ENOUGH, **written}).warnings

    assert warning.startswith(beginning)


# Inputs without end


PATIENT = effort(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.from_regex(r"[a-z](?:[a-z0-9-]{0,39}[a-z0-9])?", fullmatch=True)


@PATIENT
@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True), generations=st.sets(st.integers(1, 9999), max_size=2)
)
def test_no_two_generations_share_a_name_in_the_vault(names: list[str], generations: set[int]) -> None:
    """`a-1` of one authority is `a` of another one, generation 1, and one overwrites the other."""
    written = {"keyType": "EC-P256", "generations": {number: {} for number in generations or {1}}}
    others = {name: {"issuer": names[0]} for name in ("cluster", "ui", "cli", "zz")}
    accepted = parsed(
        {**ENOUGH, "certificateAuthorities": dict.fromkeys(names, written), "certificates": others}, stack="d"
    )

    issued = [
        generation
        for authority in accepted.certificate_authorities.values()
        for generation in authority.generations.values()
    ]
    assert len({generation.certificate_name for generation in issued}) == len(issued)
    assert all(re.fullmatch(r"[0-9a-zA-Z-]{1,127}", generation.certificate_name) for generation in issued)
    assert_policies_are_made(accepted)


@PATIENT
@given(name=st.text(max_size=50))
def test_a_name_is_accepted_just_when_it_fits_the_rule(name: str) -> None:
    """A name reaches Key Vault, or a path, that cannot be there."""
    fits = re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name) is not None and not name.endswith("-")
    if fits:
        assert name in parsed({**ENOUGH, "certificates": {name: {}}}).certificates
    else:
        assert len(refusal({**ENOUGH, "certificates": {name: {}}}).problems) == 1


@PATIENT
@given(authority_days=st.integers(20, 4000), leaf_days=st.integers(-5, 450), window_days=st.integers(-5, 450))
def test_validities_fit_into_each_other_or_are_refused(authority_days: int, leaf_days: int, window_days: int) -> None:
    """A certificate outlives its authority, or is renewed at every run."""
    certificates = {
        name: {"validityDays": leaf_days, "renewBeforeDays": window_days} for name in ("cluster", "ui", "cli", "orders")
    }
    written = {
        **ENOUGH,
        "certificateAuthorities": {"internode": {"validityDays": authority_days}, "clients": {}},
        "certificates": certificates,
    }
    fits = 30 <= authority_days <= 3650 and 0 <= window_days < leaf_days <= min(397, authority_days)

    if fits:
        assert_policies_are_made(parsed(written))
    else:
        refusal(written)


@PATIENT
@given(network=st.ip_addresses(v=4).flatmap(lambda base: st.integers(0, 32).map(lambda length: f"{base}/{length}")))
def test_a_firewall_rule_is_a_public_range_or_refused(network: str) -> None:
    """Azure refuses the vault after the resource group exists, or a range is wider than it looks."""
    try:
        exact = ipaddress.IPv4Network(network)
    except ValueError:
        acceptable = False
    else:
        private = map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
        acceptable = exact.prefixlen > 0 and not any(map(exact.overlaps, private))

    if acceptable:
        assert parsed({**ENOUGH, **denied(network)}).vaults.network.allowed_addresses == (network,)
    else:
        assert paths(refusal({**ENOUGH, **denied(network)})) == ["vaults.network.allowedAddresses[0]"]


def known_words(schema: object) -> set[str]:
    if isinstance(schema, dict):
        nested = set().union(*map(known_words, schema.values()))
        return nested | set(schema.get("properties", ())) | set(schema.get("enum", ()))
    return set().union(*map(known_words, schema)) if isinstance(schema, list) else set()


WORDS = st.sampled_from(
    sorted(known_words(SCHEMA) | {"", "*", "[key]", "1", "2", "internode", "clients", "cluster", "ui"})
)
SCALARS = st.none() | st.booleans() | st.integers(-1, 400) | st.floats() | st.text(max_size=5) | WORDS
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@PATIENT
@given(written=st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])), ANYTHING))
@example(written={"certificateAuthorities": {"": {"[key]": None}}})
@example(written={"signOn": {"roles": {"[key]": None}, "workers": {"ui": {"managedIdentity": 1, "roles": [[]]}}}})
def test_whatever_is_written_there_is_an_answer(written: dict[str, object]) -> None:
    """A stack file that nobody thought of ends in a traceback, or in a message without a way out."""
    try:
        assert_policies_are_made(parsed({"location": "westeurope", **written}))
    except SettingsError as error:
        answer = error
    else:
        return
    assert answer.problems
    for problem in answer.problems:
        assert problem.path
        assert re.fullmatch(r".+[.?]", problem.consequence)
        assert re.fullmatch(r".+[.?]", problem.fix)


# The pages that tell the same


def stack_file(text: str) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load(text)["config"]
    return configuration


@pytest.mark.parametrize("path", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_the_example_stacks_are_right(path: Path) -> None:
    """The first file that a person copies is refused."""
    stack = path.name.split(".")[1]
    accepted = parsed(stack_file(path.read_text(encoding="utf-8")), stack=stack)

    assert accepted.workers == ("default",)
    assert accepted.sign_on
    warned = [warning.partition(".")[2].partition(":")[0] for warning in accepted.warnings]
    assert warned == ([] if stack == "local" else ["roles"]), "only a person knows who is to sign in"


def test_what_is_commented_out_in_the_example_is_right_too() -> None:
    """A person takes the comment signs away, and the example is refused."""
    text = (ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    whole = re.sub(r"(?m)^  # (?=temporal-azure:|  )", "  ", text).replace(
        "00000000-0000-0000-0000-000000000000", ALICE
    )

    accepted = parsed(stack_file(whole))

    assert accepted.workers == ("orders", "billing")
    assert accepted.access.readers.keys() == {"orders"}
    assert accepted.sign_on
    assert any(accepted.sign_on.declared_roles.values())
    assert accepted.warnings == ()


def test_the_engine_knows_the_same_settings_and_defaults() -> None:
    """`pulumi config` describes settings that do not exist, or the engine's defaults override the program's."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]

    assert {name: item["description"] for name, item in declared.items()} == {
        name: item["description"] for name, item in SCHEMA["properties"].items()
    }
    assert parsed({**{name: item["default"] for name, item in declared.items()}, **ENOUGH}) == parsed(ENOUGH)


def test_the_engine_does_not_check_before_the_program() -> None:
    """With a type, or without a default, the engine stops at its first error, in its own words."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]

    assert all(item.keys() == {"description", "default"} for item in declared.values())
    assert all(item["default"] is not None for item in declared.values())


def test_the_reference_page_is_current() -> None:
    """docs/settings.md tells of settings as they were."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert page == reference(), "docs/settings.md is out of date: make docs"
