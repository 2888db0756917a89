"""A stack with sign-on whose local Azure runs on, and what callers say there: tokens as Entra ID gives them, or forged.

Tokens are taken with the official clients wherever Entra ID would give such a token. Where it would not, one claim of a
good token is changed, and the result is signed with the key that Entra signs with: so one thing alone is wrong with it.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
from azure.identity import ClientSecretCredential
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from temporalio.api.workflowservice.v1 import (
    ListNamespacesRequest,
    ListWorkflowExecutionsRequest,
    PollWorkflowTaskQueueRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.service import RPCError

from localazure.client import LocalAzure
from localazure.entra.keys import SigningKeys
from localazure.store import Store
from tests.e2e.deployed import Deployed
from tests.e2e.ports import free_ports
from tests.e2e.stack import WORKER_ENV, Program
from tests.e2e.temporal import UI_ENV

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
ADA, BOB, EVE = "ada@contoso.example", "bob@contoso.example", "eve@contoso.example"
GRACE = "grace@partner.example"
OTHER_NAMESPACE = "payments"

ROLES: Mapping[str, Any] = {
    "temporal-system:read": [{"user": ADA}, {"group": "Temporal Operators"}],
    "default:read": [{"group": "Temporal Operators"}],
    "default:write": [{"user": ADA}],
    "default:worker": [],
    f"{OTHER_NAMESPACE}:write": [{"user": GRACE}],
}
"""Ada may write in `default`. Bob, through a group, may read there. Grace, a guest, may write elsewhere."""


@dataclass(frozen=True)
class SignedOn:
    """The stack, its Azure, and the files that Temporal starts from."""

    azure: LocalAzure
    program: Program
    deployed: Deployed

    @property
    def facts(self) -> dict[str, Any]:
        return dict(self.program.outputs()["signOn"])

    @property
    def client_id(self) -> str:
        return self.deployed.variables("server/server.env")["TEMPORAL_JWT_AUDIENCE"]

    @property
    def ui_url(self) -> str:
        """Where people find the UI."""
        return self.deployed.variables(UI_ENV)["TEMPORAL_CORS_ORIGINS"]

    def identity(self, name: str) -> dict[str, str]:
        """Who somebody is, password or client secret included; people are named by their e-mail address."""
        found = self.azure.identities
        return found.get(name) or next(who for who in found.values() if who.get("mail") == name)

    def password_of(self, person: str) -> str:
        return self.identity(person)["password"]

    def token_of(self, person: str) -> str:
        """A person's token for Temporal, as the Azure CLI gets it."""
        return str(self._tokens_of(person)["access_token"])

    def id_token_of(self, person: str) -> str:
        """What the Azure CLI is told of who has signed in."""
        return str(self._tokens_of(person)["id_token"])

    def _tokens_of(self, person: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{self.azure.origin}/{self.azure.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "password",
                "client_id": AZURE_CLI,
                "username": person,
                "password": self.password_of(person),
                "scope": f"openid {self.client_id}/default",
            },
            verify=self.azure.tls_context(),
            trust_env=False,
        )
        return dict(answer.raise_for_status().json())

    def token_of_worker(self, env_file: str = WORKER_ENV) -> str:
        """The token that a worker gets with what its environment file says, and nothing else."""
        variables = self.deployed.variables(env_file)
        return self.token_of_application(
            variables["AZURE_TENANT_ID"],
            variables["AZURE_CLIENT_ID"],
            variables["AZURE_CLIENT_SECRET"],
            variables["TEMPORAL_TOKEN_SCOPE"],
        )

    def token_of_application(self, tenant_id: str, client_id: str, client_secret: str, scope: str) -> str:
        with ClientSecretCredential(
            tenant_id,
            client_id,
            client_secret,
            authority=self.azure.origin,
            disable_instance_discovery=True,
            connection_verify=str(self.azure.ca_file),
        ) as credential:
            return credential.get_token(scope).token

    def forged(
        self,
        token: str,
        claims: Mapping[str, Any] | None = None,
        *,
        key: Any = None,
        algorithm: str = "RS256",
        key_id: str | None = None,
    ) -> str:
        """The token with other claims, under Entra's own signature, or under whatever else is said."""
        found_id, found_key = self.signing_key
        said = jwt.decode(token, options={"verify_signature": False}) | dict(claims or {})
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, key or found_key, algorithm=algorithm, headers={"kid": key_id or found_id})

    @property
    def signing_key(self) -> tuple[str, RSAPrivateKey]:
        """What Entra signs with."""
        with closing(Store(self.azure.state / "state.sqlite3")) as store:
            return SigningKeys(store).signing

    def graph(self) -> httpx.Client:
        """Microsoft Graph as the deployer, who owns the applications. The caller closes it."""
        token = self.token_of_application(
            self.azure.tenant_id,
            self.identity("deployer")["clientId"],
            self.identity("deployer")["clientSecret"],
            f"{self.graph_address}/.default",
        )
        return httpx.Client(
            base_url=f"{self.graph_address}/v1.0/",
            headers={"Authorization": f"Bearer {token}"},
            verify=self.azure.tls_context(),
            trust_env=False,
        )

    @property
    def graph_address(self) -> str:
        answer = httpx.get(
            f"{self.azure.origin}/metadata/endpoints",
            params={"api-version": "2022-09-01"},
            verify=self.azure.tls_context(),
            trust_env=False,
        )
        return str(answer.json()["microsoftGraphResourceId"]).rstrip("/")


@contextmanager
def signed_on(folder: Path, pulumi_home: Path, **settings: Any) -> Iterator[SignedOn]:
    """Provision a stack with sign-on, and write its files; local Azure runs until the end."""
    ui_port = free_ports(1)[0]
    with ExitStack() as closing_all:
        azure = closing_all.enter_context(
            LocalAzure.start(folder / "azure", rbacPropagationSeconds=0, certificatePendingPolls=0)
        )
        sign_on = {"uiUrl": f"http://localhost:{ui_port}", "roles": ROLES, **settings}
        program = Program(
            folder,
            azure=azure,
            pulumi_home=pulumi_home,
            authorization=None,
            namespaces=["default", OTHER_NAMESPACE],
            signOn=sign_on,
        )
        program.provision()
        root = program.write(folder / "deploy", "--https-trust", str(azure.ca_file))
        yield SignedOn(azure, program, Deployed(root))


class Frontend:
    """The public frontend as a caller with a worker's certificate sees it; the token is what the caller says."""

    def __init__(self, signed_on: SignedOn, **changes: str) -> None:
        self._environment = signed_on.deployed.variables(WORKER_ENV) | changes

    def list_namespaces(self, token: str | None) -> None:
        self._call(token, lambda client: client.workflow_service.list_namespaces(ListNamespacesRequest()))

    def read(self, token: str | None, namespace: str = "default") -> None:
        request = ListWorkflowExecutionsRequest(namespace=namespace)
        self._call(token, lambda client: client.workflow_service.list_workflow_executions(request))

    def write(self, token: str | None, namespace: str = "default") -> None:
        """Start a workflow that nobody works on."""
        request = StartWorkflowExecutionRequest(
            namespace=namespace, workflow_id=str(uuid.uuid4()), request_id=str(uuid.uuid4())
        )
        request.workflow_type.name = "Waiting"
        request.task_queue.name = "nobody"
        request.workflow_execution_timeout.FromSeconds(60)
        self._call(token, lambda client: client.workflow_service.start_workflow_execution(request))

    def poll(self, token: str | None, namespace: str = "default") -> None:
        """Ask for a workflow task as a worker does; the long poll ends without one."""
        request = PollWorkflowTaskQueueRequest(namespace=namespace, identity="test")
        request.task_queue.name = "nobody-else"
        self._call(token, lambda client: client.workflow_service.poll_workflow_task_queue(request), may_time_out=True)

    def _call(self, token: str | None, ask: Any, *, may_time_out: bool = False) -> None:
        async def call() -> None:
            profile = ClientConfigProfile.load(override_env_vars=self._environment, disable_file=True)
            connection: Any = profile.to_client_connect_config()
            client = await Client.connect(**connection | {"api_key": token, "lazy": True})
            try:
                await asyncio.wait_for(ask(client), 2 if may_time_out else 20)
            except TimeoutError:
                assert may_time_out, "the frontend did not answer"

        try:
            asyncio.run(call())
        except (RPCError, RuntimeError) as error:
            # A token of which nothing can be made is refused when the client asks what server this is.
            if "Request unauthorized." in str(error):
                raise UnauthorizedError(str(error)) from error
            raise


class UnauthorizedError(Exception):
    """The frontend knows who is calling, or does not want to, and refuses."""


def complaints(log: Path, since: int) -> list[str]:
    """Why the authorizer could make nothing of a token, as the server's log has it."""
    lines = log.read_bytes()[since:].decode().splitlines()
    return [str(json.loads(line)["error"]) for line in lines if '"msg":"Authorization error"' in line]
