"""deploy/compose.yaml: what it says by `docker compose config`, and its services run as it says with real programs."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy import directory
from tests import temporal_sources
from tests.e2e import postgresql, sample_worker
from tests.e2e.containers import PATH, Image, Project, Service, possible
from tests.e2e.stack import CONTAINER_ROOT, WORKER_ENV, Stack
from tests.e2e.temporal import cli_program, server_program, ui_program
from tools import REPOSITORY
from tools.processes import wait_until
from tools.toolchain import TEMPORAL_SERVER, UI_SERVER, Toolchain

pytestmark = pytest.mark.e2e

COMPOSE_FILE = REPOSITORY / "deploy/compose.yaml"
OWN_DIRECTORY = {
    "server": "server",
    "internal-frontend": "server",
    "health": "server",
    "ui": "ui",
    "cli": "cli",
}
ALWAYS_UP = ("server", "internal-frontend", "health", "ui")
UI_LOADS = "loaded new tls key pair"


def configure(stack_directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config` with these variables and the stack's directory, and no other variable."""
    given = {
        "PATH": os.environ["PATH"],
        "DEPLOY_DIRECTORY": str(stack_directory.parent),
        "STACK": stack_directory.name,
        "POSTGRES_PASSWORD": postgresql.PASSWORD,
    } | variables
    command = [
        str(Toolchain().docker_compose()),
        "-f",
        str(COMPOSE_FILE),
        "--profile",
        "*",
        "config",
        "--format",
        "json",
    ]
    return subprocess.run(
        command,
        env={name: value for name, value in given.items() if value},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def images(scratch: Path) -> dict[str, Image]:
    """What the images hold, by their names, from the sources that they are built of."""
    server, interface = temporal_sources.server(), temporal_sources.user_interface()

    def script(name: str, text: str) -> Path:
        (scratch / name).write_text(text)
        (scratch / name).chmod(0o755)
        return scratch / name

    entrypoint = script("entrypoint.sh", (server / "docker/scripts/sh/entrypoint.sh").read_text())
    start_ui = script("start-ui-server.sh", (interface / "docker/start-ui-server.sh").read_text())
    return {
        "temporalio/server": Image(
            files={"/usr/local/bin/temporal-server": Path(server_program()), "/etc/temporal/entrypoint.sh": entrypoint},
            command=("/etc/temporal/entrypoint.sh",),
            directory="/etc/temporal",
        ),
        "temporalio/admin-tools": Image(
            files={
                "/usr/local/bin/temporal": Path(cli_program()),
                "/usr/local/bin/temporal-sql-tool": Toolchain().sql_tool(),
            },
            command=("sh", "-c", "trap exit INT HUP TERM; sleep infinity & wait"),
        ),
        "temporalio/ui": Image(
            files={
                "/home/ui-server/ui-server": ui_program().executable,
                "/home/ui-server/config/docker.yaml": ui_program().configuration / "docker.yaml",
                "/home/ui-server/start-ui-server.sh": start_ui,
            },
            entrypoint=("./start-ui-server.sh",),
            directory="/home/ui-server",
        ),
        "postgres": Image(
            files={"/usr/local/bin/docker-entrypoint.sh": script("postgresql.sh", postgresql.ENTRYPOINT)},
            entrypoint=("docker-entrypoint.sh",),
            path=f"{PATH}:{postgresql.programs()}",
            variables={"PGDATA": "/var/lib/postgresql/data"},
        ),
    }


@pytest.fixture(scope="module")
def deployed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This module's own copy of what `deploy write --root /etc/temporal` has written."""
    copy = tmp_path_factory.mktemp("deploy") / "local"
    return shutil.copytree(stack.for_containers, copy, symlinks=True)


@pytest.fixture(scope="module")
def configuration(deployed: Path) -> dict[str, Any]:
    """What Docker Compose makes of the file."""
    found = configure(deployed)
    assert found.returncode == 0, found.stderr
    # It writes a file that it could read again, with every dollar sign twice.
    return dict(json.loads(found.stdout.replace("$$", "$")))


@pytest.fixture(scope="module")
def project(configuration: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The services, up, as far as they run all the time."""
    if not possible():
        pytest.skip("no namespaces for this user: run as root, or see kernel.apparmor_restrict_unprivileged_userns")
    state = tmp_path_factory.mktemp("containers")
    found = images(state)
    services = {
        name: Service(name, one, found[one["image"].partition(":")[0]])
        for name, one in configuration["services"].items()
    }
    with Project(services, state, configuration["networks"]) as project:
        project.up("ui")
        project.wait_until_healthy("ui")
        yield project


def owned(configuration: Mapping[str, Any], name: str) -> list[str]:
    """What of this machine a service sees."""
    volumes = configuration["services"][name].get("volumes") or ()
    return [volume["source"] for volume in volumes if volume["type"] == "bind"]


def test_no_service_may_do_more_than_it_needs(configuration: dict[str, Any]) -> None:
    """Whoever breaks into one of them would own the machine's root, or write himself into its files."""
    for name, service in configuration["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] in ("1000:1000", "postgres"), name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}, name


def test_consumer_sees_its_own_directory_alone_and_cannot_write_it(
    configuration: dict[str, Any], deployed: Path
) -> None:
    """The UI, which faces people, would hold the key that opens the internal frontend."""
    for name, service in configuration["services"].items():
        own = OWN_DIRECTORY.get(name)
        assert owned(configuration, name) == ([str(deployed / own)] if own else []), name
        for volume in service.get("volumes") or ():
            if volume["type"] == "bind":
                assert (volume["target"], volume["read_only"]) == (f"{CONTAINER_ROOT}/{own}", True)
                assert volume["bind"]["create_host_path"] is False


def test_what_runs_all_the_time_is_started_again_and_checked(configuration: dict[str, Any]) -> None:
    """After a reboot half of it would be gone, and nobody would be told."""
    for name, service in configuration["services"].items():
        once = name in ("schema", "cli")
        assert service["restart"] == ("no" if once else "unless-stopped"), name
        assert ("healthcheck" in service) is not once, name


@pytest.mark.parametrize(
    ("told", "addresses"),
    [({}, ("127.0.0.1", "127.0.0.1")), ({"TEMPORAL_LISTEN": "10.0.0.1"}, ("10.0.0.1", "127.0.0.1"))],
    ids=["untold", "told"],
)
def test_ports_are_on_this_machine_unless_told(
    deployed: Path, told: dict[str, str], addresses: tuple[str, str]
) -> None:
    """The UI speaks HTTP, and everybody in the network could listen."""
    services = json.loads(configure(deployed, **told).stdout)["services"]
    published = {
        (name, port["host_ip"], port["published"])
        for name, service in services.items()
        for port in service.get("ports") or ()
    }
    assert published == {("server", addresses[0], "7233"), ("ui", addresses[1], "8080")}


def test_images_are_of_the_versions_that_are_tested(configuration: dict[str, Any]) -> None:
    """What is proved here would be proved of another version."""
    images = {service["image"] for service in configuration["services"].values()}
    server, interface = (Toolchain().pinned_version(program)[1:] for program in (TEMPORAL_SERVER, UI_SERVER))
    assert images == {
        "postgres:17",
        f"temporalio/server:{server}",
        f"temporalio/admin-tools:{server}",
        f"temporalio/ui:{interface}",
    }


@pytest.mark.parametrize("variable", ["STACK", "POSTGRES_PASSWORD"])
def test_what_has_no_default_is_asked_for(deployed: Path, variable: str) -> None:
    """A password that everybody knows, or the files of another stack, would be taken."""
    refused = configure(deployed, **{variable: ""})
    assert refused.returncode
    assert f"required variable {variable} is missing a value: {variable} " in refused.stderr


def test_directory_that_is_not_there_is_named(deployed: Path) -> None:
    """Docker would make an empty one, as root, and the server would start without TLS."""
    refused = configure(deployed.with_name("elsewhere"))
    assert refused.returncode
    assert "elsewhere/" in refused.stderr
    assert "not found" in refused.stderr


def unread(service: str, names: Mapping[str, Any], deployed: Path) -> set[str]:
    """Which variables the program of a service does not read, by its sources, or for the CLI by the program itself."""
    if service == "cli":
        program = Path(cli_program()).read_bytes()
        return {name for name in names if name.encode() not in program}
    return names.keys() - _read(service, (deployed / "server/server.yaml").read_text())


def _read(service: str, server_yaml: str) -> set[str]:
    server = temporal_sources.server()
    if service == "ui":
        return _template_variables((temporal_sources.user_interface() / "config/docker.yaml").read_text())
    if service == "schema":
        return set(re.findall(r'EnvVar: +"(\w+)"', (server / "tools/sql/main.go").read_text()))
    if service == "postgresql":
        return {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"}
    official = (server / "common/config/config_template_embedded.yaml").read_text()
    command_line = "".join((server / file).read_text() for file in ("common/config/loader.go", "cmd/server/main.go"))
    options = set(re.findall(r'"(TEMPORAL_\w+)"', command_line))
    return _template_variables(official) | _template_variables(server_yaml) | options


def _template_variables(template: str) -> set[str]:
    return set(re.findall(r'env "(\w+)"', template))


def test_every_variable_is_one_that_the_image_reads(configuration: dict[str, Any], deployed: Path) -> None:
    """A variable that nobody reads is a setting that does nothing: TLS that is off, a password that is not asked."""
    for name, service in configuration["services"].items():
        assert unread(name, service.get("environment") or {}, deployed) == set(), name


@pytest.mark.parametrize("service", ["server", "internal-frontend", "ui", "cli", "schema", "postgresql"])
def test_variable_with_a_slip_is_noticed(service: str, deployed: Path) -> None:
    """The comparison would pass whatever is compared."""
    slips = {"TEMPORAL_TLS_CERTIFICATE": "", "SQL_PASSWD": "", "POSTGRES_PASSWD": ""}
    assert unread(service, slips, deployed) == slips.keys()


@pytest.mark.parametrize(("service", "uid"), [("postgresql", "999"), *((name, "1000") for name in ALWAYS_UP)])
def test_service_runs_as_its_user_without_a_capability(project: Project, service: str, uid: str) -> None:
    """What is proved here would be proved of another user than the container's."""
    lines = Path(f"/proc/{project.running[service].pid}/status").read_text().splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert project.execute(service, "id", "-u").stdout.strip() == uid


@pytest.mark.parametrize("service", ALWAYS_UP)
def test_service_finds_its_own_files_and_can_write_none(project: Project, service: str) -> None:
    """Another consumer's key, or files that the service itself could change."""
    own = OWN_DIRECTORY[service]
    there = project.execute(service, "ls", CONTAINER_ROOT).stdout.split()
    assert set(there) - {"entrypoint.sh"} == {own}
    assert project.execute(service, "sh", "-c", f"cat {CONTAINER_ROOT}/{own}/*.key").stdout.startswith("-----BEGIN")
    for place in (f"{CONTAINER_ROOT}/{own}/new", "/new", "/usr/local/new"):
        assert "Read-only file system" in project.execute(service, "touch", place).stderr


def test_everybody_works(project: Project, stack: Stack) -> None:
    """Healthy services that do nothing for anybody."""
    made = project.run("cli", "operator", "namespace", "create", "--namespace", "default")
    assert made.returncode == 0, made.stdout

    # A worker on the same machine, which reaches the frontend by the published port.
    worker = stack.deployed.variables(WORKER_ENV)
    address = f"{project.address('server', 'temporal')}:7233"
    worked = wait_until(lambda: _greeting(project, worker | {"TEMPORAL_ADDRESS": address}), "a workflow runs")
    assert worked == "Hello, Temporal\n"

    listed = wait_until(lambda: project.run("cli", "workflow", "list", "--output", "json").stdout, "it is listed")
    assert "Greeting" in listed
    shown = project.execute("ui", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/api/v1/namespaces")
    assert '"name": "default"' in shown.stdout, project.log("ui")


def _greeting(project: Project, variables: Mapping[str, str]) -> str:
    """What a workflow answers; nothing while the namespace is on its way to the frontend."""
    finished = project.beside(sys.executable, sample_worker.__file__, **variables)
    assert finished.stdout or "not found" in finished.stderr, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("service", ["ui", "health"])
def test_database_is_out_of_reach_of_who_does_not_need_it(project: Project, service: str) -> None:
    """One password would be between whoever takes over the UI and every workflow's history."""
    reach = f"exec 3<>/dev/tcp/{project.address('postgresql', 'database')}/5432"
    assert "unreachable" in project.execute(service, "bash", "-c", reach).stderr
    assert project.execute("server", "bash", "-c", reach).returncode == 0


def test_server_listens_in_one_network(project: Project) -> None:
    """Its ports would be open where only the database has to be."""
    refused = project.execute("postgresql", "bash", "-c", "exec 3<>/dev/tcp/server/7233")
    assert "refused" in refused.stderr
    assert project.execute("ui", "bash", "-c", "exec 3<>/dev/tcp/server/7233").returncode == 0


def test_schema_set_up_twice_changes_nothing(project: Project) -> None:
    """Every `docker compose up` runs it again."""
    again = project.run("schema")
    assert again.returncode == 0, again.stdout
    assert "Schema updated from" not in again.stdout
    assert "Schema updated from" in project.log("schema")


def test_schema_set_up_ends_with_its_error(project: Project) -> None:
    """The server would start on a database without tables, as nothing has failed."""
    refused = project.run("schema", SQL_PASSWORD="another")
    assert refused.returncode
    assert "password authentication failed" in refused.stdout


def test_renewed_files_arrive_without_a_restart(project: Project, deployed: Path) -> None:
    """A mount that stays with the files of its start would serve them until they end."""
    files = dict(directory.read(deployed, "ui") or {})
    loads = project.log("ui").count(UI_LOADS)
    directory.write(deployed, {"ui": files | {"new": b"new"}})
    try:
        assert project.execute("ui", "cat", f"{CONTAINER_ROOT}/ui/new").stdout == "new"
    finally:
        directory.write(deployed, {"ui": files})

    # The UI reads its pair whenever it connects anew.
    restart(project, "server")
    project.wait_until_healthy("health")
    wait_until(lambda: project.log("ui").count(UI_LOADS) > loads, "the UI reads its pair again")


def test_health_is_that_of_the_system_worker(project: Project) -> None:
    """Temporal would serve, and work on nothing, while everything is said to be well."""
    restart(project, "server", TEMPORAL_SERVICES="frontend,history,matching")
    assert project.healthy("server")
    assert project.healthy("internal-frontend")
    assert not project.healthy("health")

    restart(project, "server")
    project.wait_until_healthy("health")


STUB = """\
#!/bin/sh
cat <<END
{{
  "pollers": [
{pollers}
  ]
}}
END
"""


@pytest.mark.parametrize(
    ("ages_seconds", "healthy"), [([5], True), ([600, 70], True), ([600, 240], False), ([], False)]
)
def test_health_needs_a_poll_of_late(
    configuration: dict[str, Any], project: Project, tmp_path: Path, ages_seconds: list[int], healthy: bool
) -> None:
    """Matching tells for five minutes who has polled, and it would pass for somebody who is gone."""
    polls = [datetime.now(UTC) - timedelta(seconds=age) for age in ages_seconds]
    pollers = ",\n".join(f'    {{ "lastAccessTime": "{poll:%Y-%m-%dT%H:%M:%S.%fZ}" }}' for poll in polls)
    (tmp_path / "temporal").write_text(STUB.format(pollers=pollers))
    (tmp_path / "temporal").chmod(0o755)
    found = project.services["health"]
    image = replace(found.image, files={"/usr/local/bin/temporal": tmp_path / "temporal"})
    project.services["stub"] = Service("stub", configuration["services"]["health"], image)
    try:
        project.start("stub")
        wait_until(lambda: project.execute("stub", "ls", CONTAINER_ROOT).stdout == "server\n", "it is in its root")
        assert project.healthy("stub") is healthy
    finally:
        project.stop("stub")
        del project.services["stub"]


def restart(project: Project, service: str, **changes: str) -> None:
    project.stop(service)
    project.start(service, **changes)
    project.wait_until_healthy(service)
