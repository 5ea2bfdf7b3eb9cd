"""Why results are taken back, and where a note about it is due."""

from __future__ import annotations

import pytest

from gateway.domain.delivery import DeliveryState
from gateway.domain.retraction import RejectionReason, SendRecord, may_have_arrived, needs_note, reason_of_title


@pytest.mark.parametrize(
    ("reason", "code"),
    [("quality", "113001"), ("patient_safety", "113037"), ("worklist", "113038"), ("retention", "113039")],
)
def test_word_and_title_stand_for_each_other(reason: str, code: str) -> None:
    assert RejectionReason(reason).code_value == code
    assert reason_of_title(code) is RejectionReason(reason)


def test_title_of_another_selection_is_no_reason() -> None:
    assert reason_of_title("113000") is None


@pytest.mark.parametrize(
    ("code", "status", "there"),
    [
        ("no_association", None, False),
        ("association_rejected_transient", None, False),
        ("context_refused", None, False),
        ("policy_withdrawn", None, False),
        ("association_lost", None, True),
        ("no_response", None, True),
        ("interrupted", None, True),
        ("tls_untrusted", None, False),
        ("tls_refused", None, True),
        ("retried_too_long", None, True),
        (None, None, True),
        ("out_of_resources", 0xA700, False),
        ("does_not_match", 0xA900, False),
        ("cannot_understand", 0xC000, False),
        ("not_authorized", 0x0124, False),
        ("duplicate", 0x0111, True),
        ("unknown_status", 0x1234, True),
        ("stored", 0x0000, True),
        ("coerced", 0xB000, True),
    ],
)
def test_only_what_is_known_not_to_be_there_needs_no_note(code: str | None, status: int | None, there: bool) -> None:
    assert may_have_arrived(code, status) is there
    record = SendRecord(state=DeliveryState.CANCELLED, was_sent=False, attempts=((code, status),), unanswered=0)
    assert needs_note(record) is there


def test_note_is_due_where_it_arrived_once_or_where_an_end_is_not_known() -> None:
    never = {"state": DeliveryState.PENDING, "was_sent": False, "attempts": (), "unanswered": 0}
    assert not needs_note(SendRecord(**never))  # type: ignore[arg-type]
    for known in ({"state": DeliveryState.COMMITTED}, {"was_sent": True}, {"unanswered": 1}):
        assert needs_note(SendRecord(**{**never, **known}))  # type: ignore[arg-type]
