"""What `strnet-gateway check` says over each code: whose side has to change, and what. A table; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """Whose configuration or program has to change."""

    GATEWAY = "this gateway"
    DESTINATION = "the destination"
    NETWORK = "the network"
    EITHER = "either side"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """change: with the facts of the finding as {fields}."""

    side: Side
    change: str


REMEDIES: Final[Mapping[str, Remedy]] = {
    # how far the way to a peer came
    "name_unknown": Remedy(
        side=Side.GATEWAY, change="no name service knows {host}: correct `host` of {table}, or the name service of this machine"
    ),
    "connection_refused": Remedy(
        side=Side.DESTINATION, change="nothing listens at {host}:{port}: does the program run there, and is the port the right one?"
    ),
    "connect_timeout": Remedy(
        side=Side.NETWORK, change="{host}:{port} does not answer at all: check the address, the route and the firewalls in between"
    ),
    "unreachable": Remedy(side=Side.NETWORK, change="no way to {host}:{port}: check the address, the route and the firewalls in between"),
    "called_ae_title_unknown": Remedy(
        side=Side.GATEWAY,
        change="the peer at {host}:{port} does not know {ae_title} as its own AE title: write the title that it has (capitals count) as "
        "`ae_title` of {table}",
    ),
    "calling_ae_title_unknown": Remedy(
        side=Side.DESTINATION, change="register {calling_ae_title} with the address of this machine in the peer's list of known AE titles"
    ),
    "rejected_permanently": Remedy(
        side=Side.DESTINATION,
        change="it rejects the association for good and gives no reason of its own ({detail}): its log has it; most often "
        "{calling_ae_title} is not registered there with this machine's address",
    ),
    "rejected_for_now": Remedy(
        side=Side.DESTINATION, change="it takes no more associations at the moment ({detail}): raise its limit, or lower `max_associations`"
    ),
    "association_lost": Remedy(
        side=Side.DESTINATION,
        change="something listens at {host}:{port} and ended the association without an answer: is it a DICOM port, and does it speak "
        "TLS where this side does not?",
    ),
    "no_response": Remedy(
        side=Side.DESTINATION,
        change="something listens at {host}:{port} and does not answer: the program there hangs, or it waits for TLS where this side "
        "speaks plain DICOM; start it anew, or see `tls` of {table}",
    ),
    # TLS
    "tls_wrong_name": Remedy(
        side=Side.EITHER,
        change="the certificate at {host}:{port} is of another name: set `tls_name` to a name that it has, or give the peer a certificate "
        "for {tls_name}",
    ),
    "tls_untrusted": Remedy(
        side=Side.EITHER,
        change="the certificate at {host}:{port} is not of an authority in `tls_authorities`: add the authority that signed it, "
        "or have the peer's certificate signed by one of them",
    ),
    "tls_expired": Remedy(
        side=Side.DESTINATION,
        change="the certificate at {host}:{port} is not valid at this time: have it renewed there, and compare the clocks",
    ),
    "tls_expires_soon": Remedy(side=Side.DESTINATION, change="have it renewed there before it ends"),
    "tls_own_expires_soon": Remedy(side=Side.GATEWAY, change="renew `tls_certificate` of {table} before it ends"),
    "tls_failed": Remedy(
        side=Side.EITHER,
        change="the TLS handshake failed ({detail}): does {host}:{port} speak TLS 1.2 or 1.3, and know our certificate's authority?",
    ),
    "tls_refused": Remedy(
        side=Side.EITHER,
        change="the peer ended the handshake ({detail}): it may want a certificate of ours, or not trust its authority; set "
        "`tls_certificate` and `tls_key` of {table}, and have the authority trusted there",
    ),
    "tls_files": Remedy(side=Side.GATEWAY, change="the files of {table} cannot be used ({detail}): PEM, the key without a password"),
    "tls_off": Remedy(side=Side.NOBODY, change="names and images go over the network readable; set `tls = true` where the peer can"),
    # what the peer takes
    "echo_refused": Remedy(side=Side.NOBODY, change="the peer accepts associations and no C-ECHO; nothing here needs it"),
    "echo_status": Remedy(side=Side.DESTINATION, change="it answered C-ECHO with status {detail}: its log says why"),
    "context_refused": Remedy(
        side=Side.DESTINATION,
        change="the peer does not accept {class_name} ({class_uid}) in {syntax}: enable the class there for {calling_ae_title}",
    ),
    "sr_refused": Remedy(
        side=Side.DESTINATION,
        change="the peer does not accept {class_name} ({class_uid}) in {syntax}: enable the class there for {calling_ae_title}, or choose "
        "another `results.sr_class` that it takes",
    ),
    "rejection_refused": Remedy(
        side=Side.DESTINATION,
        change="the peer does not accept {class_name} ({class_uid}): no result could be recalled there; enable the class, or say "
        '`honours_rejection = "no"` in {table} and let results be deleted there by hand',
    ),
    "rejection_not_honoured": Remedy(side=Side.NOBODY, change="as {table} says: what is recalled must be deleted there by hand"),
    "commitment_refused": Remedy(
        side=Side.EITHER,
        change='the peer offers no storage commitment and {table} asks for it: enable it there, or set `commitment = "find"` or "none"',
    ),
    "find_refused": Remedy(
        side=Side.EITHER,
        change="the peer answers no C-FIND and {table} confirms by it: enable Study Root FIND there for {calling_ae_title}, or set "
        '`commitment = "none"`',
    ),
    "not_used": Remedy(side=Side.NOBODY, change="the configuration does not ask for it"),
    # HTTP
    "http_refused": Remedy(side=Side.DESTINATION, change="it answered with HTTP status {detail}: its log says why"),
    "http_unauthorized": Remedy(
        side=Side.EITHER,
        change="it does not accept our credentials (HTTP {detail}): check `token_file`, or `user` and `password_file`, of {table}",
    ),
    "credentials_unreadable": Remedy(
        side=Side.GATEWAY, change="`token_file` or `password_file` of {table} cannot be used ({detail}): one line of text, readable to us"
    ),
    "search_not_there": Remedy(
        side=Side.NOBODY, change="it does not search; check that `url` is right by sending something: the round trip does"
    ),
    "classes_not_told": Remedy(side=Side.NOBODY, change="the round trip tells whether it takes reports and rejection notes"),
    "http_path": Remedy(
        side=Side.GATEWAY, change="there is no DICOMweb service under that address (HTTP {detail}): check `url` of {table}"
    ),
    "clock_not_told": Remedy(side=Side.NOBODY, change="compare the clocks of both machines by hand; times in results are this gateway's"),
    "clock_differs": Remedy(
        side=Side.EITHER, change="the two clocks differ: check the time synchronisation of both machines; times in results are ours"
    ),
    # the gateway itself
    "configuration_refused": Remedy(side=Side.GATEWAY, change="{detail}"),
    "not_ready": Remedy(side=Side.GATEWAY, change="docs/operations.md says of each what to do; `strnet-gateway status` has the whole"),
    "not_running": Remedy(side=Side.GATEWAY, change="start it: strnet-gateway serve --config {config}"),
    "other_configuration": Remedy(
        side=Side.GATEWAY, change="what runs works by another configuration than this file: send SIGHUP, or name the file with --config"
    ),
    "no_destination": Remedy(side=Side.GATEWAY, change="no [[destinations]] table: results go nowhere"),
    # the round trip
    "first_things": Remedy(side=Side.NOBODY, change="no phantom is sent while anything above is bad: put that right first"),
    "not_asked": Remedy(side=Side.NOBODY, change="leave --no-round-trip out, to send a phantom the whole way"),
    "clinical": Remedy(side=Side.NOBODY, change="a phantom goes to a clinical destination only with its name and --phantom-to-clinical"),
    "shadow": Remedy(
        side=Side.NOBODY,
        change="the route that would take the phantom sends nothing, or not all ({detail}); to try the whole way, give the phantom a "
        'route of its own with policy "all" before it: docs/check.md',
    ),
    "no_route": Remedy(
        side=Side.NOBODY, change="no route takes a phantom from {calling_ae_title} ({detail}): give it one, see docs/check.md"
    ),
    "elsewhere": Remedy(
        side=Side.NOBODY, change="the phantom's route sends to other destinations ({detail}); give it a route of its own: docs/check.md"
    ),
    "more_destinations": Remedy(
        side=Side.NOBODY,
        change="the phantom's route would send it to {detail} too; name them as well, or give it a route of its own: docs/check.md",
    ),
    "bundle_not_live": Remedy(
        side=Side.NOBODY,
        change="no bundle is live: nothing is sent to destinations above class test ({detail}), and no phantom; "
        "`strnet-gateway model list`, docs/validation.md",
    ),
    "no_rejection_there": Remedy(
        side=Side.NOBODY, change="nothing is sent that could not be rejected again; enable Key Object Selection Document there"
    ),
    "self_not_admitted": Remedy(
        side=Side.GATEWAY,
        change="our own receiver does not admit {calling_ae_title} from this machine: add a [[peers]] table for it, see docs/check.md",
    ),
    "self_unreachable": Remedy(
        side=Side.GATEWAY, change="our own receiver does not take the phantom ({detail}): is it running, at {host}:{port}?"
    ),
    "self_refused": Remedy(
        side=Side.GATEWAY, change="our own receiver answered the C-STORE with {detail}: docs/conformance.md has the statuses"
    ),
    "not_assessed": Remedy(
        side=Side.GATEWAY,
        change="the phantom was not assessed ({detail}): [eligibility] and [quality] as they stand refuse it; see explain",
    ),
    "withheld": Remedy(side=Side.GATEWAY, change="its results were withheld ({detail}): docs/outcomes.md says why"),
    "too_slow": Remedy(
        side=Side.GATEWAY, change="not done in time ({detail}): look at `strnet-gateway jobs list`, or give --timeout more seconds"
    ),
    "not_delivered": Remedy(
        side=Side.DESTINATION, change="the results did not arrive ({detail}): `strnet-gateway audit deliveries` has every answer"
    ),
    "not_found": Remedy(
        side=Side.DESTINATION, change="it answered the C-STORE with success, and a C-FIND there does not find it: is it routed on, or held?"
    ),
    "not_queried": Remedy(
        side=Side.NOBODY, change="it answers no C-FIND: that the results are there is known by its C-STORE answers alone"
    ),
    "not_committed": Remedy(
        side=Side.DESTINATION,
        change="it took the request for commitment and did not report ({detail}): its table of AE titles must say that {calling_ae_title} "
        "listens at this machine, port {own_port}",
    ),
    "not_rejected": Remedy(
        side=Side.DESTINATION,
        change="THE PHANTOM IS STILL THERE ({detail}): delete its study there by hand, by the study instance UID on this line",
    ),
}
"""What is to be changed over a code, and on which side."""
