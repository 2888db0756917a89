"""What the official plugin asks of values before it sends them, each with its words.

A rule takes the path and the value, and returns what is wrong or None. One is stricter than the official plugin: where
Entra ID itself refuses plain http, the check does, so that nothing has been created by then.
"""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from localazure.plugins.azuread.fields import Rule

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_CLAIM_VALUE = re.compile(r"[A-Za-z0-9:!#$%&'()*+,./;<=>?@\[\]^_{|}~`-]*")
_APPLICATION_ID = re.compile(r"/applications/[^/]+")
_REDIRECT_SCHEMES = ("http", "https", "ms-appx-web", "brk-multihub")
_THIS_MACHINE = ("localhost", "127.0.0.1")


def not_empty(path: str, value: str) -> str | None:
    return None if value else f'expected "{path}" to not be an empty string, got {value}'


def uuid(path: str, value: str) -> str | None:
    return None if _UUID.fullmatch(value) else f'expected "{path}" to be a valid UUID, got {value}'


def rfc3339(path: str, value: str) -> str | None:
    try:
        right = bool(_RFC3339.fullmatch(value)) and bool(datetime.fromisoformat(value.upper()))
    except ValueError:
        right = False
    return None if right else f'expected "{path}" to be a valid RFC3339 date, got "{value}"'


def application_id(path: str, value: str) -> str | None:
    if _APPLICATION_ID.fullmatch(value):
        return None
    return f'"{path}": parsing "{value}": expected an ID of the form /applications/{{applicationId}}'


def claim_value(path: str, value: str) -> str | None:
    """What a token's `roles` or `scp` may hold."""
    if len(value) > 249:
        return f"Value must be between 0-249 characters in length: {path}"
    if value.startswith("."):
        return f"Value must not begin with a period: {path}"
    if not _CLAIM_VALUE.fullmatch(value):
        return f"Value must be alphanumeric with these allowed characters: !#$%&'()*+,-./:;<=>?@[]^+_`{{|}}~: {path}"
    return None


def one_of(*choices: Any) -> Rule:
    """Refuse what is not one of the choices."""
    quoted = " ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices)

    def rule(path: str, value: Any) -> str | None:
        return None if value in choices else f"expected {path} to be one of [{quoted}], got {value}"

    return rule


def length(at_least: int, at_most: int) -> Rule:
    """Refuse strings that are shorter or longer, in bytes."""

    def rule(path: str, value: str) -> str | None:
        if at_least <= len(value.encode()) <= at_most:
            return None
        return f"expected length of {path} to be in the range ({at_least} - {at_most}), got {value}"

    return rule


def web_url(path: str, value: str) -> str | None:
    """A page that a browser opens."""
    return _uri(path, value, ("http", "https"))


def logout_url(path: str, value: str) -> str | None:
    wrong = web_url(path, value)
    return wrong or (f'URL must be 255 characters or less for "{path}"' if len(value.encode()) > 255 else None)


def redirect_uri(*, urn: bool, any_scheme: bool = False) -> Rule:
    """Where tokens and codes may be sent. `any_scheme`: a native application's own schemes, too."""
    schemes = () if any_scheme else _REDIRECT_SCHEMES

    def rule(path: str, value: str) -> str | None:
        if urn and value.startswith("urn:") and value.count(":") >= 2:
            return None
        if wrong := _uri(path, value, schemes, path_needed=not any_scheme):
            return wrong
        if len(value.encode()) > 256:
            return f'URI must be 256 characters or less for "{path}"'
        parts = urlsplit(value)
        if not any_scheme and parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
            return f'URI must begin with https, or name {" or ".join(_THIS_MACHINE)}, for "{path}"'
        return None

    return rule


def _uri(path: str, value: str, schemes: Collection[str], *, path_needed: bool = False) -> str | None:
    if not value:
        return f'URI must not be empty for "{path}"'
    try:
        parts = urlsplit(value)
    except ValueError:
        return f'URI is in an invalid format for "{path}"'
    if re.search(r"\s", value):
        return f'URI is in an invalid format for "{path}"'
    if not parts.netloc:
        return f'URI has no host for "{path}"'
    if path_needed and not parts.path:
        return f'URI must have a trailing slash when there is no path segment for "{path}"'
    if schemes and parts.scheme not in schemes:
        return f'unexpected URI scheme for "{path}", expected one of: {", ".join(schemes)}'
    return None
