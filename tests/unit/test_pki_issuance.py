"""Certificates whose signer is elsewhere: two passes, one certificate, on whole UTC days."""

import subprocess
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from hypothesis import example, given
from hypothesis import strategies as st

from pki import IssuancePolicy, KeyType, Role, SignatureAlgorithm, Subject, draft, renewal_due, to_pem, validity
from pki.issuance import BACKDATE
from tests.certificates import (
    NOW,
    OTHER_KEY,
    Issued,
    authority_policy,
    issue,
    leaf_policy,
    policies,
    private_key,
    signature,
)

DAY = timedelta(days=1)
TODAY = NOW.replace(hour=0, minute=0)

instants = st.datetimes(datetime(2020, 1, 1), datetime(2049, 12, 31), timezones=st.just(UTC))
zones = st.timezones() | st.integers(-14 * 60 + 1, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue(authority_policy())


# The signature


@pytest.mark.parametrize(("leaf", "authority_type"), [*product(KeyType, KeyType)])
def test_what_is_signed_elsewhere_verifies(leaf: KeyType, authority_type: KeyType) -> None:
    """A certificate that was built anew for its signature could differ from the one that was signed."""
    issuer = issue(authority_policy(key_type=authority_type))
    certificate = issue(leaf_policy(key_type=leaf), issuer).certificate
    certificate.verify_directly_issued_by(issuer.certificate)
    issuer.certificate.verify_directly_issued_by(issuer.certificate)
    assert certificate.public_key() == private_key(leaf).public_key()


@pytest.mark.parametrize("key_type", KeyType)
def test_openssl_accepts_what_is_issued(tmp_path: Path, key_type: KeyType) -> None:
    """What `cryptography` accepts of its own making, others may not: strictly by RFC 5280, and for the purpose."""
    issuer = issue(authority_policy(key_type=key_type))
    trusted = tmp_path / "ca.pem"
    trusted.write_text(to_pem(issuer.certificate))
    for role, purposes in ((Role.NODE, {"sslserver", "sslclient"}), (Role.CLIENT, {"sslclient"})):
        leaf = tmp_path / f"{role}.pem"
        leaf.write_text(to_pem(issue(leaf_policy(role=role, key_type=key_type), issuer).certificate))
        accepted = {
            purpose
            for purpose in ("sslserver", "sslclient")
            if _openssl("verify", "-x509_strict", "-purpose", purpose, *_at(NOW), "-CAfile", trusted, leaf) == 0
        }
        assert accepted == purposes
        assert _openssl("verify", *_at(NOW + 91 * DAY), "-CAfile", trusted, leaf) != 0
    assert _openssl("verify", "-x509_strict", *_at(NOW), "-CAfile", trusted, trusted) == 0


def test_openssl_reads_what_was_asked_for(authority: Issued, tmp_path: Path) -> None:
    policy = leaf_policy(
        subject=Subject(common_name="orders", organization="Contoso, Inc.", organizational_unit="Shop", country="DE"),
        subject_alternative_names={
            "dns_names": ["orders.example.com"],
            "ip_addresses": ["10.0.0.4", "2001:db8::4"],
            "uris": ["spiffe://example.com/orders"],
            "emails": ["orders@example.com"],
        },
    )
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(to_pem(issue(policy, authority).certificate))
    asked = ("-noout", "-subject", "-dates", "-ext", "subjectAltName,keyUsage,extendedKeyUsage,basicConstraints")
    shown = subprocess.run(
        ["openssl", "x509", "-in", leaf, "-nameopt", "RFC2253", *asked], capture_output=True, text=True, check=True
    )
    assert [line.strip() for line in shown.stdout.splitlines()] == [
        "subject=CN=orders,OU=Shop,O=Contoso\\, Inc.,C=DE",
        "notBefore=Mar 28 23:00:00 2026 GMT",
        "notAfter=Jun 27 00:00:00 2026 GMT",
        "X509v3 Basic Constraints: critical",
        "CA:FALSE",
        "X509v3 Key Usage: critical",
        "Digital Signature",
        "X509v3 Extended Key Usage:",
        "TLS Web Client Authentication",
        "X509v3 Subject Alternative Name:",
        "DNS:orders.example.com, IP Address:10.0.0.4, IP Address:2001:DB8:0:0:0:0:0:4, "
        "URI:spiffe://example.com/orders, email:orders@example.com",
    ]


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P256, KeyType.EC_P384])
def test_a_signature_of_another_key_is_refused(key_type: KeyType) -> None:
    """A wrong answer of the vault would be merged, and found by the first handshake."""
    issuer = issue(authority_policy(key_type=key_type))
    unsigned = draft(leaf_policy(), private_key(KeyType.EC_P256).public_key(), issuer.certificate, NOW)
    unsigned.signed(signature(unsigned, issuer.key))
    for wrong in (
        signature(unsigned, private_key(key_type, OTHER_KEY)),
        bytes(reversed(signature(unsigned, issuer.key))),
        signature(unsigned, issuer.key)[:-1],
        b"\0",
        b"",
    ):
        with pytest.raises(ValueError, match="not one of the issuer's key"):
            unsigned.signed(wrong)


def test_a_signature_over_another_draft_is_refused(authority: Issued) -> None:
    """Two certificates under way at once, with their answers mixed up."""
    key = private_key(KeyType.EC_P256).public_key()
    one, other = (draft(leaf_policy(name), key, authority.certificate, NOW) for name in ("orders", "billing"))
    with pytest.raises(ValueError, match="not one of the issuer's key"):
        one.signed(signature(other, authority.key))


@pytest.mark.parametrize(("key_type", "size"), [(KeyType.EC_P256, 64), (KeyType.EC_P384, 96)])
def test_an_elliptic_signature_comes_raw(key_type: KeyType, size: int) -> None:
    """Key Vault answers r and s side by side; in a certificate they are DER."""
    key = private_key(key_type)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    unsigned = draft(authority_policy(key_type=key_type), key.public_key(), None, NOW)
    raw = signature(unsigned, key)
    assert len(raw) == size
    certificate = unsigned.signed(raw)
    algorithm = unsigned.algorithm.hash_algorithm
    key.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    with pytest.raises(ValueError, match="not one of the issuer's key"):
        unsigned.signed(certificate.signature)


@pytest.mark.parametrize(
    ("key_type", "algorithm", "digest_size"),
    [
        (KeyType.RSA_2048, SignatureAlgorithm.RS256, 32),
        (KeyType.RSA_3072, SignatureAlgorithm.RS256, 32),
        (KeyType.RSA_4096, SignatureAlgorithm.RS256, 32),
        (KeyType.EC_P256, SignatureAlgorithm.ES256, 32),
        (KeyType.EC_P384, SignatureAlgorithm.ES384, 48),
    ],
)
def test_each_key_signs_with_its_own_algorithm(
    key_type: KeyType, algorithm: SignatureAlgorithm, digest_size: int
) -> None:
    """Key Vault refuses ES256 of a P-384 key, and any digest of the wrong length."""
    key = private_key(key_type)
    assert SignatureAlgorithm.of(key.public_key()) is algorithm
    unsigned = draft(authority_policy(key_type=key_type), key.public_key(), None, NOW)
    assert unsigned.algorithm is algorithm
    assert len(unsigned.digest) == digest_size


@pytest.mark.parametrize(
    "public_key",
    [ed25519.Ed25519PrivateKey.generate().public_key(), ec.generate_private_key(ec.SECP521R1()).public_key()],
)
def test_a_key_that_no_policy_has_signs_nothing(public_key: CertificateIssuerPublicKeyTypes) -> None:
    """P-521 would be asked for an ES256 signature."""
    with pytest.raises(ValueError, match="none of RSA-2048, RSA-3072, RSA-4096, EC-P256, EC-P384"):
        SignatureAlgorithm.of(public_key)


def test_the_signed_certificate_is_the_draft(authority: Issued) -> None:
    """A serial number drawn twice would be two certificates."""
    unsigned = draft(leaf_policy(), private_key(KeyType.EC_P256).public_key(), authority.certificate, NOW)
    answers = [signature(unsigned, authority.key) for _ in range(2)]
    first, second = map(unsigned.signed, answers)
    assert first.tbs_certificate_bytes == second.tbs_certificate_bytes == unsigned.to_be_signed
    assert first.serial_number == second.serial_number


def test_every_certificate_has_a_serial_number_of_its_own(authority: Issued) -> None:
    """RFC 5280, 4.1.2.2: positive, at most 20 octets, and unique for the issuer."""
    numbers = {issue(leaf_policy(), authority).certificate.serial_number for _ in range(20)}
    assert len(numbers) == 20
    assert all(0 < number < 1 << 159 for number in numbers)


# What is refused


def test_a_key_of_another_type_is_refused(authority: Issued) -> None:
    """Whoever made the request would decide about the key."""
    with pytest.raises(ValueError, match="the key is not EC-P256, as the policy of orders says"):
        draft(leaf_policy(), private_key(KeyType.EC_P384).public_key(), authority.certificate, NOW)


@pytest.mark.parametrize("role", [Role.NODE, Role.CLIENT])
def test_a_leaf_does_not_sign_itself(role: Role) -> None:
    with pytest.raises(ValueError, match="needs an issuer"):
        draft(leaf_policy(role=role), private_key(KeyType.EC_P256).public_key(), None, NOW)


def test_a_leaf_issues_nothing(authority: Issued) -> None:
    """Its signature verifies, and every consumer refuses what it issued (RFC 5280, 4.2.1.9)."""
    leaf = issue(leaf_policy("orders"), authority)
    with pytest.raises(ValueError, match="CN=orders,O=Contoso, is no authority"):
        issue(leaf_policy("billing"), leaf)


def test_an_old_certificate_without_extensions_issues_nothing() -> None:
    name = Subject(common_name="old").name()
    key = private_key(KeyType.EC_P256)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY).sign(
        key, hashes.SHA256()
    )
    with pytest.raises(ValueError, match="CN=old, is no authority"):
        issue(leaf_policy(), Issued(certificate, key))


def test_below_a_path_length_of_zero_there_is_no_authority(authority: Issued) -> None:
    """The chain would be refused by every consumer, leaf by leaf."""
    with pytest.raises(ValueError, match="may have no authority below it"):
        issue(authority_policy("below"), authority)
    root = issue(authority_policy("root", path_length=1))
    assert issue(authority_policy("below"), root).certificate.issuer == root.certificate.subject


# Validity


@given(policies(), instants)
def test_validity_is_whole_utc_days_and_backdated(policy: IssuancePolicy, now: datetime) -> None:
    """Two issues of one day would differ, and a clock that is behind would refuse a new certificate."""
    not_before, not_after = validity(policy, None, now)
    assert (not_before + BACKDATE).timetz() == not_after.timetz() == datetime.min.replace(tzinfo=UTC).timetz()
    assert not_before + BACKDATE <= now < not_before + BACKDATE + DAY
    assert not_after - (not_before + BACKDATE) == policy.validity_days * DAY
    assert now < not_after


@given(policies(), instants, zones)
@example(leaf_policy(), datetime(2026, 3, 29, 1, 30, tzinfo=UTC), timezone(timedelta(hours=2)))
@example(leaf_policy(), datetime(2026, 10, 24, 22, 30, tzinfo=UTC), timezone(timedelta(hours=2)))
def test_validity_is_the_same_in_every_time_zone(policy: IssuancePolicy, now: datetime, zone: timezone) -> None:
    """Two people in two countries would issue different certificates on one day; a night with 25 hours, above all."""
    assert validity(policy, None, now.astimezone(zone)) == validity(policy, None, now)


@given(policies(), instants, instants)
def test_one_day_is_one_validity(policy: IssuancePolicy, one: datetime, other: datetime) -> None:
    other = other.replace(year=one.year, month=one.month, day=one.day)
    assert validity(policy, None, one) == validity(policy, None, other)
    assert validity(policy, None, one) != validity(policy, None, one + DAY)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 500))
def test_no_leaf_outlives_its_issuer(authority_days: int, leaf_days: int, later: int) -> None:
    """A leaf that is valid longer than its authority looks well and is refused."""
    issuer = issue(authority_policy(validity_days=authority_days)).certificate
    policy = leaf_policy(validity_days=leaf_days, renew_before_days=0)
    now = NOW + later * DAY
    if issuer.not_valid_after_utc <= now:
        with pytest.raises(ValueError, match=rf"ended on {issuer.not_valid_after_utc:%Y-%m-%d}"):
            validity(policy, issuer, now)
    else:
        not_before, not_after = validity(policy, issuer, now)
        assert issuer.not_valid_before_utc <= not_before < now < not_after <= issuer.not_valid_after_utc
        assert not_after in (issuer.not_valid_after_utc, TODAY + (later + leaf_days) * DAY)


def test_the_authority_issues_until_its_last_moment() -> None:
    issuer = issue(authority_policy(validity_days=10)).certificate
    end = issuer.not_valid_after_utc
    assert validity(leaf_policy(), issuer, end - timedelta(microseconds=1))[1] == end
    with pytest.raises(ValueError, match="ended on 2026-04-08"):
        validity(leaf_policy(), issuer, end)


def test_no_leaf_predates_its_issuer() -> None:
    """An authority that was made elsewhere, this noon, has issued nothing this morning."""
    name, key = authority_policy().subject.name(), private_key(KeyType.EC_P256)
    noon = TODAY + timedelta(hours=12)
    issuer = x509.CertificateBuilder(name, name, key.public_key(), 1, noon, noon + 1000 * DAY).sign(
        key, hashes.SHA256()
    )
    assert validity(leaf_policy(), issuer, NOW) == (noon, TODAY + 90 * DAY)


def test_an_authority_that_is_not_yet_valid_issues_nothing() -> None:
    """A rehearsal with a clock in the future leaves one behind."""
    issuer = issue(authority_policy(), now=NOW + 10 * DAY).certificate
    with pytest.raises(ValueError, match="begins on 2026-04-07"):
        validity(leaf_policy(), issuer, NOW)


# Renewal


@pytest.mark.parametrize(("validity_days", "renew_before_days"), [(90, 30), (90, 89), (90, 0), (2, 1), (1, 0)])
def test_a_leaf_is_due_from_the_first_day_of_its_window(
    authority: Issued, validity_days: int, renew_before_days: int
) -> None:
    """A day too early is a write that nobody announced; a day too late, with a window of a day, is an outage."""
    policy = leaf_policy(validity_days=validity_days, renew_before_days=renew_before_days)
    certificate = issue(policy, authority).certificate
    opens = validity_days - renew_before_days
    for day in range(validity_days + 3):
        for moment in (TODAY + day * DAY, TODAY + (day + 1) * DAY - timedelta(microseconds=1)):
            assert renewal_due(certificate, policy, authority.certificate, moment) is (day >= opens), moment


@given(st.datetimes(datetime(2026, 5, 26), datetime(2026, 5, 31), timezones=st.just(UTC)), zones)
def test_a_window_opens_at_once_in_every_time_zone(authority: Issued, now: datetime, zone: timezone) -> None:
    """A colleague's preview would announce what one's own does not."""
    certificate = issue(leaf_policy(), authority).certificate
    due = renewal_due(certificate, leaf_policy(), authority.certificate, now.astimezone(zone))
    assert due is (now >= datetime(2026, 5, 28, tzinfo=UTC))


@given(policies(roles=(Role.NODE, Role.CLIENT)), st.integers(0, 1000), zones)
def test_what_was_just_renewed_is_not_due(
    authority: Issued, policy: IssuancePolicy, later: int, zone: timezone
) -> None:
    """Each run would issue anew: the second `up` must change nothing."""
    now = (NOW + later * DAY).astimezone(zone)
    certificate = issue(policy, authority, now=now).certificate
    assert not renewal_due(certificate, policy, authority.certificate, now)


@given(st.integers(0, 200))
def test_near_its_authoritys_end_a_leaf_is_not_due(day: int) -> None:
    """It could be issued every day and never last longer."""
    issuer = issue(authority_policy(validity_days=100))
    policy = leaf_policy(validity_days=90, renew_before_days=30)
    certificate = issue(policy, issuer, now=NOW + 20 * DAY).certificate
    assert certificate.not_valid_after_utc == issuer.certificate.not_valid_after_utc
    if day < 100:
        assert not renewal_due(certificate, policy, issuer.certificate, TODAY + day * DAY)
    else:
        with pytest.raises(ValueError, match="ended on"):
            renewal_due(certificate, policy, issuer.certificate, TODAY + day * DAY)


def test_once_its_authority_was_renewed_a_leaf_is_due() -> None:
    issuer = issue(authority_policy(validity_days=100))
    policy = leaf_policy(validity_days=90, renew_before_days=30)
    certificate = issue(policy, issuer, now=NOW + 20 * DAY).certificate
    renewed = issue(authority_policy(validity_days=1000), now=NOW + 75 * DAY)
    assert renewal_due(certificate, policy, renewed.certificate, NOW + 75 * DAY)


def _openssl(*arguments: str | Path) -> int:
    return subprocess.run(["openssl", *arguments], capture_output=True, check=False).returncode


def _at(instant: datetime) -> tuple[str, str]:
    return "-attime", str(int(instant.timestamp()))
