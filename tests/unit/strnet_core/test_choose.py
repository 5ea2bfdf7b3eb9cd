"""Which way to compute is taken: the rule as a table, and refusals with stored reports."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest

from strnet_core import errors
from strnet_core.bundle import ModelBundle
from strnet_core.engines.choose import Evidence, available_profiles, choose, open_engine, read_evidence, wanted
from strnet_core.engines.machine import Machine, has_bfloat16, processor, processor_of, this_machine
from strnet_core.engines.profiles import ALL_PROFILES, REFERENCE, Profile, profile_named
from strnet_core.engines.reports import LIMITS, EquivalenceReport, Figures, judged, mismatch, read_report, report_file, write_report

TORCH_BF16, CUDA, CUDA_BF16, OPENVINO, OPENVINO_BF16 = ALL_PROFILES[1:]
HASH = "ab" * 32
GOOD = Figures(
    images=5, max_logit=1e-4, mean_logit=5e-5, max_score=1e-3, max_t_score=1e-5, max_saliency=1e-4, faint_maps=0, max_batch=0.0,
    decision_flips=0, severity_flips=0, widest_flip=None, nearest_decision=0.1, profile_ms=200.0, reference_ms=300.0,
)  # fmt: skip


def report_on(profile: Profile, **changes) -> EquivalenceReport:
    figures = changes.pop("figures", GOOD)
    return EquivalenceReport(
        **{
            "bundle_hash": HASH, "profile": profile, "reference": REFERENCE, "machine": this_machine(profile), "threads": 2, "figures": figures,
            "limits": LIMITS[profile.arithmetic], "allowed_flips": 0, "reasons": judged(figures, LIMITS[profile.arithmetic]), **changes,
        }
    )  # fmt: skip


def by_hand(engine: str, device: str, available: set[Profile], shares: dict[Profile, float]) -> Profile | str:
    """The rule, written down a second time and in another way."""
    known = {profile.name for profile in ALL_PROFILES} | {"auto", "torch", "openvino"}
    fits = [p for p in ALL_PROFILES if (engine in {"auto", p.engine, p.name}) and device in {"auto", p.device}]
    if engine not in known or not fits:
        return "profile"
    here = [p for p in fits if p in available]
    if not here:
        return "device" if {p.device for p in fits} == {"cuda"} else "profile"
    best: Profile | str = REFERENCE if REFERENCE in here else "equivalence_missing"
    fastest = 1.0 if best == REFERENCE else float("inf")
    for p in here:
        if p != REFERENCE and shares.get(p, float("inf")) < fastest:
            best, fastest = p, shares[p]
    return best


def test_the_choice_follows_the_rule_for_every_request_machine_and_set_of_passed_reports():
    requests = list(itertools.product(("auto", "torch", "openvino", *(p.name for p in ALL_PROFILES), "nonsense"), ("auto", "cpu", "cuda")))
    speeds = {TORCH_BF16: 1.4, CUDA: 0.1, CUDA_BF16: 0.05, OPENVINO: 0.7, OPENVINO_BF16: 0.3}
    others = tuple(speeds)
    seen: set[str] = set()
    for count in range(len(others) + 1):
        for present in itertools.combinations(others, count):
            for passed_count in range(count + 1):
                for passed in itertools.combinations(present, passed_count):
                    available, shares = {REFERENCE, *present}, {p: speeds[p] for p in passed}
                    for engine, device in requests:
                        try:
                            got: Profile | str = choose(engine, device, available, Evidence(time_share=shares))
                        except errors.StrnetError as error:
                            got = error.code
                        assert got == by_hand(engine, device, available, shares), (engine, device, present, passed)
                        seen.add(got if isinstance(got, str) else got.name)
    assert seen == {"profile", "device", "equivalence_missing", *(p.name for p in ALL_PROFILES)}


def test_a_profile_that_passed_but_is_slower_is_left_to_whoever_names_it():
    evidence = Evidence(time_share={OPENVINO: 1.2})
    assert choose("auto", "auto", ALL_PROFILES, evidence) == REFERENCE
    assert choose("openvino", "auto", ALL_PROFILES, evidence) == OPENVINO


def test_a_card_without_a_report_is_not_used():
    assert choose("auto", "auto", (REFERENCE, CUDA, CUDA_BF16), Evidence()) == REFERENCE


def test_the_error_names_each_profile_and_why():
    with pytest.raises(errors.EquivalenceMissingError, match="openvino-cpu-float32: made on another") as caught:
        choose("openvino", "auto", (REFERENCE, OPENVINO), Evidence(refused={OPENVINO: "made on another processor"}))
    assert "strnet bundle equivalence" in str(caught.value)


@pytest.mark.parametrize("profile", ALL_PROFILES)
def test_a_profile_s_name_ends_in_its_arithmetic_and_leads_back_to_it(profile: Profile):
    assert profile.name == f"{profile.engine}-{profile.device}-{profile.arithmetic}"
    assert profile_named(profile.name) == profile
    assert wanted(profile.name, "auto") == (profile,)


def test_a_report_survives_its_file(tmp_path):
    report = report_on(OPENVINO, figures=dataclasses.replace(GOOD, decision_flips=1, widest_flip=1e-4), allowed_flips=1)
    path = write_report(tmp_path / "new", report)
    assert path.name == f"{HASH[:12]}-openvino-cpu-float32.json"
    assert read_report(path) == report
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_report_of_this_bundle_here_and_now_says_something():
    assert mismatch(report_on(OPENVINO), HASH, this_machine(OPENVINO)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bundle_hash": "cd" * 32}, "bundle cdcdcdcdcdcd"),
        ({"machine": Machine(processor="another", versions=this_machine(OPENVINO).versions)}, "another processor"),
        ({"machine": Machine(processor=processor(), versions={"torch": "1.0"})}, "other versions: torch 1.0"),
        ({"reasons": ("1 decisions flipped, allowed 0",)}, "failed: 1 decisions"),
        ({"figures": dataclasses.replace(GOOD, max_saliency=1.1), "reasons": ()}, "failed: a map differs by 1.1"),
    ],
)
def test_a_report_that_does_not_hold_here_opens_nothing(change, reason, tmp_path):
    report = report_on(OPENVINO, **change)
    assert reason in (mismatch(report, HASH, this_machine(OPENVINO)) or "")
    # under the name that is looked for, whatever it holds
    write_report(tmp_path, dataclasses.replace(report, bundle_hash=HASH)).unlink()
    write_report(tmp_path, report).rename(report_file(tmp_path, HASH, OPENVINO))
    evidence = read_evidence(HASH, ALL_PROFILES, tmp_path)
    assert evidence.time_share == {}
    assert reason in evidence.refused[OPENVINO]


def test_a_passed_report_counts_with_its_share_of_the_reference_s_time(tmp_path):
    write_report(tmp_path, report_on(OPENVINO))
    evidence = read_evidence(HASH, (REFERENCE, OPENVINO, OPENVINO_BF16), tmp_path)
    assert evidence.time_share == {OPENVINO: pytest.approx(2 / 3)}
    assert evidence.refused == {OPENVINO_BF16: "no report"}


def test_a_report_under_another_profile_s_name_counts_for_neither(tmp_path):
    write_report(tmp_path, report_on(OPENVINO)).rename(report_file(tmp_path, HASH, OPENVINO_BF16))
    evidence = read_evidence(HASH, (OPENVINO, OPENVINO_BF16), tmp_path)
    assert evidence.time_share == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "not JSON",
        lambda document: json.dumps({**document, "passed": False}),
        lambda document: json.dumps({**document, "reference": OPENVINO.name}),
        lambda document: json.dumps({**document, "extra": 1}),
        lambda document: json.dumps({key: value for key, value in document.items() if key != "figures"}),
        lambda document: json.dumps({**document, "figures": {**document["figures"], "max_logit": "small"}}),
        lambda document: json.dumps({**document, "profile": "torch-tpu-float32"}),
        lambda _: "[]",
    ],
)
def test_a_damaged_report_is_refused_and_is_no_evidence(damage, tmp_path):
    path = write_report(tmp_path, report_on(OPENVINO))
    path.write_text(damage(json.loads(path.read_text())))
    with pytest.raises(errors.EquivalenceReportError):
        read_report(path)
    assert "equivalence report is damaged" in read_evidence(HASH, (OPENVINO,), tmp_path).refused[OPENVINO]


@pytest.mark.parametrize(
    "change",
    [
        {"max_logit": 1.1e-3}, {"max_score": 0.03}, {"max_t_score": 2e-3}, {"max_saliency": 2e-3}, {"max_batch": 2e-3}, {"max_logit": float("nan")},
        {"decision_flips": 1, "widest_flip": 1e-4}, {"severity_flips": 1, "widest_flip": 1e-4}, {"images": 0},
    ],
)  # fmt: skip
def test_each_limit_fails_by_itself(change):
    assert judged(GOOD, LIMITS["float32"]) == ()
    assert len(judged(dataclasses.replace(GOOD, **change), LIMITS["float32"])) == 1


def test_an_allowed_flip_is_excused_only_next_to_the_threshold():
    flipped = dataclasses.replace(GOOD, decision_flips=1, widest_flip=9e-4)
    assert judged(flipped, LIMITS["float32"], 1) == ()
    assert "from the threshold" in judged(dataclasses.replace(flipped, widest_flip=1.1e-3), LIMITS["float32"], 1)[0]


def test_the_reference_opens_without_any_report_and_nothing_else_does(demonstration: ModelBundle, tmp_path):
    assert open_engine(demonstration, "torch-cpu-float32").profile == "torch-cpu-float32"
    for reports in (None, tmp_path):
        with pytest.raises(errors.EquivalenceMissingError):
            open_engine(demonstration, "openvino", reports=reports)
        with pytest.raises(errors.EquivalenceMissingError):
            open_engine(demonstration, "openvino-cpu-float32", reports=reports)


def test_auto_without_reports_is_the_reference(demonstration: ModelBundle, tmp_path):
    assert open_engine(demonstration, device="cpu", reports=tmp_path).profile == REFERENCE.name


def test_auto_takes_the_faster_profile_once_it_has_passed(demonstration: ModelBundle, tmp_path):
    write_report(tmp_path, report_on(OPENVINO, bundle_hash=demonstration.bundle_hash))
    assert open_engine(demonstration, device="cpu", reports=tmp_path).profile == OPENVINO.name


@pytest.mark.parametrize(
    ("engine", "device"), [("jax", "auto"), ("openvino", "cuda"), ("torch-cpu-float32", "cuda"), ("torch-cuda-float32", "cpu")]
)
def test_words_that_fit_no_profile_are_a_coded_error(engine, device, demonstration: ModelBundle):
    with pytest.raises(errors.ProfileUnavailableError):
        open_engine(demonstration, engine, device=device)


def test_bfloat16_is_offered_only_where_the_processor_has_it():
    native = has_bfloat16()
    assert (TORCH_BF16 in available_profiles()) == native
    if not native:
        assert OPENVINO_BF16 not in available_profiles()


CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C
stepping\t: 8
cpu MHz\t\t: 2700.1
flags\t\t: fpu avx2 fma f16c avx512f avx512_bf16 amx_bf16 ht

processor\t: 1
model name\t: never looked at
"""


def test_a_processor_is_its_name_and_what_libraries_choose_by():
    expected = "Intel(R) Xeon(R) Platinum 8481C, cpu family 6, model 143, stepping 8 (avx2 fma f16c avx512f avx512_bf16 amx_bf16)"
    assert processor_of(CPUINFO) == expected
    assert processor_of(CPUINFO.replace("2700.1", "3100.0")) == expected
    assert processor_of(CPUINFO.replace("amx_bf16", "")) != expected
