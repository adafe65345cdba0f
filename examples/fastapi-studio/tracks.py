"""Tracks: their facts in SQLite, their audio in one file each. Who may have which, the gateway decides."""

import hashlib
import sqlite3
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import AsyncIterator

from starlette.concurrency import run_in_threadpool

import audio
from problem import Refused

# Bytes of one track; the gateway's own default.
LARGEST = 600 * 1024 * 1024
# Tracks of one account.
MOST = 1000

SCHEMA = """
CREATE TABLE IF NOT EXISTS track (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    format TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS track_of_owner ON track (owner, created_ms);
"""
COLUMNS = "id, title, format, size, sha256"


@dataclass(frozen=True)
class Track:
    """What people are told about a track. `size` in bytes, `sha256` in hexadecimal."""

    id: str
    title: str
    format: str
    size: int
    sha256: str


class Tracks:
    """All tracks, in one folder."""

    def __init__(self, folder: Path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        with self._database() as database:
            database.executescript(SCHEMA)
        # Uploads that were under way when the service ended.
        for left in folder.glob("*.part"):
            left.unlink(missing_ok=True)

    def _database(self):
        # One connection per use: SQLite's belong to one thread, and opening one is cheap.
        return closing(sqlite3.connect(self._folder / "tracks.db", timeout=5, isolation_level=None))

    def of(self, owner: str) -> list[Track]:
        """The tracks of an account, newest first."""
        query = f"SELECT {COLUMNS} FROM track WHERE owner = ? ORDER BY created_ms DESC, id LIMIT ?"
        with self._database() as database:
            return [Track(*row) for row in database.execute(query, (owner, MOST))]

    def one(self, track: str) -> Track:
        """A track. Who may have it, its owner and those it is shared with, the gateway has decided."""
        query = f"SELECT {COLUMNS} FROM track WHERE id = ?"
        with self._database() as database:
            row = database.execute(query, (track,)).fetchone()
        if row is None:
            raise Refused(404, "There is no such track.")
        return Track(*row)

    def path(self, track: Track) -> Path:
        """Where the audio of a track lies."""
        return self._folder / f"{track.id}.audio"

    async def receive(self, owner: str, title: str, body: AsyncIterator[bytes]) -> Track:
        """Stores a body as it arrives, a chunk in memory at a time. 413, 415 or 409 leave nothing behind."""
        name = str(uuid.uuid4())
        part = self._folder / f"{name}.part"
        try:
            track = await self._write(part, name, title, body)
            await run_in_threadpool(self._keep, owner, track, part)
            return track
        finally:
            part.unlink(missing_ok=True)

    async def _write(self, part: Path, name: str, title: str, body: AsyncIterator[bytes]) -> Track:
        digest, size, head = hashlib.sha256(), 0, b""
        with part.open("xb") as file:

            def take(chunk: bytes) -> None:
                digest.update(chunk)
                file.write(chunk)

            async for chunk in body:
                size += len(chunk)
                if size > LARGEST:
                    raise Refused(413, f"A track has at most {LARGEST} bytes.")
                if len(head) < audio.HEAD:
                    head += chunk[: audio.HEAD - len(head)]
                    # Half a gigabyte of something else need not be waited for.
                    if len(head) == audio.HEAD:
                        known(head)
                # Hashing and writing block, so they happen beside the event loop.
                await run_in_threadpool(take, chunk)
        return Track(name, title, known(head), size, digest.hexdigest())

    def _keep(self, owner: str, track: Track, part: Path) -> None:
        part.rename(self.path(track))
        values = (track.id, owner, track.title, track.format, track.size, track.sha256, time.time_ns() // 1_000_000)
        # Counted and written in one statement, so that uploads at the same time cannot slip past the limit together.
        add = (
            "INSERT INTO track (id, owner, title, format, size, sha256, created_ms) "
            "SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM track WHERE owner = ?) < ?"
        )
        kept = False
        try:
            with self._database() as database:
                kept = database.execute(add, (*values, owner, MOST)).rowcount == 1
        finally:
            if not kept:
                self.path(track).unlink(missing_ok=True)
        if not kept:
            raise Refused(409, f"You have {MOST} tracks already, which is all that fit.")


def known(head: bytes) -> str:
    """The format, or 415."""
    found = audio.sniff(head)
    if found is None:
        raise Refused(415, f"This is none of: {', '.join(audio.MEDIA_TYPES)}.")
    return found
