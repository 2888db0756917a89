"""`python -m deploy status` on a stack of the real engine, through its whole life, with the clock moved.

The stack is made 65 days ago. Each step of its life is an `up`, and sometimes a `deploy write`; what is told after it
is kept, for the tests to look at.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.engine.stacks import ProgramStack, Watch, loaded
from tools import REPOSITORY

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("status")]

TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
START = TODAY - timedelta(days=65)
OWN = {"server", "ui", "cli", "workers/orders", "workers/billing"}
KEY = {"keyType": "EC-P256"}


@dataclass(frozen=True)
class Told:
    """How `deploy status` ended, and what it said."""

    exit_status: int
    status: Mapping[str, Any]

    def states(self) -> dict[str, str]:
        return {one["name"]: one["state"] for one in self.status["consumers"]}

    def of(self, about: str, level: str | None = None) -> list[str]:
        """What was found of it, of one level or of each."""
        found = (one for one in self.status["findings"] if one["about"] == about)
        return [one["text"] for one in found if level in (None, one["level"])]

    def levels(self) -> set[str]:
        return {one["level"] for one in self.status["findings"]}


class Life:
    """A stack, the directory that its files are written to, and what was told of them at each step."""

    def __init__(self, stack: ProgramStack, directory: Path) -> None:
        self.stack = stack
        self.directory = directory
        self.told: dict[str, Told] = {}

    def up(self, day: datetime, **settings: Any) -> None:
        self.stack.today = day
        self.stack.set(**settings)
        self.stack.run("up").check()

    def write(self, *consumers: str) -> None:
        finished = self._deploy("write", *(f"--only={name}" for name in consumers))
        assert finished.returncode == 0, finished.stderr

    def tell(self, step: str, day: datetime, *options: str) -> None:
        self.stack.today = day
        finished = self._deploy("status", "--json", *options)
        assert finished.returncode in (0, 1), finished.stderr
        self.told[step] = Told(finished.returncode, json.loads(finished.stdout))

    def _deploy(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        place = ["--stack", self.stack.name, "--directory", str(self.directory)]
        return subprocess.run(
            [sys.executable, "-m", "deploy", command, *place, *options],
            cwd=REPOSITORY,
            env=self.stack.environment(),
            capture_output=True,
            text=True,
            check=False,
        )


def clients(signing: int, *generations: int) -> dict[str, Any]:
    """Authorities with these generations of `clients`."""
    numbered: dict[str, Any] = {str(number): {} for number in generations}
    return {"internode": KEY, "clients": KEY | {"signing": signing, "generations": numbered}}


@pytest.fixture(scope="module")
def life(new_stack: Callable[[], ProgramStack], tmp_path_factory: pytest.TempPathFactory) -> Life:
    life = Life(new_stack(), tmp_path_factory.mktemp("deploy"))
    # Nobody listens on port 1.
    settings: dict[str, Any] = {
        "authorization": None,
        "frontend": {"address": "127.0.0.1:1"},
        "certificates": {"orders": {}, "billing": {}},
    }
    life.up(START, **settings)
    life.tell("nothing is written", START)
    life.write()
    life.tell("healthy", START)
    life.tell("soon", TODAY)
    life.tell("soon, and asked", TODAY, "--fail-within", "30d")
    life.tell("ended", START + timedelta(days=91))

    # One `up` renews, trusts a second generation, and replaces every client secret.
    life.up(TODAY, certificateAuthorities=clients(1, 1, 2), signOn={"clientSecret": {"rotation": 1}})
    life.tell("undelivered", TODAY)
    life.tell("undelivered, and ended", START + timedelta(days=91))
    life.write()

    life.up(TODAY, certificateAuthorities=clients(2, 1, 2), certificates={"orders": {}})
    life.write("ui", "cli")
    life.tell("signed", TODAY)
    life.up(TODAY, certificateAuthorities=clients(2, 2))
    life.write("server", "ui", "cli")
    life.tell("distrusted", TODAY)
    life.write()
    life.tell("in the end", TODAY)
    return life


def test_nothing_is_delivered_before_it_is_written(life: Life) -> None:
    """Somebody would look for files that nobody has written."""
    told = life.told["nothing is written"]
    assert told.states() == dict.fromkeys(OWN, "missing")
    assert [one["level"] for one in told.status["findings"]] == ["due"]
    assert told.exit_status == 0


@pytest.mark.parametrize("step", ["healthy", "in the end"])
def test_a_healthy_stack_has_nothing_to_do(life: Life, step: str) -> None:
    """A status that always complains is read by nobody."""
    told = life.told[step]
    assert set(told.states().values()) == {"current"}
    assert told.status["findings"] == []
    assert {one["delivered"] for one in told.status["clientSecrets"]} == {"current"}
    assert told.exit_status == 0


def test_the_day_of_renewal_is_the_day_on_which_up_renews(life: Life) -> None:
    """A day too late is a certificate that ends; a day too early is a preview without a renewal."""
    told = {one["name"]: one for one in life.told["healthy"].status["certificates"]}
    assert told["ui"]["renewsOn"] == f"{START + timedelta(days=60):%Y-%m-%d}"
    assert told["clients-1"]["renewsOn"] is None
    assert (told["ui"]["issuer"], told["cluster"]["issuer"]) == ("clients-1", "internode-1")


def test_what_ends_soon_fails_only_whoever_asked_for_it(life: Life) -> None:
    assert life.told["soon"].levels() == {"due"}
    assert life.told["soon"].exit_status == 0
    asked = life.told["soon, and asked"]
    assert "ending" in asked.levels()
    assert all(f"`make up STACK={life.stack.name}` renews it" in text for text in asked.of("orders", "ending"))
    assert asked.exit_status == 1


def test_what_has_ended_is_broken(life: Life) -> None:
    told = life.told["ended"]
    assert [text for text in told.of("workers/orders", "broken") if "the certificate orders ended on" in text]
    assert told.exit_status == 1


def test_what_is_issued_and_not_delivered_is_outdated(life: Life) -> None:
    """It counts when the delivered one ends, and not when the issued one does."""
    told = life.told["undelivered"]
    assert told.states() == dict.fromkeys(OWN, "outdated")
    assert told.levels() == {"due"}
    assert told.exit_status == 0
    ended = life.told["undelivered, and ended"]
    for consumer in OWN:
        (text,) = ended.of(consumer, "broken")
        assert f"Run `python -m deploy write --stack {life.stack.name} --only {consumer}`" in text
    assert ended.exit_status == 1


def test_a_client_secret_that_was_replaced_is_noticed(life: Life) -> None:
    """The UI goes on with a secret that ended with the `up`, and nobody can sign in."""
    told = life.told["undelivered"]
    assert {one["consumer"]: one["delivered"] for one in told.status["clientSecrets"]}["ui"] == "outdated"
    assert [text for text in told.of("ui") if "TEMPORAL_AUTH_CLIENT_SECRET in ui.env is not the stack's" in text]
    assert not [text for text in told.of("cli") if "CLIENT_SECRET" in text]


def test_a_generation_that_the_server_does_not_trust_yet_is_told(life: Life) -> None:
    server = life.told["undelivered"].status["consumers"][0]
    assert set(server["trusts"]) == {"internode-1", "clients-1"}
    assert (server["lacks"], server["keeps"]) == (["clients-2"], [])


def test_a_worker_that_was_removed_is_revoked(life: Life) -> None:
    """Its files are still here, and its certificate is trusted: whoever has them gets in."""
    told = life.told["signed"]
    assert told.states()["workers/billing"] == "revoked"
    (text,) = told.of("workers/billing")
    ends = TODAY + timedelta(days=90)
    assert text.startswith(
        "revoked: never renewed nor delivered again, its roles are gone; trusted until it ends on "
        f"{ends:%Y-%m-%d}, or until clients-1 is rolled over."
    )
    assert told.exit_status == 0


def test_a_delivered_certificate_of_a_distrusted_generation_is_broken(life: Life) -> None:
    """After the last step of a rollover this worker is refused, and only its host can tell why."""
    told = life.told["distrusted"]
    assert {one["name"] for one in told.status["consumers"] if one["certificate"]["trusted"]} == {"server", "ui", "cli"}
    (text,) = told.of("workers/orders", "broken")
    assert "which the stack trusts no longer" in text
    assert told.exit_status == 1
    (revoked,) = told.of("workers/billing")
    assert "its certificate is trusted no longer" in revoked


def test_status_asks_azure_for_nothing(life: Life) -> None:
    """A monitor would need rights on the vaults."""
    watch = Watch(life.stack.azure)
    life.tell("unseen", TODAY)
    assert watch.requests() == []
    ui = loaded(life.stack.facts()["ui"])
    told = {one["name"]: one for one in life.told["unseen"].status["certificates"]}
    assert told["ui"]["serialNumber"] == f"{ui.serial_number:x}"
