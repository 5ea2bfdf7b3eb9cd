"""Faults 7 and 27: storage commitment that is late, partial, never comes, or comes from another."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any, Final

from tests.faults.archive import NOT_THERE, Archive, Asked, report
from tests.faults.fault import Fault, Point
from tests.faults.images import encode
from tests.faults.knees import phantom, wait_quiet
from tests.faults.ledger import Ledger
from tests.faults.receiver import Receiver
from tests.faults.senders import send_all
from tests.faults.sending import RESULTS, WAIT_SECONDS, deliveries, sending, states, to
from tests.faults.waiting import happens, wait_for
from tests.faults.workplace import Workplace
from tests.peers.raw_scp import RawScp, Visitor

_KINDS: Final = "'analyze_instance', 'report_study', 'deliver_result', 'confirm_delivery'"
_PATIENCE_DAYS: Final = 15 / 86400
_MADE_UP: Final = "2.25.4711"


def _commits(name: str, port: int, ae_title: str = "PACS") -> dict[str, Any]:
    return to(name, port, ae_title=ae_title, commitment="storage_commitment")


def _committed(ledger: Ledger, destination: str) -> list[int]:
    """How often each delivery that is committed was said to be."""
    sql = (
        "SELECT count(*) FROM delivery d JOIN audit_event e ON json_extract(e.detail, '$.delivery_id') = d.id"
        " WHERE d.destination = ? AND d.state = 'committed' AND e.event = 'delivery:committed' GROUP BY d.id"
    )
    return [int(str(count)) for (count,) in ledger.ask(sql, destination)]


def killed_awaiting(w: Workplace) -> Iterator[Point]:
    """The peer has answered the request and has not reported; the sender dies before it can note so."""
    archive = Archive()
    scp = w.enter(RawScp(archive))
    gateway = sending(w, _commits("pacs", scp.port), odd="dies while it awaits commitment", confirm_after_seconds=600)
    ledger = w.ledger(gateway)
    yield Point("answer", send_all(gateway.port, [encode(phantom(1))], w.log), ["0000"])
    # one request of each, and another one of that whose process died
    wait_for(lambda: len(archive.asked) == RESULTS + 1 and _noted(ledger) == RESULTS, WAIT_SECONDS, "commitment was not asked for")
    yield Point("died", [f"{line['role']} {line['exit_code']}" for line in gateway.events("role:died")], ["sender -9"])
    asked = archive.transactions()
    yield Point("requests for each object", sorted(map(len, asked.values())), [1] * (RESULTS - 1) + [2])
    yield Point("each with a transaction UID of its own", len({one.transaction for one in archive.asked}), RESULTS + 1)
    yield Point("requests without a known answer", ledger.count("delivery_attempt", "ended_at IS NULL"), 1)
    yield Point("deliveries without a report", states(ledger, "pacs"), ["sent"])
    ((uid, (first, second)),) = ((uid, found) for uid, found in asked.items() if len(found) == 2)
    _kill_sender(gateway)
    yield Point("late report to the request of the dead one", report(gateway.port, first, [uid]), "0000")
    yield Point("deliveries committed", deliveries(ledger, "pacs", "committed"), 1)
    yield Point("report to the later request", report(gateway.port, second, [uid]), "0000")
    yield Point("times it was committed", _committed(ledger, "pacs"), [1])
    others = [report(gateway.port, found[0], [uid]) for uid, found in asked.items() if len(found) == 1]
    yield Point("reports to the others", others, ["0000"] * (RESULTS - 1))
    wait_quiet(ledger, _KINDS)
    yield Point("deliveries", states(ledger, "pacs"), ["committed"])
    yield Point("times each was committed", _committed(ledger, "pacs"), [1] * RESULTS)
    yield Point("times each was stored", archive.times_stored(), [1] * RESULTS)
    yield from ledger.invariants(w.log.acknowledged)


def _noted(ledger: Ledger) -> int:
    return ledger.count("delivery_attempt", "kind = 'commitment' AND ended_at IS NOT NULL")


def _kill_sender(gateway: Receiver) -> None:
    """Another one is started; who takes the report meanwhile is the receiver."""
    starts = [line for line in gateway.events("role:started") if line["role"] == "sender"]
    os.kill(int(starts[-1]["pid"]), signal.SIGKILL)


def _reports_the_first_after_three(archive: Archive, _: Visitor, asked: Asked) -> None:
    of_this = archive.transactions()[asked.uid]
    if len(of_this) == 3:
        archive.answers.append(report(archive.reports_to, of_this[0], [asked.uid]))


def _has_not_the_first(archive: Archive, _: Visitor, asked: Asked) -> None:
    """Of all that it was sent, it has lost the first one: once."""
    if archive.asked[0] == asked:
        archive.answers.append(report(archive.reports_to, asked.transaction, [], {asked.uid: NOT_THERE}))
    else:
        archive.answers.append(report(archive.reports_to, asked.transaction, [asked.uid]))


def _reports_what_it_has_not_stored(archive: Archive, visitor: Visitor, request: Any) -> None:
    """Over our own association and over another one, before the C-STORE is answered."""
    uid = str(request.AffectedSOPInstanceUID)
    archive.report_here(visitor, _MADE_UP, uid)
    archive.answers.append(report(archive.reports_to, _MADE_UP, [uid], calling="HASTY"))


def _reports_before_it_answers(archive: Archive, visitor: Visitor, asked: Asked) -> None:
    archive.report_here(visitor, asked.transaction, asked.uid)


def uncommitted(w: Workplace) -> Iterator[Point]:
    """One knee goes to all of these destinations, each of another AE title."""
    archives = {
        "never": Archive(),
        "late": Archive(after_answered=_reports_the_first_after_three),
        "partial": Archive(after_answered=_has_not_the_first),
        "hasty": Archive(before_stored=_reports_what_it_has_not_stored, before_answered=_reports_before_it_answers),
        "other": Archive(),
    }
    scps = {name: w.enter(RawScp(archive)) for name, archive in archives.items()}
    gateway = sending(
        w,
        *(_commits(name, scp.port, name.upper() if name in ("never", "hasty", "other") else "PACS") for name, scp in scps.items()),
        confirm_after_seconds=0.5,
        retry_for_days=_PATIENCE_DAYS,
        response_seconds=5,
    )
    ledger = w.ledger(gateway)
    for archive in archives.values():
        archive.reports_to = gateway.port
    yield Point("answer", send_all(gateway.port, [encode(phantom(1))], w.log), ["0000"])
    yield from _foreign(archives["other"], gateway, ledger)
    yield from _late(archives["late"], ledger)
    yield from _partial(archives["partial"], ledger)
    yield from _hasty(archives["hasty"], ledger)
    yield from _never(archives["never"], ledger)
    yield Point("sender died", len(gateway.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _until_committed(ledger: Ledger, destination: str) -> None:
    happens(lambda: deliveries(ledger, destination, "committed") == RESULTS, WAIT_SECONDS)


def _foreign(archive: Archive, gateway: Receiver, ledger: Ledger) -> Iterator[Point]:
    wait_for(lambda: len(archive.transactions()) == RESULTS, WAIT_SECONDS, "commitment was not asked for")
    asked = {uid: found[0] for uid, found in archive.transactions().items()}
    for calling, who in (("STRANGER", "a stranger"), ("NEVER", "another destination")):
        answers = [report(gateway.port, transaction, [uid], calling=calling) for uid, transaction in asked.items()]
        yield Point(f"reports of {who}", answers, ["0124"] * RESULTS)
    yield Point("deliveries", states(ledger, "other"), ["sent"])
    yield Point("alerts 110113", ledger.audited("commitment:refused", code="foreign_peer", audit_code="110113"), 2 * RESULTS)
    answers = [report(gateway.port, transaction, [uid], calling="OTHER") for uid, transaction in asked.items()]
    yield Point("reports of its own", answers, ["0000"] * RESULTS)
    yield Point("deliveries", states(ledger, "other"), ["committed"])


def _late(archive: Archive, ledger: Ledger) -> Iterator[Point]:
    _until_committed(ledger, "late")
    yield Point("asked three times, then a report to the first: answered", archive.answers, ["0000"] * RESULTS)
    asked = archive.transactions().values()
    yield Point("every request with a transaction UID of its own", all(len(set(one)) == len(one) >= 3 for one in asked), True)
    yield Point("deliveries", states(ledger, "late"), ["committed"])
    yield Point("times each was committed", _committed(ledger, "late"), [1] * RESULTS)


def _partial(archive: Archive, ledger: Ledger) -> Iterator[Point]:
    _until_committed(ledger, "partial")
    yield Point("one of them is not there: sent again", ledger.audited("delivery:resent", destination="partial"), 1)
    yield Point("times each was stored", archive.times_stored(), [1] * (RESULTS - 1) + [2])
    yield Point("deliveries", states(ledger, "partial"), ["committed"])


def _hasty(archive: Archive, ledger: Ledger) -> Iterator[Point]:
    _until_committed(ledger, "hasty")
    told = sorted(archive.answers)
    yield Point("reports before the C-STORE is answered", told[RESULTS:], ["0115"] * 2 * RESULTS)
    yield Point("reports before the request is answered", told[:RESULTS], ["0000"] * RESULTS)
    yield Point("deliveries", states(ledger, "hasty"), ["committed"])
    yield Point("times each was stored", archive.times_stored(), [1] * RESULTS)


def _never(archive: Archive, ledger: Ledger) -> Iterator[Point]:
    happens(lambda: ledger.audited("delivery:unconfirmed", destination="never") >= RESULTS, WAIT_SECONDS)
    asked = archive.transactions().values()
    yield Point("never: asked again, each time with another transaction UID", all(len(set(one)) == len(one) >= 3 for one in asked), True)
    yield Point("deliveries", states(ledger, "never"), ["sent"])
    yield Point("alarms", ledger.audited("delivery:unconfirmed", destination="never", code="confirmation_never_came"), RESULTS)
    yield Point("times each was stored", archive.times_stored(), [1] * RESULTS)


FAULTS = (
    Fault(
        number=7,
        what="kill -9 of the sender while it awaits storage commitment",
        expected="asked again with a new transaction UID; the late report to the old one is accepted: committed, once",
        how="the sender kills itself between the answer to its request and noting it, and is killed before the reports come; a destination that speaks bytes",
        scenario=killed_awaiting,
        seconds=300,
    ),
    Fault(
        number=27,
        what="commitment never comes, comes late, names what is not there, comes before the C-STORE or the request is answered, or from another AE",
        expected="asked again, then an alarm; a late one counts; what is not there is sent again alone; what was not asked is refused; another AE is refused with an alert",
        how="a destination for each that speaks bytes; `confirm_after_seconds` 0.5, `retry_for_days` 15 s",
        scenario=uncommitted,
        seconds=400,
    ),
)
