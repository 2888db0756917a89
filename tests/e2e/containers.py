"""The services of a compose file, run natively as containers: there is no Docker where the tests run.

Each service is a process in namespaces of its own, made of what `docker compose config` says of it: its user without
any capability, a root in which nothing of this machine is but /usr, its mounts at their paths, its address in each of
its networks, its variables and no other. What an image holds is put where the image has it; shell and tools are
BusyBox, as in the Alpine images. What only Docker does is left out: ports published, restarts, pulling.

Every namespace is inside one that this user may make, so no privilege is needed; all files in it are one user's.
"""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import count
from pathlib import Path
from typing import Any, Self

from tools import debian
from tools.processes import Process, ProcessEndedError, wait_until

PATH = "/usr/local/bin:/bin"
_HOST_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_USERS = {"temporal": 1000, "postgres": 999}
_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
_UNSAID, _PREFIX = IPv4Network("172.30.0.0/20"), 24
_PATIENCE_SECONDS = 90

# Waits for its standard input to end, so that it never outlives the tests.
_HOLD = r"""
ip link set lo up
while [ $# -gt 0 ]; do
  ip link add "$1" type bridge; ip addr add "$2" dev "$1"; ip link set "$1" up; shift 2
done
echo up; cat
"""

# $1 the new root, $2 the holder of the networks, $3 user, $4 directory, then one word a step until `--`, and a command.
_CONTAIN = r"""
root=$1 holder=$2 user=$3 directory=$4; shift 4
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root"/usr "$root"/bin "$root"/etc/ssl "$root"/proc "$root"/dev
mount --rbind /usr "$root/usr"
mount -t tmpfs -o mode=755 tmpfs "$root/usr/local"
for library in /lib /lib64; do [ ! -e $library ] || ln -s "usr$library" "$root$library"; done
for folder in /proc /dev; do mount --rbind $folder "$root$folder"; done
mount --rbind /etc/ssl "$root/etc/ssl"
"$BUSYBOX" --install -s "$root/bin"
for tool in bash getent; do ln -sf /usr/bin/$tool "$root/bin/$tool"; done
ip link set lo up
while [ "$1" != -- ]; do
  step=$1 target=$2 value=$3; shift 3
  case $step in
    text) printf %s "$value" > "$root$target" ;;
    file) mkdir -p "$(dirname "$root$target")"; touch "$root$target"; mount --bind "$value" "$root$target" ;;
    rw) mkdir -p "$root$target"; mount --bind "$value" "$root$target" ;;
    ro) mkdir -p "$root$target"; mount --bind "$value" "$root$target"
        mount -o remount,bind,ro,nosuid,nodev "$root$target" ;;
    tmpfs) mkdir -p "$root$target"; mount -t tmpfs -o mode=1777 tmpfs "$root$target" ;;
    address) there="nsenter --net=/proc/$holder/ns/net ip link"
        $there add "v$$$target" type veth peer name "$target" netns $$
        $there set "v$$$target" master "${value#* }" up
        ip addr add "${value% *}" dev "$target"; ip link set "$target" up ;;
    seal) mount -o remount,bind,ro "$root/usr/local"; mount -o remount,bind,ro "$root" ;;
  esac
done
shift
cd "$root"; pivot_root . .; umount -l .; cd "$directory"
exec /usr/bin/unshare --user --map-user="${user%:*}" --map-group="${user#*:}" --keep-caps -- \
  /usr/bin/setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all \
  /usr/bin/env -u BUSYBOX -u SERVICE_PATH PATH="$SERVICE_PATH" "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a service finds in its image: files by their paths, and what it runs unless told otherwise."""

    files: Mapping[str, Path]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    directory: str = "/"
    path: str = PATH
    variables: Mapping[str, str] = field(default_factory=dict)


class Service:
    """One service of a project, as `docker compose config` has it."""

    def __init__(self, name: str, configuration: Mapping[str, Any], image: Image) -> None:
        self.name = name
        self.configuration = configuration
        self.image = image

    @property
    def environment(self) -> dict[str, str]:
        """What it is told, by env_file and environment together; a variable without a value is the caller's."""
        given = self.configuration.get("environment") or {}
        return {**self.image.variables, **{name: value for name, value in given.items() if value is not None}}

    @property
    def user(self) -> str:
        """`uid:gid`."""
        user = str(self.configuration["user"])
        return f"{_USERS[user]}:{_USERS[user]}" if user in _USERS else user

    @property
    def command(self) -> list[str]:
        entrypoint = self.configuration.get("entrypoint") or self.image.entrypoint
        return [*entrypoint, *(self.configuration.get("command") or self.image.command)]

    @property
    def check(self) -> list[str]:
        """The command of its health check, as Docker runs it."""
        kind, *command = self.configuration["healthcheck"]["test"]
        return ["/bin/sh", "-c", *command] if kind == "CMD-SHELL" else command


def possible() -> bool:
    """Whether this machine lets its user make what is needed here."""
    debian.found(debian.IPROUTE)
    attempt = ("sh", "-euc", "mount -t tmpfs tmpfs /mnt; ip link add bridge0 type bridge")
    command = [*_NETWORK, "--mount", *attempt]
    return subprocess.run(command, env={"PATH": _HOST_PATH}, capture_output=True, check=False).returncode == 0


class Contained(Process):
    """The process of a service: what makes its namespaces becomes it."""

    @property
    def pid(self) -> int:
        return self._popen.pid


class Project:
    """The services of a compose file in networks of their own, as long as the context lasts."""

    def __init__(self, services: dict[str, Service], state: Path, networks: Mapping[str, Any]) -> None:
        self.services = services
        self.running: dict[str, Contained] = {}
        self._state = state
        self._networks = networks
        self._closing = ExitStack()
        self._numbers = count(1)

    def __enter__(self) -> Self:
        with ExitStack() as closing:
            bridges = [word for name in self._networks for word in (_bridge(name), self._at(name, 1))]
            self._holder = subprocess.Popen(
                [*_NETWORK, "sh", "-euc", _HOLD, "sh", *bridges],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={"PATH": _HOST_PATH},
            )
            closing.callback(self._holder.communicate)
            assert self._holder.stdout is not None
            assert self._holder.stdout.readline() == "up\n"
            closing.callback(self._stop_all)
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def up(self, *names: str) -> None:
        """Start services and all that they depend on, each when what it waits for is so. Raises TimeoutError."""
        for name in names:
            for other, dependency in (self.services[name].configuration.get("depends_on") or {}).items():
                self.up(other)
                if dependency["condition"] == "service_healthy":
                    self.wait_until_healthy(other)
                else:
                    assert self.finish(other) == 0, self.log(other)
            if name not in self.running:
                self.start(name)

    def start(self, name: str, **changes: str) -> None:
        """Start a service, with `changes` to its variables."""
        self.running[name] = self._process(self.services[name], (), changes)

    def run(self, name: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """`docker compose run`: a container of its own for one command."""
        service = self.services[name]
        entrypoint = service.configuration.get("entrypoint") or service.image.entrypoint
        process = self._process(service, [*entrypoint, *arguments] if arguments else (), changes, f"{name}-run")
        wait_until(lambda: process.status is not None, f"{name} {arguments} ends", timeout_seconds=_PATIENCE_SECONDS)
        assert process.status is not None
        return subprocess.CompletedProcess([*arguments], process.status, process.log.read_text())

    def execute(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """`docker compose exec`: a command beside a service, with its user, its mounts and its variables."""
        service = self.services[name]
        target = ("/usr/bin/nsenter", "--target", str(self.running[name].pid))
        inside = [*target, "--net", "--mount", *target, "--user", "--preserve-credentials"]
        bare = ["/usr/bin/setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        return subprocess.run(
            [*self._in_networks(), *inside, *bare, "/usr/bin/env", f"PATH={service.image.path}", *command],
            env=service.environment | {"PATH": _HOST_PATH},
            capture_output=True,
            text=True,
            check=False,
        )

    def beside(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of this machine that has an address in every network, as the host of a Docker has."""
        return subprocess.run(
            [*self._in_networks(), *command], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def healthy(self, name: str) -> bool:
        """Whether a running service passes its health check."""
        if self.running[name].status is not None:
            raise ProcessEndedError(f"{name} ended with {self.running[name].status}, saying\n{self.log(name)[-2000:]}")
        return self.execute(name, *self.services[name].check).returncode == 0

    def wait_until_healthy(self, name: str) -> None:
        """Raises TimeoutError, or ProcessEndedError with the service's last words."""
        wait_until(lambda: self.healthy(name), f"{name} is healthy", timeout_seconds=_PATIENCE_SECONDS)

    def finish(self, name: str) -> int | None:
        """The exit status of a service that ends by itself."""
        process = self.running[name]
        wait_until(lambda: process.status is not None, f"{name} ends", timeout_seconds=_PATIENCE_SECONDS)
        return process.status

    def stop(self, name: str) -> int:
        """Its exit status."""
        return self.running.pop(name).stop()

    def log(self, name: str) -> str:
        return self.running[name].log.read_text()

    def address(self, service: str, network: str) -> str:
        """The one that the file gives it, else one that is nobody's yet."""
        given = (self.services[service].configuration["networks"][network] or {}).get("ipv4_address")
        members = [name for name, one in self.services.items() if network in one.configuration["networks"]]
        return given or self._at(network, 100 + members.index(service)).partition("/")[0]

    def _at(self, network: str, number: int) -> str:
        """An address in a network, with the network's size."""
        configured = (self._networks[network].get("ipam") or {}).get("config")
        unsaid = list(_UNSAID.subnets(new_prefix=_PREFIX))[list(self._networks).index(network)]
        return f"{(IPv4Network(configured[0]['subnet']) if configured else unsaid)[number]}/{_PREFIX}"

    def _process(
        self, service: Service, command: Sequence[str], changes: Mapping[str, str], log: str | None = None
    ) -> Contained:
        number = next(self._numbers)
        root = self._state / f"root-{number}"
        root.mkdir(parents=True)
        steps = [word for step in self._steps(service) for word in step]
        return Contained(
            [
                *self._in_networks(),
                *("unshare", "--mount", "--net", "sh", "-euc", _CONTAIN, "sh"),
                *(str(root), str(self._holder.pid), service.user, service.image.directory),
                *steps,
                "--",
                *(command or service.command),
            ],
            {
                **service.environment,
                **changes,
                "PATH": _HOST_PATH,
                "SERVICE_PATH": service.image.path,
                "BUSYBOX": str(debian.found(debian.BUSYBOX)),
            },
            self._state / f"{log or service.name}-{number}.log",
        )

    def _steps(self, service: Service) -> Iterator[tuple[str, str, str]]:
        """What is put into its root and its network, in this order: how, where, what."""
        for target, source in service.image.files.items():
            yield "file", target, str(source)
        for mount in service.configuration.get("volumes") or ():
            if mount["type"] == "bind":
                yield "ro" if mount.get("read_only") else "rw", mount["target"], mount["source"]
            else:
                volume = self._state / f"volume-{mount['source']}"
                volume.mkdir(exist_ok=True)
                yield "rw", mount["target"], str(volume)
        for target in service.configuration.get("tmpfs") or ():
            yield "tmpfs", target, ""
        networks = list(service.configuration["networks"])
        for number, network in enumerate(networks):
            address = f"{self.address(service.name, network)}/{_PREFIX}"
            yield "address", f"eth{number}", f"{address} {_bridge(network)}"
        yield "text", "/etc/passwd", "".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in _USERS.items())
        yield "text", "/etc/hosts", self._hosts(networks)
        if service.configuration.get("read_only"):
            yield "seal", "", ""

    def _hosts(self, networks: Sequence[str]) -> str:
        """Docker's names: a service is known to those who share a network with it."""
        return "127.0.0.1 localhost\n" + "".join(
            f"{self.address(name, network)} {name}\n"
            for network in networks
            for name, service in self.services.items()
            if network in service.configuration["networks"]
        )

    def _in_networks(self) -> list[str]:
        namespaces = ("--user", "--preserve-credentials", "--net")
        return ["/usr/bin/nsenter", "--target", str(self._holder.pid), *namespaces]

    def _stop_all(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.stop()


def _bridge(network: str) -> str:
    """An interface's name, which has 15 characters at most."""
    return f"br-{network}"[:15]
