"""Tars with bytes that are others, also where their headers' checksums fit."""

from __future__ import annotations

from hypothesis import strategies as st

Changes = list[tuple[float, int]]
"""Where bytes are changed, as parts of the whole, and what to."""

changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255) | st.sampled_from(b"\0-09x\x80\xffKLSxg")),
    min_size=1,
    max_size=6,
)


def damaged_tar(whole: bytes, places: Changes, right_checksums: bool) -> bytes:
    """Return a tar with these bytes changed; with `right_checksums`, their blocks stay right if they are headers."""
    raw = bytearray(whole)
    for place, value in places:
        at = int(place * len(raw))
        raw[at] = value
        if right_checksums:
            _mend_checksum(raw, at // 512 * 512)
    return bytes(raw)


def _mend_checksum(raw: bytearray, start: int) -> None:
    block = raw[start : start + 512]
    if len(block) == 512:
        raw[start + 148 : start + 156] = b"%06o\0 " % (sum(block[:148]) + 8 * 0x20 + sum(block[156:]))
