"""Entra over plain HTTP: the token endpoint, and tokens as any resource would read them."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import jwt

from localazure.client import LocalAzure
from tests.engine.localazure.browser import Browser
from tests.engine.localazure.registrations import REDIRECT_URI, Registered


class Entra:
    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure
        self.http = httpx.Client(base_url=azure.origin, verify=azure.tls_context(), trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.http.close()

    def post(
        self, form: Mapping[str, str | None], *, tenant: str | None = None, auth: tuple[str, str] | None = None
    ) -> Any:
        """The token endpoint's answer, whatever it is; None leaves a field out."""
        response = self.http.post(
            f"/{tenant or self.azure.tenant_id}/oauth2/v2.0/token",
            data={name: value for name, value in form.items() if value is not None},
            auth=httpx.USE_CLIENT_DEFAULT if auth is None else auth,
        )
        answer = response.json()
        assert response.is_success == ("access_token" in answer)
        return answer

    def redeem(
        self,
        client: Registered,
        browser: Browser,
        *,
        tenant: str | None = None,
        auth: tuple[str, str] | None = None,
        **changes: str | None,
    ) -> Any:
        """The answer to the code that the browser was sent back with; `client_secret` is among the changes."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": client.client_id,
            "code": browser.answer["code"],
            "redirect_uri": REDIRECT_URI,
        }
        return self.post(form | changes, tenant=tenant, auth=auth)

    def refresh(self, client: Registered, refresh_token: str, **changes: str | None) -> Any:
        form = {"grant_type": "refresh_token", "client_id": client.client_id, "refresh_token": refresh_token}
        return self.post({**form, **changes})

    def claims(self, token: str, audience: str, *, tenant: str | None = None) -> dict[str, Any]:
        """The claims, once the signature has been checked against the published keys."""
        keys = jwt.PyJWKSet.from_dict(self.jwks(tenant))
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], audience=audience)
        return claims

    def jwks(self, tenant: str | None = None) -> Any:
        return self.http.get(f"/{tenant or self.azure.tenant_id}/discovery/v2.0/keys").json()


def codes(answer: Any) -> list[int]:
    """The numbers of a refusal."""
    return list(answer.get("error_codes", []))
