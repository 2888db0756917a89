"""What the provider says of a namespace's access from its state, and what it asks of Temporal Cloud, and how often."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import certifi
import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    CreateRequest,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
)
from temporalio.api.cloud.cloudservice.v1 import (
    GetAsyncOperationRequest,
    GetAsyncOperationResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, Namespace, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import RPCError, RPCStatusCode

from pki import rules, to_pem
from plugin import UNKNOWN, PluginError, plain, property_values
from provider.namespace_inputs import COMPUTED_NAMES, fingerprint_of
from provider.plugin import KeyVaultProvider
from provider.temporal_cloud import CloudAccount
from tests.certificates import authority_policy, issue, leaf_policy

URN = "urn:pulumi:dev::temporal-azure::temporalazure:cloud:NamespaceAccess::orders"
ID = "orders.a1b2c"
KEY = "hunter2"
AUTHORITY = issue(authority_policy("clients 1"))
OURS, NEXT, THEIRS = (
    to_pem(each.certificate)
    for each in (AUTHORITY, issue(authority_policy("clients 2")), issue(authority_policy("somebody else's")))
)
_END = "-----END CERTIFICATE-----"
_ABOVE = issue(authority_policy("root", path_length=1))
_BELOW = issue(authority_policy("below"), _ABOVE)
ROOT, BELOW, LEAF = (to_pem(each.certificate) for each in (_ABOVE, _BELOW, issue(leaf_policy("leaf"), _BELOW)))
PUBLIC = f"{certifi.contents().partition(_END)[0]}{_END}\n"
BY_NAME, BY_UNIT = {"commonName": "orders-*"}, {"organizationalUnit": "Payments", "organization": "Contoso"}

INPUTS: dict[str, Any] = {
    "namespace": ID,
    "certificateAuthoritiesPem": [OURS],
    "filters": [BY_NAME],
    "exclusive": False,
}
OUTPUTS: dict[str, Any] = {
    "fingerprints": [fingerprint_of(OURS)],
    "enabled": True,
    "resourceVersion": "2",
    "state": "active",
    "unmanaged": [],
}
STATE = INPUTS | OUTPUTS


class Listener:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def info(self, message: str, urn: str = "") -> None:
        self.said.append(("info", message))

    async def warning(self, message: str, urn: str = "") -> None:
        self.said.append(("warning", message))

    async def status(self, message: str, urn: str) -> None:
        """Passing."""


def refusal(status: RPCStatusCode, message: str = "as dialled") -> RPCError:
    return RPCError(message, status, b"")


@dataclass
class Service:
    """One namespace, its operations, and what was asked. `ends`: how operations end, after `polls` looks at them."""

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    operations: dict[str, AsyncOperation] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    updates: list[UpdateNamespaceRequest] = field(default_factory=list)
    refusals: list[RPCError] = field(default_factory=list)
    meanwhile: Callable[[], None] | None = None
    polls: int = 1
    check_milliseconds: int = 250
    end: int = AsyncOperation.STATE_FULFILLED
    stale_reads: int = 0

    def holds(self, *authorities: str, filters: Any = (), api_keys: bool = True, identifier: str = ID) -> Namespace:
        spec = NamespaceSpec(name="orders", retention_days=30)
        spec.mtls_auth.accepted_client_ca = "".join(authorities).encode()
        spec.mtls_auth.certificate_filters.extend(CertificateFilterSpec(**each) for each in filters)
        spec.mtls_auth.enabled = bool(authorities)
        spec.api_key_auth.enabled = api_keys
        state = ResourceState.RESOURCE_STATE_ACTIVE
        self.namespaces[identifier] = Namespace(namespace=identifier, spec=spec, resource_version="1", state=state)
        return self.namespaces[identifier]

    @property
    def spec(self) -> NamespaceSpec:
        return self.namespaces[ID].spec

    async def get_namespace(self, request: GetNamespaceRequest, **_: Any) -> GetNamespaceResponse:
        self.asked.append("read")
        if request.namespace not in self.namespaces:
            raise refusal(RPCStatusCode.NOT_FOUND)
        answer = GetNamespaceResponse(namespace=self.namespaces[request.namespace])
        if self.updates and self.stale_reads:
            self.stale_reads -= 1
            answer.namespace.spec.ClearField("mtls_auth")
            answer.namespace.resource_version = "1"
        return answer

    async def get_async_operation(self, request: GetAsyncOperationRequest, **_: Any) -> GetAsyncOperationResponse:
        operation = self.operations.get(request.async_operation_id)
        if operation is None:
            raise refusal(RPCStatusCode.NOT_FOUND)
        self.asked.append("look")
        if operation.state in (AsyncOperation.STATE_PENDING, AsyncOperation.STATE_IN_PROGRESS):
            self.polls -= 1
            operation.state = AsyncOperation.STATE_IN_PROGRESS
            if self.polls <= 0:
                self._finish(operation)
        return GetAsyncOperationResponse(async_operation=operation)

    def _finish(self, operation: AsyncOperation) -> None:
        operation.state = self.end  # type: ignore[assignment]
        request = UpdateNamespaceRequest()
        operation.operation_input.Unpack(request)
        namespace = self.namespaces[request.namespace or ID]
        namespace.async_operation_id = ""
        if operation.state == AsyncOperation.STATE_FULFILLED and request.namespace:
            namespace.spec.CopyFrom(request.spec)
            namespace.resource_version += "+"

    async def update_namespace(self, request: UpdateNamespaceRequest, **_: Any) -> UpdateNamespaceResponse:
        self.asked.append("update")
        if self.meanwhile is not None:
            change, self.meanwhile = self.meanwhile, None
            change()
        if self.refusals:
            raise self.refusals.pop(0)
        namespace = self.namespaces[request.namespace]
        if request.resource_version != namespace.resource_version:
            raise refusal(RPCStatusCode.INVALID_ARGUMENT, "in words that nobody knows")
        assert request.async_operation_id not in self.operations
        self.updates.append(request)
        return UpdateNamespaceResponse(async_operation=self.begins(request.async_operation_id, request))

    def begins(self, identifier: str, request: UpdateNamespaceRequest) -> AsyncOperation:
        operation = AsyncOperation(id=identifier, state=AsyncOperation.STATE_PENDING)
        operation.check_duration.FromMilliseconds(self.check_milliseconds)
        operation.operation_input.Pack(request)
        self.operations[identifier] = operation
        self.namespaces[ID].async_operation_id = identifier
        return operation


@pytest.fixture
def service() -> Service:
    service = Service()
    service.holds()
    return service


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, which takes no time."""
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return naps


@pytest.fixture
def provider(
    listener: Listener, service: Service, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> KeyVaultProvider:
    async def connect(self: CloudAccount) -> Service:
        return service

    monkeypatch.setattr(CloudAccount, "service", connect)
    return KeyVaultProvider(listener)  # type: ignore[arg-type]


async def check(provider: KeyVaultProvider, inputs: dict[str, Any]) -> CheckResponse:
    return await provider.check(CheckRequest(URN, {}, property_values(inputs), b""))


async def diff(provider: KeyVaultProvider, state: dict[str, Any], inputs: dict[str, Any]) -> DiffResponse:
    request = DiffRequest(URN, ID, property_values(state), property_values(inputs), ignore_changes=[])
    return await provider.diff(request)


async def create(
    provider: KeyVaultProvider, inputs: dict[str, Any] = INPUTS, *, preview: bool = False, timeout_seconds: float = 0
) -> dict[str, Any]:
    request = CreateRequest(URN, property_values(inputs), timeout=timeout_seconds, preview=preview)
    response = await provider.create(request)
    assert response.resource_id == ("" if preview else ID)
    return dict(plain(response.properties))


async def update(
    provider: KeyVaultProvider, inputs: dict[str, Any], *, state: dict[str, Any] = STATE, preview: bool = False
) -> dict[str, Any]:
    request = UpdateRequest(
        URN, ID, property_values(state), property_values(inputs), timeout=0, ignore_changes=[], preview=preview
    )
    return dict(plain((await provider.update(request)).properties or {}))


async def refresh(provider: KeyVaultProvider, state: dict[str, Any] = STATE) -> ReadResponse:
    inputs = {name: state[name] for name in INPUTS}
    return await provider.read(ReadRequest(URN, ID, property_values(state), property_values(inputs)))


async def imported(provider: KeyVaultProvider, resource_id: str = ID) -> ReadResponse:
    return await provider.read(ReadRequest(URN, resource_id, {}, {}))


async def delete(provider: KeyVaultProvider, state: dict[str, Any] = STATE) -> None:
    await provider.delete(DeleteRequest(URN, ID, property_values(state), timeout=0))


def kinds(response: DiffResponse) -> dict[str, str]:
    return {path: change.kind.name for path, change in response.detailed_diff.items()}


# Check


async def test_inputs_are_spelled_out(provider: KeyVaultProvider) -> None:
    """What means the same would show as a change, because a file ends otherwise or a default is not written."""
    given = {"namespace": ID, "certificateAuthoritiesPem": ["\n" + OURS.replace("\n", "\r\n")]}
    response = await check(provider, given)
    assert response.failures == []
    assert plain(response.inputs or {}) == INPUTS | {"filters": []}
    response = await check(provider, INPUTS | {"filters": [BY_NAME | {"organization": None}], "timeoutSeconds": None})
    assert plain(response.inputs or {}) == INPUTS


@pytest.mark.parametrize(
    "unknown",
    [
        {"namespace": UNKNOWN},
        {"certificateAuthoritiesPem": UNKNOWN},
        {"certificateAuthoritiesPem": [OURS, UNKNOWN]},
        {"filters": UNKNOWN},
        {"filters": [{"commonName": UNKNOWN}, UNKNOWN]},
        {"exclusive": UNKNOWN},
        {"timeoutSeconds": UNKNOWN},
    ],
)
async def test_what_is_unknown_passes(provider: KeyVaultProvider, unknown: dict[str, Any]) -> None:
    """In the first preview the authority does not exist."""
    response = await check(provider, INPUTS | unknown)
    assert response.failures == []
    assert plain(response.inputs or {}) == INPUTS | unknown
    found = await create(provider, INPUTS | unknown, preview=True)
    known = "certificateAuthoritiesPem" not in unknown
    assert found["fingerprints"] == ([fingerprint_of(OURS)] if known else UNKNOWN)


@pytest.mark.parametrize(
    ("property_", "wrong"),
    [
        ("namespace", {"namespace": "orders"}),
        ("namespace", {"namespace": "orders.a1b2c/x"}),
        ("namespace", {"namespace": f"{'x' * 300}.a1b2c"}),
        ("certificateAuthoritiesPem[0]", {"certificateAuthoritiesPem": ["clients"]}),
        ("certificateAuthoritiesPem[1]", {"certificateAuthoritiesPem": [OURS, NEXT + THEIRS]}),
        ("certificateAuthoritiesPem", {"certificateAuthoritiesPem": [OURS, OURS]}),
        ("certificateAuthoritiesPem", {"certificateAuthoritiesPem": []}),
        ("certificateAuthoritiesPem", {"certificateAuthoritiesPem": [BELOW]}),
        ("certificateAuthoritiesPem", {"certificateAuthoritiesPem": [OURS, LEAF]}),
        ("filters", {"filters": [{}]}),
        ("filters", {"filters": [{"commonName": " "}]}),
        ("filters", {"filters": [{"commonName": "or*ders"}]}),
        ("filters", {"filters": [{"commonName": f"orders-{number}"} for number in range(26)]}),
        ("filters[0].country", {"filters": [{"commonName": "x", "country": "DE"}]}),
        ("filters[0].commonName", {"filters": [{"commonName": 7}]}),
        ("filters", {"filters": [BY_NAME, dict(BY_NAME)]}),
        ("timeoutSeconds", {"timeoutSeconds": 0}),
        ("account", {"account": "a1b2c"}),
    ],
)
async def test_what_the_service_would_refuse_is_refused(
    provider: KeyVaultProvider, property_: str, wrong: dict[str, Any]
) -> None:
    """The service says so only after all else was made; and filters without an authority it drops in silence."""
    [failure] = (await check(provider, INPUTS | wrong)).failures or []
    assert failure.property == property_
    assert failure.reason


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"certificateAuthoritiesPem": [BELOW]}, f"{rules.BUNDLE_CLOSED.consequence} {rules.BUNDLE_CLOSED.fix}"),
        ({"certificateAuthoritiesPem": [OURS, LEAF]}, f"[{rules.AUTHORITY.identifier}]. {rules.AUTHORITY.consequence}"),
        ({"certificateAuthoritiesPem": [PUBLIC], "filters": []}, rules.WELL_KNOWN_AUTHORITY.consequence),
        ({"filters": [{"commonName": "or*ders"}]}, 'filters[0].commonName: "or*ders" has a wildcard inside.'),
        ({"filters": [BY_UNIT, dict(BY_UNIT)]}, "filters[1]: is equal to filters[0]."),
    ],
)
async def test_a_refusal_is_in_the_words_of_the_rules(
    provider: KeyVaultProvider, wrong: dict[str, Any], said: str
) -> None:
    """Two rules for one thing would say two things of it, and one day mean two."""
    [failure] = (await check(provider, INPUTS | wrong)).failures or []
    assert said in failure.reason


@pytest.mark.parametrize(
    "right",
    [
        {"certificateAuthoritiesPem": [BELOW, ROOT]},
        {"certificateAuthoritiesPem": [PUBLIC]},
        {"certificateAuthoritiesPem": [PUBLIC], "filters": UNKNOWN},
        {"certificateAuthoritiesPem": [], "filters": []},
    ],
)
async def test_what_the_service_takes_is_taken(provider: KeyVaultProvider, right: dict[str, Any]) -> None:
    """Filters make a public authority right, a root makes what it issued, and nobody need be admitted."""
    assert (await check(provider, INPUTS | right)).failures == []


# Diff and previews


async def test_nothing_changes_of_itself(provider: KeyVaultProvider, service: Service, listener: Listener) -> None:
    response = await diff(provider, STATE, INPUTS)
    assert (response.changes, response.replaces, kinds(response)) == (False, [], {})
    assert (service.asked, listener.said) == ([], [])


async def test_order_means_nothing(provider: KeyVaultProvider) -> None:
    state = STATE | {"certificateAuthoritiesPem": [OURS, NEXT], "filters": [BY_NAME, BY_UNIT]}
    inputs = INPUTS | {
        "certificateAuthoritiesPem": [NEXT, OURS],
        "filters": [{"organization": "Contoso", "organizationalUnit": "Payments"}, BY_NAME],
    }
    assert (await diff(provider, state, inputs)).changes is False


@pytest.mark.parametrize("namespace", ["billing.a1b2c", UNKNOWN])
async def test_another_namespace_is_another_access(provider: KeyVaultProvider, namespace: str) -> None:
    response = await diff(provider, STATE, INPUTS | {"namespace": namespace})
    assert response.replaces == ["namespace"]
    assert response.stables == ["namespace"]


@pytest.mark.parametrize(
    "change",
    [
        {"certificateAuthoritiesPem": [OURS, NEXT]},
        {"certificateAuthoritiesPem": UNKNOWN},
        {"certificateAuthoritiesPem": [UNKNOWN]},
        {"filters": []},
        {"exclusive": True},
        {"timeoutSeconds": 60},
    ],
)
async def test_a_change_is_an_update_and_its_preview_asks_nothing(
    provider: KeyVaultProvider, service: Service, change: dict[str, Any]
) -> None:
    response = await diff(provider, STATE, INPUTS | change)
    assert (response.replaces, response.diffs) == ([], [*change])
    found = await update(provider, INPUTS | change, preview=True)
    assert found.keys() == (INPUTS | change | OUTPUTS).keys()
    assert found["resourceVersion"] == UNKNOWN
    assert service.asked == []


async def test_what_somebody_did_shows_as_an_update(provider: KeyVaultProvider, listener: Listener) -> None:
    """Clients would be refused, or let in, while each run says that nothing changes."""
    response = await diff(provider, STATE | {"enabled": False}, INPUTS)
    assert kinds(response) == {"enabled": "UPDATE"}
    state = STATE | {"unmanaged": ["authority abc"]}
    assert (await diff(provider, state, INPUTS)).changes is False
    response = await diff(provider, state | {"exclusive": True}, INPUTS | {"exclusive": True})
    assert kinds(response) == {"unmanaged": "UPDATE"}
    assert [message for _, message in listener.said] == [
        "Somebody turned mutual TLS off for this namespace. To be turned on again.",
        "To be taken away, because somebody else added it: authority abc.",
    ]
    nothing_wanted: dict[str, Any] = {"certificateAuthoritiesPem": [], "filters": []}
    assert (await diff(provider, STATE | nothing_wanted | {"enabled": False}, INPUTS | nothing_wanted)).changes is False


async def test_a_preview_of_a_new_access_asks_nothing(provider: KeyVaultProvider, service: Service) -> None:
    found = await create(provider, preview=True)
    unknown = dict.fromkeys(COMPUTED_NAMES, UNKNOWN)
    assert found == INPUTS | unknown | {"fingerprints": [fingerprint_of(OURS)]}
    assert service.asked == []


# Create and update


async def test_a_change_is_asked_for_once_and_waited_for(
    provider: KeyVaultProvider, service: Service, naps: list[float]
) -> None:
    service.polls = 3
    assert await create(provider) == STATE | {"resourceVersion": "1+"}
    assert service.asked == ["read", "update", "look", "look", "look", "read"]
    assert naps == [0.25] * 3
    [request] = service.updates
    assert request.resource_version == "1"
    assert request.async_operation_id.startswith("temporalazure-")
    assert request.spec.retention_days == 30
    assert request.spec.mtls_auth.enabled


async def test_an_operation_that_does_not_say_is_looked_at_each_second(
    provider: KeyVaultProvider, service: Service, naps: list[float]
) -> None:
    service.check_milliseconds = 0
    await create(provider)
    assert naps == [1.0]


async def test_what_is_there_already_is_not_asked_for(provider: KeyVaultProvider, service: Service) -> None:
    service.holds(OURS, filters=[{"common_name": "orders-*"}])
    assert await create(provider) == STATE | {"resourceVersion": "1"}
    assert service.asked == ["read"]


async def test_what_the_state_says_gives_way(provider: KeyVaultProvider, service: Service) -> None:
    service.holds(OURS, THEIRS, filters=[{"common_name": "orders-*"}])
    found = await update(provider, INPUTS | {"certificateAuthoritiesPem": [NEXT], "filters": []})
    assert service.spec.mtls_auth.accepted_client_ca.decode() == THEIRS + NEXT
    assert [*service.spec.mtls_auth.certificate_filters] == []
    assert found["unmanaged"] == [f"authority {fingerprint_of(THEIRS)}"]
    assert found["fingerprints"] == [fingerprint_of(NEXT)]


async def test_after_a_refresh_filters_may_stand_alone(provider: KeyVaultProvider, service: Service) -> None:
    """Somebody removed the authority: the state that says so would be refused as inputs are."""
    await update(provider, INPUTS, state=STATE | {"certificateAuthoritiesPem": []})
    assert service.spec.mtls_auth.accepted_client_ca.decode() == OURS


async def test_an_operations_id_follows_from_what_is_asked(provider: KeyVaultProvider, service: Service) -> None:
    """A killed run would not find its own; or another change would be taken for it."""
    identifiers = []
    for inputs in (INPUTS, INPUTS, INPUTS | {"filters": []}):
        service.holds()
        service.operations.clear()
        await create(provider, inputs)
        identifiers.append(service.updates[-1].async_operation_id)
    assert identifiers[0] == identifiers[1] != identifiers[2]
    service.holds().resource_version = "7"
    service.operations.clear()
    await create(provider)
    assert service.updates[-1].async_operation_id not in identifiers


async def test_an_operation_of_a_killed_run_is_taken_up(provider: KeyVaultProvider, service: Service) -> None:
    """Also where the namespace does not say yet that it is being changed."""
    await create(provider)
    [request] = service.updates
    service.operations.clear()
    service.updates.clear()
    service.holds()
    service.polls = 2
    service.begins(request.async_operation_id, request)
    service.namespaces[ID].async_operation_id = ""
    assert await create(provider) == STATE | {"resourceVersion": "1+"}
    assert service.updates == []


@pytest.mark.parametrize("polls", [1, 3])
async def test_somebody_elses_change_is_waited_for(
    provider: KeyVaultProvider, service: Service, listener: Listener, polls: int
) -> None:
    """Ours would be refused, or made on top of what is about to be written over."""
    service.begins("theirs", UpdateNamespaceRequest())
    service.polls = polls
    await create(provider)
    assert service.asked[: polls + 3] == ["read", *["look"] * polls, "read", "update"]
    assert listener.said == (
        [("info", "Waiting for a change of the namespace that is under way: operation theirs.")] if polls > 1 else []
    )


async def test_who_was_quicker_is_built_upon(provider: KeyVaultProvider, service: Service) -> None:
    """Whatever the service calls it: no document says."""

    def meanwhile() -> None:
        service.holds(THEIRS).resource_version = "2"

    service.meanwhile = meanwhile
    await create(provider)
    assert service.spec.mtls_auth.accepted_client_ca.decode() == THEIRS + OURS
    assert [request.resource_version for request in service.updates] == ["2"]


async def test_who_is_always_quicker_ends_it(provider: KeyVaultProvider, service: Service) -> None:
    """Two programs that each take away what the other adds would go on for ever."""
    versions = iter(range(2, 1000))

    def meanwhile() -> None:
        service.holds(THEIRS).resource_version = str(next(versions))
        service.meanwhile = meanwhile

    service.meanwhile = meanwhile
    with pytest.raises(PluginError, match="was changed by somebody else each of the 20 times"):
        await create(provider)
    assert service.updates == []


async def test_a_read_that_comes_late_writes_nothing_twice(provider: KeyVaultProvider, service: Service) -> None:
    service.stale_reads = 3
    assert await create(provider) == STATE | {"resourceVersion": "1+"}
    assert len(service.updates) == 1


async def test_a_refusal_is_no_conflict_where_nothing_moved(provider: KeyVaultProvider, service: Service) -> None:
    service.refusals = [refusal(RPCStatusCode.FAILED_PRECONDITION, "the account is suspended")]
    with pytest.raises(PluginError, match=r"\(FAILED_PRECONDITION\): the account is suspended\. Nothing was changed"):
        await create(provider)
    assert service.asked.count("update") == 1


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (AsyncOperation.STATE_FAILED, "could not finish"),
        (AsyncOperation.STATE_REJECTED, "rejected"),
        (AsyncOperation.STATE_CANCELLED, "cancelled"),
        (7, "not known here"),
    ],
)
async def test_every_end_ends_the_run_and_can_be_tried_again(
    provider: KeyVaultProvider, service: Service, end: int, said: str
) -> None:
    service.end = end
    for attempt in range(3):
        with pytest.raises(PluginError, match=rf"{said}.*no reason was given.*run the same command again"):
            await create(provider)
        assert len(service.updates) == len(service.operations) == attempt + 1
    service.end = AsyncOperation.STATE_FULFILLED
    await create(provider)


@pytest.mark.parametrize(("given", "engine", "limit"), [(None, 0, 600), (90, 0, 90), (90, 30, 30)])
async def test_how_long_a_change_may_take(
    provider: KeyVaultProvider,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    given: int | None,
    engine: float,
    limit: int,
) -> None:
    """The engine's custom timeout comes before the resource's, and that before ours."""
    seconds = 0.0

    async def sleep(asked: float) -> None:
        nonlocal seconds
        seconds += asked

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr("provider.temporal_cloud.time.monotonic", lambda: seconds)
    service.polls = 100_000
    service.check_milliseconds = 20_000
    with pytest.raises(PluginError, match=rf"within {limit} s\. It goes on with it \(operation temporalazure-"):
        await create(provider, INPUTS | ({"timeoutSeconds": given} if given else {}), timeout_seconds=engine)
    assert seconds == limit


async def test_an_operation_that_is_forgotten_is_a_message(
    provider: KeyVaultProvider, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(_: float) -> None:
        service.operations.clear()

    monkeypatch.setattr(asyncio, "sleep", forget)
    with pytest.raises(PluginError, match="no longer knows the operation temporalazure-"):
        await create(provider)


async def test_no_change_locks_everybody_out(provider: KeyVaultProvider, service: Service) -> None:
    service.holds(OURS, api_keys=False)
    with pytest.raises(PluginError, match="left as it is, because it would be left with no way in"):
        await update(provider, INPUTS | {"certificateAuthoritiesPem": [], "filters": []})
    with pytest.raises(PluginError, match="no way in"):
        await delete(provider)
    assert "update" not in service.asked


@pytest.mark.parametrize("state", [ResourceState.RESOURCE_STATE_DELETING, ResourceState.RESOURCE_STATE_DELETED, None])
async def test_a_namespace_that_is_not_there_is_not_made(
    provider: KeyVaultProvider, service: Service, state: Any
) -> None:
    if state is None:
        service.namespaces.clear()
    else:
        service.namespaces[ID].state = state
    with pytest.raises(PluginError, match=rf'"{ID}" (does not exist|is being deleted)'):
        await create(provider)
    assert "update" not in service.asked


async def test_what_cannot_be_read_is_left_as_it_is(provider: KeyVaultProvider, service: Service) -> None:
    service.holds("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    for attempt in (create(provider), refresh(provider), imported(provider)):
        with pytest.raises(PluginError, match="cannot be read"):
            await attempt
    assert "update" not in service.asked


# Read, import, delete


async def test_a_refresh_says_what_is_left_of_ours(provider: KeyVaultProvider, service: Service) -> None:
    service.holds(THEIRS, NEXT, filters=[{"organization": "Partner"}])
    state = STATE | {"certificateAuthoritiesPem": [OURS, NEXT], "timeoutSeconds": 60}
    response = await refresh(provider, state)
    inputs = INPUTS | {"certificateAuthoritiesPem": [NEXT], "filters": [], "timeoutSeconds": 60}
    assert plain(response.inputs or {}) == inputs
    assert plain(response.properties or {}) == inputs | {
        "fingerprints": [fingerprint_of(NEXT)],
        "enabled": True,
        "resourceVersion": "1",
        "state": "active",
        "unmanaged": [f"authority {fingerprint_of(THEIRS)}", 'filter organization "Partner"'],
    }
    assert service.asked == ["read"]


async def test_a_refresh_of_what_did_not_change_is_the_state(provider: KeyVaultProvider, service: Service) -> None:
    service.holds(OURS, filters=[{"common_name": "orders-*"}]).resource_version = "2"
    response = await refresh(provider)
    assert plain(response.inputs or {}) == INPUTS
    assert plain(response.properties or {}) == STATE


async def test_a_namespace_that_is_gone_is_gone(provider: KeyVaultProvider, service: Service) -> None:
    service.namespaces.clear()
    assert (await refresh(provider)).resource_id == ""
    await delete(provider)
    assert "update" not in service.asked


async def test_an_import_is_all_that_is_there(provider: KeyVaultProvider, service: Service) -> None:
    service.holds(OURS, filters=[{"common_name": "orders-*"}]).resource_version = "2"
    response = await imported(provider)
    assert (response.resource_id, plain(response.inputs or {})) == (ID, INPUTS)
    assert plain(response.properties or {}) == STATE
    assert (await diff(provider, plain(response.properties or {}), INPUTS)).changes is False


@pytest.mark.parametrize("resource_id", ["orders", "orders.a1b2c.x", "orders.a1b2c\n", "gone.a1b2c", ""])
async def test_what_cannot_be_imported_is_said(provider: KeyVaultProvider, resource_id: str) -> None:
    with pytest.raises(PluginError, match=r"cannot be imported: .*NAME\.ACCOUNT"):
        await imported(provider, resource_id)


async def test_a_delete_takes_away_its_own(provider: KeyVaultProvider, service: Service, listener: Listener) -> None:
    service.holds(THEIRS, OURS, filters=[{"common_name": "orders-*"}])
    await delete(provider, STATE | {"exclusive": True})
    assert service.spec.mtls_auth.accepted_client_ca.decode() == THEIRS
    assert service.spec.mtls_auth.enabled
    [(severity, message)] = listener.said
    assert severity == "warning"
    assert "No filter is left" in message
    service.asked.clear()
    await delete(provider)
    assert service.asked == ["read", "read"]


# The certificates and the key


async def test_the_settings_are_taken_when_the_provider_is_configured(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong address would be found out by whoever is sent the key."""
    provider = KeyVaultProvider(listener)  # type: ignore[arg-type]
    settings = {"temporalCloudApiKey": PropertyValue(KEY, is_secret=True)}
    await provider.configure(ConfigureRequest({}, settings, True, True))
    cloud = await provider.connection.temporal_cloud(URN, 60)
    assert cloud.account.api_key == KEY
    assert KEY not in repr(cloud.account)
    address = property_values({"temporalCloudAddress": "http://example.com"})
    with pytest.raises(PluginError, match="in the clear"):
        await provider.configure(ConfigureRequest({}, address, True, True))
