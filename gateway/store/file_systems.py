"""What lies under the spool and the database: success may be promised only where fsync and rename keep what they say.

The kernel does not tell whether a file system honours fsync; it tells the type and the options of each mount (proc_pid_mountinfo(5)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KEEPS_ITS_WORD: Final = frozenset({"btrfs", "ext3", "ext4", "f2fs", "xfs", "zfs"})
"""Local, journalled or copy-on-write: fsync reaches the disk, of a file and of a folder, and a rename is there wholly or not at all."""
NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "lustre", "gpfs", "afs", "beegfs", "ocfs2", "gfs2", "fuse.sshfs", "fuse.glusterfs"}
)
"""Where several hosts can reach a file, and the locks that SQLite relies on between processes are not to be relied on."""
_NO_FLUSH: Final = frozenset({"nobarrier", "barrier=0", "volatile"})
"""Options by which fsync returns before the disk has flushed its cache; `volatile` is overlay's."""
_MOUNTS: Final = Path("/proc/self/mountinfo")
_LINE: Final = re.compile(r"\d+ \d+ \S+ \S+ (?P<point>\S+) (?P<options>\S+) (?:\S+ )*?- (?P<type>\S+) \S+ (?P<of_file_system>\S+)")
"""`36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`: fields before the hyphen vary in number."""
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """file_system: its type as the kernel calls it. options: of the mount and of the file system."""

    point: Path
    file_system: str
    options: frozenset[str] = frozenset()

    @property
    def keeps_its_word(self) -> bool:
        return self.file_system in KEEPS_ITS_WORD and not self.options & _NO_FLUSH

    @property
    def is_on_the_network(self) -> bool:
        return self.file_system in NETWORK

    @property
    def described(self) -> str:
        """For people: `tmpfs on /tmp`, with the option that speaks against it."""
        bad = sorted(self.options & _NO_FLUSH)
        return f"{self.file_system} on {self.point}" + (f" with {', '.join(bad)}" if bad else "")


def mount_under(path: Path) -> Mount:
    """Of a file or folder that need not be there yet. UNKNOWN as its type where the kernel does not tell."""
    try:
        mounts = read_mounts(_MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        mounts = ()
    return _under(path.resolve(), mounts)


def read_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """In the kernel's order: of two on one point, the later one covers the other."""
    return tuple(mount for line in mountinfo.splitlines() if (mount := _mount(line)) is not None)


def _mount(line: str) -> Mount | None:
    found = _LINE.match(line)
    if found is None:
        return None
    point = _OCTAL.sub(lambda escaped: chr(int(escaped[1], 8)), found["point"])
    options = frozenset(found["options"].split(",")) | frozenset(found["of_file_system"].split(","))
    return Mount(point=Path(point), file_system=found["type"], options=options)


def _under(path: Path, mounts: tuple[Mount, ...]) -> Mount:
    found = Mount(point=Path("/"), file_system=UNKNOWN)
    for mount in mounts:
        if path.is_relative_to(mount.point) and len(mount.point.parts) >= len(found.point.parts):
            found = mount
    return found
