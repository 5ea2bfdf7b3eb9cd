from __future__ import annotations

import pytest

from gateway.dicom.part10 import Defect, DefectiveDatasetError
from gateway.errors import DatabaseUnavailableError, GatewayError, SpoolError
from gateway.receive import dimse_status
from gateway.receive.dimse_status import Answer, answer_for


def test_every_defect_has_a_status_of_its_own_in_the_range_of_cannot_understand() -> None:
    statuses = [answer_for(DefectiveDatasetError(defect)).status for defect in Defect]
    assert len(set(statuses)) == len(Defect)
    assert all(0xC000 <= status <= 0xC0FF for status in statuses)


@pytest.mark.parametrize(("error", "status"), [(SpoolError(), 0xA700), (DatabaseUnavailableError(), 0xA700), (GatewayError(), 0x0110)])
def test_error_is_translated_to_its_status(error: GatewayError, status: int) -> None:
    assert answer_for(error).status == status


def test_comments_fit_their_element() -> None:
    answers = [answer_for(DefectiveDatasetError(defect)) for defect in Defect]
    answers += [value for value in vars(dimse_status).values() if isinstance(value, Answer)]
    assert all(len(answer.comment) <= 64 for answer in answers)
