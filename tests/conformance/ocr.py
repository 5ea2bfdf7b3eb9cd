"""Reads a page's pixels as a person would: Tesseract, over the page enlarged and in dark on light."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from gateway.config import Language

COMMAND = "tesseract"
_MODELS: dict[Language, str] = {"en": "eng", "zh": "chi_sim"}
KNOWN: dict[Language, str] = {"en": "not for clinical use", "zh": "不得用于临床"}
"""Stands on every page that is not for clinical use: a reader that misses it has read nothing."""
_ENLARGED = 2
_BETWEEN_CHINESE = str.maketrans("", "", " \n\t")


@cache
def missing() -> str:
    """Why pages cannot be read here; empty when they can."""
    if shutil.which(COMMAND) is None:
        return "tesseract is missing; install tesseract-ocr and tesseract-ocr-chi-sim"
    known = subprocess.run([COMMAND, "--list-langs"], capture_output=True, text=True, check=True).stdout.split()
    absent = {model for models in _MODELS.values() for model in models.split("+")} - set(known)
    return f"tesseract lacks {', '.join(sorted(absent))}; install tesseract-ocr-chi-sim" if absent else ""


def read_page(pixels: npt.NDArray[np.uint8], language: Language) -> str:
    """Text of a page, uint8 (rows, columns, 3). Chinese comes without spaces, which Tesseract puts between its characters."""
    page = ImageOps.invert(Image.fromarray(pixels).convert("L"))
    page = page.resize((page.width * _ENLARGED, page.height * _ENLARGED), Image.Resampling.LANCZOS)
    image = BytesIO()
    page.save(image, "PNG")
    command = [COMMAND, "stdin", "stdout", "-l", _MODELS[language], "--psm", "6", "--dpi", "150"]
    one_thread = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    text = subprocess.run(command, input=image.getvalue(), capture_output=True, check=True, timeout=120, env=one_thread).stdout.decode()
    return text.translate(_BETWEEN_CHINESE) if language == "zh" else " ".join(text.split())
