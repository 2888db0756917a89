"""`python -m tools.verify_azure VAULT`: what `make verify-azure VAULT=…` calls."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from azure.core.exceptions import AzureError
from rich.console import Console

from cloud import CloudError, Identity
from pki import KeyType
from tools import REPOSITORY, ToolError
from tools.verify_azure.checks import CHECKS, KEY_TYPES, Needs
from tools.verify_azure.report import summary, table
from tools.verify_azure.run import Outcome, Plan, Survey, look, remove_leftovers, stranger_of, verify

_DIRECTORY = REPOSITORY / "verify-azure"
_INTERRUPTED = 130


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("vault")
@click.option("--yes", is_flag=True, help="Do not ask before beginning.")
@click.option("--despite-others", is_flag=True, help="Take a vault that holds other things than earlier checks left.")
@click.option("--firewall", is_flag=True, help="Shut the vault's network for some minutes too, and open it again.")
@click.option("--throttle", is_flag=True, help="Make keys until the vault refuses, too.")
@click.option(
    "--only",
    metavar="CHECK",
    multiple=True,
    type=click.Choice([check.name for check in CHECKS]),
    help="Run this check only (docs/verify-azure.md has their names).",
)
@click.option(
    "--key-type",
    multiple=True,
    type=click.Choice([str(each) for each in KEY_TYPES]),
    help="Run with this type of key only.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DIRECTORY,
    help="The folder for reports and exchanges.  [default: verify-azure]",
)
@click.option("--clean-up", is_flag=True, help="Remove what earlier runs left in the vault, and do nothing else.")
def main(
    vault: str,
    yes: bool,
    despite_others: bool,
    firewall: bool,
    throttle: bool,
    only: tuple[str, ...],
    key_type: tuple[str, ...],
    output: Path,
    clean_up: bool,
) -> None:
    """Ask Azure, in VAULT (a name or a URL), what local Azure only assumes.

    Exits with 0 if Azure does as assumed, 1 if not, 130 after an interrupt.
    """
    identity = Identity.found(os.environ)
    try:
        survey = asyncio.run(look(identity, vault))
        if clean_up:
            _confirm(f"Remove {len(survey.leftovers)} names that earlier runs left in {survey.target.name}?", yes)
            sys.exit(_said(survey, asyncio.run(remove_leftovers(identity, survey))))
        if survey.others and not despite_others:
            raise ToolError(_held_by_others(survey))
        allowed: dict[Needs, bool] = {"firewall": firewall, "throttle": throttle}
        plan = Plan(
            directory=output / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
            checks=[check for check in CHECKS if not only or check.name in only],
            key_types=frozenset(map(KeyType, key_type or KEY_TYPES)),
            allowed=frozenset(needs for needs, given in allowed.items() if given),
        )
        click.echo(_announcement(identity, survey, plan))
        _confirm("Begin?", yes)
        _hide_from_git(output)
        outcome = asyncio.run(verify(identity, survey, plan, click.echo))
    except (AzureError, CloudError) as error:
        raise ToolError(f"Azure could not be asked: {str(error).splitlines()[0]}") from error
    sys.exit(_reported(survey, plan, outcome))


def _confirm(question: str, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True)


def _hide_from_git(output: Path) -> None:
    """What is kept is redacted, and still nothing that should be committed without a look."""
    output.mkdir(parents=True, exist_ok=True)
    (output / ".gitignore").write_text("*\n")


def _held_by_others(survey: Survey) -> str:
    some = ", ".join(sorted(survey.others)[:3])
    return (
        f"vault {survey.target.name} holds {len(survey.others)} names that are not of these checks ({some}), so "
        "nothing was done to it: name a vault that is used for nothing else, or add --despite-others (the checks touch "
        "only names of their own; --firewall and --throttle touch everybody)"
    )


def _announcement(identity: Identity, survey: Survey, plan: Plan) -> str:
    target, rows = survey.target, plan.rows()
    lines = [
        f"Vault     {target.name} ({target.uri}), resource group {target.resource_group}",
        f"Azure     {survey.endpoints.resource_manager}, subscription {target.subscription_id}",
        f"As        {survey.principal.kind} {survey.principal.object_id}",
        f"Checks    {len(rows)}, with certificates, keys and secrets under a random prefix, removed at the end",
        f"Keeps     {plan.directory}",
    ]
    if target.purge_protected:
        lines.append(f"Beware    purge protection: what is removed stays deleted for {target.soft_delete_days} days")
    if survey.leftovers:
        lines.append(
            f"Beware    earlier runs left {len(survey.leftovers)} names, deleted or not; --clean-up removes what can be"
        )
    if "firewall" in plan.allowed:
        lines.append("Beware    the vault is shut for everybody for some minutes, twice, and opened again as it was")
    if "throttle" in plan.allowed:
        lines.append("Beware    whoever else makes keys in this vault will be refused for some seconds")
    if stranger_of(identity) is None:
        lines.append("Note      no second identity in OTHER_ARM_CLIENT_ID: a missing role is not tried")
    return "\n".join(lines)


def _reported(survey: Survey, plan: Plan, outcome: Outcome) -> int:
    Console().print(table(outcome.results))
    counted = ", ".join(f"{number} {verdict}" for verdict, number in summary(outcome.results).items())
    click.echo(f"{counted}. Report and exchanges: {plan.directory}")
    for problem in outcome.withheld:
        click.echo(f"Not written: {problem}. Redaction has a gap: please report it.", err=True)
    untidy = _said(survey, outcome.left)
    if outcome.interrupted:
        return _INTERRUPTED
    return int(untidy or bool(outcome.withheld) or any(result.verdict == "different" for result in outcome.results))


def _said(survey: Survey, left: set[str]) -> bool:
    """Say what is left in the vault; whether there is anything."""
    if left:
        names = ", ".join(sorted(left))
        click.echo(
            f"Still in {survey.target.name}: {names}. `python -m tools.verify_azure {survey.target.name} --clean-up` "
            "removes it.",
            err=True,
        )
    return bool(left)


if __name__ == "__main__":
    main(prog_name="python -m tools.verify_azure")
