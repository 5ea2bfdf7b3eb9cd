"""Results that come back to the gateway, by whichever sign they are known: acknowledged, never kept, never queued."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID
from sqlalchemy import func, select

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.storage_scu import StorageScu
from gateway.store.evidence import Evidence
from gateway.store.tables import AuditEventRow, InstanceRow, JobRow
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import DX, EXPLICIT, dx, files
from tests.peers.raw_scu import association, send_bytes

SC = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def page(**changes: object) -> bytes:
    return dx(SOPClassUID=SC, **changes)


def ours_in_equipment() -> Dataset:
    item = Dataset()
    item.ManufacturerModelName = "strnet-gateway"
    return item


def send(receiver: Receiver, content: bytes, *, calling: str = "PACS", sop_class: str = SC) -> int | None:
    with association(receiver.port, [(sop_class, EXPLICIT)], calling=calling) as assoc:
        return send_bytes(assoc, content, sop_class_uid=sop_class, sop_instance_uid="1.2.3.1")[0]


def kept(receiver: Receiver) -> tuple[int, int, int]:
    with receiver.database.reading() as session:
        rows = [session.scalar(select(func.count()).select_from(row)) or 0 for row in (InstanceRow, JobRow)]
    return len(files(receiver)), rows[0], rows[1]


def signs(receiver: Receiver) -> list[str]:
    with receiver.database.reading() as session:
        rows = session.scalars(select(AuditEventRow).where(AuditEventRow.event == "instance:own_result"))
        return [row.detail["reason"] for row in rows]


@pytest.mark.parametrize(
    ("content", "calling", "sign"),
    [
        (page(ManufacturerModelName="strnet-gateway"), "PACS", "equipment"),
        (page(ContributingEquipmentSequence=[ours_in_equipment()]), "PACS", "equipment"),
        (page(), "STRNET", "ae_title"),
    ],
)
def test_page_that_comes_back_is_acknowledged_and_not_kept(receiver: Receiver, content: bytes, calling: str, sign: str) -> None:
    assert send(receiver, content, calling=calling) == 0
    assert kept(receiver) == (0, 0, 0)
    assert signs(receiver) == [sign]
    assert [(receipt.dimse_status, receipt.reason) for receipt in Evidence(receiver.database).received()] == [("0000", "own_result")]


def test_page_that_our_own_sender_sends_back_is_known_by_its_implementation(receiver: Receiver) -> None:
    content = BytesIO()
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = SC, "1.2.3.1", "1.2.4", "1.2.5"
    dataset.Rows = dataset.Columns = 1
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 7, 0, 1, "MONOCHROME2"
    dataset.PixelData = b"\0\0"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    dcmwrite(content, dataset, enforce_file_format=True)
    destination = DestinationSettings.model_validate(
        {"name": "loop", "ae_title": "STRNET", "host": "127.0.0.1", "port": receiver.port, "calling_ae_title": "ELSEWHERE", "class": "test"}
    )
    link = DestinationLink(destination, DeliverySettings(), CircuitBreaker(failures=3, seconds=1))
    assert StorageScu(link).send(content.getvalue(), SC, "1.2.3.1").dimse_status == 0
    link.close()
    assert kept(receiver) == (0, 0, 0)
    assert signs(receiver) == ["implementation_class_uid"]


def test_title_of_a_destination_is_ours_too(receivers: Callable[..., Receiver]) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "calling_ae_title": "STRNET_OUT", "class": "test"}
    receiver = receivers(destinations=[pacs])
    assert send(receiver, page(), calling="STRNET_OUT") == 0
    assert signs(receiver) == ["ae_title"]


@pytest.mark.parametrize(
    ("content", "calling", "sop_class"),
    [(page(), "PACS", SC), (dx(), "STRNET", DX), (dx(ManufacturerModelName="strnet-gateway"), "PACS", DX)],
)
def test_what_cannot_be_a_result_is_kept_and_queued_whatever_its_sender_calls_itself(
    receiver: Receiver, content: bytes, calling: str, sop_class: str
) -> None:
    assert send(receiver, content, calling=calling, sop_class=sop_class) == 0
    assert kept(receiver) == (1, 1, 1)
    assert signs(receiver) == []
