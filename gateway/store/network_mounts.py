"""What kind of file system a path lies on, from the kernel's own list of mounts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "lustre", "gpfs", "afs", "beegfs", "ocfs2", "gfs2", "fuse.sshfs", "fuse.glusterfs"}
)
"""Where several hosts can reach a file, and the locks that SQLite relies on between processes are not to be relied on."""
_MOUNTS: Final = Path("/proc/self/mountinfo")


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """The type of the innermost mount over the path; empty where the kernel does not tell. mounts: in the form of proc(5) mountinfo."""
    real = path.resolve()
    found = ""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    longest = -1
    for line in lines:
        left, _, right = line.partition(" - ")
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), left.split()[4]))
        # of two mounts at one place the later one hides the other
        if real.is_relative_to(point) and len(point.parts) >= longest:
            longest, found = len(point.parts), right.split()[0]
    return found
