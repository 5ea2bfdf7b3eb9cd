"""TLS at the receiver's port with DCMTK's storescu and openssl as senders: what the store and the audit hold of each."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.store.evidence import Evidence
from gateway.store.queries import Queries
from gateway.store.tables import AuditEventRow, InstanceRow
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import dx
from tests.peers import dcmtk
from tests.peers.authority import Authority, Pair

UID = "1.2.3.1"


@dataclass
class Site:
    authority: Authority
    xray1: Pair
    xray2: Pair
    receiver: Receiver
    file: Path

    def store(self, pair: Pair, *, calling: str = "XRAY1", profile: str = "+py") -> int:
        """Sends the instance; how many the receiver holds then."""
        tls = ("+tls", str(pair.key), str(pair.certificate), "+cf", str(self.authority.file), profile)
        options = (*tls, "-to", "10", "-ta", "10")
        dcmtk.storescu([self.file], port=self.receiver.port, calling=calling, options=options)
        return self.kept()

    def kept(self) -> int:
        with self.receiver.database.reading() as session:
            return session.scalar(select(func.count()).select_from(InstanceRow)) or 0

    def refusals(self) -> list[tuple[str, str, str | None]]:
        """(event, reason, audit code), once the receiver has told everything."""
        self.receiver.server.drain(10)
        return [(refusal.event, refusal.reason, refusal.audit_code) for refusal in Evidence(self.receiver.database).rejected()]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def site(receivers: Callable[..., Receiver], tmp_path: Path) -> Site:
    dcmtk.need()
    authority = Authority(tmp_path / "tls")
    ours = authority.issue("gateway", dns="localhost")
    xray1, xray2 = authority.issue("XRAY1"), authority.issue("XRAY2", dns="xray2.example.org")
    receiver = receivers(
        serve={"development": False},
        tls={"required": True, "certificate": str(ours.certificate), "key": str(ours.key), "authorities": str(authority.file)},
        peers=[
            {"name": "room1", "ae_title": "XRAY1", "certificates": [f"sha256:{xray1.sha256}"]},
            {"name": "room2", "ae_title": "XRAY2", "certificates": ["dns:xray2.example.org"]},
        ],
    )
    file = tmp_path / "one.dcm"
    file.write_bytes(part10(dx(UID)))
    return Site(authority, xray1, xray2, receiver, file)


def part10(content: bytes) -> bytes:
    from gateway.dicom.part10 import file_head
    from gateway.domain.attributes import InstanceIdentity

    identity = InstanceIdentity(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1", sop_instance_uid=UID, series_instance_uid="1.2.5", study_instance_uid="1.2.4"
    )
    return file_head(identity, "1.2.840.10008.1.2.1") + content


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
def test_sender_with_its_certificate_stores_and_is_on_record_with_it(site: Site, profile: str) -> None:
    assert site.store(site.xray1, profile=profile) == 1
    (receipt,) = Evidence(site.receiver.database).received(key=UID)
    assert (receipt.peer, receipt.certificate_sha256, receipt.dimse_status) == ("room1", site.xray1.sha256, "0000")
    assert receipt.tls_version in ("TLSv1.2", "TLSv1.3")
    (story,) = Queries(site.receiver.database).explain(UID).instances
    assert story.receipts == (receipt,)
    assert site.refusals() == []


def test_name_in_the_certificate_speaks_for_its_peer(site: Site) -> None:
    assert site.store(site.xray2, calling="XRAY2") == 1


def test_certificate_of_another_peer_is_rejected_and_names_itself_in_the_audit(site: Site) -> None:
    assert site.store(site.xray2, calling="XRAY1") == 0
    assert site.refusals() == [("association:rejected", "certificate_not_of_peer", "110113")]
    (refusal,) = Evidence(site.receiver.database).rejected()
    assert (refusal.calling_ae_title, refusal.certificate_sha256) == ("XRAY1", site.xray2.sha256)


def test_certificate_of_the_authority_that_no_peer_names_is_rejected(site: Site) -> None:
    assert site.store(site.authority.issue("NEW")) == 0
    assert site.refusals() == [("association:rejected", "certificate_not_of_peer", "110113")]


def test_stranger_with_a_good_certificate_is_rejected(site: Site) -> None:
    assert site.store(site.xray1, calling="STRANGER") == 0
    assert site.refusals() == [("association:rejected", "peer_not_listed", "110113")]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("other authority", "certificate_untrusted"), ("expired", "certificate_expired"), ("none", "no_certificate"), ("plain", "no_tls")],
)
def test_handshake_that_fails_is_a_security_alert_and_nothing_is_kept(site: Site, tmp_path: Path, kind: str, reason: str) -> None:
    if kind == "plain":
        dcmtk.storescu([site.file], port=site.receiver.port, options=("-to", "10", "-ta", "10"))
    elif kind == "none":
        openssl(site, "-tls1_2")
    else:
        pair = Authority(tmp_path / "other", "Other CA").issue("XRAY1") if kind == "other authority" else expired(site)
        site.store(pair)
    assert site.kept() == 0
    assert site.refusals() == [("tls:refused", reason, "110113")]


def expired(site: Site) -> Pair:
    return site.authority.issue("XRAY1", valid_hours=-1, file="expired")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_tls_1_1_is_refused(site: Site) -> None:
    openssl(site, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-cert", str(site.xray1.certificate), "-key", str(site.xray1.key))
    assert site.refusals() == [("tls:refused", "tls_version", "110113")]


def openssl(site: Site, *options: str) -> None:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.receiver.port}", *options]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)


def test_renewed_and_broken_certificates_meet_a_receiver_that_goes_on(site: Site) -> None:
    renewed = site.authority.issue("gateway", dns="localhost")
    assert site.store(site.xray1) == 1
    renewed.key.write_text("broken")
    site.receiver.server.take_up_certificates()
    assert site.store(site.xray1) == 1
    with site.receiver.database.reading() as session:
        rows = session.scalars(select(AuditEventRow).where(AuditEventRow.event.startswith("tls:")).order_by(AuditEventRow.seq)).all()
    told = [(row.event, row.detail.get("reason")) for row in rows]
    assert told == [("tls:certificate_loaded", None), ("tls:certificate_loaded", None), ("tls:certificate_kept", "key_unreadable")]
    assert rows[1].detail["certificate_sha256"] == renewed.sha256
    assert len(Evidence(site.receiver.database).received(key=UID)) == 2
