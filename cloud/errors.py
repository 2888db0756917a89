"""What Key Vault means by a refusal."""

from azure.core.exceptions import HttpResponseError


def inner_code(error: HttpResponseError) -> str:
    """Return the innermost code of Key Vault's error, such as `ForbiddenByRbac`; empty where there is none.

    Source: "Common error codes for Azure Key Vault".
    """
    if error.error is None:
        return ""
    inner = error.error.innererror or {}
    return str(inner.get("code") or error.error.code or "")


def is_missing_role(error: object) -> bool:
    """Tell whether a vault refused for want of a role, which may still be on its way from Azure."""
    return isinstance(error, HttpResponseError) and error.status_code == 403 and inner_code(error) == "ForbiddenByRbac"
