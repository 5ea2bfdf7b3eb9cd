"""deploy/orthanc/route-knee-ap.lua in a real Orthanc: knees go to the gateway, nothing else does, and no result of ours."""

from __future__ import annotations

import json
import queue
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom import AE, StoragePresentationContexts, evt

from tests.conftest import ROOT
from tests.peers.orthanc import Orthanc
from tests.peers.postgresql import free_port

RULE = ROOT / "deploy/orthanc/route-knee-ap.lua"
ARRIVES_SECONDS = 30.0


@dataclass(frozen=True)
class Gateway:
    """A listening SCP under the gateway's AE title; what arrived, in order."""

    port: int
    arrived: queue.Queue[str]

    def next(self) -> str:
        try:
            return self.arrived.get(timeout=ARRIVES_SECONDS)
        except queue.Empty:
            pytest.fail("nothing arrived")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    arrived: queue.Queue[str] = queue.Queue()

    def store(event: Any) -> int:
        arrived.put(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    ae = AE(ae_title="STRNET")
    ae.require_called_aet = True
    ae.supported_contexts = StoragePresentationContexts
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield Gateway(port, arrived)
    server.shutdown()


@pytest.fixture
def orthanc(gateway: Gateway) -> Iterator[Orthanc]:
    peer = Orthanc(lua=RULE, modalities={"strnet": ["STRNET", "127.0.0.1", gateway.port]})
    peer.start()
    yield peer
    peer.stop()


def instance(sop_class: str = DigitalXRayImageStorageForPresentation, **attributes: str) -> Dataset:
    """A small synthetic instance; 16 by 16 pixels where its class has pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = "ROUTING", "ROUTING^TEST", "DX"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if sop_class != ComprehensiveSRStorage:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows = dataset.Columns = 16
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.PixelData = bytes(16 * 16 * 2)
    return dataset


def store(orthanc: Orthanc, dataset: Dataset) -> str:
    """POST /instances; the SOP Instance UID."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    request = urllib.request.Request(f"http://127.0.0.1:{orthanc.http_port}/instances", data=buffer.getvalue(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["Status"] == "Success"
    return str(dataset.SOPInstanceUID)


def knee(**attributes: str) -> Dataset:
    return instance(**{"BodyPartExamined": "KNEE", "ViewPosition": "AP", **attributes})


NOT_ROUTED = {
    "chest": instance(BodyPartExamined="CHEST", SeriesDescription="Chest PA"),
    "no body part, no description": instance(),
    "page of the gateway": instance(
        SecondaryCaptureImageStorage, Modality="OT", BodyPartExamined="KNEE", ManufacturerModelName="strnet-gateway"
    ),
    "page of the gateway under another modality": instance(
        SecondaryCaptureImageStorage, Modality="DX", BodyPartExamined="KNEE", ManufacturerModelName="strnet-gateway"
    ),
    "report of the gateway": instance(ComprehensiveSRStorage, Modality="SR", SeriesDescription="AI STR-Net knee report"),
    "magnetic resonance of a knee": instance(Modality="MR", BodyPartExamined="KNEE"),
}
ROUTED = {
    "body part": knee(),
    "description only": instance(SeriesDescription="Left Knee AP standing"),
    "CR, Chinese description": instance(
        ComputedRadiographyImageStorage, Modality="CR", SpecificCharacterSet="ISO_IR 192", StudyDescription="右膝正位"
    ),
}


@pytest.mark.parametrize("what", ROUTED)
def test_radiograph_that_may_show_a_knee_goes_to_the_gateway(orthanc: Orthanc, gateway: Gateway, what: str) -> None:
    assert gateway_got(gateway, store(orthanc, ROUTED[what]))


def test_nothing_else_goes_to_the_gateway(orthanc: Orthanc, gateway: Gateway) -> None:
    others = {store(orthanc, dataset): what for what, dataset in NOT_ROUTED.items()}
    assert set(orthanc.instances()) == set(others)
    # the knee is stored last: once it has arrived, anything sent before it has arrived too, or is a job of its own below
    assert gateway_got(gateway, store(orthanc, knee()))
    assert gateway.arrived.empty()
    jobs = [job for job in orthanc.get("/jobs?expand") if job["Type"] == "DicomModalityStore"]
    assert len(jobs) == 1


def test_peer_that_is_down_leaves_a_job_that_can_be_resubmitted(gateway: Gateway) -> None:
    peer = Orthanc(lua=RULE, modalities={"strnet": ["STRNET", "127.0.0.1", free_port()]})
    peer.start()
    try:
        store(peer, knee())
        job = wait_for_failure(peer)
    finally:
        peer.stop()
    assert job["Type"] == "DicomModalityStore"
    assert gateway.arrived.empty()


def gateway_got(gateway: Gateway, sop_instance_uid: str) -> bool:
    return gateway.next() == sop_instance_uid


def wait_for_failure(orthanc: Orthanc) -> dict[str, Any]:
    import time

    deadline = time.monotonic() + ARRIVES_SECONDS
    while time.monotonic() < deadline:
        for job in orthanc.get("/jobs?expand"):
            if job["State"] == "Failure":
                return dict(job)
        time.sleep(0.1)
    return pytest.fail("the job did not fail")
