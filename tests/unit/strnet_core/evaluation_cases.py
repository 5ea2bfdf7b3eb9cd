"""Cases with a planted signal, for the tests of evaluation."""

from __future__ import annotations

import numpy as np

from strnet_core.evaluation.case import Case


def planted(patients: int = 120, *, signal: float = 1.5, seed: int = 5, images: int = 2) -> tuple[Case, ...]:
    """Normal, osteopenia and osteoporosis in turn; the logit rises with the class, age tells nothing of it."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        label = number % 3
        shared = {
            "patient_id": f"p{number}",
            "label_cls": label,
            "fold": str(number // 3 % 5),
            "age": float(random.uniform(35, 85)),
            "sex": "F" if number // 3 % 2 else "M",
            "bmi": float(random.normal(27, 3)),
            "t_score": float(-1.0 - label + random.normal(0, 0.3)),
            "size": (1024, 1024) if number // 3 % 2 else (800, 1000),
        }
        rows += [
            Case(
                image=f"f{number}#{image}",
                logit=float(signal * (label - 0.7) + random.normal()),
                severity_logit=float(signal * (label - 1.5) + random.normal()),
                t_score_pred=float(-1.2 - 0.8 * label + random.normal(0, 0.4)),
                **shared,
            )
            for image in range(1, images + 1)
        ]
    return tuple(rows)
