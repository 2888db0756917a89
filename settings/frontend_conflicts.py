"""What is wrong with whom the frontend admits, under which name, across settings."""

from __future__ import annotations

from collections.abc import Iterator

from pki import Role
from pki.host_names import covers
from settings.problems import Location, Problem, listed, quoted
from settings.resolved import CertificateSettings, Settings

_HERE = ("frontend",)
_CLUSTER_NAMES = ("certificates", "cluster", "dnsNames")


def frontend_conflicts(settings: Settings) -> Iterator[Problem]:
    """Find what does not fit together."""
    yield from _authorities((*_HERE, "authorities"), settings.frontend.authorities, settings)
    known = {settings.frontend.server_name.lower(): "frontend.serverName"}
    for host, override in settings.frontend.host_overrides.items():
        here = (*_HERE, "hostOverrides", host)
        if other := known.get(host.lower()):
            yield Problem(
                here,
                f"is the same name as {other}",
                "It would be left to chance whom the frontend admits under it.",
                "Keep one of the two: names are compared without regard to case.",
                rests_on=((*_HERE, "serverName"),),
            )
        known[host.lower()] = f"frontend.hostOverrides.{host}"
        if not override.authorities:
            yield Problem(
                (*here, "authorities"), "is empty", "Nobody would be admitted under the name.", "Name an authority."
            )
        yield from _authorities((*here, "authorities"), override.authorities, settings)
    for certificate in settings.certificates.values():
        yield from _cluster(certificate, settings) if certificate.role is Role.NODE else _client(certificate, settings)


def _authorities(here: Location, authorities: tuple[str, ...], settings: Settings) -> Iterator[Problem]:
    for index, authority in enumerate(authorities):
        if authority not in settings.certificate_authorities:
            yield Problem(
                (*here, index),
                f"there is no authority named {quoted(authority)}",
                "Its clients would be refused.",
                f"Use one of: {listed(sorted(settings.certificate_authorities))}.",
                rests_on=(("certificateAuthorities", authority),),
            )


def _cluster(cluster: CertificateSettings, settings: Settings) -> Iterator[Problem]:
    own = {
        "namespace": (cluster.namespace, settings.frontend.namespace),
        "serverName": (cluster.server_name, settings.frontend.server_name),
    }
    for setting in (name for name, (given, otherwise) in own.items() if given != otherwise):
        yield Problem(
            ("certificates", "cluster", setting),
            "is of a client, and cluster is the server",
            "It would have no effect.",
            f"Leave it out; what clients find is under frontend.{setting}.",
            rests_on=((*_HERE, setting),),
        )
    for host in (settings.frontend.server_name, *settings.frontend.host_overrides):
        if not covers(cluster.dns_names, host):
            setting = (
                "frontend.serverName" if host == settings.frontend.server_name else "one of frontend.hostOverrides"
            )
            yield Problem(
                _CLUSTER_NAMES,
                f"lacks {quoted(host)}, which is {setting}",
                "Every client would refuse the server's certificate for that name.",
                "Add it, or leave dnsNames out.",
                rests_on=((*_HERE, "serverName"), (*_HERE, "hostOverrides")),
            )


def _client(client: CertificateSettings, settings: Settings) -> Iterator[Problem]:
    here = ("certificates", client.name)
    hosts = {host.lower(): authorities for host, authorities in settings.host_overrides.items()}
    name = client.server_name.lower()
    if name not in hosts and name != settings.frontend.server_name.lower():
        yield Problem(
            (*here, "serverName"),
            f"{quoted(client.server_name)} is no name of the frontend",
            "The server's certificate would not be the one that this client asks for.",
            f"Use one of: {listed((settings.frontend.server_name, *settings.frontend.host_overrides))}.",
            rests_on=((*_HERE, "serverName"), (*_HERE, "hostOverrides")),
        )
        return
    admitted = hosts.get(name, settings.client_authorities)
    if client.issuer in settings.certificate_authorities and client.issuer not in admitted:
        place = f"frontend.hostOverrides.{client.server_name}" if name in hosts else "frontend"
        yield Problem(
            (*here, "issuer"),
            f"is {client.issuer}, which is not among {place}.authorities",
            f"Under the name {client.server_name} the frontend would refuse it.",
            f"Add {client.issuer} there, or let one of these issue it: {listed(admitted)}.",
            rests_on=(_HERE, (*here, "serverName"), ("certificateAuthorities",)),
        )


def unwise_frontend(settings: Settings) -> Iterator[Problem]:
    """Find what deserves a warning."""
    if settings.frontend.host_overrides and settings.sign_on is None:
        yield Problem(
            (*_HERE, "hostOverrides"),
            "keep no namespaces apart while authorization is none",
            "Whoever is admitted under one name is an administrator of every namespace.",
            "Remove authorization: roles keep namespaces apart (docs/host-overrides.md).",
        )
