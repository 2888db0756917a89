"""Judges certificates by the rules of Temporal Cloud and of a Temporal cluster.

Three questions: may this client come in (`client_findings`), may this bundle say who comes in (`bundle_findings`),
and would what is about to be issued be refused (`obstacles`). Everything that is wrong is found at once, each rule on
its own. Whether a certificate is valid in time is judged only for whoever says what time it is.

That one certificate issued another means throughout that the names agree and the signature verifies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier, PublicKeyAlgorithmOID
from cryptography.x509.oid import SignatureAlgorithmOID as Signed

from pki import rules
from pki.chain import to_pem
from pki.held import Held, printable
from pki.name_constraints import excluded_names, is_fully_known
from pki.names import ComparableName, comparable, encoding_fault
from pki.policies import without_required_policy
from pki.policy import IssuancePolicy, Role
from pki.rules import Finding, Rule
from pki.uris import uri_fault
from pki.well_known import is_well_known

_STRONG = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_RSA_OR_ECDSA = {oid for name, oid in vars(Signed).items() if name.startswith(("RSA", "ECDSA"))}
_CLIENT_USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_KNOWN_EXTENSIONS = {
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.INHIBIT_ANY_POLICY,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.POLICY_MAPPINGS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
}
_NEVER_CRITICAL = {
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: "authority information access",
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authority key identifier",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "subject key identifier",
}
_MOST_WAYS = 32
"""How many ways up are looked at: authorities that certify each other make more than anybody wants to wait for."""


def held(certificates: Iterable[x509.Certificate], file: str = "") -> list[Held]:
    """Return certificates with their positions, from 1. Raises ValueError if one cannot be read through."""
    return [Held.of(certificate, position=place, file=file) for place, certificate in enumerate(certificates, 1)]


def client_findings(
    presented: Sequence[Held], accepted: Sequence[Held] | None = None, at: datetime | None = None
) -> list[Finding]:
    """Return what keeps a client out that presents these certificates, its own first.

    `accepted` is the CA bundle that it must chain to. Without one the chain is followed as far as it goes, and is
    incomplete only if certificates were presented that it does not reach. Of several ways up the best one counts.
    """
    if not presented:
        return [Finding(rule=rules.CERTIFICATE_PRESENT, what="holds no certificate")]
    anchors = {each.certificate for each in accepted or ()}
    ways = _Pool([*presented, *(accepted or ())]).ways(presented[0])
    if accepted is not None:
        ways = [cut for way in ways if (cut := _up_to_the_last(way, anchors))] or [_longest(ways)]
    elif len({each.certificate for each in presented}) > 1:
        ways = [way for way in ways if way[-1].is_root] or [_longest(ways)]
    judged = [(way, [*_way_findings(way, at)]) for way in ways]
    way, findings = min(judged, key=lambda each: (len(each[1]), -len(each[0])))
    if accepted is not None:
        complete = way[-1].certificate in anchors
    else:
        complete = way[-1].is_root or len(way) == len({each.certificate for each in presented})
    if not complete:
        findings.append(_missing_link(way[-1], [*presented, *(accepted or ())]))
    return findings


def bundle_findings(
    bundle: Sequence[Held], *, filters: bool = False, at: datetime | None = None, size_bytes: int | None = None
) -> list[Finding]:
    """Return what keeps a CA bundle from being accepted; `filters` says that certificate filters are set.

    `size_bytes` is that of the PEM as it would be uploaded; by default, of the certificates alone.
    """
    if not bundle:
        return [Finding(rule=rules.CERTIFICATE_PRESENT, what="holds no certificate")]
    findings: list[Finding] = []
    first: dict[x509.Certificate, Held] = {}
    for each in bundle:
        if (earlier := first.setdefault(each.certificate, each)) is not each:
            findings.append(_found(rules.BUNDLE_DUPLICATES, each, f"is the same as {earlier.place.position}"))
    if len(bundle) > rules.MOST_IN_A_BUNDLE:
        findings.append(Finding(rule=rules.BUNDLE_COUNT, what=f"holds {len(bundle)} certificates"))
    size = size_bytes if size_bytes is not None else sum(len(to_pem(each.certificate)) for each in bundle)
    if size > rules.LARGEST_BUNDLE_BYTES:
        findings.append(Finding(rule=rules.BUNDLE_SIZE, what=f"has {size} bytes"))
    distinct = [*first.values()]
    pool = _Pool(distinct)
    for each in distinct:
        findings += _certificate_findings(each, at)
        findings += _authority_findings(each)
        if not filters and is_well_known(each):
            findings.append(_found(rules.WELL_KNOWN_AUTHORITY, each, "is a public authority, or one below it"))
        ways = pool.ways(each)
        if len(ways[0]) == 1 and not each.is_root:
            findings.append(_missing_link(each, distinct, rules.BUNDLE_CLOSED))
        chained = (
            [
                *_name_findings(way),
                *_path_length_findings(way, first_is_authority=True),
                *_name_constraint_findings(way),
            ]
            for way in ways
        )
        findings += [finding for finding in min(chained, key=len) if _is_new(finding, findings)]
    return findings


def authority_findings(authority: x509.Certificate, at: datetime | None = None) -> list[Finding]:
    """Return why what an authority issues would be refused, as far as its own certificate says.

    Raises ValueError if the certificate cannot be read through.
    """
    (own,) = held([authority])
    return [*_certificate_findings(own, at), *_authority_findings(own)]


def obstacles(policy: IssuancePolicy, issuers: Sequence[x509.Certificate], at: datetime | None = None) -> list[Finding]:
    """Return why a certificate under `policy` would be refused once issued: what is wrong with those above it.

    `issuers` are its issuer, then whoever issued that, as far as known; none for an authority that signs itself.
    Positions count from the issuer. Raises ValueError if one of them cannot be read through.
    """
    above = held(issuers)
    findings: list[Finding] = []
    for each in above:
        findings += _certificate_findings(each, at)
        findings += _authority_findings(each)
    for lower, upper in pairwise(above):
        if not lower.was_issued_by(upper):
            findings.append(_missing_link(lower, above))
    own_name = comparable(policy.subject.name())
    findings += [
        _found(rules.UNIQUE_NAMES, each, f"has the name of what it is to issue, {policy.subject.common_name}")
        for each in above
        if each.name == own_name
    ]
    findings += _name_findings(above)
    findings += _path_length_findings(above, first_is_authority=True, below=_levels(policy))
    if requiring := without_required_policy([*[None] * (_levels(policy) + 1), *above]):
        what = f"requires certificate policies, and what it is to issue, {policy.subject.common_name}, has none"
        findings.append(_found(rules.CERTIFICATE_POLICIES, requiring, what))
    names = policy.subject_alternative_names.general_names()
    if policy.name_constraints is not None:
        names += policy.name_constraints.extension().permitted_subtrees or []
    for each in above:
        findings += [
            _found(
                rules.NAME_CONSTRAINTS,
                each,
                f"excludes the {name} of what it is to issue, {policy.subject.common_name}",
            )
            for name in _excluded(each, names)
        ]
    return findings


def _levels(policy: IssuancePolicy) -> int:
    """Return how many authorities a certificate under `policy` adds to a way: itself, and those meant for below it."""
    return 1 + (policy.path_length or 0) if policy.role is Role.AUTHORITY else 0


# One certificate


def _found(rule: Rule, at: Held, what: str) -> Finding:
    return Finding(rule=rule, place=at.place, what=what)


def _certificate_findings(each: Held, at: datetime | None) -> Iterator[Finding]:
    """Judge what every certificate must be, whoever has it."""
    if each.certificate.version is not x509.Version.v3:
        yield _found(rules.X509V3, each, f"is X.509 version {each.certificate.version.name.removeprefix('v')}")
    yield from _signature_findings(each)
    if not _is_known_key(each):
        yield _found(rules.KEY_ALGORITHM, each, f"has {_described_key(each)}")
    elif isinstance(each.public_key, rsa.RSAPublicKey) and each.public_key.key_size < rules.SMALLEST_RSA_BITS:
        yield _found(rules.KEY_SIZE, each, f"has an RSA key of {each.public_key.key_size} bits")
    if each.place.serial.startswith("-"):
        yield _found(rules.SERIAL_NUMBER, each, "has a negative serial number")
    for whose, own in (("subject", each.certificate.subject), ("issuer", each.certificate.issuer)):
        if fault := encoding_fault(own):
            yield _found(rules.NAME_ENCODING, each, f"has {fault} in its {whose}'s name")
    if each.extensions is None:
        yield _found(rules.EXTENSIONS_READABLE, each, each.unreadable)
    if each.can_have_extensions:
        for extension in each.extensions or ():
            if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
                what = f"has the critical extension {extension.oid.dotted_string}"
                yield _found(rules.CRITICAL_EXTENSIONS, each, what)
            if extension.critical and (never := _NEVER_CRITICAL.get(extension.oid)):
                yield _found(rules.NOT_CRITICAL, each, f"has its {never} marked critical")
            if (
                extension.critical
                and isinstance(extension.value, x509.NameConstraints)
                and not is_fully_known(extension.value)
            ):
                what = "has critical name constraints for other than DNS names, addresses, e-mail addresses and URIs"
                yield _found(rules.CRITICAL_EXTENSIONS, each, what)
        names = each.extension(x509.SubjectAlternativeName)
        for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if names else ():
            if fault := uri_fault(uri):
                yield _found(rules.URI_READABLE, each, f"has the URI {printable(uri)}, which {fault}")
        usages = each.extension(x509.ExtendedKeyUsage)
        if usages is not None and not _CLIENT_USAGES & {*usages}:
            yield _found(rules.EXTENDED_KEY_USAGE, each, "has extended key usages, and clientAuth is none of them")
    if at is not None and at < (begins := each.certificate.not_valid_before_utc):
        yield _found(rules.NOT_YET_VALID, each, f"begins on {begins:%Y-%m-%d %H:%M} UTC")
    if at is not None and at > (ends := each.certificate.not_valid_after_utc):
        yield _found(rules.EXPIRED, each, f"ended on {ends:%Y-%m-%d %H:%M} UTC")


def _signature_findings(each: Held) -> Iterator[Finding]:
    oid = each.certificate.signature_algorithm_oid
    try:
        algorithm = each.certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        algorithm = None
    if oid not in _RSA_OR_ECDSA or algorithm is None:
        yield _found(rules.SIGNATURE_ALGORITHM, each, f"is signed with {_name_of(oid)}")
    elif not isinstance(algorithm, _STRONG):
        yield _found(rules.SIGNATURE_HASH, each, f"is signed with {algorithm.name.upper()}")
    elif oid == Signed.RSASSA_PSS and not _is_known_padding(each, algorithm):
        what = f"is signed with RSA-PSS, and not with MGF1 of {algorithm.name.upper()}"
        yield _found(rules.SIGNATURE_PADDING, each, f"{what} and a salt of {algorithm.digest_size} bytes")


def _is_known_padding(each: Held, algorithm: hashes.HashAlgorithm) -> bool:
    try:
        found = each.certificate.signature_algorithm_parameters
    except (UnsupportedAlgorithm, ValueError):
        return False
    return (
        isinstance(found, padding.PSS)
        and found.mgf._algorithm.name == algorithm.name
        and found._salt_length == algorithm.digest_size
    )


def _is_known_key(each: Held) -> bool:
    if isinstance(each.public_key, ec.EllipticCurvePublicKey):
        return isinstance(each.public_key.curve, _CURVES)
    is_pss_only = each.certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
    return isinstance(each.public_key, rsa.RSAPublicKey) and not is_pss_only


def _described_key(each: Held) -> str:
    if isinstance(each.public_key, ec.EllipticCurvePublicKey):
        return f"a key on the curve {each.public_key.curve.name}"
    return f"a key for {_name_of(each.certificate.public_key_algorithm_oid)}"


_KEY_NAMES = {oid: name for name, oid in vars(PublicKeyAlgorithmOID).items() if isinstance(oid, ObjectIdentifier)}


def _name_of(oid: ObjectIdentifier) -> str:
    return _KEY_NAMES.get(oid, oid.dotted_string if oid._name == "Unknown OID" else oid._name)


def _leaf_findings(each: Held) -> Iterator[Finding]:
    if not each.can_have_extensions:
        return
    constraints, usage = each.extension(x509.BasicConstraints), each.extension(x509.KeyUsage)
    if constraints is None or constraints.ca:
        yield _found(rules.LEAF_NOT_AUTHORITY, each, "has CA:TRUE" if constraints else "has no basic constraints")
    if usage is None or not usage.digital_signature:
        what = "has no key usage" if usage is None else "has a key usage without digitalSignature"
        yield _found(rules.DIGITAL_SIGNATURE, each, what)


def _authority_findings(each: Held) -> Iterator[Finding]:
    if not each.can_have_extensions:
        return
    constraints, usage = each.extension(x509.BasicConstraints), each.extension(x509.KeyUsage)
    if constraints is None or not constraints.ca:
        yield _found(rules.AUTHORITY, each, "has CA:FALSE" if constraints else "has no basic constraints")
    if usage is not None and not usage.key_cert_sign:
        yield _found(rules.AUTHORITY_KEY_USAGE, each, "has a key usage without keyCertSign")


# Several certificates


class _Pool:
    """Certificates among which issuers are looked for; each signature is verified once."""

    def __init__(self, pool: Iterable[Held]) -> None:
        self._by_name: dict[ComparableName, list[Held]] = defaultdict(list)
        self._issuers: dict[x509.Certificate, list[Held]] = {}
        seen: set[x509.Certificate] = set()
        for each in pool:
            if each.certificate not in seen:
                seen.add(each.certificate)
                self._by_name[each.name].append(each)

    def ways(self, start: Held) -> list[list[Held]]:
        """Return the ways up from `start`, each as far as it goes; at least one, of `start` alone."""
        found: list[list[Held]] = []
        open_ways = [[start]]
        while open_ways and len(found) < _MOST_WAYS:
            way = open_ways.pop()
            seen = {each.certificate for each in way}
            further = [each for each in self._issuers_of(way[-1]) if each.certificate not in seen]
            if further:
                open_ways += [[*way, each] for each in further]
            else:
                found.append(way)
        return found

    def _issuers_of(self, each: Held) -> list[Held]:
        """Return who issued a certificate; above a root there is nobody."""
        if each.certificate not in self._issuers:
            named = [] if each.is_root else self._by_name[each.issuer_name]
            self._issuers[each.certificate] = [upper for upper in named if each.was_issued_by(upper)]
        return self._issuers[each.certificate]


def _longest(ways: Sequence[list[Held]]) -> list[Held]:
    return max(ways, key=len)


def _up_to_the_last(way: list[Held], anchors: set[x509.Certificate]) -> list[Held]:
    """Return a way as far as it is trusted: nothing if no certificate of it is an anchor."""
    return way[: max((index for index, each in enumerate(way, 1) if each.certificate in anchors), default=0)]


def _way_findings(way: Sequence[Held], at: datetime | None) -> Iterator[Finding]:
    for index, each in enumerate(way):
        yield from _certificate_findings(each, at)
        yield from _authority_findings(each) if index else _leaf_findings(each)
    yield from _name_findings(way)
    yield from _path_length_findings(way, first_is_authority=False)
    yield from _name_constraint_findings(way)
    if requiring := without_required_policy(way):
        what = f"has no certificate policy in common with those above it, and {requiring.subject} requires one"
        yield _found(rules.CERTIFICATE_POLICIES, way[0], what)


def _name_findings(way: Sequence[Held]) -> Iterator[Finding]:
    """Judge the names along a way; the lower of two certificates is told, since it is easier to issue anew."""
    for index, each in enumerate(way):
        if namesake := next((upper for upper in way[index + 1 :] if upper.name == each.name), None):
            yield _found(rules.UNIQUE_NAMES, each, f"has the name of one above it, {namesake.subject}")


def _path_length_findings(way: Sequence[Held], *, first_is_authority: bool, below: int = 0) -> Iterator[Finding]:
    """Judge path lengths; those that certify their own name do not count (RFC 5280, 6.1.4 (l))."""
    for index, each in enumerate(way):
        constraints = each.extension(x509.BasicConstraints) if each.can_have_extensions else None
        if constraints is not None and constraints.ca and constraints.path_length is not None and (index or below):
            lower = way[:index] if first_is_authority else way[1:index]
            count = below + sum(item.name != item.issuer_name for item in lower)
            if count > constraints.path_length:
                what = f"allows {constraints.path_length or 'no'} authorities below it, and has {count}"
                yield _found(rules.PATH_LENGTH, each, what)


def _name_constraint_findings(way: Sequence[Held]) -> Iterator[Finding]:
    """Judge the names along a way; an authority that certifies its own name need not keep to what is above it."""
    for index, each in enumerate(way):
        names = each.extension(x509.SubjectAlternativeName)
        if names is None or (index and each.name == each.issuer_name):
            continue
        for upper in way[index + 1 :]:
            for name in _excluded(upper, names):
                yield _found(rules.NAME_CONSTRAINTS, each, f"has the {name}, which {upper.subject} excludes")


def _excluded(authority: Held, names: Iterable[x509.GeneralName]) -> Iterator[str]:
    constraints = authority.extension(x509.NameConstraints) if authority.can_have_extensions else None
    return excluded_names(constraints, names) if constraints is not None else iter(())


def _missing_link(last: Held, pool: Sequence[Held], rule: Rule = rules.CHAIN_COMPLETE) -> Finding:
    if last.is_root:
        return _found(rule, last, "is a root that is not among those trusted")
    if any(each.name == last.issuer_name and each.certificate != last.certificate for each in pool):
        return _found(rule, last, f"names {last.issuer} as its issuer, whose key at hand did not sign it")
    if last.name == last.issuer_name:
        return _found(rule, last, "names itself as its issuer, and its key did not sign it")
    return _found(rule, last, f"was issued by {last.issuer or '(no name)'}, which is not among those given")


def _is_new(finding: Finding, earlier: Sequence[Finding]) -> bool:
    """Tell whether nothing was said of this rule and certificate: ways have authorities in common."""
    return all((finding.rule, finding.place) != (each.rule, each.place) for each in earlier)
