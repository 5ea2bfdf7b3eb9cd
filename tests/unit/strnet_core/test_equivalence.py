from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from strnet_core.bundle import ModelBundle, decision_logit
from strnet_core.cli.main import app
from strnet_core.engines.base import Covariates, Engine, Prediction
from strnet_core.engines.choose import open_engine
from strnet_core.engines.equivalence import Pair, batch_difference, compare, figures_of, golden_images, report_on
from strnet_core.engines.films import films_in, knees_on
from strnet_core.engines.profiles import profile_named
from strnet_core.engines.reports import LIMITS, judged, report_file
from strnet_core.errors import EquivalenceMissingError
from strnet_core.radiograph import read_image
from tests.unit.strnet_core.dicom_files import ramp, write

OPENVINO = profile_named("openvino-cpu-float32")


def prediction(
    logit: float, severity: float = 0.0, peak: float = 1.0, t_score: float = -1.0, profile: str = "torch-cpu-float32"
) -> Prediction:
    saliency = np.zeros((16, 16), np.float32)
    saliency[3, 4] = peak
    return Prediction(screening_logit=logit, severity_logit=severity, t_score=t_score, saliency=saliency, profile=profile)


def pair(reference: Prediction, other: Prediction, reference_ms: float = 300.0, profile_ms: float = 200.0) -> Pair:
    return Pair(reference=reference, profile=other, reference_ms=reference_ms, profile_ms=profile_ms)


@pytest.fixture
def tau(demonstration: ModelBundle) -> float:
    assert demonstration.screening_threshold is not None
    return decision_logit(demonstration.screening_threshold)


def test_figures_are_the_largest_of_each_kind(demonstration: ModelBundle):
    pairs = [
        pair(prediction(2.0), prediction(2.5, severity=0.1), 310.0, 190.0),
        pair(prediction(-2.0, peak=2.0), prediction(-2.0, peak=1.8, t_score=-1.25), 290.0, 230.0),
        pair(prediction(-3.0), prediction(-3.0)),
    ]
    figures = figures_of(pairs, demonstration, 0.25)
    assert figures.images == 3
    assert figures.max_logit == pytest.approx(0.5)
    assert figures.mean_logit == pytest.approx(0.5 / 3)
    assert figures.max_score == pytest.approx(4.334, abs=1e-2)
    assert figures.max_t_score == pytest.approx(0.25)
    assert figures.max_saliency == pytest.approx(0.1, abs=1e-6)
    assert (figures.profile_ms, figures.reference_ms, figures.max_batch) == (200.0, 300.0, 0.25)
    assert (figures.decision_flips, figures.severity_flips, figures.widest_flip) == (0, 0, None)


def test_a_faint_map_is_compared_on_the_scale_of_the_others(demonstration: ModelBundle):
    ordinary = [pair(prediction(1.0), prediction(1.0))] * 3
    faint = pair(prediction(1.0, peak=1e-6), prediction(1.0, peak=2e-6))
    figures = figures_of([*ordinary, faint], demonstration, 0.0)
    assert figures.faint_maps == 1
    assert figures.max_saliency == pytest.approx(1e-4)
    # a map out of nothing is no faint difference
    assert figures_of(
        [*ordinary, pair(prediction(1.0, peak=0.0), prediction(1.0, peak=1.0))], demonstration, 0.0
    ).max_saliency == pytest.approx(100.0)


def test_maps_that_are_all_zero_are_equal_only_to_zero(demonstration: ModelBundle):
    zero = prediction(1.0, peak=0.0)
    assert figures_of([pair(zero, zero)], demonstration, 0.0).max_saliency == 0.0
    assert figures_of([pair(zero, prediction(1.0, peak=0.1))], demonstration, 0.0).max_saliency == float("inf")


def test_flips_are_counted_with_the_reference_s_distance_from_the_threshold(demonstration: ModelBundle, tau: float):
    pairs = [
        pair(prediction(tau + 0.01), prediction(tau - 0.01)),
        pair(prediction(tau - 0.03), prediction(tau)),  # equality counts as reached
        pair(prediction(tau + 1.0, severity=0.2), prediction(tau + 1.0, severity=-0.2)),
        pair(prediction(tau - 1.0, severity=0.2), prediction(tau - 1.0, severity=-0.2)),  # severity means nothing here
    ]
    figures = figures_of(pairs, demonstration, 0.0)
    assert (figures.decision_flips, figures.severity_flips) == (2, 1)
    assert figures.widest_flip == pytest.approx(0.2)
    assert figures.nearest_decision == pytest.approx(0.01)


def test_a_bundle_without_thresholds_has_no_decisions_to_flip(demonstration: ModelBundle):
    bare = dataclasses.replace(demonstration, screening_threshold=None)
    figures = figures_of([pair(prediction(1.0), prediction(-1.0))], bare, 0.0)
    assert (figures.decision_flips, figures.widest_flip, figures.nearest_decision) == (0, None, None)


class Fake:
    """Answers from the image's first pixel; `shift` is added in batches."""

    def __init__(self, profile: str, shift: float = 0.0) -> None:
        self.profile, self.shift = profile, shift
        self.calls: list[tuple[int, Covariates | None]] = []

    def predict(self, images, covariates):
        self.calls.append((int(images[0, 0, 0]), covariates[0]))
        extra = self.shift if len(images) > 1 else 0.0
        return tuple(prediction(float(image[0, 0]) + extra, profile=self.profile) for image in images)


def numbered(count: int) -> list[np.ndarray]:
    return [np.full((512, 512), n, np.uint8) for n in range(count)]


def test_every_image_goes_through_each_with_the_same_covariates():
    reference, other = Fake("torch-cpu-float32"), Fake("openvino-cpu-float32")
    pairs = compare(reference, [other], numbered(4))["openvino-cpu-float32"]
    assert [each.reference.screening_logit for each in pairs] == [0, 1, 2, 3]
    assert reference.calls == other.calls
    assert all(values is not None for _, values in reference.calls)


def test_an_engine_that_mixes_up_a_batch_is_noticed():
    assert batch_difference(Fake("openvino-cpu-float32"), numbered(3)) == 0.0
    assert batch_difference(Fake("openvino-cpu-float32", shift=0.5), numbered(3)) == pytest.approx(0.5)


def test_a_result_that_another_profile_computed_passes_for_nothing(demonstration: ModelBundle):
    pairs = [pair(prediction(1.0), prediction(1.0, profile="torch-cpu-float32"))]
    report = report_on(Fake("openvino-cpu-float32"), pairs, demonstration, threads=2)
    assert report.reasons == ("torch-cpu-float32 computed some of it",)


def test_openvino_passes_on_golden_knees_and_a_map_upside_down_does_not(
    demonstration: ModelBundle, engine: Engine, openvino_engine: Engine
):
    images = golden_images(demonstration)[:2]
    pairs = compare(engine, [openvino_engine], images)[openvino_engine.profile]
    figures = figures_of(pairs, demonstration, 0.0)
    assert judged(figures, LIMITS["float32"]) == ()
    turned = [
        dataclasses.replace(each, profile=dataclasses.replace(each.profile, saliency=each.profile.saliency[::-1].copy())) for each in pairs
    ]
    (reason,) = judged(figures_of(turned, demonstration, 0.0), LIMITS["float32"])
    assert reason.startswith("a map differs")


def test_films_of_a_folder_are_cut_into_knees(demonstration: ModelBundle, tmp_path):
    write(tmp_path / "b.dcm", ramp(200, 160))
    (tmp_path / "README.md").write_text("no film")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert [film.name for film in films_in(tmp_path)] == ["b.dcm"]
    for knee in knees_on(tmp_path / "b.dcm", demonstration.preprocessing):
        assert knee.shape == (512, 512)
        assert knee.dtype == np.uint8


def test_both_knees_of_a_film_are_compared(knee_films, demonstration: ModelBundle):
    from strnet_core.knees import count_knees

    film = next(film for film in films_in(knee_films) if count_knees(read_image(film)).knees == 2)
    assert len(list(knees_on(film, demonstration.preprocessing))) == 2


@pytest.fixture
def command(demonstration: ModelBundle):
    return lambda *words: CliRunner().invoke(app, ["bundle", "equivalence", str(demonstration.folder), *map(str, words)])


def test_the_command_writes_a_report_that_opens_the_engine(command, demonstration: ModelBundle, tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    write(films / "good.dcm", ramp(200, 160))
    (films / "bad.dcm").write_bytes(b"rubbish")
    result = command("--reports", tmp_path / "reports", "--images", films, "--profile", "openvino-cpu-float32", "--allowed-flips", "1")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout.strip().splitlines()[-1])
    assert (summary["passed"], summary["films"], summary["unreadable"]) == (True, 1, 1)
    assert "bad.dcm (unreadable)" in result.output
    (report,) = summary["reports"]
    assert report["figures"]["images"] >= 5
    assert report["allowed_flips"] == 1
    assert report["file"] == f"{demonstration.bundle_hash[:12]}-openvino-cpu-float32.json"
    assert open_engine(demonstration, "openvino", reports=tmp_path / "reports").profile == "openvino-cpu-float32"


def test_a_profile_that_fails_exits_with_1_and_opens_nothing(
    command, demonstration: ModelBundle, engine: Engine, openvino_engine: Engine, tmp_path, monkeypatch
):
    opened = {each.profile: each for each in (engine, openvino_engine)}
    monkeypatch.setattr("strnet_core.engines.choose.open_profile", lambda _bundle, profile, *_, **__: opened[profile.name])
    strict = dataclasses.replace(LIMITS["float32"], saliency=0.0)
    monkeypatch.setattr("strnet_core.engines.equivalence.LIMITS", {"float32": strict})
    monkeypatch.setattr("strnet_core.engines.reports.LIMITS", {"float32": strict})
    monkeypatch.setattr("strnet_core.engines.equivalence.golden_images", lambda bundle: golden_images(bundle)[:1])
    result = command("--reports", tmp_path, "--profile", "openvino-cpu-float32")
    assert result.exit_code == 1, result.output
    assert "openvino-cpu-float32: a map differs" in result.output
    assert json.loads(report_file(tmp_path, demonstration.bundle_hash, OPENVINO).read_text())["passed"] is False
    with pytest.raises(EquivalenceMissingError, match="failed: a map differs"):
        open_engine(demonstration, "openvino", reports=tmp_path)


@pytest.mark.parametrize("profile", ["torch-cpu-float32", "torch-tpu-float32"])
def test_what_cannot_be_compared_exits_with_1(command, profile, tmp_path):
    result = command("--reports", tmp_path, "--profile", profile)
    assert result.exit_code == 1
    assert "profile:" in result.output
