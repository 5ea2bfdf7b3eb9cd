"""The one error tree. A class's docstring is its message and its remedy; `code` is what a store or a log keeps."""

from __future__ import annotations


class StrnetError(Exception):
    """The research core could not do what was asked. Read the detail in brackets."""

    code: str = "strnet"

    def __init__(self, detail: str = "") -> None:
        remedy = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{remedy} [{detail}]" if detail else remedy)
        self.detail = detail

    def __reduce__(self) -> tuple[type[StrnetError], tuple[str]]:
        """Errors cross from the decoding child to its parent: rebuild from the detail, not from the finished message."""
        return type(self), (self.detail,)


class DecodeError(StrnetError):
    """The pixels could not be decoded. Look at the file in another viewer; if that fails too, the file is damaged."""

    code = "decode"


class UnreadableFileError(DecodeError):
    """The file is neither a DICOM part 10 file nor a readable image. Export it again from its source."""

    code = "unreadable"


class MissingAttributeError(DecodeError):
    """An attribute that the pixels cannot be understood without is missing or malformed. Export the file again."""

    code = "missing_attribute"


class TruncatedPixelsError(DecodeError):
    """There are fewer pixel bytes than the header declares. Send the file again from its source."""

    code = "truncated"


class TooLargeError(DecodeError):
    """The header declares more rows, columns or frames than allowed. Raise `ReadLimits` if the image is genuine."""

    code = "too_large"


class EmptyImageError(DecodeError):
    """The image has no rows or no columns, or padding and shutter leave nothing of it. Export it again."""

    code = "empty"


class ColourError(DecodeError):
    """The image is not one grey sample per pixel, so it is a screenshot or a report page. Send the original radiograph."""

    code = "colour"


class MultiFrameError(DecodeError):
    """The object has several frames, so it is not a projection radiograph. Send the single radiograph."""

    code = "multi_frame"


class ForProcessingError(DecodeError):
    """The image is For Processing (raw detector data). Send the For Presentation image of the same exposure."""

    code = "for_processing"


class UnsupportedTransferSyntaxError(DecodeError):
    """The transfer syntax is not one that is decoded here. Ask the sender for Explicit VR Little Endian."""

    code = "transfer_syntax"


class UnsupportedEncodingError(DecodeError):
    """The bits of the pixels are laid out in a way that cannot be read without guessing. Convert the image at its source."""

    code = "encoding"


class BundleError(StrnetError):
    """The model bundle cannot be used. Take a fresh copy, or make one with `strnet bundle create-demo FOLDER`."""

    code = "bundle"


class BundleMissingError(BundleError):
    """A file of the bundle is missing or cannot be read. Check the folder, then copy the whole bundle again."""

    code = "bundle_missing"


class BundleSchemaError(BundleError):
    """bundle.json is not as this release expects it. Correct the key that is named, or use the release that wrote it."""

    code = "bundle_schema"


class BundleVersionError(BundleSchemaError):
    """The bundle was written in another format. Make it again with this release: `strnet bundle create-demo` or `bundle import`."""

    code = "bundle_version"


class BundleKeyMissingError(BundleSchemaError):
    """A key of the bundle is missing, and nothing is guessed in its place. Copy the bundle again, or make it again."""

    code = "bundle_key_missing"


class BundleKeyUnknownError(BundleSchemaError):
    """The bundle has a key that this release does not know and would ignore. Use the release that wrote it."""

    code = "bundle_key_unknown"


class BundlePreprocessingError(BundleSchemaError):
    """A preprocessing choice is undeclared, unknown or out of range, so images would not become what these weights expect. Make the
    bundle again with every choice stated."""

    code = "bundle_preprocessing"


class BundleFolderError(BundleError):
    """The folder holds what does not belong to a bundle. Take it out, replace links by the files, or choose an empty folder."""

    code = "bundle_folder"


class CardDamagedError(BundleError):
    """card.md is not the file that bundle.json names. Copy the bundle again; a changed card needs a new bundle."""

    code = "bundle_card"


class GoldenDamagedError(BundleError):
    """golden/golden.json is not the file that bundle.json names. Copy the bundle again; never edit the golden vectors."""

    code = "bundle_golden"


class WeightsDamagedError(BundleError):
    """weights.safetensors is not the file that bundle.json names. Copy the bundle again; never edit the weights in place."""

    code = "bundle_weights"


class ThresholdUnboundError(BundleError):
    """The thresholds were chosen for other weights, so they mean nothing here. Choose them again for these weights."""

    code = "bundle_threshold"


class PickleInBundleError(BundleError):
    """The folder holds a pickled file, which can run code when loaded. Remove it; weights come as safetensors only."""

    code = "bundle_pickle"


class BundleExistsError(BundleError):
    """The folder already holds a bundle, and a bundle never changes. Write to an empty folder."""

    code = "bundle_exists"


class ArchitectureError(BundleError):
    """The weights do not fit the architecture. Use the bundle with the release that it was made for."""

    code = "bundle_architecture"


class GoldenMismatchError(BundleError):
    """A golden vector came out differently, so results would too. Do not use this bundle here before it is explained."""

    code = "golden_mismatch"


class CheckpointError(StrnetError):
    """The training checkpoint does not hold exactly what STR-Net needs. Correct what is named; nothing is matched by resemblance."""

    code = "checkpoint"


class DeviceUnavailableError(StrnetError):
    """The device that was asked for is not there. Use `device="auto"`, or install the driver."""

    code = "device"


class ImplausibleOutputError(StrnetError):
    """The network returned a value that is not a finite number. Make no result; run `strnet bundle verify` on the bundle."""

    code = "implausible"


class DeviceMemoryError(StrnetError):
    """The device has too little free memory even for one image. Free its memory, or allow the fall back to the processor."""

    code = "oom"


class ProfileUnavailableError(StrnetError):
    """This machine cannot run the engine profile that was asked for. Choose one that `strnet bench` lists here, or `auto`."""

    code = "profile"


class EquivalenceMissingError(StrnetError):
    """No passed equivalence report covers this profile here. Run `strnet bundle equivalence BUNDLE --reports FOLDER`, or use `auto`."""

    code = "equivalence_missing"


class EquivalenceReportError(StrnetError):
    """The equivalence report is damaged or changed. Delete it and run `strnet bundle equivalence BUNDLE --reports FOLDER` again."""

    code = "equivalence_report"


class ResearchExtraMissingError(StrnetError):
    """scikit-learn, SciPy and matplotlib are needed and not installed. Install them with `pip install 'strnet-gateway[research]'`."""

    code = "research_extra"


class TrainingError(StrnetError):
    """The training could not be done. Read the detail in brackets."""

    code = "training"


class TrainingSettingsError(TrainingError):
    """A value of the training's protocol is unknown or out of its range. Correct what is named."""

    code = "training_settings"


class TrainingDataError(TrainingError):
    """The data set cannot be trained on as it is. Correct what is named; `docs/training.md` shows the layouts."""

    code = "training_data"


class TrainingRunError(TrainingError):
    """The run's folder is not one that can be gone on with. Start a new run in an empty folder."""

    code = "training_run"


class EvaluationError(StrnetError):
    """These cases cannot be evaluated. Correct what is named in brackets."""

    code = "evaluation"


class PredictionsError(EvaluationError):
    """The table is not what an evaluation reads. Correct the row and column that are named; docs/evaluation.md lists the columns."""

    code = "predictions"


class CountsError(EvaluationError):
    """The counts contradict each other, so no rate of them means anything. Look up the counts again at their source."""

    code = "counts"


class OneClassError(EvaluationError):
    """All cases are of one class, so neither discrimination nor a threshold can be measured. Add cases of the other class."""

    code = "one_class"


class TooFewCasesError(EvaluationError):
    """There are too few cases of a class for figures that mean anything. Collect more, or pool cohorts and say so."""

    code = "too_few"


class ExportTableError(EvaluationError):
    """The table is no export of knees as it should be. Make it with `strnet-gateway audit export`, and of one bundle."""

    code = "export"


class DxaTableError(EvaluationError):
    """The table of DXA results cannot be used. Correct what is named; docs/validation.md lists the columns."""

    code = "dxa"
