"""What a vault is to its data plane.

A `Vault` reads the document that ARM writes each time it is asked, so that a PATCH counts from the next request on and
nothing is held twice. Everything that the data plane keeps for a vault lives under the store kinds that `Vault.kind`
names; purging the vault drops these.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localazure.store import Document, Store

VAULTS = "vaults"
DELETED_VAULTS = "deletedVaults"


@dataclass(frozen=True, slots=True)
class Vault:
    """A vault by its name (lower case, globally unique). Attributes raise LookupError once it is deleted."""

    name: str
    store: Store

    @property
    def document(self) -> Document:
        document = self.store.get(VAULTS, self.name)
        if document is None:
            raise LookupError(f"vault {self.name} does not exist or is deleted")
        return document

    def kind(self, collection: str) -> str:
        """The store kind for one of the vault's collections, e.g. `vault.kind("secrets")`."""
        return f"vault/{self.name}/{collection}"

    @property
    def resource_id(self) -> str:
        """`/subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/NAME`, no trailing slash."""
        return str(self.document["id"])

    @property
    def location(self) -> str:
        return str(self.document["location"])

    @property
    def uri(self) -> str:
        """`https://127.0.0.1:PORT/`, with the trailing slash, as ARM returns it."""
        return str(self.document["properties"]["vaultUri"])

    @property
    def tenant_id(self) -> str:
        return str(self.document["properties"]["tenantId"])

    @property
    def premium(self) -> bool:
        """Whether HSM-protected key types are offered."""
        return str(self.document["properties"]["sku"]["name"]).lower() == "premium"

    @property
    def soft_delete_days(self) -> int:
        return int(self.document["properties"]["softDeleteRetentionInDays"])

    @property
    def purge_protection(self) -> bool:
        return bool(self.document["properties"].get("enablePurgeProtection"))

    @property
    def recovery_level(self) -> str:
        """The `recoveryLevel` attribute of everything in the vault."""
        customized = "Customized" if self.soft_delete_days < 90 else ""
        return f"{customized}Recoverable" if self.purge_protection else f"{customized}Recoverable+Purgeable"

    @property
    def rbac(self) -> bool:
        """Whether roles decide on the data plane; otherwise access policies do."""
        return bool(self.document["properties"].get("enableRbacAuthorization"))

    @property
    def public_access(self) -> bool:
        return str(self.document["properties"].get("publicNetworkAccess", "Enabled")).lower() != "disabled"

    def admits(self, address: str) -> bool:
        """Whether the firewall lets this client address in."""
        acls = self.document["properties"].get("networkAcls") or {}
        if str(acls.get("defaultAction", "Allow")).lower() == "allow":
            return True
        client = ipaddress.ip_address(address)
        return any(client in ipaddress.ip_network(rule["value"], strict=False) for rule in acls.get("ipRules") or [])

    def soft_delete(self, now: float) -> None:
        """Move the vault's document to the deleted ones, for as long as it says. `now`: seconds since the epoch."""
        document = self.document
        deleted_at = datetime.fromtimestamp(now, UTC)
        document["deletedAt"] = timestamp(deleted_at)
        document["purgedAt"] = timestamp(deleted_at + timedelta(days=self.soft_delete_days))
        self.store.put(DELETED_VAULTS, self.name, document)
        self.store.delete(VAULTS, self.name)

    def purge(self) -> None:
        """Delete the soft-deleted vault for good, with everything that was in it."""
        self.store.delete(DELETED_VAULTS, self.name)
        self.store.drop(self.kind(""))


def timestamp(instant: datetime) -> str:
    """As ARM writes it: UTC with a Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
