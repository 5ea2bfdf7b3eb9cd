"""`serve` with TLS and metrics: a certificate is renewed and broken while it runs."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.serving import Serving, write_config
from tests.peers import dcmtk
from tests.peers.authority import Authority, Pair


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


@pytest.fixture
def modality(authority: Authority) -> Pair:
    return authority.issue("XRAY1")


@pytest.fixture
def config(tmp_path: Path, authority: Authority, modality: Pair, demonstration_bundle: Path) -> Path:
    ours = authority.issue("gateway")
    extra = f"""
[tls]
required = true
certificate = "{ours.certificate}"
key = "{ours.key}"
authorities = "{authority.file}"
[metrics]
port = {free_port()}
[[peers]]
name = "room1"
ae_title = "XRAY1"
certificates = ["sha256:{modality.sha256}"]
"""
    return write_config(tmp_path / "gateway", bundle=demonstration_bundle, extra=extra)


@pytest.fixture
def gateway(config: Path) -> Iterator[Serving]:
    dcmtk.need()
    serving = Serving(config, roles=("receiver",)).start()
    yield serving
    assert serving.stop() == 0


def figure(config: Path, name: str) -> float:
    from gateway.config import load_settings

    with urllib.request.urlopen(f"http://127.0.0.1:{load_settings(config).metrics.port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"strnet_gateway_{name} ")).split()[1])


def store(gateway: Serving, authority: Authority, modality: Pair, source: Path) -> str:
    options = ("+tls", str(modality.key), str(modality.certificate), "+cf", str(authority.file), "-to", "10")
    return dcmtk.storescu([source], port=gateway.port, options=options)


def test_certificate_is_renewed_and_broken_while_senders_go_on(
    gateway: Serving, authority: Authority, modality: Pair, config: Path, cases: Path
) -> None:
    source = cases / "d01_DX_knee_AP_L_12in16_mono2_utf8.dcm"
    assert "(Success)" in store(gateway, authority, modality, source)
    assert 0 < figure(config, "certificate_expiry_seconds") <= 7200
    authority.issue("gateway", valid_hours=20)
    gateway.wait_for(lambda: len(events(gateway, "tls:certificate_loaded")) > 1, 30, "the new certificate was not taken up")
    assert figure(config, "certificate_expiry_seconds") > 7200
    (authority.file.parent / "gateway-key.pem").write_text("broken")
    gateway.wait_for(lambda: "key_unreadable" in reasons(gateway), 30, "the broken key was not told")
    assert "(Success)" in store(gateway, authority, modality, source)
    (story,) = gateway.queries().explain(sop_instance_uid(source)).instances
    assert [(r.peer, r.certificate_sha256, r.dimse_status) for r in story.receipts] == [("room1", modality.sha256, "0000")] * 2


def events(gateway: Serving, name: str) -> list[object]:
    return [line for line in gateway.lines() if line["event"] == name]


def reasons(gateway: Serving) -> list[object]:
    return [line.get("reason") for line in gateway.lines() if line["event"] == "tls:certificate_kept"]


def sop_instance_uid(path: Path) -> str:
    from tests.peers.raw_scu import split

    return split(path)[1]


def test_start_with_a_key_that_does_not_fit_is_refused_with_the_remedy(config: Path, authority: Authority) -> None:
    authority.issue("other").key.replace(authority.file.parent / "gateway-key.pem")
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--role", "receiver", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 78
    assert "tls.key" in done.stderr
    assert "key_mismatch" in done.stderr
