"""What would break clients that run: each such change with its id, its consequence, and how to do it without harm.

A change's id is `<what is done>:<what it is done to>`. It is stable, since a stack's settings acknowledge it by its id
(`acknowledge`), and as narrow as the change: who accepts one has not accepted the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from deploy.preview import types
from deploy.preview.cloud import Admission
from deploy.preview.comparison import Comparison
from deploy.preview.document import Preview, Step
from deploy.preview.words import code, codes
from pki import Role

_SIGN_ON = "sign-on"


@dataclass(frozen=True, kw_only=True)
class Breaking:
    """A change that breaks what runs: `what`, `consequence` and `fix` are sentences in Markdown."""

    id: str
    what: str
    consequence: str
    fix: str


def breaking(preview: Preview) -> list[Breaking]:
    """Return every change that would break clients of the stack as it is. Before the first `up` there is none."""
    comparison = Comparison(preview)
    found = [
        *_authorities(comparison),
        *_trust(comparison),
        *_server_names(comparison),
        *_workers(preview, comparison),
        *_vaults(preview),
        *_temporal_cloud(preview, comparison),
        *_sign_on(preview),
        *_secrets(preview),
    ]
    return list({change.id: change for change in found}.values())


def _authorities(comparison: Comparison) -> Iterator[Breaking]:
    for authority in sorted(comparison.made_anew):
        issued = codes(comparison.chained_to(authority))
        yield Breaking(
            id=f"replace-authority:{authority}",
            what=f"The authority {code(authority)} is replaced, not rolled over: it gets another key.",
            consequence=f"Everything that it issued is refused as soon as the new one is delivered: {issued}.",
            fix="Keep it, add a generation beside it, and go on in three steps: "
            "docs/runbooks/roll-over-an-authority.md.",
        )


def _trust(comparison: Comparison) -> Iterator[Breaking]:
    distrusted: dict[str, list[str]] = {}
    untrusted: dict[str, list[str]] = {}
    for leaf, facts in comparison.leaves_before.items():
        before, after = comparison.issuer_before(leaf), comparison.issuer_after(leaf)
        host = comparison.server_name_of(leaf)
        if before and before not in comparison.trusted_after(facts.role, host):
            distrusted.setdefault(before, []).append(leaf)
        if after and after != before and after not in comparison.trusted_before(facts.role, host):
            untrusted.setdefault(after, []).append(leaf)
    for authority, leaves in distrusted.items():
        yield Breaking(
            id=f"distrust-authority:{authority}",
            what=f"The authority {code(authority)} is trusted no more, while certificates in use chain to it: "
            f"{codes(leaves)}.",
            consequence="Whoever still presents one of them is refused once the server has the new list.",
            fix="Let another generation sign first, deliver what it issued and restart its consumers; remove the old "
            "one in an `up` of its own: docs/runbooks/roll-over-an-authority.md.",
        )
    for authority, leaves in untrusted.items():
        yield Breaking(
            id=f"sign-untrusted:{authority}",
            what=f"{codes(leaves)}: issued by {code(authority)}, which the server does not trust until it has this "
            "change's files.",
            consequence="Whoever gets the new certificate before the server gets the new list is refused.",
            fix="Trust it in an `up` of its own, deliver that everywhere, and let it sign in the next: "
            "docs/runbooks/roll-over-an-authority.md.",
        )


def _server_names(comparison: Comparison) -> Iterator[Breaking]:
    for leaf, facts in comparison.leaves_before.items():
        if facts.role is not Role.NODE or leaf not in comparison.leaves_after:
            continue
        names, after = facts.subject_alternative_names, comparison.leaves_after[leaf]
        kept = {name.lower() for name in (*after.dns_names, *after.ip_addresses)}
        for name in (*names.dns_names, *names.ip_addresses):
            if name.lower() not in kept:
                yield Breaking(
                    id=f"remove-server-name:{name}",
                    what=f"The server's certificate vouches for {code(name)} no more.",
                    consequence="Clients that ask for this name, as those that run do, refuse the server once it has "
                    "its new certificate.",
                    fix=f"Keep the old name beside the new one under `certificates.{leaf}.dnsNames` (or "
                    "`ipAddresses`), until every client has its new files.",
                )


def _workers(preview: Preview, comparison: Comparison) -> Iterator[Breaking]:
    for leaf in comparison.leaves_before:
        if leaf not in comparison.leaves_after:
            yield Breaking(
                id=f"remove-worker:{leaf}",
                what=f"The worker {code(leaf)} is removed, with its certificate and, if it has one, its identity.",
                consequence="A process that still runs gets no more tokens, and its certificate is neither renewed nor "
                "delivered. It is trusted until its end all the same.",
                fix="Stop the worker first; docs/runbooks/revoke-a-person-or-worker.md if it is to be shut out.",
            )
    for step in preview.steps:
        if not step.within("WorkerIdentity") or step.operation not in ("delete", "replace"):
            continue
        worker = types.worker_of(step)
        if not _keeps_identity(preview, worker):
            continue
        if step.type == types.APP_ROLE_ASSIGNMENT:
            yield Breaking(
                id=f"revoke-role:{step.name}",
                what=f"The worker {code(worker)} loses a role, or has it as somebody else: {code(step.name)}.",
                consequence="The server refuses its calls once its token has ended, within some 90 minutes.",
                fix=f"Keep the role under `signOn.workers.{worker}` until the worker does without it.",
            )
        elif step.type == types.FEDERATED_CREDENTIAL:
            yield Breaking(
                id=f"remove-federated-credential:{step.name}",
                what=f"The worker {code(worker)} may not sign in with tokens of {code(step.before.get('subject'))} any "
                "more.",
                consequence="It gets no token for the server from then on.",
                fix="Add the new credential beside the old one, and remove the old one when nothing uses it.",
            )


def _keeps_identity(preview: Preview, worker: str) -> bool:
    """Whether a worker stays, and its application with it: otherwise that is what has to be told."""
    sign_on = preview.settings.sign_on
    gone = {step.name for step in preview.steps if _is_another_application(preview, step)}
    return sign_on is not None and worker in sign_on.workers and not gone & {worker, _SIGN_ON}


def _vaults(preview: Preview) -> Iterator[Breaking]:
    for step in preview.steps:
        if step.type in (types.VAULT, types.RESOURCE_GROUP) and step.operation in ("replace", "delete"):
            noun = "vault" if step.type == types.VAULT else "resource-group"
            yield Breaking(
                id=f"{step.operation}-{noun}:{step.name}",
                what=f"The {noun.replace('-', ' ')} {code(step.name)} is {step.operation}d.",
                consequence="Keys in it are not moved: every certificate in it is issued anew elsewhere, with another "
                "key, and hosts read what they deliver from a vault that is gone.",
                fix="Put back what changed: `location`, `resourceGroup`, or `vaults.generation`.",
            )
        elif step.type == types.VAULT and types.loses_purge_protection(step):
            yield Breaking(
                id=f"remove-purge-protection:{step.name}",
                what=f"The vault {code(step.name)} loses its purge protection.",
                consequence="Azure never turns it off and refuses the `up`; if it did, whoever may purge could destroy "
                "an authority's key for good.",
                fix="Set `vaults.purgeProtection: true`.",
            )


def _temporal_cloud(preview: Preview, comparison: Comparison) -> Iterator[Breaking]:
    for admission in Admission.each(preview, comparison):
        namespace, shown = admission.namespace, f"the namespace {code(admission.namespace)} of Temporal Cloud"
        admitted = list(admission.admitted())
        if admission.is_taken_away and admitted:
            yield Breaking(
                id=f"close-namespace:{namespace}",
                what=f"What `up` set in {shown} is taken away: its CA certificates and its filters.",
                consequence=f"Whoever has none but these is refused there from this `up` on: {codes(admitted)}.",
                fix="Keep `apply: true`, or let the stack forget the namespace first: docs/temporal-cloud.md.",
            )
        for authority, leaves in () if admission.is_taken_away else admission.by_authority().items():
            yield Breaking(
                id=f"distrust-in-namespace:{namespace}/{authority}",
                what=f"The CA certificate of {code(authority)} goes from {shown}, while certificates in use chain to "
                f"it: {codes(leaves)}.",
                consequence="Whoever still presents one of them is refused there from this `up` on.",
                fix="Let another generation sign first, deliver what it issued and restart its consumers; remove the "
                "old one in an `up` of its own: docs/runbooks/roll-over-an-authority.md.",
            )
        for leaf in () if admission.is_taken_away else admission.by_filter():
            yield Breaking(
                id=f"filter-out:{namespace}/{leaf}",
                what=f"No filter of {shown} matches the certificate in use of {code(leaf)} any more.",
                consequence="Whoever presents it is refused there from this `up` on.",
                fix=f"Keep a filter that matches it under `temporalCloud.namespaces.{namespace}.filters`, until nobody "
                "needs it.",
            )
        if admission.evicted:
            yield Breaking(
                id=f"evict-others:{namespace}/{_digest(admission.evicted)}",
                what=f"What somebody else added to {shown} is taken away: {codes(admission.evicted)}.",
                consequence="Whoever comes in by it is refused there from this `up` on.",
                fix=f"Leave `exclusive` out, or name what is to stay under `temporalCloud.namespaces.{namespace}`.",
            )


def _digest(values: Iterable[str]) -> str:
    """Return what tells a set of texts from others in an id, which has no room for them."""
    return sha256("\n".join(sorted(values)).encode()).hexdigest()[:10]


def _is_another_application(preview: Preview, step: Step) -> bool:
    """Whether an application, or its service principal, goes or is made a second time."""
    if step.type not in (types.APPLICATION, types.SERVICE_PRINCIPAL):
        return False
    known = preview.outputs.sign_on
    there = known is not None and (step.name in known.workers or (step.name == _SIGN_ON and known.client_id != ""))
    return step.operation in ("delete", "replace") or (step.operation == "create" and there)


def _sign_on(preview: Preview) -> Iterator[Breaking]:
    known, sign_on = preview.outputs.sign_on, preview.settings.sign_on
    if known and not known.client_id and sign_on:
        yield Breaking(
            id=f"require:{_SIGN_ON}",
            what="Sign-on is switched on: from now on the server asks every caller for a token.",
            consequence="Workers, the CLI and people without one are refused as soon as the server has restarted.",
            fix="See that workers ask for tokens and people have roles first: docs/sign-on.md.",
        )
    another = {step.name: step for step in preview.steps if _is_another_application(preview, step)}
    if known and known.client_id and not sign_on:
        yield Breaking(
            id=f"remove:{_SIGN_ON}",
            what="Sign-on is switched off: the application goes, with every role in it.",
            consequence="Nobody can sign in to the UI, and every client certificate is an administrator of every "
            "namespace.",
            fix="Take `authorization: none` out of the settings.",
        )
        return
    for name, step in another.items():
        if name == _SIGN_ON:
            yield Breaking(
                id=f"replace-application:{name}",
                what="The application of sign-on is replaced: its client id, which is the tokens' audience, changes.",
                consequence="Every token is refused, and the UI, the CLI and workers sign in to an application that is "
                "gone, until all of them and the server have their new files.",
                fix="Put back what changed, such as `signOn.tenantId`.",
            )
        elif _SIGN_ON not in another and sign_on and name in sign_on.workers:
            yield Breaking(
                id=f"{'delete' if step.operation == 'delete' else 'replace'}-application:{name}",
                what=f"The worker {code(name)} loses the application that it signs in as.",
                consequence="A process that still runs gets no token from then on.",
                fix="Deliver its new variables and restart it at once, or put back what changed under "
                f"`signOn.workers.{name}`.",
            )
    for step in preview.steps:
        if step.type == types.IDENTIFIER_URI and step.operation != "create" and _SIGN_ON not in another:
            yield Breaking(
                id=f"change-audience:{step.name}",
                what="The application's identifier URI, by which workers ask for tokens, changes.",
                consequence="Workers get no token until they have their new files.",
                fix="Put it back: somebody changed it by hand, or the client id changed.",
            )
        if step.type == types.APPLICATION and step.operation == "update":
            after = types.redirect_uris(step.after)
            for uri in (uri for uri in types.redirect_uris(step.before) if uri not in after):
                yield Breaking(
                    id=f"remove-redirect:{uri}",
                    what=f"The redirect URI {code(uri)} is removed.",
                    consequence="Whoever signs in from there, as a UI that still runs with its old files does, ends at "
                    "Entra ID's error AADSTS50011.",
                    fix="Add it to `signOn.redirectUris` until nothing uses it.",
                )


def _secrets(preview: Preview) -> Iterator[Breaking]:
    another = {step.name for step in preview.steps if _is_another_application(preview, step)}
    passwords: dict[str, list[Step]] = {}
    for step in preview.steps:
        if step.type == types.PASSWORD and step.operation in ("replace", "delete"):
            passwords.setdefault(types.secret_of(step), []).append(step)
    sign_on = preview.settings.sign_on
    for name, steps in passwords.items():
        consumer = name.removesuffix("-client-secret")
        if not sign_on or _SIGN_ON in another or not (consumer == "ui" or _keeps_identity(preview, consumer)):
            continue
        gone = any(step.operation == "delete" for step in steps)
        # The clock replaces one and leaves the other, or both once the last of them has ended.
        if len(steps) > 1 and (gone or _one_is_valid(steps, sign_on.client_secret.validity_days)):
            yield Breaking(
                id=f"{'delete' if gone else 'rotate'}-secret:{name}",
                what=f"Both secrets of {code(name)} are {'deleted' if gone else 'replaced'} at once.",
                consequence=f"{code(consumer)} cannot sign in with the one that it has, until it has its new files and "
                "is restarted.",
                fix="Leave it to the clock, which replaces one and keeps the other; if one was seen by somebody, "
                "acknowledge it, and deliver at once: docs/runbooks/rotate-the-ui-secret.md.",
            )


def _one_is_valid(passwords: list[Step], validity_days: int) -> bool:
    """Whether one of those that are replaced outlives the first day of the period of the one that is in use then."""
    if any("endDate" not in step.changed for step in passwords):
        return True
    period_begins = max(_instant(step.after) for step in passwords) - timedelta(days=validity_days)
    return max(_instant(step.before) for step in passwords) > period_begins


def _instant(password: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(password["endDate"]))
