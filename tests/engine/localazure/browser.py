"""A browser without scripts: it keeps cookies, shows pages, presses buttons, and stops before it leaves Entra."""

import re
from html import unescape
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from localazure.client import LocalAzure
from tests.engine.localazure.registrations import OPENID, REDIRECT_URI, Registered


class Browser:
    """One person's browser. `page` is what it shows, `address` where it is, `sent_to` where the client gets its
    answer, once it does."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure
        self._http = httpx.Client(base_url=azure.origin, verify=azure.tls_context(), trust_env=False)
        self.page = ""
        self.status = 0
        self.headers = httpx.Headers()
        self.sent_to: str | None = None
        self.address = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def authorize(self, client: Registered, **changes: str | None) -> Self:
        """Go where a client would send it, by default for the client's own scope; None leaves a parameter out."""
        parameters = {
            "client_id": client.client_id,
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "scope": f"{OPENID} {client.default}",
            "state": "the state",
            **changes,
        }
        query = {name: value for name, value in parameters.items() if value is not None}
        tenant = self._azure.tenant_id
        return self.open(str(httpx.URL(f"{self._azure.origin}/{tenant}/oauth2/v2.0/authorize", params=query)))

    def open(self, address: str) -> Self:
        self.address = address
        return self._show(self._http.get(address))

    def press(self, action: str, **fields: str) -> Self:
        """Press the button of the page that is shown, with its fields filled in."""
        assert f'value="{action}"' in self.page, self.page
        for name in fields:
            assert re.search(f'<label for="{name}">.*<input id="{name}" name="{name}"', self.page, re.DOTALL)
        return self._show(self._http.post(self.address, data={"action": action, **fields}))

    def sign_in(self, name: str, password: str | None = None) -> Self:
        """As one of the seeded people, with their password unless another is given."""
        known = self._azure.identities[name]
        return self.press("sign-in", login=known["userPrincipalName"], password=password or known["password"])

    @property
    def answer(self) -> dict[str, str]:
        """What the client gets in its redirect URI."""
        assert self.sent_to is not None, self.page
        parts = urlsplit(self.sent_to)
        return dict(parse_qsl(parts.query or parts.fragment))

    @property
    def title(self) -> str:
        return self._text("<h1>(.*)</h1>")

    @property
    def alert(self) -> str:
        return self._text('<p role="alert">(.*)</p>')

    @property
    def permissions(self) -> list[str]:
        """Those that the consent page lists."""
        return [unescape(each) for each in re.findall("<li>(.*)</li>", self.page)]

    def hidden(self) -> dict[str, str]:
        """What a form_post page hands over."""
        found = re.findall('<input type="hidden" name="(.*)" value="(.*)">', self.page)
        return {unescape(name): unescape(value) for name, value in found}

    def cookies(self) -> list[Any]:
        return list(self._http.cookies.jar)

    def _text(self, pattern: str) -> str:
        found = re.search(pattern, self.page)
        return "" if found is None else unescape(found[1])

    def _show(self, response: httpx.Response) -> Self:
        self.page, self.status, self.headers = response.text, response.status_code, response.headers
        self.sent_to = response.headers["Location"] if response.is_redirect else None
        return self
