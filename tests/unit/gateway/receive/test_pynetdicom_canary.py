"""Every private or undocumented name of pynetdicom 3.0.4 that the product relies on. A new release must pass here first."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pynetdicom
import pytest
from pynetdicom import _config, _globals, evt, fsm
from pynetdicom.acse import ACSE
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association, ServiceUser
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ASSOCIATE_RQ, A_RELEASE_RQ
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.timer import Timer
from pynetdicom.transport import AddressInformation, AssociationServer, AssociationSocket

METHODS: dict[type, tuple[str, ...]] = {
    Association: (
        "_serve_request",
        "_abort_blocking",
        "abort",
        "bind",
        "get_handlers",
        "kill",
        "run_reactor",
        "set_socket",
        "ae",
        "acse_timeout",
        "network_timeout",
    ),
    ServiceUser: ("supported_contexts", "maximum_length"),
    ACSE: ("negotiate_association", "is_release_requested", "is_aborted", "send_release", "send_reject", "send_abort"),
    DULServiceProvider: ("_decode_pdu", "_process_recv_primitive", "kill_dul", "receive_pdu", "run_reactor", "send_pdu"),
    DIMSEServiceProvider: ("get_msg", "receive_primitive", "send_msg"),
    AssociationSocket: ("_shutdown_socket", "close", "event_queue", "ready", "recv", "send"),
    AssociationServer: ("_bind_defaults", "bind", "server_bind", "server_close", "serve_forever", "shutdown"),
    Timer: ("expired", "remaining", "restart", "start", "stop", "timeout"),
    ApplicationEntity: ("active_associations", "make_server"),
}

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "association": (
        "_accepted_cx",
        "_dul_ready",
        "_is_paused",
        "_kill",
        "_reactor_checkpoint",
        "_sent_abort",
        "_server",
        "_started_dul",
        "acceptor",
        "acse",
        "dimse",
        "dul",
        "is_aborted",
        "is_established",
        "is_rejected",
        "is_released",
        "requestor",
    ),
    "dul": (
        "_idle_timer",
        "_kill_thread",
        "_recv_pdu",
        "artim_timer",
        "event_queue",
        "socket",
        "state_machine",
        "to_provider_queue",
        "to_user_queue",
    ),
    "dimse": ("message", "msg_queue"),
    "user": ("address_info", "ae_title", "implementation_class_uid", "implementation_version_name", "primitive"),
    "message": ("data_set", "encoded_command_set", "_data_set_file", "_data_set_path"),
}


def gone(owner: object, name: str) -> str:
    return f"pynetdicom {pynetdicom.__version__} has no {owner}.{name} any more: gateway/receive relies on it (docs/adr/0013)"


@pytest.fixture
def parts() -> dict[str, Any]:
    association = Association(pynetdicom.AE(), "requestor")
    return {
        "association": association,
        "dul": association.dul,
        "dimse": association.dimse,
        "user": association.requestor,
        "message": DIMSEMessage(),
    }


def test_pinned_release_is_installed() -> None:
    assert pynetdicom.__version__ == "3.0.4"


@pytest.mark.parametrize(
    "name", ["ENFORCE_UID_CONFORMANCE", "UNRESTRICTED_STORAGE_SERVICE", "STORE_RECV_CHUNKED_DATASET", "LOG_HANDLER_LEVEL"]
)
def test_configuration_name_exists(name: str) -> None:
    assert hasattr(_config, name), gone("_config", name)


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in METHODS.items() for name in names])
def test_method_or_property_exists(owner: type, name: str) -> None:
    assert hasattr(owner, name), gone(owner.__name__, name)


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in ATTRIBUTES.items() for name in names])
def test_attribute_exists(parts: dict[str, Any], owner: str, name: str) -> None:
    assert hasattr(parts[owner], name), gone(owner, name)


def test_server_keeps_handlers_in_a_dictionary_by_event() -> None:
    source = inspect.getsource(AssociationServer)
    for name in ("self._handlers", "self.contexts", "self.ae_title", "self.ae._servers.remove"):
        assert name in source, gone("AssociationServer", name)
    assert evt.EVT_C_STORE.is_intervention
    assert evt.EVT_REQUESTED.is_notification


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (ACSE.send_reject, ["result", "source", "diagnostic"]),
        (DIMSEServiceProvider.receive_primitive, ["primitive"]),
        (DULServiceProvider._decode_pdu, ["bytestream"]),
        (Association._serve_request, ["msg", "context_id"]),
        (StorageServiceClass.SCP, ["req", "context"]),
        (AssociationServer.__init__, ["ae", "address", "ae_title", "contexts", "ssl_context", "evt_handlers", "request_handler"]),
        (AssociationSocket.__init__, ["assoc", "client_socket", "address"]),
    ],
)
def test_signature_is_the_known_one(function: Callable[..., Any], names: list[str]) -> None:
    assert list(inspect.signature(function).parameters)[1:] == names, gone(function.__qualname__, "(signature)")


@pytest.mark.parametrize(
    ("event", "state", "action"),
    [
        ("Evt10", "Sta6", "DT-2"),  # the one that gateway/receive/upper_layer.py does itself
        ("Evt17", "Sta2", "AA-5"),
        ("Evt17", "Sta6", "AA-4"),
        ("Evt17", "Sta13", "AR-5"),
        ("Evt18", "Sta2", "AA-2"),
        ("Evt18", "Sta13", "AA-2"),
        ("Evt19", "Sta2", "AA-1"),
        ("Evt19", "Sta3", "AA-8"),
        ("Evt19", "Sta6", "AA-8"),
    ],
)
def test_state_machine_does_what_the_upper_layer_expects(event: str, state: str, action: str) -> None:
    assert fsm.TRANSITION_TABLE[event, state] == action


def test_p_data_in_an_open_association_changes_no_state() -> None:
    assert fsm.ACTIONS["DT-2"][2] in ("Sta6", ["Sta6"], ("Sta6",))
    assert "receive_primitive" in inspect.getsource(fsm.DT_2)


def test_message_whose_data_set_is_exchanged_is_handed_over_with_it(parts: dict[str, Any]) -> None:
    from tests.peers.raw_peer import COMMAND, DX_CONTEXT, LAST, store_command

    dimse, content = parts["dimse"], BytesIO()
    content.write(b"data set")
    for control, part in ((COMMAND | LAST, store_command()), (LAST, b"")):
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[DX_CONTEXT, bytes([control]) + part]]
        dimse.receive_primitive(primitive)
        if control & COMMAND:
            dimse.message.data_set = content
    context, request = dimse.msg_queue.get(block=False)
    assert (context, request.AffectedSOPInstanceUID) == (DX_CONTEXT, "1.2.3.1")
    assert request.DataSet is content
    assert dimse.message is None


def test_provider_can_be_replaced_after_construction(parts: dict[str, Any]) -> None:
    """ACSE, DIMSE and the association ask each other for the provider at each use."""
    association, other = parts["association"], object()
    association.dul = other
    assert association.acse.dul is other
    assert association.dimse.dul is other


def test_event_can_be_made_by_hand(parts: dict[str, Any]) -> None:
    event = evt.Event(parts["association"], evt.EVT_REQUESTED)
    assert event.assoc is parts["association"]
    assert evt.trigger(parts["association"], evt.EVT_REQUESTED) is None


def test_service_user_knows_its_request_only_after_it_came(parts: dict[str, Any]) -> None:
    assert parts["association"].requestor.primitive is None


def test_names_of_the_self_check_exist() -> None:
    assert _globals.APPLICATION_CONTEXT_NAME == "1.2.840.10008.3.1.1.1"
    assert _globals.MODE_ACCEPTOR == "acceptor"
    assert A_ASSOCIATE_RQ.encode
    assert A_RELEASE_RQ.encode
    assert AddressInformation.from_tuple(("127.0.0.1", 104)).as_tuple == ("127.0.0.1", 104)
