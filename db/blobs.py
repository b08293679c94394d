"""The bytes of uploads: in a folder, or in any object store that `obstore` knows (S3, Google Cloud, Azure)."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from uuid import UUID, uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from tertulia.storage import is_storage_full

CHUNK = 256 * 1024
"""Bytes that are read at a time."""

STORE_ERRORS = (BaseError, OSError)
"""What a store that cannot be reached, or that has lost something, raises."""


class Blobs:
    """Keeps bytes under ids. Whoever names an id here has found it in the database, through its owner."""

    def __init__(self, place: str) -> None:
        """Take a folder, which is made, or a store's URL, such as `s3://bucket/prefix`; ValueError for another."""
        self._is_full = False
        try:
            self._store: ObjectStore = from_url(place) if "://" in place else LocalStore(Path(place), mkdir=True)
        except STORE_ERRORS as error:
            raise ValueError(str(error).partition("\n")[0]) from error

    async def check(self) -> None:
        """Write something and remove it; raises one of STORE_ERRORS where that fails."""
        name = f"check-{uuid4().hex}"
        await obstore.put_async(self._store, name, b"tertulia")
        await obstore.delete_async(self._store, name)

    async def check_storage(self) -> None:
        """Raise one of STORE_ERRORS where nothing can be kept. Only after that has happened is it tried here."""
        if self._is_full:
            probe = uuid4()
            await self.put(probe, bytes(CHUNK))
            await self.delete([probe])

    async def put(self, blob_id: UUID, file: Path | bytes) -> None:
        """Keep a file's bytes; all of them or none are there afterwards."""
        try:
            await obstore.put_async(self._store, _path(blob_id), file)
        except STORE_ERRORS as error:
            self._is_full = self._is_full or is_storage_full(error)
            raise
        self._is_full = False

    async def get(self, blob_id: UUID) -> bytes:
        """Give all bytes; raises FileNotFoundError where there are none."""
        found = await obstore.get_async(self._store, _path(blob_id))
        return bytes(await found.bytes_async())

    async def read(self, blob_id: UUID) -> AsyncIterator[bytes]:
        """Give the bytes piece by piece; raises FileNotFoundError before the first where there are none."""
        found = await obstore.get_async(self._store, _path(blob_id))

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in found.stream(min_chunk_size=CHUNK):
                yield bytes(piece)

        return pieces()

    async def delete(self, blob_ids: Iterable[UUID]) -> None:
        """Keep them no longer; those that are not there are no error."""
        for blob_id in blob_ids:
            try:
                await obstore.delete_async(self._store, _path(blob_id))
            except FileNotFoundError:
                continue


def _path(blob_id: UUID) -> str:
    # By its end, because its beginning is a time: no folder holds them all.
    return f"{blob_id.hex[-2:]}/{blob_id.hex}"
