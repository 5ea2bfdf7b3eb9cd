"""`committed` is said by a report alone: whose reports count, what a refusal leads to, and what is asked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from gateway.cli.audit import app
from gateway.config import Settings, parse_settings
from gateway.delivery.link import Answered
from gateway.domain.confirmation import CommitmentReport, ReportAnswer
from gateway.domain.delivery import Verdict
from gateway.domain.job import Claim, JobAction, JobKind
from gateway.domain.operator import Operator
from gateway.domain.story import DeliveryStory
from gateway.errors import LeaseLostError
from gateway.store.commitment_reports import CommitmentReports
from gateway.store.confirmations import Confirmations
from gateway.store.database import Database
from gateway.store.deliveries import Attempt, Deliveries
from gateway.store.job_acts import JobActs
from gateway.store.queries import Queries
from gateway.store.result_sets import ResultSets
from gateway.store.tables import DeliveryRow, JobRow
from gateway.workers.confirm_delivery import ConfirmDelivery
from gateway.workers.deliver_result import DeliverResult
from tests.integration.test_store import finished_report, queue_of

STUDY = "1.2.100"
SOMEONE = Operator(name="someone", reason="T-1")
PATIENT = {"confirm_after_seconds": 3600, "retry_first_seconds": 3600, "retry_max_seconds": 3600}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def settings(commitment: str, **delivery: Any) -> Settings:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": "test", "commitment": commitment}
    return parse_settings({"destinations": [pacs], "delivery": {"confirm_after_seconds": 0.001, "retry_max_seconds": 0.001, **delivery}})


class Asked:
    """A destination that answers requests for commitment, or finds, as it is told."""

    def __init__(self, answered: Answered | None = None) -> None:
        self.answered = answered or Answered(verdict=Verdict.SENT, code="commitment_asked", dimse_status=0)
        self.calls: list[tuple[str, ...]] = []
        self.before_answer: Callable[[str], Any] = lambda _transaction: None

    def ask(self, *keys: str, **_: float) -> Answered:
        self.calls.append(keys)
        self.before_answer(keys[0])
        return self.answered


class Sent:
    """One result at its destination, to be confirmed."""

    def __init__(self, database: Database, asked: Asked, commitment: str = "storage_commitment", **delivery: Any) -> None:
        self.database, self.asked = database, asked
        claim, new = finished_report(database)
        ResultSets(database).commit(claim, new)
        (first, second) = queue_of(database).claim((JobKind.DELIVER_RESULT,), "host:sender:1", limit=2)
        Deliveries(database).record(first, Attempt(verdict=Verdict.SENT, code="success", dimse_status=0, confirm=True))
        Deliveries(database).record(second, Attempt(verdict=Verdict.DEAD, code="cannot_understand", dimse_status=0xC000))
        self.uid = Deliveries(database).get(first.subject).sop_instance_uid
        self.handler = ConfirmDelivery(
            confirmations=Confirmations(database),
            commitment=asked,  # type: ignore[arg-type]
            find=asked,  # type: ignore[arg-type]
            settings=settings(commitment, **delivery),
        )

    def claim(self) -> Claim:
        """The job, once it is due."""
        claims: tuple[Claim, ...] = ()
        while not claims:
            claims = queue_of(self.database).claim((JobKind.CONFIRM_DELIVERY,), "host:sender:1")
        return claims[0]

    def confirm(self) -> str:
        """Runs the job once it is due; its code."""
        return self.handler.run(self.claim()).code

    def report(self, transaction_uid: str, reason: int | None = None, *, to: str = "pacs", uid: str = "") -> ReportAnswer:
        told = uid or self.uid
        report = CommitmentReport(
            transaction_uid=transaction_uid,
            committed=frozenset() if reason is not None else frozenset({told}),
            failed={} if reason is None else {told: reason},
        )
        return CommitmentReports(self.database, "test").take(report, destinations=[to], ae_title="PACS")

    def send_again(self) -> None:
        """Runs its deliver_result job once it is due; the destination takes it."""
        claims: tuple[Any, ...] = ()
        while not claims:
            claims = queue_of(self.database).claim((JobKind.DELIVER_RESULT,), "host:sender:1", lane="pacs")
        Deliveries(self.database).record(claims[0], Attempt(verdict=Verdict.SENT, code="success", dimse_status=0, confirm=True))

    def retry(self) -> None:
        """An operator lets the newest confirm_delivery job be tried again."""
        job = max(job.job_id for job in Queries(self.database).jobs("") if job.kind == "confirm_delivery")
        JobActs(self.database).act(job, JobAction.RETRY, SOMEONE)

    @property
    def is_due(self) -> bool:
        return queue_of(self.database).seconds_until_due((JobKind.CONFIRM_DELIVERY,)) == 0

    @property
    def transactions(self) -> list[str]:
        return [call[0] for call in self.asked.calls]

    @property
    def story(self) -> DeliveryStory:
        (found,) = (d for r in Queries(self.database).explain(STUDY).results if r.sop_instance_uid == self.uid for d in r.deliveries)
        return found

    @property
    def events(self) -> list[str]:
        return [entry.event for entry in Queries(self.database).timeline(STUDY)]


@pytest.fixture
def sent(database: Database) -> Sent:
    return Sent(database, Asked())


def test_only_a_report_commits(sent: Sent) -> None:
    assert sent.confirm() == "commitment_asked"
    assert sent.story.state == "sent"
    assert sent.report(sent.transactions[0]) is ReportAnswer.TAKEN
    assert sent.story.state == "committed"
    assert sent.story.committed_at is not None
    assert sent.confirm() == "committed"
    assert "delivery:committed" in sent.events


def test_every_request_has_a_transaction_of_its_own_and_a_late_report_to_an_old_one_counts(sent: Sent) -> None:
    for _ in range(3):
        sent.confirm()
    assert len(set(sent.transactions)) == 3
    assert sent.report(sent.transactions[0]) is ReportAnswer.TAKEN
    assert sent.story.state == "committed"
    assert [attempt.kind for attempt in sent.story.tried] == ["send", "commitment", "commitment", "commitment"]
    assert [attempt.reported_at is not None for attempt in sent.story.tried] == [False, True, False, False]


def test_report_that_comes_before_the_answer_to_the_request_is_not_lost(sent: Sent) -> None:
    sent.asked.before_answer = sent.report
    sent.confirm()
    assert sent.story.state == "committed"
    assert sent.confirm() == "committed"


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"transaction_uid": "2.25.1"}, ReportAnswer.UNKNOWN_TRANSACTION),
        ({"to": "another"}, ReportAnswer.FOREIGN_PEER),
        ({"uid": "2.25.999"}, ReportAnswer.INSTANCE_MISSING),
    ],
)
def test_foreign_report_is_refused_and_audited(sent: Sent, database: Database, given: dict[str, str], answer: ReportAnswer) -> None:
    sent.confirm()
    assert sent.report(**{"transaction_uid": sent.transactions[0], **given}) is answer
    assert sent.story.state == "sent"
    with database.engine.connect() as connection:
        audited = connection.exec_driver_sql("SELECT detail FROM audit_event WHERE event = 'commitment:refused'").scalars().all()
    assert len(audited) == 1
    assert answer.value in str(audited[0])
    assert ("110113" in str(audited[0])) == (answer is ReportAnswer.FOREIGN_PEER)


def test_same_report_twice_changes_nothing(sent: Sent) -> None:
    sent.confirm()
    assert [sent.report(sent.transactions[0]) for _ in range(2)] == [ReportAnswer.TAKEN] * 2
    assert sent.events.count("delivery:committed") == 1


def test_destination_that_does_not_have_it_is_sent_it_again(sent: Sent) -> None:
    sent.confirm()
    sent.report(sent.transactions[0], 0x0112)
    assert sent.story.state == "sent"
    assert sent.confirm() == "commitment_not_there"
    assert sent.story.state == "pending"
    sent.send_again()
    assert sent.confirm() == "commitment_asked"
    sent.report(sent.transactions[-1])
    assert sent.story.state == "committed"


def test_passing_refusal_is_asked_about_again_and_a_lasting_one_is_an_alarm(sent: Sent) -> None:
    sent.confirm()
    sent.report(sent.transactions[0], 0x0213)
    assert sent.confirm() == "commitment_asked"
    sent.report(sent.transactions[1], 0x0122)
    assert sent.confirm() == "commitment_class_not_supported"
    assert sent.story.state == "sent"
    assert "delivery:unconfirmed" in sent.events


@pytest.mark.parametrize("reason", [0x0213, 0x0112, 0x0122])
@pytest.mark.parametrize("at_once", [True, False])
def test_destination_that_refuses_at_once_is_not_asked_at_once(database: Database, reason: int, at_once: bool) -> None:
    sent = Sent(database, Asked(), **PATIENT)
    if at_once:
        sent.asked.before_answer = lambda transaction: sent.report(transaction, reason)
    sent.confirm()
    if not at_once:
        sent.report(sent.transactions[0], reason)
    assert not sent.is_due
    assert "commitment:failed" in sent.events


def test_report_that_commits_lets_the_sender_settle_the_job_at_once(database: Database) -> None:
    sent = Sent(database, Asked(), **PATIENT)
    sent.confirm()
    sent.report(sent.transactions[0])
    assert sent.is_due


def test_object_that_is_never_there_is_sent_a_few_times_and_then_an_alarm(sent: Sent) -> None:
    for _ in range(3):
        sent.confirm()
        sent.report(sent.transactions[-1], 0x0112)
        assert sent.confirm() == "commitment_not_there"
        assert sent.story.state == "pending"
        sent.send_again()
    sent.confirm()
    sent.report(sent.transactions[-1], 0x0112)
    assert sent.confirm() == "commitment_not_there"
    assert sent.story.state == "sent"
    assert (sent.events.count("delivery:resent"), sent.events.count("delivery:unconfirmed")) == (3, 1)
    # an operator lets it begin anew
    sent.retry()
    assert sent.confirm() == "commitment_asked"
    sent.report(sent.transactions[-1], 0x0112)
    sent.confirm()
    assert sent.story.state == "pending"


def test_object_that_is_sent_again_waits_for_its_turn(database: Database) -> None:
    sent = Sent(database, Asked())
    sent.confirm()
    sent.report(sent.transactions[0], 0x0112)
    sent.handler = replace(sent.handler, settings=settings("storage_commitment", **PATIENT))
    sent.confirm()
    assert (queue_of(database).seconds_until_due((JobKind.DELIVER_RESULT,), lane="pacs") or 0) >= 1700


def test_operator_who_retries_after_a_lasting_refusal_has_it_asked_again(sent: Sent) -> None:
    sent.confirm()
    sent.report(sent.transactions[0], 0x0122)
    assert sent.confirm() == "commitment_class_not_supported"
    sent.retry()
    assert sent.confirm() == "commitment_asked"
    sent.report(sent.transactions[-1], 0x0122)
    assert sent.confirm() == "commitment_class_not_supported"


def test_operator_who_retries_what_took_too_long_has_it_asked_again(database: Database) -> None:
    sent = Sent(database, Asked(), retry_for_days=1e-9)
    sent.confirm()
    sent.handler = replace(sent.handler, settings=settings("storage_commitment", retry_for_days=0.01))
    _make_old(database)
    sent.retry()
    assert sent.confirm() == "commitment_asked"


def _make_old(database: Database) -> None:
    """Everything of the delivery is from before the days for which it is tried."""
    long_ago = datetime.now(UTC) - timedelta(days=1)
    with database.transaction() as session:
        session.execute(update(DeliveryRow).values(created_at=long_ago, sent_at=long_ago))
        session.execute(update(JobRow).values(created_at=long_ago))


def test_delivery_that_is_released_is_tried_again_for_as_long(database: Database) -> None:
    sent = Sent(database, Asked())
    (dead,) = (job.job_id for job in Queries(database).jobs("dead") if job.kind == "deliver_result")
    _make_old(database)
    JobActs(database).act(dead, JobAction.RETRY, SOMEONE)
    (claim,) = queue_of(database).claim((JobKind.DELIVER_RESULT,), "host:sender:1")
    handler = DeliverResult(deliveries=Deliveries(database), spool=None, scu=None, settings=sent.handler.settings)  # type: ignore[arg-type]
    refused = Attempt(verdict=Verdict.RETRY, code="no_association")
    assert handler._retry(claim, Deliveries(database).get(claim.subject), refused).verdict is Verdict.RETRY


def test_report_that_commits_while_it_is_about_to_be_sent_again_stands(sent: Sent) -> None:
    sent.confirm()
    sent.confirm()
    sent.report(sent.transactions[1], 0x0112)
    claim = sent.claim()
    assert sent.report(sent.transactions[0]) is ReportAnswer.TAKEN
    assert sent.handler.confirmations.send_again(claim, code="commitment_not_there", seconds=0) == "committed"
    assert (sent.story.state, "delivery:resent" in sent.events) == ("committed", False)


def test_report_that_changes_nothing_is_no_second_commitment(sent: Sent) -> None:
    sent.confirm()
    sent.confirm()
    for transaction in sent.transactions:
        sent.report(transaction)
    assert sent.events.count("delivery:committed") == 1


def test_answer_is_kept_also_when_the_job_was_taken_away_meanwhile(sent: Sent) -> None:
    claim = sent.claim()
    sent.asked.before_answer = lambda _transaction: JobActs(sent.database).act(claim.job_id, JobAction.HOLD, SOMEONE)
    with pytest.raises(LeaseLostError):
        sent.handler.run(claim)
    assert [(a.code, a.dimse_status) for a in sent.story.tried if a.kind == "commitment"] == [("commitment_asked", "0000")]


def test_only_finds_count_that_did_not_find_it(database: Database) -> None:
    sent = Sent(database, Asked(Answered(verdict=Verdict.RETRY, code="no_association")), "find")
    for _ in range(6):
        sent.confirm()
    sent.asked.answered = Answered(verdict=Verdict.RETRY, code="not_found", dimse_status=0)
    for _ in range(4):
        assert sent.confirm() == "not_found"
    assert sent.story.state == "sent"
    sent.confirm()
    assert sent.story.state == "pending"


def test_commitment_that_never_comes_ends_in_an_alarm(database: Database) -> None:
    sent = Sent(database, Asked(), retry_for_days=1e-9)
    assert sent.confirm() == "confirmation_never_came"
    assert sent.story.state == "sent"
    assert "delivery:unconfirmed" in sent.events


def test_find_is_less_than_committed(database: Database) -> None:
    sent = Sent(database, Asked(Answered(verdict=Verdict.RETRY, code="not_found", dimse_status=0)), "find")
    assert sent.confirm() == "not_found"
    assert sent.story.state == "sent"
    sent.asked.answered = Answered(verdict=Verdict.SENT, code="found", dimse_status=0)
    assert sent.confirm() == "found"
    assert (sent.story.state, sent.story.committed_at) == ("found", None)


def test_what_is_not_found_again_and_again_is_sent_again(database: Database) -> None:
    sent = Sent(database, Asked(Answered(verdict=Verdict.RETRY, code="not_found", dimse_status=0)), "find")
    while sent.story.state == "sent":
        sent.confirm()
    assert len(sent.asked.calls) == 5
    assert sent.story.state == "pending"


def test_deliveries_are_listed_with_every_attempt_its_time_and_its_status(sent: Sent, database_url: str, tmp_path: Path) -> None:
    sent.confirm()
    sent.report(sent.transactions[0], 0x0213)
    config = tmp_path / "config.toml"
    config.write_text(f'[serve]\ndevelopment = true\n[database]\nurl = "{database_url}"\n')
    run = CliRunner(env={"COLUMNS": "400"})
    as_json = run.invoke(app, ["deliveries", STUDY, "--json", "--config", str(config)])
    told = {one["delivery"]["state"]: one["delivery"]["tried"] for one in json.loads(as_json.stdout)}
    assert [(a["kind"], a["code"], a["dimse_status"], a["failure_reason"]) for a in told["sent"]] == [
        ("send", "success", "0000", None),
        ("commitment", "commitment_asked", "0000", "0213"),
    ]
    assert [(a["code"], a["dimse_status"]) for a in told["dead"]] == [("cannot_understand", "C000")]
    assert all(a["started_at"] and a["ended_at"] for tried in told.values() for a in tried)
    table = run.invoke(app, ["deliveries", "--config", str(config)])
    assert "commitment 0000 commitment_asked reported" in table.stdout
    assert (as_json.exit_code, table.exit_code) == (1, 1)
    assert run.invoke(app, ["deliveries", "--state", "sent", "--config", str(config)]).exit_code == 0


def test_what_the_peer_said_is_kept_also_when_the_job_was_taken_away_meanwhile(database: Database) -> None:
    claim, new = finished_report(database)
    ResultSets(database).commit(claim, new)
    (taken, *_) = queue_of(database).claim((JobKind.DELIVER_RESULT,), "host:sender:1")
    JobActs(database).act(taken.job_id, JobAction.HOLD, SOMEONE)
    with pytest.raises(LeaseLostError):
        Deliveries(database).record(taken, Attempt(verdict=Verdict.SENT, code="success", dimse_status=0))
    held = [d for r in Queries(database).explain(STUDY).results for d in r.deliveries if d.state == "held"]
    assert [(a.code, a.dimse_status) for d in held for a in d.tried] == [("success", "0000")]


def test_destination_that_confirms_nothing_is_not_asked(database: Database) -> None:
    sent = Sent(database, Asked(), "none")
    assert sent.confirm() == "not_asked"
    assert sent.asked.calls == []
