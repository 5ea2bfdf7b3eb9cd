"""A modality that sends half of a data set and waits: `python -m tests.faults.half_sender HOST PORT`."""

from __future__ import annotations

import sys

from tests.faults import wire
from tests.faults.images import image


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    one = image(1, rows=1024, columns=1024)
    with wire.connected(port, host=host, source="0.0.0.0") as connection:
        if not wire.associated(connection, one):
            print("refused", flush=True)
            return
        whole = wire.store_message(one)
        connection.sendall(whole[: len(whole) // 2])
        print("half", flush=True)
        # until our caller closes it
        sys.stdin.read()


if __name__ == "__main__":
    main()
