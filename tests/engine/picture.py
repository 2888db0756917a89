"""What a stack's state and its local Azure hold, object by object, so that two ends can be compared.

Left out is only what differs between two undisturbed runs: ports and versions, keys and what is made of them, and the
time of day. A certificate stands as what it certifies; its validity is in whole days, so both runs must have the same
`today`.
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
"""Objects by where they are: `state URN`, or `azure KIND KEY`."""

_OF_ONE_RUN = frozenset(
    {
        *("created", "modified", "sourcePosition", "stackTrace"),
        *("createdAt", "lastModifiedAt", "createdOn", "updatedOn", "assignedAt", "deletedAt", "purgedAt"),
        *("serialNumber", "thumbprint"),
    }
)
_NOT_OF_THE_STACK = frozenset({"cloud", "entra", "operations", "principals"})
_OF_KEYS = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)
_PEM = "-----BEGIN CERTIFICATE-----"
_ADDRESS = re.compile(r"https://127\.0\.0\.1:\d+")
_VERSION = re.compile(r"\b[0-9a-f]{32}\b")
_PROVIDER_ID = re.compile(r"(::pulumi:providers:[\w-]+::\w+)::[0-9a-f-]{36}")


def picture(stack: ProgramStack) -> Picture:
    """What there is now, of this stack and in all of its local Azure."""
    resources = stack.export(show_secrets=True)["deployment"].get("resources", [])
    state = {f"state {item['urn']}": _normal(item) for item in resources}
    assert len(state) == len(resources), "two resources have one URN"
    azure = {
        f"azure {kind} {key}": _certificate(document) if kind.endswith("certificates") else _normal(document)
        for kind, key, document in _documents(stack.azure)
    }
    return state | azure


def assert_vaults_hold_what_the_state_says(stack: ProgramStack) -> None:
    """Each certificate of the state is its vault's newest version, signed by its issuer; none waits, none is over."""
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
            if kind not in _NOT_OF_THE_STACK:
                yield kind, key, json.loads(value)


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
        return sorted(items) if _are_urns(items) else items
    if not isinstance(value, str):
        return value
    if value.startswith(_PEM):
        return [_described(each) for each in x509.load_pem_x509_certificates(value.encode())]
    value = _PROVIDER_ID.sub(r"\1", _ADDRESS.sub("https://VAULT", value))
    return _VERSION.sub("VERSION", value)


def _are_urns(items: list[Any]) -> bool:
    """Dependencies, which come in any order."""
    return all(isinstance(item, str) and item.startswith("urn:") for item in items)
