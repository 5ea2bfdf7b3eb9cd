"""`check` of one destination: a healthy PACS, and broken ones, each of which must be blamed on the right side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import KeyObjectSelectionDocumentStorage, SecondaryCaptureImageStorage
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.config import DeliverySettings, DestinationSettings, Settings, parse_settings
from gateway.delivery.probe import Probe
from gateway.delivery.web_probe import WebProbe
from gateway.dicom.uids import STORAGE_COMMITMENT, STUDY_ROOT_FIND
from gateway.domain.check import Line, Standing
from gateway.domain.remedies import Side
from gateway.ops.destination_check import DestinationCheck
from gateway.ops.web_check import WebCheck
from tests.peers.authority import Authority
from tests.peers.orthanc import Orthanc
from tests.peers.orthanc_web import PASSWORD, USER, WebOrthanc
from tests.peers.postgresql import free_port
from tests.peers.raw_scp import RawScp, Visitor


def settings_for(port: int, **changes: Any) -> Settings:
    destination = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "class": "test", **changes}
    return parse_settings(
        {
            "serve": {"development": True},
            "destinations": [destination],
            "delivery": {"connect_seconds": 2, "response_seconds": 1, "message_seconds": 5},
        }
    )


def lines_of(settings: Settings) -> list[Line]:
    return list(DestinationCheck(settings=settings, probe=Probe(settings.delivery)).lines(settings.destinations[0]))


def only_bad(lines: list[Line]) -> Line:
    (line,) = [line for line in lines if line.standing is Standing.BAD]
    return line


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    orthanc = Orthanc(changes={"DicomCheckCalledAet": True})
    orthanc.start()
    yield orthanc
    orthanc.stop()


def test_healthy_pacs_has_nothing_bad(pacs: Orthanc) -> None:
    lines = lines_of(settings_for(pacs.dicom_port, commitment="storage_commitment"))
    assert [line for line in lines if line.standing is Standing.BAD] == []
    steps = [line.step for line in lines if line.standing is Standing.GOOD]
    assert steps == ["association", "C-ECHO", "context", "context", "context", "context", "context"]


def test_time_of_a_peer_is_said_to_be_unknown_and_not_invented(pacs: Orthanc) -> None:
    (clock,) = [line for line in lines_of(settings_for(pacs.dicom_port)) if line.step == "clock"]
    assert clock.standing is Standing.NOTE
    assert "not told by DICOM" in clock.said


def test_nothing_listens() -> None:
    port = free_port()
    line = only_bad(lines_of(settings_for(port)))
    assert (line.code, line.side) == ("connection_refused", Side.DESTINATION)
    assert f"127.0.0.1:{port}" in line.remedy


def test_host_that_no_name_service_knows() -> None:
    line = only_bad(lines_of(settings_for(104, host="nowhere.invalid")))
    assert (line.code, line.side) == ("name_unknown", Side.GATEWAY)


def test_wrong_called_ae_title_is_our_configuration(pacs: Orthanc) -> None:
    line = only_bad(lines_of(settings_for(pacs.dicom_port, ae_title="PAX")))
    assert (line.code, line.side) == ("called_ae_title_unknown", Side.GATEWAY)
    assert "PAX" in line.remedy


def test_unknown_calling_ae_title_has_to_be_registered_there() -> None:
    orthanc = Orthanc(
        changes={
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomAlwaysAllowFind": False,
            "DicomCheckModalityHost": True,
        }
    )
    orthanc.start()
    try:
        line = only_bad(lines_of(settings_for(orthanc.dicom_port)))
    finally:
        orthanc.stop()
    assert (line.code, line.side) == ("calling_ae_title_unknown", Side.DESTINATION)
    assert "register STRNET" in line.remedy


EVERYTHING_BUT_SR = {
    str(Verification),
    str(SecondaryCaptureImageStorage),
    str(KeyObjectSelectionDocumentStorage),
    STORAGE_COMMITMENT,
    STUDY_ROOT_FIND,
}


def answering(taken: set[str]) -> Any:
    """Accepts those contexts, answers C-ECHO, releases."""

    def behave(visitor: Visitor) -> None:
        visitor.accept(only=taken)
        visitor.echo(visitor.request())
        visitor.read()
        visitor.release()

    return behave


def test_pacs_that_refuses_the_sr_class() -> None:
    with RawScp(answering(EVERYTHING_BUT_SR)) as peer:
        line = only_bad(lines_of(settings_for(peer.port)))
    assert (line.code, line.side) == ("sr_refused", Side.DESTINATION)
    assert "Comprehensive SR" in line.remedy


SR = "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.mark.parametrize(
    ("missing", "commitment", "code"),
    [(STORAGE_COMMITMENT, "storage_commitment", "commitment_refused"), (STUDY_ROOT_FIND, "find", "find_refused")],
)
def test_confirmation_that_is_configured_and_refused_is_bad_and_else_a_note(missing: str, commitment: str, code: str) -> None:
    taken = ({SR} | EVERYTHING_BUT_SR) - {missing}
    with RawScp(answering(taken)) as peer:
        asked = only_bad(lines_of(settings_for(peer.port, commitment=commitment)))
        not_asked = lines_of(settings_for(peer.port))
    assert (asked.code, asked.side) == (code, Side.EITHER)
    assert [line for line in not_asked if line.standing is Standing.BAD] == []
    assert "not_used" in {line.code for line in not_asked}


def test_pacs_that_takes_no_rejection_notes_cannot_be_recalled_from() -> None:
    taken = ({SR} | EVERYTHING_BUT_SR) - {str(KeyObjectSelectionDocumentStorage)}
    with RawScp(answering(taken)) as peer:
        line = only_bad(lines_of(settings_for(peer.port)))
    assert line.code == "rejection_refused"


def test_frozen_peer_is_found_out_within_its_deadline() -> None:
    with RawScp(lambda visitor: visitor.ended.wait(30)) as peer:
        line = only_bad(lines_of(settings_for(peer.port)))
    assert (line.code, line.side) == ("no_response", Side.DESTINATION)


def test_busy_peer_is_no_misconfiguration() -> None:
    with RawScp(lambda visitor: visitor.reject()) as peer:
        line = only_bad(lines_of(settings_for(peer.port)))
    assert line.code == "rejected_for_now"
    assert "local_limit" in line.remedy


def test_port_that_speaks_no_dicom() -> None:
    def web(visitor: Visitor) -> None:
        visitor.socket.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with RawScp(web) as peer:
        line = only_bad(lines_of(settings_for(peer.port)))
    assert line.code == "association_lost"
    assert "is it a DICOM port" in line.remedy


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secured(authority: Authority) -> Iterator[Orthanc]:
    pair = authority.issue("pacs", dns="pacs.test", valid_hours=24 * 60)
    orthanc = Orthanc(
        changes={
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(pair.certificate),
            "DicomTlsPrivateKey": str(pair.key),
            "DicomTlsTrustedCertificates": str(authority.file),
            "DicomTlsRemoteCertificateRequired": False,
        }
    )
    orthanc.start()
    yield orthanc
    orthanc.stop()


def test_tls_is_told_with_version_cipher_and_expiry(secured: Orthanc, authority: Authority) -> None:
    lines = lines_of(settings_for(secured.dicom_port, tls=True, tls_authorities=str(authority.file), tls_name="pacs.test"))
    assert [line for line in lines if line.standing is Standing.BAD] == []
    said = {line.step: line.said for line in lines}
    assert said["TLS"].startswith("TLSv1.")
    assert "59 day(s)" in said["peer's certificate"]


def test_certificates_that_end_soon_are_bad_and_each_is_somebodys(secured: Orthanc, authority: Authority) -> None:
    ours = authority.issue("gateway", valid_hours=2)
    tls = {
        "tls": True,
        "tls_authorities": str(authority.file),
        "tls_name": "pacs.test",
        "tls_certificate": str(ours.certificate),
        "tls_key": str(ours.key),
    }
    line = only_bad(lines_of(settings_for(secured.dicom_port, **tls)))
    assert (line.code, line.side) == ("tls_own_expires_soon", Side.GATEWAY)


def test_certificate_of_another_name(secured: Orthanc, authority: Authority) -> None:
    line = only_bad(lines_of(settings_for(secured.dicom_port, tls=True, tls_authorities=str(authority.file), tls_name="other.test")))
    assert (line.code, line.side) == ("tls_wrong_name", Side.EITHER)
    assert "other.test" in line.remedy


def test_certificate_of_an_authority_that_we_do_not_trust(secured: Orthanc, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "Another CA")
    line = only_bad(lines_of(settings_for(secured.dicom_port, tls=True, tls_authorities=str(stranger.file), tls_name="pacs.test")))
    assert line.code == "tls_untrusted"


def test_tls_towards_a_port_that_speaks_plain_dicom(pacs: Orthanc, authority: Authority) -> None:
    line = only_bad(lines_of(settings_for(pacs.dicom_port, tls=True, tls_authorities=str(authority.file))))
    assert line.code in ("tls_failed", "no_response", "association_lost")
    assert "TLS" in line.remedy


def test_plain_dicom_towards_a_port_that_speaks_tls(secured: Orthanc) -> None:
    line = only_bad(lines_of(settings_for(secured.dicom_port)))
    assert line.code in ("association_lost", "no_response")
    assert "TLS" in line.remedy


def web_lines(url: str, *, now: datetime | None = None, **changes: Any) -> list[Line]:
    to = DestinationSettings.model_validate({"name": "web", "protocol": "stow_rs", "url": url, "class": "test", **changes})
    probe = WebProbe(DeliverySettings(connect_seconds=2, response_seconds=2))
    return list(WebCheck(probe=probe, now=lambda: now or datetime.now(UTC)).lines(to))


@pytest.fixture(scope="module")
def web() -> Iterator[WebOrthanc]:
    orthanc = WebOrthanc()
    orthanc.start()
    yield orthanc
    orthanc.stop()


def credentials(folder: Path, password: str = PASSWORD) -> dict[str, str]:
    file = folder / "password"
    file.write_text(password)
    return {"user": USER, "password_file": str(file)}


def test_dicomweb_service_answers_a_search_and_wrong_credentials_are_told(web: WebOrthanc, tmp_path: Path) -> None:
    assert [line for line in web_lines(web.url, **credentials(tmp_path)) if line.standing is Standing.BAD] == []
    line = only_bad(web_lines(web.url, **credentials(tmp_path, "wrong")))
    assert (line.code, line.side) == ("http_unauthorized", Side.EITHER)
    assert "password_file" in line.remedy


def test_dicomweb_url_without_a_service_and_port_without_a_listener(web: WebOrthanc, tmp_path: Path) -> None:
    elsewhere = web_lines(web.url.replace("dicom-web", "nothing"), commitment="find", **credentials(tmp_path))
    assert only_bad(elsewhere).code == "http_path"
    assert only_bad(web_lines(f"http://127.0.0.1:{free_port()}/dicom-web")).code == "connection_refused"


def serving(date: str) -> Any:
    def behave(visitor: Visitor) -> None:
        visitor.socket.recv(4096)
        visitor.socket.sendall(f"HTTP/1.1 204 No Content\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())

    return behave


@pytest.mark.parametrize(
    ("date", "standing", "code"),
    [
        ("Sat, 21 Nov 2026 12:00:10 GMT", Standing.GOOD, "good"),
        ("Sat, 21 Nov 2026 12:05:00 GMT", Standing.BAD, "clock_differs"),
        ("Sat, 21 Nov 2026 11:55:00 GMT", Standing.BAD, "clock_differs"),
        ("yesterday", Standing.NOTE, "clock_not_told"),
    ],
)
def test_clock_of_a_dicomweb_service_is_its_date_header(date: str, standing: Standing, code: str) -> None:
    with RawScp(serving(date)) as peer:
        lines = web_lines(f"http://127.0.0.1:{peer.port}/", now=datetime(2026, 11, 21, 12, tzinfo=UTC))
    (clock,) = [line for line in lines if line.step == "clock"]
    assert (clock.standing, clock.code) == (standing, code)


def test_archive_that_is_known_to_ignore_rejections_is_a_note(pacs: Orthanc) -> None:
    lines = lines_of(settings_for(pacs.dicom_port, honours_rejection="no"))
    assert [line for line in lines if line.standing is Standing.BAD] == []
    assert "rejection_not_honoured" in {line.code for line in lines}
