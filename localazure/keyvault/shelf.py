"""Objects of one kind in one vault: the live ones, and the soft-deleted ones until their retention is over."""

from typing import Any, Generic, TypeVar

from localazure.context import Context
from localazure.keyvault.models import Deletion, Named
from localazure.vaults import Vault

_SECONDS_A_DAY = 86_400

AnyNamed = TypeVar("AnyNamed", bound=Named[Any])


class Shelf(Generic[AnyNamed]):
    """Names are compared without case. Every change is one transaction."""

    def __init__(self, context: Context, vault: Vault, collection: str, model: type[AnyNamed]) -> None:
        self._store = context.store
        self._clock = context.clock
        self._vault = vault
        self._model = model
        self._live = vault.kind(collection)
        self._deleted = vault.kind(f"deleted{collection}")

    def all(self) -> list[AnyNamed]:
        return [self._model.model_validate(document) for _, document in self._store.items(self._live)]

    def all_deleted(self) -> list[AnyNamed]:
        found = [self._model.model_validate(document) for _, document in self._store.items(self._deleted)]
        return [named for named in found if self._is_kept(named)]

    def find(self, name: str) -> AnyNamed | None:
        document = self._store.get(self._live, name.lower())
        return None if document is None else self._model.model_validate(document)

    def find_deleted(self, name: str) -> AnyNamed | None:
        document = self._store.get(self._deleted, name.lower())
        if document is None:
            return None
        named = self._model.model_validate(document)
        if self._is_kept(named):
            return named
        self.purge(named)
        return None

    def put(self, named: AnyNamed) -> None:
        self._store.put(self._live, named.name.lower(), named.model_dump(mode="json"))

    def delete(self, named: AnyNamed) -> AnyNamed:
        """Soft delete; the object as it is then."""
        now = int(self._clock())
        deletion = Deletion(deleted_date=now, scheduled_purge_date=now + self._vault.soft_delete_days * _SECONDS_A_DAY)
        deleted = named.model_copy(update={"deletion": deletion})
        self._move(deleted, self._live, self._deleted)
        return deleted

    def recover(self, named: AnyNamed) -> AnyNamed:
        recovered = named.model_copy(update={"deletion": None})
        self._move(recovered, self._deleted, self._live)
        return recovered

    def purge(self, named: AnyNamed) -> None:
        self._store.delete(self._deleted, named.name.lower())

    def _move(self, named: AnyNamed, source: str, target: str) -> None:
        with self._store.transaction():
            self._store.delete(source, named.name.lower())
            self._store.put(target, named.name.lower(), named.model_dump(mode="json"))

    def _is_kept(self, named: AnyNamed) -> bool:
        return named.deletion is not None and self._clock() < named.deletion.scheduled_purge_date
