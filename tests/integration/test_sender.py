"""Deliveries to peers that accept, refuse, fail and vanish. What counts is what the peer holds and what the store says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.link import Answered
from gateway.delivery.storage_scu import StorageScu
from gateway.domain.delivery import Verdict
from tests.peers.postgresql import free_port

SC, SR = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.88.33"
SETTINGS = DeliverySettings(connect_seconds=3, response_seconds=3)


def result() -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID(SC), UID("2.25.7")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.PatientID = "1.2", "1.3", "P1"
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Peer:
    """A storage SCP that does as it is told."""

    def __init__(self, status: int, sop_class: str, only: str | None, during: Callable[[Any], None] | None) -> None:
        self.held: list[str] = []
        self._status, self._during = status, during
        self._ae = AE(ae_title="PACS")
        self._ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
        if only:
            self._ae.require_calling_aet = [only]
        self._server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])

    def _store(self, event: Any) -> int:
        if self._during is not None:
            self._during(event)
        self.held.append(str(event.dataset.SOPInstanceUID))
        return self._status

    @property
    def destination(self) -> DestinationSettings:
        return destination(self._server.server_address[1])

    def stop(self) -> None:
        self._server.shutdown()


def destination(port: int) -> DestinationSettings:
    return DestinationSettings.model_validate({"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "class": "test"})


def send(to: DestinationSettings, content: bytes | None = None) -> Answered:
    link = DestinationLink(to, SETTINGS, CircuitBreaker(failures=3, seconds=1))
    answered = StorageScu(link).send(content or result(), SC, "2.25.7")
    link.close()
    return answered


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    started: list[Peer] = []

    def start(status: int = 0, *, sop_class: str = SC, only: str | None = None, during: Callable[[Any], None] | None = None) -> Peer:
        started.append(Peer(status, sop_class, only, during))
        return started[-1]

    yield start
    for peer in started:
        peer.stop()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.SENT),
        (0xB000, Verdict.SENT),
        (0x0111, Verdict.SENT),
        (0xA700, Verdict.RETRY),
        (0xA900, Verdict.DEAD),
        (0xC000, Verdict.DEAD),
    ],
)
def test_peers_status_is_kept_and_decides(peers: Callable[..., Peer], status: int, verdict: Verdict) -> None:
    peer = peers(status)
    answered = send(peer.destination)
    assert (answered.verdict, answered.dimse_status) == (verdict, status)
    assert peer.held == ["2.25.7"]


def test_peer_that_does_not_know_the_class_is_dead_at_once(peers: Callable[..., Peer]) -> None:
    peer = peers(sop_class=SR)
    answered = send(peer.destination)
    assert (answered.verdict, answered.code, peer.held) == (Verdict.DEAD, "context_refused", [])


def test_peer_that_does_not_know_us_is_dead_at_once(peers: Callable[..., Peer]) -> None:
    answered = send(peers(only="SOMEBODY").destination)
    assert (answered.verdict, answered.code) == (Verdict.DEAD, "association_rejected_permanent")


def test_peer_that_is_not_there_is_tried_again() -> None:
    answered = send(destination(free_port()))
    assert (answered.verdict, answered.code) == (Verdict.RETRY, "no_association")


def test_peer_whose_name_cannot_be_resolved_is_tried_again() -> None:
    unknown = destination(104).model_copy(update={"host": "no-such-host.invalid"})
    assert send(unknown).verdict is Verdict.RETRY


def test_peer_that_aborts_during_the_transfer_is_tried_again(peers: Callable[..., Peer]) -> None:
    answered = send(peers(during=lambda event: event.assoc.abort()).destination)
    assert answered.verdict is Verdict.RETRY
    assert answered.dimse_status is None


def test_peer_that_never_answers_is_given_up_after_the_time_limit(peers: Callable[..., Peer]) -> None:
    never = threading.Event()
    try:
        answered = send(peers(during=lambda _event: never.wait(20) and None).destination)
    finally:
        never.set()
    assert (answered.verdict, answered.code) == (Verdict.RETRY, "no_response")
