"""What a stack's state and its local Azure hold, so that two ends can be compared object by object.

Left out is only what differs between two undisturbed runs: ports and versions, keys and what is made of them, the order
of dependencies, and the time of day. A certificate stands as what it certifies; its validity is in whole days, so both
runs must have the same `today`.
"""

import base64
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from cryptography import x509

from localazure.client import LocalAzure
from localazure.store import Document
from provider.ownership import KEY_ONLY
from tests.engine.stacks import CERTIFICATE, ProgramStack

Picture = dict[str, Any]
"""Every property, by the object that has it (`state URN`, or `azure KIND KEY`) and its path there."""

_OF_ONE_RUN = frozenset(
    {
        *("created", "modified", "sourcePosition", "stackTrace"),
        *("createdAt", "lastModifiedAt", "createdOn", "updatedOn", "assignedAt", "deletedAt", "purgedAt"),
        *("serialNumber", "thumbprint"),
        "createMode",  # how a vault came to be, which is no property of it
        "__inputs",  # what a stand-in plugin keeps for itself
    }
)
_NOT_OF_A_STACK = frozenset({"cloud", "entra", "operations", "principals"})
_OF_KEYS = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)
_PEM = "-----BEGIN CERTIFICATE-----"
_ADDRESS = re.compile(r"https://127\.0\.0\.1:\d+")
_VERSION = re.compile(r"\b[0-9a-f]{32}\b")
_PROVIDER_ID = re.compile(r"(::pulumi:providers:[\w-]+::\w+)::[0-9a-f-]{36}")


def picture(stack: ProgramStack) -> Picture:
    """What there is now, of this stack and in all of its local Azure."""
    deployment = stack.export(show_secrets=True)["deployment"]
    found: Picture = {"pending operations": deployment.get("pending_operations") or []}
    for resource in deployment.get("resources") or []:
        found |= _properties(f"state {resource['urn']}", _resource(resource))
    for kind, key, document in _documents(stack.azure):
        is_certificate = kind.endswith("certificates")
        found |= _properties(f"azure {kind} {key}", _certificate(document) if is_certificate else _normal(document))
    return found


def assert_vaults_hold_what_the_state_says(stack: ProgramStack) -> None:
    """The vaults have the state's certificates and no other: issued by their authority, their own, none waiting.

    The newest version is the state's; one that was made for its key alone has that key, and is disabled.
    """
    resources = stack.export()["deployment"]["resources"]
    certificates = {item["outputs"]["name"]: item for item in resources if item["type"] == CERTIFICATE}
    held = {
        document["name"]: document for kind, _, document in _documents(stack.azure) if kind.endswith("/certificates")
    }
    assert held.keys() == certificates.keys()
    for name, resource in certificates.items():
        outputs, tags = resource["outputs"], stack.owner_tags(resource["urn"])
        *earlier, newest = held[name]["versions"]
        assert held[name]["operation"]["status"] == "completed", name
        assert newest["version"] == outputs["version"], name
        certificate = x509.load_pem_x509_certificate(outputs["certificatePem"].encode())
        assert _loaded(newest) == certificate, name
        issuer_pem = (outputs["chainPem"] or [outputs["certificatePem"]])[0]
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(issuer_pem.encode()))
        assert all(version["tags"].items() >= tags.items() for version in held[name]["versions"]), name
        for version in (version for version in earlier if KEY_ONLY in version["tags"]):
            assert not version["enabled"], name
            assert _loaded(version).public_key() == certificate.public_key(), name


def _documents(azure: LocalAzure) -> Iterator[tuple[str, str, Document]]:
    with closing(sqlite3.connect(azure.state / "state.sqlite3")) as connection:
        for kind, key, value in connection.execute("SELECT kind, key, value FROM documents"):
            if kind not in _NOT_OF_A_STACK:
                yield kind, key, json.loads(value)


def _resource(resource: Mapping[str, Any]) -> Document:
    described: Document = _normal(resource)
    if resource["type"].startswith("pulumi:providers:"):
        del described["id"]
    return described


def _certificate(document: Document) -> Document:
    keys = list(dict.fromkeys(version["material"]["pkcs8"] for version in document["versions"]))
    versions = [
        {
            "enabled": version["enabled"],
            "tags": version["tags"],
            "key": keys.index(version["material"]["pkcs8"]),
            "certifies": version["issued"] and _described(_loaded(version), dated=KEY_ONLY not in version["tags"]),
        }
        for version in document["versions"]
    ]
    return {
        "versions": versions,
        "policy": _normal(document["policy"]),
        "operation": document["operation"] and document["operation"]["status"],
        "deleted": document["deletion"] is not None,
    }


def _loaded(version: Mapping[str, Any]) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(version["issued"]["cer"]))


def _described(certificate: x509.Certificate, *, dated: bool = True) -> Document:
    described = {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "extensions": [str(each) for each in certificate.extensions if not isinstance(each.value, _OF_KEYS)],
    }
    validity = {"from": str(certificate.not_valid_before_utc), "to": str(certificate.not_valid_after_utc)}
    return described | (validity if dated else {})


def _normal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _normal(item) for key, item in value.items() if key not in _OF_ONE_RUN}
    if isinstance(value, list):
        items = [_normal(item) for item in value]
        return sorted(items) if all(isinstance(item, str) and item.startswith("urn:") for item in items) else items
    if not isinstance(value, str):
        return value
    if value.startswith(_PEM):
        return [_described(each) for each in x509.load_pem_x509_certificates(value.encode())]
    value = _PROVIDER_ID.sub(r"\1", _ADDRESS.sub("https://VAULT", value))
    return _VERSION.sub("VERSION", value)


def _properties(path: str, value: Any) -> Picture:
    if not value or not isinstance(value, Mapping | list):
        return {path: value}
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    return {found: inner for key, item in items for found, inner in _properties(f"{path} {key}", item).items()}
