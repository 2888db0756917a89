"""What is wrong with what a stack says about Temporal Cloud, across settings: who can connect where.

A Cloud namespace lets a certificate in when one of its authorities issued it and one of its filters matches it. So each
of a namespace's own certificates has to pass both, and no other certificate may match, unless it is meant to be shared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pki import CertificateFilter, Role, largest_pem, load_certificate
from pki.chain import issued
from pki.cloud_access import LARGEST_BUNDLE, MOST_AUTHORITIES
from pki.filters import faults
from settings.problems import Location, Problem, listed, quoted
from settings.resolved import (
    LOCAL_STACK,
    AuthoritySettings,
    CertificateSettings,
    CloudNamespaceSettings,
    GenerationSettings,
    Settings,
)
from settings.values import LONGEST_NAME_PART, encoded_length

_ROOT = ("temporalCloud", "namespaces")
_SHOWN_MISSES = 3


def temporal_cloud_conflicts(settings: Settings) -> Iterator[Problem]:
    """Find what does not fit together."""
    for namespace in settings.temporal_cloud.values():
        yield from _authorities(namespace, settings)
        yield from _bundle(namespace, settings)
        yield from _open_ends(namespace, settings)
        yield from _certificates(namespace, settings)
        yield from _derived_filters(namespace)
        yield from _own(namespace, settings)
        if not namespace.shared:
            yield from _strangers(namespace, settings)


def unwise_temporal_cloud(settings: Settings) -> Iterator[Problem]:
    """Find what deserves a warning."""
    for namespace in settings.temporal_cloud.values():
        if namespace.apply and settings.stack == LOCAL_STACK:
            yield Problem(
                _here(namespace, "apply"),
                f"is true in the stack {LOCAL_STACK}",
                "The namespace would let in whoever reads the keys of its authorities, which lie on this machine.",
                "Leave it out, and use it in a stack on Azure.",
            )
        given = {"exclusive": namespace.exclusive, "timeoutSeconds": namespace.timeout_seconds}
        for name in (name for name, value in given.items() if value and not namespace.apply):
            yield Problem(
                _here(namespace, name),
                f"is {json.dumps(given[name])}, and apply is not",
                "It has no effect: nothing is set in Temporal Cloud.",
                "Set apply: true, or leave it out.",
            )


def _here(namespace: CloudNamespaceSettings, *steps: str) -> Location:
    return (*_ROOT, namespace.name, *steps)


def _bases(certificate: str) -> tuple[Location, ...]:
    """Return the settings that say what a certificate is."""
    here = ("certificates", certificate)
    return (here, *((*here, name) for name in ("dnsNames", "ipAddresses", "uris", "emails")))


def _authorities(namespace: CloudNamespaceSettings, settings: Settings) -> Iterator[Problem]:
    told = {certificate.issuer for certificate in settings.certificates.values()}
    for name in namespace.authorities:
        if name not in settings.certificate_authorities and name not in told:
            yield Problem(
                _here(namespace, "authorities"),
                f"there is no authority named {quoted(name)}",
                "The namespace could not trust it.",
                f"Use one of: {listed(sorted(settings.certificate_authorities))}.",
                rests_on=(("certificateAuthorities", name),),
            )


def _bundle(namespace: CloudNamespaceSettings, settings: Settings) -> Iterator[Problem]:
    own = [
        (authority, generation)
        for name in namespace.authorities
        if (authority := settings.certificate_authorities.get(name))
        for generation in authority.generations.values()
    ]
    above = [
        (upper, upper.generations[upper.signing])
        for authority, _ in own
        for upper in settings.above(authority.name)
        if upper.signing in upper.generations
    ]
    trusted = [*own, *(each for index, each in enumerate(above) if each not in own and each not in above[:index])]
    rests_on = tuple(("certificateAuthorities", name, "generations") for name in namespace.authorities)
    here, fix = _here(namespace, "authorities"), "Name fewer authorities, or remove generations that nobody needs."
    if len(trusted) > MOST_AUTHORITIES:
        yield Problem(
            here,
            f"have {len(trusted)} trusted generations together",
            f"Temporal Cloud takes at most {MOST_AUTHORITIES} certificates in a CA bundle.",
            fix,
            rests_on=rests_on,
        )
        return
    size = sum(_largest_size(authority, generation, settings) for authority, generation in trusted)
    if size > LARGEST_BUNDLE:
        yield Problem(
            here,
            f"make a CA bundle of {size} bytes",
            f"Temporal Cloud takes at most {LARGEST_BUNDLE}.",
            f"{fix} Authorities with a keyType of EC-P256 or EC-P384 need less than half of it.",
            rests_on=rests_on,
        )


def _largest_size(authority: AuthoritySettings, generation: GenerationSettings, settings: Settings) -> int:
    """Return how many bytes a generation takes at most, or none for what is another finding, or is in a vault."""
    if pem := generation.certificate_pem or generation.issued_pem:
        return len(pem)
    if generation.is_brought_along or encoded_length(generation.common_name) > LONGEST_NAME_PART:
        return 0
    for issuer in settings.above(authority.name)[:1]:
        signing = issuer.signing_generation
        if signing is not None and encoded_length(signing.common_name) <= LONGEST_NAME_PART:
            return largest_pem(authority.policy(generation.number), issuer.policy(signing.number))
    return largest_pem(authority.policy(generation.number))


def _open_ends(namespace: CloudNamespaceSettings, settings: Settings) -> Iterator[Problem]:
    """Find authorities that somebody else issued, and nobody here: Temporal Cloud wants all up to the root."""
    for name in namespace.authorities:
        if name not in settings.certificate_authorities:
            continue
        top = [settings.certificate_authorities[name], *settings.above(name)][-1]
        for generation in top.generations.values():
            pem = generation.certificate_pem
            certificate = load_certificate(pem) if pem and top.issuer is None else None
            if certificate is not None and not issued(certificate, by=certificate):
                yield Problem(
                    _here(namespace, "authorities"),
                    f"{top.name} was issued by {certificate.issuer.rfc4514_string()}, which is no authority here",
                    "Temporal Cloud takes roots, and what others in the bundle issued.",
                    f"Add that one under certificateAuthorities, with its certificatePem, as the issuer of {top.name}.",
                    rests_on=(("certificateAuthorities", top.name),),
                )


def _certificates(namespace: CloudNamespaceSettings, settings: Settings) -> Iterator[Problem]:
    here = _here(namespace, "certificates")
    clients = [name for name, leaf in settings.certificates.items() if leaf.role is Role.CLIENT]
    if not namespace.certificates:
        yield Problem(here, "is empty", "Nobody could connect to the namespace.", f"Use some of: {listed(clients)}.")
    for name in namespace.certificates:
        certificate = settings.certificates.get(name)
        if certificate is None:
            is_authority = name in settings.certificate_authorities
            yield Problem(
                here,
                f"{quoted(name)} is an authority" if is_authority else f"there is no certificate named {quoted(name)}",
                "Nobody could connect with it.",
                f"Name it under certificates, or use one of: {listed(clients)}.",
                rests_on=(("certificates", name),),
            )
        elif certificate.role is not Role.CLIENT:
            yield Problem(
                here,
                f"{quoted(name)} is the server's certificate",
                "Whoever connects to Temporal Cloud with it would hold the key of your own cluster's nodes.",
                f"Use one of: {listed(clients)}.",
            )
        elif not _is_trusted(certificate, namespace) and _knows_its_authorities(certificate, namespace, settings):
            yield Problem(
                here,
                f"{quoted(name)} is issued by {certificate.issuer}, which is not among the namespace's authorities",
                "Temporal Cloud would refuse it.",
                f"Add {certificate.issuer} to them, or leave authorities out.",
                rests_on=(("certificates", name), _here(namespace, "authorities")),
            )


def _is_trusted(certificate: CertificateSettings, namespace: CloudNamespaceSettings) -> bool:
    return certificate.issuer in namespace.authorities


def _knows_its_authorities(
    certificate: CertificateSettings, namespace: CloudNamespaceSettings, settings: Settings
) -> bool:
    """Tell whether the authorities at hand exist; otherwise another finding says which do not."""
    return {certificate.issuer, *namespace.authorities} <= settings.certificate_authorities.keys()


def _derived_filters(namespace: CloudNamespaceSettings) -> Iterator[Problem]:
    """Find what is wrong with filters that nobody wrote: those that are written have been checked already."""
    for fault in faults(namespace.filters):
        yield Problem(
            _here(namespace, "filters"),
            f"the default does not do: {fault.where} {fault.what}",
            fault.consequence,
            "Set filters.",
            rests_on=(_here(namespace, "certificates"), *(("certificates", name) for name in namespace.certificates)),
        )
        return


def _own(namespace: CloudNamespaceSettings, settings: Settings) -> Iterator[Problem]:
    for name in namespace.certificates:
        certificate = settings.certificates.get(name)
        if certificate is None or certificate.role is not Role.CLIENT:
            continue
        if any(entry.matches(certificate.names) for entry in namespace.filters):
            continue
        misses = [
            f"filters[{index}] asks for {_miss(entry, certificate)}" for index, entry in enumerate(namespace.filters)
        ]
        if len(misses) > _SHOWN_MISSES:
            misses = [*misses[:_SHOWN_MISSES], f"{len(misses) - _SHOWN_MISSES} more do not match either"]
        wanted = CertificateFilter(common_name=certificate.common_name, organization=certificate.organization).given
        yield Problem(
            _here(namespace, "filters"),
            f"none matches its certificate {name}: {'; '.join(misses)}",
            "Temporal Cloud would refuse the certificate.",
            f"Add one for it, like {json.dumps(wanted, ensure_ascii=False)}, or leave filters out.",
            rests_on=(_here(namespace, "certificates"), *_bases(name)),
        )


def _miss(entry: CertificateFilter, certificate: CertificateSettings) -> str:
    """Say why a filter does not match."""
    field = entry.mismatches(certificate.names)[0]
    names = certificate.names.under(field)
    return f"{field} {quoted(entry.given[field])}, and it has {listed(map(quoted, names)) or 'none'}"


def _strangers(namespace: CloudNamespaceSettings, settings: Settings) -> Iterator[Problem]:
    for certificate in settings.certificates.values():
        if certificate.name in namespace.certificates:
            continue
        homes = [other.name for other in settings.temporal_cloud.values() if certificate.name in other.certificates]
        trusted = _is_trusted(certificate, namespace)
        matching = [(index, entry) for index, entry in enumerate(namespace.filters) if entry.matches(certificate.names)]
        if not matching or not (homes or trusted):
            continue
        index, entry = matching[0]
        owner = f"of {listed(homes)}" if homes else f"under {certificate.issuer}, which is no namespace's"
        yield Problem(
            _here(namespace, "filters"),
            f"filters[{index}] matches certificate {certificate.name} {owner}: {_match(entry, certificate)}",
            "Whoever holds it could connect to this namespace."
            if trusted
            else "Nothing but its authority would keep its holder out of this namespace.",
            "Make the filter narrower, or set shared: true.",
            rests_on=(
                _here(namespace, "certificates"),
                _here(namespace, "authorities"),
                _here(namespace, "shared"),
                *((*_ROOT, home, "certificates") for home in homes),
                *_bases(certificate.name),
            ),
        )


def _match(entry: CertificateFilter, certificate: CertificateSettings) -> str:
    """Say why a filter matches."""
    return listed(
        f"{field} {quoted(wanted)} matches {listed(map(quoted, certificate.names.under(field)))}"
        for field, wanted in entry.given.items()
    )
