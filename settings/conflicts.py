"""What is wrong with settings that are each right in themselves, and what is allowed and still unwise."""

from __future__ import annotations

from collections.abc import Iterator

from pki import Subject, load_certificate
from pki.cloud_access import MOST_AUTHORITIES
from pki.names import ComparableName, comparable
from settings.custody_conflicts import custody_conflicts
from settings.frontend_conflicts import frontend_conflicts, unwise_frontend
from settings.problems import Location, Problem, listed, quoted
from settings.resolved import LOCAL_STACK, AuthoritySettings, CertificateSettings, GenerationSettings, Settings
from settings.rollover_conflicts import rollover_conflicts, unwise_rollover
from settings.sign_on_conflicts import sign_on_conflicts, unwise_sign_on
from settings.temporal_cloud_conflicts import temporal_cloud_conflicts, unwise_temporal_cloud
from settings.topology_conflicts import is_made_here, topology_conflicts, unwise_topology
from settings.values import LONGEST_NAME_PART, RESOURCE_GROUP_FIX, encoded_length, resource_group_fault
from settings.written import DefaultAction, Network

EVERY_CERTIFICATE = "*"

_TOO_LONG = f"X.509 has room for {LONGEST_NAME_PART} characters in a common name."


def conflicts(settings: Settings) -> Iterator[Problem]:
    """Find what does not fit together."""
    yield from _place(settings)
    yield from _network(settings.vaults.network)
    for authority in settings.certificate_authorities.values():
        yield from _authority(authority)
    if not settings.certificate_authorities:
        yield Problem(
            ("certificateAuthorities",),
            "is empty",
            "Nothing could sign the server's certificate, or anybody's.",
            "Name one, or leave the key out for internode and clients.",
        )
    for certificate in settings.certificates.values():
        yield from _issuer(certificate, settings)
        yield from _certificate(certificate, settings)
    yield from frontend_conflicts(settings)
    yield from topology_conflicts(settings)
    yield from _distinguished_names(settings)
    yield from _readers(settings)
    yield from rollover_conflicts(settings)
    yield from custody_conflicts(settings)
    yield from sign_on_conflicts(settings)
    yield from temporal_cloud_conflicts(settings)


def _place(settings: Settings) -> Iterator[Problem]:
    if not settings.location:
        yield Problem(
            ("location",),
            "is not set",
            "Azure would have nowhere to put the vaults.",
            f"Name a region: pulumi config set {settings.project}:location westeurope.",
        )
    if fault := resource_group_fault(settings.resource_group):
        yield Problem(
            ("resourceGroup",),
            f"its default, {fault}",
            "Azure would refuse the resource group.",
            f"Set it. {RESOURCE_GROUP_FIX}",
        )


def _network(network: Network) -> Iterator[Problem]:
    here = ("vaults", "network")
    lists = {"allowedAddresses": network.allowed_addresses, "allowedSubnets": network.allowed_subnets}
    endpoint = (*here, "privateEndpointSubnet")
    if not network.public_access:
        if network.private_endpoint_subnet is None:
            yield Problem(
                (*here, "publicAccess"),
                "is false, and there is no private endpoint",
                "Nobody could reach the vaults, this program included.",
                "Name a privateEndpointSubnet, or keep the public endpoint behind defaultAction: Deny.",
                rests_on=(endpoint,),
            )
    elif network.default_action is DefaultAction.ALLOW:
        for name in (name for name, entries in lists.items() if entries):
            yield Problem(
                (*here, name),
                "has entries while defaultAction is Allow",
                "Everybody else could reach the vaults as well.",
                "Set defaultAction: Deny, or leave the list out.",
                rests_on=((*here, "defaultAction"), (*here, "publicAccess")),
            )
    elif not any(lists.values()) and network.private_endpoint_subnet is None:
        yield Problem(
            (*here, "defaultAction"),
            "is Deny, and nothing is let in",
            "Nobody could reach the vaults, this program included.",
            "Add your public address to allowedAddresses, or use allowedSubnets or privateEndpointSubnet.",
            rests_on=(endpoint, *((*here, name) for name in lists)),
        )


def _authority(authority: AuthoritySettings) -> Iterator[Problem]:
    here = ("certificateAuthorities", authority.name)
    generations = (*here, "generations")
    if not authority.generations:
        yield Problem(generations, "is empty", "The authority would have no key.", "Add 1: {}, or leave the key out.")
    elif authority.signing not in authority.generations:
        yield Problem(
            (*here, "signing"),
            f"there is no generation {authority.signing}",
            "Nothing could be issued.",
            f"Use one of: {listed(map(str, authority.generations))}.",
            rests_on=(generations,),
        )
    if len(authority.generations) > MOST_AUTHORITIES:
        yield Problem(
            generations,
            f"has {len(authority.generations)} generations",
            f"Temporal Cloud takes {MOST_AUTHORITIES} certificates in a CA bundle, and a key that nothing needs helps "
            "only who stole it.",
            "Remove those that no certificate in use was issued by.",
        )
    longest = max((generation.common_name for generation in authority.generations.values()), key=len, default="")
    if encoded_length(longest) > LONGEST_NAME_PART:
        yield Problem(
            (*here, "commonName"),
            f"with the generation it is {quoted(longest)}, {len(longest)} characters",
            _TOO_LONG,
            "Set a shorter one.",
            rests_on=(generations,),
        )


def _issuer(certificate: CertificateSettings, settings: Settings) -> Iterator[Problem]:
    authorities = settings.certificate_authorities
    here = ("certificates", certificate.name)
    if authority := authorities.get(certificate.issuer):
        if certificate.validity_days > authority.validity_days and is_made_here(authority):
            yield Problem(
                (*here, "validityDays"),
                f"is {certificate.validity_days}, and authority {authority.name} lives {authority.validity_days} days",
                "A certificate is worth nothing once its authority has ended.",
                f"Use at most {authority.validity_days}.",
                rests_on=((*here, "issuer"), ("certificateAuthorities", authority.name, "validityDays")),
            )
    elif certificate.issuer:
        yield Problem(
            (*here, "issuer"),
            f"there is no authority named {quoted(certificate.issuer)}",
            "Nothing would sign this certificate.",
            f"Use one of: {listed(sorted(authorities))}.",
            rests_on=(("certificateAuthorities", certificate.issuer),),
        )
    elif authorities:
        yield Problem(
            (*here, "issuer"),
            "is not set, and there are several authorities",
            "Nothing would sign this certificate.",
            f"Use one of: {listed(sorted(authorities))}.",
            rests_on=(("certificateAuthorities",),),
        )


def _certificate(certificate: CertificateSettings, settings: Settings) -> Iterator[Problem]:
    here = ("certificates", certificate.name)
    if certificate.renew_before_days >= certificate.validity_days:
        yield Problem(
            (*here, "renewBeforeDays"),
            f"is {certificate.renew_before_days}, not less than validityDays, {certificate.validity_days}",
            "The certificate would be renewed at every run.",
            f"Set it, to at most {certificate.validity_days - 1}; left out, it is 30.",
            rests_on=((*here, "validityDays"),),
        )
    if encoded_length(certificate.common_name) > LONGEST_NAME_PART:
        yield Problem(
            (*here, "commonName"),
            f"its default, {quoted(certificate.common_name)}, has {len(certificate.common_name)} characters",
            _TOO_LONG,
            "Set a shorter one: clients look at dnsNames.",
            rests_on=(("frontend", "serverName"),),
        )
    namesake, _, number = certificate.name.rpartition("-")
    if namesake in settings.certificate_authorities and number.isdigit():
        yield Problem(
            here,
            f"has the name of a generation of authority {namesake}",
            "The stack's outputs could not tell them apart.",
            "Give the certificate another name.",
        )


def _distinguished_name(owner: AuthoritySettings | CertificateSettings, common_name: str) -> ComparableName | None:
    """Return a name as verifiers compare it, or None for one that is too long, which is another finding."""
    if encoded_length(common_name) > LONGEST_NAME_PART:
        return None
    subject = Subject(
        common_name=common_name,
        organization=owner.organization,
        organizational_unit=owner.organizational_unit,
        country=owner.country,
    )
    return comparable(subject.name())


def _authority_name(authority: AuthoritySettings, generation: GenerationSettings) -> ComparableName | None:
    """As above; what is in a vault already has a name that is not known here."""
    if generation.certificate_pem is not None:
        return comparable(load_certificate(generation.certificate_pem).subject)
    return None if generation.is_brought_along else _distinguished_name(authority, generation.common_name)


def _distinguished_names(settings: Settings) -> Iterator[Problem]:
    authorities: dict[ComparableName, Location] = {}
    for authority in settings.certificate_authorities.values():
        here: Location = ("certificateAuthorities", authority.name)
        for generation in authority.generations.values():
            name = _authority_name(authority, generation)
            other = authorities.setdefault(name, here) if name is not None else here
            if other != here:
                yield _same_name(here, other)
                break
    for certificate in settings.certificates.values():
        name = _distinguished_name(certificate, certificate.common_name)
        if name is not None and name in authorities:
            yield _same_name(("certificates", certificate.name), authorities[name])


def _same_name(here: Location, authority: Location) -> Problem:
    parts = ("country", "organization", "organizationalUnit", "commonName", "generations")
    return Problem(
        (*here, "commonName"),
        f"makes the distinguished name equal to that of authority {authority[-1]}",
        "An issuer is found by its name: chains would be ambiguous, and Temporal Cloud refuses them.",
        "Choose another.",
        rests_on=tuple((*owner, part) for owner in (here, authority) for part in parts),
    )


def _readers(settings: Settings) -> Iterator[Problem]:
    readers = settings.access.readers
    everywhere = {principal.id for principal in readers.get(EVERY_CERTIFICATE, ())}
    for name in readers.keys() - {EVERY_CERTIFICATE}:
        here = ("access", "readers", name)
        if name not in settings.certificates:
            is_authority = name in settings.certificate_authorities
            yield Problem(
                here,
                "is an authority, whose key nobody can read" if is_authority else "there is no such certificate",
                "They could read no key.",
                f'Use "{EVERY_CERTIFICATE}" or one of: {listed(settings.certificates)}.',
                rests_on=(("certificates", name),),
            )
        for principal in (principal for principal in readers[name] if principal.id in everywhere):
            yield Problem(
                here,
                f'{principal.id} is under "{EVERY_CERTIFICATE}" too',
                "To remove them here would take nothing from them.",
                "Keep one of the two.",
            )


def unwise(settings: Settings) -> Iterator[Problem]:
    """Find what deserves a warning."""
    vaults, network = settings.vaults, settings.vaults.network
    if settings.in_vaults and not vaults.purge_protection and settings.stack != LOCAL_STACK:
        yield Problem(
            ("vaults", "purgeProtection"),
            "is false",
            "Whoever may purge can destroy an authority's key for good, and with it every certificate under it.",
            "Set it to true.",
        )
    if not network.public_access and (network.allowed_addresses or network.allowed_subnets):
        yield Problem(
            ("vaults", "network", "publicAccess"),
            "is false",
            "The allowed addresses and subnets have no effect.",
            "Leave them out, or open the public endpoint to them.",
        )
    for authority in settings.certificate_authorities.values():
        here = ("certificateAuthorities", authority.name)
        issued = [entry for entry in settings.certificates.values() if entry.issuer == authority.name]
        longest = max((entry.validity_days for entry in issued), default=0)
        if authority.validity_days < 2 * longest and is_made_here(authority):
            yield Problem(
                (*here, "validityDays"),
                f"is {authority.validity_days}, and it signs certificates of {longest} days",
                f"After {authority.validity_days - longest} days new ones end with it, earlier than asked.",
                f"Use {2 * longest} or more, or shorter certificates.",
            )
    yield from unwise_frontend(settings)
    yield from unwise_topology(settings)
    yield from unwise_rollover(settings)
    yield from unwise_sign_on(settings)
    yield from unwise_temporal_cloud(settings)
