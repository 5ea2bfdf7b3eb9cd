"""Whose an image is: the whole table of rulings."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.domain.correction import Likeness, Ruling, gravest, ruling_of


def likeness(**changes: bool | None) -> Likeness:
    base: dict[str, bool | None] = {
        "same_sop_instance": True,
        "same_pixels": True,
        "same_patient": False,
        "names_patient": True,
        "linked": False,
        "one_from_file": False,
        "deidentified": False,
        "settled_before": False,
    }
    return Likeness(**{**base, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "ruling"),
    [
        ({}, Ruling.REPLACES),
        ({"same_patient": True}, Ruling.NOTHING),
        ({"same_pixels": False}, Ruling.NOTHING),
        ({"same_pixels": None}, Ruling.CONTESTED),
        ({"names_patient": False}, Ruling.NOTHING),
        ({"settled_before": True}, Ruling.CONTESTED),
        ({"deidentified": True}, Ruling.REPLACES),
        ({"same_sop_instance": False}, Ruling.CONTESTED),
        ({"same_sop_instance": False, "linked": True}, Ruling.REPLACES),
        ({"same_sop_instance": False, "linked": True, "settled_before": True}, Ruling.CONTESTED),
        ({"same_sop_instance": False, "linked": True, "deidentified": True}, Ruling.NOTHING),
        ({"same_sop_instance": False, "same_pixels": None}, Ruling.NOTHING),
        ({"same_sop_instance": False, "same_pixels": False, "linked": True}, Ruling.NOTHING),
        ({"same_sop_instance": False, "linked": True, "same_patient": True}, Ruling.NOTHING),
        ({"one_from_file": True}, Ruling.FILE_WAITS),
        ({"one_from_file": True, "same_sop_instance": False}, Ruling.FILE_WAITS),
        ({"one_from_file": True, "settled_before": True}, Ruling.FILE_WAITS),
        ({"one_from_file": True, "same_patient": True}, Ruling.NOTHING),
        ({"one_from_file": True, "same_sop_instance": False, "deidentified": True}, Ruling.NOTHING),
    ],
    ids=str,
)
def test_image_under_another_patient_is(changes: dict[str, bool | None], ruling: Ruling) -> None:
    assert ruling_of(likeness(**changes)) is ruling


def every_likeness() -> list[Likeness]:
    booleans = (True, False)
    return [
        Likeness(
            same_sop_instance=sop,
            same_pixels=pixels,
            same_patient=patient,
            names_patient=names,
            linked=linked,
            one_from_file=file,
            deidentified=deidentified,
            settled_before=before,
        )
        for sop, pixels, patient, names, linked, file, deidentified, before in product(
            booleans, (True, False, None), booleans, booleans, booleans, booleans, booleans, booleans
        )
    ]


def test_nothing_that_was_settled_once_is_ever_replaced_by_itself() -> None:
    assert Ruling.REPLACES not in {ruling_of(one) for one in every_likeness() if one.settled_before}


def test_file_never_withdraws_what_was_sent() -> None:
    rulings = {ruling_of(one) for one in every_likeness() if one.one_from_file}
    assert rulings == {Ruling.NOTHING, Ruling.FILE_WAITS}


def test_same_patient_and_other_pixels_never_withdraw_anything() -> None:
    rulings = {ruling_of(one) for one in every_likeness() if one.same_patient or one.same_pixels is False}
    assert rulings == {Ruling.NOTHING}


def test_of_several_older_ones_the_gravest_counts() -> None:
    assert gravest([Ruling.NOTHING, Ruling.CONTESTED, Ruling.REPLACES]) is Ruling.CONTESTED
    assert gravest([]) is Ruling.NOTHING
