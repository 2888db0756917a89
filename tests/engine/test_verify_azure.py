"""`make verify-azure` on local Azure: it finds what localazure assumes, and leaves a vault as it was.

Every vault is the test's own, so that what is in it at the end can be compared with what was in it before.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import VaultClients
from tests.engine.verify_runs import Run, begin, run
from tools.verify_azure.checks import CHECKS
from tools.verify_azure.exchanges import Recording

pytestmark = pytest.mark.xdist_group("verify-azure")

PREFIX = "verify-azure-"
ENOUGH_SECONDS = 60
ONE_CHECK = ("--only", "first-request", "--key-type", "EC-P256")


@pytest.fixture
def sdk(azure: LocalAzure) -> Iterator[Sdk]:
    with ExitStack() as stack:
        yield Sdk(azure, stack)


@pytest.fixture
def vault(sdk: Sdk) -> Iterator[VaultClients]:
    with ExitStack() as stack:
        yield VaultClients(sdk, stack)


@pytest.fixture
def dialled(azure: LocalAzure) -> Iterator[LocalAzure]:
    """The local Azure, whose limits and holds are put back."""
    yield azure
    azure.release()
    azure.dials(keyCreationsPer10s=None)


def held(vault: VaultClients) -> set[str | None]:
    """Every name in the vault, deleted ones too."""
    certificates, keys, secrets = vault.certificates(), vault.keys(), vault.secrets()
    listings: tuple[Any, ...] = (
        certificates.list_properties_of_certificates(include_pending=True),
        certificates.list_deleted_certificates(include_pending=True),
        keys.list_properties_of_keys(),
        keys.list_deleted_keys(),
        secrets.list_properties_of_secrets(),
        secrets.list_deleted_secrets(),
    )
    return {item.name for listing in listings for item in listing}


def network(sdk: Sdk, vault: VaultClients) -> tuple[str, dict[str, Any]]:
    properties = sdk.vaults().vaults.get(vault.id.split("/")[4], vault.name).properties
    return properties.public_network_access, properties.network_acls.as_dict()


def last_request(azure: LocalAzure) -> int:
    return int(azure.requests()[-1]["n"])


def interrupted(running: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """Status and words of a run that is sent a signal."""
    os.kill(running.pid, number)
    said, _ = running.communicate(timeout=ENOUGH_SECONDS)
    return running.returncode, said


@pytest.fixture(scope="module")
def ended(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, VaultClients, int]]:
    """A run of everything that can be run with no limit dialled, its vault, and the request before it."""
    with ExitStack() as stack:
        vault = VaultClients(Sdk(azure, stack), stack)
        before = last_request(azure)
        yield run(azure, vault.name, tmp_path_factory.mktemp("whole"), "--yes", "--firewall"), vault, before


class TestWholeRun:
    def test_local_azure_does_as_localazure_says(self, ended: tuple[Run, VaultClients, int]) -> None:
        """A check that states another assumption than localazure makes would call Azure different, or right, by
        mistake.
        """
        whole, _, _ = ended
        assert [line for line in whole.differences if "--throttle" not in line] == []
        assert whole.status == 0
        rows = sum(len(check.key_types) for check in CHECKS)
        assert whole.report["summary"] == {"same": rows - 1, "different": 0, "not run": 1}

    def test_it_writes_to_names_of_its_own_only(self, ended: tuple[Run, VaultClients, int], azure: LocalAzure) -> None:
        """Somebody's certificate would be changed by a check."""
        _, vault, before = ended
        writes = [request for request in azure.writes(before) if request["vault"] == vault.name]
        assert len(writes) > 100
        assert [write["path"] for write in writes if f"/{PREFIX}" not in write["path"]] == []

    def test_nothing_is_left_and_the_network_is_open(
        self, ended: tuple[Run, VaultClients, int], azure: LocalAzure
    ) -> None:
        _, vault, _ = ended
        assert held(vault) == set()
        access, rules = network(vault.sdk, vault)
        assert (access, rules["defaultAction"]) == ("Enabled", "Allow")

    def test_every_check_that_ran_has_kept_its_exchanges(self, ended: tuple[Run, VaultClients, int]) -> None:
        """An empty recording is replayed without a difference, whatever Azure did."""
        whole, _, _ = ended
        kept = [Recording.load(path) for path in (whole.folder / "exchanges").iterdir()]
        ran = {(row["check"], row["keyType"]) for row in whole.report["checks"] if row["verdict"] != "not run"}
        assert {(recording.check, recording.key_type) for recording in kept} == ran
        assert all(recording.exchanges for recording in kept)
        assert all(exchange.status != 401 for recording in kept for exchange in recording.exchanges)

    def test_what_is_kept_tells_nothing_of_the_account(
        self, ended: tuple[Run, VaultClients, int], azure: LocalAzure
    ) -> None:
        """The files are made to be committed: a token, a key or a tenant in them is published."""
        whole, vault, _ = ended
        text = "\n".join(path.read_text() for path in whole.folder.rglob("*.json"))
        secrets = {azure.tenant_id, azure.subscription_id, vault.name, vault.id.split("/")[4]}
        for identity in azure.identities.values():
            secrets |= {
                identity[name] for name in ("clientId", "objectId", "clientSecret", "password") if name in identity
            }
        assert [secret for secret in secrets if secret in text] == []
        assert "authorization" not in text.lower()
        assert not re.search(r"-----BEGIN|eyJ[\w-]{10}|127\.0\.0\.1|[\w+/=-]{64}", text)
        assert re.search(r"<pem: PRIVATE KEY of key-\d+; certificate-\d+ of key-\d+", text)

    def test_what_is_kept_is_not_seen_by_git(self, ended: tuple[Run, VaultClients, int]) -> None:
        whole, _, _ = ended
        assert (whole.output / ".gitignore").read_text() == "*\n"


class TestVerdicts:
    def test_a_vault_that_refuses_a_burst_is_as_assumed(
        self, dialled: LocalAzure, vault: VaultClients, tmp_path: Path
    ) -> None:
        dialled.dials(keyCreationsPer10s=20)
        ended = run(dialled, vault.name, tmp_path, "--yes", "--throttle", "--only", "burst-of-keys")
        assert (ended.status, ended.differences) == (0, [])
        (recording,) = [Recording.load(path) for path in (ended.folder / "exchanges").iterdir()]
        assert recording.conditions.throttled
        assert {exchange.status for exchange in recording.exchanges} == {429}
        assert held(vault) == set()

    def test_a_vault_that_does_otherwise_is_reported_as_different(
        self, azure: LocalAzure, vault: VaultClients, tmp_path: Path
    ) -> None:
        """The control of everything here that is the same: this vault makes as many keys as one likes."""
        ended = run(azure, vault.name, tmp_path, "--yes", "--throttle", "--only", "burst-of-keys")
        assert ended.status == 1
        (check,) = ended.report["checks"]
        assert check["verdict"] == "different"
        assert {"question": "the others", "assumed": ["429 Throttled"], "seen": []} in check["differences"]
        assert held(vault) == set()

    def test_what_is_not_allowed_is_not_done(self, azure: LocalAzure, vault: VaultClients, tmp_path: Path) -> None:
        """Without --firewall the vault's network is nobody's business."""
        before = last_request(azure)
        ended = run(azure, vault.name, tmp_path, "--yes", "--only", "denied-by-firewall", "--only", "burst-of-keys")
        assert [check["verdict"] for check in ended.report["checks"]] == ["not run", "not run"]
        assert azure.writes(before) == []

    def test_a_file_that_would_tell_a_secret_is_withheld(
        self, azure: LocalAzure, vault: VaultClients, tmp_path: Path
    ) -> None:
        """Redaction may have a gap: here a credential is a word that no rule takes for one."""
        ended = run(azure, vault.name, tmp_path, "--yes", *ONE_CHECK, ARM_CLIENT_CERTIFICATE_PASSWORD="api-version")
        assert ended.status == 1
        assert "Not written: exchanges/first-request.EC-P256.json" in ended.said
        assert [path.name for path in ended.folder.rglob("*.json")] == ["report.json"]
        assert held(vault) == set()

    def test_under_purge_protection_what_was_made_stays_deleted(
        self, azure: LocalAzure, sdk: Sdk, tmp_path: Path
    ) -> None:
        """It is no failure of the run, and must be said before."""
        with ExitStack() as stack:
            vault = VaultClients(sdk, stack, enablePurgeProtection=True, softDeleteRetentionInDays=7)
            ended = run(azure, vault.name, tmp_path, "--yes", "--only", "purge")
            assert (ended.status, ended.differences) == (0, [])
            assert "stays deleted for 7 days" in ended.said
            assert [certificate.name for certificate in vault.certificates().list_properties_of_certificates()] == []
            assert len(held(vault)) == 1


class TestInterrupt:
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_everything_is_removed_after_an_interrupt(
        self,
        dialled: LocalAzure,
        vault: VaultClients,
        tmp_path: Path,
        when: Literal["before", "after"],
        number: signal.Signals,
    ) -> None:
        """Ctrl-C would leave certificates that somebody pays for and nobody knows of; also the one whose creation was
        under way, of which the run has no answer.
        """
        dialled.hold(7, when)
        running = begin(dialled, vault.name, tmp_path)
        dialled.wait_for_held(ENOUGH_SECONDS)
        assert held(vault) != set()
        status, said = interrupted(running, number)
        assert status == 130
        assert "removing what was made" in said
        assert held(vault) == set()
        assert Run(status, said, tmp_path).report["checks"]

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_the_network_is_put_back_after_an_interrupt(
        self, dialled: LocalAzure, sdk: Sdk, tmp_path: Path, when: Literal["before", "after"]
    ) -> None:
        """A vault that stays shut is an outage for whoever uses it, and one whose rules are lost is open to all."""
        with ExitStack() as stack:
            rules = {"bypass": "None", "defaultAction": "Deny", "ipRules": [{"value": "127.0.0.1"}]}
            vault = VaultClients(sdk, stack, networkAcls=rules)
            self.interrupt_while_shut(dialled, vault, tmp_path, when)

    def interrupt_while_shut(
        self, dialled: LocalAzure, vault: VaultClients, tmp_path: Path, when: Literal["before", "after"]
    ) -> None:
        sdk, before = vault.sdk, network(vault.sdk, vault)
        assert before[1]["ipRules"]
        dialled.hold(1, when)
        running = begin(dialled, vault.name, tmp_path, "--firewall", "--only", "denied-by-firewall")
        dialled.wait_for_held(ENOUGH_SECONDS)
        assert (network(sdk, vault) == before) is (when == "before")
        status, said = interrupted(running)
        assert status == 130
        assert "are back" in said
        assert network(sdk, vault) == before

    def test_an_interrupt_of_the_removal_says_what_is_left(
        self, dialled: LocalAzure, vault: VaultClients, tmp_path: Path
    ) -> None:
        """Whoever cannot wait for the removal must know that there is something to remove."""
        dialled.hold(3, "before")
        running = begin(dialled, vault.name, tmp_path, *ONE_CHECK)
        assert dialled.wait_for_held(ENOUGH_SECONDS)["method"] == "DELETE"
        status, said = interrupted(running)
        assert status == 1
        (left,) = held(vault)
        assert left is not None
        assert f"Still in {vault.name}: {left[: len(PREFIX) + 8]}" in said
        assert "--clean-up" in said

    def test_what_a_killed_run_left_can_be_removed_later(
        self, dialled: LocalAzure, vault: VaultClients, tmp_path: Path
    ) -> None:
        """SIGKILL lets nothing be put right at once."""
        vault.secrets().set_secret("mine", "value")
        dialled.hold(7, "after")
        running = begin(dialled, vault.name, tmp_path, "--despite-others")
        dialled.wait_for_held(ENOUGH_SECONDS)
        running.kill()
        running.communicate(timeout=ENOUGH_SECONDS)
        dialled.release()
        assert len(held(vault)) > 1
        ended = run(dialled, vault.name, tmp_path, "--clean-up", said="y\n")
        assert ended.status == 0, ended.said
        assert held(vault) == {"mine"}


class TestRefusal:
    @pytest.fixture(autouse=True)
    def nothing_is_written(self, azure: LocalAzure, vault: VaultClients, tmp_path: Path) -> Iterator[None]:
        before = last_request(azure)
        yield
        assert [write for write in azure.writes(before) if PREFIX in write["path"]] == []
        assert list(tmp_path.iterdir()) == []

    def test_a_vault_that_holds_somebody_elses_names(
        self, azure: LocalAzure, vault: VaultClients, tmp_path: Path
    ) -> None:
        vault.secrets().set_secret("theirs", "value")
        ended = run(azure, vault.name, tmp_path, "--yes")
        assert ended.status == 1
        assert "holds 1 names that are not of these checks (theirs), so nothing was done to it" in ended.said
        assert "--despite-others" in ended.said

    def test_deleted_names_of_somebody_else_count_too(
        self, azure: LocalAzure, vault: VaultClients, tmp_path: Path
    ) -> None:
        vault.secrets().set_secret("theirs", "value")
        vault.secrets().begin_delete_secret("theirs", _polling_interval=0).wait()
        assert "(theirs)" in run(azure, vault.name, tmp_path, "--yes").said

    def test_a_vault_whose_access_policies_decide(self, azure: LocalAzure, sdk: Sdk, tmp_path: Path) -> None:
        created = sdk.create_vault(sdk.create_group(), enableRbacAuthorization=False)
        ended = run(azure, created.name, tmp_path, "--yes")
        assert ended.status == 1
        assert "access policies decide and not roles" in ended.said

    def test_a_vault_that_is_not_there(self, azure: LocalAzure, tmp_path: Path) -> None:
        ended = run(azure, "https://elsewhere.vault.azure.net/", tmp_path, "--yes")
        assert ended.status == 1
        assert "no vault 'https://elsewhere.vault.azure.net/' is seen in subscription" in ended.said

    def test_somebody_who_may_not_look(self, azure: LocalAzure, vault: VaultClients, tmp_path: Path) -> None:
        ended = run(azure, vault.name, tmp_path, "--yes", identity="nobody")
        assert ended.status == 1
        assert "need Key Vault Administrator on the vault" in ended.said

    @pytest.mark.parametrize("said", ["n\n", ""], ids=["no", "end of input"])
    def test_a_person_who_does_not_say_yes(
        self, azure: LocalAzure, vault: VaultClients, tmp_path: Path, said: str
    ) -> None:
        ended = run(azure, vault.name, tmp_path, said=said)
        assert ended.status == 1
        assert f"Vault     {vault.name}" in ended.said


def test_a_person_who_says_yes_is_asked_once(azure: LocalAzure, vault: VaultClients, tmp_path: Path) -> None:
    """The control of the refusals: the same vault by its URL, with somebody's names in it, once that is allowed."""
    vault.secrets().set_secret("theirs", "value")
    ended = run(azure, vault.uri, tmp_path, "--despite-others", *ONE_CHECK, said="y\n")
    assert ended.status == 0, ended.said
    assert held(vault) == {"theirs"}
    kept = "".join(path.read_text() for path in (ended.folder / "exchanges").iterdir())
    assert "theirs" not in kept
