"""What a preview changes, in the words of whoever reviews it: one line a change, under the heading it belongs to.

Only what is listed here is shown of a resource, and none of it is ever a secret; what has no line is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from deploy.preview import types
from deploy.preview.cloud import Admission
from deploy.preview.comparison import Comparison
from deploy.preview.document import Preview, Step
from deploy.preview.record_words import recorded
from deploy.preview.state_words import StateWords
from deploy.preview.words import because, code, codes, day, moved
from environment import Deployment, dynamic_config, server_config
from environment.sample import SampleSignOn
from pki import Role

_DONE = {"create": "created", "update": "changed", "replace": "replaced", "delete": "deleted"}
_SUBJECT_ALTERNATIVE_NAMES = ("dnsNames", "ipAddresses", "uris", "emails")
_CERTIFICATE_CHANGES = {
    "policy.subjectAlternativeNames": "other names",
    "policy.subject": "another subject",
    "policy.keyType": "another type of key",
    "policy.validityDays": "another validity",
    "policy.renewBeforeDays": "another renewal window",
    "policy": "another policy",
    "renewal": "its `renewal` was counted up",
    "issuedPem": "another certificate was brought for it",
    "signingRequestPem": "its signing request was lost",
    "certificatePem": "what is in the vault is not what is asked for",
}
_TOLD = {
    "server_name": ("the name that they ask the server for", ("TEMPORAL_TLS_SERVER_NAME",)),
    "namespace": ("the namespace", ("TEMPORAL_NAMESPACE", "TEMPORAL_DEFAULT_NAMESPACE")),
}
"""By a client's setting what it means, and the variables that it is told in."""


class Section(StrEnum):
    """The headings, in their order."""

    CERTIFICATES = "Certificates"
    TRUST = "Trust"
    TEMPORAL_CLOUD = "Temporal Cloud"
    ACCESS = "Access"
    CLIENT_SECRETS = "Client secrets"
    SIGN_ON = "Sign-on"
    VAULTS = "Vaults"
    SERVER = "The server's files"
    CLIENTS = "What clients are told"


IN_OUTPUTS = (Section.TRUST, Section.SERVER, Section.CLIENTS)
"""What may change with no resource that does."""


def changes(preview: Preview) -> tuple[dict[Section, list[str]], dict[str, int]]:
    """Return the lines (Markdown) by heading, and how many other resources there are by what is done to them."""
    told = _Teller(preview)
    lines: dict[Section, list[str]] = {section: [] for section in Section}
    lines[Section.TRUST] += told.trust()
    lines[Section.SERVER] += told.server()
    lines[Section.CLIENTS] += told.clients()
    others: Counter[str] = Counter()
    for step in sorted(preview.steps, key=lambda step: (step.type, step.name)):
        section, teller = told.tellers.get(step.type, (None, None))
        if section and teller:
            lines[section] += teller(step)
        elif not types.is_idle(step):
            others[f"{step.type.rpartition(':')[2]} {_DONE[step.operation]}"] += 1
    return {section: found for section, found in lines.items() if found}, dict(others)


class _Teller:
    """Says what one step does. `tellers` has the heading and the words for each type that has any."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._comparison = Comparison(preview)
        state = StateWords(preview, self._comparison)
        self._roles = {id: role for role, id in known.roles.items()} if (known := preview.outputs.sign_on) else {}
        for step in preview.steps:
            if step.type == types.APPLICATION:
                self._roles |= {role["id"]: role["value"] for role in step.after.get("appRoles") or ()}
        self.tellers: dict[str, tuple[Section, Callable[[Step], Iterator[str]]]] = {
            types.CERTIFICATE: (Section.CERTIFICATES, self._certificate),
            types.LEAF_IN_STATE: (Section.CERTIFICATES, state.leaf),
            types.AUTHORITY_IN_STATE: (Section.CERTIFICATES, state.authority),
            types.STEP_IN_STATE: (Section.CERTIFICATES, state.record),
            types.STANDING_IN_STATE: (Section.CERTIFICATES, state.record),
            types.PRIVATE_KEY: (Section.CERTIFICATES, state.key),
            types.CERTIFICATE_REQUEST: (Section.CERTIFICATES, state.key),
            types.NAMESPACE_ACCESS: (Section.TEMPORAL_CLOUD, self._namespace),
            types.ROLE_ASSIGNMENT: (Section.ACCESS, self._vault_role),
            types.APP_ROLE_ASSIGNMENT: (Section.ACCESS, self._app_role),
            types.PASSWORD: (Section.CLIENT_SECRETS, self._password),
            types.SECRET: (Section.CLIENT_SECRETS, self._secret),
            types.APPLICATION: (Section.SIGN_ON, self._application),
            types.VAULT: (Section.VAULTS, self._vault),
            types.RESOURCE_GROUP: (Section.VAULTS, self._group),
        }

    def trust(self) -> Iterator[str]:
        """Authorities that are trusted from now on, or no more; of those that stay, whose clients get in."""
        compared = self._comparison
        before, after = compared.authorities_before.keys(), compared.authorities_after
        for name in sorted(after - before):
            yield f"{code(name)} is **added** to what is trusted."
        for name in sorted(before - after):
            yield f"{code(name)} is **removed** from what is trusted."
        for name in sorted(before & after & compared.swapped):
            yield f"{code(name)} is **replaced** in what is trusted, by one with another key."
        for host in ("", *compared.hosts):
            where = f"by the frontend under the name {code(host)}" if host else "by the frontend"
            admitted, admits = compared.trusted_before(Role.CLIENT, host), compared.trusted_after(Role.CLIENT, host)
            for name in sorted(before & after & (admits - admitted)):
                yield f"clients of {code(name)} are **admitted** {where}."
            for name in sorted(before & after & (admitted - admits)):
                yield f"clients of {code(name)} are **admitted no more** {where}."

    def server(self) -> Iterator[str]:
        """Documents that the server starts with."""
        settings, known = self._preview.settings, self._preview.outputs
        sign_on = SampleSignOn(worker_variables={}) if settings.sign_on else None
        if known.server_config and known.server_config != server_config(Deployment.of(settings, sign_on)):
            yield "`server.yaml` **changes**: deliver it, and restart the server's two processes."
        if known.dynamic_config and known.dynamic_config != dynamic_config():
            yield "`dynamicconfig.yaml` **changes**: deliver it; the server reads it again within a minute."

    def clients(self) -> Iterator[str]:
        """What the UI, the CLI and workers are told: one line for what becomes of all of them alike."""
        known, settings = self._preview.outputs, self._preview.settings
        before, after = known.cli_env.get("TEMPORAL_ADDRESS"), settings.frontend.address
        if before is not None and before != after:
            yield f"the frontend's address: {code(before)} becomes {code(after)}."
        stay = {name: own for name, own in known.client_envs.items() if own and name in settings.clients}
        for setting, (meaning, variables) in _TOLD.items():
            changed: dict[tuple[str, str], list[str]] = {}
            for name, own in stay.items():
                was = next((own[variable] for variable in variables if variable in own), None)
                becomes = getattr(settings.clients[name], setting)
                if was is not None and was != becomes:
                    changed.setdefault((was, becomes), []).append(name)
            for (was, becomes), names in changed.items():
                whose = "" if len(names) == len(stay) else f"{codes(names)}: "
                yield f"{whose}{meaning}: {code(was)} becomes {code(becomes)}."

    def _certificate(self, step: Step) -> Iterator[str]:
        what = f"authority {code(step.name)}" if types.is_authority(step) else code(step.name)
        if step.operation == "create":
            yield f"{what} is **issued**: {self._described(step)}."
        elif step.operation == "delete":
            yield f"{what} is **deleted**; it can be recovered until the vault's retention ends."
        elif step.operation == "replace":
            why = codes(step.changed) if step.changed else "its vault is"
            yield f"{what} is **replaced**, with another key: {why}."
        else:
            yield from self._updated(step, what)

    def _updated(self, step: Step, what: str) -> Iterator[str]:
        """Yield what becomes of a certificate that keeps its name in the vault, and of the record beside it."""
        own = step.changed_properties - types.RECORDED
        anew = own - {"tags"}
        if anew == {"notAfter"}:
            yield f"{what} is **renewed**; the one in use ends on {code(day(step.outputs.get('notAfter')))}."
        elif anew == {"issuer"} and self._keeps_issuer(step.name):
            yield f"{what} gets its authority's renewed certificate, and is not issued anew."
        elif anew or not step.changed:
            reasons = [*self._reasons(step)] or [code(each) for each in sorted(anew)]
            yield f"{what} is **issued anew**{because(reasons)}."
        if "tags" in own:
            yield f"{what} gets other tags{'' if anew else ', and is not issued anew'}."
        yield from recorded(step, stays=bool(step.changed) and not own)

    def _described(self, step: Step) -> str:
        names = _names_of(step.after)
        parts = [f"for {step.after.get('policy', {}).get('validityDays')} days"]
        if issuer := self._comparison.issuer_after(step.name):
            parts.append(f"by {code(issuer)}")
        return ", ".join(parts + ([f"names {codes(names)}"] if names else []))

    def _keeps_issuer(self, leaf: str) -> bool:
        """Whether it is issued by the authority that it was issued by, and that one keeps its key."""
        issuer = self._comparison.issuer_after(leaf)
        return issuer == self._comparison.issuer_before(leaf) and issuer not in self._comparison.made_anew

    def _reasons(self, step: Step) -> Iterator[str]:
        if any(path.startswith("issuer") for path in step.changed):
            before, after = self._comparison.issuer_before(step.name), self._comparison.issuer_after(step.name)
            yield f"by {code(after)} instead of {code(before)}" if before != after else f"by {code(after)} as it is now"
        for path, reason in _CERTIFICATE_CHANGES.items():
            own = [changed for changed in step.changed if _within(changed, path)]
            if path == "policy":
                own = [changed for changed in own if not any(_within(changed, known) for known in _NARROWER)]
            if own and path == "policy.subjectAlternativeNames":
                yield f"{reason}: {moved(_names_of(step.before), _names_of(step.after))}"
            elif own:
                yield reason

    def _namespace(self, step: Step) -> Iterator[str]:
        return Admission(step, self._comparison).words()

    def _vault_role(self, step: Step) -> Iterator[str]:
        if step.operation == "replace" and _role_and_holder(step.before) == _role_and_holder(step.after):
            yield f"role assignment {code(step.name)} **moves** with its vault; nobody gains or loses by that."
            return
        for gains, given in _given(step):
            definition = _role_and_holder(given)[0]
            who = f"{given.get('principalType', 'principal')} {self._who(given.get('principalId', ''))}"
            if step.name.endswith("first-caller"):
                who += " (who ran the first `up`)"
            role = types.VAULT_ROLES.get(definition, definition)
            yield f"{who} **{gains}** {code(role)} on {_place(given.get('scope', ''), step.name)}."

    def _app_role(self, step: Step) -> Iterator[str]:
        for gains, given in _given(step):
            role = self._roles.get(str(given.get("appRoleId")), str(given.get("appRoleId")))
            if step.within("WorkerIdentity"):
                who = f"worker {code(types.worker_of(step))}"
            else:
                who = self._who(given.get("principalObjectId", "")) + (
                    self._candidates(role) if gains == "gains" else ""
                )
            yield f"{who} **{gains}** the role {code(role)}."

    def _who(self, object_id: object) -> str:
        name = self._preview.names.get(str(object_id))
        return f"{code(name)} ({code(object_id)})" if name else code(object_id)

    def _candidates(self, role: str) -> str:
        """Whom the settings name for a role: the preview knows those who gain it by object ID alone."""
        sign_on = self._preview.settings.sign_on
        named = [f"{one.kind} {one.name}" for one in (sign_on.roles.get(role, ()) if sign_on else ())]
        if not named:
            return ""
        return f" ({codes(named)})" if len(named) == 1 else f" (one of {codes(named)})"

    def _password(self, step: Step) -> Iterator[str]:
        ends = f"ends on {code(day(step.after.get('endDate')))}"
        if step.operation == "delete":
            yield f"{code(step.name)} is **deleted**."
        elif types.is_renewal(step):
            yield f"{code(step.name)} is **renewed** by the clock; the new one {ends}."
        else:
            why = " because `signOn.clientSecret.rotation` changed" if "rotate" in str(step.changed) else ""
            yield f"{code(step.name)} is **{'made' if step.operation == 'create' else 'replaced' + why}**; it {ends}."

    def _secret(self, step: Step) -> Iterator[str]:
        yield f"{code(step.name)} in Key Vault is **{_DONE[step.operation]}**."

    def _application(self, step: Step) -> Iterator[str]:
        redirects = moved(types.redirect_uris(step.before), types.redirect_uris(step.after))
        uris = f" Redirect URIs: {redirects}." if redirects and step.operation == "update" else ""
        roles = [{role["value"] for role in state.get("appRoles") or ()} for state in (step.before, step.after)]
        if step.operation == "update" and roles[0] != roles[1]:
            uris += f" Roles: {moved(sorted(roles[0]), sorted(roles[1]))}."
        changed = "" if uris or step.operation != "update" else f" ({codes(step.changed)})"
        yield f"application {code(step.name)} is **{_DONE[step.operation]}**{changed}.{uris}"

    def _vault(self, step: Step) -> Iterator[str]:
        name = code((step.after or step.before).get("vaultName"))
        if step.operation != "update":
            yield f"vault {code(step.name)} ({name}) is **{_DONE[step.operation]}**."
            return
        for path in sorted(step.changed):
            before, after = _at(step.before, path), _at(step.after, path)
            yield f"vault {code(step.name)}: {code(path)} {code(_shown(before))} becomes {code(_shown(after))}."
        if types.purge_protected(step.after) and not types.purge_protected(step.before):
            yield f"vault {code(step.name)}: purge protection can never be turned off again."

    def _group(self, step: Step) -> Iterator[str]:
        name = code((step.after or step.before).get("resourceGroupName"))
        yield f"resource group {name} is **{_DONE[step.operation]}**."


_NARROWER = [path for path in _CERTIFICATE_CHANGES if path.startswith("policy.")]


def _given(step: Step) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if step.operation in ("delete", "replace", "update"):
        yield "loses", step.before
    if step.operation in ("create", "replace", "update"):
        yield "gains", step.after


def _role_and_holder(given: Mapping[str, Any]) -> tuple[str, str]:
    return str(given.get("roleDefinitionId", "")).rpartition("/")[2], str(given.get("principalId", ""))


def _place(scope: object, name: str) -> str:
    _, in_vault, place = str(scope).partition("/vaults/")
    if not in_vault:
        return f"a vault that is not there yet ({code(name)})"
    vault, _, secret = place.partition("/secrets/")
    return f"the secret {code(secret)} in {code(vault)}" if secret else f"the vault {code(vault)}"


def _names_of(inputs: Mapping[str, Any]) -> list[str]:
    names = inputs.get("policy", {}).get("subjectAlternativeNames", {})
    return [name for kind in _SUBJECT_ALTERNATIVE_NAMES for name in names.get(kind, ())]


def _within(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}.", f"{prefix}["))


def _at(value: Any, path: str) -> Any:
    for step in path.replace("[", ".[").split("."):
        if isinstance(value, Mapping):
            value = value.get(step.strip('["]'))
        elif isinstance(value, list) and step.strip("[]").isdigit() and int(step.strip("[]")) < len(value):
            value = value[int(step.strip("[]"))]
        else:
            return None
    return value


def _shown(value: Any) -> str:
    """A vault's property: what it lets in, one after the other."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "nothing"
    if isinstance(value, Mapping):
        return ", ".join(str(item) for item in value.values())
    return "not set" if value is None else str(value)
