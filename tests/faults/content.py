"""Faults 28, 29 and 36 to 38: what is sent is the same again, contradicts itself, or is damaged."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.faults.fault import Fault, Point
from tests.faults.images import CR, Image, data_set, encode, image
from tests.faults.senders import association, family, send, storescu
from tests.faults.workplace import Workplace
from tests.peers.raw_peer import COMMAND, LAST, P_DATA, RawPeer, fragment, pdu, store_command, store_request


def same_study_at_once(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver().start()
    ledger = w.ledger(receiver)
    images = [image(number) for number in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            pool.submit(storescu, images, w.folder / f"modality{number}", receiver.port, w.log, calling=f"XRAY{number}", repeat=3)
    yield Point("answers", sorted(set(w.log.answers)), ["0000"])
    yield Point("receipts", ledger.count("receipt", "dimse_status = 0"), 96)
    yield Point("instances", ledger.count("instance"), 8)
    yield Point("jobs", ledger.count("job", "kind = 'analyze_instance'"), 8)
    yield Point("files", len(ledger.files()), 8)
    yield from ledger.invariants(w.log.acknowledged)


def damaged(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver().start()
    ledger = w.ledger(receiver)
    whole = image(1)
    cases = {
        "truncated": (whole.content[:-20], "C0xx"),
        "garbage": (bytes(range(1, 256)) * 8, "C0xx"),
        "odd length": (whole.content[:-1], "C0xx"),
        "pixel data missing": (whole.content[: whole.content.rindex(b"\xe0\x7f\x10\x00")], "C0xx"),
        "no UIDs": (encode(data_set(1, StudyInstanceUID="")).content, "C0xx"),
        "another SOP Instance UID than in the command": (image(2).content, "A900"),
        "another SOP class than in the command": (image(1, SOPClassUID=CR).content, "A900"),
    }
    with RawPeer(receiver.port) as peer:
        peer.associate()
        for name, request in _empty(whole).items():
            peer.send(request)
            yield Point(name, family(f"{peer.status() or 0:04X}"), "C0xx")
        sibling = image(200)
        for part in store_request(sibling.content, sibling.uid):
            peer.send(part)
        yield Point("its sibling", w.log.note(sibling, f"{peer.status():04X}"), "0000")
    siblings = [image(number) for number in range(100, 101 + len(cases))]
    stored = []
    with association(receiver.port, [whole]) as assoc:
        for sibling, (name, (content, expected)) in zip(siblings, cases.items(), strict=False):
            stored.append(send(assoc, sibling, w.log))
            yield Point(name, family(send(assoc, Image(whole.uid, content), w.log)), expected)
        stored.append(send(assoc, siblings[-1], w.log))
    yield Point("siblings in the same association", sorted(set(stored)), ["0000"])
    yield Point("instances", ledger.count("instance"), len(siblings) + 1)
    yield Point("receipts of refusals", ledger.count("receipt", "dimse_status <> 0"), len(cases) + 2)
    yield Point("files", len(ledger.files()), len(siblings) + 1)
    yield from ledger.invariants(w.log.acknowledged)


def _empty(one: Image) -> dict[str, bytes]:
    """A request that announces a data set and sends one of no bytes, and one that announces none."""
    announced = (0x0000, 0x0800, 2, 0x0001)
    none = (0x0000, 0x0800, 2, 0x0101)
    command, form = store_command(one.uid), "<HHLH"
    without = command.replace(struct.pack(form, *announced), struct.pack(form, *none))
    return {
        "data set of no bytes": pdu(P_DATA, fragment(COMMAND | LAST, command) + fragment(LAST)),
        "no data set at all": pdu(P_DATA, fragment(COMMAND | LAST, without)),
    }


FAULTS = (
    Fault(
        number=28,
        what="the same study three times at once from four modalities",
        expected="every C-STORE 0000, one instance, file and job per SOP instance",
        how="four of DCMTK's storescu",
        scenario=same_study_at_once,
        needs=("storescu",),
        in_ci=True,
    ),
    Fault(
        number=36,
        what="truncated, garbage, empty, odd length, without UIDs, UID or class unlike the command",
        expected="C0xx or A900, one code each; the siblings in the same association are stored",
        how="hand-built sender",
        scenario=damaged,
        in_ci=True,
    ),
)
