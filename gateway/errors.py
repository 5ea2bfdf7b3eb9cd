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

    def __init__(self, detail: str = "") -> None:
        remedy = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{remedy} [{detail}]" if detail else remedy)
        self.detail = detail


class ConfigurationError(GatewayError):
    """The configuration is not usable. Correct what is named here."""

    def __init__(self, detail: str = "", *, keys: Sequence[str] = ()) -> None:
        """keys: the wrong ones, as `section.key`, where they are known."""
        super().__init__(detail)
        self.keys = tuple(keys)


class FixedSettingError(ConfigurationError):
    """These settings cannot change while the gateway runs. Restart it, or set them back."""


class DatabaseUnavailableError(GatewayError):
    """The audit store cannot be reached. Check `database.url` and its server; nothing is acknowledged meanwhile."""

    retryable = True
    environmental = True
    code = "failed_database"


class TransactionVictimError(DatabaseUnavailableError):
    """The database gave a transaction up for another's sake, again and again. Look for what else writes to it, or locks its tables."""


class DatabaseNotDurableError(DatabaseUnavailableError):
    """An fsync of the audit store failed: the kernel may have dropped the data. The receiver stops; check the disk first."""


class DatabaseDamagedError(DatabaseUnavailableError):
    """The audit store's file is damaged. Nothing in it was changed: keep a copy, check the disk, and restore the file from backup."""


class StoreEmptyError(GatewayError):
    """There is no audit store yet. Run `strnet-gateway serve` first, or give the configuration that it runs with (--config)."""


class SchemaMismatchError(GatewayError):
    """The database has another schema than this release. Run `strnet-gateway db migrate` or install the release that wrote it."""


class PortTakenError(GatewayError):
    """The receiver cannot listen on its address. End what uses the port, or set `receiver.host` and `receiver.port`."""


class CertificateError(ConfigurationError):
    """The files of `[tls]` cannot be used. Check `tls.certificate`, `tls.key` and `tls.authorities`: PEM, the key without a password."""


class PeerLimitError(GatewayError):
    """A peer went beyond what the receiver allows; its connection was closed. docs/receiver.md has the limits: look at the sender."""


class DestinationError(GatewayError):
    """A destination did not take a result. `strnet-gateway audit deliveries` shows every attempt with its answer; it is tried again."""

    retryable = True


class DestinationUnreachableError(DestinationError):
    """No connection to the destination. Check host and port of its `[[destinations]]` table, and whether it runs."""

    code = "no_association"


class AssociationRejectedTransientError(DestinationError):
    """The destination rejected the association for now, as busy systems do. It is tried again."""

    code = "association_rejected_transient"


class AssociationRejectedError(DestinationError):
    """The destination does not know us. Register `calling_ae_title` there, check `ae_title`, then `strnet-gateway jobs retry`."""

    retryable = False
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
    code = "context_refused"


class SpoolError(GatewayError):
    """A file could not be made durable in the spool. Check the disk and the permissions of `spool.folder`."""

    retryable = True
    environmental = True
    code = "failed_store"


class SpoolNotDurableError(SpoolError):
    """An fsync failed: the kernel may have dropped the data. The receiver stops; check the disk before starting it again."""


class SpoolMissingError(GatewayError):
    """The database knows instances, but `spool.folder` is not the spool that holds them. Mount it, or correct the setting."""


class SpoolNotSharedError(GatewayError):
    """`spool.folder` is not the spool that this database belongs to. Mount the shared spool there, or correct the setting."""


class FileSystemError(ConfigurationError):
    """What is acknowledged might not outlive a power cut there. Use a local disk (ext4, xfs, btrfs, zfs); or, if this mount is known to
    honour fsync, rename and file locks, name its type as `vouched_file_system` in that section."""


class NetworkFileSystemError(ConfigurationError):
    """SQLite cannot be trusted on a network file system. Put `database.url` on a local disk, or use PostgreSQL for several hosts."""


class JobActionError(GatewayError):
    """This cannot be done with the job as it stands. `strnet-gateway jobs explain` shows its state and what can be done."""


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


class BundleActionError(GatewayError):
    """This cannot be done with the bundle as it stands. `strnet-gateway model list` shows every bundle with its state."""


class IntendedUseError(GatewayError):
    """The bundle's intended use is below the class of a destination. Use another bundle, or set the destination's class to `test`."""


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


class LeaseLostError(GatewayError):
    """Another worker took the job over; this one's work is dropped. Raise `worker.lease_seconds` if it happens often."""


class JobNotFoundError(GatewayError):
    """No job has that number. `strnet-gateway jobs list` shows the numbers."""


class SelfTestError(GatewayError):
    """That worker's latest self-test stops nothing. `strnet-gateway self-test list` shows the latest one of each worker."""


class NotFoundError(GatewayError):
    """Nothing is stored under that key. Give an accession number or a SOP, series or study instance UID as the modality sent it."""
