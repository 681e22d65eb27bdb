"""What `base-image` may be: a reference to a registry, `oci:PATH[:TAG]`, or `scratch`."""

from __future__ import annotations

from hatch_oci.errors import InvalidReference
from hatch_oci.image.reference import Reference, shown

_LATER = ("docker-archive", "oci-archive")


def check_base_name(text: str) -> None:
    """Raise an `InvalidReference`, in one line, unless `text` may name a base."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "oci":
        if rest:
            return
        message = "not a base: 'oci:' lacks a path; write oci:PATH or oci:PATH:TAG"
        raise InvalidReference(message)
    if colon and scheme in _LATER:
        message = f"not supported yet by this version of hatch-oci-image: {shown(text)}, an archive"
        raise InvalidReference(message)
    if text == "scratch":
        return
    try:
        Reference.parse(text)
    except InvalidReference as error:
        advice = (
            "write it without `docker:`" if colon and scheme == "docker" else "it may also be oci:PATH[:TAG] or scratch"
        )
        message = f"{error}; {advice}"
        raise InvalidReference(message) from None
