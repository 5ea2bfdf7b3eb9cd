"""How good predictions are: everything the STR-Net paper reports, with intervals, beside baselines, apart for subgroups."""

from strnet_core.evaluation.case import Case
from strnet_core.evaluation.evaluation import Evaluation, EvaluationSettings, evaluate
from strnet_core.evaluation.predictions import read_labels, read_predictions, write_predictions
from strnet_core.evaluation.report import Source, write_report
from strnet_core.training.prediction_table import COLUMNS as PREDICTION_COLUMNS

__all__ = [
    "PREDICTION_COLUMNS",
    "Case",
    "Evaluation",
    "EvaluationSettings",
    "Source",
    "evaluate",
    "read_labels",
    "read_predictions",
    "write_predictions",
    "write_report",
]
