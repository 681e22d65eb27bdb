"""Everything this package raises on purpose.

OCIError
├── ConfigError        mistakes in `[tool.hatch.build.targets.oci]`, all of them at once
├── DocumentError      JSON, or a value in it, that is not what the specification says
│   ├── DigestError        a digest that is malformed or of an unsupported algorithm
│   ├── PlatformError      a platform that cannot be read
│   └── InvalidReference   a reference that cannot be read
├── ContentError       bytes that are not the ones a digest or size promised
├── RegistryError      a registry that cannot be reached, refuses, or answers nonsense
│   ├── NotFoundError      what was asked for is not there
│   ├── UnreachableError   no answer, or one that broke off: another try may help
│   └── PlainHTTPError     a server that speaks no TLS where it should
├── BaseError          a base image that cannot serve: no such platform, no Python in it
├── LockError          a lock that is missing, stale, or cannot serve the image's platform
├── WheelError         a wheel that is invalid, or cannot run on the base
├── RunError           an image that could not start
├── ProgramError       a program of the user's that cannot be run, fails, or gives no answer
├── SourceError        files of the project that cannot be packed
└── OutputError        a result, or a file of the cache, that cannot be written

Each message is one or two lines: what went wrong, where (file, key, reference, registry), and what to do.
"""

from __future__ import annotations

_LONGEST_LINE = 2000


class OCIError(Exception):
    """Anything that stops a build for a reason which its user can act on."""

    def __str__(self) -> str:
        """Return the message; what it repeats of a server, an archive or a wheel is made plain, and not endless."""
        return "\n".join(map(_plain, super().__str__().split("\n")))


def _plain(line: str) -> str:
    # Nothing that moves a terminal's cursor, or cannot be encoded.
    return "".join(one if one.isprintable() else "?" for one in line[:_LONGEST_LINE])


class ConfigError(OCIError):
    """Mistakes in the target's table; one line each."""

    def __init__(self, mistakes: list[str]) -> None:
        """Keep `mistakes`, complete sentences, in the order of the table."""
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class DocumentError(OCIError):
    """A document, or a value in it, that breaks the specification it is read by."""


class DigestError(DocumentError):
    """A digest that is malformed, or of an algorithm that is not supported."""


class PlatformError(DocumentError):
    """A platform that cannot be read."""


class InvalidReference(DocumentError):  # noqa: N818 - ReferenceError is a builtin about weak references
    """An image reference that cannot be read."""


class ContentError(OCIError):
    """Bytes that are not the ones their digest or size promised."""


class RegistryError(OCIError):
    """A registry that cannot be reached, refuses, or answers nonsense."""


class NotFoundError(RegistryError):
    """A registry that does not have what was asked for."""


class UnreachableError(RegistryError):
    """A registry that gives no answer for now, or breaks it off."""

    def __init__(self, message: str, retry_after: float | None = None, tries: int | None = None) -> None:
        """Keep how many seconds the registry asks to wait, if it does, and how many tries this is worth at most."""
        super().__init__(message)
        self.retry_after = retry_after
        self.tries = tries


class PlainHTTPError(RegistryError):
    """A server that speaks plain http where https was expected."""


class BaseError(OCIError):
    """A base image that cannot serve: no such platform, or no Python in it."""


class LockError(OCIError):
    """A lock that is missing or stale, or that cannot serve the image's platform."""


class WheelError(OCIError):
    """A wheel that is invalid, or that cannot run on the base."""


class RunError(OCIError):
    """An image that could not start."""


class SourceError(OCIError):
    """Files of the project that cannot be packed."""


class OutputError(OCIError):
    """A result, or a file of the cache, that cannot be written."""


class ProgramError(OCIError):
    """A program of the user's that cannot be run, fails, or gives no answer."""
