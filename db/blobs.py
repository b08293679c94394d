"""Storage for the bytes of uploads: a folder, or an object store (S3, Google Cloud, Azure) with `obstore`."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID, uuid4
from weakref import finalize

from tertulia.storage import is_storage_full

CONVERTED = ".converted"
"""The suffix of the name of a blob's converted content. It is deleted with the blob, and can be created again."""
CHUNK = 256 * 1024
"""The number of bytes that are read at once."""


class StoreError(OSError):
    """An object store is unreachable or refused a request."""


class Store(Protocol):
    """A store of bytes by name."""

    async def put(self, name: str, data: Path | bytes) -> None:
        """Store bytes, or the content of a file, atomically."""
        ...

    async def get(self, name: str) -> bytes:
        """Return all bytes. Raise FileNotFoundError if the name does not exist."""
        ...

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Return an iterator over the bytes. Raise FileNotFoundError at once if the name does not exist."""
        ...

    async def delete(self, name: str) -> None:
        """Delete the bytes. Raise FileNotFoundError if the name does not exist."""
        ...


class Folder:
    """A store in a folder of this machine."""

    def __init__(self, path: Path) -> None:
        """Create the folder if it does not exist. Raise OSError if that fails."""
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    async def put(self, name: str, data: Path | bytes) -> None:
        """Write a temporary file, then rename it."""
        await asyncio.to_thread(self._put, self._path / name, data)

    async def get(self, name: str) -> bytes:
        """Return a file's bytes."""
        return await asyncio.to_thread((self._path / name).read_bytes)

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Return an iterator over a file's bytes. They can be read to the end even if the file is deleted meanwhile."""
        # In the thread, so that the file is also closed if this call is cancelled meanwhile.
        return await asyncio.to_thread(lambda: _OpenFile((self._path / name).open("rb")))

    async def delete(self, name: str) -> None:
        """Delete a file."""
        await asyncio.to_thread((self._path / name).unlink)

    @staticmethod
    def _put(path: Path, data: Path | bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_name(f"{path.name}#{uuid4().hex}")
        try:
            if isinstance(data, Path):
                shutil.copyfile(data, unfinished)
            else:
                unfinished.write_bytes(data)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


class _OpenFile:
    """The bytes of an open file, which is closed after the last one, or when nobody can read it any more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        # Before the file's own finalizer, which would report an unclosed file, even if both are collected together.
        finalize(self, file.close)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if piece := await asyncio.to_thread(self._file.read, CHUNK):
            return piece
        self._file.close()
        raise StopAsyncIteration


class ObjectStore:
    """An object store that `obstore` supports."""

    def __init__(self, url: str) -> None:
        """Create a client for a URL, without connecting. Raise StoreError if the URL is not supported."""
        from obstore.store import from_url

        with _as_store_error():
            self._store = from_url(url)

    async def put(self, name: str, data: Path | bytes) -> None:
        """Upload bytes or a file."""
        with _as_store_error():
            await self._store.put_async(name, data)

    async def get(self, name: str) -> bytes:
        """Download all bytes."""
        with _as_store_error():
            return bytes(await (await self._store.get_async(name)).bytes_async())

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """Return an iterator that downloads the bytes."""
        with _as_store_error():
            response = await self._store.get_async(name)

        async def pieces() -> AsyncIterator[bytes]:
            with _as_store_error():
                async for piece in response.stream(min_chunk_size=CHUNK):
                    yield bytes(piece)

        return pieces()

    async def delete(self, name: str) -> None:
        """Delete an object."""
        with _as_store_error():
            await self._store.delete_async(name)


class Blobs:
    """Stores bytes by id. There is no access check: callers read the id from a row of its owner in the database."""

    def __init__(self, location: str) -> None:
        """Open a store.

        Args:
            location: A folder, which is created, or the URL of an object store, such as `s3://bucket/prefix`.

        Raises:
            ValueError: The folder cannot be created, or the URL is not supported.
        """
        self._is_full = False
        try:
            self._store: Store = ObjectStore(location) if "://" in location else Folder(Path(location))
        except OSError as error:
            raise ValueError(str(error).partition("\n")[0]) from error

    async def check(self) -> None:
        """Write and delete a test object. Raise OSError if that fails."""
        name = f"check-{uuid4().hex}"
        await self._store.put(name, b"tertulia")
        await self._store.delete(name)

    async def check_storage(self) -> None:
        """Raise OSError if nothing can be stored. Writing is only tested after a write has found the store full."""
        if self._is_full:
            probe = uuid4()
            await self.put(probe, bytes(CHUNK))
            self._is_full = False
            await self.delete([probe])

    async def put(self, blob_id: UUID, file: Path | bytes, *, converted: bool = False) -> None:
        """Store bytes, or the content of a file, atomically.

        Args:
            blob_id: The blob.
            file: Its bytes, or the file with them.
            converted: Whether they are the converted content, which Claude receives instead of the blob.
        """
        try:
            await self._store.put(_name(blob_id, converted=converted), file)
        except OSError as error:
            self._is_full = self._is_full or is_storage_full(error)
            raise

    async def get(self, blob_id: UUID, *, converted: bool = False) -> bytes:
        """Return all bytes of a blob, or of its converted content. Raise FileNotFoundError if they do not exist."""
        return await self._store.get(_name(blob_id, converted=converted))

    async def read(self, blob_id: UUID) -> AsyncIterator[bytes]:
        """Return an iterator over the bytes. Raise FileNotFoundError at once if the blob does not exist."""
        return await self._store.read(_name(blob_id))

    async def delete(self, blob_ids: Iterable[UUID], *, converted: bool = False) -> None:
        """Delete blobs, or their converted contents. Those that do not exist are ignored."""
        for blob_id in blob_ids:
            with suppress(FileNotFoundError):
                await self._store.delete(_name(blob_id, converted=converted))


@contextmanager
def _as_store_error() -> Generator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise
    except BaseError as error:
        raise StoreError(str(error)) from error


def _name(blob_id: UUID, *, converted: bool = False) -> str:
    # The folder is named after the end of the id. The beginning is a time, so one folder would contain all files.
    return f"{blob_id.hex[-2:]}/{blob_id.hex}{CONVERTED if converted else ''}"
