"""What may lie in a bundle's folder: exactly the declared files, none of them a link, none of them a pickle in disguise."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from strnet_core.bundle.durable_file import PART
from strnet_core.bundle.golden import GOLDEN_FILE
from strnet_core.errors import BundleFolderError, BundleMissingError, PickleInBundleError

DOCUMENT_FILE = "bundle.json"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.md"
FILES = (DOCUMENT_FILE, WEIGHTS_FILE, CARD_FILE, GOLDEN_FILE)

_FOLDERS = frozenset(str(Path(name).parent) for name in FILES) - {"."}
_PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".bin", ".mar", ".dill"})
_MAGIC = (
    b"PK\x03\x04",  # zip: what torch.save and np.savez write
    b"PK\x05\x06",
    b"\x93NUMPY",
    b"\x1f\x8b",  # gzip, bzip2, xz, zstandard: joblib and others pickle through them
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    *(bytes((0x80, protocol)) for protocol in range(1, 6)),
)
_MAGIC_LENGTH = 16


def check_folder(folder: Path) -> None:
    """Raises PickleInBundleError, BundleFolderError for links and undeclared entries, BundleMissingError where a file is missing."""
    found = set()
    for path, name in _walk(folder, folder):
        if path.suffix.lower() in _PICKLE_SUFFIXES or is_pickle(_head(path, name)):
            raise PickleInBundleError(name)
        if name not in FILES:
            raise BundleFolderError(f"{name} is not declared")
        found.add(name)
    for name in FILES:
        if name not in found:
            raise BundleMissingError(name)


def check_free(folder: Path) -> None:
    """Raises BundleFolderError where the folder holds what no cut write of a bundle leaves."""
    if not folder.exists():
        return
    allowed = {*FILES, *(name + PART for name in FILES)}
    for _path, name in _walk(folder, folder):
        if name not in allowed:
            raise BundleFolderError(f"{name} is in the way")


def is_pickle(head: bytes) -> bool:
    """Whether the first 16 bytes are those of a pickle or of an archive that may hold one.

    A safetensors file begins with the length of its header (8 bytes, little endian), which may look like a pickle's first two
    bytes, and then has the header's brace.
    """
    looks_like_safetensors = head[6:9] == b"\x00\x00{"
    return head.startswith(_MAGIC) and not looks_like_safetensors


def _walk(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Regular files below a folder with their names relative to the root, in order; nothing is followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise BundleMissingError(str(folder.relative_to(root)) if folder != root else "the folder") from error
    for entry in entries:
        path = Path(entry.path)
        name = path.relative_to(root).as_posix()
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise BundleFolderError(f"{name} is a link")
        if stat.S_ISDIR(mode) and name in _FOLDERS:
            yield from _walk(path, root)
        elif stat.S_ISREG(mode):
            yield path, name
        else:
            raise BundleFolderError(f"{name} is not declared")


def _head(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAGIC_LENGTH)
    except OSError as error:
        raise BundleMissingError(name) from error
