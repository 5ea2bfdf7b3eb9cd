"""`strnet-gateway check` of a gateway whose port speaks TLS only and whose archive is reached by STOW-RS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.serving import Serving, write_config
from tests.peers.authority import Authority
from tests.peers.orthanc_web import PASSWORD, USER, WebOrthanc
from tests.peers.postgresql import free_port


@pytest.fixture
def archive() -> Iterator[WebOrthanc]:
    found = WebOrthanc()
    found.start()
    yield found
    found.stop()


def test_phantom_comes_in_by_tls_and_goes_out_by_stow_rs_and_is_rejected_again(
    tmp_path: Path, demonstration_bundle: Path, archive: WebOrthanc
) -> None:
    gateway = Serving(secured(tmp_path, demonstration_bundle, archive)).start()
    try:
        command = [sys.executable, "-m", "gateway.cli.main", "check", "--json", "--config", str(gateway.config), "--timeout", "60"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    finally:
        gateway.stop()
    lines = json.loads(done.stdout)
    assert [line for line in lines if line["standing"] == "bad"] == []
    assert done.returncode == 0
    steps = [line["step"] for line in lines if line["standing"] == "good"]
    assert steps[-7:] == ["received", "analysed", "reported", "delivered", "found", "found", "rejected again"]
    assert sorted(one["Modality"] for one in archive.instances().values()) == ["KO", "OT", "OT", "SR"]


def secured(folder: Path, bundle: Path, archive: WebOrthanc) -> Path:
    authority = Authority(folder / "certificates")
    own = authority.issue("gateway", dns="gateway.example.org")
    secret = folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    secret.chmod(0o600)
    extra = f"""
[tls]
required = true
certificate = "{own.certificate}"
key = "{own.key}"
authorities = "{authority.file}"
[[peers]]
name = "check"
ae_title = "STRNET_CHECK"
addresses = ["127.0.0.1"]
certificates = ["dns:gateway.example.org"]
routes = ["all"]
[[destinations]]
name = "web"
protocol = "stow_rs"
url = "{archive.url}"
user = "{USER}"
password_file = "{secret}"
class = "test"
commitment = "find"
"""
    config = write_config(folder, bundle=bundle, extra=extra)
    text = config.read_text().replace("port = 0", f"port = {free_port()}", 1).replace("destinations = []", 'destinations = ["web"]', 1)
    config.write_text(text)
    return config
