"""The commit protocol as the kernel sees it, and what becomes of an fsync that fails: a real receiver under strace."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.app.role import EXIT_DISK
from gateway.store.database import Database
from gateway.store.tables import InstanceRow, ReceiptRow
from tests.integration.test_receiver import DX, EXPLICIT, dx
from tests.peers.raw_scu import association, send_bytes
from tests.peers.receiver_process import ReceiverProcess

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(STRACE is None, reason="strace is not installed (make test PEERS=install)")
CALLS = "fsync,fdatasync,rename,sendto,sendmsg"


@dataclass(frozen=True)
class Call:
    """began, ended: places in the trace; result: as printed."""

    thread: str
    name: str
    arguments: str
    began: int
    ended: int
    result: str


def traced(*inject: str, trace: Path) -> tuple[str, ...]:
    assert STRACE is not None
    options = [part for one in inject for part in ("-e", f"inject={one}")]
    # -y: names behind descriptors; -D is not used, so that the exit code is the receiver's
    return (STRACE, "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", *options, "-o", str(trace))


def calls(trace: Path) -> list[Call]:
    """Calls of all threads; one that another interrupted in the trace is put together again."""
    begun: dict[tuple[str, str], tuple[int, str]] = {}
    found: list[Call] = []
    for place, line in enumerate(trace.read_text(errors="replace").splitlines()):
        whole = re.match(r"(\d+) +(\w+)\((.*)\) += (.*)$", line)
        start = re.match(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$", line)
        end = re.match(r"(\d+) +<\.\.\. (\w+) resumed>.*\) += (.*)$", line)
        if whole:
            found.append(Call(whole[1], whole[2], whole[3], place, place, whole[4]))
        elif start:
            begun[start[1], start[2]] = place, start[3]
        elif end and (end[1], end[2]) in begun:
            began, arguments = begun.pop((end[1], end[2]))
            found.append(Call(end[1], end[2], arguments, began, place, end[3]))
    return sorted(found, key=lambda call: call.ended)


def send_one(receiver: ReceiverProcess) -> int | None:
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        return send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0]


def rows(receiver: ReceiverProcess, row: type[InstanceRow | ReceiptRow]) -> int:
    database = Database(receiver.database_url)
    try:
        with database.reading() as session:
            return session.scalar(select(func.count()).select_from(row)) or 0
    finally:
        database.close()


def files(receiver: ReceiverProcess) -> list[Path]:
    return [path for path in (receiver.folder / "spool/instance").rglob("*") if path.is_file()]


def test_answer_leaves_after_file_rename_folder_and_commit_are_durable(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with ReceiverProcess(tmp_path, wrapper=traced(trace=trace)) as receiver:
        assert send_one(receiver) == 0
    seen = calls(trace)
    (renamed,) = [call for call in seen if call.name == "rename" and ".part" in call.arguments]
    (file_synced,) = [call for call in seen if call.name == "fsync" and ".part>" in call.arguments]
    (folder_synced,) = [call for call in seen if call.name == "fsync" and re.search(r"/spool/instance/[0-9a-f]{2}>", call.arguments)]
    answer = next(call for call in seen if call.name in ("sendto", "sendmsg") and call.ended > folder_synced.ended)
    committed = [call for call in seen if "-wal>" in call.arguments and call.began > folder_synced.ended and call.ended < answer.began]
    assert {call.result for call in (renamed, file_synced, folder_synced, *committed)} == {"0"}
    assert file_synced.ended < renamed.began
    assert renamed.ended < folder_synced.began
    assert committed
    # before it there was only the acceptance of the association
    assert len([call for call in seen if call.name in ("sendto", "sendmsg") and call.ended < answer.began and "TCP" in call.arguments]) <= 1


@pytest.mark.parametrize("failing", [1, 2], ids=["file", "folder"])
def test_failed_fsync_is_answered_a700_not_tried_again_and_ends_the_receiver(tmp_path: Path, failing: int) -> None:
    trace = tmp_path / "trace"
    with ReceiverProcess(tmp_path, wrapper=traced(f"fsync:error=EIO:when={failing}", trace=trace)) as receiver:
        assert send_one(receiver) == 0xA700
        assert receiver.wait() == EXIT_DISK
        synced = [call.result for call in calls(trace) if call.name == "fsync" and "/spool/" in call.arguments]
    assert [result[:6] for result in synced] == ["0"] * (failing - 1) + ["-1 EIO"]
    assert rows(receiver, InstanceRow) == 0


def test_failed_fsync_of_the_database_is_answered_a700_and_ends_the_receiver(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    with ReceiverProcess(before, wrapper=traced(trace=before / "trace")) as clean:
        assert send_one(clean) == 0
    seen = calls(before / "trace")
    renamed = next(call for call in seen if call.name == "rename" and ".part" in call.arguments)
    # strace counts the calls of each thread by itself
    commits = [call for call in seen if call.name == "fdatasync" and call.thread == renamed.thread and call.ended < renamed.began]
    trace = tmp_path / "trace"
    with ReceiverProcess(tmp_path, wrapper=traced(f"fdatasync:error=EIO:when={len(commits) + 1}", trace=trace)) as receiver:
        assert send_one(receiver) == 0xA700
        assert receiver.wait() == EXIT_DISK
    assert any(call.result.startswith("-1 EIO") and "-wal>" in call.arguments for call in calls(trace))
    assert rows(receiver, ReceiptRow) == 0
    # the file stays for the sweep: nothing was promised for it
    assert len(files(receiver)) == 1
