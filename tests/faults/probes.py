"""What a supervisor answers when it is asked whether it is ready."""

from __future__ import annotations

import json
import urllib.error
import urllib.request


def causes(port: int) -> list[str] | str:
    """Of not being ready, none when it is; in words when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            content = error.read()
    except OSError:
        return "no answer"
    return sorted({str(one["cause"]) for one in json.loads(content)["hindrances"]})
