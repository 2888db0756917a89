"""Every wrong token is refused by the real server, for its own reason, one change away from one that is accepted."""

import base64
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.ports import free_ports
from tests.e2e.sign_on import ADA, BOB, OTHER_NAMESPACE, Frontend, SignedOn, UnauthorizedError, complaints, signed_on
from tests.e2e.temporal import SERVER, Cluster

pytestmark = pytest.mark.e2e

Act = Callable[[Frontend, str | None], None]
"""What is asked of the frontend with a token."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[SignedOn]:
    with signed_on(tmp_path_factory.mktemp("sign-on"), pulumi_home) as site:
        yield site


@pytest.fixture(scope="module")
def cluster(site: SignedOn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(site.deployed, tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.administrate("operator", "namespace", "create", "--namespace", OTHER_NAMESPACE).check_returncode()
        yield cluster


@pytest.fixture(scope="module")
def frontend(site: SignedOn, cluster: Cluster) -> Frontend:
    return Frontend(site)


def write(frontend: Frontend, token: str | None) -> None:
    frontend.write(token)


def read(frontend: Frontend, token: str | None) -> None:
    frontend.read(token)


def poll(frontend: Frontend, token: str | None) -> None:
    frontend.poll(token)


def write_elsewhere(frontend: Frontend, token: str | None) -> None:
    frontend.write(token, OTHER_NAMESPACE)


def list_namespaces(frontend: Frontend, token: str | None) -> None:
    frontend.list_namespaces(token)


@dataclass(frozen=True)
class Wrong:
    """A wrong token beside a right one for the same act, and why it is refused.

    `logged` is a pattern for what the server says of a token that it can make nothing of. One that it understands, and
    whose roles are not enough, it refuses without a word: there the twin alone tells the reason.
    """

    token: Callable[[SignedOn], str | None]
    logged: str | None
    act: Act = write
    twin: Callable[[SignedOn], str] = SignedOn.token_of_worker


def changed(**claims: object) -> Callable[[SignedOn], str]:
    return lambda site: site.forged(site.token_of_worker(), claims)


def of_another_application(site: SignedOn) -> str:
    """A token of the same tenant's Entra ID for another application, with the roles that this one wants."""
    with site.graph() as graph:
        role = {
            "id": str(uuid.uuid4()),
            "value": "default:write",
            "displayName": "default:write",
            "description": "Of another application.",
            "allowedMemberTypes": ["Application"],
            "isEnabled": True,
        }
        made = graph.post("applications", json={"displayName": "another", "appRoles": [role]}).raise_for_status().json()
        principal = graph.post("servicePrincipals", json={"appId": made["appId"]}).raise_for_status().json()
        assignment = {"principalId": principal["id"], "resourceId": principal["id"], "appRoleId": role["id"]}
        graph.post(f"servicePrincipals/{principal['id']}/appRoleAssignedTo", json=assignment).raise_for_status()
        secret = graph.post(f"applications/{made['id']}/addPassword", json={}).raise_for_status().json()["secretText"]
    return site.token_of_application(site.azure.tenant_id, made["appId"], secret, f"{made['appId']}/.default")


def of_the_other_tenant(site: SignedOn) -> str:
    """A token of another tenant's, under the same keys, whose own application has the role `temporal-system:admin`."""
    stranger = site.identity("stranger")
    client = stranger["clientId"]
    return site.token_of_application(stranger["tenantId"], client, stranger["clientSecret"], f"{client}/.default")


def of_version_1(site: SignedOn) -> str:
    """What Entra ID gives where nobody asked for version 2, as it does by default."""
    with site.graph() as graph:
        found = graph.get("applications", params={"$filter": f"appId eq '{site.client_id}'"}).raise_for_status().json()
        path = f"applications/{found['value'][0]['id']}"
        graph.patch(path, json={"api": {"requestedAccessTokenVersion": 1}}).raise_for_status()
        try:
            return site.token_of_worker()
        finally:
            graph.patch(path, json={"api": {"requestedAccessTokenVersion": 2}}).raise_for_status()


def signed_with_the_public_key(site: SignedOn) -> str:
    """Everybody has the key that tokens are verified with: it must not do for a signature."""
    public = site.signing_key[1].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims, _ = site.token_of_worker().split(".")
    said = f"{_with(header, alg='HS256')}.{claims}"
    return f"{said}.{_encoded(hmac.digest(public, said.encode(), 'sha256'))}"


def unsigned(site: SignedOn) -> str:
    header, claims, _ = site.token_of_worker().split(".")
    return f"{_with(header, alg='none')}.{claims}."


def _with(header: str, **changes: str) -> str:
    said = json.loads(base64.urlsafe_b64decode(f"{header}=="))
    return _encoded(json.dumps(said | changes).encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


OTHER_AUDIENCES = {
    "other audience": Wrong(changed(aud=str(uuid.uuid4())), "audience mismatch"),
    "other application of the tenant": Wrong(of_another_application, "audience mismatch"),
    "other tenant's administrator": Wrong(of_the_other_tenant, "audience mismatch"),
    "version 1": Wrong(of_version_1, "audience mismatch"),
}
WRONG = {
    "none": Wrong(lambda site: None, None),
    "expired": Wrong(changed(exp=int(time.time()) - 60), "Token is expired"),
    "not yet valid": Wrong(changed(nbf=int(time.time()) + 3600), "Token is not valid yet"),
    **OTHER_AUDIENCES,
    "HS256": Wrong(signed_with_the_public_key, "signing method HS256 is invalid"),
    "no signature": Wrong(unsigned, "signing method none is invalid"),
    "unknown key": Wrong(
        lambda site: site.forged(site.token_of_worker(), key_id=uuid.uuid4().hex), "RSA key not found for key ID: .*"
    ),
    "other key of that id": Wrong(
        lambda site: (
            f"{site.token_of_worker().rpartition('.')[0]}.{site.forged(site.token_of(ADA)).rpartition('.')[2]}"
        ),
        "crypto/rsa: verification error",
    ),
    "roles as a string": Wrong(changed(roles="default:write"), None),
    "no roles": Wrong(changed(roles=None), None),
    "reader who writes": Wrong(lambda site: site.token_of(BOB), None, twin=lambda site: site.token_of(ADA)),
    "reader of another namespace": Wrong(
        changed(roles=[f"{OTHER_NAMESPACE}:read"]), None, act=read, twin=changed(roles=["default:read"])
    ),
    "reader of everything who writes": Wrong(changed(roles=["temporal-system:read"]), None),
    "role for another namespace": Wrong(changed(roles=[f"{OTHER_NAMESPACE}:write"]), None),
    "namespace in capitals": Wrong(changed(roles=["Default:write"]), None),
    "writer elsewhere": Wrong(
        SignedOn.token_of_worker, None, act=write_elsewhere, twin=changed(roles=[f"{OTHER_NAMESPACE}:write"])
    ),
    "worker without its role": Wrong(changed(roles=["default:read"]), None, act=poll),
    "worker by that name alone": Wrong(changed(roles=["default:worker"]), None, act=poll),
    "the blog's reader of the system": Wrong(
        changed(roles=["system:read"]), None, act=list_namespaces, twin=changed(roles=["temporal-system:read"])
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_token_is_refused_and_its_twin_is_not(
    site: SignedOn, cluster: Cluster, frontend: Frontend, case: str
) -> None:
    """A token that should have been refused lets its bearer do what the roles in it say."""
    wrong = WRONG[case]
    log = cluster.processes[SERVER].log

    wrong.act(frontend, wrong.twin(site))
    token, since = wrong.token(site), log.stat().st_size
    with pytest.raises(UnauthorizedError):
        wrong.act(frontend, token)

    found = complaints(log, since)
    if wrong.logged is None:
        assert found == []
    else:
        assert found, "the server does not say why"
        assert all(re.fullmatch(wrong.logged, complaint) for complaint in found), found


def test_who_reads_the_system_reads_every_namespace(site: SignedOn, frontend: Frontend) -> None:
    """Somebody is let see the list of namespaces, which takes this role, and sees all workflows unbeknownst."""
    token = changed(roles=["temporal-system:read"])(site)

    frontend.list_namespaces(token)
    for namespace in ("default", OTHER_NAMESPACE):
        frontend.read(token, namespace)


def test_an_id_token_of_the_ui_is_as_good_as_an_access_token(site: SignedOn, frontend: Frontend) -> None:
    """The UI is the application that tokens are for, so its id tokens have the audience and the roles: docs/sign-on.md
    says so. The id token of anybody else's client is refused, whatever roles it has.
    """
    with pytest.raises(UnauthorizedError):
        frontend.write(site.id_token_of(ADA))
    frontend.write(site.forged(site.id_token_of(ADA), {"aud": site.client_id, "roles": ["default:write"]}))


def test_without_an_audience_the_server_takes_the_tokens_of_others(
    site: SignedOn, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The refusals above would prove nothing about the audience, if something else refused these tokens."""
    folder = tmp_path_factory.mktemp("careless")
    lines = (site.deployed.root / "server/server.yaml").read_text().splitlines(keepends=True)
    careless = folder / "server.yaml"
    careless.write_text("".join(line for line in lines if "AUDIENCE" not in line))
    port = free_ports(1)[0]
    changes = {"TEMPORAL_SERVER_CONFIG_FILE_PATH": str(careless), "FRONTEND_GRPC_PORT": str(port)}

    with Cluster(site.deployed, folder, **changes):
        frontend = Frontend(site, TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
        for wrong in OTHER_AUDIENCES.values():
            wrong.act(frontend, wrong.token(site))


def test_the_server_follows_a_rollover_of_signing_keys(site: SignedOn, cluster: Cluster, frontend: Frontend) -> None:
    """Entra ID changes its keys without notice, and the next day nobody gets in."""
    before = site.token_of_worker()
    site.azure.roll_over_keys()
    after = site.token_of_worker()
    assert key_of(before) != key_of(after)

    frontend.write(before)
    frontend.write(after)


def key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])
