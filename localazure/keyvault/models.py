"""What a vault's data plane keeps: certificates, keys and secrets, each a name with its versions.

A certificate is stored once, private key included; the key and the secret of the same name are views of it
(`Certificate.as_key`, `Certificate.as_secret`), so that the three can never disagree, whenever the process is killed.
"""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from localazure.keyvault.policy import KeyProperties, Policy


class Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Version(Stored):
    """One version of an object. Times are seconds since the epoch, UTC; tags are the caller's."""

    version: str
    created: int
    updated: int
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None
    tags: dict[str, str] | None = None


class KeyMaterial(Stored):
    """A private key (PKCS #8, DER, base64) and the operations that callers may ask it for."""

    pkcs8: str
    hsm: bool = False
    operations: list[str]


class KeyVersion(Version):
    material: KeyMaterial


class SecretVersion(Version):
    value: str
    content_type: str | None = None


class Issued(Stored):
    """What a certificate's version has once it is issued: the leaf (DER, base64) and the value of the secret."""

    cer: str
    secret: str
    content_type: str


class CertificateVersion(Version):
    """`issued` is None while its request is pending, and for ever if that is cancelled or deleted."""

    material: KeyMaterial
    key_props: KeyProperties
    preserve_order: bool = False
    issued: Issued | None = None


class Operation(Stored):
    """The newest creation of a certificate: the version it makes, its signing request (DER, base64), how far it is."""

    request_id: str
    version: str
    issuer: str
    csr: str
    status: str = "inProgress"
    cancellation_requested: bool = False
    polls: int = 0


class Deletion(Stored):
    deleted_date: int
    scheduled_purge_date: int


AnyVersion = TypeVar("AnyVersion", bound=Version)


class Named(Stored, Generic[AnyVersion]):
    """A name, in the spelling that it was created with, and its versions, oldest first.

    `managed`: it belongs to a certificate, and is changed through that alone.
    """

    name: str
    versions: list[AnyVersion]
    managed: bool = False
    deletion: Deletion | None = None

    @property
    def current(self) -> AnyVersion:
        """The version that the bare name means: the newest."""
        return self.versions[-1]

    def version(self, version: str) -> AnyVersion | None:
        """That version, the current one for the empty string, None if there is no such version."""
        if not version:
            return self.current
        return next((candidate for candidate in self.versions if candidate.version == version), None)


class Key(Named[KeyVersion]):
    pass


class Secret(Named[SecretVersion]):
    pass


class Certificate(Named[CertificateVersion]):
    """`policy` is that of the next version; there is one for all of them."""

    policy: Policy
    policy_created: int
    policy_updated: int
    operation: Operation | None = None

    @property
    def issued_versions(self) -> list[CertificateVersion]:
        return [version for version in self.versions if version.issued]

    @property
    def current(self) -> CertificateVersion:
        """The newest issued version, pending ones aside; if none was issued yet, the newest."""
        return (self.issued_versions or self.versions)[-1]

    def as_key(self) -> Key | None:
        """The addressable key, which mirrors the attributes of the issued versions; None before the first of these."""
        if not self.issued_versions:
            return None
        versions = [KeyVersion(**_mirrored(version), material=version.material) for version in self.issued_versions]
        return Key(name=self.name, versions=versions, deletion=self.deletion, managed=True)

    def as_secret(self) -> Secret | None:
        """The addressable secret, likewise."""
        versions = [
            SecretVersion(**_mirrored(version), value=version.issued.secret, content_type=version.issued.content_type)
            for version in self.versions
            if version.issued
        ]
        return Secret(name=self.name, versions=versions, deletion=self.deletion, managed=True) if versions else None


def _mirrored(version: CertificateVersion) -> dict[str, Any]:
    return {name: getattr(version, name) for name in Version.model_fields}
