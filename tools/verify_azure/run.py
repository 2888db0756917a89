"""One run: every check in its turn, what it exchanged kept as soon as it is done, and everything removed at the end.

The checks are a task of their own, so that an interrupt ends them and not the removal.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from azure.core.exceptions import AzureError
from yarl import URL

from cloud import Endpoints, Identity, Principal, Session, discover
from pki import KeyType
from tools import ToolError
from tools.verify_azure.bench import Bench
from tools.verify_azure.checks import CHECKS, Check, Needs
from tools.verify_azure.cleanup import clean_up
from tools.verify_azure.clients import Clients, Recorder
from tools.verify_azure.exchanges import UNNAMED_CLOUD, Recording, folded
from tools.verify_azure.redaction import Redactor, leaks
from tools.verify_azure.report import Result, as_json
from tools.verify_azure.target import PREFIX, Gate, Target, find, held_names

_LIMIT_SECONDS = 900
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NEEDED: dict[Needs, str] = {
    "stranger": "needs an identity without a role in OTHER_ARM_CLIENT_ID and OTHER_ARM_CLIENT_SECRET",
    "firewall": "changes the vault's network rules: only with --firewall",
    "throttle": "loads the vault until it refuses: only with --throttle",
}
_OTHER = "OTHER_"
_SHARED = ("ARM_ENVIRONMENT", "ARM_METADATA_HOSTNAME", "ARM_TENANT_ID", "ARM_DISABLE_INSTANCE_DISCOVERY")
_SECRETS = ("SECRET", "TOKEN", "PASSWORD")

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of a vault before anything is done to it. `names` is all that it holds."""

    target: Target
    principal: Principal
    endpoints: Endpoints
    names: frozenset[str]

    @property
    def leftovers(self) -> set[str]:
        """What earlier runs left behind."""
        return {name for name in self.names if name.startswith(PREFIX)}

    @property
    def others(self) -> set[str]:
        """What is none of ours."""
        return set(self.names) - self.leftovers


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a person has asked for. `directory` is the new folder for the report and the exchanges."""

    directory: Path
    checks: Sequence[Check] = CHECKS
    key_types: frozenset[KeyType] = frozenset(KeyType)
    allowed: frozenset[Needs] = frozenset()

    def rows(self) -> list[tuple[Check, KeyType]]:
        """Return each check with each of its types of key, in the order of the table."""
        return [
            (check, key_type) for check in self.checks for key_type in check.key_types if key_type in self.key_types
        ]


@dataclass(kw_only=True)
class Outcome:
    """How a run went. `left` is what could not be removed; `withheld` the files that were not written, and why."""

    results: list[Result] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    withheld: list[str] = field(default_factory=list)
    interrupted: bool = False


def stranger_of(identity: Identity) -> Identity | None:
    """Return the second identity that the environment describes, if it does."""
    theirs = {
        name.removeprefix(_OTHER): value
        for name, value in identity.variables.items()
        if name.startswith(f"{_OTHER}ARM_")
    }
    shared = {name: identity.variables[name] for name in _SHARED if name in identity.variables}
    return Identity({**shared, **theirs}) if "ARM_CLIENT_ID" in theirs else None


async def look(identity: Identity, vault: str) -> Survey:
    """Return what a vault is and holds, changing nothing. Raises ToolError if it is not fit for checks."""
    endpoints = await discover(identity.environment, identity.metadata_host)
    async with Session(identity, endpoints) as session:
        target = await find(session, vault)
        async with _clients(session, endpoints, target, Recorder(), "deployer") as clients:
            names = frozenset(await held_names(clients))
        return Survey(target=target, principal=await session.principal(), endpoints=endpoints, names=names)


async def verify(identity: Identity, survey: Survey, plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Run the checks, then remove what they made, also after an interrupt; a second one ends the removal as well."""
    outcome, recorder, target = Outcome(), Recorder(), survey.target
    prefix = f"{PREFIX}{secrets.token_hex(4)}"
    began = datetime.now(UTC)
    stranger = stranger_of(identity)
    async with AsyncExitStack() as stack:

        async def signed_in(who: Identity, caller: str) -> tuple[Session, Clients]:
            session = await stack.enter_async_context(Session(who, survey.endpoints))
            clients = _clients(session, survey.endpoints, target, recorder, caller)
            return session, await stack.enter_async_context(clients)

        session, own = await signed_in(identity, "deployer")
        checking = _Checking(
            bench=Bench(
                own=own,
                stranger=(await signed_in(stranger, "stranger"))[1] if stranger else None,
                gate=Gate(session, target, say),
                prefix=prefix,
                key_type=KeyType.EC_P256,
            ),
            target=target,
            plan=plan,
            recorder=recorder,
            outcome=outcome,
            cloud=UNNAMED_CLOUD if identity.metadata_host else identity.environment,
            known_secrets=_known_secrets(identity, survey),
            say=say,
        )
        try:
            outcome.interrupted = not await _interruptible(checking.all(), say)
        finally:
            say("removing what was made")
            removing = _removed(own, prefix, purge=not target.purge_protected, outcome=outcome)
            if not await _interruptible(removing, say):
                outcome.left.add(f"{prefix}-…")
    checking.keep("report.json", as_json(outcome.results, cloud=checking.cloud, began=began))
    return outcome


async def answered(check: Check, bench: Bench, redactor: Redactor) -> Result:
    """Return how a check went; whatever surprise it ends with is an answer too, and not the end of the others."""
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            return Result.of(check, bench.key_type, await check.ask(bench))
    except Exception as surprise:
        words = next(iter(str(surprise).splitlines()), "")
        remark = f"it ended with {type(surprise).__name__}: {redactor.text(words)}"
        return Result(check=check, key_type=bench.key_type, seen={}, verdict="different", remark=remark)


async def remove_leftovers(identity: Identity, survey: Survey) -> set[str]:
    """Remove what earlier runs left behind; return what is still there."""
    async with (
        Session(identity, survey.endpoints) as session,
        _clients(session, survey.endpoints, survey.target, Recorder(), "deployer") as clients,
    ):
        return await clean_up(clients, PREFIX, purge=not survey.target.purge_protected)


@dataclass(kw_only=True)
class _Checking:
    bench: Bench
    target: Target
    plan: Plan
    recorder: Recorder
    outcome: Outcome
    cloud: str
    known_secrets: Sequence[str]
    say: Callable[[str], None]

    async def all(self) -> None:
        rows = self.plan.rows()
        for number, (check, key_type) in enumerate(rows, start=1):
            self.say(f"{number}/{len(rows)} {check.name} ({key_type})")
            self.outcome.results.append(await self._result(number, check, key_type))

    async def _result(self, number: int, check: Check, key_type: KeyType) -> Result:
        if check.needs is not None and not self._may(check.needs):
            return Result(check=check, key_type=key_type, seen={}, verdict="not run", remark=_NEEDED[check.needs])
        bench = Bench(
            own=self.bench.own,
            stranger=self.bench.stranger,
            gate=self.bench.gate,
            prefix=f"{self.bench.prefix}-{number:02}",
            key_type=key_type,
        )
        redactor = Redactor(vault_uri=self.target.uri, vault_name=self.target.name, prefix=bench.prefix)
        with self.recorder.recording() as noted:
            result = await answered(check, bench, redactor)
        kept = [raw for raw in noted if check.kept_status in (None, raw.status)]
        recording = Recording(
            check=check.name,
            key_type=key_type,
            cloud=self.cloud,
            conditions=self.target.conditions.model_copy(
                update={"network": check.network, "throttled": check.needs == "throttle"}
            ),
            exchanges=folded(redactor.exchange(raw) for raw in kept),
        )
        self.keep(f"exchanges/{recording.file_name}", recording.dump())
        return result

    def _may(self, needs: Needs) -> bool:
        return self.bench.stranger is not None if needs == "stranger" else needs in self.plan.allowed

    def keep(self, name: str, text: str) -> None:
        """Write a file, unless it holds what nobody else may see."""
        if found := leaks(text, self.known_secrets):
            self.outcome.withheld.append(f"{name}: it holds {', '.join(found)}")
            return
        path = self.plan.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


async def _removed(clients: Clients, prefix: str, *, purge: bool, outcome: Outcome) -> None:
    try:
        outcome.left |= await clean_up(clients, prefix, purge=purge)
    except (AzureError, ToolError):
        outcome.left.add(f"{prefix}-…")


async def _interruptible(work: Coroutine[Any, Any, None], say: Callable[[str], None]) -> bool:
    """Run `work` to its end, or until a signal cancels it, in which case the answer is False."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if task.cancelling():
            say("still putting things back")
        else:
            say("interrupted")
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupted)
    try:
        await task
    except asyncio.CancelledError:
        return False
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    return True


@asynccontextmanager
async def _clients(
    session: Session, endpoints: Endpoints, target: Target, recorder: Recorder, caller: str
) -> AsyncIterator[Clients]:
    own_domain = str(URL(target.uri).host).endswith(f".{endpoints.key_vault_suffix}")
    async with Clients(
        target.uri,
        session.credential,
        verify_challenge_resource=own_domain,
        on_response=recorder.hook(caller),
    ) as clients:
        yield clients


def _known_secrets(identity: Identity, survey: Survey) -> list[str]:
    """What no file may hold: this account's addresses and ids, and every credential in the environment."""
    credentials: Iterable[str] = (
        value
        for name, value in identity.variables.items()
        if name.startswith(("ARM_", "AZURE_", _OTHER)) and any(part in name for part in _SECRETS) and len(value) >= 8
    )
    target, principal = survey.target, survey.principal
    return [target.host, target.subscription_id, principal.tenant_id, principal.object_id, *credentials]
