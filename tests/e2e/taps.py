"""A wire with a tap: what goes to a registry and comes back is counted, and may end or stall after some bytes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Tap:
    """Passes connections on to `upstream`; when `limit` bytes went up, `on_limit` is called, and no more goes up."""

    upstream: str
    limit: int | None = None
    on_limit: Callable[[], None] = lambda: None
    address: str = ""
    up: int = 0
    down: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    sockets: list[socket.socket] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def reset(self) -> None:
        """Count from nothing again."""
        self.up = self.down = 0

    def accept(self, listener: socket.socket) -> None:
        """Pass connections on until the listener is shut down."""
        with suppress(OSError):
            while True:
                inner, _ = listener.accept()
                host, _, port = self.upstream.partition(":")
                outer = socket.create_connection((host, int(port)), timeout=60)
                outer.settimeout(None)
                self.sockets += [inner, outer]
                for pump, ends in ((self._go_up, (inner, outer)), (self._go_down, (outer, inner))):
                    thread = threading.Thread(target=pump, args=ends)
                    self.threads.append(thread)
                    thread.start()

    def _go_up(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self._count(data, sink):
                    return
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _count(self, data: bytes, sink: socket.socket) -> bool:
        with self.lock:
            left = len(data) if self.limit is None else min(self.limit - self.up, len(data))
            self.up += left
            is_last = self.limit is not None and self.up >= self.limit
            sink.sendall(data[:left])
            if is_last and left:
                self.on_limit()
            return not is_last

    def _go_down(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.down += len(data)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def serve_tap(upstream: str, limit: int | None = None, on_limit: Callable[[], None] = lambda: None) -> Iterator[Tap]:
    """Run a tap on a port that the kernel chose for as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tap = Tap(upstream, limit, on_limit, f"127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=tap.accept, args=(listener,))
        thread.start()
        try:
            yield tap
        finally:
            # Wakes the thread that accepts, and those that read.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in tap.sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for each_thread in tap.threads:
                each_thread.join()
            for each in tap.sockets:
                each.close()
