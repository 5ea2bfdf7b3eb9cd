"""Shows results in OHIF over Orthanc and in DCMTK's and Orthanc's own views. Exit 0: all seen; 1: something missed; 2: a peer is not here."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.peers import orthanc

from .findings import Findings
from .reports import DSR2HTML, html_text, statements, unshown
from .site import Site
from .studies import ViewedStudy, part10, studies

HERE = Path(__file__).parent
CONFIGURATION = HERE / "ohif" / "app-config.js"


def missing(viewer: Path) -> list[str]:
    """What is not installed, as a reader would look for it."""
    needed = {
        "chromium": Path("/usr/bin/chromium"),
        "orthanc": orthanc.BINARY,
        "orthanc-dicomweb": orthanc.DICOMWEB,
        "dcmtk": DSR2HTML,
        "@ohif/app": viewer / "index.html",
    }
    absent = [name for name, path in needed.items() if not path.exists()]
    return absent if importlib.util.find_spec("playwright") else [*absent, "playwright"]


@contextmanager
def served(viewer: Path, shown: Sequence[ViewedStudy]) -> Iterator[tuple[str, orthanc.Orthanc, dict[str, str]]]:
    """(address, Orthanc, its identifiers by SOP Instance UID): the viewer over a private Orthanc that holds the studies."""
    site = Site(viewer, CONFIGURATION)
    site.start()
    pacs = orthanc.Orthanc(dicomweb_host=site.host)
    try:
        pacs.start()
        site.pacs_port = pacs.http_port
        held = {}
        for study in shown:
            # results first: the order of arrival must not decide what a reader sees first
            for result in study.results:
                held[result.sop_instance_uid] = pacs.upload(result.content)
            for image in study.images:
                held[str(image.SOPInstanceUID)] = pacs.upload(part10(image))
        yield site.url, pacs, held
    finally:
        pacs.stop()
        site.stop()
        shutil.rmtree(pacs.folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.viewer", description=__doc__)
    parser.add_argument("--viewer", type=Path, required=True, help="the `dist` folder of @ohif/app")
    parser.add_argument("--pictures", type=Path, default=Path("out/viewer"), help="screenshots go here")
    options = parser.parse_args(arguments)
    absent = missing(options.viewer)
    if absent:
        sys.stderr.write(f"missing: {', '.join(absent)}; make viewer PEERS=install installs them\n")
        return 2
    return run(options.viewer, options.pictures)


def run(viewer: Path, pictures: Path) -> int:
    from .browser import reader  # playwright is in the dev extra: its absence is said by main
    from .checks import Visit

    findings = Findings()
    shown = studies()
    with served(viewer, shown) as (url, pacs, held):
        for study in shown:
            print(f"{study.name}: without a viewer", flush=True)
            _as_html(study, findings)
            _previews(study, pacs, held, findings)
        with reader(url) as window:
            rows = window.study_list(len(shown))
            window.picture(pictures / "study-list.png")
            print("study list", flush=True)
            for study, row in zip(shown, sorted(rows), strict=True):
                findings.saw(row)
                if str(study.images[0].PatientID) not in row or not {"DX", "OT", "SR"} <= set(row.replace("\\", " ").split()):
                    findings.missed(f"{study.name} is not in the study list with its modalities")
            for study in shown:
                print(f"{study.name}: in OHIF", flush=True)
                Visit(study=study, reader=window, findings=findings, pictures=pictures).check()
            for problem in dict.fromkeys(window.problems):
                findings.missed(f"browser: {problem}")
            print(f"errors of OHIF's own, tolerated: {len(window.tolerated)}", flush=True)
    print(json.dumps({"pages": findings.pages, "labels": findings.labels, "errors": len(findings.errors)}))
    return 1 if findings.errors else 0


def _as_html(study: ViewedStudy, findings: Findings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.dcm"
        file.write_bytes(study.report.content)
        absent = unshown(study.report.content, html_text(file))
    findings.saw(f"dsr2html: {len(statements(study.report.content)) - len(absent)} of {len(statements(study.report.content))} items shown")
    for one in absent:
        findings.missed(f"{study.name}: dsr2html does not show {one.name} with its value")


def _previews(study: ViewedStudy, pacs: orthanc.Orthanc, held: dict[str, str], findings: Findings) -> None:
    for page in study.pages:
        status, kind, content = pacs.preview(held[page.sop_instance_uid])
        if status != 200 or kind != "image/png":
            findings.missed(f"{study.name}: Orthanc's preview of {page.kind} is HTTP {status}, {kind}")
            continue
        findings.saw(f"Orthanc's preview of {page.kind}: HTTP 200, {kind}, {Image.open(BytesIO(content)).size}")


if __name__ == "__main__":
    raise SystemExit(main())
