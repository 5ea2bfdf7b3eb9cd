"""A worker uses the live one of the configured bundles, and goes back to the former one when an operator says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from sqlalchemy import select
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.inference.analyzer import open_bundle
from gateway.store import schema
from gateway.store.bundles import Bundles
from gateway.store.database import Database
from gateway.store.tables import AuditEventRow
from gateway.store.versions import record_bundle
from tests.acceptance.serving import START_SECONDS, Serving, write_config
from tests.integration.test_bundles import ANNA, BEN, EVIDENCE


def research_bundle(made: Path, folder: Path, version: str) -> str:
    """The demonstration's network under another version and use: another bundle by its hash."""
    shutil.copytree(made, folder)
    document = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**document, "version": version, "intended_use": "research"}))
    return open_bundle(folder).identity.bundle_hash


def test_worker_starts_with_the_live_bundle_and_a_rollback_starts_it_anew_with_the_former(
    tmp_path: Path, demonstration_bundle: Path
) -> None:
    old, new = (research_bundle(demonstration_bundle, tmp_path / name, name) for name in ("old", "new"))
    config = write_config(tmp_path / "gateway", bundle=tmp_path / "old")
    config.write_text(config.read_text().replace("[model]\n", f'[model]\nother_bundles = ["{tmp_path / "new"}"]\n'))
    database = Database(f"sqlite:///{config.parent / 'store.db'}")
    schema.ensure(database)
    for bundle_hash in (old, new):
        record_bundle(database, bundle_hash=bundle_hash, weights_sha256="a" * 64, name="n", version="1", intended_use="research", actor="t")
        Bundles(database).promote(bundle_hash, ANNA, BEN, EVIDENCE)
    gateway = Serving(config, roles=("worker",)).start()
    try:
        assert [line["bundle_hash"] for line in gateway.lines() if line["event"] == "role:started"] == [new]
        rolled_back = CliRunner().invoke(app, ["model", "rollback", "--by", "anna", "--reason", "INC-31", "--config", str(config)])
        assert rolled_back.exit_code == 0, rolled_back.output

        def uses_the_old_one() -> bool:
            return [line["bundle_hash"] for line in gateway.lines() if line["event"] == "role:started"] == [new, old]

        gateway.wait_for(uses_the_old_one, START_SECONDS, "the worker did not change its bundle")
    finally:
        code = gateway.stop()
    assert code == 0
    assert [line for line in gateway.lines() if line["event"] == "role:died"] == []
    with database.reading() as session:
        assert session.scalars(select(AuditEventRow).where(AuditEventRow.event == "role:died")).all() == []
    database.close()
