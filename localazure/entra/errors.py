"""Refusals in Entra's own words, under the AADSTS codes that people search for.

A code that more than one endpoint answers with has a function here; the others stand where they are raised. The words
are those of public reports and of "Microsoft Entra authentication and authorization error codes" (learn.microsoft.com).
"""

import uuid
from datetime import UTC, datetime
from typing import Any


class Refusal(Exception):
    """What Entra refuses: `error` is OAuth's word for it, `code` the number after AADSTS."""

    def __init__(self, error: str, code: int, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        return 401 if self.error == "invalid_client" else 400

    def body(self, origin: str) -> dict[str, Any]:
        """As the token endpoint answers it, with the ids that a person would send to the support."""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        timestamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.message} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {timestamp}",
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{origin}/error?code={self.code}",
        }


def missing_parameter(name: str) -> Refusal:
    return Refusal("invalid_request", 900144, f"The request body must contain the following parameter: '{name}'.")


def unknown_tenant(tenant: str) -> Refusal:
    return Refusal(
        "invalid_request",
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into "
        "the correct cloud.",
    )


def malformed_tenant(tenant: str) -> Refusal:
    return Refusal(
        "invalid_request",
        900023,
        f"Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.",
    )


def unknown_application(client_id: str, tenant_id: str) -> Refusal:
    return Refusal(
        "unauthorized_client",
        700016,
        f"Application with identifier '{client_id}' was not found in the directory '{tenant_id}'. The application is "
        "not installed in the tenant, or the request went to the wrong tenant.",
    )


def unknown_resource(resource: str, tenant_id: str) -> Refusal:
    return Refusal(
        "invalid_resource",
        500011,
        f"The resource principal named {resource} was not found in the tenant named {tenant_id}. "
        "The application is not installed in the tenant, or the request went to the wrong tenant.",
    )


def not_consented(client_id: str, name: str) -> Refusal:
    return Refusal(
        "invalid_grant",
        65001,
        f"The user or administrator has not consented to use the application with ID '{client_id}' named '{name}'. "
        "Send an interactive authorization request for this user and resource.",
    )
