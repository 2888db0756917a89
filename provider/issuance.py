"""Brings one certificate in a vault to what its policy asks for, from wherever an earlier run left it.

Key Vault makes the key and keeps it. Asked for a certificate of an issuer that it does not know, it makes a key and a
signing request, and waits. The request's public key goes into a certificate that `pki` builds; the authority's key
signs that, inside its own vault; the result is merged. No documented operation makes an authority that signs itself,
so that is done in two steps: a self-signed certificate for the sake of its key alone, then a second version over the
same key, which is issued like any other.

An authority keeps its key and its name for good, whoever issues it. Where its issuer's key is elsewhere, the pending
request is where this ends, until somebody brings the certificate that was made from it.

Every step is looked for before it is taken, so a run that was killed anywhere is taken up by the next.
Source: Key Vault REST API 7.6, certificates and keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.keyvault.certificates import (
    CertificateContentType,
    CertificateOperation,
    CertificatePolicy,
    CertificatePolicyAction,
    CertificateProperties,
    KeyCurveName,
    KeyType,
    KeyUsageType,
    KeyVaultCertificate,
    LifetimeAction,
    WellKnownIssuerNames,
)
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.keys.crypto import SignatureAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from cloud import inner_code
from pki import KeyType as PolicyKeyType
from pki import (
    Role,
    authority_findings,
    deviations,
    draft,
    joined,
    load_certificate,
    obstacles,
    outlived,
    renewal_due,
    validity,
)
from plugin import PluginError
from provider.inputs import CertificateInputs, awaited, outputs
from provider.ownership import KEY_ONLY, Owner, maker
from provider.patience import CRYPTO_USER, Patience

_POLL_SECONDS = 1
_KEY_LIMIT_SECONDS = 120


async def find(patience: Patience, vault_uri: str, name: str) -> KeyVaultCertificate | None:
    """Return a certificate's latest version, or None if there is none; a deleted certificate counts as none."""
    try:
        return await patience.call(
            f'read the certificate "{name}" in {vault_uri}',
            lambda: patience.session.certificates(vault_uri).get_certificate(name),
            expected=ResourceNotFoundError,
        )
    except ResourceNotFoundError:
        return None


@dataclass(frozen=True, kw_only=True)
class Issuance:
    """One certificate, its owner and its vault.

    `by_state`: the state already holds this certificate, so whoever made its versions, it is ours.
    """

    wanted: CertificateInputs
    owner: Owner
    patience: Patience
    now: datetime
    by_state: bool = False

    async def ensure(self, *, anew: bool = False) -> dict[str, Any]:
        """Return the outputs of a certificate that fits, issuing a version only if there is none.

        With `anew`, a version that was not issued today does not fit. Raises PluginError if the name belongs to
        somebody else, if a pending request does not fit the policy, or if the authority cannot issue.
        """
        held = await self.held() or await self._recovered()
        if held is not None and not self.by_state and not self.owner.owns(_tags_of(held)):
            raise self._not_ours(_tags_of(held))
        if self.wanted.is_issued_elsewhere:
            return await self._issued_elsewhere(held)
        if self._signs_itself:
            held = await self._with_key(held)
        if held is None or not self._fits(held, anew=anew):
            held = await self._issue(held)
        if self._signs_itself:
            await self._retire_key_only_versions()
        return self.state_of(await self._tagged(held))

    async def _tagged(self, held: KeyVaultCertificate) -> KeyVaultCertificate:
        if _tags_of(held) == self._tags:
            return held
        return await self._change(_version_of(held), "tag", tags=self._tags)

    async def held(self) -> KeyVaultCertificate | None:
        """Return the version that counts, or None if there is none: the latest, but of an authority the latest own.

        What others add to an authority is passed over: the key of their version may have been exported, and signing
        names a version anyway.
        """
        newest = await self._newest()
        if newest is None or not self._is_authority or self.owner.owns(_tags_of(newest)):
            return newest
        own = [
            version
            for version in await self._versions()
            if self.owner.owns(version.tags or {}) and KEY_ONLY not in (version.tags or {})
        ]
        if not own:
            return newest
        latest = max(own, key=lambda version: version.created_on or datetime.min.replace(tzinfo=UTC))
        await self.patience.engine.warning(
            f"Somebody made the version {_version_of(newest)} of this authority. It is not used; delete or disable it.",
            self.patience.urn,
        )
        return await self.patience.call(
            f"read {self._what}",
            lambda: self._client.get_certificate_version(self.wanted.name, str(latest.version)),
        )

    async def delete(self) -> None:
        """Delete the certificate, every version of it; under soft delete it can be recovered.

        What is gone already, or belongs to somebody else by now, is left as it is.
        """
        held = await self.held()
        if held is None:
            return
        if not self.owner.owns(_tags_of(held)):
            message = f"{self._what} was left as it is: it is {maker(_tags_of(held))}."
            await self.patience.engine.warning(message, self.patience.urn)
            return
        await self.patience.call(
            f"delete {self._what}",
            lambda: self._client.delete_certificate(self.wanted.name, _polling_interval=_POLL_SECONDS),
        )

    def state_of(self, held: KeyVaultCertificate, signing_request_pem: str | None = None) -> dict[str, Any]:
        """Return the outputs for a version that is held; `signing_request_pem` if it was made elsewhere from one."""
        issuer = self.wanted.issuer
        return outputs(
            x509_of(held),
            chain_pem=(issuer.certificate_pem, *issuer.chain_pem) if issuer else (),
            certificate_id=str(held.id),
            key_id=str(held.key_id),
            secret_id=None if self._is_authority else str(held.secret_id),
            signing_request_pem=signing_request_pem,
        )

    # What is wanted

    @property
    def _client(self) -> CertificateClient:
        return self.patience.session.certificates(self.wanted.vault_uri)

    @property
    def _what(self) -> str:
        return f'the certificate "{self.wanted.name}" in {self.wanted.vault_uri}'

    @property
    def _tags(self) -> dict[str, str]:
        return {**self.wanted.tags, **self.owner.tags}

    @property
    def _is_authority(self) -> bool:
        return self.wanted.policy.role is Role.AUTHORITY

    @property
    def _signs_itself(self) -> bool:
        return self.wanted.issuer is None

    @property
    def _issuers(self) -> list[x509.Certificate]:
        """The authorities above, from the issuer on; none for an authority that signs itself."""
        issuer = self.wanted.issuer
        return [load_certificate(pem) for pem in (issuer.certificate_pem, *issuer.chain_pem)] if issuer else []

    async def _newest(self) -> KeyVaultCertificate | None:
        return await find(self.patience, self.wanted.vault_uri, self.wanted.name)

    def _fits(self, held: KeyVaultCertificate, *, anew: bool) -> bool:
        if not held.cer:
            return False
        certificate, issuer = x509_of(held), self.wanted.issuer_certificate
        if deviations(certificate, self.wanted.policy, issuer):
            return False
        try:
            if anew:
                issued_today = validity(self.wanted.policy, issuer, self.now)
                return (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == issued_today
            # An authority is never renewed by the clock.
            return (
                issuer is None
                or self._is_authority
                or not renewal_due(certificate, self.wanted.policy, issuer, self.now)
            )
        except ValueError as error:
            raise self._impossible(error) from error

    # What an earlier run may have left

    async def _recovered(self) -> KeyVaultCertificate | None:
        try:
            deleted = await self.patience.call(
                f"look for a deleted version of {self._what}",
                lambda: self._client.get_deleted_certificate(self.wanted.name),
                expected=ResourceNotFoundError,
            )
        except ResourceNotFoundError:
            return None
        if not self.owner.owns(_tags_of(deleted)):
            raise self._not_ours(_tags_of(deleted), "was deleted, still holds its name,")
        await self.patience.engine.info("Recovering the certificate, which was deleted.", self.patience.urn)
        await self.patience.call(
            f"recover {self._what}",
            lambda: self._client.recover_deleted_certificate(self.wanted.name, _polling_interval=_POLL_SECONDS),
        )
        return await self.held()

    async def _with_key(self, held: KeyVaultCertificate | None) -> KeyVaultCertificate:
        """Return a completed version that has the authority's key, making one if there is none."""
        if held is not None and held.cer:
            return held
        if held is None:
            await self.patience.create(
                f"make a key for {self._what}",
                lambda: self._client.create_certificate(
                    self.wanted.name,
                    self._request_policy(WellKnownIssuerNames.self, reuse_key=False),
                    tags={**self._tags, KEY_ONLY: "true"},
                    _polling_interval=_POLL_SECONDS,
                ),
            )
        operation = await self._finished_operation()
        version = await self._newest()
        if version is None or not version.cer:
            raise PluginError(
                f"{self._what} got no key: its creation is {operation.status}. Nothing was issued. Look at it with "
                f"`az keyvault certificate pending show`, and run the same command again."
            )
        return version

    async def _finished_operation(self) -> CertificateOperation:
        def in_progress(operation: CertificateOperation) -> bool:
            return operation.issuer_name == WellKnownIssuerNames.self and operation.status == "inProgress"

        polling = AsyncRetrying(
            retry=retry_if_result(in_progress),
            wait=wait_fixed(_POLL_SECONDS),
            stop=stop_after_delay(_KEY_LIMIT_SECONDS),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        operation: CertificateOperation = await polling(self._operation)
        return operation

    async def _operation(self) -> CertificateOperation:
        return await self.patience.call(
            f"read the pending request of {self._what}",
            lambda: self._client.get_certificate_operation(self.wanted.name),
            expected=ResourceNotFoundError,
        )

    async def _retire_key_only_versions(self) -> None:
        """Disable the versions that were made for their key alone: they certify nothing."""
        for version in await self._versions():
            if version.enabled and KEY_ONLY in (version.tags or {}):
                await self._change(str(version.version), "disable a version of", enabled=False)

    async def _versions(self) -> list[CertificateProperties]:
        async def ask() -> list[CertificateProperties]:
            return [item async for item in self._client.list_properties_of_certificate_versions(self.wanted.name)]

        return await self.patience.call(f"list the versions of {self._what}", ask)

    async def _change(self, version: str, verb: str, **properties: Any) -> KeyVaultCertificate:
        return await self.patience.call(
            f"{verb} {self._what}",
            lambda: self._client.update_certificate_properties(self.wanted.name, version, **properties),
        )

    # Issuing a version

    async def _issue(self, held: KeyVaultCertificate | None) -> KeyVaultCertificate:
        try:
            # Before a key is made for a certificate that cannot be, or that Temporal would refuse.
            validity(self.wanted.policy, self.wanted.issuer_certificate, self.now)
            self._require_accepted_issuers()
        except ValueError as error:
            raise self._impossible(error) from error
        public_key = (await self._request(held)).public_key()
        key_id = (self.wanted.issuer and self.wanted.issuer.key_id) or str(held.key_id if held else "")
        try:
            unsigned = draft(self.wanted.policy, public_key, self.wanted.issuer_certificate, self.now)
        except ValueError as error:
            raise self._impossible(error) from error
        answer = await self.patience.call(
            f"sign {self._what} with {key_id}",
            lambda: self.patience.session.cryptography(key_id).sign(
                SignatureAlgorithm(unsigned.algorithm.value), unsigned.digest
            ),
            role=CRYPTO_USER,
        )
        try:
            certificate = unsigned.signed(answer.signature)
        except ValueError as error:
            raise self._impossible(error) from error
        return await self._merge(certificate)

    def _require_accepted_issuers(self) -> None:
        """Raise ValueError if what stands above the certificate would have Temporal refuse it."""
        if found := obstacles(self.wanted.policy, self._issuers, self.now):
            raise ValueError(f"of its issuers, {joined(found)}")

    async def _require_own_key(self, held: KeyVaultCertificate | None) -> None:
        """Raise PluginError unless a request would take the authority's key, from a version that never gave it away."""
        newest = await self._newest()
        if newest is None or held is None or newest.id != held.id:
            raise self._impossible(
                ValueError("its newest version was made by somebody else, and a request would take the key of that")
            )
        if not self.owner.owns(_tags_of(held)):
            policy = await self.patience.call(
                f"read the policy of {self._what}", lambda: self._client.get_certificate_policy(self.wanted.name)
            )
            if policy.exportable:
                raise self._impossible(ValueError("it was made by somebody else, and its key may be exported"))

    async def _merge(self, certificate: x509.Certificate) -> KeyVaultCertificate:
        links = [link.public_bytes(Encoding.DER) for link in (certificate, *self._issuers)]
        try:
            return await self.patience.call(
                f"merge {self._what}",
                lambda: self._client.merge_certificate(self.wanted.name, links, tags=self._tags),
                expected=ResourceNotFoundError,
            )
        except ResourceNotFoundError as error:
            # Asked twice, because the first answer was lost: then the vault has it, and no request waits any more.
            held = await self._newest()
            if held is not None and held.cer and x509_of(held) == certificate:
                return held
            raise PluginError(
                f"The request of {self._what} was gone before it could be merged: {error.message} Nothing was issued. "
                f"Run the same command again."
            ) from error

    # Issued by somebody whose key is elsewhere

    async def _issued_elsewhere(self, held: KeyVaultCertificate | None) -> dict[str, Any]:
        """Return the outputs of the certificate that was brought, or of the request that waits for one.

        What is brought must be the issuer's over this authority's key, and all that the policy says. Else it is
        refused, and nothing is merged.
        """
        issued = load_certificate(self.wanted.issued_pem) if self.wanted.issued_pem else None
        if issued is not None:
            self._require_as_asked(issued, held)
            if held is None or not held.cer or x509_of(held) != issued:
                return await self._taken(issued, held)
        elif held is None or not self._fits(held, anew=False):
            return awaited(_pem_of(await self._request(held)))
        assert held is not None
        return self.state_of(await self._tagged(held))

    async def waiting_request_pem(self) -> str | None:
        """Return the signing request that waits in the vault, or None if somebody removed it."""
        try:
            operation = await self._operation()
        except ResourceNotFoundError:
            return None
        return _pem_of(x509.load_der_x509_csr(operation.csr)) if operation.csr else None

    def _require_as_asked(self, issued: x509.Certificate, held: KeyVaultCertificate | None) -> None:
        """Raise PluginError unless a certificate is what the policy and the issuer would have made."""
        try:
            wrong = deviations(issued, self.wanted.policy, self.wanted.issuer_certificate)
            wrong += [reason for issuer in self._issuers[:1] for reason in outlived(issued, issuer)]
            wrong += map(str, authority_findings(issued, self.now))
            self._require_accepted_issuers()
        except ValueError as error:
            raise self._impossible(error) from error
        if wrong:
            raise self._not_as_asked("; ".join(wrong).removesuffix("."), held)

    async def _taken(self, issued: x509.Certificate, held: KeyVaultCertificate | None) -> dict[str, Any]:
        another = "its key is not that of the signing request of this authority"
        if held is not None and held.cer and x509_of(held).public_key() != issued.public_key():
            raise self._not_as_asked(another, held)
        request = await self._request(held)
        if request.public_key() != issued.public_key():
            raise self._not_as_asked(another, held)
        return self.state_of(await self._merge(issued), _pem_of(request))

    def _not_as_asked(self, reason: str, held: KeyVaultCertificate | None) -> PluginError:
        name = self.wanted.name
        way_on = (
            f"Put back the one that it has (the output certificates.{name}.certificatePem), and have the request in "
            f"the output certificateSigningRequests.{name} signed"
            if held is not None and held.cer
            else "Take issuedPem out and run `pulumi up --refresh` to see the signing request "
            "(certificateSigningRequests), and have that one signed"
        )
        return PluginError(
            f"The certificate that was brought for {self._what} (issuedPem) is not what is asked for: {reason}. It was "
            f"not taken, and nothing was changed. {way_on}; see docs/topologies.md."
        )

    # The request

    async def _request(self, held: KeyVaultCertificate | None) -> x509.CertificateSigningRequest:
        """Return a pending request, a new one or an earlier run's, once it fits the policy.

        An authority that has a key keeps it.
        """
        own_key = x509_of(held).public_key() if self._is_authority and held is not None and held.cer else None
        if own_key is not None:
            await self._require_own_key(held)
        request = await self._pending_request(reuse_key=own_key is not None)
        if own_key is not None and request.public_key() != own_key:
            raise self._unfit("its key is not the authority's own")
        return request

    async def _pending_request(self, *, reuse_key: bool) -> x509.CertificateSigningRequest:
        try:
            pending = await self.patience.create(
                f"request {self._what}",
                lambda: self._client.create_certificate(
                    self.wanted.name,
                    self._request_policy(WellKnownIssuerNames.unknown, reuse_key=reuse_key),
                    tags=self._tags,
                ),
                expected=ResourceExistsError,
            )
        except ResourceExistsError as error:
            pending = await self._earlier_request(error)
        if not isinstance(pending, CertificateOperation) or not pending.csr:
            raise self._unfit("it holds no signing request")
        request = x509.load_der_x509_csr(pending.csr)
        if not request.is_signature_valid:
            raise self._unfit("its signature is not valid")
        if PolicyKeyType.of(request.public_key()) is not self.wanted.policy.key_type:
            raise self._unfit(f"its key is not {self.wanted.policy.key_type}")
        return request

    async def _earlier_request(self, conflict: ResourceExistsError) -> CertificateOperation:
        try:
            pending = await self._operation()
            policy = await self.patience.call(
                f"read the policy of {self._what}",
                lambda: self._client.get_certificate_policy(self.wanted.name),
                expected=ResourceNotFoundError,
            )
        except ResourceNotFoundError:
            raise PluginError(
                f"The vault would not begin {self._what} ({inner_code(conflict)}): {conflict.message} Nothing was "
                f"issued. Remove what stands in the way, then run the same command again."
            ) from conflict
        held = await self._newest()
        if held is None or not (self.by_state or self.owner.owns(_tags_of(held))):
            raise self._not_ours(_tags_of(held) if held else {}, "has a pending request")
        if bool(policy.exportable) is self._is_authority:
            raise self._unfit("its key may be exported" if self._is_authority else "its key may not be exported")
        return pending

    def _request_policy(self, issuer_name: str, *, reuse_key: bool) -> CertificatePolicy:
        """Return what Key Vault is told: how to make the key, and what that may be used for."""
        policy = self.wanted.policy
        usages = [KeyUsageType.digital_signature]
        if self._is_authority:
            usages += [KeyUsageType.key_cert_sign, KeyUsageType.crl_sign]
        elif policy.key_type.rsa_bits:
            usages.append(KeyUsageType.key_encipherment)
        return CertificatePolicy(
            issuer_name=issuer_name,
            # The request's subject is never looked at: a plain one spares Key Vault's grammar for subjects.
            subject=f"CN={self.wanted.name}",
            exportable=not self._is_authority,
            key_type=KeyType.rsa if policy.key_type.rsa_bits else KeyType.ec,
            key_size=policy.key_type.rsa_bits,
            key_curve_name={PolicyKeyType.EC_P256: KeyCurveName.p_256, PolicyKeyType.EC_P384: KeyCurveName.p_384}.get(
                policy.key_type
            ),
            reuse_key=reuse_key,
            content_type=CertificateContentType.pem,
            key_usage=usages,
            # Key Vault must never renew by itself: it would sign for itself, and nobody would trust that.
            lifetime_actions=[LifetimeAction(CertificatePolicyAction.email_contacts, lifetime_percentage=90)],
        )

    # What to say

    def _not_ours(self, tags: Mapping[str, str], how: str = "exists") -> PluginError:
        return PluginError(
            f"{self._what} {how} and is {maker(tags)}. It was not touched, and nothing was issued. "
            f"{self.owner.adoption('temporalazure:keyvault:Certificate', self.wanted.certificate_id)}"
        )

    def _unfit(self, reason: str) -> PluginError:
        vault = self.wanted.vault_uri.removeprefix("https://").partition(".")[0]
        return PluginError(
            f"The pending request of {self._what} does not fit its policy: {reason}. It was not signed. Find out who "
            f"made it; remove it with `az keyvault certificate pending delete --vault-name {vault} --name "
            f"{self.wanted.name}`, then run the same command again."
        )

    def _impossible(self, reason: ValueError) -> PluginError:
        return PluginError(
            f"{self._what} cannot be issued: {reason}. Nothing was issued. See docs/runbooks/roll-over-an-authority.md."
        )


def x509_of(held: KeyVaultCertificate) -> x509.Certificate:
    """Return the certificate of a completed version. Raises ValueError for one that is still pending."""
    return x509.load_der_x509_certificate(bytes(held.cer or b""))


def _pem_of(request: x509.CertificateSigningRequest) -> str:
    return request.public_bytes(Encoding.PEM).decode("ascii")


def _tags_of(held: KeyVaultCertificate) -> dict[str, str]:
    return dict(held.properties.tags or {}) if held.properties else {}


def _version_of(held: KeyVaultCertificate) -> str:
    return str(held.properties.version) if held.properties else ""
