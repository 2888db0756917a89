"""Local Azure answers what was recorded of Azure, as Azure did.

Recordings are made by `make verify-azure` and moved into `exchanges/` beside this file, one folder a run
(docs/verify-azure.md). Until there is one, local Azure is compared with what was recorded of itself: that says nothing
about Azure, and everything about whether this test would notice.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from localazure.client import LocalAzure
from tests.engine.localazure.replay import Replay
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import VaultClients, fresh
from tests.engine.verify_runs import run
from tools.verify_azure.exchanges import UNNAMED_CLOUD, Conditions, Exchange, Recording

pytestmark = pytest.mark.xdist_group("exchanges")

OWN = "local Azure"
KEPT = Path(__file__).parent / "exchanges"
NETWORK = {
    "open": {"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Allow"}},
    "denied": {"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny"}},
    "closed": {"publicNetworkAccess": "Disabled"},
}


class Vaults:
    """One vault for each kind that recordings ask for."""

    def __init__(self, sdk: Sdk, stack: ExitStack) -> None:
        self._sdk = sdk
        self._stack = stack
        self._vaults: dict[tuple[bool, int], VaultClients] = {}

    @contextmanager
    def under(self, conditions: Conditions) -> Iterator[VaultClients]:
        vault = self._vault(conditions)
        self._shut(vault, conditions.network)
        try:
            if conditions.throttled:
                self._sdk.azure.dials(keyCreationsPer10s=1)
                vault.keys().create_ec_key(fresh())
            yield vault
        finally:
            self._sdk.azure.dials(keyCreationsPer10s=None)
            self._shut(vault, "open")

    def _vault(self, conditions: Conditions) -> VaultClients:
        kind = (conditions.purge_protected, conditions.soft_delete_days)
        if kind not in self._vaults:
            properties = {"softDeleteRetentionInDays": conditions.soft_delete_days}
            protection = {"enablePurgeProtection": True} if conditions.purge_protected else {}
            self._vaults[kind] = VaultClients(self._sdk, self._stack, **properties, **protection)
        return self._vaults[kind]

    def _shut(self, vault: VaultClients, network: str) -> None:
        group = vault.id.split("/")[4]
        self._sdk.vaults().vaults.update(group, vault.name, {"properties": NETWORK[network]})


@pytest.fixture(scope="module")
def vaults(running_azure: LocalAzure) -> Iterator[Vaults]:
    with ExitStack() as stack:
        yield Vaults(Sdk(running_azure, stack), stack)


@pytest.fixture(scope="module")
def own_recordings(running_azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every check with one type of key, against local Azure itself."""
    with ExitStack() as stack:
        vault = VaultClients(Sdk(running_azure, stack), stack)
        running_azure.dials(certificatePendingPolls=0)
        ended = run(
            running_azure, vault.name, tmp_path_factory.mktemp("own"), "--yes", "--firewall", "--key-type", "EC-P256"
        )
    assert ended.status == 0, ended.said
    return ended.folder / "exchanges"


def differences(recording: Recording, vaults: Vaults) -> list[str]:
    with vaults.under(recording.conditions) as vault:
        return list(Replay(recording, vault).differences())


@pytest.mark.parametrize("source", [OWN, *sorted(path.name for path in KEPT.glob("*") if path.is_dir())])
def test_local_azure_answers_as_recorded(
    source: str, azure: LocalAzure, vaults: Vaults, request: pytest.FixtureRequest
) -> None:
    """What the program is tested against would drift from what it runs on."""
    folder = request.getfixturevalue("own_recordings") if source == OWN else KEPT / source
    paths = sorted(folder.rglob("*.json"))
    assert paths, f"{folder} holds no recording"
    recordings = [Recording.load(path) for path in paths]
    of_azure = {recording.check for recording in recordings if recording.cloud != UNNAMED_CLOUD}
    assert of_azure == (set() if source == OWN else {recording.check for recording in recordings}), (
        f"{folder} was not recorded of Azure, and says nothing about it"
    )
    found = [line for recording in recordings for line in differences(recording, vaults)]
    assert not found, "\n".join(found)


def with_first(recording: Recording, chosen: Callable[[Exchange], bool], **changes: object) -> Recording:
    """The recording with the first exchange that is `chosen` changed."""
    index = next(number for number, exchange in enumerate(recording.exchanges) if chosen(exchange))
    changed = recording.exchanges[index].model_copy(update=changes)
    exchanges = (*recording.exchanges[:index], changed, *recording.exchanges[index + 1 :])
    return recording.model_copy(update={"exchanges": exchanges})


class TestARecordingThatDiffers:
    """Each is one change away from a recording that local Azure answers alike."""

    @pytest.fixture
    def recording(self, own_recordings: Path) -> Recording:
        return Recording.load(own_recordings / "disabled-first-version.EC-P256.json")

    def test_in_nothing(self, recording: Recording, vaults: Vaults) -> None:
        assert differences(recording, vaults) == []

    def test_in_a_status(self, recording: Recording, vaults: Vaults) -> None:
        changed = with_first(recording, lambda exchange: exchange.path.endswith("/merge"), status=200)
        (found, *_) = differences(changed, vaults)
        assert found.endswith("pending/merge: recorded 200 , local Azure 201 ")

    def test_in_an_inner_code(self, recording: Recording, vaults: Vaults) -> None:
        error = {"code": "Forbidden", "message": "any", "innererror": {"code": "KeyExpired"}}
        changed = with_first(recording, lambda exchange: exchange.status == 403, response={"error": error})
        (found,) = differences(changed, vaults)
        assert "body.error.innererror.code: recorded 'KeyExpired', local Azure 'KeyDisabled'" in found

    def test_in_words_only(self, recording: Recording, vaults: Vaults) -> None:
        """The control of the one above: messages are Azure's to change."""
        error = {"code": "Forbidden", "message": "any", "innererror": {"code": "KeyDisabled"}}
        changed = with_first(recording, lambda exchange: exchange.status == 403, response={"error": error})
        assert differences(changed, vaults) == []

    def test_in_a_member(self, recording: Recording, vaults: Vaults) -> None:
        def is_merge(exchange: Exchange) -> bool:
            return exchange.path.endswith("/merge")

        merge = next(exchange for exchange in recording.exchanges if is_merge(exchange))
        without_kid = {name: value for name, value in merge.response.items() if name != "kid"}
        (found,) = differences(with_first(recording, is_merge, response=without_kid), vaults)
        assert "body.kid is in local Azure's answer alone" in found
        (found,) = differences(with_first(recording, is_merge, response={**merge.response, "new": 1}), vaults)
        assert "body.new is not in local Azure's answer" in found

    def test_in_whose_key_it_is(self, recording: Recording, vaults: Vaults) -> None:
        """A second version with a key of its own has the same shape as one that reuses the first's."""

        def is_second_request(exchange: Exchange) -> bool:
            return isinstance(exchange.response, dict) and exchange.response.get("csr") == "<csr-2 of key-1>"

        pending = next(exchange for exchange in recording.exchanges if is_second_request(exchange))
        changed = {**pending.response, "csr": "<csr-2 of key-2>"}
        (found, *_) = differences(with_first(recording, is_second_request, response=changed), vaults)
        assert "body.csr: recorded '<csr-2 of key-2>', local Azure '<csr-2 of key-1>'" in found
