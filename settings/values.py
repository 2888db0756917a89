"""What a value may be: the rules of Azure, X.509 and Temporal for one text or list, as types for the models.

Each check returns the value (normalized where that is safe) or raises `Wrong`. What a text looks like stands in the
type's schema, in words: the messages and docs/settings.md take it from there.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from pki import load_certificates, to_pem, uri_fault
from settings.problems import Wrong, quoted

LONGEST_NAME_PART = 64
"""Characters in a part of a distinguished name (RFC 5280, appendix A.1: ub-common-name and its like)."""

SYSTEM_NAMESPACE = "temporal-system"
"""Temporal's own namespace, and the scope of what concerns no single one, such as to list them."""

OWN_TAGS = ("pulumi-project", "pulumi-stack", "pulumi-urn", "temporal-azure-key-only")
KEY_VAULT_TAGS = 15
"""The tags that the program sets itself, to tell whose a resource is."""

RESOURCE_GROUP_FIX = "Use 1 to 90 letters, digits, hyphens, underscores, periods and parentheses, no period last."

GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}")
_PRIVATE_NETWORKS = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def resource_group_fault(text: str) -> str | None:
    """Say what keeps a text from being a resource group's name, or return None."""
    if not 1 <= len(text) <= 90:
        return f"{quoted(text)} has {len(text)} characters"
    if text.endswith("."):
        return f"{quoted(text)} ends with a period"
    if not all(character.isalpha() or character.isdecimal() or character in "-_.()" for character in text):
        return f"{quoted(text)} holds a character that Azure does not take"
    return None


def _resource_group(text: str) -> str:
    if fault := resource_group_fault(text):
        raise Wrong(fault, RESOURCE_GROUP_FIX)
    return text


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]{2,39}", text):
        name = re.sub(r"[^a-z0-9]", "", text.lower())
        raise Wrong(
            f"{quoted(text)} is not the name of an Azure region",
            f'Write it like "{name or "westeurope"}"; az account list-locations --query "[].name" has them all.',
        )
    return text


def _tag_name(text: str) -> str:
    if not 1 <= len(text) <= 512:
        raise Wrong(f"the tag's name has {len(text)} characters", "Use 1 to 512.")
    if any(character in "<>%&\\?/" or not character.isprintable() for character in text):
        raise Wrong(
            "the tag's name holds a character that Azure does not take", r"Leave out < > % & \ ? / and the like."
        )
    if text.lower().startswith(("microsoft", "azure", "windows")):
        raise Wrong("the tag's name starts with microsoft, azure or windows, which Azure reserves", "Use another name.")
    if text.lower() in OWN_TAGS:
        raise Wrong("the program sets this tag itself", "Use another name.", "Your value would be overwritten.")
    return text


def _tag_value(text: str) -> str:
    if len(text) > 256:
        raise Wrong(f"the tag's value has {len(text)} characters", "Use at most 256.")
    return text


def _tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > KEY_VAULT_TAGS - len(OWN_TAGS):
        raise Wrong(
            f"there are {len(tags)} tags, and the program adds {len(OWN_TAGS)}",
            f"Key Vault takes {KEY_VAULT_TAGS} on a certificate: keep at most {KEY_VAULT_TAGS - len(OWN_TAGS)}.",
        )
    require_distinct(tags)
    return tags


def require_distinct(texts: Iterable[str], *, alike: Callable[[str], str] = str.casefold) -> None:
    """Raise Wrong if two texts are alike: by default, without regard to case."""
    seen: dict[str, str] = {}
    for text in texts:
        if (earlier := seen.get(alike(text))) is not None:
            spelling = "" if earlier == text else f", once as {quoted(earlier)}"
            raise Wrong(f"{quoted(text)} is there twice{spelling}", "Keep one of them.")
        seen[alike(text)] = text


def _distinct(texts: tuple[str, ...]) -> tuple[str, ...]:
    require_distinct(texts)
    return texts


def distinct_exactly(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return texts of which no two are equal. Raises Wrong."""
    require_distinct(texts, alike=str)
    return texts


def _address_range(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Wrong(
            f"{quoted(text)} is not an IPv4 address or range", "Write it like 203.0.113.7 or 203.0.113.0/24."
        ) from None
    if isinstance(network, ipaddress.IPv6Network):
        raise Wrong(
            f"{quoted(text)} is IPv6",
            "Use the IPv4 address that your traffic leaves from, or privateEndpointSubnet.",
            "Key Vault's firewall knows IPv4 only.",
        )
    if network.prefixlen == 0:
        raise Wrong(
            f"{quoted(text)} is every address there is",
            "Name addresses, or set defaultAction: Allow and leave the list out.",
            "The vaults would be open to everybody behind a setting that looks closed.",
        )
    if text not in (str(network), str(network.network_address)):
        raise Wrong(
            f"{quoted(text)} is not the way to write this range",
            f"Use {network} for the range, or {text.partition('/')[0]} for the one address.",
        )
    if any(network.overlaps(private) for private in _PRIVATE_NETWORKS):
        raise Wrong(
            f"{quoted(text)} holds private addresses (RFC 1918)",
            "Use the public address that your traffic leaves from, or allowedSubnets, or privateEndpointSubnet.",
            "Key Vault sees public addresses only, and refuses these in its firewall.",
        )
    return text


def _resource_id(text: str, kind: str, command: str) -> str:
    if not re.fullmatch(rf"/subscriptions/{GUID}/resourceGroups/[^/\s]+/providers/{kind}", text, re.IGNORECASE):
        raise Wrong(f"{quoted(text)} is not the resource id that belongs here", f"Ask for it: {command}.")
    return text


def _subnet(text: str) -> str:
    return _resource_id(
        text,
        r"Microsoft\.Network/virtualNetworks/[^/\s]+/subnets/[^/\s]+",
        "az network vnet subnet show --resource-group … --vnet-name … --name … --query id",
    )


def _workspace(text: str) -> str:
    return _resource_id(
        text,
        r"Microsoft\.OperationalInsights/workspaces/[^/\s]+",
        "az monitor log-analytics workspace show --resource-group … --workspace-name … --query id",
    )


def _object_id(text: str) -> str:
    if "@" in text:
        raise Wrong(
            f"{quoted(text)} is a person's name, not an object id",
            f"Use what this prints: az ad user show --id {shlex.quote(text)} --query id --output tsv.",
        )
    if not re.fullmatch(GUID, text) or not text.strip("0-"):
        raise Wrong(
            f"{quoted(text)} is not an object id",
            "Use the GUID that az ad user show, az ad group show or az ad sp show prints with --query id.",
        )
    return text.lower()


def _certificate_name(text: str) -> str:
    if not re.fullmatch(r"[a-z](?:[a-z0-9-]{0,39}[a-z0-9])?", text):
        raise Wrong(
            f"{quoted(text)} cannot be a name",
            "Use lower-case letters, digits and hyphens: a letter first, no hyphen last, at most 41 in all.",
            "It names a certificate in Key Vault, a folder and files.",
        )
    return text


def _authority_pem(text: str) -> str:
    if "PRIVATE KEY" in text:
        raise Wrong(
            "holds a private key",
            "Take the key out. If the file was shared or committed, roll the authority over.",
            "It would stand in the clear in the repository and in the state.",
        )
    try:
        found = load_certificates(text)
    except ValueError:
        found = []
    if len(found) != 1:
        raise Wrong(
            f"holds {len(found)} certificates in PEM" if found else "is no certificate in PEM",
            "Give one, from -----BEGIN CERTIFICATE----- on; those above it are authorities of their own, named by "
            "issuer.",
        )
    return to_pem(found[0])


def _vault_certificate(text: str) -> str:
    if not re.fullmatch(r"https://[^/\s?#@]+/certificates/[0-9a-zA-Z-]{1,127}(?:/[0-9a-f]{32})?", text):
        raise Wrong(
            f"{quoted(text)} is not the identifier of a certificate in Key Vault",
            "Write it like https://VAULT.vault.azure.net/certificates/NAME, which follows the newest version, or with "
            "a version after it.",
        )
    return text


def _generation_number(key: object) -> object:
    if isinstance(key, str) and not re.fullmatch(r"[1-9][0-9]{0,3}", key):
        raise Wrong(f"{quoted(key)} is not a generation's number", "Count generations from 1, up to 9999.")
    return key


def _rollover_step(text: str) -> str:
    if not re.fullmatch(r"(?:sign|distrust)-[1-9][0-9]{0,3}", text):
        raise Wrong(f"{quoted(text)} is no step of a rollover", "Write sign-2, or distrust-1.")
    return text


def encoded_length(text: str) -> int:
    """Return how much of a name's room a text takes: a letter beyond ASCII counts as its bytes in UTF-8."""
    return len(text.encode())


def _name_part(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise Wrong(f"{quoted(text)} is empty, or has blanks at an end or control characters", "Write plain text.")
    if encoded_length(text) > LONGEST_NAME_PART:
        raise Wrong(f"{quoted(text)} has {encoded_length(text)} characters", f"Use at most {LONGEST_NAME_PART}.")
    return text


def _country(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise Wrong(f"{quoted(text)} is not a country's code", "Use the two capital letters of ISO 3166, like DE.")
    return text


def _is_host_name(text: str) -> bool:
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _host_name(text: str) -> str:
    if _is_address(text):
        raise Wrong(
            f"{quoted(text)} is an IP address", "Use a DNS name; a certificate's addresses go under ipAddresses."
        )
    if not text.isascii():
        raise Wrong(f"{quoted(text)} has letters outside ASCII", "Write the name in its ASCII form, xn--….")
    if len(text) > 253:
        raise Wrong(f"{quoted(text)} has {len(text)} characters", "A DNS name has at most 253.")
    if "*" in text:
        raise Wrong(f"{quoted(text)} has a wildcard where none can stand", "Use a name without one.")
    if not _is_host_name(text):
        raise Wrong(
            f"{quoted(text)} is not a DNS name (RFC 1123)",
            "Use letters, digits and hyphens, up to 63 between two periods, no hyphen or period at an end.",
        )
    return text


def _dns_name(text: str) -> str:
    host = text.removeprefix("*.")
    if "*" in host:
        raise Wrong(
            f"{quoted(text)} has a wildcard that no client understands", "Put it first and alone, as in *.example.com."
        )
    if len(text) > 253:
        raise Wrong(f"{quoted(text)} has {len(text)} characters", "A DNS name has at most 253.")
    _host_name(host)
    return text


def _ip_address(text: str) -> str:
    if "%" in text or not _is_address(text):
        raise Wrong(f"{quoted(text)} is not an IP address", "Write one address, like 10.0.0.4 or 2001:db8::4.")
    return str(ipaddress.ip_address(text))


def _uri(text: str) -> str:
    # What looks like host:port, or has an empty authority, is refused (RFC 5280, 4.2.1.6).
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*:(?!//(?:/|\Z))(?![0-9]+(?:/|\Z))[!-~]+", text):
        raise Wrong(
            f"{quoted(text)} is not a URI with a scheme (RFC 3986)",
            "Write it whole and in ASCII, like spiffe://example.com/orders.",
        )
    if fault := uri_fault(text):
        raise Wrong(
            f"{quoted(text)} {fault}",
            "Spell it like spiffe://example.com/orders, or leave it out.",
            "Go does not parse it, so Temporal would refuse the whole certificate.",
        )
    return text


def _email(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if not re.fullmatch(r"[!-?A-~]{1,64}", local) or not _is_host_name(domain):
        raise Wrong(f"{quoted(text)} is not an e-mail address", "Write it bare and in ASCII, like ops@example.com.")
    return text


def _host_port(text: str) -> str:
    fix = "Write host:port, like 127.0.0.1:7233 or temporal.example.com:7233."
    if "://" in text:
        raise Wrong(f"{quoted(text)} is a URL", fix)
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise Wrong(f"{quoted(text)} has no port from 1 to 65535", fix)
    if host in ("0.0.0.0", "[::]"):
        raise Wrong(f"{quoted(text)} is where a server listens, and no client can connect to it", fix)
    if ":" in host:
        if not re.fullmatch(r"\[[^]]+\]", host):
            raise Wrong(f"{quoted(text)} has an IPv6 address without brackets", f"Write [{host}]:{port}.")
        if _is_address(host[1:-1]):
            return text
    elif _is_address(host) or _is_host_name(host):
        return text
    raise Wrong(f"{quoted(text)} names no host", fix)


def _change_id(text: str) -> str:
    if not re.fullmatch(r"[a-z]+(?:-[a-z]+)*:\S+", text):
        raise Wrong(
            f"{quoted(text)} is not the id of a change",
            "Copy it from the summary of the preview, where it stands like replace-authority:clients-1.",
        )
    return text


def _namespace(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}", text):
        raise Wrong(
            f"{quoted(text)} is not the name of a namespace",
            "Use letters, digits, periods, hyphens and underscores, a letter or digit first.",
        )
    if text == SYSTEM_NAMESPACE:
        raise Wrong(
            f"{quoted(text)} is the server's own namespace",
            "Use default, or one of your own.",
            "Your workers would take tasks of the server's own workflows.",
        )
    return text


def form(words: str) -> WithJsonSchema:
    """Return what says in a type's schema what its text looks like."""
    return WithJsonSchema({"type": "string", "format": words})


Region = Annotated[str, AfterValidator(_region), form("the name of an Azure region")]
ResourceGroupName = Annotated[str, AfterValidator(_resource_group), form("the name of a resource group")]
TagName = Annotated[str, AfterValidator(_tag_name), form("a tag's name")]
TagValue = Annotated[str, AfterValidator(_tag_value), form("text of at most 256 characters")]
Tags = Annotated[dict[TagName, TagValue], AfterValidator(_tags)]
AddressRange = Annotated[str, AfterValidator(_address_range), form("an IPv4 address or range")]
AddressRanges = Annotated[tuple[AddressRange, ...], AfterValidator(_distinct)]
SubnetId = Annotated[str, AfterValidator(_subnet), form("the resource id of a subnet")]
SubnetIds = Annotated[tuple[SubnetId, ...], AfterValidator(_distinct)]
WorkspaceId = Annotated[str, AfterValidator(_workspace), form("the resource id of a Log Analytics workspace")]
ObjectId = Annotated[str, AfterValidator(_object_id), form("a GUID")]

CertificateName = Annotated[str, AfterValidator(_certificate_name), form("a name")]
AuthorityPem = Annotated[str, AfterValidator(_authority_pem), form("a certificate in PEM")]
VaultCertificateId = Annotated[str, AfterValidator(_vault_certificate), form("the identifier of a certificate")]
GenerationNumber = Annotated[int, BeforeValidator(_generation_number)]
RolloverStep = Annotated[str, AfterValidator(_rollover_step), form("sign-<number> or distrust-<number>")]
RolloverSteps = Annotated[tuple[RolloverStep, ...], AfterValidator(distinct_exactly)]
NamePart = Annotated[str, AfterValidator(_name_part), form(f"text of at most {LONGEST_NAME_PART} characters")]
Country = Annotated[str, AfterValidator(_country), form("two capital letters")]
DnsName = Annotated[str, AfterValidator(_dns_name), form("a DNS name")]
DnsNames = Annotated[tuple[DnsName, ...], AfterValidator(_distinct)]
IpAddress = Annotated[str, AfterValidator(_ip_address), form("an IP address")]
IpAddresses = Annotated[tuple[IpAddress, ...], AfterValidator(_distinct)]
Uri = Annotated[str, AfterValidator(_uri), form("a URI")]
Uris = Annotated[tuple[Uri, ...], AfterValidator(distinct_exactly)]
Email = Annotated[str, AfterValidator(_email), form("an e-mail address")]
Emails = Annotated[tuple[Email, ...], AfterValidator(_distinct)]

HostName = Annotated[str, AfterValidator(_host_name), form("a DNS name")]
HostPort = Annotated[str, AfterValidator(_host_port), form("host:port")]
NamespaceName = Annotated[str, AfterValidator(_namespace), form("the name of a namespace")]
ChangeId = Annotated[str, AfterValidator(_change_id), form("<what is done>:<what to>")]
NamespaceNames = Annotated[tuple[NamespaceName, ...], AfterValidator(distinct_exactly)]
Names = Annotated[tuple[str, ...], AfterValidator(distinct_exactly)]
ChangeIds = Annotated[tuple[ChangeId, ...], AfterValidator(distinct_exactly)]
