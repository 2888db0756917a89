"""Diagnostic settings and private endpoints: kept and given back. No official Python SDK for them is a dependency, so
plain HTTP.
"""

import httpx
import pytest

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk


class Arm:
    def __init__(self, sdk: Sdk, identity: str = "deployer") -> None:
        self._azure = sdk.azure
        token = sdk.credential(identity).get_token(f"{sdk.azure.origin}/.default").token
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, body: object = None) -> httpx.Response:
        with httpx.Client(base_url=self._azure.origin, verify=self._azure.tls_context(), trust_env=False) as http:
            return http.request(
                method, path, params={"api-version": "2021-05-01-preview"}, json=body, headers=self._headers
            )


@pytest.fixture
def arm(sdk: Sdk) -> Arm:
    return Arm(sdk)


def test_a_diagnostic_setting_lives_on_its_vault(arm: Arm, sdk: Sdk) -> None:
    """The plugin puts, gets and deletes; what it gets must be what it put."""
    vault = sdk.create_vault(sdk.create_group())
    path = f"{vault.id}/providers/Microsoft.Insights/diagnosticSettings/audit"
    properties = {"workspaceId": "/subscriptions/s/w", "logs": [{"categoryGroup": "audit", "enabled": True}]}
    assert arm("GET", path).status_code == 404
    created = arm("PUT", path, {"properties": properties})
    assert created.status_code == 200
    assert created.json()["id"] == path
    assert arm("GET", path).json()["properties"] == properties
    assert [each["name"] for each in arm("GET", path.rpartition("/")[0]).json()["value"]] == ["audit"]
    assert Arm(sdk, "nobody")("PUT", path, {"properties": {}}).status_code == 403
    assert arm("DELETE", path).status_code == 200
    assert arm("DELETE", path).status_code == 204


def test_a_private_endpoint_lives_in_its_group(arm: Arm, azure: LocalAzure, sdk: Sdk) -> None:
    """It goes with its group, and is not made in a missing one."""
    group = sdk.create_group()
    path = (
        f"/subscriptions/{azure.subscription_id}/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/p"
    )
    body = {"location": "westeurope", "properties": {"subnet": {"id": "/subscriptions/s/subnet"}}}
    created = arm("PUT", path, body)
    assert created.status_code == 201
    assert created.json()["properties"]["provisioningState"] == "Succeeded"
    assert arm("PUT", path, body).status_code == 200
    assert arm("PUT", path.replace(group, "missing"), body).status_code == 404
    sdk.resources().resource_groups.begin_delete(group).result()
    assert arm("GET", path).status_code == 404
