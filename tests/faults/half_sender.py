"""A modality that sends half of a data set and waits: `python -m tests.faults.half_sender HOST PORT`."""

from __future__ import annotations

import socket
import sys

from tests.faults.images import image
from tests.peers.raw_peer import ACCEPT, association_request, store_request


def main() -> None:
    one = image(1, rows=1024, columns=1024)
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
        connection.sendall(association_request(calling="XRAY1"))
        if connection.recv(1) != bytes([ACCEPT]):
            print("refused", flush=True)
            return
        whole = b"".join(store_request(one.content, one.uid))
        connection.sendall(whole[: len(whole) // 2])
        print("half", flush=True)
        # until our caller ends us
        sys.stdin.read()


if __name__ == "__main__":
    main()
