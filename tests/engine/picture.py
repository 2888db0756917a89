"""What a stack's state and its local Azure hold, object by object, so that two ends can be compared.

Left out is only what differs between two undisturbed runs: ports and versions, keys and what is made of them, and the
time of day. A certificate stands as what it certifies. Validity is in whole days, so both runs must have the same
`today`.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography import x509

from localazure.client import LocalAzure
from localazure.store import Document, Store
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
_PEM = "-----BEGIN CERTIFICATE-----"
_ADDRESS = re.compile(r"https://127\.0\.0\.1:\d+")
_VERSION = re.compile(r"\b[0-9a-f]{32}\b")
_PROVIDER_ID = re.compile(r"(pulumi:providers:[\w-]+::\w+)::[0-9a-f-]{36}")
_KINDS = ("resourceGroups", "vaults", "deletedVaults", "roleAssignments", "documents", "vault/")
_KEYS_OF = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)


def picture(stack: ProgramStack) -> Picture:
    """What there is now, of this stack and of all of its local Azure."""
    return _of_state(stack) | _of_azure(stack.azure)


def pending_operations(stack: ProgramStack) -> list[tuple[str, str]]:
    """What the state says was begun and not finished: what was done, and the URN."""
    operations = stack.export()["deployment"].get("pending_operations") or []
    return [(operation["type"], operation["resource"]["urn"]) for operation in operations]


def assert_vaults_hold_what_the_state_says(stack: ProgramStack) -> None:
    """Each certificate of the state is the newest version in its vault, over its authority's key, and nothing waits."""
    resources = stack.export()["deployment"]["resources"]
    certificates = {item["urn"]: item["outputs"] for item in resources if item["type"] == CERTIFICATE}
    held = {
        f"{document['uri']}/certificates/{document['name']}": document for document in _certificates(stack.azure)
    }
    assert held.keys() == {f"{each['vaultUri'].rstrip('/')}/certificates/{each['name']}" for each in certificates.values()}
    for urn, outputs in certificates.items():
        document = held[f"{outputs['vaultUri'].rstrip('/')}/certificates/{outputs['name']}"]
        assert document["operation"]["status"] == "completed", urn
        *earlier, newest = document["versions"]
        assert newest["version"] == outputs["version"], urn
        certificate = x509.load_pem_x509_certificate(outputs["certificatePem"].encode())
        assert _loaded(newest) == certificate, urn
        issuer = x509.load_pem_x509_certificate((outputs["chainPem"] or [outputs["certificatePem"]])[0].encode())
        certificate.verify_directly_issued_by(issuer)
        for version in document["versions"]:
            assert version["tags"].items() >= stack.owner_tags(urn).items(), urn
        for version in earlier:
            key_only = KEY_ONLY in version["tags"]
            assert version["enabled"] is not key_only, urn
            if key_only:
                assert _loaded(version).public_key() == certificate.public_key(), urn


def _of_state(stack: ProgramStack) -> Picture:
    deployment = stack.export(show_secrets=True)["deployment"]
    assert not deployment.get("pending_operations")
    resources = deployment.get("resources", [])
    found = {f"state {_normal(item['urn'])}": _normal(item) for item in resources}
    assert len(found) == len(resources), "two resources have one URN"
    return found


def _of_azure(azure: LocalAzure) -> Picture:
    store = Store(azure.state / "state.sqlite3")
    try:
        return {
            f"azure {kind} {key}": _certificate(document) if kind.endswith("certificates") else _normal(document)
            for kind, key, document in store.everything()
            if kind.startswith(_KINDS)
        }
    finally:
        store.close()


def _certificates(azure: LocalAzure) -> list[Document]:
    ...


def _certificate(document: Document) -> Document:
    keys: list[str] = []
    versions = []
    for version in document["versions"]:
        key = version["material"]["pkcs8"]
        if key not in keys:
            keys.append(key)
        versions.append(
            {
                "enabled": version["enabled"],
                "tags": version["tags"],
                "key": keys.index(key),
                "certifies": version["issued"] and _described(_loaded(version), dated=KEY_ONLY not in version["tags"]),
            }
        )
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
        "extensions": [str(each) for each in certificate.extensions if not isinstance(each.value, _KEYS_OF)],
    }
    validity = {"from": str(certificate.not_valid_before_utc), "to": str(certificate.not_valid_after_utc)}
    return described | (validity if dated else {})


def _normal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _normal(item) for key, item in value.items() if key not in _OF_ONE_RUN}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith(_PEM):
        return [_described(each) for each in x509.load_pem_x509_certificates(value.encode())]
    value = _PROVIDER_ID.sub(r"\1", _ADDRESS.sub("https://VAULT", value))
    return _VERSION.sub("VERSION", value)
