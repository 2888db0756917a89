"""Certificate policies: what callers send, with Azure's defaults filled in, and what is answered.

Defaults and spellings are those of answers that Azure's SDKs recorded. An undocumented `basic_constraints` in a request
has no effect, and in answers it is always `ca: false`: no certificate authority comes out of a policy.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, TypeVar

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from localazure.errors import AzureError
from localazure.keyvault import subjects

SERVER_AND_CLIENT = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2")
PEM: Final = "application/x-pem-file"
PKCS12: Final = "application/x-pkcs12"
KEY_USAGES = (
    "cRLSign",
    "dataEncipherment",
    "decipherOnly",
    "digitalSignature",
    "encipherOnly",
    "keyAgreement",
    "keyCertSign",
    "keyEncipherment",
    "nonRepudiation",
)
CURVE_BITS = {"P-256": 256, "P-384": 384, "P-521": 521}
RSA_BITS = (2048, 3072, 4096)

_USAGES_BY_LOWER = {usage.lower(): usage for usage in KEY_USAGES}


class Part(BaseModel):
    """A part of a request. What Key Vault does not know it ignores, and so does this; null is as if not given."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {name: value for name, value in given.items() if value is not None}


AnyPart = TypeVar("AnyPart", bound=Part)


class KeyProperties(Part):
    exportable: bool
    kty: Literal["RSA", "RSA-HSM", "EC", "EC-HSM"] = "RSA"
    key_size: int
    reuse_key: bool = False
    crv: Literal["P-256", "P-384", "P-521"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        kty = str(given.get("kty") or "RSA").upper()
        filled = {name: value for name, value in given.items() if value is not None} | {"kty": kty}
        filled.setdefault("exportable", not kty.endswith("-HSM"))
        if kty.startswith("EC"):
            filled.setdefault("crv", "P-256")
            filled["key_size"] = CURVE_BITS.get(str(filled["crv"]), 0)
        else:
            filled.pop("crv", None)
            filled.setdefault("key_size", RSA_BITS[0])
        return filled

    @model_validator(mode="after")
    def _is_offered(self) -> Self:
        if self.crv is None and self.key_size not in RSA_BITS:
            raise ValueError(f"Unsupported key size ({self.key_size}). Supported sizes are {list(RSA_BITS)}")
        if self.hsm and self.exportable:
            raise ValueError("HSM-protected keys are not exportable")
        return self

    @property
    def hsm(self) -> bool:
        return self.kty.endswith("-HSM")

    @property
    def shape(self) -> tuple[str, int, str | None]:
        """What decides whether one key can stand for another."""
        return self.kty, self.key_size, self.crv


class SecretProperties(Part):
    content_type: Literal["application/x-pkcs12", "application/x-pem-file"] = Field(default=PKCS12, alias="contentType")


class SubjectAlternativeNames(Part):
    emails: list[str] | None = None
    dns_names: list[str] | None = None
    upns: list[str] | None = None
    uris: list[str] | None = None
    ip_addresses: list[str] | None = Field(default=None, alias="ipAddresses")

    @field_validator("ip_addresses")
    @classmethod
    def _are_addresses(cls, given: list[str] | None) -> list[str] | None:
        for address in given or []:
            ipaddress.ip_address(address)
        return given


class X509Properties(Part):
    subject: str = ""
    sans: SubjectAlternativeNames | None = None
    ekus: list[str] = Field(default_factory=lambda: list(SERVER_AND_CLIENT))
    key_usage: list[str] = Field(default_factory=lambda: ["digitalSignature", "keyEncipherment"])
    validity_months: int = Field(default=12, ge=1, le=1200)

    @field_validator("subject")
    @classmethod
    def _is_a_name(cls, given: str) -> str:
        if given:
            subjects.parse(given)
        return given

    @field_validator("ekus")
    @classmethod
    def _are_object_identifiers(cls, given: list[str]) -> list[str]:
        for oid in given:
            x509.ObjectIdentifier(oid)
        return given

    @field_validator("key_usage")
    @classmethod
    def _are_known(cls, given: list[str]) -> list[str]:
        if unknown := [usage for usage in given if usage.lower() not in _USAGES_BY_LOWER]:
            raise ValueError(f"Unknown key usage {unknown[0]}")
        return sorted({_USAGES_BY_LOWER[usage.lower()] for usage in given}, key=str.lower)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.subject and not (self.sans and any(self.sans.model_dump().values())):
            raise ValueError("A subject or a subject alternative name is required")
        return self


class Trigger(Part):
    lifetime_percentage: int | None = Field(default=None, ge=1, le=99)
    days_before_expiry: int | None = Field(default=None, ge=1)


class Action(Part):
    action_type: Literal["EmailContacts", "AutoRenew"]


class LifetimeAction(Part):
    trigger: Trigger
    action: Action


class Issuer(Part):
    """Without a name, the caller brings the certificate, as with `Unknown`."""

    name: Literal["Self", "Unknown"] = "Unknown"
    cty: str | None = None
    cert_transparency: bool | None = None

    @field_validator("name", mode="before")
    @classmethod
    def _spelled_as_azure_does(cls, given: Any) -> Any:
        return {"self": "Self", "unknown": "Unknown"}.get(str(given).lower(), given)


class PolicyAttributes(Part):
    enabled: bool = True


class Policy(Part):
    key_props: KeyProperties = Field(default_factory=lambda: KeyProperties.model_validate({}))
    secret_props: SecretProperties = Field(default_factory=SecretProperties)
    x509_props: X509Properties
    lifetime_actions: list[LifetimeAction]
    issuer: Issuer = Field(default_factory=Issuer)
    attributes: PolicyAttributes = Field(default_factory=PolicyAttributes)

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        filled = {name: value for name, value in given.items() if value is not None}
        filled.setdefault("x509_props", {})
        if not filled.get("lifetime_actions"):
            issuer = filled.get("issuer")
            itself = isinstance(issuer, Mapping) and str(issuer.get("name")).lower() == "self"
            action = {"action_type": "AutoRenew" if itself else "EmailContacts"}
            filled["lifetime_actions"] = [{"trigger": {"lifetime_percentage": 80}, "action": action}]
        return filled

    def answer(self) -> dict[str, Any]:
        """The policy as it is answered, without id and times."""
        answer = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        answer["x509_props"]["basic_constraints"] = {"ca": False}
        return answer

    def changed(self, changes: Mapping[str, Any]) -> "Policy":
        """With the given members instead, the rest kept; 400 BadParameter if that is no policy."""
        return parsed(_merged(self.model_dump(mode="json", by_alias=True, exclude_none=True), changes))


def parsed(given: Mapping[str, Any]) -> Policy:
    """The policy in a request; 400 BadParameter, naming the member, if a value is not one that Key Vault takes."""
    return checked(Policy, given, "policy")


def checked(model: type[AnyPart], given: Mapping[str, Any], *place: str) -> AnyPart:
    """400 BadParameter, naming the member below `place`, if `given` does not fit the model."""
    try:
        return model.model_validate(given)
    except ValidationError as invalid:
        raise bad_parameter(invalid, *place) from None


def bad_parameter(invalid: ValidationError, *prefix: str) -> AzureError:
    """Azure's refusal of a value, by its place; the value itself, which may be a key, is not repeated."""
    first = invalid.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(step) for step in (*prefix, *first["loc"]))
    reason = first["msg"].removeprefix("Value error, ")
    return AzureError(400, "BadParameter", f"Property {place} has invalid value. {reason}")


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = _merged(merged[name], value)
        elif value is not None:
            merged[name] = value
    return merged
