"""`strnet train`: the paper's protocol, or what the options change about it, in a folder that can be gone on with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from strnet_core.cli.console import OUT, PROGRESS, device_named, remedy_instead_of_traceback

if TYPE_CHECKING:
    from strnet_core.training.run import RunOutcome
    from strnet_core.training.settings import TrainingSettings

_Word = TypeVar("_Word", bound=str)
_NOT_PROTOCOL = frozenset({"folder", "resume", "minutes", "device", "threads"})
_STAGES: tuple[Literal["B0", "B1", "B2", "B3", "B4"], ...] = ("B0", "B1", "B2", "B3", "B4")
_PLANS: tuple[Literal["holdout", "folds", "all"], ...] = ("holdout", "folds", "all")
_ARITHMETICS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
_WEIGHTINGS: tuple[Literal["none", "released", "balanced"], ...] = ("none", "released", "balanced")


def train(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(file_okay=False, help="The run's folder: new, or with --resume one that was begun.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, help="Folder with labels.csv, or with a folder per class; DICOM or images. Repeatable."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0, help="Write the state and end after so long; --resume goes on.")] = None,
    plan: Annotated[str, typer.Option(help="holdout (one test part, as the paper), folds (cross-validation) or all (no test)")] = "holdout",
    folds: Annotated[int, typer.Option(min=2, help="with --plan folds")] = 5,
    validation: Annotated[bool, typer.Option(help="--no-validation: train all epochs on all that is no test, keep the last")] = True,
    backbone: Annotated[str, typer.Option(help="any classification model of torchvision; only resnet50 can become a bundle")] = "resnet50",
    stage: Annotated[str, typer.Option(help="the paper's ablation, B0 to B4")] = "B4",
    size: Annotated[int | None, typer.Option(min=32, max=4096, help="side of the input in pixels; 512, or the backbone's own")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="at most so many")] = 100,
    batch: Annotated[int, typer.Option(min=2, help="knees to a step of the optimiser")] = 32,
    micro_batch: Annotated[int, typer.Option(min=0, help="knees at a time where memory is short; 0: the whole batch")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="of the optimiser, at the beginning")] = 1e-4,
    patience: Annotated[int, typer.Option(min=1, help="epochs without a better validation AUPRC until the end")] = 30,
    positive_weight: Annotated[str, typer.Option(help="of the screening loss: none, released or balanced")] = "released",
    extra_loss: Annotated[bool, typer.Option(help="the released code's loss on false positives, which the paper does not have")] = False,
    initial_weights: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help=".safetensors of a run, or torchvision's .pth of the backbone")
    ] = None,
    patient_pattern: Annotated[str, typer.Option(help="regular expression: its first group in a file's name is the patient")] = "",
    separate_patients: Annotated[
        bool, typer.Option("--separate-patients", help="the same patient id in two --data folders is two people")
    ] = False,
    keep_refused: Annotated[bool, typer.Option("--keep-refused", help="train on knees that the quality flags refuse, too")] = False,
    seed: Annotated[int, typer.Option(min=0, help="of splits, order and augmentation")] = 42,
    arithmetic: Annotated[str, typer.Option(help="float32, or bfloat16 by autocast")] = "float32",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="of the processor; without it torch's own choice")] = None,
) -> None:
    """Train by the paper's protocol; it is written into the folder as it is used.

    Splits are by duplicate and, where it is known, by patient.
    """
    chosen = device_named(device)
    given = sorted(name for name in context.params if _is_given(context, name))
    if resume and set(given) - _NOT_PROTOCOL:
        raise typer.BadParameter(
            "the run's folder knows its protocol; give it no more", param_hint=", ".join(sorted(set(given) - _NOT_PROTOCOL))
        )
    if not resume and not data:
        raise typer.BadParameter("a new run needs --data", param_hint="--data")
    import torch

    from strnet_core.cli.train_progress import ConsoleWatch
    from strnet_core.engines.machine import has_bfloat16
    from strnet_core.engines.torch_engine import choose_device
    from strnet_core.training import run
    from strnet_core.training.execution import Execution
    from strnet_core.training.run_folder import Sources

    with remedy_instead_of_traceback():
        if threads is not None:
            torch.set_num_threads(threads)
        execution = Execution(
            device=choose_device(chosen), loader_threads=threads or min(8, os.cpu_count() or 1), initial_weights=initial_weights
        )
        if arithmetic == "bfloat16" and execution.device.type == "cpu" and not has_bfloat16():
            PROGRESS.print("this processor has no bfloat16 instructions: float32 is about ten times faster", markup=False)
        with ConsoleWatch(minutes) as watch:
            if resume:
                outcome = run.resume(folder, execution, watch)
            else:
                settings = _settings(
                    plan=plan, folds=folds, validation=validation, backbone=backbone, stage=stage, size=size, epochs=epochs, batch=batch,
                    micro_batch=micro_batch, learning_rate=learning_rate, patience=patience, positive_weight=positive_weight,
                    extra_loss=extra_loss, initial_weights=initial_weights, keep_refused=keep_refused, seed=seed, arithmetic=arithmetic,
                )  # fmt: skip
                sources = Sources(
                    data=tuple(data or ()),
                    patient_pattern=patient_pattern,
                    separate_patients=separate_patients,
                    initial_weights=initial_weights,
                )
                outcome = run.start(folder, settings, sources, execution, watch)
    _tell(folder, outcome)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _settings(
    *, plan: str, folds: int, validation: bool, backbone: str, stage: str, size: int | None, epochs: int, batch: int, micro_batch: int,
    learning_rate: float, patience: int, positive_weight: str, extra_loss: bool, initial_weights: Path | None, keep_refused: bool,
    seed: int, arithmetic: str,
) -> TrainingSettings:  # fmt: skip
    from strnet_core.bundle import PreprocessingSettings
    from strnet_core.training import settings as protocol
    from strnet_core.training.initial_weights import sha256_of
    from strnet_core.training.variants import size_for

    weighting = _one_of(positive_weight, _WEIGHTINGS, "--positive-weight")
    return protocol.TrainingSettings(
        backbone=backbone,
        stage=_one_of(stage, _STAGES, "--stage"),
        initial_weights="" if initial_weights is None else sha256_of(initial_weights),
        preprocessing=PreprocessingSettings(size_px=size_for(backbone, size)),
        exclude_refused=not keep_refused,
        losses=protocol.LossSettings(
            screening_positive_weight=weighting, false_positive_weight=protocol.RELEASED_LOSSES.false_positive_weight if extra_loss else 0.0
        ),
        optimisation=protocol.OptimisationSettings(
            learning_rate=learning_rate, batch_size=batch, micro_batch_size=micro_batch, max_epochs=epochs, stop_patience=patience
        ),
        plan=protocol.PlanSettings(kind=_one_of(plan, _PLANS, "--plan"), folds=folds, validation_parts=6 if validation else 0),
        seed=seed,
        arithmetic=_one_of(arithmetic, _ARITHMETICS, "--arithmetic"),
    )


def _one_of(word: str, words: tuple[_Word, ...], option: str) -> _Word:
    for each in words:
        if word == each:
            return each
    raise typer.BadParameter(", ".join(words), param_hint=option)


def _tell(folder: Path, outcome: RunOutcome) -> None:
    OUT.print(
        f"{folder}: {outcome.knees} knees ({outcome.left_out} left out), {len(outcome.done)} of {outcome.fits} fits done", markup=False
    )
    if not outcome.is_complete:
        OUT.print(f"not at its end; go on with: strnet train {shlex.quote(str(folder))} --resume", markup=False)
        return
    if outcome.held_out is not None:
        figures = outcome.held_out
        each = ", ".join(f"{auroc:.3f}" for auroc in figures.aurocs)
        OUT.print(
            f"held out, all fits together: AUROC {figures.auroc:.3f} (each: {each}), AUPRC {figures.auprc:.3f}",
            markup=False,
            highlight=False,
        )
