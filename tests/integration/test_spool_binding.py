"""A database belongs to one spool; every host that starts proves that it sees it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.app import preflight
from gateway.app.preflight import check_file_systems
from gateway.config import parse_settings
from gateway.errors import NetworkFileSystemError, SpoolMissingError, SpoolNotSharedError
from gateway.store.database import Database
from gateway.store.file_systems import Mount
from gateway.store.spool import Spool
from gateway.store.spool_binding import bind, bound_identity
from tests.integration.bench import Bench


def test_second_host_with_the_same_spool_starts_and_with_another_does_not(database: Database, tmp_path: Path) -> None:
    first, mount = tmp_path / "first", tmp_path / "mount"
    bind(Spool(first), database)
    mount.symlink_to(first)
    bind(Spool(mount), database)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "strnet-gateway-spool").write_text("a" * 32)
    with pytest.raises(SpoolNotSharedError):
        bind(Spool(tmp_path / "other"), database)
    assert len(list((tmp_path / "other").iterdir())) == 1
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


def test_sqlite_on_a_network_file_system_is_refused_even_when_vouched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "mount_under", lambda path: Mount(point=path, file_system="nfs4"))
    folders = {"serve": {"development": True}, "spool": {"folder": str(tmp_path), "vouched_file_system": "nfs4"}}
    check_file_systems(parse_settings({**folders, "database": {"url": "postgresql+psycopg://host/name"}}))
    on_the_network = {"url": f"sqlite:///{tmp_path / 'store.db'}", "vouched_file_system": "nfs4"}
    with pytest.raises(NetworkFileSystemError, match="nfs4"):
        check_file_systems(parse_settings({**folders, "database": on_the_network}))
