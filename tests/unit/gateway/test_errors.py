"""The error tree as a table: each class with its code and what becomes of a job that meets it. A new class needs a line here."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import pytest

from gateway.domain.job import JobAction
from gateway.domain.outcome import InstanceOutcome
from gateway.errors import GatewayError
from gateway.workers.retry import Backoff, RetryPolicy, decide
from tests.conftest import ROOT

RETRIED, DEAD, HELD = "retried, dead after max_attempts", "dead at once", "held"
ENVIRONMENTAL = "retried without end"

TABLE: Final = {
    "GatewayError": ("failed_internal", DEAD),
    "UnexpectedError": ("failed_internal", RETRIED),
    # the audit store and the spool: no job is to blame
    "DatabaseUnavailableError": ("failed_database", ENVIRONMENTAL),
    "TransactionVictimError": ("transaction_victim", ENVIRONMENTAL),
    "DatabaseNotDurableError": ("database_not_durable", ENVIRONMENTAL),
    "DatabaseDamagedError": ("database_damaged", ENVIRONMENTAL),
    "SpoolError": ("failed_store", ENVIRONMENTAL),
    "SpoolNotDurableError": ("spool_not_durable", ENVIRONMENTAL),
    # an image and its file
    "SpoolFileLostError": ("lost", DEAD),
    "SpoolFileCorruptError": ("corrupt", DEAD),
    "UnreadableInstanceError": ("failed_decode", DEAD),
    "FileRefusedError": ("failed_decode", DEAD),
    "DefectiveDatasetError": ("failed_decode", DEAD),
    "KeyObjectError": ("failed_key_object", DEAD),
    "DecodeError": ("failed_decode", DEAD),
    "DecodeAnswerError": ("failed_decode", RETRIED),
    "DecoderCrashedError": ("failed_decode", RETRIED),
    "DecodeTimeoutError": ("failed_timeout", RETRIED),
    "DecodeMemoryError": ("failed_oom", RETRIED),
    # the network
    "EngineMemoryError": ("failed_oom", RETRIED),
    "EngineFailedError": ("failed_engine", RETRIED),
    "ImplausibleOutputError": ("failed_implausible", DEAD),
    "BundleError": ("failed_model_load", DEAD),
    # a report
    "PatientConflictError": ("conflict_patient", HELD),
    "SideConflictError": ("conflict_laterality", HELD),
    "OpenConflictError": ("conflict_open", HELD),
    "SourcePurgedError": ("source_purged", HELD),
    "RevisionTakenError": ("revision_taken", RETRIED),
    # caught by its job, which waits for the bundle that replaces it
    "BundleRetiredError": ("bundle_retired", RETRIED),
    "BundleChangesError": ("bundle_changes", RETRIED),
    "OutboundGateError": ("failed_outbound_gate", DEAD),
    # a destination: repeated by delivery.retry_for_days, whatever their number
    "DestinationError": ("destination_failed", RETRIED),
    "DestinationUnreachableError": ("no_association", RETRIED),
    "AssociationRejectedTransientError": ("association_rejected_transient", RETRIED),
    "AssociationLostError": ("association_lost", RETRIED),
    "NoResponseError": ("no_response", RETRIED),
    "DrainingError": ("interrupted", RETRIED),
    "TlsFailedError": ("tls_failed", RETRIED),
    "TlsWrongNameError": ("tls_wrong_name", RETRIED),
    "TlsUntrustedError": ("tls_untrusted", RETRIED),
    "TlsExpiredError": ("tls_expired", RETRIED),
    "TlsRefusedError": ("tls_refused", RETRIED),
    "TlsFilesError": ("tls_files", RETRIED),
    "CredentialsError": ("credentials_unreadable", RETRIED),
    "HttpRefusedError": ("http_refused", RETRIED),
    "QueryRefusedError": ("query_refused", RETRIED),
    "AssociationRejectedError": ("association_rejected_permanent", DEAD),
    "ContextRefusedError": ("context_refused", DEAD),
    # of starts, commands and connections: no attempt at a job raises them
    "ConfigurationError": ("configuration", DEAD),
    "FixedSettingError": ("fixed_setting", DEAD),
    "CertificateError": ("certificate", DEAD),
    "FileSystemError": ("file_system", DEAD),
    "NetworkFileSystemError": ("network_file_system", DEAD),
    "IntendedUseError": ("intended_use", DEAD),
    "StoreEmptyError": ("store_empty", DEAD),
    "SchemaMismatchError": ("schema_mismatch", DEAD),
    "SpoolMissingError": ("spool_missing", DEAD),
    "SpoolNotSharedError": ("spool_not_shared", DEAD),
    "PortTakenError": ("port_taken", DEAD),
    "PeerLimitError": ("peer_limit", DEAD),
    "PromotionError": ("promotion_refused", DEAD),
    "BundleActionError": ("bundle_action", DEAD),
    "DestinationFilesError": ("destination_files", DEAD),
    "PatientNotUniqueError": ("patient_not_unique", DEAD),
    "ReleaseRefusedError": ("release_refused", DEAD),
    "JobActionError": ("job_action", DEAD),
    "JobNotFoundError": ("job_not_found", DEAD),
    "ConflictError": ("no_conflict", DEAD),
    "SelfTestError": ("no_self_test", DEAD),
    "NotFoundError": ("not_found", DEAD),
    "ResultNotFoundError": ("result_not_found", DEAD),
    "RecallTargetError": ("recall_target_not_found", DEAD),
    "GatewayDidNotStartError": ("gateway_did_not_start", DEAD),
    "NothingToSendError": ("nothing_to_send", DEAD),
    "UnsafeFolderError": ("unsafe_folder", DEAD),
    # a claim that is another worker's by now is dropped before anything is decided
    "LeaseLostError": ("lease_lost", DEAD),
}
POLICY: Final = RetryPolicy(max_attempts=3, backoff=Backoff(first_seconds=1, max_seconds=2))


def _declared() -> Iterator[tuple[str, str, list[str]]]:
    """(module, class, names of its bases) of every class in the package, without importing it."""
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield module, node.name, [base.id for base in node.bases if isinstance(base, ast.Name)]


def _tree() -> dict[str, type[GatewayError]]:
    declared, found = list(_declared()), {"GatewayError": "gateway.errors"}
    while new := {name: module for module, name, bases in declared if name not in found and not found.keys().isdisjoint(bases)}:
        found |= new
    return {name: getattr(importlib.import_module(module), name) for name, module in found.items()}


TREE: Final = _tree()


def _becomes(kind: type[GatewayError]) -> str:
    # what a class takes as its arguments does not matter to the decision
    error = kind.__new__(kind)
    first, last = (decide(error, failures=failures, policy=POLICY, random=lambda: 0.5).action for failures in (1, POLICY.max_attempts))
    return {
        (JobAction.FAIL, JobAction.GIVE_UP): RETRIED,
        (JobAction.FAIL, JobAction.FAIL): ENVIRONMENTAL,
        (JobAction.GIVE_UP, JobAction.GIVE_UP): DEAD,
        (JobAction.HOLD, JobAction.HOLD): HELD,
    }[first, last]


def test_every_class_of_the_tree_stands_in_the_table_and_no_other() -> None:
    assert sorted(TREE) == sorted(TABLE)


@pytest.mark.parametrize("name", sorted(TREE))
def test_class_has_the_code_and_the_decision_of_the_table(name: str) -> None:
    assert (TREE[name].code, _becomes(TREE[name])) == TABLE[name]


@pytest.mark.parametrize("name", sorted(TREE))
def test_docstring_is_a_message_and_a_remedy(name: str) -> None:
    """Of its own, and more than one sentence: what is wrong, and what to do or what happens next."""
    own = TREE[name].__dict__.get("__doc__") or ""
    words = " ".join(own.split())
    assert len([part for part in words.replace(": ", ". ").replace("; ", ". ").split(". ") if part]) >= 2, words
    assert words.endswith(".")


def test_code_is_one_class_s_own_unless_it_is_an_outcome_that_several_lead_to() -> None:
    by_code = defaultdict(list)
    for name, kind in TREE.items():
        by_code[kind.code].append(name)
    shared = {code for code, names in by_code.items() if len(names) > 1}
    assert shared == {InstanceOutcome.FAILED_INTERNAL, InstanceOutcome.FAILED_DECODE, InstanceOutcome.FAILED_OOM}
