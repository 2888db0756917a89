"""What certificates, keys and secrets are asked alike: lists, versions, soft delete, recovery, purge, backup.

A collection answers for one kind of object in one vault. Each handler asks for the caller's right first (that is also
where a write can be held back), then changes what it changes in one go, with nothing awaited between read and write.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Generic

from aiohttp import web
from cryptography.fernet import Fernet, InvalidToken
from pydantic import ValidationError
from yarl import URL

from localazure.context import Context
from localazure.errors import AzureError
from localazure.keyvault import assumptions
from localazure.keyvault.material import base64url, from_base64url
from localazure.keyvault.models import Certificate, Version
from localazure.keyvault.policy import AnyPart, Part, bad_parameter
from localazure.keyvault.shelf import AnyNamed, Shelf
from localazure.vaults import Vault

Answer = dict[str, Any]

_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
_MOST_RESULTS = 25
_BACKUP_KEYS = "keyVaultBackupKeys"


class Attributes(Part):
    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None

    def apply_to(self, version: Version) -> None:
        """Set what is given."""
        for name, value in self.model_dump(exclude_none=True).items():
            setattr(version, name, value)


class _Backup(Part):
    value: str


class Collection(ABC, Generic[AnyNamed]):
    """`noun` is the singular; `reads` the data action for metadata, below `Microsoft.KeyVault/vaults/`."""

    noun: ClassVar[str]
    reads: ClassVar[str]
    model: ClassVar[type[Any]]
    id_in_lists: ClassVar[str] = "id"

    def __init__(self, vault: Vault, context: Context) -> None:
        self.vault = vault
        self.context = context
        self.plural = f"{self.noun}s"
        self.shelf: Shelf[AnyNamed] = Shelf(context, vault, self.plural, self.model)
        self.certificates = Shelf(context, vault, "certificates", Certificate)

    @abstractmethod
    def of_certificate(self, certificate: Certificate) -> AnyNamed | None:
        """The object that a certificate of that name is here, if it is one."""

    @abstractmethod
    def described(self, named: AnyNamed) -> Answer:
        """What a deletion or a recovery answers about an object."""

    @abstractmethod
    def item(self, named: AnyNamed, version: Version) -> Answer:
        """An entry of a list, without its id."""

    @abstractmethod
    def own_routes(self) -> list[web.RouteDef]: ...

    def listed_versions(self, named: AnyNamed) -> Iterable[Version]:
        return named.versions

    def is_listed(self, named: AnyNamed, request: web.Request) -> bool:
        return True

    def routes(self) -> list[web.RouteDef]:
        live, deleted = f"/{self.plural}", f"/deleted{self.plural}"
        return [
            web.get(live, self.list_all),
            web.post(f"{live}/restore", self.restore),
            web.get(f"{live}/{{name}}/versions", self.list_versions),
            web.post(f"{live}/{{name}}/backup", self.back_up),
            web.delete(f"{live}/{{name}}", self.delete),
            web.get(deleted, self.list_deleted),
            web.get(f"{deleted}/{{name}}", self.get_deleted),
            web.delete(f"{deleted}/{{name}}", self.purge),
            web.post(f"{deleted}/{{name}}/recover", self.recover),
            *self.own_routes(),
        ]

    # Objects ---------------------------------------------------------------------------------------------------------

    def find(self, name: str) -> AnyNamed | None:
        certificate = self.certificates.find(name)
        return self.shelf.find(name) if certificate is None else self.of_certificate(certificate)

    def find_deleted(self, name: str) -> AnyNamed | None:
        certificate = self.certificates.find_deleted(name)
        return self.shelf.find_deleted(name) if certificate is None else self.of_certificate(certificate)

    def get(self, name: str) -> AnyNamed:
        named = self.find(name)
        if named is None:
            raise self.not_found(name)
        return named

    def require_free(self, name: str, operation: str) -> None:
        """403 if the name is a certificate's, 409 if a soft-deleted object holds it. A live one of this kind may."""
        assumptions.refuse_managed(self.noun, self.certificates.find(name) is not None, operation)
        if self.certificates.find_deleted(name) or self.shelf.find_deleted(name):
            raise self.deleted_but_recoverable(name)

    def deleted_but_recoverable(self, name: str) -> AzureError:
        return AzureError(
            409,
            "Conflict",
            f"{self.noun.capitalize()} {name} is currently in a deleted but recoverable state, and its name cannot be "
            f"reused; in this state, the {self.noun} can only be recovered or purged.",
            inner_code="ObjectIsDeletedButRecoverable",
        )

    def not_found(self, name: str, version: str = "") -> AzureError:
        wanted = f"{name}/{version}" if version else name
        return AzureError(
            404,
            f"{self.noun.capitalize()}NotFound",
            f"A {self.noun} with (name/id) {wanted} was not found in this key vault. If you recently deleted this "
            f"{self.noun} you may be able to recover it using the correct recovery command. For help resolving this "
            "issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
        )

    # Requests and answers --------------------------------------------------------------------------------------------

    async def admit(self, request: web.Request, action: str) -> str:
        """The object's name, once the caller is found to have the data action on it."""
        name = request.match_info["name"]
        if not _NAME.fullmatch(name):
            raise AzureError(400, "BadParameter", f"The request URI contains an invalid name: {name}")
        await self._authorize(request, f"/{self.plural}/{name}", action)
        return name

    async def body(self, request: web.Request, model: type[AnyPart]) -> AnyPart:
        """The request's body; 400 BadParameter if it does not fit the model."""
        try:
            return model.model_validate_json(await request.read() or b"{}")
        except ValidationError as invalid:
            raise bad_parameter(invalid) from None

    def url(self, *path: str) -> str:
        """A URL in the vault, e.g. `url("keys", "ui", version)`."""
        return self.vault.uri + "/".join(path)

    def attributes(self, version: Version, *, enabled: bool | None = None) -> Answer:
        return present(
            enabled=version.enabled if enabled is None else enabled,
            nbf=version.nbf,
            exp=version.exp,
            created=version.created,
            updated=version.updated,
            recoveryLevel=self.vault.recovery_level,
            recoverableDays=self.vault.soft_delete_days,
        )

    def page(self, request: web.Request, items: dict[str, Answer]) -> web.Response:
        """One page of items, in the order of their keys, which says nothing about their age."""
        try:
            most = int(request.query.get("maxresults", _MOST_RESULTS))
            after = from_base64url(request.query.get("$skiptoken", "")).decode()
        except ValueError:
            most, after = 0, ""
        if not 1 <= most <= _MOST_RESULTS:
            raise AzureError(
                400,
                "BadParameter",
                f"maxresults must be between 1 and {_MOST_RESULTS}, and $skiptoken be one that was given.",
            )
        keys = sorted(key for key in items if key > after)
        following = None
        if len(keys) > most:
            token = base64url(keys[most - 1].encode())
            following = str(URL(self.vault.uri).join(request.rel_url.update_query({"$skiptoken": token})))
        return web.json_response({"value": [items[key] for key in keys[:most]], "nextLink": following})

    def deleted_answer(self, named: AnyNamed) -> Answer:
        assert named.deletion is not None
        return {
            "recoveryId": self.url(f"deleted{self.plural}", named.name),
            "deletedDate": named.deletion.deleted_date,
            "scheduledPurgeDate": named.deletion.scheduled_purge_date,
        }

    async def _authorize(self, request: web.Request, path: str, action: str) -> None:
        await self.context.authorize_data(request, self.vault, path, f"Microsoft.KeyVault/vaults/{action}")

    # Handlers --------------------------------------------------------------------------------------------------------

    async def list_all(self, request: web.Request) -> web.Response:
        await self._authorize(request, f"/{self.plural}", self.reads)
        managed = map(self.of_certificate, self.certificates.all())
        return self.page(request, self._items([*managed, *self.shelf.all()], request))

    async def list_deleted(self, request: web.Request) -> web.Response:
        await self._authorize(request, f"/{self.plural}", self.reads)
        managed = map(self.of_certificate, self.certificates.all_deleted())
        return self.page(request, self._items([*managed, *self.shelf.all_deleted()], request))

    def _items(self, found: Iterable[AnyNamed | None], request: web.Request) -> dict[str, Answer]:
        return {
            named.name.lower(): {
                self.id_in_lists: self.url(self.plural, named.name),
                **self.item(named, named.current),
                **(self.deleted_answer(named) if named.deletion else {}),
            }
            for named in found
            if named is not None and self.is_listed(named, request)
        }

    async def list_versions(self, request: web.Request) -> web.Response:
        name = await self.admit(request, self.reads)
        named = self.get(name)
        items = {
            version.version: {
                self.id_in_lists: self.url(self.plural, named.name, version.version),
                **self.item(named, version),
            }
            for version in self.listed_versions(named)
        }
        return self.page(request, items)

    async def delete(self, request: web.Request) -> web.Response:
        name = await self.admit(request, f"{self.plural}/delete")
        named = self.get(name)
        assumptions.refuse_managed(self.noun, named.managed, "delete")
        deleted = self.shelf.delete(named)
        return web.json_response(self.deleted_answer(deleted) | self.described(deleted))

    async def get_deleted(self, request: web.Request) -> web.Response:
        name = await self.admit(request, self.reads)
        deleted = self._get_deleted(name)
        return web.json_response(self.deleted_answer(deleted) | self.described(deleted))

    async def recover(self, request: web.Request) -> web.Response:
        name = await self.admit(request, f"{self.plural}/recover/action")
        deleted = self._get_deleted(name)
        assumptions.refuse_managed(self.noun, deleted.managed, "recover")
        return web.json_response(self.described(self.shelf.recover(deleted)))

    async def purge(self, request: web.Request) -> web.Response:
        name = await self.admit(request, f"{self.plural}/purge/action")
        deleted = self._get_deleted(name)
        assumptions.refuse_managed(self.noun, deleted.managed, "purge")
        if self.vault.purge_protection:
            raise AzureError(
                403,
                "Forbidden",
                'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault '
                "service will automatically purge it after the retention period has passed. "
                f"Vault: {self.vault.name};location={self.vault.location}",
            )
        self.shelf.purge(deleted)
        return web.Response(status=204)

    def _get_deleted(self, name: str) -> AnyNamed:
        deleted = self.find_deleted(name)
        if deleted is None:
            noun = self.noun.capitalize()
            raise AzureError(404, f"{noun}NotFound", f"Deleted {noun} not found: {name}")
        return deleted

    async def back_up(self, request: web.Request) -> web.Response:
        name = await self.admit(request, f"{self.plural}/backup/action")
        blob = self._backup_cipher().encrypt(self.get(name).model_dump_json().encode())
        return web.json_response({"value": base64url(blob)})

    async def restore(self, request: web.Request) -> web.Response:
        await self._authorize(request, f"/{self.plural}", f"{self.plural}/restore/action")
        blob = (await self.body(request, _Backup)).value
        try:
            named: AnyNamed = self.model.model_validate_json(self._backup_cipher().decrypt(from_base64url(blob)))
        except (InvalidToken, ValueError):
            raise AzureError(400, "BadParameter", f"Backup blob contains no {self.noun} of this local Azure.") from None
        self.require_free(named.name, "restore")
        if self.shelf.find(named.name) is not None:
            raise AzureError(409, "Conflict", f"A {self.noun} named {named.name} exists, nothing was restored.")
        restored = named.model_copy(update={"managed": False})
        self.shelf.put(restored)
        return web.json_response(self.described(restored))

    def _backup_cipher(self) -> Fernet:
        """Blobs can be read by this local Azure alone, in any of its vaults."""
        kept = self.context.store.get(_BACKUP_KEYS, "fernet")
        if kept is None:
            kept = {"key": Fernet.generate_key().decode()}
            self.context.store.put(_BACKUP_KEYS, "fernet", kept)
        return Fernet(kept["key"])


def present(**members: Any) -> Answer:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
