"""What a role tells its supervisor, and how it learns that it is asked to hand over or alone."""

from __future__ import annotations

import threading
from multiprocessing import Pipe

import pytest

from gateway.app.role_line import HAND_OVER, Phase, RoleLine, Told
from gateway.domain.readiness import Cause


def test_role_tells_each_change_once() -> None:
    ours, theirs = Pipe()
    line = RoleLine(theirs)
    line.standby()
    line.ready()
    line.hindered([])
    line.hindered([Cause.SPOOL_REFUSES])
    line.hindered([Cause.SPOOL_REFUSES])
    heard = []
    while ours.poll():
        heard.append(Told.decoded(ours.recv_bytes()))
    assert heard == [Told(Phase.STANDBY), Told(Phase.READY), Told(Phase.READY, (Cause.SPOOL_REFUSES,))]


@pytest.mark.parametrize("asked", [True, False])
def test_role_ends_when_it_is_asked_to_hand_over_and_when_its_supervisor_is_gone(asked: bool) -> None:
    ours, theirs = Pipe()
    line, stop = RoleLine(theirs), threading.Event()
    line.listen(stop)
    if asked:
        ours.send_bytes(HAND_OVER)
    else:
        ours.close()
    assert stop.wait(30)
    assert line.handing_over.is_set() is asked


@pytest.mark.parametrize("content", [b"", b"{", b'{"phase": "x", "causes": []}', b'{"phase": "ready"}'])
def test_what_no_role_says_is_an_error(content: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        Told.decoded(content)
