"""Storage commitment and C-FIND with real peers: reports on our association, and on one of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.commitment_scu import CommitmentScu, answering
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.find_scu import FindScu
from gateway.delivery.storage_scu import StorageScu
from gateway.dicom.uids import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from gateway.domain.confirmation import CommitmentReport, ReportAnswer
from gateway.store.database import Database
from tests.integration.bench import Bench
from tests.integration.conftest import Receiver
from tests.integration.sending import sections, sender, stories, until
from tests.integration.test_sender import SC, result
from tests.peers.orthanc import Orthanc
from tests.peers.postgresql import free_port

SETTINGS = DeliverySettings(connect_seconds=3, response_seconds=5)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def orthanc() -> Iterator[Callable[..., Orthanc]]:
    started: list[Orthanc] = []

    def start(reports_to: int) -> Orthanc:
        modality = {"AET": "STRNET", "Host": "127.0.0.1", "Port": reports_to, "AllowStorageCommitment": True, "AllowFind": True}
        one = Orthanc(modalities={"gateway": modality})
        one.start()
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()


def to_orthanc(port: int, commitment: str) -> DestinationSettings:
    return DestinationSettings.model_validate(
        {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "class": "test", "commitment": commitment}
    )


def test_orthanc_commits_what_it_was_sent_by_a_report_to_the_receiver(
    bench: Callable[..., Bench], receivers: Callable[..., Receiver], orthanc: Callable[..., Orthanc], database: Database
) -> None:
    port = free_port()
    pacs = orthanc(port)
    chosen = sections(pacs=pacs.dicom_port)
    chosen["destinations"][0]["commitment"] = "storage_commitment"
    chosen["delivery"].update(response_seconds=10, message_seconds=30)
    here = bench(**chosen)
    receivers(receiver={"port": port}, destinations=chosen["destinations"])
    uid = here.receive()
    here.work()
    with sender(here.settings, here):
        assert until(lambda: {d.state for d in stories(database, uid)} == {"committed"}, 40), stories(database, uid)
    assert len(pacs.instances()) == 3
    assert {attempt.kind for d in stories(database, uid) for attempt in d.tried} == {"send", "commitment"}


def test_orthanc_says_by_find_whether_it_has_a_result(orthanc: Callable[..., Orthanc]) -> None:
    link = DestinationLink(to_orthanc(orthanc(free_port()).dicom_port, "find"), SETTINGS, CircuitBreaker(failures=3, seconds=1))
    find = FindScu(link)
    assert find.ask("1.2", "1.3", "2.25.7").code == "not_found"
    assert StorageScu(link).send(result(), SC, "2.25.7").code == "success"
    assert find.ask("1.2", "1.3", "2.25.7").code == "found"
    link.close()


def test_report_over_our_own_association_is_taken_while_the_lane_is_idle() -> None:
    reported: list[int] = []
    taken: list[CommitmentReport | None] = []

    def report(association: Any, asked: Dataset) -> None:
        information = Dataset()
        information.TransactionUID, information.ReferencedSOPSequence = asked.TransactionUID, asked.ReferencedSOPSequence
        status, _ = association.send_n_event_report(information, 1, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
        reported.append(int(status.Status))

    reporting: list[threading.Thread] = []

    def asked_for(event: Any) -> tuple[int, None]:
        reporting.append(threading.Thread(target=report, args=(event.assoc, event.action_information)))
        return 0x0000, None

    def begin(_event: Any) -> None:
        # after the answer to the request has gone out
        while reporting and reporting[-1].ident is None:
            reporting[-1].start()

    ae = AE(ae_title="PACS")
    ae.add_supported_context(STORAGE_COMMITMENT, ExplicitVRLittleEndian)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, asked_for), (evt.EVT_DIMSE_SENT, begin)])

    def take(one: CommitmentReport | None) -> ReportAnswer:
        taken.append(one)
        return ReportAnswer.TAKEN

    link = DestinationLink(
        to_orthanc(server.server_address[1], "storage_commitment"),
        SETTINGS,
        CircuitBreaker(failures=3, seconds=1),
        on_report=answering(take),
    )
    assert CommitmentScu(link).ask("2.25.11", SC, "2.25.7").code == "commitment_asked"

    def served() -> bool:
        link.idle()
        return bool(reported)

    assert until(served)
    assert [report.transaction_uid for report in taken if report] == ["2.25.11"]
    assert reported == [0]
    link.close()
    server.shutdown()


@pytest.mark.parametrize("with_role", [True, False])
def test_receiver_refuses_the_report_of_a_stranger_and_audits_it(
    receivers: Callable[..., Receiver], database: Database, with_role: bool
) -> None:
    chosen = sections(pacs=free_port())["destinations"]
    chosen[0]["commitment"] = "storage_commitment"
    receiver = receivers(destinations=chosen)
    ae = AE(ae_title="STRANGER")
    ae.add_requested_context(STORAGE_COMMITMENT, ExplicitVRLittleEndian)
    roles = [build_role(STORAGE_COMMITMENT, scp_role=True)] if with_role else []
    association = ae.associate("127.0.0.1", receiver.port, ext_neg=roles, ae_title="STRNET")
    assert association.is_established
    information = Dataset()
    information.TransactionUID = "2.25.5"
    (context,) = association.accepted_contexts
    context._as_scp = True
    status, _ = association.send_n_event_report(information, 1, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
    association.release()
    assert status.Status == 0x0115
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit_event WHERE event = 'commitment:refused'").scalar() == 1


def test_receiver_takes_no_reports_where_no_destination_commits(receivers: Callable[..., Receiver]) -> None:
    ae = AE(ae_title="STRANGER")
    ae.add_requested_context(STORAGE_COMMITMENT, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", receivers().port, ae_title="STRNET")
    assert not association.is_established
