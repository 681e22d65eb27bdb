"""What `base-image` may be: a reference to a registry, a layout or an archive on this machine, or `scratch`."""

from __future__ import annotations

from hatch_oci.errors import InvalidReference
from hatch_oci.image.reference import Reference, shown

_LOCAL = {
    "oci": "oci:PATH or oci:PATH:TAG",
    "oci-archive": "oci-archive:PATH or oci-archive:PATH:TAG",
    "docker-archive": "docker-archive:PATH or docker-archive:PATH:REFERENCE",
}


def is_local(text: str) -> bool:
    """Tell whether a base lies on this machine, by the scheme before its path."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme in _LOCAL


def is_fixed(text: str) -> bool:
    """Tell whether a base stays the same wherever it is built on: one out of a registry has to be pinned for that."""
    return text == "scratch" or is_local(text) or "@" in text


def check_base_name(text: str) -> None:
    """Raise an `InvalidReference`, in one line, unless `text` may name a base."""
    scheme, colon, rest = text.partition(":")
    if is_local(text):
        if rest and not rest.startswith(":"):
            return
        message = f"not a base: {shown(text)} lacks a path; write {_LOCAL[scheme]}"
        raise InvalidReference(message)
    if text == "scratch":
        return
    try:
        Reference.parse(text)
    except InvalidReference as error:
        others = ", ".join(f"{scheme}:PATH" for scheme in _LOCAL)
        advice = "write it without `docker:`" if colon and scheme == "docker" else f"it may also be {others} or scratch"
        message = f"{error}; {advice}"
        raise InvalidReference(message) from None
