"""Directories that change whole: a reader sees all files of one generation, or all of the next.

A consumer's directory is a real one, so that a bind mount of it sees changes. Its entries are symlinks through
`..data` into a generation, `..<stamp>/`, and one rename of `..data` exchanges everything, as Kubernetes has it. Who
needs several files of one generation (a certificate and its key) opens them below one resolved `..data`.

Each step goes through the descriptor of a directory that was opened without following a symlink, so nothing that is
planted below the deploy directory leads a key elsewhere. A killed run leaves only generations that nothing points to,
and missing or spare links; the next run clears and mends them. Callers keep other writers out (`locked`).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from deploy.problem import DeployError

Files = Mapping[str, bytes]

LOCK_WAIT_SECONDS = 900.0

_DATA, _NEXT_DATA = "..data", "..data.next"
_GENERATION = re.compile(r"\.\.[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")
_DIRECTORY_MODE, _FILE_MODE = 0o700, 0o600
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_OPEN_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW


@contextmanager
def locked(base: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Keep other writers of `base` out; `waiting` is called once if there is one.

    The lock lies beside `base`, whose parent is made if need be. Raises DeployError after LOCK_WAIT_SECONDS.
    """
    path = base.parent / f".{base.name}.lock"
    with _explained(base.parent):
        os.close(_descend(base.parent, (), create=True))
        lock = FileLock(path, mode=_FILE_MODE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            try:
                lock.acquire(timeout=LOCK_WAIT_SECONDS)
            except Timeout:
                raise DeployError(
                    f"Another `deploy write` has held {path} for {LOCK_WAIT_SECONDS:.0f} s. Nothing was written. End "
                    f"it, or wait for it; the lock goes with its process."
                ) from None
    try:
        yield
    finally:
        lock.release()


def write(base: Path, contents: Mapping[str, Files]) -> set[str]:
    """Make the directory `base`/<name> hold exactly these files, for each name; return the names that changed.

    All files of all names are on disk before the first directory changes, so a full disk changes nothing. A directory
    that is right already is left alone. Raises DeployError if a directory cannot be written, or is not safe to.
    """
    with _explained(base), ExitStack() as swept:
        for name, files in contents.items():
            with _opened(base, name, create=True) as directory:
                directory.refuse_strangers(files)
        staged: dict[str, str | None] = {}
        for name, files in contents.items():
            with _opened(base, name) as directory:
                swept.callback(_sweep, base, name)
                staged[name] = directory.stage(files)
        changed = set()
        for name, generation in staged.items():
            with _opened(base, name) as directory:
                if generation:
                    directory.swap(generation)
                if directory.link(contents[name]) or generation:
                    changed.add(name)
        return changed


def read(base: Path, name: str) -> Files | None:
    """Return the files of `base`/<name>, all of one generation; None if nothing is written there."""
    with _explained(base, "read"):
        try:
            with _opened(base, name) as directory:
                return directory.files()
        except FileNotFoundError:
            return None


def names(base: Path, folder: str) -> list[str]:
    """Return for which names something is written to `base`/`folder`/<name>."""
    with _explained(base, "read"):
        try:
            descriptor = _descend(base, (folder,))
        except FileNotFoundError:
            return []
        try:
            found = [entry.name for entry in os.scandir(descriptor) if entry.is_dir(follow_symlinks=False)]
        finally:
            os.close(descriptor)
    return sorted(name for name in found if read(base, f"{folder}/{name}"))


def prune(base: Path, folder: str, keep: Collection[str]) -> set[str]:
    """Remove what was written to `base`/`folder`/<name> for each name not in `keep`; return the removed names.

    A directory in which there is something else besides is emptied of what was written, and stays.
    """
    with _explained(base):
        try:
            descriptor = _descend(base, (folder,))
        except FileNotFoundError:
            return set()
        try:
            names = {
                entry.name
                for entry in os.scandir(descriptor)
                if entry.is_dir(follow_symlinks=False) and entry.name not in keep
            }
            removed = set()
            for name in names:
                with _opened(base, f"{folder}/{name}") as directory:
                    directory.clear()
                with suppress(OSError):
                    os.rmdir(name, dir_fd=descriptor)
                    removed.add(name)
            os.fsync(descriptor)
            return removed
        finally:
            os.close(descriptor)


class _Directory:
    """An open directory of one consumer."""

    def __init__(self, where: Path, descriptor: int) -> None:
        self._where = where
        self._descriptor = descriptor

    def files(self) -> Files | None:
        generation = self._current()
        if generation is None:
            return None
        return {path: content for path, content in _tree(self._descriptor, generation) if content is not None}

    def refuse_strangers(self, files: Files) -> None:
        """Raise DeployError if something that was not written here has a name that is needed."""
        existing = os.listdir(self._descriptor)
        strangers = {name for name in _first_steps(files) & set(existing) if name not in self._links()}
        if _DATA in existing and not _GENERATION.fullmatch(self._target(_DATA) or ""):
            strangers.add(_DATA)
        if strangers:
            listed = " and ".join(str(self._where / name) for name in sorted(strangers))
            raise DeployError(
                f"{listed}: not made by `deploy write`, and in its way. Nothing was written, lest a key end up where "
                f"it does not belong. Find out who put it there, then remove it."
            )

    def stage(self, files: Files) -> str | None:
        """Write a new generation that nothing points to yet, and return its name; None if the current one is right."""
        current = self._current()
        if current and dict(_tree(self._descriptor, current)) == files:
            return None
        generation = f"..{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        _fill(self._descriptor, generation, files)
        os.fsync(self._descriptor)
        return generation

    def swap(self, generation: str) -> None:
        """Point `..data` at `generation`: the one step that readers see."""
        with suppress(FileNotFoundError):
            os.unlink(_NEXT_DATA, dir_fd=self._descriptor)
        os.symlink(generation, _NEXT_DATA, dir_fd=self._descriptor)
        os.rename(_NEXT_DATA, _DATA, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        os.fsync(self._descriptor)

    def link(self, files: Files) -> bool:
        """Have one link for each first step of the files' paths, and no other; tell whether that changed anything."""
        wanted, existing = _first_steps(files), self._links()
        for name in wanted - existing:
            os.symlink(f"{_DATA}/{name}", name, dir_fd=self._descriptor)
        for name in existing - wanted:
            os.unlink(name, dir_fd=self._descriptor)
        return wanted != existing

    def sweep(self) -> None:
        """Remove every generation but the current one, and what a killed swap left."""
        current = self._current()
        for name in os.listdir(self._descriptor):
            if name == _NEXT_DATA and self._target(name) is not None:
                os.unlink(name, dir_fd=self._descriptor)
            elif _GENERATION.fullmatch(name) and name != current:
                shutil.rmtree(name, dir_fd=self._descriptor)
        os.fsync(self._descriptor)

    def clear(self) -> None:
        """Remove all that was ever written here; `..data` first, so that nobody reads what is going."""
        if self._current():
            os.unlink(_DATA, dir_fd=self._descriptor)
        self.link({})
        self.sweep()

    def _current(self) -> str | None:
        target = self._target(_DATA)
        found = target and _GENERATION.fullmatch(target) and target in os.listdir(self._descriptor)
        return target if found else None

    def _links(self) -> set[str]:
        return {name for name in os.listdir(self._descriptor) if self._target(name) == f"{_DATA}/{name}"}

    def _target(self, name: str) -> str | None:
        with suppress(OSError):
            return os.readlink(name, dir_fd=self._descriptor)
        return None


@contextmanager
def _opened(base: Path, name: str, *, create: bool = False) -> Iterator[_Directory]:
    descriptor = _descend(base, PurePosixPath(name).parts, create=create)
    try:
        yield _Directory(base / name, descriptor)
    finally:
        os.close(descriptor)


def _sweep(base: Path, name: str) -> None:
    with _opened(base, name) as directory:
        directory.sweep()


def _descend(base: Path, steps: tuple[str, ...], *, create: bool = False) -> int:
    """Return a descriptor of `base`/`steps`, having followed no symlink from the parent of `base` on.

    From `base` on directories must be this user's, and with `create` they are made, and closed to everybody else.
    """
    where = base.parent
    descriptor = _open_directory(where, where, None, create=create)
    for step in (base.name, *steps):
        where /= step
        above = descriptor
        try:
            descriptor = _open_directory(where, step, above, create=create)
        finally:
            os.close(above)
    return descriptor


def _open_directory(where: Path, name: str | Path, above: int | None, *, create: bool) -> int:
    made = False
    if create:
        with suppress(FileExistsError):
            os.mkdir(name, _DIRECTORY_MODE, dir_fd=above)
            made = True
            if above is not None:
                os.fsync(above)
    try:
        descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=above)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise DeployError(
                f"{where} is a symlink or no directory. Nothing was written, lest a key end up where it does not "
                f"belong. Remove it, or name another place with --directory."
            ) from None
        raise
    status = os.fstat(descriptor)
    if above is not None and status.st_uid != os.geteuid():
        os.close(descriptor)
        raise DeployError(
            f"{where} belongs to another user, who could read what is in it. Nothing was written. Take it over "
            f"(chown), or name another place with --directory."
        )
    if (made or (create and above is not None)) and stat.S_IMODE(status.st_mode) != _DIRECTORY_MODE:
        os.fchmod(descriptor, _DIRECTORY_MODE)
    return descriptor


def _fill(above: int, name: str, files: Files) -> None:
    os.mkdir(name, _DIRECTORY_MODE, dir_fd=above)
    descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=above)
    try:
        os.fchmod(descriptor, _DIRECTORY_MODE)
        folders: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        for path, content in files.items():
            first, _, rest = path.partition("/")
            if rest:
                folders[first][rest] = content
            else:
                _write_file(descriptor, first, content)
        for folder, inside in folders.items():
            _fill(descriptor, folder, inside)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_file(above: int, name: str, content: bytes) -> None:
    with open(os.open(name, _OPEN_NEW_FILE, _FILE_MODE, dir_fd=above), "wb") as file:
        os.fchmod(file.fileno(), _FILE_MODE)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _tree(above: int, name: str, path: str = "") -> Iterator[tuple[str, bytes | None]]:
    """Yield the path and content of each file below a directory; None for what is not as `_fill` makes it."""
    descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=above)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != _DIRECTORY_MODE:
            yield path or ".", None
        for entry in sorted(os.listdir(descriptor)):
            mode = os.stat(entry, dir_fd=descriptor, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _tree(descriptor, entry, f"{path}{entry}/")
            elif mode == stat.S_IFREG | _FILE_MODE:
                with open(os.open(entry, _OPEN_FILE, dir_fd=descriptor), "rb") as file:
                    yield f"{path}{entry}", file.read()
            else:
                yield f"{path}{entry}", None
    finally:
        os.close(descriptor)


def _first_steps(files: Files) -> set[str]:
    """Return the entries that a directory with these files has. Raises ValueError for a path that leads elsewhere."""
    for path in files:
        if any(step in ("", ".", "..") for step in path.split("/")) or path.startswith(".."):
            raise ValueError(f"{path!r} is not a path below a consumer's directory")
    return {path.partition("/")[0] for path in files}


@contextmanager
def _explained(base: Path, what: str = "written") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DeployError(
            f"{base} cannot be {what} ({error.strerror}: {error.filename}). What was there is still there, and whole. "
            f"Mend that, then run the same command again."
        ) from error
