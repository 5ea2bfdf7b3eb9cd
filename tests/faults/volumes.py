"""File systems that fail on demand: tmpfs with limits, and an ext4 image whose copy is what a power cut leaves. Need root."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.returncode, f"{command[0]}: {done.stderr.strip()}")


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory; options such as `size=20m,nr_inodes=900`."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", options, "strnet-fault", folder)
    try:
        yield folder
    finally:
        _run("umount", "--lazy", folder)


def remount(folder: Path, options: str) -> None:
    _run("mount", "-o", f"remount,{options}", folder)


def make_ext4(image: Path, megabytes: int) -> None:
    with image.open("wb") as file:
        file.truncate(megabytes * 2**20)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """commit=120: the journal is not written by time, only by those who ask for durability."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-o", "loop,commit=120", image, folder)
    try:
        yield folder
    finally:
        _run("umount", folder)


def copy_of(image: Path, copy: Path) -> Path:
    """What the disk had at this moment. The copy must be taken while nothing is being written."""
    _run("cp", "--sparse=always", image, copy)
    return copy


def fill(file: Path, *, leave_bytes: int = 0) -> None:
    """Takes the space of a file system but for so many bytes."""
    block = bytes(65536)
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(block)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        if leave_bytes:
            out.truncate(max(0, out.tell() - leave_bytes))


def take_inodes(folder: Path) -> int:
    """Makes empty files until there is no inode left; how many."""
    folder.mkdir()
    made = 0
    while True:
        try:
            (folder / str(made)).touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return made
        made += 1


def give_inodes_back(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
