"""The one error tree. A class's docstring is its message and its remedy; `retryable` tells the worker what to do."""

from __future__ import annotations

from collections.abc import Sequence


class GatewayError(Exception):
    """The gateway could not do what was asked. See the audit store for the event that names it."""

    retryable: bool = False
    """A later attempt may succeed."""
    environmental: bool = False
    """The cause lies in the surroundings (disk, database), not in the job: attempts are not counted against it."""
    needs_a_person: bool = False
    """No attempt can help until a person has acted: the job is held."""
    code: str = "failed_internal"
    """What logs and rows say. Of what may end an analysis: the instance's outcome, which kinds of one cause share."""

    def __init__(self, detail: str = "") -> None:
        remedy = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{remedy} [{detail}]" if detail else remedy)
        self.detail = detail


class ConfigurationError(GatewayError):
    """The configuration is not usable. Correct what is named here."""

    code = "configuration"

    def __init__(self, detail: str = "", *, keys: Sequence[str] = ()) -> None:
        """keys: the wrong ones, as `section.key`, where they are known."""
        super().__init__(detail)
        self.keys = tuple(keys)


class FixedSettingError(ConfigurationError):
    """These settings cannot change while the gateway runs. Restart it, or set them back."""

    code = "fixed_setting"


class DatabaseUnavailableError(GatewayError):
    """The audit store cannot be reached. Check `database.url` and its server; nothing is acknowledged meanwhile."""

    retryable = True
    environmental = True
    code = "failed_database"


class TransactionVictimError(DatabaseUnavailableError):
    """The database gave a transaction up for another's sake, again and again. Look for what else writes to it, or locks its tables."""

    code = "transaction_victim"


class DatabaseNotDurableError(DatabaseUnavailableError):
    """An fsync of the audit store failed: the kernel may have dropped the data. The receiver stops; check the disk first."""

    code = "database_not_durable"


class DatabaseDamagedError(DatabaseUnavailableError):
    """The audit store's file is damaged. Nothing in it was changed: keep a copy, check the disk, and restore the file from backup."""

    code = "database_damaged"


class StoreEmptyError(GatewayError):
    """There is no audit store yet. Run `strnet-gateway serve` first, or give the configuration that it runs with (--config)."""

    code = "store_empty"


class SchemaMismatchError(GatewayError):
    """The database has another schema than this release. Run `strnet-gateway db migrate` or install the release that wrote it."""

    code = "schema_mismatch"


class PortTakenError(GatewayError):
    """The receiver cannot listen on its address. End what uses the port, or set `receiver.host` and `receiver.port`."""

    code = "port_taken"


class CertificateError(ConfigurationError):
    """The files of `[tls]` cannot be used. Check `tls.certificate`, `tls.key` and `tls.authorities`: PEM, the key without a password."""

    code = "certificate"


class DestinationFilesError(ConfigurationError):
    """The files of a `[[destinations]]` table cannot be used. Certificates and keys: PEM, the key without a password; token and password
    files: one line of text."""

    code = "destination_files"


class PeerLimitError(GatewayError):
    """A peer went beyond what the receiver allows; its connection was closed. docs/receiver.md has the limits: look at the sender."""

    code = "peer_limit"


class DestinationError(GatewayError):
    """A destination did not take a result. `strnet-gateway audit deliveries` shows every attempt with its answer; it is tried again."""

    retryable = True
    code = "destination_failed"
    answered: bool = False
    """The destination has spoken, and about us: it is not left alone over it."""


class DestinationUnreachableError(DestinationError):
    """No connection to the destination. Check host and port of its `[[destinations]]` table, and whether it runs."""

    code = "no_association"


class TlsFailedError(DestinationError):
    """TLS with the destination failed. Check that its port speaks TLS 1.2 or 1.3 (PS3.15 B.12), or set `tls = false`. It is tried again."""

    code = "tls_failed"


class TlsWrongNameError(TlsFailedError):
    """The destination's certificate is another host's. Have it issued for `host`, or set `tls_name` to the name that it bears."""

    code = "tls_wrong_name"


class TlsUntrustedError(TlsFailedError):
    """The destination's certificate is signed by nobody in `tls_authorities`. Put there who signed it, after asking its administrator."""

    code = "tls_untrusted"


class TlsExpiredError(TlsFailedError):
    """The destination's certificate is not valid at this time. Have it renewed there, and check the clocks of both sides."""

    code = "tls_expired"


class TlsRefusedError(TlsFailedError):
    """The destination refused our TLS. It may want a certificate: set `tls_certificate` and `tls_key`, and have it trusted there."""

    code = "tls_refused"


class TlsFilesError(TlsFailedError):
    """A file of ours for TLS with this destination cannot be used. `strnet-gateway config check` says which. It is tried again."""

    code = "tls_files"


class AssociationRejectedTransientError(DestinationError):
    """The destination rejected the association for now, as busy systems do. It is tried again."""

    code = "association_rejected_transient"


class AssociationRejectedError(DestinationError):
    """The destination does not know us. Register `calling_ae_title` there, check `ae_title`, then `strnet-gateway jobs retry`."""

    retryable = False
    answered = True
    code = "association_rejected_permanent"


class AssociationLostError(DestinationError):
    """The destination ended the association, or its connection broke. It is tried again."""

    code = "association_lost"


class NoResponseError(DestinationError):
    """The destination did not answer, or took nothing in, for longer than `delivery.response_seconds`. It is tried again."""

    code = "no_response"


class DrainingError(DestinationError):
    """The sender was told to stop while it spoke to a destination, and ended the connection. The next sender goes on."""

    code = "interrupted"


class ContextRefusedError(DestinationError):
    """The destination does not take this class of objects. Enable the class there, then `strnet-gateway jobs retry`."""

    retryable = False
    answered = True
    code = "context_refused"


class QueryRefusedError(DestinationError):
    """The destination answered a C-FIND with a failure. Its log says why; `strnet-gateway check` says whether it answers any."""

    code = "query_refused"


class HttpRefusedError(DestinationError):
    """The DICOMweb service let nothing in. 401, 403: renew token or password, ask for the right to store; 404: check `url`; 429, 502 to
    504: it is busy or away. It is tried again."""

    code = "http_refused"

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.code = f"http_{status}"


class CredentialsError(DestinationError):
    """The destination's `token_file` or `password_file` cannot be used. It must hold one line of text. It is tried again."""

    code = "credentials_unreadable"


class SpoolError(GatewayError):
    """A file could not be made durable in the spool. Check the disk and the permissions of `spool.folder`."""

    retryable = True
    environmental = True
    code = "failed_store"


class SpoolNotDurableError(SpoolError):
    """An fsync failed: the kernel may have dropped the data. The receiver stops; check the disk before starting it again."""

    code = "spool_not_durable"


class SpoolMissingError(GatewayError):
    """The database knows instances, but `spool.folder` is not the spool that holds them. Mount it, or correct the setting."""

    code = "spool_missing"


class SpoolNotSharedError(GatewayError):
    """`spool.folder` is not the spool that this database belongs to. Mount the shared spool there, or correct the setting."""

    code = "spool_not_shared"


class FileSystemError(ConfigurationError):
    """What is acknowledged might not outlive a power cut there. Use a local disk (ext4, xfs, btrfs, zfs); or, if this mount is known to
    honour fsync, rename and file locks, name its type as `vouched_file_system` in that section."""

    code = "file_system"


class NetworkFileSystemError(ConfigurationError):
    """SQLite cannot be trusted on a network file system. Put `database.url` on a local disk, or use PostgreSQL for several hosts."""

    code = "network_file_system"


class JobActionError(GatewayError):
    """This cannot be done with the job as it stands. `strnet-gateway jobs explain` shows its state and what can be done."""

    code = "job_action"


class SpoolFileLostError(GatewayError):
    """A file that the database names is not in the spool. Restore it from backup or send the instance again."""

    code = "lost"


class SpoolFileCorruptError(GatewayError):
    """A file in the spool does not have the digest it was stored with. Restore it from backup or send the instance again."""

    code = "corrupt"


class SourcePurgedError(GatewayError):
    """Retention has removed an image that a new report needs. Send the study's images again: the job goes on by itself then."""

    needs_a_person = True
    code = "source_purged"


class UnreadableInstanceError(GatewayError):
    """The data set cannot be read as DICOM. Send it again from its source; if it fails again, the source is damaged."""

    code = "failed_decode"


class KeyObjectError(UnreadableInstanceError):
    """A Key Object Selection could not be understood, and nothing was done for it. Look at what it rejects, and act by hand."""

    code = "failed_key_object"


class DecodeError(GatewayError):
    """The pixels could not be decoded. Check the instance in another viewer; it is kept in the spool."""

    code = "failed_decode"


class DecodeTimeoutError(DecodeError):
    """Decoding took longer than `worker.decode_seconds` and was stopped. Raise the limit if the image is genuine."""

    retryable = True
    code = "failed_timeout"


class DecodeAnswerError(DecodeError):
    """The decoding process gave an answer that was not understood. It was replaced; if it happens again, report the image."""

    retryable = True


class DecodeMemoryError(DecodeError):
    """Decoding needed more memory than `worker.decode_memory_mb` and was stopped. Raise the limit if the image is genuine."""

    retryable = True
    code = "failed_oom"


class DecoderCrashedError(DecodeError):
    """A codec crashed on the image. It was replaced; if it happens again, check the image in another viewer and report it."""

    retryable = True


class EngineMemoryError(GatewayError):
    """The device has too little memory for one image. Free it, or set `model.allow_cpu_fallback` or `model.device = "cpu"`."""

    retryable = True
    code = "failed_oom"


class EngineFailedError(GatewayError):
    """The engine or its device failed. The worker is started anew; if it happens again, check the device and its driver."""

    retryable = True
    code = "failed_engine"


class ImplausibleOutputError(GatewayError):
    """The network returned a value that is not a finite number. No result is made; run `strnet bundle verify` on the bundle."""

    code = "failed_implausible"


class BundleError(GatewayError):
    """The model bundle cannot be used. Check `model.bundle`, or make the demonstration bundle with `strnet bundle create-demo`."""

    code = "failed_model_load"


class PromotionError(GatewayError):
    """The bundle cannot be promoted. docs/validation.md says what a promotion asks for; nothing was changed."""

    code = "promotion_refused"


class BundleActionError(GatewayError):
    """This cannot be done with the bundle as it stands. `strnet-gateway model list` shows every bundle with its state."""

    code = "bundle_action"


class IntendedUseError(GatewayError):
    """The bundle's intended use is below the class of a destination. Use another bundle, or set the destination's class to `test`."""

    code = "intended_use"


class PatientConflictError(GatewayError):
    """Instances of one study name different patients. No result is made; correct the study at its source, then release the job."""

    needs_a_person = True
    code = "conflict_patient"


class SideConflictError(GatewayError):
    """One image is in the study with two sides. No result is made; correct the side at its source, then release the job."""

    needs_a_person = True
    code = "conflict_laterality"


class ConflictError(GatewayError):
    """No instance of that id is in conflict. `strnet-gateway conflicts list` shows those that wait for a decision."""

    code = "no_conflict"


class OpenConflictError(GatewayError):
    """An instance of the study is in conflict with another of the same UID. No result is made until a person has decided."""

    needs_a_person = True
    code = "conflict_open"


class RevisionTakenError(GatewayError):
    """Another worker has just made this revision of the study's report. Nothing to do: the job looks again."""

    retryable = True
    code = "revision_taken"


class BundleChangesError(GatewayError):
    """Another bundle has become live and this worker is being started anew with it. Nothing to do: that one reports the study."""

    retryable = True
    code = "bundle_changes"


class OutboundGateError(GatewayError):
    """A result failed the check before sending and was held back. Report it with the study's `explain` output."""

    code = "failed_outbound_gate"


class BundleRetiredError(GatewayError):
    """This bundle was recalled, and nothing is assessed with it any more. Set `model.bundle` to another one and restart."""

    retryable = True
    code = "bundle_retired"


class PatientNotUniqueError(GatewayError):
    """Several issuers have given this patient id: it may be of several people. Say whose by --issuer ("" for the one without)."""

    code = "patient_not_unique"


class ReleaseRefusedError(GatewayError):
    """This result cannot be released. `strnet-gateway explain` shows the study's results; docs/recall.md says which ones can be."""

    code = "release_refused"


class LeaseLostError(GatewayError):
    """Another worker took the job over; this one's work is dropped. Raise `worker.lease_seconds` if it happens often."""

    code = "lease_lost"


class JobNotFoundError(GatewayError):
    """No job has that number. `strnet-gateway jobs list` shows the numbers."""

    code = "job_not_found"


class SelfTestError(GatewayError):
    """That worker's latest self-test stops nothing. `strnet-gateway self-test list` shows the latest one of each worker."""

    code = "no_self_test"


class NotFoundError(GatewayError):
    """Nothing is stored under that key. Give an accession number or a SOP, series or study instance UID as the modality sent it."""

    code = "not_found"


class ResultNotFoundError(NotFoundError):
    """No result has that key. Give the study instance UID, or the SOP instance UID of one of its results: `strnet-gateway explain` shows
    both for an accession number."""

    code = "result_not_found"


class RecallTargetError(NotFoundError):
    """Nothing is stored of what the recall names. Check the study instance UID with `strnet-gateway explain`, the bundle's hash with
    `strnet-gateway model list`, and a patient id with its issuer."""

    code = "recall_target_not_found"
