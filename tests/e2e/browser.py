"""Headless Chromium, as people sit at it: one browser for all of them, and for each a profile of their own.

What they use is found by what they read. The browser can reach this machine alone, and trusts nobody's certificates but
local Entra's.
"""

import base64
import hashlib
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Locator, ViewportSize, expect, sync_playwright

from localazure.client import LocalAzure
from tools import REPOSITORY, debian

SCREENSHOTS = REPOSITORY / ".screenshots"

_SIZE: ViewportSize = {"width": 1280, "height": 720}
_PATIENCE_MILLISECONDS = 20_000
_FLAGS = (
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
)
_OF_THE_SIGN_IN = {"state", "nonce", "_csrf"}
_KEPT_AS, _TOKENS = "AuthUser", ("accessToken", "idToken")
_ASK = """
    async ({path, accessToken, idToken}) => {
        const headers = accessToken
            ? {"Authorization": `Bearer ${accessToken}`, "Authorization-Extras": idToken}
            : {};
        return (await fetch(path, {headers})).status;
    }
"""


@contextmanager
def running_chromium(azure: LocalAzure) -> Iterator[Browser]:
    """The browser, for people who sign in with the Entra ID of this local Azure."""
    expect.set_options(timeout=_PATIENCE_MILLISECONDS)
    trust = f"--ignore-certificate-errors-spki-list={_key_fingerprint(azure)}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=debian.found(debian.CHROMIUM), args=[*_FLAGS, trust])
        try:
            yield browser
        finally:
            browser.close()


def _key_fingerprint(azure: LocalAzure) -> str:
    host, _, port = azure.metadata_host.rpartition(":")
    pem = ssl.get_server_certificate((host, int(port)), ca_certs=str(azure.ca_file))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


class Visitor:
    """Somebody at the UI that is served at `url`."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._url = url
        self._context = browser.new_context(viewport=_SIZE)
        self._context.set_default_timeout(_PATIENCE_MILLISECONDS)
        self.page = self._context.new_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def opens(self, path: str = "/") -> None:
        self.page.goto(f"{self._url}{path}")

    def goes_to_entra(self) -> None:
        """From the UI's first page to Entra's."""
        self.opens()
        self.page.get_by_role("button", name="Continue to SSO").click()

    def signs_in(self, login: str, password: str) -> None:
        """From the UI's first page to whatever comes after the password."""
        self.goes_to_entra()
        self.gives(login, password)

    def gives(self, login: str, password: str) -> None:
        """Fill in Entra's page."""
        self.page.get_by_label("Email").fill(login)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def sees(self, *texts: str) -> None:
        """Wait until all of it can be read on the page."""
        for text in texts:
            expect(self.page.get_by_text(text).first).to_be_visible()

    def sees_workflows(self, *workflow_ids: str) -> None:
        """Wait for the list of workflows, with these in it."""
        table = self.page.get_by_role("table", name="Workflows")
        expect(table).to_be_visible()
        for workflow_id in workflow_ids:
            expect(table.get_by_role("link", name=workflow_id, exact=True)).to_be_visible()

    def sees_sign_in(self) -> None:
        """Wait for the UI's page for people who are not signed in."""
        expect(self.page.get_by_role("button", name="Continue to SSO")).to_be_visible()

    def starts(self, workflow_id: str) -> None:
        """Fill in the form for a workflow that nobody works on, and send it."""
        self.page.get_by_role("link", name="Start Workflow").click()
        for field, value in {"Workflow ID": workflow_id, "Task Queue": "nobody", "Workflow Type": "Waiting"}.items():
            self.page.get_by_role("textbox", name=field).fill(value)
        self.page.get_by_role("button", name="Start Workflow", exact=True).click()

    def signals(self, name: str) -> Locator:
        """Send a signal to the workflow that is open. Returns the dialog, which stays if it is refused."""
        dialog = self._dialog("Send a Signal")
        dialog.get_by_test_id("signal-name").fill(name)
        dialog.get_by_role("button", name="Submit").click()
        return dialog

    def terminates(self) -> Locator:
        """Terminate the workflow that is open. Returns the dialog, which stays if it is refused."""
        dialog = self._dialog("Terminate")
        dialog.get_by_role("button", name="Terminate").click()
        return dialog

    def _dialog(self, action: str) -> Locator:
        self.page.get_by_role("button", name="More Actions").click()
        self.page.get_by_role("menuitem", name=action).click()
        return self.page.get_by_role("dialog")

    def signs_out(self) -> None:
        """By the menu under the initial of the person's name."""
        self.page.get_by_role("navigation", name="Main").get_by_role("button").last.click()
        self.page.get_by_role("menuitem", name="Log out").click()

    def asks(self, path: str) -> int:
        """The status with which the UI's server answers the page that is open, with the session that it has."""
        return int(self.page.evaluate(_ASK, {"path": path, **self.tokens}))

    @property
    def tokens(self) -> dict[str, str]:
        """`accessToken` and `idToken`, as the UI keeps them for its pages. Empty for who is not signed in."""
        for origin in self._context.storage_state().get("origins", []):
            for item in origin["localStorage"]:
                if item["name"] == _KEPT_AS:
                    kept = json.loads(item["value"])
                    return {name: kept[name] for name in _TOKENS if kept.get(name)}
        return {}

    @property
    def session_cookies(self) -> set[str]:
        """The names of the UI's cookies, without those that it sets before anybody has signed in."""
        return {str(cookie.get("name")) for cookie in self._context.cookies(self._url)} - _OF_THE_SIGN_IN

    def picture(self, name: str) -> None:
        """Keep what the page looks like now."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")
