"""How hard the local Azure is on its callers, each hardship with its own dial."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _compiles(match: str) -> str:
    method, _, pattern = match.partition(" ")
    if not method.isupper() or not pattern:
        raise ValueError('must be "METHOD path-regex", e.g. "POST /keys/.*/sign"')
    re.compile(pattern)
    return match


class _Dialled(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)


class Fault(_Dialled):
    """Answer the next `times` requests whose method equals and whose path matches (re.search) with `status`,
    unapplied.
    """

    match: Annotated[str, AfterValidator(_compiles)]
    status: Literal[429, 500, 503]
    times: int = Field(default=1, ge=0)
    retry_after_seconds: int | None = Field(default=None, alias="retryAfterSeconds", ge=0)

    def hits(self, method: str, path: str) -> bool:
        wanted, _, pattern = self.match.partition(" ")
        return self.times > 0 and method == wanted and re.search(pattern, path) is not None


class Dials(_Dialled):
    rbac_propagation_seconds: float = Field(default=2, alias="rbacPropagationSeconds", ge=0)
    """How long the data plane ignores a new role assignment."""
    stale_token_seconds: float = Field(default=0, alias="staleTokenSeconds", ge=0)
    """How much longer it does so for a token that is older than the assignment."""
    token_lifetime_seconds: int = Field(default=3600, alias="tokenLifetimeSeconds", ge=1)
    """Of access tokens and id tokens."""
    authorization_code_lifetime_seconds: int = Field(default=600, alias="authorizationCodeLifetimeSeconds", ge=0)
    refresh_token_lifetime_seconds: int = Field(default=90 * 86400, alias="refreshTokenLifetimeSeconds", ge=0)
    user_consent: bool = Field(default=True, alias="userConsent")
    """Whether people may consent for themselves, where an application requires no assignment."""
    key_creations_per_10s: int | None = Field(default=None, alias="keyCreationsPer10s", ge=1)
    """Per vault; Azure has 20 (10 for HSM keys). None: no limit."""
    transactions_per_10s: int | None = Field(default=None, alias="transactionsPer10s", ge=1)
    """Per vault, key creations aside; Azure has 4,000. None: no limit."""
    certificate_pending_polls: int = Field(default=1, alias="certificatePendingPolls", ge=0)
    """How often a poll still finds the creation of a Self-issued certificate in progress."""
    graph_consistency_seconds: float = Field(default=0, alias="graphConsistencySeconds", ge=0)
    """How long a write to Microsoft Graph takes to reach all of its replicas."""
    faults: tuple[Fault, ...] = ()

    def changed(self, changes: dict[str, Any]) -> "Dials":
        """These dials with some of them, by their JSON names, set anew; pydantic.ValidationError if one is wrong."""
        return Dials.model_validate(self.model_dump(by_alias=True) | changes)

    def faulted(self, method: str, path: str) -> "tuple[Fault | None, Dials]":
        """The fault that this request runs into, if any, and the dials with that one used up by one."""
        for index, fault in enumerate(self.faults):
            if fault.hits(method, path):
                used = fault.model_copy(update={"times": fault.times - 1})
                faults = (*self.faults[:index], used, *self.faults[index + 1 :])
                return fault, self.model_copy(update={"faults": faults})
        return None, self
