"""A large file over connections that break: taken up again where it broke."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from hatch_oci.errors import RegistryError, UnreachableError
from hatch_oci.registry.attempts import PASSING, Attempts
from hatch_oci.registry.body import PROGRESS
from hatch_oci.registry.network import Deadline
from hatch_oci.registry.options import Patience
from hatch_oci.registry.transport import MAX_ERROR, Answer, Reply, Transport

Opener = Callable[[Mapping[str, str], Deadline], AbstractContextManager[Answer]]
"""Asks for the file once, with the headers that it is handed."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d+/(\d+|\*)")
_SECONDS = 600.0
_SLOWEST = 16 * 1024
"""Bytes a second, beyond the time that every file gets."""


class Server(Protocol):
    """Who is asked for a file."""

    @property
    def host(self) -> str:
        """Its name, for messages."""

    @property
    def patience(self) -> Patience:
        """How long it is waited for."""

    def problem(self, reply: Reply, what: str) -> RegistryError:
        """Return the error for an answer that is not the file."""


class Download:
    """A file of `size` bytes, or of however many come, from one server or from several in turn."""

    def __init__(self, what: str, size: int | None, transport: Transport) -> None:
        """Begin, with `what` for messages; the time for it runs from now on."""
        self._what = what
        self._size = size
        self._transport = transport
        self._deadline = Deadline.after(transport.patience.answer, _SECONDS + (size or 0) / _SLOWEST)
        self._received = 0

    def pieces(self, server: Server, opener: Opener) -> Iterator[bytes]:
        """Yield what has not come yet, with as many requests as it takes; it is not checked here.

        A `RegistryError` where the server does not give it.
        """
        attempts = Attempts(server.patience, self._transport.reporter)
        ranged = True
        mark = self._received
        while self._size is None or self._received < self._size:
            before = self._received
            problem = UnreachableError(f"{self._what} broke off after {before} bytes")
            try:
                headers = {"Range": f"bytes={before}-"} if before and ranged else {}
                with opener(headers, self._deadline) as answer:
                    if answer.status == 416 and headers:
                        ranged = False
                        continue
                    for piece in self._rest(answer, server):
                        self._received += len(piece)
                        yield piece
                if self._size is None or self._received >= self._size:
                    return
            except UnreachableError as error:
                if self._received == self._size:
                    # It broke off, or stalled, where nothing but its end was to come.
                    return
                problem = error
            if self._deadline.is_over:
                raise problem
            if self._received > before:
                attempts.progressed()
            # One byte is progress, but no reason to wait longer for the next.
            if self._received == mark or self._received - mark >= PROGRESS:
                mark = self._received
                self._deadline.extend(server.patience.answer)
            with self._deadline.paused():
                attempts.again(problem)

    def _rest(self, answer: Answer, server: Server) -> Iterator[bytes]:
        """Yield the part of the file that follows what has come."""
        skip = self._received
        if answer.status == 206 and skip:
            match = _CONTENT_RANGE.match(answer.header("content-range"))
            if match is None or int(match[1]) != skip:
                message = f"{server.host} was asked for {self._what} from byte {skip} on and sent another part"
                raise RegistryError(message)
            skip = 0
        elif answer.status in PASSING:
            message = f"HTTP {answer.status} from {server.host} about {self._what}"
            raise UnreachableError(message, answer.retry_after)
        elif answer.status != 200:
            raise server.problem(Reply.of(answer, MAX_ERROR), self._what)
        for piece in answer.body:
            # A server that cannot go on begins anew.
            if skip < len(piece):
                yield piece[skip:]
            skip = max(skip - len(piece), 0)
