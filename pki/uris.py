"""Which URIs Go can parse in a certificate: net/url's Parse, and then x509's own look at the host.

One that it cannot parse makes Go, and so Temporal, refuse the whole certificate, whatever else is in it. Much that RFC
3986 does not allow is parsed, and this says nothing of it.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import unquote

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WRONG_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_ESCAPE_OF_ASCII = re.compile(r"%(?!25)[0-7]")
_NOT_OF_A_HOST = re.compile(r"[^a-zA-Z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]")
_USER = re.compile(r"[a-zA-Z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::[0-9]*)?")


def uri_fault(uri: str) -> str | None:
    """Say why Go cannot parse a URI, in a clause whose subject is the URI; None if it can."""
    whole, _, fragment = uri.partition("#")
    if _CONTROL.search(whole):
        return "has a control character"
    scheme, rest = _split(whole)
    if not scheme and rest.startswith(":"):
        return "has nothing before its first colon"
    path = rest.partition("?")[0]
    if not path.startswith("/"):
        if not scheme and ":" in path.partition("/")[0]:
            return "has a colon, and no scheme before it"
        # After a scheme it is opaque, and nobody looks at its escapes.
        return _escape_fault(fragment) or (None if scheme else _escape_fault(path))
    if path.startswith("//") and (scheme or not path.startswith("///")):
        authority, slash, below = path[2:].partition("/")
        if fault := _authority_fault(authority, scheme.lower()):
            return fault
        path = slash + below
    return _escape_fault(path) or _escape_fault(fragment)


def host_of(uri: str) -> str:
    """Return the host that Go reads in a URI that it can parse, with its brackets and without its port."""
    authority = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)", uri)
    host = authority[1].rpartition("@")[2] if authority else ""
    return re.sub(r":[0-9]*\Z", "", host)


def domain_fault(domain: str) -> str | None:
    """Say why x509 does not take a host for a domain; an empty one it takes."""
    if domain.endswith("."):
        return "has a host that ends with a period"
    if domain and not all(domain.split(".")):
        return "has a host with nothing between two periods, or before the first"
    if not re.fullmatch(r"[!-~]*", domain):
        return "has a host with a character that is no visible ASCII"
    return None


def _split(uri: str) -> tuple[str, str]:
    found = _SCHEME.match(uri)
    return (found[1], uri[found.end() :]) if found else ("", uri)


def _escape_fault(text: str) -> str | None:
    found = _WRONG_ESCAPE.search(text)
    return (
        f"has {text[found.start() : found.start() + 3]}, which is no escape (% and two hex digits)" if found else None
    )


def _authority_fault(authority: str, scheme: str) -> str | None:
    user, _, host = authority.rpartition("@")
    if fault := _bracketed_fault(host) if "[" in host else _host_fault(host, scheme):
        return fault
    if not _USER.fullmatch(user):
        return "has a character before its @ that cannot stand there"
    return _escape_fault(user)


def _host_fault(host: str, scheme: str) -> str | None:
    # Several colons are an old mistake that Go goes on reading, but for the web's own schemes.
    last = host.find(":") if scheme in ("http", "https") else host.rfind(":")
    if last >= 0 and not _PORT.fullmatch(host[last:]):
        return "has a port that is no number"
    if fault := _encoding_fault(host):
        return fault
    if re.search(r"%[89a-fA-F]", host):
        return "has an escape in its host"
    return domain_fault(host.replace("%25", "%"))


def _bracketed_fault(host: str) -> str | None:
    inside, bracket, port = host[1:].rpartition("]")
    if host.rfind("[") or not bracket:
        return "has a bracket in its host that does not enclose an address"
    if not _PORT.fullmatch(port):
        return "has a port that is no number"
    address, percent, zone = inside.partition("%25")
    if fault := _encoding_fault(address) or _escape_fault(zone):
        return fault
    try:
        IPv6Address(address)
    except ValueError:
        return "has brackets in its host around what is no IPv6 address"
    if percent and (not zone or _NOT_OF_A_HOST.search(unquote(zone))):
        return "has a zone in its host that cannot be read"
    return domain_fault(unquote(host))


def _encoding_fault(host: str) -> str | None:
    if fault := _escape_fault(host):
        return fault
    if _ESCAPE_OF_ASCII.search(host):
        return "has an escape in its host"
    if found := _NOT_OF_A_HOST.search(host):
        return f"has {found[0]!r} in its host"
    return None
