"""Start, steer and stop a local Azure from tests and tools. Synchronous; speaks to the control plane only."""

import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Literal, Self

import psutil

from localazure.entra.directory import Kind
from localazure.processes import has_ended

_STARTUP_SECONDS = 20
_SHUTDOWN_SECONDS = 10
_POLL_SECONDS = 0.02
_LOG_TAIL_LINES = 30
_REPOSITORY = Path(__file__).resolve().parent.parent


class LocalAzureError(Exception):
    """The local Azure did not start, does not run, or refused a control request; the message has its words."""


class LocalAzure:
    """A running local Azure. As a context manager it is stopped at the end.

    `metadata_host` is `127.0.0.1:PORT`; `ca_file` is what clients must trust.
    """

    def __init__(self, state: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        endpoint = json.loads((state / "endpoint.json").read_text())
        self.state = state
        self.pid: int = endpoint["pid"]
        self.metadata_host: str = endpoint["metadataHost"]
        self.tenant_id: str = endpoint["tenantId"]
        self.other_tenant_id: str = endpoint["otherTenantId"]
        self.subscription_id: str = endpoint["subscriptionId"]
        self.origin = f"https://{self.metadata_host}"
        self.ca_file = state / "ca.pem"
        self._process = process
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=self.tls_context()),
        )

    @classmethod
    def start(cls, state: Path, *, port: int | None = None, **dials: Any) -> Self:
        """Start a process of its own on the state directory and wait until it listens.

        `dials` (JSON names) count from the first request on and are kept in DIR/dials.json. LocalAzureError, with the
        end of its log, if it does not come up.
        """
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if dials:
            (state / "dials.json").write_text(json.dumps(dials))
        command = [sys.executable, "-m", "localazure", "serve", "--state", str(state.resolve())]
        if port is not None:
            command += ["--port", str(port)]
        with (state / "log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=_REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _STARTUP_SECONDS
        while not _listens(state, process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                tail = "\n".join((state / "log").read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
                raise LocalAzureError(f"the local Azure on {state} did not start; the end of {state / 'log'}:\n{tail}")
            time.sleep(_POLL_SECONDS)
        return cls(state, process)

    @classmethod
    def attach(cls, state: Path) -> Self:
        """The local Azure that already runs on the state directory; LocalAzureError if none does."""
        try:
            pid = json.loads((state / "endpoint.json").read_text())["pid"]
        except FileNotFoundError:
            pid = None
        if pid is None or not psutil.pid_exists(pid):
            raise LocalAzureError(f"no local Azure runs on {state}")
        attached = cls(state)
        attached.dials()
        return attached

    def stop(self) -> None:
        """Shut down and wait for the end of the process; nothing to do if it is gone already."""
        try:
            running = psutil.Process(self.pid)
            self._call("POST", "/_local/shutdown")
        except (psutil.NoSuchProcess, LocalAzureError):
            running = None
        if self._process is not None:
            try:
                self._process.wait(_SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        elif running is not None:
            deadline = time.monotonic() + _SHUTDOWN_SECONDS
            while not has_ended(running):
                if time.monotonic() > deadline:
                    raise LocalAzureError(f"the local Azure on {self.state}, process {self.pid}, does not stop")
                time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """SIGKILL the process, as a crash would; only for one that this object started."""
        if self._process is None:
            raise LocalAzureError("kill() is for a local Azure that start() started")
        self._process.kill()
        self._process.wait()

    def tls_context(self) -> ssl.SSLContext:
        """For a client of one's own: trusts this local Azure and nothing else."""
        return ssl.create_default_context(cafile=self.ca_file)

    @property
    def identities(self) -> dict[str, dict[str, str]]:
        """By name: tenantId, objectId, kind; for service principals clientId and clientSecret, for users
        userPrincipalName, mail and password.
        """
        identities: dict[str, dict[str, str]] = json.loads((self.state / "identities.json").read_text())
        return identities

    def environment(self, identity: str = "deployer") -> dict[str, str]:
        """The variables with which Pulumi's Azure providers and the SDKs work here as that identity."""
        credentials = self.identities[identity]
        return {
            "ARM_METADATA_HOSTNAME": self.metadata_host,
            "ARM_TENANT_ID": self.tenant_id,
            "ARM_SUBSCRIPTION_ID": self.subscription_id,
            "ARM_CLIENT_ID": credentials["clientId"],
            "ARM_CLIENT_SECRET": credentials["clientSecret"],
            "ARM_DISABLE_INSTANCE_DISCOVERY": "true",
            "SSL_CERT_FILE": str(self.ca_file.resolve()),
            "REQUESTS_CA_BUNDLE": str(self.ca_file.resolve()),
        }

    def managed_identity_environment(self, identity: str) -> dict[str, str]:
        """The variables with which azure-identity takes the service principal for the machine's managed identity."""
        return {
            "IDENTITY_ENDPOINT": f"{self.origin}/managed-identity/token",
            "IDENTITY_HEADER": self.identities[identity]["clientSecret"],
        }

    def create_identity(
        self,
        name: str,
        kind: Kind = "ServicePrincipal",
        *,
        member_of: tuple[str, ...] = (),
        federated_credentials: tuple[dict[str, Any], ...] = (),
        graph_roles: tuple[str, ...] | None = None,
    ) -> str:
        """Create a principal, or set an existing one's groups (by name) and federated credentials. Returns its object
        id.

        `graph_roles` are names of application permissions at Microsoft Graph; None leaves them as they are.
        """
        body = {
            "kind": kind,
            "memberOf": member_of,
            "federatedCredentials": federated_credentials,
            "graphRoles": graph_roles,
        }
        return str(self._call("PUT", f"/_local/identities/{name}", body)["objectId"])

    def trust_issuer(self, issuer: str, jwks: dict[str, Any]) -> None:
        """Tell Entra the keys of an issuer of federated assertions, which it asks nobody for."""
        self._call("PUT", "/_local/issuers", {"issuer": issuer, "jwks": jwks})

    def roll_over_keys(self, keep: int | None = None) -> None:
        """Sign with the next key from now on. Of the old keys the newest `keep` stay published, by default all."""
        self._call("POST", "/_local/keys/rollover", {"keep": keep})

    def requests(self, after: int = 0) -> list[dict[str, Any]]:
        """The logged requests with a number above `after`, oldest first (requestlog.Entry has the fields)."""
        requests: list[dict[str, Any]] = self._call("GET", f"/_local/requests?after={after}")["requests"]
        return requests

    def writes(self, after: int = 0) -> list[dict[str, Any]]:
        """Those of `requests` that were let in to change something."""
        return [request for request in self.requests(after) if request["write"]]

    def dials(self, **changes: Any) -> dict[str, Any]:
        """Set dials (JSON names); all of them as they now are."""
        return self._call("PATCH", "/_local/dials", changes)

    def hold(self, write: int, when: Literal["before", "after"]) -> None:
        """Hold the write-th write from now on, before or after it is applied, until `release`."""
        self._call("PUT", "/_local/hold", {"write": write, "when": when})

    def release(self) -> None:
        """Let a held write go on. One held before, whose client is gone, is not applied."""
        self._call("DELETE", "/_local/hold")

    def wait_for_held(self, timeout_seconds: float = 30) -> dict[str, Any]:
        """The request that is held, once there is one."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            held = self._call("GET", "/_local/requests?phase=held")["requests"]
            if held:
                return dict(held[0])
            time.sleep(_POLL_SECONDS)
        raise LocalAzureError(f"no write was held within {timeout_seconds} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.origin}{path}", method=method, data=None if body is None else json.dumps(body).encode()
        )
        try:
            with self._opener.open(request, timeout=_SHUTDOWN_SECONDS) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            raise LocalAzureError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise LocalAzureError(
                f"{method} {path}: the local Azure on {self.state} does not answer: {error}"
            ) from error
        return json.loads(answer) if answer else {}


def _listens(state: Path, pid: int) -> bool:
    try:
        return bool(json.loads((state / "endpoint.json").read_text())["pid"] == pid)
    except FileNotFoundError:
        return False
