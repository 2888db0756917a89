"""Choosing, building and locking tools, with stand-in executables for Pulumi and Go."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from rich.console import Console

import tools.__main__
from tools import REPOSITORY, ToolError
from tools.__main__ import main
from tools.checks import problems
from tools.debian import BUSYBOX, CHROMIUM, MAVEN, POSTGRESQL, DebianProgram, found
from tools.enginelock import clear_stale_locks
from tools.hosted import hosted_environment, local_variables
from tools.local import engine_environment, write_passphrase
from tools.plugins import official_plugins
from tools.processes import wait_until
from tools.schema import prepare_database
from tools.serve import Site
from tools.toolchain import PULUMI, TEMPORAL_SERVER, UI_SERVER, Engine, GoProgram, Toolchain

GO_MOD = "module example\n\ngo 1.25.0\n\nrequire example.org/tool v1.4.0\n"
TOOL = GoProgram(name="tool", directory="tool", package="example.org/tool/cmd/tool", minutes=1)

# Answers `go env GOVERSION`, and "builds" by writing its output file; each build is a line in the log beside it.
FAKE_GO = """\
    #!/bin/sh
    case $1 in
        env) cat "$(dirname "$0")/version" ;;
        build)
            echo "$@" >> "$(dirname "$0")/builds"
            while [ "$1" != -o ]; do shift; done
            echo "example.org/broken: no such thing" >&2
            [ -e "$(dirname "$0")/broken" ] && exit 1
            echo built > "$2" ;;
    esac
    """


def write_executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    path.chmod(0o755)
    return path


class Tree:
    """A toolchain in a folder of its own, on a PATH with nothing but a fake Go and what a test adds."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = directory / "path"
        self.module = directory / "go" / TOOL.directory
        self.module.mkdir(parents=True)
        (self.module / "go.mod").write_text(GO_MOD)
        (self.module / "go.sum").write_text("example.org/tool v1.4.0 h1:abc=\n")
        write_executable(self.path / "go", FAKE_GO)
        self.set_go_version("go1.25.3")
        monkeypatch.setenv("PATH", f"{self.path}:/usr/bin:/bin")
        self.toolchain = Toolchain(directory / ".tools", directory / "go", Console(stderr=True, width=40))

    def set_go_version(self, version: str) -> None:
        (self.path / "version").write_text(f"{version}\n")

    def builds(self) -> list[str]:
        log = self.path / "builds"
        return log.read_text().splitlines() if log.exists() else []

    def add_pulumi(self, script: str, *, host: bool = True) -> Path:
        if host:
            write_executable(self.path / "pulumi-language-python", "#!/bin/sh\n")
        return write_executable(self.path / "pulumi", script)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path, monkeypatch)


class BuildsNothing(Toolchain):
    """Says where a build would be, without one."""

    def built(self, program: GoProgram) -> Path:
        return self.directory / "bin" / program.name


@pytest.mark.parametrize("version", ["v3.200.0", "3.272.1", "v4.0.0-alpha.1"])
def test_recent_pulumi_on_path_is_used_without_anything_of_ours(tree: Tree, version: str) -> None:
    """A person's own engine runs with its own language host: ours before it on PATH would be a mixed installation."""
    pulumi = tree.add_pulumi(f"#!/bin/sh\necho {version}\n")
    assert tree.toolchain.engine() == Engine(pulumi)
    assert tree.builds() == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\necho v3.199.9\n", "older than 3.200.0"),
        ("#!/bin/sh\necho 'no version is set for command pulumi' >&2; exit 126\n", "does not tell its version"),
        ("#!/bin/sh\necho\n", "does not tell its version"),
    ],
)
def test_unusable_pulumi_on_path_is_passed_over_with_the_reason(
    tree: Tree, capsys: pytest.CaptureFixture[str], script: str, reason: str
) -> None:
    """An old engine, or a version manager's empty shim, would fail in the middle of the first `up`."""
    tree.add_pulumi(script)
    toolchain = BuildsNothing(tree.toolchain.directory)
    assert toolchain.engine() == Engine(toolchain.directory / "bin" / "pulumi", (toolchain.directory / "bin",))
    assert reason in capsys.readouterr().err


def test_pulumi_without_a_language_host_beside_it_is_passed_over(
    tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    """A packager's Pulumi without its language hosts cannot run a Python program, and nothing downloads one."""
    tree.add_pulumi("#!/bin/sh\necho v3.272.0\n", host=False)
    assert BuildsNothing(tree.toolchain.directory).engine().directories
    assert "language host" in capsys.readouterr().err


def test_built_tools_never_come_before_an_official_engines_own(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our older language host on PATH, even if put there by hand, would take the place of the official engine's."""
    tree.add_pulumi("#!/bin/sh\necho v3.272.0\n")
    built = tree.toolchain.directory / "bin"
    monkeypatch.setenv("PATH", f"{built}:{os.environ['PATH']}")
    path = engine_environment(tree.path, toolchain=tree.toolchain)["PATH"].split(":")
    assert str(built) not in path
    assert path[0] == str(tree.path)


def test_build_is_kept_until_module_recipe_or_go_changes(tree: Tree) -> None:
    """A stale binary would run another version than go.sum pins; a needless build costs minutes."""
    target = tree.toolchain.built(TOOL)
    assert target.read_text() == "built\n"
    tree.toolchain.built(TOOL)
    assert len(tree.builds()) == 1

    (tree.module / "go.sum").write_text("example.org/tool v1.4.0 h1:def=\n")
    tree.toolchain.built(TOOL)
    assert len(tree.builds()) == 2

    tree.set_go_version("go1.25.4")
    tree.toolchain.built(TOOL)
    assert len(tree.builds()) == 3

    versioned = GoProgram(
        name="tool", directory="tool", package=TOOL.package, minutes=9, version_variable="example.org/tool.Version"
    )
    tree.toolchain.built(versioned)
    assert "-X example.org/tool.Version=v1.4.0" in tree.builds()[3]

    target.unlink()
    tree.toolchain.built(versioned)
    assert len(tree.builds()) == 5


def test_expected_minutes_are_no_reason_to_build(tree: Tree) -> None:
    """A better estimate for the progress line must not cost anybody a build."""
    slower = GoProgram(name=TOOL.name, directory=TOOL.directory, package=TOOL.package, minutes=30)
    assert tree.toolchain.fingerprint(slower) == tree.toolchain.fingerprint(TOOL)


def test_what_was_built_is_used_when_go_is_gone(tree: Tree) -> None:
    """Removing Go after the first build must not stop the stack from being destroyed."""
    target = tree.toolchain.built(TOOL)
    (tree.path / "go").unlink()
    assert tree.toolchain.built(TOOL) == target


def test_failed_build_shows_what_go_says_and_leaves_nothing(tree: Tree) -> None:
    """A half-written binary that looks current would fail later, where nobody thinks of the build."""
    (tree.path / "broken").touch()
    with pytest.raises(ToolError, match="no such thing"):
        tree.toolchain.built(TOOL)
    assert not (tree.toolchain.directory / "bin" / TOOL.name).exists()
    (tree.path / "broken").unlink()
    tree.toolchain.built(TOOL)
    assert list(tree.toolchain.directory.glob("build-*")) == []


@pytest.mark.parametrize(
    ("version", "wanted"), [(None, "not installed"), ("go1.24.9", "too old"), ("go1.18", "too old")]
)
def test_missing_or_old_go_is_one_line_with_the_fix(tree: Tree, version: str | None, wanted: str) -> None:
    """Go's own words for this do not say which version to install, nor where from."""
    if version is None:
        (tree.path / "go").unlink()
    else:
        tree.set_go_version(version)
    with pytest.raises(ToolError, match=wanted) as raised:
        tree.toolchain.built(TOOL)
    assert "https://go.dev/dl/" in raised.value.message
    assert "1.25.0" in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("program", [PULUMI, TEMPORAL_SERVER, UI_SERVER])
def test_pinned_version_is_the_modules(program: GoProgram) -> None:
    """The version a build reports must be the one that go.sum pins."""
    version = Toolchain().pinned_version(program)
    assert f" {version}\n" in (REPOSITORY / "tools" / "go" / program.directory / "go.mod").read_text()


# "Installs" by putting a file beside itself, and says so in a log there.
FAKE_APT_GET = """\
    #!/bin/sh
    here=${0%/*}
    echo "$@" >> "$here/log"
    echo "apt-get says something"
    case $* in
        *"$(/bin/cat "$here/fails")"*) exit 100 ;;
        *maven*) /bin/cp "$0" "$here/mvn" ;;
        *busybox*) /bin/cp "$0" "$here/busybox" ;;
        *install*) /bin/cp "$0" "$here/chromium" ;;
    esac
    """


@pytest.fixture
def apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake one, for root, with nothing else on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "fails").write_text("never\n")
    return write_executable(tmp_path / "apt-get", FAKE_APT_GET)


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_chromium_on_path_is_used(apt_get: Path, name: str) -> None:
    """Whoever has a browser would wait for another one, and have their system changed."""
    browser = write_executable(apt_get.with_name(name), "#!/bin/sh\n")
    assert found(CHROMIUM) == browser
    assert not apt_get.with_name("log").exists()


@pytest.mark.parametrize("program", [CHROMIUM, MAVEN, BUSYBOX], ids=lambda program: program.package)
def test_root_gets_debians_package(apt_get: Path, capfd: pytest.CaptureFixture[str], program: DebianProgram) -> None:
    """On a new machine `make test` would end with a program that is not there, or wait without a word."""
    assert found(program) == apt_get.with_name(program.names[0])
    update, install = apt_get.with_name("log").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(f" install -y --no-install-recommends {program.package}")
    shown = capfd.readouterr()
    assert "apt-get says something" in shown.err
    assert shown.out == ""


def test_program_that_debian_keeps_off_path_is_found(apt_get: Path, tmp_path: Path) -> None:
    """PostgreSQL would be installed again at each run, and never be found."""
    there = tmp_path / "lib/15/bin"
    there.mkdir(parents=True)
    server = write_executable(there / "postgres", "#!/bin/sh\n")
    assert found(replace(POSTGRESQL, directories=f"{tmp_path}/lib/*/bin")) == server
    assert not apt_get.with_name("log").exists()


@pytest.mark.parametrize("missing", ["rights", "apt-get"])
def test_who_cannot_install_is_told_how(apt_get: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """A traceback, or apt-get's complaint about its lock file, does not say what the tests want."""
    if missing == "rights":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    else:
        apt_get.unlink()
    with pytest.raises(ToolError, match="apt-get install chromium") as raised:
        found(CHROMIUM)
    assert "\n" not in raised.value.message
    assert not apt_get.with_name("log").exists()


@pytest.mark.parametrize("failing", ["update", "install", "chromium is elsewhere"])
def test_what_cannot_be_installed_is_one_line_with_the_fix(
    apt_get: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The first test of sign-on would fail instead, with Playwright's advice to download another browser."""
    if failing in ("update", "install"):
        apt_get.with_name("fails").write_text(f"{failing}\n")
    else:
        write_executable(apt_get, "#!/bin/sh\n")
    with pytest.raises(ToolError, match="apt-get") as raised:
        found(CHROMIUM)
    assert "on PATH" in raised.value.message
    assert "\n" not in raised.value.message


def test_maven_is_of_use_only_with_a_jdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a JDK Maven says so late, and in its own words."""
    monkeypatch.setenv("PATH", str(tmp_path))
    maven = write_executable(tmp_path / "mvn", "#!/bin/sh\n")
    with pytest.raises(ToolError, match="no JDK on PATH"):
        Toolchain(tmp_path / ".tools").maven()

    write_executable(tmp_path / "javac", "#!/bin/sh\n")
    assert Toolchain(tmp_path / ".tools").maven() == maven


def write_lock(backend: Path, *, pid: int, hostname: str | None = None, age: timedelta = timedelta()) -> Path:
    directory = backend / ".pulumi" / "locks" / "organization" / "project" / "local"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{pid}.json"
    timestamp = (datetime.now(UTC) - age).isoformat()
    holder = {"pid": pid, "username": "me", "hostname": hostname or socket.gethostname(), "timestamp": timestamp}
    path.write_text(json.dumps(holder))
    return path


def pid_of_a_gone_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_lock_of_a_gone_process_is_cleared(tmp_path: Path) -> None:
    """After SIGKILL the engine refuses the stack until somebody knows to say `pulumi cancel`."""
    lock = write_lock(tmp_path, pid=pid_of_a_gone_process())
    assert clear_stale_locks(tmp_path, "project", "local") == [lock]
    assert list(lock.parent.iterdir()) == []


def test_lock_of_a_process_that_nobody_waits_for_is_cleared(tmp_path: Path) -> None:
    """In a container without an init a killed engine stays in the table of processes, and its lock would stay, too."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as killed:
        write_lock(tmp_path, pid=killed.pid)
        with pytest.raises(ToolError, match=f"process {killed.pid}"):
            clear_stale_locks(tmp_path, "project", "local")
        killed.kill()
        wait_until(lambda: psutil.Process(killed.pid).status() == psutil.STATUS_ZOMBIE, "it has ended")
        assert clear_stale_locks(tmp_path, "project", "local")


def test_lock_older_than_its_pids_process_is_cleared(tmp_path: Path) -> None:
    """After a reboot the pid in the lock belongs to somebody else, who would keep the stack locked for ever."""
    write_lock(tmp_path, pid=os.getpid(), age=timedelta(days=1))
    assert clear_stale_locks(tmp_path, "project", "local")


def test_lock_of_a_living_process_is_kept_and_named(tmp_path: Path) -> None:
    """Two engines on one state would lose resources. A stale lock beside a living one is not touched either."""
    living, gone = write_lock(tmp_path, pid=os.getpid()), write_lock(tmp_path, pid=pid_of_a_gone_process())
    with pytest.raises(ToolError, match=f"process {os.getpid()}"):
        clear_stale_locks(tmp_path, "project", "local")
    assert living.exists()
    assert gone.exists()


def test_lock_from_another_machine_is_kept(tmp_path: Path) -> None:
    """A pid says nothing about a process on another machine that shares the folder."""
    lock = write_lock(tmp_path, pid=pid_of_a_gone_process(), hostname="elsewhere.example")
    with pytest.raises(ToolError, match=r"elsewhere\.example"):
        clear_stale_locks(tmp_path, "project", "local")
    assert lock.exists()


@pytest.mark.parametrize("content", ["", "{}", "not json", "[]"])
def test_unreadable_lock_is_named_and_kept(tmp_path: Path, content: str) -> None:
    """What cannot be understood must be neither removed nor a traceback."""
    lock = write_lock(tmp_path, pid=os.getpid())
    lock.write_text(content)
    with pytest.raises(ToolError, match=str(lock)):
        clear_stale_locks(tmp_path, "project", "local")
    assert lock.exists()


def test_stack_without_locks_needs_no_clearing(tmp_path: Path) -> None:
    """A first run has no lock directory."""
    assert clear_stale_locks(tmp_path, "project", "local") == []


def test_local_environment_has_nothing_of_the_callers_accounts(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten token or backend in the shell would let a local run act on a real account."""
    tree.add_pulumi("#!/bin/sh\necho v3.272.0\n")
    foreign = {
        "ARM_USE_OIDC": "true",
        "AZURE_CLIENT_ID": "real",
        "IDENTITY_ENDPOINT": "http://169.254.169.254",
        "PULUMI_ACCESS_TOKEN": "real",
        "PULUMI_CONFIG_PASSPHRASE": "real",
        "PULUMI_STACK": "prod",
        "TEMPORAL_CLOUD_API_KEY": "real",
    }
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    environment = engine_environment(tree.path, toolchain=tree.toolchain)
    assert not foreign.keys() & environment.keys()
    assert environment["PULUMI_BACKEND_URL"].startswith(f"file://{tree.path}/backend")
    assert environment["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"


def test_hosted_stack_refuses_the_local_stacks_variables() -> None:
    """With the local backend or metadata host exported, `make up STACK=prod` would report success and do nothing."""
    local = str(REPOSITORY / ".local")
    variables = {
        "PULUMI_BACKEND_URL": f"file://{local}/backend",
        "PULUMI_HOME": f"{local}/pulumi-home",
        "ARM_METADATA_HOSTNAME": "127.0.0.1:43210",
        "SSL_CERT_FILE": f"{local}/azure/ca.pem",
    }
    assert local_variables(variables) == variables.keys()
    with pytest.raises(ToolError, match="unset ARM_METADATA_HOSTNAME PULUMI_BACKEND_URL PULUMI_HOME SSL_CERT_FILE"):
        hosted_environment(Engine(Path("/usr/bin/pulumi")), variables)


def test_hosted_stack_takes_the_persons_own_variables() -> None:
    """~/.local is where a person's programs live, and a file backend elsewhere is a fair choice."""
    variables = {
        "PATH": "/usr/bin",
        "PULUMI_BACKEND_URL": "file:///home/somebody/.local/state",
        "SSL_CERT_FILE": "/home/somebody/.local/share/certificates.pem",
        "ARM_METADATA_HOSTNAME": "management.chinacloudapi.cn",
    }
    assert hosted_environment(Engine(Path("/usr/bin/pulumi")), variables) == variables


def test_built_engine_finds_its_host_and_python_on_a_hosted_stack() -> None:
    """The older language host knows nothing of the project's virtual environment: without this it takes any Python."""
    environment = hosted_environment(Engine(Path("/t/bin/pulumi"), (Path("/t/bin"),)), {"PATH": "/usr/bin"})
    assert environment["PATH"] == "/t/bin:/usr/bin"
    assert environment["PULUMI_PYTHON_CMD"].endswith("/.venv/bin/python")


def test_identity_of_local_azure_is_refused_on_a_hosted_stack() -> None:
    """Who asks to be `nobody` on a real stack must not find out afterwards that they were themselves."""
    answer = CliRunner().invoke(main, ["preview", "--stack", "dev", "--identity", "nobody"])
    assert answer.exit_code == 1
    assert "you are who your Azure sign-in says" in answer.output


@pytest.mark.parametrize(("names", "expected"), [("", set()), ("tls", {"tls"}), (" azuread, tls ", {"azuread", "tls"})])
def test_official_plugins_are_a_list_of_names(names: str, expected: set[str]) -> None:
    """The form that the documentation gives."""
    assert official_plugins(names) == expected


def test_unknown_official_plugin_is_refused() -> None:
    """A misspelt name would silently be replaced by a stand-in."""
    with pytest.raises(ToolError, match="azureda"):
        official_plugins("azureda,tls")


def test_passphrase_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """A new passphrase under an old state would make it unreadable; a readable one would open its secrets."""
    path = tmp_path / "passphrase"
    assert write_passphrase(path)
    first = path.read_text()
    assert not write_passphrase(path)
    assert path.read_text() == first
    assert len(first) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_interrupt_is_the_commands_to_handle(tmp_path: Path) -> None:
    """Killed half a second after Ctrl-C, an engine would lose what it had just created from its state."""
    child = "trap 'sleep 1; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    program = (
        "import os, sys, pathlib; from tools.attached import run_attached;"
        f"sys.exit(run_attached(['sh', '-c', {child!r}], cwd=pathlib.Path.cwd(), environment=os.environ))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 7


def write_locks(repository: Path, *, source: str, lock: str, development: str = "") -> None:
    (repository / "requirements.in").write_text(source)
    (repository / "requirements.txt").write_text(lock)
    (repository / "requirements-dev.in").write_text("-r requirements.in\n")
    (repository / "requirements-dev.txt").write_text(development or lock)


LOCK = "click==8.2.0 \\\n    --hash=sha256:00\n    # via\n    #   -r requirements.in\n    #   rich\n"


@pytest.mark.parametrize(
    ("source", "development", "complaint"),
    [
        ("click>=8.2  # options\n", "", None),
        ("click>=8.3\n", "", "asks for click>=8.3"),
        ("click\nrich\n", "", "rich not at all"),
        ("", "", "no longer asks"),
        ("click\n", LOCK.replace("8.2.0", "8.2.1"), "requirements.txt has 8.2.0"),
    ],
)
def test_lock_files_that_lag_behind_are_named(
    tmp_path: Path, source: str, development: str, complaint: str | None
) -> None:
    """A requirement without its lock is installed by nobody, and a lock without its requirement by everybody."""
    write_locks(tmp_path, source=source, lock=LOCK, development=development)
    found = problems(tmp_path)
    assert found == [] if complaint is None else any(complaint in problem for problem in found)


@pytest.mark.parametrize(
    ("path", "content", "collected"),
    [
        ("tests/unit/test_it.py", "def test_it(): ...\n", True),
        ("tests/unit/helpers.py", "def make(): ...\n", True),
        ("tests/unit/it_tests.py", "def test_it(): ...\n", False),
        ("tests/unit/it.py", "class TestIt: ...\n", False),
        ("room/test_it.py", "async def test_it(): ...\n", False),
    ],
)
def test_tests_that_nobody_runs_are_named(tmp_path: Path, path: str, content: str, collected: bool) -> None:
    """A test outside the patterns is green for ever."""
    write_locks(tmp_path, source="click\n", lock=LOCK)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(content)
    found = problems(tmp_path)
    assert found == [] if collected else path in found[0]


def test_this_work_tree_has_no_such_problem() -> None:
    """What `make check` says, also where only tests are run."""
    assert problems(REPOSITORY) == []


@pytest.mark.parametrize("exit_status", [0, 1, 2])
def test_status_of_the_local_stack_needs_no_azure_and_keeps_its_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_status: int
) -> None:
    """To look at files, local Azure would be started; and a script would take every status for a good one."""
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> int:
        asked.append(command)
        return exit_status

    monkeypatch.setattr(tools.__main__, "_ROOT", tmp_path)
    monkeypatch.setattr(tools.__main__, "run_attached", run)
    monkeypatch.setattr(tools.__main__, "_running_azure", lambda: pytest.fail("local Azure is started"))
    assert "there is no local stack: `make up` first" in CliRunner().invoke(main, ["status"]).output
    state = tmp_path / "backend/.pulumi/stacks/temporal-azure/local.json"
    state.parent.mkdir(parents=True)
    state.touch()
    answer = CliRunner().invoke(main, ["status", "--", "--fail-within", "30d"])
    assert answer.exit_code == exit_status, answer.output
    assert [command[1:] for command in asked] == [
        ["-m", "deploy", "status", "--stack", "local", "--fail-within", "30d"]
    ]


@pytest.mark.parametrize("after", [0, 985])
def test_a_tool_that_fails_does_not_tell_the_password(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the address that the tool complains about, of which the end alone may be shown."""
    script = f"""\
        #!/bin/sh
        printf 'cannot reach postgres://temporal:%s@db/%0{after}d' "$SQL_PASSWORD" 0
        exit 1
        """
    tool = write_executable(tmp_path / "temporal-sql-tool", script)
    monkeypatch.setattr(Toolchain, "sql_tool", lambda _: tool)
    server = {"DB": "postgres12", "POSTGRES_USER": "temporal", "POSTGRES_PWD": "RETSEKRET-RETSEKRET"}

    with pytest.raises(ToolError) as refused:
        prepare_database(server, Toolchain(), nullcontext)

    assert "@db/" in str(refused.value)
    assert "SEKRET" not in str(refused.value)


def test_an_environment_file_that_was_edited_into_none_starts_nothing(tmp_path: Path) -> None:
    """A person would get a traceback, or a server without what follows a `#`."""
    site = Site(deployed=tmp_path, database=tmp_path, variables={}, provision="make up STACK=local")
    (tmp_path / "cli.env").write_text("A=1\n")
    assert site.environment("cli.env") == {"A": "1"}
    (tmp_path / "cli.env").write_text("A=1\nB=RETSEKRET#old\n")
    with pytest.raises(ToolError, match=r"cli\.env cannot be read .*line 2 .*: make up STACK=local$") as refused:
        site.environment("cli.env")
    assert "RETSEKRET" not in refused.value.message
