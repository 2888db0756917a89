"""An authority whose key is in the stack's state: its certificate, signed by itself, here and not in a vault.

The key is made elsewhere (pulumi-tls), and comes as a secret input that no output repeats. pulumi-tls could sign the
certificate too, but not with a path length of 0: Go takes that for none, unless told otherwise (crypto/x509,
MaxPathLenZero), and it is not told. Nothing is asked of anybody: what is in the state is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from cryptography import x509
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)
from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_camel

from pki import IssuancePolicy, Role, deviations, draft, load_certificate, to_pem
from pki.local_signing import load_private_key, signed_with
from plugin import UNKNOWN, Engine, PluginError, difference, has_unknown, plain, property_values
from provider import NAME, clock
from provider.attention import refuse_another_authority, warn_of_the_end
from provider.inputs import Model, problems
from provider.resource import diff_response, failures, moved

AUTHORITY_IN_STATE: Final = f"{NAME}:state:Authority"

_KEY: Final = "privateKeyPem"
_PLACE: Final = ("name",)


def _of_an_authority(policy: IssuancePolicy) -> IssuancePolicy:
    if policy.role is not Role.AUTHORITY:
        raise ValueError("must be an authority's")
    return policy


def _private_key(pem: str) -> str:
    try:
        load_private_key(pem)
    except ValueError:
        raise ValueError("must be one unencrypted private key in PEM, RSA or on a P-256 or P-384 curve") from None
    return pem


class AuthorityInStateInputs(Model):
    """An authority that signs itself with `private_key_pem`, a secret. `renewal` counts renewals by hand."""

    name: Annotated[str, Field(min_length=1)]
    policy: Annotated[IssuancePolicy, AfterValidator(_of_an_authority)]
    private_key_pem: Annotated[str, AfterValidator(_private_key), Field(repr=False)]
    renewal: Annotated[int, Field(ge=0)] = 0


INPUT_NAMES: Final = tuple(to_camel(name) for name in AuthorityInStateInputs.model_fields)
STATE_NAMES: Final = tuple(name for name in INPUT_NAMES if name != _KEY)
COMPUTED_NAMES: Final = ("certificatePem",)


class AuthorityInStateResource:
    """Authorities whose keys are in the state."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = plain(request.new_inputs)
        return CheckResponse(
            inputs=property_values(inputs, secrets={_KEY}), failures=failures(problems(inputs, AuthorityInStateInputs))
        )

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, new = plain(request.old_state), plain(request.new_inputs)
        changes = difference(_kept(old), _kept(new))
        replaces = moved(changes, _PLACE)
        if not replaces:
            refuse_another_authority(old, changes)
            if not changes and not has_unknown(new):
                certificate = load_certificate(old["certificatePem"])
                wanted = AuthorityInStateInputs.model_validate(new)
                if wrong := _deviations(certificate, wanted):
                    raise _another_key(wanted.name, wrong)
                await warn_of_the_end(self._engine, request.urn, certificate, clock.now())
        return diff_response(changes, replaces, _PLACE)

    async def create(self, request: CreateRequest) -> CreateResponse:
        inputs = plain(request.properties)
        made = UNKNOWN if request.preview else issued(AuthorityInStateInputs.model_validate(inputs))
        return CreateResponse(
            resource_id="" if request.preview else inputs["name"],
            properties=property_values({**_kept(inputs), "certificatePem": made}),
        )

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        inputs = plain(request.news)
        made = UNKNOWN if request.preview else issued(AuthorityInStateInputs.model_validate(inputs))
        return UpdateResponse(properties=property_values({**_kept(inputs), "certificatePem": made}))

    async def read(self, request: ReadRequest) -> ReadResponse:
        if not plain(request.properties).get("policy"):
            raise PluginError(
                f"{request.resource_id} cannot be imported: an authority whose key is in the state is nowhere else. "
                f"The state was not changed. Bring it along with certificatePem; see docs/topologies.md."
            )
        return ReadResponse(request.resource_id, request.properties, request.inputs)

    async def delete(self, request: DeleteRequest) -> None:
        """Nothing is anywhere but in the state."""


def _kept(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: inputs[name] for name in STATE_NAMES if inputs.get(name) is not None}


def _deviations(certificate: x509.Certificate, wanted: AuthorityInStateInputs) -> list[str]:
    found = deviations(certificate, wanted.policy, None)
    if certificate.public_key() != load_private_key(wanted.private_key_pem).public_key():
        found.append("its key is another one")
    return found


def _another_key(name: str, wrong: list[str]) -> PluginError:
    return PluginError(
        f'The authority "{name}" in the state is not what is asked for: {"; ".join(wrong)}. Every certificate that it '
        f"issued would be refused at once. Nothing was changed. Put the state back that belongs to it, or add a "
        f"generation under certificateAuthorities; see docs/runbooks/roll-over-an-authority.md."
    )


def issued(wanted: AuthorityInStateInputs) -> str:
    """Return its certificate, PEM, of today. Raises PluginError if there can be none."""
    key = load_private_key(wanted.private_key_pem)
    try:
        return to_pem(signed_with(key, draft(wanted.policy, key.public_key(), None, clock.now())))
    except ValueError as error:
        raise PluginError(f'The authority "{wanted.name}" cannot be issued: {error}. Nothing was issued.') from error
