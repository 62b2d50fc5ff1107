"""Connections between the workers of MXNet's key-value store, whose end is the end of the job.

MXNet waits for a lost worker for ever, inside its library, where no exception reaches. So every worker holds
a connection to rank 0 that the system closes when a process dies, and a thread that ends its own process, in
one line and with status 2, when that happens. Nothing but single bytes goes through it.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import sys
import threading
from typing import Callable, Dict, NoReturn, Optional

import numpy as np

# Seconds in which all workers connect, and in which all leave after the first that does.
_LIMIT = 60.0
_STATUS = 2  # of every error that a command reports
_BYE, _ALL_LEFT, _GIVEN_UP = b".", b",", b"!"


class Lifeline:
    """The connection of one worker; the constructor is collective.

    rank, world_size  of this worker.
    host              address of this machine, as the others reach it.
    gather            collective: (world_size, *shape) of each worker's int64 array.
    """

    def __init__(self, rank: int, world_size: int, host: str, gather: Callable[[np.ndarray], np.ndarray]):
        self._rank, self._size = rank, world_size
        self._left = threading.Event()  # this worker says that it leaves
        self._all_left = threading.Event()
        self._peers: Dict[int, socket.socket] = {}
        listener = None
        facts = np.zeros(21, np.int64)
        if rank == 0:
            listener = socket.create_server((host, 0), backlog=world_size)
            listener.settimeout(_LIMIT)
            port = listener.getsockname()[1]
            facts[:] = [*socket.inet_aton(host), port, *secrets.token_bytes(16)]
        facts = gather(facts)[0]
        address = (socket.inet_ntoa(bytes(facts[:4].tolist())), int(facts[4]))
        token = bytes(facts[5:].tolist())
        try:
            if listener is None:
                peer = socket.create_connection(address, _LIMIT)
                peer.sendall(token + rank.to_bytes(4, "big"))
                self._peers[0] = _watched(peer)
            else:
                with listener:
                    self._accept(listener, token)
        except OSError as error:
            end_process(f"worker {rank} cannot reach worker 0 at {address[0]} ({error}): may they connect?")
        # A forked copy of this process would keep the connections open after its death.
        os.register_at_fork(after_in_child=self._drop)
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def leave(self) -> None:
        """Say that this worker ends, and wait until all have said so; a minute after the first the process
        ends by an error."""
        self._left.set()
        if self._rank:
            self._send(0, _BYE)
        if not self._all_left.wait(_LIMIT):
            end_process(f"worker {self._rank} ends and others go on", quiet=self._rank > 1)

    def _accept(self, listener: socket.socket, token: bytes) -> None:
        while len(self._peers) < self._size - 1:
            peer, _ = listener.accept()
            peer.settimeout(_LIMIT)
            greeting = peer.recv(20, socket.MSG_WAITALL)
            if greeting[:16] != token or len(greeting) < 20:
                peer.close()  # a stranger
                continue
            self._peers[int.from_bytes(greeting[16:], "big")] = _watched(peer)

    def _watch(self) -> None:
        if self._rank:
            self._watch_first()
            return
        present = set(self._peers)
        while present:
            sockets = {self._peers[rank]: rank for rank in present}
            for ready in select.select(list(sockets), [], [])[0]:
                rank = sockets[ready]
                if _byte(ready) != _BYE:
                    for other in present - {rank}:
                        self._send(other, _GIVEN_UP)
                    self._lost(rank)
                present.discard(rank)
        self._left.wait()
        for rank in self._peers:
            self._send(rank, _ALL_LEFT)
        self._all_left.set()

    def _watch_first(self) -> None:
        said = _byte(self._peers[0])
        if said == _ALL_LEFT:
            self._all_left.set()
        elif said == _GIVEN_UP:
            end_process("", quiet=True)  # rank 0 says why
        else:
            self._lost(0, quiet=self._rank > 1)

    def _lost(self, rank: int, quiet: bool = False) -> NoReturn:
        end_process(
            f"worker {rank} of {self._size} is gone, which ends the others: the run goes on from its last "
            f"checkpoint when it is resumed",
            quiet,
        )

    def _send(self, rank: int, word: bytes) -> None:
        try:
            self._peers[rank].sendall(word)
        except OSError:
            pass  # whoever is gone is noticed by who reads

    def _drop(self) -> None:
        for peer in self._peers.values():
            peer.close()


def end_process(message: str, quiet: bool = False) -> NoReturn:
    """End this process with one line, whatever its threads wait for."""
    if not quiet:
        print(f"error: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_STATUS)


def _watched(peer: socket.socket) -> socket.socket:
    """The connection, which ends too when the other machine falls silent for two minutes."""
    peer.settimeout(None)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return peer


def _byte(peer: socket.socket) -> Optional[bytes]:
    """The next byte; None where the connection is at its end."""
    try:
        return peer.recv(1) or None
    except OSError:
        return None
