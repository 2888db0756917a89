"""Which names an authority's name constraints keep from the certificates below it (RFC 5280, 4.2.1.10).

Judged as whoever verifies judges: Temporal's server and Temporal Cloud with Go's crypto/x509, others with OpenSSL. They
differ for hosts in e-mail addresses and URIs, where Go counts those below a host and the RFC does not: a name is
permitted only if both say so. Go knows DNS names, addresses, e-mail addresses and URIs, and refuses critical
constraints of any other kind. Below any constraints at all it refuses a name that it could compare with none.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from cryptography import x509

from pki.held import printable
from pki.uris import domain_fault, host_of, uri_fault

_KINDS: Mapping[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS name",
    x509.IPAddress: "address",
    x509.RFC822Name: "e-mail address",
    x509.UniformResourceIdentifier: "URI",
}


def is_fully_known(constraints: x509.NameConstraints) -> bool:
    """Tell whether all kinds of names that are constrained are known to Go."""
    return all(type(item) in _KINDS for item in _subtrees(constraints))


def excluded_names(constraints: x509.NameConstraints, names: Iterable[x509.GeneralName]) -> Iterator[str]:
    """Return the names, each with its kind, that may not stand below an authority with these constraints."""
    for name in names:
        kind = type(name)
        if kind not in _KINDS:
            continue
        shown = f"{_KINDS[kind]} {printable(str(name.value))}"
        if fault := _incomparable(name):
            yield f"{shown} ({fault})"
            continue
        permitted = [item.value for item in constraints.permitted_subtrees or () if type(item) is kind]
        excluded = [item.value for item in constraints.excluded_subtrees or () if type(item) is kind]
        inside = _INSIDE[kind]
        if (permitted and not any(inside(name.value, base, strict=True) for base in permitted)) or any(
            inside(name.value, base, strict=False) for base in excluded
        ):
            yield shown


def _incomparable(name: x509.GeneralName) -> str | None:
    """Say why Go cannot compare a name with any constraints: it refuses it below whoever has some, of whatever kind."""
    if isinstance(name, x509.DNSName) and domain_fault(name.value):
        return "which is no domain"
    if isinstance(name, x509.RFC822Name) and not _is_mailbox(name.value):
        return "which is no mailbox"
    if isinstance(name, x509.UniformResourceIdentifier) and not uri_fault(name.value):
        host = host_of(name.value)
        if not host or host.startswith("[") or _is_address(host) or ":" in host:
            return "without the name of a host"
    return None


_MAILBOX = re.compile(
    r"""(?:"(?:[\x01-\x08\x0b\x0c\x0e-!#-\[\]-\x7f]|\\[\x01-\x09\x0b\x0c\x0e-\x7f])*"
    |(?P<local>(?:[a-zA-Z0-9!\#$%&'*+\-/=?^_`{|}~.]|\\[\x00-\x7f])+))@(?P<domain>.*)""",
    re.VERBOSE | re.DOTALL,
)
"""As Go reads RFC 2821, 4.1.2: what is after the @ need only be a domain."""


def _is_mailbox(address: str) -> bool:
    found = _MAILBOX.fullmatch(address)
    if found is None or domain_fault(found["domain"]):
        return False
    local = re.sub(r"\\(.)", r"\1", found["local"] or "a", flags=re.DOTALL)
    return not (local.startswith(".") or local.endswith(".") or ".." in local)


def _subtrees(constraints: x509.NameConstraints) -> Iterator[x509.GeneralName]:
    yield from constraints.permitted_subtrees or ()
    yield from constraints.excluded_subtrees or ()


def _dns_name_inside(name: str, base: str, *, strict: bool) -> bool:
    """A name is inside a base that it ends with, label by label; a base with a first period wants one label more."""
    name, base = name.lower(), base.lower()
    if not strict and name.startswith("*.") and base.partition(".")[2] == name[2:]:
        return True  # the wildcard stands for the base, too
    return not base or name == base or name.endswith(base if base.startswith(".") else f".{base}")


def _host_inside(host: str, base: str, *, strict: bool) -> bool:
    """A base is one host, or with a first period all below it; if not `strict`, those below it either way."""
    if strict and not base.startswith("."):
        return host.lower() == base.lower()
    return _dns_name_inside(host, base, strict=True)


def _email_inside(address: str, base: str, *, strict: bool) -> bool:
    local, _, host = address.rpartition("@")
    base_local, mailbox, base_host = base.rpartition("@")
    if mailbox:
        return (local, host.lower()) == (base_local, base_host.lower())
    return _host_inside(host, base, strict=strict)


def _uri_inside(uri: str, base: str, *, strict: bool) -> bool:
    """A URI without a host name is refused wherever URIs are constrained: it is inside of what is excluded alone."""
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:
        host = ""
    if not host or _is_address(host):
        return not strict
    return _host_inside(host, base, strict=strict)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _address_inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    base: ipaddress.IPv4Network | ipaddress.IPv6Network,
    *,
    strict: bool,
) -> bool:
    del strict
    return address in base


_INSIDE: Mapping[type[x509.GeneralName], Callable[..., bool]] = {
    x509.DNSName: _dns_name_inside,
    x509.IPAddress: _address_inside,
    x509.RFC822Name: _email_inside,
    x509.UniformResourceIdentifier: _uri_inside,
}
