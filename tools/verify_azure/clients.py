"""The data plane of one vault, through the official clients of one identity, with every exchange noted.

The clients' own hook for responses gives the exchanges, so that no request goes another way for being looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline import PipelineResponse
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto.aio import CryptographyClient
from azure.keyvault.secrets.aio import SecretClient
from yarl import URL

from cloud.session import KEY_VAULT_API_VERSION
from tools.verify_azure.exchanges import RawExchange

_CHALLENGE = 401


class Recorder:
    """Notes exchanges while it is asked to, in memory; whoever keeps them redacts them first."""

    def __init__(self) -> None:
        self._noted: list[RawExchange] | None = None

    @contextmanager
    def recording(self) -> Iterator[list[RawExchange]]:
        """Give a list that fills with what is exchanged meanwhile, in the order of the answers."""
        self._noted = []
        try:
            yield self._noted
        finally:
            self._noted = None

    def hook(self, caller: str) -> Callable[[PipelineResponse[Any, Any]], None]:
        """Return what a client of `caller` calls with every response."""

        def note(answer: PipelineResponse[Any, Any]) -> None:
            response = answer.http_response
            # The clients learn from a challenge where to sign in: that is no part of what a check asks.
            if self._noted is None or response.status_code == _CHALLENGE:
                return
            self._noted.append(
                RawExchange(
                    caller=caller,
                    method=response.request.method,
                    url=response.request.url,
                    request=_body(response.request.content),
                    status=response.status_code,
                    headers=dict(response.headers),
                    response=_body(response.content),
                )
            )

        return note


class Clients:
    """One vault as one identity sees it. An asynchronous context manager, which closes the connections."""

    def __init__(
        self,
        vault_uri: str,
        credential: AsyncTokenCredential,
        *,
        verify_challenge_resource: bool,
        on_response: Callable[[PipelineResponse[Any, Any]], None],
    ) -> None:
        options: dict[str, Any] = {
            "api_version": KEY_VAULT_API_VERSION,
            "verify_challenge_resource": verify_challenge_resource,
            "raw_response_hook": on_response,
        }
        self.certificates = CertificateClient(vault_uri, credential, **options)
        self.keys = KeyClient(vault_uri, credential, **options)
        self.secrets = SecretClient(vault_uri, credential, **options)

    def cryptography(self, key_id: str) -> CryptographyClient:
        """Return the client that signs with a key: one version of it, or the newest where the id names none."""
        _, _, name, *version = URL(key_id).parts
        return self.keys.get_cryptography_client(name, key_version=version[0] if version else None)

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> AsyncHttpResponse:
        """Ask what the clients have no method for. Raises HttpResponseError as they do."""
        response = await self.certificates.send_request(HttpRequest(method, path, json=body), **options)
        response.raise_for_status()
        return response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in (self.certificates, self.keys, self.secrets):
            await client.close()


def _body(content: bytes | str | None) -> Any:
    """A body as JSON; for anything else, only how long it is."""
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return f"{len(content)} bytes that are no JSON"
