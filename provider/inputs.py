"""What a certificate resource is given, and what it is after: the shapes that live in the state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from pki import IssuancePolicy, load_certificate, to_pem
from plugin import UNKNOWN, has_unknown


class Model(BaseModel):
    """What has a shape in the state: camel case there, nothing beyond what is named, and it never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


def _certificate_pem(text: str) -> str:
    load_certificate(text)
    return text


CertificatePem = Annotated[str, AfterValidator(_certificate_pem)]


class IssuerReference(Model):
    """The authority that issues: its certificate, those above it, and the version of its key that signs.

    Without `key_id` its key is elsewhere: it signs a request that is taken there.
    """

    certificate_pem: CertificatePem
    key_id: str | None = None
    chain_pem: tuple[CertificatePem, ...] = ()

    @property
    def certificate(self) -> x509.Certificate:
        """The authority's certificate."""
        return load_certificate(self.certificate_pem)


class CertificateInputs(Model):
    """One certificate in one vault.

    Without an issuer it is an authority that signs itself. `renewal` counts how often an authority was renewed by
    hand: raising it issues its certificate anew, under the same key and name. `issued_pem` is the certificate that an
    issuer whose key is elsewhere made from the signing request.

    A leaf tells which generation issues it, and which ones those trust that it is shown to: by these the order of a
    rollover is kept. What is `acknowledged` and who its `peers` are concerns one run, and is no part of the state.
    """

    vault_id: str
    vault_uri: str
    name: Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,127}$")]
    policy: IssuancePolicy
    issuer: IssuerReference | None = None
    renewal: Annotated[int, Field(ge=0)] = 0
    issued_by: str | None = None
    trusted: tuple[str, ...] | None = None
    acknowledged: tuple[str, ...] | None = None
    peers: tuple[str, ...] | None = None
    tags: Mapping[str, str] = {}
    issued_pem: CertificatePem | None = None

    @property
    def issuer_certificate(self) -> x509.Certificate | None:
        """The issuing authority's certificate, or None for an authority that signs itself."""
        return self.issuer.certificate if self.issuer else None

    @property
    def is_issued_elsewhere(self) -> bool:
        """Whether the issuer's key is not at hand."""
        return self.issuer is not None and self.issuer.key_id is None

    @property
    def certificate_id(self) -> str:
        """The certificate's identifier in Key Vault, without a version: the resource's ID."""
        return f"{self.vault_uri.rstrip('/')}/certificates/{self.name}"


INPUT_NAMES: Final = tuple(to_camel(name) for name in CertificateInputs.model_fields)
RUN_NAMES: Final = ("acknowledged", "peers")
"""The inputs that concern one run alone: a change of these is none of the certificate."""

STATE_NAMES: Final = tuple(name for name in INPUT_NAMES if name not in RUN_NAMES)

COMPUTED_NAMES: Final = (
    "certificatePem",
    "chainPem",
    "subject",
    "issuerSubject",
    "serialNumber",
    "thumbprint",
    "notBefore",
    "notAfter",
    "version",
    "certificateId",
    "keyId",
    "secretId",
    "signingRequestPem",
)


def inputs_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that a resource's state echoes, out of that state or of all inputs."""
    return {name: state[name] for name in STATE_NAMES if state.get(name) is not None}


def unissued(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a certificate that is yet to be issued: its inputs, and nothing else known."""
    return {**inputs, **dict.fromkeys(COMPUTED_NAMES, UNKNOWN)}


def imported(certificate_id: str, certificate: x509.Certificate) -> CertificateInputs:
    """Return the inputs that describe a certificate found in a vault (`https://VAULT/certificates/NAME`).

    Its issuer stays open: the program names it, and the next `up` takes the certificate up if it fits. Raises
    ValueError if no policy can describe the certificate.
    """
    vault_uri, name = parse_certificate_id(certificate_id)
    return CertificateInputs(vault_id="", vault_uri=vault_uri, name=name, policy=IssuancePolicy.of(certificate))


def parse_certificate_id(certificate_id: str) -> tuple[str, str]:
    """Return a vault's URI and a certificate's name out of `https://VAULT/certificates/NAME[/VERSION]`.

    Raises ValueError if it is none.
    """
    vault_uri, name, _ = parse_version_id(certificate_id)
    return vault_uri, name


def parse_version_id(certificate_id: str) -> tuple[str, str, str | None]:
    """Return the same, and the version if there is one. Raises ValueError if it is no certificate's identifier."""
    found = re.fullmatch(r"(https://[^/]+)/certificates/([0-9a-zA-Z-]+)(?:/([0-9a-f]+))?/?", certificate_id)
    if found is None:
        raise ValueError(f"{certificate_id} is not of the form https://VAULT/certificates/NAME")
    return f"{found[1]}/", found[2], found[3]


def problems(inputs: Mapping[str, Any], model: type[Model] = CertificateInputs) -> list[ErrorDetails]:
    """Return what is wrong with a resource's inputs; what is not yet known is not judged."""
    try:
        model.model_validate(dict(inputs))
    except ValidationError as error:
        return [problem for problem in error.errors(include_url=False) if not _rests_on_unknown(inputs, problem["loc"])]
    return []


def _rests_on_unknown(value: Any, location: tuple[int | str, ...]) -> bool:
    for step in location:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
    return has_unknown(value)


def outputs(
    certificate: x509.Certificate,
    *,
    chain_pem: tuple[str, ...],
    certificate_id: str,
    key_id: str,
    secret_id: str | None,
    signing_request_pem: str | None = None,
) -> dict[str, Any]:
    """Return what the state says of an issued certificate: all of it public. The versioned ids are Key Vault's."""
    return {
        "certificatePem": to_pem(certificate),
        "chainPem": list(chain_pem),
        "subject": certificate.subject.rfc4514_string(),
        "issuerSubject": certificate.issuer.rfc4514_string(),
        "serialNumber": f"{certificate.serial_number:x}",
        "thumbprint": certificate.fingerprint(hashes.SHA1()).hex(),
        "notBefore": certificate.not_valid_before_utc.isoformat(),
        "notAfter": certificate.not_valid_after_utc.isoformat(),
        "version": certificate_id.rstrip("/").rpartition("/")[2],
        "certificateId": certificate_id,
        "keyId": key_id,
        "secretId": secret_id,
        "signingRequestPem": signing_request_pem,
    }


def awaited(signing_request_pem: str) -> dict[str, Any]:
    """Return what the state says of a certificate whose request is to be signed elsewhere."""
    return {**dict.fromkeys(COMPUTED_NAMES), "signingRequestPem": signing_request_pem}
