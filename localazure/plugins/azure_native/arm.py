"""Requests to ARM: one resource by its id, long-running operations to their end, errors in the official words."""

import json
from typing import Any, Protocol, cast

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import PipelineResponse
from azure.core.polling import AsyncLROPoller
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.mgmt.core.polling.async_arm_polling import AsyncARMPolling

from localazure.plugins.azure_native.specs import Spec
from localazure.plugins.connection import Client
from plugin import PluginError

_Response = PipelineResponse[HttpRequest, AsyncHttpResponse]

_POLL_SECONDS = 1


class ArmError(PluginError):
    """A refusal by ARM. Its text is what the official plugin says of it; `status` is the HTTP status."""

    def __init__(self, status: int, body: str) -> None:
        """Take the response's status and text; the text need not be JSON."""
        code, message = _code_and_message(body)
        code_part = f'Code="{code}" ' if code else ""
        super().__init__(f'Status={status} {code_part}Message="{message}"')
        self.status = status
        self.body = body


class Arm(Protocol):
    """What the provider needs of ARM. Bodies are JSON objects; every method raises `ArmError` if ARM refuses."""

    async def get(self, resource_id: str, api_version: str) -> dict[str, Any] | None:
        """Return a resource, or None if there is none."""

    async def put(self, resource_id: str, spec: Spec, body: dict[str, Any]) -> dict[str, Any]:
        """Create or replace a resource, wait until ARM has finished, and return it."""

    async def delete(self, resource_id: str, api_version: str) -> None:
        """Delete a resource and wait until ARM has finished. One that is not there is none to delete."""


class HttpArm:
    """ARM over HTTP."""

    def __init__(self, client: Client, base_url: str) -> None:
        self._client = client
        self._base_url = base_url

    async def get(self, resource_id: str, api_version: str) -> dict[str, Any] | None:
        response = (await self._send("GET", resource_id, api_version)).http_response
        if response.status_code == 404:
            return None
        return _json(response, 200)

    async def put(self, resource_id: str, spec: Spec, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._send("PUT", resource_id, spec.api_version, body)
        answer = _json(response.http_response, 200, 201, 202)
        if spec.long_running or response.http_response.status_code == 202:
            return _json((await self._finished(response)).http_response, 200, 201)
        return answer

    async def delete(self, resource_id: str, api_version: str) -> None:
        response = await self._send("DELETE", resource_id, api_version)
        if response.http_response.status_code in (200, 204, 404):
            return
        _json(response.http_response, 202)
        await self._finished(response)

    async def _send(
        self, method: str, resource_id: str, api_version: str, body: dict[str, Any] | None = None
    ) -> _Response:
        url = f"{self._base_url}{resource_id}"
        request = HttpRequest(method, url, params={"api-version": api_version}, json=body)
        try:
            # The poller of long-running operations starts from the pipeline's response.
            response: Any = await self._client.send_request(request, _return_pipeline_response=True)
        except AzureError as error:
            raise PluginError(f"{method} {url}: {error}") from error
        return cast(_Response, response)

    async def _finished(self, response: _Response) -> _Response:
        poller = AsyncLROPoller(self._client, response, lambda last: last, AsyncARMPolling(timeout=_POLL_SECONDS))
        try:
            finished: _Response = await poller.result()
        except HttpResponseError as error:
            raise ArmError(error.status_code or 0, error.response.text() if error.response else str(error)) from error
        except AzureError as error:
            raise PluginError(f"Waiting for {response.http_request.url}: {error}") from error
        return finished


def _json(response: AsyncHttpResponse, *statuses: int) -> dict[str, Any]:
    if response.status_code not in statuses:
        raise ArmError(response.status_code, response.text())
    text = response.text()
    return dict(json.loads(text)) if text else {}


def _code_and_message(body: str) -> tuple[str, str]:
    try:
        answer = json.loads(body)
    except ValueError:
        return "", body
    error = answer.get("error", answer) if isinstance(answer, dict) else {}
    return error.get("code", ""), error.get("message", body)
