"""Faults 29, 37 and 38: what the worker makes of instances that contradict each other or themselves. Receiver and worker run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.faults.fault import Fault, Point
from tests.faults.images import IMPLICIT, Image, encode
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.ledger import Ledger
from tests.faults.receiver import Receiver
from tests.faults.senders import family, send_all
from tests.faults.workplace import Workplace


def _assessing(w: Workplace) -> Receiver:
    receiver = w.receiver(roles=("receiver", "worker"), sections={"worker": {"settle_seconds": 0.1}}).start()
    receiver.wait_started(role="worker")
    return receiver


def _seen_by_the_network(ledger: Ledger, one: Image) -> list[str]:
    """Digests of the 8-bit images that the network was given for this instance."""
    found = ledger.ask(
        "SELECT a.preprocessed_digest FROM assessment a JOIN instance i ON i.id = a.instance_id"
        " WHERE i.sop_instance_uid = ? AND i.dataset_digest = ? ORDER BY a.position",
        one.uid,
        one.digest,
    )
    return [str(digest) for (digest,) in found]


def same_uid_other_pixels(w: Workplace) -> Iterator[Point]:
    receiver = _assessing(w)
    ledger = w.ledger(receiver)
    first, other = phantom(1), phantom(2)
    other.SOPInstanceUID, other.StudyInstanceUID, other.PatientID = first.SOPInstanceUID, first.StudyInstanceUID, first.PatientID
    kept, rival = encode(first), encode(other)
    yield Point("first", send_all(receiver.port, [kept], w.log), ["0000"])
    wait_quiet(ledger)
    yield Point("same UID, other pixels", send_all(receiver.port, [rival], w.log), ["0000"])
    wait_quiet(ledger)
    yield Point("outcomes", [outcome(ledger, kept), outcome(ledger, rival)], ["assessed", "conflict"])
    yield Point("files", len(ledger.files()), 2)
    yield Point("alarm in the audit", ledger.audited("instance:conflict"), 1)
    yield Point("reports of the study", ledger.count("result", "kind = 'sr'"), 1)
    yield from ledger.invariants(w.log.acknowledged)


def _mislabelled() -> dict[str, Image]:
    """Bytes in another syntax than the one that was negotiated for them."""
    jpeg = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
    encapsulated, raw = phantom(1), phantom(2)
    whole = encode(encapsulated).content
    head = whole[: whole.rindex(b"\xe0\x7f\x10\x00OW\x00\x00")]
    raw.PixelData = jpeg * (len(raw.PixelData) // len(jpeg) + 1)
    raw.PixelData = raw.PixelData[: 600 * 500 * 2]
    implicit, explicit = encode(phantom(3), implicit=True), encode(phantom(4))
    return {
        "JPEG fragments as Explicit VR": Image(
            str(encapsulated.SOPInstanceUID), head + b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff" + encapsulate([jpeg]) + _DELIMITER
        ),
        "Implicit VR as Explicit": Image(implicit.uid, implicit.content),
        "Explicit VR as Implicit": Image(explicit.uid, explicit.content, syntax=IMPLICIT),
        "a JPEG stream as plain pixels of the right length": encode(raw),
    }


_DELIMITER: Final = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def other_syntax(w: Workplace) -> Iterator[Point]:
    receiver = _assessing(w)
    ledger = w.ledger(receiver)
    sound = encode(phantom(9))
    cases = _mislabelled()
    answers = [send_all(receiver.port, [one], w.log)[0] for one in (*cases.values(), sound)]
    wait_quiet(ledger)
    for (name, one), answer in zip(cases.items(), answers, strict=False):
        became = family(answer) if answer != "0000" else "0000, a result" if _seen(ledger, one) else "0000, no result"
        yield Point(name, became, _ANSWER[name])
    yield Point("a sound instance afterwards", f"{answers[-1]}, {outcome(ledger, sound)}", "0000, assessed")
    yield from ledger.invariants(w.log.acknowledged)


_ANSWER: Final = {
    "JPEG fragments as Explicit VR": "C0xx",
    "Implicit VR as Explicit": "C0xx",
    "Explicit VR as Implicit": "C0xx",
    "a JPEG stream as plain pixels of the right length": "0000, no result",
}


def _seen(ledger: Ledger, one: Image) -> bool:
    """True when any knee of it was flagged or not flagged."""
    found = ledger.ask(
        "SELECT 1 FROM assessment a JOIN instance i ON i.id = a.instance_id WHERE i.sop_instance_uid = ? AND a.score IS NOT NULL", one.uid
    )
    return bool(found)


def _long_name(dataset: Dataset) -> None:
    dataset.PatientName = "A" * 65_500


def _bad_charset(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = ["ISO 2022 IR 999", "NONSENSE"]


def _bad_spacing(dataset: Dataset) -> None:
    dataset.ImagerPixelSpacing = ["0", "0"]
    dataset["ImagerPixelSpacing"]._value = ["NaN", "0"]


def _inverted(dataset: Dataset) -> None:
    pixels = np.frombuffer(dataset.PixelData, "<u2")
    dataset.PixelData = (4095 - pixels).astype("<u2").tobytes()
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "MONOCHROME1", "INVERSE"


def _signed(dataset: Dataset) -> None:
    pixels = np.frombuffer(dataset.PixelData, "<u2").astype(np.int32) - 2048
    dataset.PixelData = (pixels & 0x0FFF).astype("<u2").tobytes()
    dataset.PixelRepresentation, dataset.RescaleIntercept = 1, "2048"


def _one_bit(dataset: Dataset) -> None:
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.PixelData = bytes(600 * 500 // 8)


_ODD: Final[dict[str, tuple[Callable[[Dataset], None], str]]] = {
    "a name of 64 kB": (_long_name, "assessed, as the plain knee"),
    "unknown character sets": (_bad_charset, "assessed, as the plain knee"),
    "spacing of NaN and 0": (_bad_spacing, "assessed, as the plain knee"),
    "MONOCHROME1": (_inverted, "assessed, as the plain knee"),
    "signed pixels": (_signed, "assessed, as the plain knee"),
    "1 bit": (_one_bit, "failed_decode"),
}


def _nested(plain: Image, number: int, depth: int) -> Image:
    """The plain knee with sequences of undefined length in each other. By bytes: no library would write so many."""
    opened = b"\x40\x00\x43\xa0SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    dataset = phantom(1)
    dataset.SOPInstanceUID = f"{plain.uid[:50]}.{number}"
    content = encode(dataset).content
    pixels = content.rindex(b"\xe0\x7f\x10\x00OW\x00\x00")
    return Image(str(dataset.SOPInstanceUID), content[:pixels] + opened * depth + closed * depth + content[pixels:])


def _disguised(plain: Image, number: int, change: Callable[[Dataset], None]) -> Image:
    dataset = phantom(1)
    change(dataset)
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = f"{plain.uid[:50]}.{number}", f"{plain.uid[:50]}.9.{number}"
    return encode(dataset)


def odd_headers(w: Workplace) -> Iterator[Point]:
    """One knee in many disguises: each time an error state, or what the plain knee gives."""
    receiver = _assessing(w)
    ledger = w.ledger(receiver)
    plain = encode(phantom(1))
    send_all(receiver.port, [plain], w.log)
    for depth in (200, 20_000):
        yield Point(f"{depth} nested sequences", family(send_all(receiver.port, [_nested(plain, depth, depth)], w.log)[0]), "C0xx")
    disguised = {name: _disguised(plain, number, change) for number, (name, (change, _)) in enumerate(_ODD.items(), 1)}
    answers = {name: send_all(receiver.port, [one], w.log)[0] for name, one in disguised.items()}
    wait_quiet(ledger)
    expected_input = _seen_by_the_network(ledger, plain)
    yield Point("plain knee", outcome(ledger, plain), "assessed")
    for name, one in disguised.items():
        became = outcome(ledger, one) if answers[name] == "0000" else family(answers[name])
        if became == "assessed":
            became += ", as the plain knee" if _seen_by_the_network(ledger, one) == expected_input else ", unlike the plain knee"
        yield Point(name, became, _ODD[name][1])
    yield Point("worker died", len(receiver.events("role:died")), 0)
    yield Point("studies without an ended report", ledger.count("job", "kind = 'report_study' AND state NOT IN ('done', 'dead')"), 0)
    yield from ledger.invariants(w.log.acknowledged)


FAULTS = (
    Fault(
        number=29,
        what="the same SOP Instance UID with other pixels",
        expected="0000 and both kept, nothing overwritten; the second is a `conflict` with an alarm, no second report",
        how="two data sets under one UID; receiver and worker run",
        scenario=same_uid_other_pixels,
        seconds=240,
    ),
    Fault(
        number=37,
        what="bytes that are not in the negotiated transfer syntax",
        expected="C0xx, or kept without a result; never a result",
        how="hand-built sender; receiver and worker run",
        scenario=other_syntax,
        seconds=240,
    ),
    Fault(
        number=38,
        what="200 and 20,000 nested sequences, a name of 64 kB, unknown character sets, spacing of NaN and 0, MONOCHROME1, signed, 1 bit",
        expected="an error state, or what the plain knee gives; MONOCHROME1 inverted",
        how="one knee in disguises; the image that the network sees is compared by its digest; receiver and worker run",
        scenario=odd_headers,
        seconds=240,
    ),
)
