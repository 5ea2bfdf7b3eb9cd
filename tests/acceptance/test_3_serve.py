"""What `serve` refuses, how it ends, and what a destination, a policy or a database changes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread

from strnet_core.bundle import load_bundle
from tests.acceptance.serving import Serving, write_config
from tests.acceptance.test_2_kills import data_set, phantom
from tests.peers import dcmtk
from tests.peers.orthanc import Orthanc
from tests.peers.postgresql import free_port
from tests.peers.raw_scu import association, send_bytes

DX, EXPLICIT = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.1.2.1"


def strnet_gateway(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def refused(config: Path, code: int) -> str:
    """What it says. Systemd starts it again after neither 2 nor 78, and after 1."""
    done = strnet_gateway("serve", "--config", str(config))
    assert done.returncode == code
    return done.stderr


def test_serve_refuses_a_set_up_that_nobody_listed_senders_for(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    assert "[[peers]]" in refused(config, 2)


def test_serve_refuses_a_bundle_below_its_destinations_class(tmp_path: Path, demonstration_bundle: Path) -> None:
    config = write_config(tmp_path, bundle=demonstration_bundle, pacs_port=1)
    config.write_text(config.read_text().replace('class = "test"', 'class = "clinical"'))
    said = refused(config, 78)
    assert "intended use" in said
    assert "pacs" in said


def test_serve_refuses_a_bundle_with_one_flipped_bit(tmp_path: Path, demonstration_bundle: Path) -> None:
    bundle = tmp_path / "bundle"
    subprocess.run(["cp", "-r", str(demonstration_bundle), str(bundle)], check=True)
    weights = bytearray((bundle / "weights.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (bundle / "weights.safetensors").write_bytes(weights)
    assert "bundle" in refused(write_config(tmp_path, bundle=bundle), 78).lower()


def test_serve_names_an_unknown_key(tmp_path: Path, demonstration_bundle: Path) -> None:
    config = write_config(tmp_path, bundle=demonstration_bundle, extra="[receivr]\nport = 1")
    assert "receivr: unknown key" in refused(config, 2)


def send(gateway: Serving, number: int, **changes: str) -> str:
    instance = phantom(number)
    for keyword, value in changes.items():
        setattr(instance, keyword, value)
    uid = str(instance.SOPInstanceUID)
    with association(gateway.port, [(DX, EXPLICIT)]) as assoc:
        status, _ = send_bytes(assoc, data_set(instance), sop_class_uid=DX, sop_instance_uid=uid)
    assert status == 0
    return uid


@pytest.fixture(scope="module")
def shadow(tmp_path_factory: pytest.TempPathFactory, demonstration_bundle: Path) -> Serving:
    """A gateway in shadow, with a destination that is configured and must hear nothing."""
    port = free_port()
    serving = Serving(write_config(tmp_path_factory.mktemp("shadow"), bundle=demonstration_bundle, pacs_port=port, policy="shadow")).start()
    yield serving  # type: ignore[misc]
    serving.stop()


CANARIES = {
    "PatientName": "CANARYNAME^CANARYGIVEN",
    "PatientID": "CANARYID77",
    "AccessionNumber": "CANARYACC5",
    "PatientBirthDate": "19410717",
    "StudyDescription": "CANARYSTUDY",
    "SeriesDescription": "CANARYSERIES",
    "InstitutionName": "CANARYHOSPITAL",
    "PatientComments": "CANARYCOMMENT",
}


def test_shadow_keeps_its_results_and_queues_no_delivery(shadow: Serving) -> None:
    uid = send(shadow, 1)
    status = shadow.wait_quiet()
    story = shadow.queries().explain(uid)
    assert {result.release for result in story.results} == {"withheld_shadow"}
    assert status.deliveries == {}


def test_marked_patient_data_is_in_no_log_error_or_status_comment(shadow: Serving) -> None:
    uid = send(shadow, 2, **CANARIES)
    truncated = phantom(3)
    for keyword, value in CANARIES.items():
        setattr(truncated, keyword, value)
    with association(shadow.port, [(DX, EXPLICIT)]) as assoc:
        status, comment = send_bytes(assoc, data_set(truncated)[:-100], sop_class_uid=DX, sop_instance_uid=str(truncated.SOPInstanceUID))
        _, other = send_bytes(assoc, data_set(truncated), sop_class_uid=DX, sop_instance_uid="1.2.3")
    shadow.wait_quiet()
    assert status == 0xC005
    (instance,) = shadow.queries().explain("CANARYACC5").instances
    assert instance.sop_instance_uid == uid
    timeline = strnet_gateway("audit", "timeline", uid, "--json", "--config", str(shadow.config)).stdout
    for text in (shadow.log(), comment, other, timeline):
        assert "CANARY" not in text
        assert "19410717" not in text


def test_spool_that_is_not_the_databases_own_is_refused(tmp_path: Path, demonstration_bundle: Path, cases: Path) -> None:
    config = write_config(tmp_path, bundle=demonstration_bundle)
    assert strnet_gateway("ingest", "--config", str(config), str(cases / "d01_DX_knee_AP_L_12in16_mono2_utf8.dcm")).returncode == 0
    (tmp_path / "spool").rename(tmp_path / "unmounted")
    # a mount may come late
    assert "Mount it" in refused(config, 1)
    assert not (tmp_path / "spool").exists()


def test_two_patients_in_one_study_get_no_result(shadow: Serving) -> None:
    first, second = phantom(4), phantom(5)
    second.StudyInstanceUID, second.PatientID = first.StudyInstanceUID, "SOMEBODY-ELSE"
    with association(shadow.port, [(DX, EXPLICIT)]) as assoc:
        for instance in (first, second):
            send_bytes(assoc, data_set(instance), sop_class_uid=DX, sop_instance_uid=str(instance.SOPInstanceUID))
    shadow.wait_quiet()
    story = shadow.queries().explain(str(first.StudyInstanceUID))
    assert story.results == ()
    assert [(job.state, job.last_code) for job in story.study_jobs] == [("held", "conflict_patient")]


def test_same_uid_with_other_pixels_is_a_conflict_and_with_another_header_a_variant(shadow: Serving) -> None:
    uid = send(shadow, 6)
    shadow.wait_quiet()
    send(shadow, 6, StudyDescription="corrected")
    other = phantom(7)
    other.SOPInstanceUID, other.StudyInstanceUID = uid, phantom(6).StudyInstanceUID
    with association(shadow.port, [(DX, EXPLICIT)]) as assoc:
        send_bytes(assoc, data_set(other), sop_class_uid=DX, sop_instance_uid=uid)
    shadow.wait_quiet()
    story = shadow.queries().explain(uid)
    assert sorted(str(instance.outcome) for instance in story.instances) == ["assessed", "conflict", "variant"]
    assert [result.revision for result in story.results if result.kind == "sr"] == [1]


def test_operator_sees_status_explain_and_timeline_as_json_and_as_tables(shadow: Serving) -> None:
    uid = send(shadow, 1)
    shadow.wait_quiet()
    for command in (["status"], ["explain", uid], ["audit", "timeline", uid], ["jobs", "list"]):
        for form in ([], ["--json"]):
            done = strnet_gateway(*command, *form, "--config", str(shadow.config))
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip()
    assert strnet_gateway("explain", "NOBODY", "--config", str(shadow.config)).returncode == 1


def test_sigterm_drains_and_exits_with_zero_even_with_a_stalled_peer(tmp_path: Path, demonstration_bundle: Path) -> None:
    config = write_config(tmp_path, bundle=demonstration_bundle)
    config.write_text(config.read_text().replace("grace_seconds = 20", "grace_seconds = 8"))
    gateway = Serving(config).start()
    with socket.create_connection(("127.0.0.1", gateway.port)) as stalled:
        stalled.sendall(b"\x01\x00")
        assert gateway.stop() == 0
    stopped = {line["role"]: line["exit_code"] for line in gateway.lines() if line["event"] == "role:stopped"}
    assert stopped == {"receiver": 0, "worker": 0, "sender": 0}, gateway.log()


def test_sigterm_before_any_role_has_begun_is_a_clean_end(tmp_path: Path, demonstration_bundle: Path) -> None:
    gateway = Serving(write_config(tmp_path, bundle=demonstration_bundle))
    gateway.launch()
    gateway.wait_for(lambda: any(line["event"] == "gateway:started" for line in gateway.lines()), 60, "it does not begin")
    assert gateway.stop() == 0
    assert not [line for line in gateway.lines() if line["event"] == "role:died"]


def test_missing_bundle_is_nothing_that_starting_again_cures(tmp_path: Path) -> None:
    config = write_config(tmp_path, bundle=tmp_path / "nowhere")
    config.write_text(config.read_text().replace("development = true", "", 1) + '[[peers]]\nname = "x"\nae_title = "X"\naddresses = []\n')
    assert "bundle" in refused(config, 78)


def test_retired_bundle_is_nothing_that_starting_again_cures(tmp_path: Path, demonstration_bundle: Path) -> None:
    config = write_config(tmp_path, bundle=demonstration_bundle)
    assert Serving(config, roles=("receiver",)).start().stop() == 0
    retired = load_bundle(demonstration_bundle).bundle_hash
    assert strnet_gateway("model", "retire", retired, "--by", "anna", "--reason", "INC-1", "--config", str(config)).returncode == 0
    assert "recalled" in refused(config, 78)


def test_role_that_dies_while_it_drains_is_no_clean_end(tmp_path: Path, demonstration_bundle: Path) -> None:
    gateway = Serving(write_config(tmp_path, bundle=demonstration_bundle), roles=("receiver",)).start()
    pid = gateway.pid("receiver")
    assert pid is not None
    with association(gateway.port, [(DX, EXPLICIT)]), ThreadPoolExecutor(1) as stopper:
        ended = stopper.submit(gateway.stop)
        gateway.wait_for(lambda: rejected(gateway.port), 30, "it does not drain")
        os.kill(pid, signal.SIGKILL)
        assert ended.result(60) == 1
    died = [(line["role"], line["exit_code"]) for line in gateway.lines() if line["event"] == "role:died"]
    assert died == [("receiver", -signal.SIGKILL)]


def rejected(port: int) -> bool:
    with association(port, [(DX, EXPLICIT)]) as assoc:
        return bool(assoc.is_rejected)


def test_late_sibling_gives_a_revision_that_names_its_predecessor_on_postgresql(
    own_gateway: Serving, own_pacs: Orthanc, tmp_path: Path
) -> None:
    first = phantom(1)
    send(own_gateway, 1)
    own_gateway.wait_quiet()
    send(own_gateway, 2, StudyInstanceUID=first.StudyInstanceUID, PatientID=first.PatientID, PatientName=first.PatientName)
    own_gateway.wait_quiet()
    reports = [r for r in own_gateway.queries().explain(str(first.StudyInstanceUID)).results if r.kind == "sr"]
    assert [report.revision for report in reports] == [1, 2]
    assert reports[1].predecessor_uid == reports[0].sop_instance_uid
    held = own_pacs.instances()
    newest = tmp_path / "newest.dcm"
    newest.write_bytes(own_pacs.file(held[reports[1].sop_instance_uid]["orthanc"]))
    predecessor = dcmread(newest).PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == reports[0].sop_instance_uid


def test_dead_pacs_holds_nothing_up_and_gets_each_result_once_when_it_is_back(tmp_path: Path, demonstration_bundle: Path) -> None:
    dcmtk.need()
    orthanc = Orthanc()
    gateway = Serving(write_config(tmp_path, bundle=demonstration_bundle, pacs_port=orthanc.dicom_port)).start()
    try:
        uid = send(gateway, 1)
        gateway.wait_for(
            lambda: any(d.attempts > 1 for r in gateway.queries().explain(uid).results for d in r.deliveries), 120, "no second attempt"
        )
        assert dcmtk.echoscu(gateway.port) == 0
        orthanc.start()
        status = gateway.wait_quiet()
        assert status.deliveries == {"pacs sent": 3}
        assert len(orthanc.instances()) == 3
    finally:
        gateway.stop()
        orthanc.stop()


def test_demo_runs_the_main_job_and_its_results_are_there(tmp_path: Path) -> None:
    done = strnet_gateway("demo", "--folder", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "23,945,571 parameters" in done.stdout
    rendered = sorted(path.suffix for path in (tmp_path / "demo/results").iterdir())
    assert rendered.count(".txt") == 5
    assert rendered.count(".png") >= 6
    text = next(path for path in (tmp_path / "demo/results").iterdir() if path.suffix == ".txt").read_text()
    assert "not for clinical use" in text


def test_demo_leaves_a_folder_that_is_not_its_own_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    assert strnet_gateway("demo", "--folder", str(tmp_path)).returncode == 1
    assert (tmp_path / "precious").read_text() == "x"


def test_routes_test_stores_nothing(tmp_path: Path, cases: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[serve]\ndevelopment = true\n")
    done = strnet_gateway("routes", "test", "--json", "--config", str(config), str(cases / "d01_DX_knee_AP_L_12in16_mono2_utf8.dcm"))
    assert done.returncode == 0
    assert '"eligible (header)"' in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_port_that_stays_taken_ends_serve_with_the_remedy(tmp_path: Path, demonstration_bundle: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = write_config(tmp_path, bundle=demonstration_bundle)
        text = config.read_text().replace("port = 0", f"port = {taken.getsockname()[1]}", 1)
        config.write_text(text.replace("grace_seconds = 20", "grace_seconds = 1"))
        done = strnet_gateway("serve", "--config", str(config))
    assert done.returncode == 78
    assert "End what uses the port" in done.stderr
