"""Every private or undocumented name of pynetdicom 3.0.4 that the product relies on. A new release must pass here first."""

from __future__ import annotations

import inspect
import threading

import pynetdicom
from pynetdicom import _config
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket


def test_pinned_release_is_installed() -> None:
    assert pynetdicom.__version__ == "3.0.4"


def test_configuration_names_exist() -> None:
    for name in ("ENFORCE_UID_CONFORMANCE", "UNRESTRICTED_STORAGE_SERVICE", "STORE_RECV_CHUNKED_DATASET", "LOG_HANDLER_LEVEL"):
        assert hasattr(_config, name)


def test_association_can_be_rejected_before_negotiation() -> None:
    assert list(inspect.signature(ACSE.send_reject).parameters)[1:] == ["result", "source", "diagnostic"]
    assert "is_rejected" in inspect.getsource(Association.run_reactor)


def test_connection_of_a_stalled_peer_can_be_reached() -> None:
    association = Association(pynetdicom.AE(), "requestor")
    assert association.dul.socket is None
    assert "self.socket" in inspect.getsource(AssociationSocket.__init__)


def test_active_associations_are_threads_that_tell_their_state() -> None:
    assert issubclass(Association, threading.Thread)
    assert {"is_rejected", "is_established"} <= set(vars(Association(pynetdicom.AE(), "requestor"))) | set(dir(Association))
