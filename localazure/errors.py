"""Azure's error answers, as one exception that every handler may raise.

ARM and Key Vault share the envelope; Key Vault adds `innererror`, whose code tells a missing role from a closed
firewall.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web


class AzureError(Exception):
    """A refusal with the status, code and words that Azure uses.

    `inner_code` becomes `innererror.code`; `headers` are added to the answer (Retry-After, WWW-Authenticate).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        inner_code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.inner_code = inner_code
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner_code:
            error["innererror"] = {"code": self.inner_code}
        return web.json_response({"error": error}, status=self.status, headers=self.headers)
