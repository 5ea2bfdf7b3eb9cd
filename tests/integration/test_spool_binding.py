"""A database belongs to one spool; every host that starts proves that it sees it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.app.preflight import check_database_file_system
from gateway.errors import NetworkFileSystemError, SpoolMissingError, SpoolNotSharedError
from gateway.store import network_mounts
from gateway.store.database import Database
from gateway.store.spool import Spool
from gateway.store.spool_binding import bind, bound_identity
from tests.integration.bench import Bench


def test_second_host_with_the_same_spool_starts_and_with_another_does_not(database: Database, tmp_path: Path) -> None:
    first, mount = tmp_path / "first", tmp_path / "mount"
    bind(Spool(first), database)
    mount.symlink_to(first)
    bind(Spool(mount), database)
    other = Spool(tmp_path / "other")
    other.prepare()
    with pytest.raises(SpoolNotSharedError):
        bind(other, database)
    assert bound_identity(database) == Spool(first).identity() == Spool(mount).identity()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_folder_that_is_no_spool_is_refused_also_while_there_is_no_instance(database: Database, tmp_path: Path) -> None:
    bind(Spool(tmp_path / "first"), database)
    with pytest.raises(SpoolNotSharedError):
        bind(Spool(tmp_path / "not-mounted"), database)
    assert not (tmp_path / "not-mounted").exists()


def test_spool_that_is_gone_is_refused_once_the_database_knows_instances(bench: Callable[..., Bench], tmp_path: Path) -> None:
    here = bench("all")
    bind(here.spool, here.database)
    here.receive(1)
    shutil.rmtree(tmp_path / "spool")
    with pytest.raises(SpoolMissingError):
        bind(Spool(tmp_path / "spool"), here.database)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_empty_store_of_one_machine_takes_a_new_spool(database: Database, tmp_path: Path) -> None:
    bind(Spool(tmp_path / "spool"), database)
    shutil.rmtree(tmp_path / "spool")
    bind(Spool(tmp_path / "spool"), database)
    assert bound_identity(database) == Spool(tmp_path / "spool").identity()


def test_marker_of_an_older_release_gets_an_identity(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    assert spool.identity() == ""
    bind(spool, database)
    assert spool.identity() == bound_identity(database) != ""


def test_hosts_that_start_at_once_on_a_new_spool_agree(database: Database, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: bind(Spool(tmp_path / "spool"), database), range(6)))
    assert bound_identity(database) == Spool(tmp_path / "spool").identity()
    assert [path.name for path in (tmp_path / "spool").glob("strnet*")] == ["strnet-gateway-spool"]


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/shared rw shared:2 - nfs4 server:/spool rw
31 30 8:2 / /mnt/shared/local rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/with\\040space rw - cifs //server/share rw
33 22 0:42 / /srv rw - ext4 /dev/sdc1 rw
34 33 0:43 / /srv rw - nfs server:/srv rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/mnt/shared/a/b", "nfs4"),
        ("/mnt/shared/local/a", "xfs"),
        ("/mnt/sharedother", "ext4"),
        ("/mnt/with space/a", "cifs"),
        ("/srv/a", "nfs"),
    ],
)
def test_file_system_is_that_of_the_innermost_mount(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert network_mounts.file_system_of(Path(path), tmp_path / "mountinfo") == kind


def test_sqlite_on_a_network_file_system_is_refused_and_elsewhere_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_database_file_system(f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setattr("gateway.app.preflight.file_system_of", lambda _path: "nfs4")
    with pytest.raises(NetworkFileSystemError, match="nfs4"):
        check_database_file_system(f"sqlite:///{tmp_path / 'store.db'}")
    check_database_file_system("postgresql+psycopg://host/name")
