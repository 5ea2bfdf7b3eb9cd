from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import file_systems
from gateway.store.file_systems import UNKNOWN, mount_under, read_mounts

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
23 22 0:20 / /proc rw,nosuid shared:5 - proc proc rw
30 22 0:30 / /tmp rw,nosuid - tmpfs tmpfs rw,size=4k
31 22 0:31 / /srv/nas rw,relatime shared:7 master:2 - nfs4 nas:/export rw,vers=4.2,local_lock=none
32 22 0:32 / /srv/with\040space rw - xfs /dev/vdb rw
33 32 0:33 / /srv/with\040space/fast rw - ext4 /dev/vdc rw,nobarrier
34 22 0:34 / /var/lib/docker/merged rw - overlay overlay rw,lowerdir=a,upperdir=b,volatile
35 22 0:35 / /covered rw - xfs /dev/vdd rw
36 35 0:36 / /covered rw - tmpfs tmpfs rw
37 22 0:37 / /tmpfiles rw - btrfs /dev/vde rw
38 22 0:38 / /srv/zfs rw - zfs pool/spool rw
39 22 0:39 / /srv/share rw - cifs //nas/share rw
40 22 0:40 / /srv/remote rw - fuse.sshfs host:/ rw
"""


@pytest.mark.parametrize(
    ("path", "file_system", "keeps"),
    [
        ("/var/spool", "ext4", True),
        ("/tmp/spool", "tmpfs", False),
        ("/tmpfiles/spool", "btrfs", True),
        ("/srv/nas/spool", "nfs4", False),
        ("/srv/with space/spool", "xfs", True),
        ("/srv/with space/fast/spool", "ext4", False),
        ("/var/lib/docker/merged/spool", "overlay", False),
        ("/covered/spool", "tmpfs", False),
        ("/srv/zfs/spool", "zfs", True),
        ("/srv/share", "cifs", False),
        ("/srv/remote/a/b", "fuse.sshfs", False),
    ],
)
def test_mount_under_a_path_is_found_and_judged_by_type_and_options(
    path: str, file_system: str, keeps: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    monkeypatch.setattr(file_systems, "_MOUNTS", table)
    mount = mount_under(Path(path))
    assert (mount.file_system, mount.keeps_its_word) == (file_system, keeps)


def test_option_that_speaks_against_a_mount_is_named() -> None:
    mounts = read_mounts(MOUNTS)
    assert [mount.described for mount in mounts if "nobarrier" in mount.options] == ["ext4 on /srv/with space/fast with nobarrier"]


def test_where_the_kernel_does_not_tell_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(file_systems, "_MOUNTS", tmp_path / "nothing")
    mount = mount_under(tmp_path)
    assert (mount.file_system, mount.keeps_its_word) == (UNKNOWN, False)


def test_line_of_another_form_is_passed_over() -> None:
    assert read_mounts("nonsense\n1 2 3 - ext4\n\n") == ()
