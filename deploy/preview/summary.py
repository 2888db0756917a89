"""The summary of a preview: what it changes, what of that breaks what runs, and whether the check passes."""

from __future__ import annotations

import json
import re

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from deploy.preview.breaking import breaking
from deploy.preview.changes import IN_OUTPUTS, changes
from deploy.preview.document import Preview
from deploy.preview.types import more_than_renewals
from deploy.preview.words import code

LONGEST_COMMENT = 65_536
"""Characters that GitHub takes in a comment."""

_PLAIN = re.compile(r"[A-Za-z]\S*[^\s:]")
_CUT = "\n_The rest did not fit: the job's log has the whole summary._\n"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class BreakingChange(_Model):
    """A change that breaks clients that run. `acknowledged`: the stack's settings name its id."""

    id: str
    what: str
    consequence: str
    fix: str
    acknowledged: bool


class Section(_Model):
    title: str
    changes: tuple[str, ...]


class PreviewSummary(_Model):
    """The summary of one preview, for a reviewer (`markdown`) or, as JSON, for a program. Texts are Markdown.

    `only_renewals` is whether the clock is the only reason for anything; `others` counts what has no line of its own.
    """

    stack: str
    breaking: tuple[BreakingChange, ...]
    sections: tuple[Section, ...]
    others: dict[str, int]
    warnings: tuple[str, ...]
    unchanged: int
    only_renewals: bool
    required_only_renewals: bool

    @property
    def passes(self) -> bool:
        """Whether nothing breaks that is not acknowledged, and nothing is more than a renewal where it must not be."""
        acknowledged = all(change.acknowledged for change in self.breaking)
        return acknowledged and (self.only_renewals or not self.required_only_renewals)

    def markdown(self, longest: int = LONGEST_COMMENT) -> str:
        """Return it for a comment, no longer than that: what breaks comes first, and the end is cut."""
        # By the first line the next comment on the same stack takes the place of this one.
        lines = [f"<!-- preview-summary: {self.stack} -->", f"## Preview of {code(self.stack)}", "", self._verdict()]
        if self.breaking or self.warnings:
            lines.append("")
        lines += [f"- Warning: {warning}" for warning in self.warnings]
        for change in self.breaking:
            mark = "Acknowledged" if change.acknowledged else "**Breaking**"
            lines += [f"- {mark} {code(change.id)}: {change.what} {change.consequence}", f"  - Instead: {change.fix}"]
        if open_ids := [change.id for change in self.breaking if not change.acknowledged]:
            lines += [
                "",
                f"To do it all the same, acknowledge exactly this in `Pulumi.{self.stack}.yaml`:",
                "",
                "```yaml",
            ]
            lines += ["config:", "  temporal-azure:acknowledge:", *(f"    - {in_yaml(id)}" for id in open_ids), "```"]
        for section in self.sections:
            lines += ["", f"### {section.title}", "", *(f"- {change}" for change in section.changes)]
        if self.others:
            lines += ["", "### Besides", "", *(f"- {code(kind)}: {count}" for kind, count in self.others.items())]
        lines += ["", f"{self.unchanged} resources stay as they are."]
        return _cut(lines, longest)

    def _verdict(self) -> str:
        refused = sum(not change.acknowledged for change in self.breaking)
        if refused:
            return f"**{_counted(refused, 'change breaks', 'changes break')} clients that run. The check fails.**"
        if self.required_only_renewals and not self.only_renewals:
            return "**There is more than renewals in this. The check fails:** a person has to look, and run `up`."
        if not self.sections and not self.others:
            return "Nothing changes."
        if self.only_renewals:
            return "Only renewals: nothing but the clock is the reason for any of this."
        return "Nothing in this breaks clients that run." if not self.breaking else "What breaks is acknowledged."


def summarise(preview: Preview, *, only_renewals: bool = False) -> PreviewSummary:
    """Return the summary; with `only_renewals` the check passes only if there is nothing else."""
    lines, others = changes(preview)
    acknowledged = preview.settings.acknowledge
    found = [
        BreakingChange(
            id=change.id,
            what=change.what,
            consequence=change.consequence,
            fix=change.fix,
            acknowledged=change.id in acknowledged,
        )
        for change in breaking(preview)
    ]
    idle = [id for id in acknowledged if id not in {change.id for change in found}]
    return PreviewSummary(
        stack=preview.settings.stack,
        breaking=tuple(sorted(found, key=lambda change: (change.acknowledged, change.id))),
        sections=tuple(Section(title=section.value, changes=tuple(texts)) for section, texts in lines.items()),
        others=others,
        warnings=(
            *(f"`acknowledge` names {code(id)}, and nothing in this preview is that. Take it out." for id in idle),
            *(code(message.text) for message in preview.messages if message.severity == "warning"),
        ),
        unchanged=preview.unchanged,
        only_renewals=not (found or more_than_renewals(preview.steps) or lines.keys() & {*IN_OUTPUTS}),
        required_only_renewals=only_renewals,
    )


def in_yaml(id: str) -> str:
    """Return an id as an entry of a list, quoted where YAML would take it for something else."""
    return id if _PLAIN.fullmatch(id) else json.dumps(id, ensure_ascii=False)


def _cut(lines: list[str], longest: int) -> str:
    """Join lines that fit, in bytes: these are never fewer than what anybody counts as characters."""
    text = "\n".join(lines) + "\n"
    if len(text.encode()) <= longest:
        return text
    room = longest - len(_CUT.encode())
    kept, fenced = [], False
    for line in lines:
        room -= len(line.encode()) + 1
        if room < len("```\n"):
            break
        kept.append(line)
        fenced ^= line.startswith("```")
    return "\n".join([*kept, *(["```"] if fenced else [])]) + "\n" + _CUT


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
