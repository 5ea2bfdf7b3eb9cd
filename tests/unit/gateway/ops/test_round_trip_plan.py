"""Where a phantom may go: by the ordinary routes, foretold, and never to a destination that nobody asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.config import Settings, parse_settings
from gateway.domain.check import Standing
from gateway.ops.check_phantom import PATIENT_ID_PREFIX, CheckPhantom, check_phantom
from gateway.ops.round_trip_plan import Plan, Wish, plan_round_trip

RUN = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def site(routes: list[dict[str, Any]], *, classes: dict[str, str] | None = None, **sections: Any) -> Settings:
    destinations = [
        {"name": name, "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": kind}
        for name, kind in (classes or {"pacs": "test"}).items()
    ]
    return parse_settings({"serve": {"development": True}, "routes": routes, "destinations": destinations, **sections})


def phantom(settings: Settings, run: str = RUN) -> CheckPhantom:
    return check_phantom(settings, run, NOW)


def plan(settings: Settings, *chosen: str, named: bool = False, to_clinical: bool = False, cannot_reject: tuple[str, ...] = ()) -> Plan:
    wish = Wish(
        chosen=[one for one in settings.destinations if not chosen or one.name in chosen],
        named=named,
        to_clinical=to_clinical,
        cannot_reject=cannot_reject,
    )
    return plan_round_trip(settings, phantom(settings).dataset, wish, address="127.0.0.1")


def codes(found: Plan) -> list[str]:
    assert all(line.standing is Standing.NOTE for line in found.notes)
    return [line.code for line in found.notes]


ALL = {"name": "r", "policy": "all", "destinations": ["pacs"]}


def test_phantom_goes_where_a_route_sends_everything() -> None:
    found = plan(site([ALL]))
    assert (found.route, [one.name for one in found.destinations], found.notes) == ("r", ["pacs"], ())
    assert found.may_go


@pytest.mark.parametrize("policy", ["shadow", "silent", "positive_only"])
def test_other_policies_let_no_phantom_out_and_that_is_no_failure(policy: str) -> None:
    found = plan(site([{**ALL, "policy": policy}]))
    assert codes(found) == ["shadow"]
    assert not found.may_go


def test_route_of_its_own_lets_it_out_of_a_site_in_shadow() -> None:
    own = {**ALL, "name": "check", "when": {"keyword": "PatientID", "regex": f"^{PATIENT_ID_PREFIX}"}}
    found = plan(site([own, {"name": "default", "policy": "shadow"}]))
    assert (found.route, found.may_go) == ("check", True)


def test_without_a_live_bundle_no_phantom_goes_to_a_class_that_takes_a_live_ones_results() -> None:
    settings = site([ALL], classes={"pacs": "research"})
    wish = Wish(chosen=settings.destinations, named=False, to_clinical=False, closed=("pacs",))
    found = plan_round_trip(settings, phantom(settings).dataset, wish, address="127.0.0.1")
    assert codes(found) == ["bundle_not_live"]
    assert not found.may_go


def test_no_route_at_all() -> None:
    found = plan(site([{**ALL, "when": {"keyword": "Modality", "equals": "MR"}}]))
    assert codes(found) == ["no_route"]


def test_destination_that_the_route_does_not_reach_keeps_no_other_from_it() -> None:
    found = plan(site([ALL], classes={"pacs": "test", "other": "test"}))
    assert codes(found) == ["elsewhere"]
    assert found.may_go


def test_named_destination_that_the_route_does_not_reach_gets_nothing() -> None:
    found = plan(site([ALL], classes={"pacs": "test", "other": "test"}), "other", named=True)
    assert codes(found) == ["elsewhere"]
    assert found.may_go is False


def test_phantom_is_not_sent_where_nobody_asked_for_it() -> None:
    both = {**ALL, "destinations": ["pacs", "other"]}
    found = plan(site([both], classes={"pacs": "test", "other": "test"}), "pacs", named=True)
    assert codes(found) == ["more_destinations"]
    assert not found.may_go


@pytest.mark.parametrize(
    ("named", "to_clinical", "goes"), [(False, False, False), (True, False, False), (False, True, False), (True, True, True)]
)
def test_clinical_destination_needs_its_name_and_the_operators_word(named: bool, to_clinical: bool, goes: bool) -> None:
    found = plan(site([ALL], classes={"pacs": "clinical"}), "pacs", named=named, to_clinical=to_clinical)
    assert found.may_go is goes
    assert codes(found) == ([] if goes else ["clinical"])


def test_destination_that_could_not_be_told_to_forget_it_gets_none() -> None:
    found = plan(site([ALL]), cannot_reject=("pacs",))
    assert codes(found) == ["no_rejection_there"]
    assert not found.may_go


def test_listed_peers_must_admit_the_check_and_their_routes_hold_for_it() -> None:
    modality = {"name": "xray", "ae_title": "XRAY", "routes": ["r"]}
    assert codes(plan(site([ALL], peers=[modality]))) == ["self_not_admitted"]
    us = {"name": "check", "ae_title": "STRNET_CHECK", "addresses": ["127.0.0.1"], "routes": ["quiet"]}
    quiet = {"name": "quiet", "policy": "shadow"}
    assert codes(plan(site([ALL, quiet], peers=[modality, us]))) == ["shadow"]
    assert codes(plan(site([ALL, quiet], peers=[modality, {**us, "addresses": ["192.0.2.1"]}]))) == ["self_not_admitted"]
    assert plan(site([ALL, quiet], peers=[modality, {**us, "routes": ["r"]}])).may_go


def test_phantom_says_of_itself_that_it_is_nobody() -> None:
    made = phantom(site([ALL])).dataset
    assert made.PatientID.startswith(PATIENT_ID_PREFIX)
    assert str(made.PatientName).startswith("PHANTOM")
    assert made.QualityControlSubject == "YES"
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID


def test_two_phantoms_share_nothing_that_a_rule_about_resends_or_corrections_goes_by() -> None:
    settings = site([ALL])
    one, other = phantom(settings).dataset, phantom(settings, RUN[::-1]).dataset
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PixelData"):
        assert one[keyword].value != other[keyword].value, keyword


def test_phantom_is_old_enough_for_the_site_and_taken_now_by_the_modalities_clocks() -> None:
    settings = site([ALL], eligibility={"min_age_years": 80}, results={"timezone": "Asia/Shanghai"})
    made = phantom(settings).dataset
    assert int(made.StudyDate[:4]) - int(made.PatientBirthDate[:4]) == 85
    assert (made.StudyDate, made.StudyTime) == ("20261121", "200000")
