"""Encrypted files against a real server, and against the program `canis` where that is in the PATH."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import canis_files
import pytest
from canis import CanisError, Client

CONTENT = bytes(i * 2654435761 >> 13 & 255 for i in range(200_000))


@pytest.fixture(scope="module")
def canis() -> Iterator[Client]:
    with Client.from_environment() as client:
        client.create_key("files/aes", "aes256-gcm")
        client.create_key("files/rsa", "rsa-2048")
        client.create_key("files/x25519", "x25519")
        yield client


def write(canis: Client, path: Path, keys: list[str], content: bytes) -> None:
    with canis_files.create(canis, path, keys) as file:
        file.write(content)


def read(canis: Client, path: Path, key: str | None = None) -> bytes:
    with canis_files.open(canis, path, key) as file:
        return file.read()


@pytest.mark.parametrize("length", [0, 1, 65535, 65536, 65537, 131072, 200_000])
def test_there_and_back(canis: Client, tmp_path: Path, length: int) -> None:
    path = tmp_path / "file.age"
    write(canis, path, ["files/aes", "files/rsa"], CONTENT[:length])
    for key in (None, "files/aes", "files/rsa"):
        assert read(canis, path, key) == CONTENT[:length]
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_program_reads_the_same(canis: Client, tmp_path: Path) -> None:
    ours, theirs, plain = tmp_path / "ours.age", tmp_path / "theirs.age", tmp_path / "plain"
    write(canis, ours, ["files/aes"], CONTENT)
    opened = subprocess.run(["canis", "file", "decrypt", str(ours)], capture_output=True, check=True)
    assert opened.stdout == CONTENT
    plain.write_bytes(CONTENT)
    for key in ("files/aes", "files/rsa", "files/x25519"):
        subprocess.run(["canis", "file", "encrypt", "--key", key, str(plain), str(theirs)], check=True)
        assert read(canis, theirs) == CONTENT
    canis.rotate_key("files/aes")
    told = subprocess.run(["canis", "file", "rewrap", str(ours)], capture_output=True, check=True)
    assert b"header" in told.stderr and read(canis, ours) == CONTENT


def test_what_was_changed_is_refused(canis: Client, tmp_path: Path) -> None:
    path, broken = tmp_path / "file.age", tmp_path / "broken"
    write(canis, path, ["files/aes"], CONTENT)
    good = path.read_bytes()
    start = good.index(b"--- ") + 48
    chunk = 65536 + 16
    changed = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in (30, 100, start - 5, start + 3, len(good) - 1)]
    cut = [good[:at] for at in (0, 10, start, start + 15, start + 16, start + 16 + chunk, len(good) - 1)]
    first, second = good[start + 16 :][:chunk], good[start + 16 + chunk :][:chunk]
    swapped = good[: start + 16] + second + first + good[start + 16 + 2 * chunk :]
    for content in [*changed, *cut, swapped, good + b"x"]:
        broken.write_bytes(content)
        with pytest.raises((ValueError, CanisError)):
            read(canis, broken)
    with pytest.raises(CanisError):
        write(canis, tmp_path / "absent.age", ["files/absent"], b"")
    with pytest.raises(ValueError, match="for somebody"):
        write(canis, tmp_path / "absent.age", [], b"")


def test_half_a_file_is_none(canis: Client, tmp_path: Path) -> None:
    path = tmp_path / "file.age"
    with pytest.raises(RuntimeError), canis_files.create(canis, path, ["files/aes"]) as file:
        file.write(CONTENT)
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    sink = io.BytesIO()
    writer = canis_files.Writer(canis, sink, ["files/aes"])
    writer.write(CONTENT)
    writer.close()
    reader = canis_files.Reader(canis, io.BytesIO(sink.getvalue()))
    with pytest.raises(ValueError):
        reader.readall()
