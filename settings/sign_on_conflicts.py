"""What is wrong with what a stack says about sign-on, across settings, and what is allowed there and still unwise."""

from __future__ import annotations

from collections.abc import Iterator

from pki import Role
from settings.problems import Location, Problem, listed, quoted
from settings.resolved import CLI, CLUSTER, LOCAL_STACK, UI, Settings, SignOnSettings, WorkerIdentitySettings
from settings.sign_on import LONGEST_REDIRECT_URI, LONGEST_ROLE, NAMESPACE_ROLES, ScopeForm
from settings.values import SYSTEM_NAMESPACE

CLIENT_SECRET_SUFFIX = "client-secret"
"""What the name of a client secret in Key Vault ends with; a certificate's secret has the certificate's name."""

_HERE = ("signOn",)


def sign_on_conflicts(settings: Settings) -> Iterator[Problem]:
    """Find what does not fit together."""
    yield from _certificate_names(settings)
    if settings.sign_on is None:
        return
    yield from _namespaces(settings)
    for role in settings.sign_on.declared_roles:
        yield from _role((*_HERE, "roles", role), role, settings)
    for worker in settings.sign_on.workers.values():
        yield from _worker(worker, settings)
    yield from _redirect_uris(settings.sign_on)


def _certificate_names(settings: Settings) -> Iterator[Problem]:
    for name in settings.certificates:
        if name.endswith(f"-{CLIENT_SECRET_SUFFIX}"):
            yield Problem(
                ("certificates", name),
                f"ends with -{CLIENT_SECRET_SUFFIX}, as the names of client secrets do",
                "The two could meet in the vault.",
                "Give the certificate another name.",
            )


def _namespaces(settings: Settings) -> Iterator[Problem]:
    if settings.frontend.namespace not in settings.namespaces:
        yield Problem(
            ("frontend", "namespace"),
            f"{quoted(settings.frontend.namespace)} is not among the namespaces",
            "Nobody could be given a role in it, so the workers would be refused.",
            "Add it to namespaces, or leave namespaces out.",
            rests_on=(("namespaces",),),
        )
    for certificate in settings.certificates.values():
        if certificate.role is Role.CLIENT and certificate.namespace not in (
            *settings.namespaces,
            settings.frontend.namespace,
        ):
            yield Problem(
                ("certificates", certificate.name, "namespace"),
                f"{quoted(certificate.namespace)} is not among the namespaces",
                f"Nobody could be given a role in it, so {certificate.name} would be refused.",
                "Add it to namespaces, or leave namespaces out.",
                rests_on=(("namespaces",),),
            )
    room = LONGEST_ROLE - len(f":{max(NAMESPACE_ROLES, key=len)}")
    for namespace in settings.namespaces:
        if len(namespace) > room:
            yield Problem(
                ("frontend", "namespace") if namespace == settings.frontend.namespace else ("namespaces",),
                f"{quoted(namespace)} has {len(namespace)} characters",
                f"Entra ID takes {LONGEST_ROLE} in a role, <namespace>:<role>.",
                f"Use a namespace of at most {room}.",
            )


def _role(here: Location, role: str, settings: Settings) -> Iterator[Problem]:
    namespace, _, name = role.rpartition(":")
    if namespace == "system" and namespace not in settings.namespaces:
        yield Problem(
            here,
            f"{quoted(role)} is a role in a namespace that is called system",
            "It would grant nothing.",
            f"For what concerns no single namespace, such as to list them, write {SYSTEM_NAMESPACE}:{name}.",
            rests_on=(("namespaces",),),
        )
    elif namespace not in _known_namespaces(settings):
        yield Problem(
            here,
            f"there is no namespace {quoted(namespace)}",
            "The role would grant nothing; names of namespaces are case-sensitive.",
            f"Add it to namespaces, or use one of: {listed((*settings.namespaces, SYSTEM_NAMESPACE))}.",
            rests_on=(("namespaces",), ("frontend", "namespace")),
        )


def _worker(worker: WorkerIdentitySettings, settings: Settings) -> Iterator[Problem]:
    here = (*_HERE, "workers", worker.name)
    if worker.name in (CLUSTER, UI, CLI) or worker.name not in settings.certificates:
        workers = listed(settings.workers)
        yield Problem(
            here,
            "is no worker" if worker.name in (CLUSTER, UI, CLI) else "there is no such certificate",
            "Its identity would be nobody's.",
            f"Name the worker under certificates, or use one of: {workers}.",
            rests_on=(("certificates", worker.name),),
        )
    if worker.managed_identity and worker.federated_credentials:
        yield Problem(
            (*here, "federatedCredentials"),
            "stands beside managedIdentity",
            "A managed identity signs in by itself; its credentials are not this program's.",
            "Keep one of the two.",
            rests_on=((*here, "managedIdentity"),),
        )
    sources = [(credential.issuer, credential.subject) for credential in worker.federated_credentials]
    if len(set(sources)) < len(sources):
        yield Problem(
            (*here, "federatedCredentials"),
            "has an issuer and subject twice",
            "Entra ID would refuse the second.",
            "Keep one of them.",
        )
    for role in worker.roles:
        yield from _role((*here, "roles"), role, settings)


def _redirect_uris(sign_on: SignOnSettings) -> Iterator[Problem]:
    if len(sign_on.callback_url) > LONGEST_REDIRECT_URI:
        yield Problem(
            (*_HERE, "uiUrl"),
            f"makes a callback of {len(sign_on.callback_url)} characters",
            f"Entra ID takes at most {LONGEST_REDIRECT_URI}.",
            "Use a shorter one.",
        )
    if sign_on.callback_url in sign_on.redirect_uris:
        yield Problem(
            (*_HERE, "redirectUris"),
            f"{sign_on.callback_url} is the UI's own callback",
            "Entra ID would refuse it the second time.",
            "Leave it out.",
            rests_on=((*_HERE, "uiUrl"),),
        )


def unwise_sign_on(settings: Settings) -> Iterator[Problem]:
    """Find what deserves a warning."""
    if settings.sign_on_is_idle:
        yield Problem(
            _HERE,
            "has no effect while authorization is none",
            "Every client certificate is an administrator of every namespace.",
            "Remove authorization, or signOn.",
        )
    if settings.sign_on is None:
        return
    sign_on = settings.sign_on
    for role in sign_on.declared_roles:
        namespace, _, name = role.rpartition(":")
        if name == "worker":
            yield Problem(
                (*_HERE, "roles", role),
                "grants nothing by itself",
                "To poll for tasks takes the right to write.",
                f"Use {namespace}:write.",
            )
    yield from _locked_out(sign_on)
    for worker in sign_on.workers.values():
        if all(role.endswith((":worker", ":read")) for role in worker.roles):
            yield Problem(
                (*_HERE, "workers", worker.name, "roles"),
                f"{listed(worker.roles)} do not let it poll for tasks",
                "The server would refuse it.",
                f"Give it <namespace>:write, as {settings.frontend.namespace}:write.",
            )
    if sign_on.scope_form is ScopeForm.URI:
        yield Problem(
            (*_HERE, "scopeForm"),
            "is uri",
            "Entra ID refuses the UI's refresh (AADSTS90009): people are signed out when their first token ends.",
            "Use guid.",
        )
    if not sign_on.admin_consent:
        yield Problem(
            (*_HERE, "adminConsent"),
            "is false",
            "Nobody can sign in to the UI (AADSTS90094) until an administrator has consented to its permissions.",
            "Leave it at true, or have an administrator grant it: docs/sign-on.md.",
        )
    if settings.stack != LOCAL_STACK and not any(sign_on.declared_roles.values()):
        yield Problem(
            (*_HERE, "roles"),
            "nobody has a role",
            "Nobody can sign in.",
            "Name people or groups under a role, or assign them in Entra ID.",
        )


def _locked_out(sign_on: SignOnSettings) -> Iterator[Problem]:
    """Find who has a role in a namespace, and cannot use the UI, which lists namespaces on every page."""
    people: dict[tuple[str, str], bool] = {}
    for role, assignees in sign_on.declared_roles.items():
        of_the_system = role.startswith(f"{SYSTEM_NAMESPACE}:")
        for assignee in assignees:
            key = (assignee.kind, assignee.name)
            people[key] = people.get(key, False) or of_the_system
    listing = {key for key, of_the_system in people.items() if of_the_system}
    # Somebody may be in a group that lists namespaces: then only groups without that role are certain.
    kinds = ("group",) if any(kind == "group" for kind, _ in listing) else ("user", "group")
    if missing := [name for kind, name in people if kind in kinds and (kind, name) not in listing]:
        role = f"{SYSTEM_NAMESPACE}:read"
        yield Problem(
            (*_HERE, "roles"),
            f"{listed(missing)} {'has' if len(missing) == 1 else 'have'} no role {role}",
            "The UI sends them back to its sign-in page: it lists the namespaces on every page.",
            f"Name them under {role} too, which lets them read every namespace; the CLI does without it.",
        )


def _known_namespaces(settings: Settings) -> set[str]:
    """Return every namespace that a setting names, those among them that another finding is about."""
    own = {certificate.namespace for certificate in settings.certificates.values()}
    return {*settings.namespaces, settings.frontend.namespace, SYSTEM_NAMESPACE, *own}
