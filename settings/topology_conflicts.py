"""What is wrong with how authorities stand to each other, and with those that were there before.

What an issuer elsewhere made, and what is brought along, is at hand as PEM: it is judged here, before anything exists.
Whether it is of the right key only a vault knows; whether it is valid in time, only whoever knows what time it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509

from pki import IssuancePolicy, Role, authority_findings, deviations, load_certificate, obstacles, outlived
from pki.chain import issued
from pki.openssl import extension_lines
from settings.problems import Location, Problem, listed, quoted
from settings.resolved import AuthoritySettings, GenerationSettings, Settings
from settings.values import LONGEST_NAME_PART, encoded_length

_ORIGINS = {"certificatePem": "certificate_pem", "vaultCertificate": "vault_certificate", "issuedPem": "issued_pem"}
_SEE = "See docs/topologies.md."


def topology_conflicts(settings: Settings) -> Iterator[Problem]:
    """Find what does not fit together."""
    for authority in settings.certificate_authorities.values():
        yield from _issuer(authority, settings)
        for generation in authority.generations.values():
            yield from _origin(authority, generation, settings)
            yield from _brought_along(authority, generation, settings)
            yield from _issued_elsewhere(authority, generation, settings)
    for certificate in settings.certificates.values():
        issuer = settings.certificate_authorities.get(certificate.issuer)
        if issuer is not None and issuer.signing_generation is not None and not issuer.has_key:
            here = ("certificates", certificate.name, "issuer")
            yield _without_key(
                here, issuer, "Name an authority under certificates that issues here, or an intermediate"
            )


def _here(authority: AuthoritySettings, *steps: str | int) -> Location:
    return ("certificateAuthorities", authority.name, *steps)


def _generation(authority: AuthoritySettings, generation: GenerationSettings, *steps: str) -> Location:
    return _here(authority, "generations", str(generation.number), *steps)


def _without_key(here: Location, issuer: AuthoritySettings, fix: str) -> Problem:
    return Problem(
        here,
        f"authority {issuer.name} is here as a certificate alone",
        "Its key is elsewhere, and nothing could be issued.",
        f"{fix} (issuer: {issuer.name}), whose signing request it signs. {_SEE}",
        rests_on=(_here(issuer),),
    )


def _issuer(authority: AuthoritySettings, settings: Settings) -> Iterator[Problem]:
    here = _here(authority, "issuer")
    if authority.issuer is None:
        return
    issuer = settings.certificate_authorities.get(authority.issuer)
    others = listed(sorted(settings.certificate_authorities.keys() - {authority.name})) or "none: add one"
    if authority.issuer == authority.name:
        yield Problem(
            here,
            "is the authority itself",
            "Nothing would stand above it.",
            f"Leave issuer out for an authority that signs itself, or use one of: {others}.",
        )
    elif issuer is None:
        yield Problem(
            here,
            f"there is no authority named {quoted(authority.issuer)}",
            "Nothing would sign it.",
            f"Use one of: {others}.",
            rests_on=(("certificateAuthorities", authority.issuer),),
        )
    elif authority in settings.above(authority.name):
        way = " → ".join([authority.name, *(each.name for each in settings.above(authority.name))])
        yield Problem(
            here,
            f"goes round: {way}",
            "Each would wait for another to sign it.",
            "Leave issuer out where the tree begins: its root signs itself.",
            rests_on=tuple(_here(each, "issuer") for each in settings.above(authority.name)),
        )
    elif is_made_here(authority) and is_made_here(issuer) and authority.validity_days > issuer.validity_days:
        yield Problem(
            _here(authority, "validityDays"),
            f"is {authority.validity_days}, and its issuer {issuer.name} lives {issuer.validity_days} days",
            "An authority is worth nothing once its issuer has ended.",
            f"Use at most {issuer.validity_days}.",
            rests_on=(here, _here(issuer, "validityDays"), _here(issuer, "generations")),
        )


def is_made_here(authority: AuthoritySettings) -> bool:
    """Tell whether its settings decide how long the signing generation is valid."""
    signing = authority.signing_generation
    return signing is not None and not (
        signing.is_brought_along or signing.issued_pem is not None or signing.awaits_certificate
    )


def _origin(authority: AuthoritySettings, generation: GenerationSettings, settings: Settings) -> Iterator[Problem]:
    given = [name for name, field in _ORIGINS.items() if getattr(generation, field) is not None]
    if len(given) > 1:
        yield Problem(
            _generation(authority, generation),
            f"has {' and '.join(given)}",
            "It would be left to chance which one counts.",
            "Keep the one that says where the authority's key is.",
        )
    if generation.issued_pem is None or generation.is_brought_along:
        return
    issuer = settings.certificate_authorities.get(authority.issuer or "")
    here = _generation(authority, generation, "issuedPem")
    if authority.issuer is None:
        yield Problem(
            here,
            "is given, and the authority has no issuer",
            "It would have no effect: the authority signs itself.",
            "Name the issuer that made it, which has a certificatePem; or leave issuedPem out.",
            rests_on=(_here(authority, "issuer"),),
        )
    elif issuer is not None and issuer.signing_generation is not None and issuer.has_key:
        yield Problem(
            here,
            f"is given, and the key of authority {issuer.name} is at hand",
            "It would have no effect: the authority is issued here.",
            f"Leave it out; or give {issuer.name} a certificatePem, if its key is elsewhere.",
            rests_on=(_here(authority, "issuer"), _here(issuer)),
        )


def _brought_along(
    authority: AuthoritySettings, generation: GenerationSettings, settings: Settings
) -> Iterator[Problem]:
    if generation.certificate_pem is None:
        return
    here = _generation(authority, generation, "certificatePem")
    certificate = load_certificate(generation.certificate_pem)
    yield from _unfit(here, certificate)
    issuers = _issuers_pem(authority, settings)
    if issuers and not any(issued(certificate, by=issuer) for issuer in issuers):
        yield Problem(
            here,
            f"was issued by {certificate.issuer.rfc4514_string()}, and not by authority {authority.issuer}",
            "What it issued would lead nowhere.",
            "Name the authority that issued it, or leave issuer out.",
            rests_on=(_here(authority, "issuer"), ("certificateAuthorities", str(authority.issuer))),
        )


def _unfit(here: Location, certificate: x509.Certificate) -> Iterator[Problem]:
    try:
        findings = authority_findings(certificate)
    except ValueError as error:
        yield Problem(here, f"cannot be read through: {error}", "Nobody could trust it.", "Export it once more.")
        return
    for finding in findings:
        yield Problem(
            here,
            f"is refused as an authority: it {finding.what} [{finding.rule.identifier}]",
            finding.rule.consequence,
            finding.rule.fix,
        )


def _issuers_pem(authority: AuthoritySettings, settings: Settings) -> list[x509.Certificate]:
    """Return the certificates of its issuer, or nothing unless all of them are at hand."""
    issuer = settings.certificate_authorities.get(authority.issuer or "")
    pems = [generation.certificate_pem for generation in issuer.generations.values()] if issuer else []
    return [load_certificate(pem) for pem in pems if pem] if all(pems) else []


def _issued_elsewhere(
    authority: AuthoritySettings, generation: GenerationSettings, settings: Settings
) -> Iterator[Problem]:
    """Find in what a certificate differs from the one that was asked for, but for its key."""
    issuer = settings.certificate_authorities.get(authority.issuer or "")
    signing = issuer.signing_generation if issuer else None
    if issuer is None or signing is None or signing.certificate_pem is None or generation.is_brought_along:
        return
    policy = None
    if encoded_length(generation.common_name) <= LONGEST_NAME_PART:
        policy = authority.policy(generation.number)
    if generation.issued_pem is None or policy is None:
        return
    here = _generation(authority, generation, "issuedPem")
    certificate = load_certificate(generation.issued_pem)
    yield from _unfit(here, certificate)
    above = [load_certificate(signing.certificate_pem)]
    try:
        wrong = deviations(certificate, policy, above[0])
        wrong += outlived(certificate, above[0])
        wrong += [f"of its issuers, {finding}" for finding in obstacles(policy, above)]
    except ValueError as error:
        wrong = [str(error)]
    if wrong:
        yield Problem(
            here,
            f"is not what is asked for: {'; '.join(wrong).removesuffix('.')}",
            "Nothing that it issues would be what these settings say, or nobody would accept it.",
            f"Have {issuer.name} sign the request certificateSigningRequests.{generation.certificate_name} anew, for "
            f"{_asked_for(policy)}\n{_SEE}",
            rests_on=(
                _here(authority),
                *((_here(issuer, "generations")),),
                *(("certificates", leaf.name) for leaf in settings.below(authority.name)),
            ),
        )


def unwise_topology(settings: Settings) -> Iterator[Problem]:
    """Find what deserves a warning."""
    for authority in settings.certificate_authorities.values():
        yield from _one_for_all(authority, settings)
        for name in authority.idle:
            yield Problem(
                ("certificateAuthorities", authority.name, *_steps(name)),
                "has no effect",
                "The certificate that is brought along is what it is.",
                "Leave it out.",
            )
        for generation in authority.generations.values():
            if generation.awaits_certificate:
                yield _awaiting(authority, generation, settings)


def _steps(name: str) -> tuple[str, ...]:
    return tuple(name.replace("[", ".").replace("]", "").split("."))


def _one_for_all(authority: AuthoritySettings, settings: Settings) -> Iterator[Problem]:
    issued_here = [leaf for leaf in settings.certificates.values() if leaf.issuer == authority.name]
    nodes = [leaf for leaf in issued_here if leaf.role is Role.NODE]
    clients = [leaf for leaf in settings.below(authority.name) if leaf.role is Role.CLIENT]
    through = "" if all(leaf in issued_here for leaf in clients) else ", some through authorities below it"
    if nodes and clients:
        yield Problem(
            ("certificateAuthorities", authority.name),
            f"signs the server's certificate and those of clients ({listed(leaf.name for leaf in clients)}){through}",
            "Whoever holds one of these passes for a part of the server, and the internal frontend admits them as an "
            "administrator of every namespace, whatever sign-on says.",
            "Give clients an authority of their own.",
        )


def _awaiting(authority: AuthoritySettings, generation: GenerationSettings, settings: Settings) -> Problem:
    name = generation.certificate_name
    waiting = [leaf.name for leaf in settings.below(authority.name) if settings.awaited_by(leaf.issuer) is not None]
    policy = authority.policy(generation.number)
    return Problem(
        ("certificateAuthorities", authority.name, "generations", str(generation.number)),
        f"waits for its certificate from {authority.issuer}, whose key is elsewhere",
        f"Until then these are not issued: {listed(waiting)}." if waiting else "Until then it is trusted by nobody.",
        f"After `up`, take its request there: pulumi stack output certificateSigningRequests --json | jq --raw-output "
        f"'.[\"{name}\"]'. Then set issuedPem here. {_SEE} The request is to be signed for {_asked_for(policy)}",
    )


def _asked_for(policy: IssuancePolicy) -> str:
    """Return what a certificate is to have, as openssl is told."""
    subject = policy.subject.name().rfc4514_string()
    return "\n      ".join([f"the subject {subject} with these extensions, and no others:", *extension_lines(policy)])
