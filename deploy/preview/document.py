"""What `pulumi preview --json` says, read into steps, and refused where it is not a preview of this program.

The document has the settings, the stack's outputs as they are before the change (on the step of the stack itself), the
steps that change something, and what was said beside resources. The outputs afterwards are not in it: what is to be
follows from the settings. The engine has put `[secret]` in place of every secret, and nothing here puts it back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

import settings
from deploy.problem import DeployError
from pki import Role

STACK = "pulumi:pulumi:Stack"
_OPERATIONS = {
    "create": "create",
    "import": "create",
    "update": "update",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "import-replacement": "replace",
    "delete": "delete",
    "discard": "delete",
}
"""What changes something, in four words; every other operation leaves the resource as it is."""

_SEVERITY = re.compile(r"^(error|warning): ")
_COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")


class UnusablePreview(DeployError):
    """There is nothing to be said about this preview; exit status 2, so that no check takes it for a finding."""

    exit_code = 2


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


class _State(_Model):
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None


class _WrittenStep(_Model):
    op: str
    urn: str = Field(pattern=r"^urn:pulumi:[^:]+::[^:]+::[^:].*::.+$")
    old_state: _State | None = None
    new_state: _State | None = None
    detailed_diff: dict[str, object] | None = None
    diff_reasons: list[str] | None = None


class _Diagnostic(_Model):
    urn: str = ""
    message: str
    severity: str


class _Document(_Model):
    config: dict[str, str]
    steps: list[_WrittenStep]
    diagnostics: list[_Diagnostic] | None = None
    change_summary: dict[str, int] = {}


class Names(_Model):
    """What a certificate vouches for."""

    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


class Issued(_Model):
    """A certificate that there is; `subject` and `issuer` are distinguished names."""

    certificate_pem: str | None = None
    certificate_id: str | None = None
    role: Role
    subject: str
    issuer: str
    subject_alternative_names: Names


class SignOn(_Model):
    """Sign-on that there is, empty where there is none: ids of roles, and workers that have an identity, by name."""

    client_id: str = ""
    roles: dict[str, str] = {}
    workers: dict[str, object] = {}


class Outputs(_Model):
    """The stack's outputs until now, as far as a change is judged by them."""

    certificates: dict[str, Issued] = {}
    server_env: dict[str, str] = {}
    server_config: str = ""
    dynamic_config: str = ""
    cli_env: dict[str, str] = {}
    ui_env: dict[str, str] = {}
    worker_envs: dict[str, dict[str, str]] = {}
    sign_on: SignOn | None = None

    @property
    def client_envs(self) -> dict[str, dict[str, str]]:
        """What each client is told, by the name of its certificate."""
        return {"cli": self.cli_env, "ui": self.ui_env, **self.worker_envs}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is done to one resource. `before` and `after` are its inputs, `outputs` what is known of it until now.

    `changed` are the paths of properties that differ, such as `policy.keyType`.
    """

    operation: str
    urn: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    changed: Collection[str] = ()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def type(self) -> str:
        return self.types[-1]

    @property
    def types(self) -> list[str]:
        """The types of those that it belongs to, and its own."""
        return self.urn.split("::")[2].split("$")

    @property
    def changed_properties(self) -> set[str]:
        """The properties that differ, whatever it is inside of them that does."""
        return {path.partition(".")[0].partition("[")[0] for path in self.changed}

    def within(self, component: str) -> bool:
        """Whether it belongs to a component of that class."""
        return f"temporal-azure:components:{component}" in self.types[:-1]


@dataclass(frozen=True, kw_only=True)
class Message:
    """What was said: beside the resource of that URN, or beside none."""

    urn: str
    severity: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview of a stack of this program. `outputs` are empty before the first `up`.

    `names` are those of whoever in Entra ID it shows, by object ID: with --show-sames also of who keeps what they have.
    """

    settings: settings.Settings
    outputs: Outputs
    names: Mapping[str, str]
    steps: tuple[Step, ...]
    messages: tuple[Message, ...]
    unchanged: int


def read(text: str) -> Preview:
    """Return the preview in a document. Raises UnusablePreview if it is none, or one that failed."""
    document = _document(text)
    messages = [
        Message(urn=one.urn, severity=one.severity, text=_shown(one.message)) for one in document.diagnostics or ()
    ]
    if errors := [message.text for message in messages if message.severity == "error"]:
        raise UnusablePreview(
            "The preview failed, so it does not say what an `up` would do. Mend what it says, and run it again:\n"
            + "\n".join(f"  {error}" for error in errors)
        )
    # With --refresh the stack has a step for that as well, before its own.
    roots = [step for step in document.steps if step.urn.split("::")[2] == STACK]
    if not roots:
        raise UnusablePreview(
            "The preview has no step for the stack itself, so it is of a part of the stack or of none. Run "
            "`pulumi preview --json` without --target."
        )
    stack, project = roots[-1].urn.removeprefix("urn:pulumi:").split("::")[:2]
    steps: dict[str, Step] = {}
    for step in (_step(written) for written in document.steps if written.op in _OPERATIONS):
        steps[step.urn] = _one(steps[step.urn], step) if step.urn in steps else step
    return Preview(
        settings=_settings(document.config, project, stack),
        outputs=_outputs((roots[-1].old_state or _State()).outputs or {}, stack),
        names=_names(document.steps),
        steps=tuple(step for step in steps.values() if step.type != STACK),
        messages=tuple(message for message in messages if message.text),
        unchanged=document.change_summary.get("same", 0),
    )


def _names(steps: list[_WrittenStep]) -> dict[str, str]:
    shown = [step.old_state.outputs or {} for step in steps if step.old_state]
    return {
        str(outputs[id_name]): str(outputs[name])
        for outputs in shown
        for id_name, name in (("principalObjectId", "principalDisplayName"), ("objectId", "displayName"))
        if outputs.get(id_name) and outputs.get(name)
    }


def _document(text: str) -> _Document:
    try:
        return _Document.model_validate_json(text)
    except ValidationError as error:
        (first, *_) = error.errors(include_input=False)
    if text.lstrip().startswith('{"sequence"'):
        what = "is a stream of events: unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW and run it again"
    elif not text.strip():
        what = "is empty: the preview did not even begin, and its own messages say why"
    else:
        what = f"is something else: {'.'.join(map(str, first['loc'])) or 'at its top'}: {first['msg']}"
    raise UnusablePreview(f"It wants what `pulumi preview --json` prints, and what was read {what}.")


def _step(step: _WrittenStep) -> Step:
    before, after = step.old_state or _State(), step.new_state or _State()
    return Step(
        operation=_OPERATIONS[step.op],
        urn=step.urn,
        before=before.inputs or {},
        after=after.inputs or {},
        outputs=before.outputs or {},
        changed=tuple(step.detailed_diff or step.diff_reasons or ()),
    )


def _one(first: Step, second: Step) -> Step:
    """Return a replacement whose creation and deletion are told apart (--show-replacement-steps) as one."""
    return Step(
        operation=first.operation if first.operation == second.operation else "replace",
        urn=first.urn,
        before=first.before or second.before,
        after=first.after or second.after,
        outputs=first.outputs or second.outputs,
        changed=tuple(dict.fromkeys((*first.changed, *second.changed))),
    )


def _shown(message: str) -> str:
    return _SEVERITY.sub("", _COLOUR.sub("", message)).strip()


def _outputs(known: Mapping[str, Any], stack: str) -> Outputs:
    try:
        return Outputs.model_validate(known)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)]
        raise UnusablePreview(
            f"The outputs of the stack {stack}, which the preview has, are not what this version of the program makes: "
            f"{'; '.join(wrong)}. What a change breaks cannot be told. Run `pulumi up` with this version first."
        ) from None


def _settings(configuration: Mapping[str, str], project: str, stack: str) -> settings.Settings:
    try:
        return settings.parse(settings.decode(configuration), project=project, stack=stack)
    except settings.SettingsError as error:
        raise UnusablePreview(f"The preview is of settings that this version of the program refuses. {error}") from None
