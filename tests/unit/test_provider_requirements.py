"""What Temporal would refuse is refused before the vault makes a key for it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from cryptography import x509

from pki import IssuancePolicy, to_pem
from plugin import PluginError
from provider.inputs import CertificateInputs, IssuerReference
from provider.issuance import Issuance
from provider.ownership import Owner
from tests.certificates import authority_policy, issue, leaf_policy
from tests.unit.pki_corpus import CLIENT_BASE, CLIENT_ORDER, DAY, NOW, broken, one
from tests.unit.test_provider_plugin import URN, VAULT, VAULT_ID

ABOVE = ("intermediate", "root")


class _KeyAsked(Exception):
    """The vault was asked for a key."""


class _EmptyVault:
    """In place of `Patience`: there is nothing in the vault, and what is made there is told."""

    async def call(self, what: str, _ask: object, **_: object) -> Any:
        raise ResourceNotFoundError(what)

    async def create(self, what: str, _ask: object, **_: object) -> Any:
        raise _KeyAsked(what)


async def ensure(issuers: Sequence[x509.Certificate], policy: IssuancePolicy | None = None) -> None:
    issuer, *above = map(to_pem, issuers)
    wanted = CertificateInputs(
        vault_id=VAULT_ID,
        vault_uri=VAULT,
        name="orders",
        policy=policy or leaf_policy(),
        issuer=IssuerReference(certificate_pem=issuer, key_id=f"{VAULT}keys/clients-1/1", chain_pem=tuple(above)),
    )
    await Issuance(wanted=wanted, owner=Owner(URN), patience=_EmptyVault(), now=NOW).ensure()  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [1, 2])
async def test_below_sound_issuers_a_key_is_made(levels: int) -> None:
    """The twin of every refusal below."""
    with pytest.raises(_KeyAsked, match="request the certificate"):
        await ensure(CLIENT_BASE.certificates(ABOVE[:levels]))


@pytest.mark.parametrize(
    ("member", "fields", "rule"),
    [
        ("intermediate", {"signature": "sha1"}, "signature-hash"),
        ("root", {"signature": "md5"}, "signature-hash"),
        ("intermediate", {"version": 1}, "x509v3"),
        ("intermediate", {"owner": "k1 intermediate"}, "key-algorithm"),
        ("intermediate", {"usage": CLIENT_BASE.family["leaf"].usage}, "authority-key-usage"),
        ("root", {"constraints": x509.BasicConstraints(True, 0)}, "path-length"),
        ("root", {"not_after": NOW - DAY}, "expired"),
        ("intermediate", {"subject": "ORDERS"}, "unique-names"),
        ("root", {"subject": " Orders"}, "unique-names"),
        ("intermediate", {"signer": "rsa other"}, "chain-complete"),
    ],
)
async def test_below_others_none_is(member: str, fields: dict[str, Any], rule: str) -> None:
    """A key in a vault, a merged certificate, a file on a worker: and then the handshake fails."""
    case = broken(CLIENT_BASE, [one("", member, "", **fields)], CLIENT_ORDER)
    with pytest.raises(PluginError) as refused:
        await ensure(case.certificates(ABOVE))
    message = str(refused.value)
    assert message.startswith(f'the certificate "orders" in {VAULT} cannot be issued: of its issuers, certificate ')
    assert f"[{rule}]. " in message
    assert "Nothing was issued." in message
    assert ".." not in message


async def test_an_authority_too_many_is_refused() -> None:
    """One more level than the root allows refuses everything below it."""
    short = replace(CLIENT_BASE.family["root"], constraints=x509.BasicConstraints(True, 1))
    issuers = replace(CLIENT_BASE, family={**CLIENT_BASE.family, "root": short}).certificates(ABOVE)
    with pytest.raises(_KeyAsked):
        await ensure(issuers)
    with pytest.raises(PluginError, match=r"\[path-length\]"):
        await ensure(issuers, authority_policy("below"))


# A certificate that was made elsewhere


def _brought(policy: IssuancePolicy, issued: x509.Certificate, root: x509.Certificate) -> CertificateInputs:
    return CertificateInputs(
        vault_id=VAULT_ID,
        vault_uri=VAULT,
        name="clients-1",
        policy=policy,
        issuer=IssuerReference(certificate_pem=to_pem(root)),
        issued_pem=to_pem(issued),
    )


@pytest.mark.parametrize(
    ("changes", "days", "said"),
    [
        ({}, 0, None),
        ({"subject": authority_policy("other").subject}, 0, "its subject is CN=other,O=Contoso"),
        ({"path_length": 1}, 0, "its extension basicConstraints differs"),
        ({}, 1826, "[expired]"),
    ],
)
async def test_what_was_made_elsewhere_is_judged_before_a_key_is_asked_for(
    changes: dict[str, Any], days: int, said: str | None
) -> None:
    """A key that nobody needs would be made, or a certificate be merged that everybody refuses."""
    policy = authority_policy("clients 1")
    root = issue(authority_policy("root", path_length=2, validity_days=3650))
    issued = issue(policy.model_copy(update=changes), root, owner="clients").certificate
    wanted = _brought(policy, issued, root.certificate)
    issuance = Issuance(wanted=wanted, owner=Owner(URN), patience=_EmptyVault(), now=NOW + days * DAY)  # type: ignore[arg-type]
    with pytest.raises(_KeyAsked if said is None else PluginError) as refused:
        await issuance.ensure()
    if said is not None:
        assert said in str(refused.value)
        assert "It was not taken, and nothing was changed." in str(refused.value)
