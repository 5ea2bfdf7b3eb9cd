"""JSON that is read without mercy: no repeated keys, no NaN, exactly the expected keys with exactly the expected types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from strnet_core.errors import BundleKeyMissingError, BundleKeyUnknownError, BundleSchemaError

Document = dict[str, Any]
Types = Mapping[str, tuple[type, ...]]


def parse_object(content: bytes, name: str) -> Document:
    """The object in a UTF-8 JSON text. Raises BundleSchemaError with the file's name."""
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BundleSchemaError(f"{name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleSchemaError(f"{name} is not an object")
    return document


def encode_object(document: Document) -> bytes:
    """Indented UTF-8 JSON with a line's end. Raises ValueError for NaN and infinities."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def check_keys(mapping: object, expected: Types, prefix: str = "") -> Document:
    """The mapping itself. Raises BundleSchemaError or a subclass, which names the key as `prefix` + key."""
    if not isinstance(mapping, dict):
        raise BundleSchemaError(f"{prefix.rstrip('.')} is not an object")
    for key in mapping:
        if key not in expected:
            raise BundleKeyUnknownError(f"unknown key {prefix}{key}")
    for key, types in expected.items():
        if key not in mapping:
            raise BundleKeyMissingError(f"missing key {prefix}{key}")
        # exact types: a bool is an int to isinstance, and 1 is not 1.0 in the hash
        if type(mapping[key]) not in types:
            raise BundleSchemaError(f"wrong type of {prefix}{key}: {type(mapping[key]).__name__}")
    return mapping


def check_rows(value: list[object], prefix: str) -> list[Document]:
    """A list of objects. Raises BundleSchemaError."""
    rows = [row for row in value if isinstance(row, dict)]
    if len(rows) != len(value):
        raise BundleSchemaError(f"{prefix} holds something that is not an object")
    return rows


def _once(pairs: list[tuple[str, Any]]) -> Document:
    """Of a repeated key most readers keep the last and some the first: two programs would see two bundles."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is repeated")
    return document


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")
