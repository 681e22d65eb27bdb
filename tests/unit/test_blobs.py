from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_oci.errors import ContentError, OutputError
from hatch_oci.image.digest import Digest
from hatch_oci.store.blobs import CACHE_VARIABLE, BlobStore, StoredBlob, cache_folder
from tests.unit.facts import read_fact, write_fact

DATA = b"some content"
SHA256 = Digest.of(DATA)
SHA512 = Digest("sha512", hashlib.sha512(DATA).hexdigest())


def files(store: BlobStore) -> set[str]:
    found = {str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("facts/hashed/")}


def spoil(path: Path, data: bytes | bytearray) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("digest", [SHA256, SHA512], ids=["sha256", "sha512"])
@pytest.mark.parametrize("chunks", [[DATA], [DATA[:5], b"", DATA[5:]]], ids=["at once", "in chunks"])
def test_a_blob_is_kept_under_its_digest(store: BlobStore, digest: Digest, chunks: list[bytes]) -> None:
    path = store.folder / "blobs" / digest.algorithm / digest.hex
    assert store.put(chunks, digest, len(DATA)) == StoredBlob(digest, len(DATA), path)
    assert path.read_bytes() == DATA
    assert store.path(digest) == path
    assert files(store) == {f"blobs/{digest.algorithm}/{digest.hex}"}


@pytest.mark.parametrize(
    ("chunks", "expected", "message"),
    [
        ([DATA[:5]], (SHA256, 12), f"{SHA256} ended after 5 of 12 bytes"),
        ([], (SHA256, 12), f"{SHA256} ended after 0 of 12 bytes"),
        ([DATA, b"!"], (SHA256, 12), f"{SHA256} goes on after the 12 bytes it should have"),
        ([DATA], (SHA256, 11), f"{SHA256} goes on after the 11 bytes it should have"),
        ([DATA], (SHA256, 13), f"{SHA256} ended after 12 of 13 bytes"),
        (
            [b"other conten"],
            (SHA256, 12),
            f"{SHA256} was asked for, but what came has the digest {hashlib.sha256(b'other conten').hexdigest()}",
        ),
        (
            [b"other conten"],
            (SHA512, 12),
            f"{SHA512} was asked for, but what came has the digest {hashlib.sha512(b'other conten').hexdigest()}",
        ),
    ],
    ids=["short", "nothing", "long", "longer than said", "shorter than said", "other bytes", "other bytes, sha512"],
)
def test_nothing_is_kept_of_wrong_content(
    store: BlobStore, chunks: list[bytes], expected: tuple[Digest, int], message: str
) -> None:
    with pytest.raises(ContentError) as caught:
        store.put(chunks, *expected)
    assert str(caught.value) == message
    assert files(store) == set()


def test_an_endless_blob_is_read_no_further_than_its_size(store: BlobStore) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 10

    with pytest.raises(ContentError):
        store.put(endless(), SHA256, 25)
    assert len(taken) == 3


def test_an_error_of_the_source_goes_on_and_nothing_is_kept(store: BlobStore) -> None:
    def broken() -> Iterator[bytes]:
        yield DATA[:5]
        raise ConnectionResetError(104, "reset by peer")

    with pytest.raises(ConnectionResetError, match="reset by peer"):
        store.put(broken(), SHA256, 12)
    assert files(store) == set()


@settings(deadline=None)
@given(st.binary(), st.binary(), st.integers(-3, 3))
def test_a_blob_is_kept_only_as_it_was_promised(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, promised: bytes, more: int
) -> None:
    store = BlobStore(tmp_path_factory.mktemp("cache"))
    size = max(0, len(promised) + more)
    try:
        kept = store.put([data], Digest.of(promised), size).path.read_bytes()
    except ContentError:
        assert data != promised or size != len(data)
        assert files(store) == set()
    else:
        assert kept == data == promised
        assert size == len(data)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_blobs_and_facts_are_read_only(store: BlobStore) -> None:
    blob = store.add(DATA)
    store.remember("kind", "key", 1)
    for path in (blob.path, store.folder / "facts" / "kind" / "key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_a_blob_of_our_own_is_added(store: BlobStore) -> None:
    assert store.add(DATA) == StoredBlob(SHA256, 12, store.path(SHA256))
    assert store.read(SHA256) == DATA


def test_a_blob_is_written_whose_digest_is_known_at_its_end(store: BlobStore) -> None:
    with store.create() as writer:
        writer.write(DATA[:5])
        assert (writer.digest, writer.size) == (Digest.of(DATA[:5]), 5)
        writer.write(DATA[5:])
        assert store.find(SHA256) is None
    assert (writer.digest, writer.size) == (SHA256, 12)
    assert store.find(SHA256) == StoredBlob(SHA256, 12, store.path(SHA256))


def fail_while_writing(store: BlobStore) -> None:
    with store.create() as writer:
        writer.write(DATA)
        raise LookupError


def test_a_blob_whose_maker_fails_is_not_kept(store: BlobStore) -> None:
    with pytest.raises(LookupError):
        fail_while_writing(store)
    assert files(store) == set()


@pytest.mark.parametrize("digest", [SHA256, SHA512], ids=["sha256", "sha512"])
def test_what_is_not_there_is_not_found(store: BlobStore, digest: Digest) -> None:
    assert store.find(digest) is None
    assert store.read(digest) is None


@pytest.mark.parametrize("digest", [SHA256, SHA512], ids=["sha256", "sha512"])
@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"\0", b"S" + DATA[1:]])
def test_a_damaged_blob_is_dropped_and_can_be_put_again(store: BlobStore, digest: Digest, damage: bytes) -> None:
    blob = store.put([DATA], digest, 12)
    spoil(blob.path, damage)
    assert store.find(digest) is None
    assert store.read(digest) is None
    assert files(store) == set()
    assert store.put([DATA], digest, 12) == store.find(digest)


@pytest.mark.parametrize("size", [0, 11, 13])
def test_a_blob_of_another_size_than_claimed_is_an_error_but_stays(store: BlobStore, size: int) -> None:
    store.add(DATA)
    for look in (store.find, store.read):
        with pytest.raises(ContentError) as caught:
            look(SHA256, size)
        assert str(caught.value) == f"{SHA256} has 12 bytes, not the {size} that it should have"
    assert store.read(SHA256, 12) == DATA


def test_putting_a_blob_again_repairs_it(store: BlobStore) -> None:
    spoil(store.add(DATA).path, b"damage")
    store.put([DATA], SHA256, 12)
    assert store.read(SHA256) == DATA


def test_a_blob_is_found_by_another_store_in_the_folder(tmp_path: Path) -> None:
    BlobStore(tmp_path).add(DATA)
    assert BlobStore(tmp_path).read(SHA256) == DATA


def test_threads_may_put_one_blob_at_once(store: BlobStore) -> None:
    data = bytes(range(256)) * 4096
    digest = Digest.of(data)
    barrier = Barrier(8)

    def put(_number: int) -> StoredBlob:
        barrier.wait()
        chunks = (data[start : start + 8192] for start in range(0, len(data), 8192))
        return store.put(chunks, digest, len(data))

    with ThreadPoolExecutor(8) as pool:
        blobs = list(pool.map(put, range(8)))
    assert set(blobs) == {store.find(digest)}
    assert files(store) == {f"blobs/sha256/{digest.hex}"}


@pytest.mark.parametrize("value", [None, [], {"b": 1, "a": "ü"}, "text", 5])
def test_a_fact_is_remembered(tmp_path: Path, value: Any) -> None:
    BlobStore(tmp_path).remember("kind", "key", "old")
    BlobStore(tmp_path).remember("kind", "key", value)
    assert BlobStore(tmp_path).recall("kind", "key") == value
    assert BlobStore(tmp_path).recall("kind", "other") is None
    assert BlobStore(tmp_path).recall("other", "key") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b'{"a"'])
def test_a_damaged_fact_is_forgotten(store: BlobStore, damage: bytes) -> None:
    store.remember("kind", "key", {"a": 1})
    path = store.folder / "facts" / "kind" / "key"
    write_fact(path, damage)
    assert store.recall("kind", "key") is None
    spoil(path, damage)
    assert store.recall("kind", "key") is None


def test_a_fact_of_which_any_bit_flipped_is_forgotten(store: BlobStore) -> None:
    """JSON itself would not tell: most of what it holds are names."""
    store.remember("kind", "key", {"usr": "lib"})
    path = store.folder / "facts" / "kind" / "key"
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        spoil(path, damaged)
        assert store.recall("kind", "key") is None
    spoil(path, whole)
    assert store.recall("kind", "key") == {"usr": "lib"}


@pytest.mark.parametrize("value", [None, 5, "text", [], ["a"], {}, {"a": "text"}, {"a": None}])
def test_a_fact_of_another_form_is_forgotten(store: BlobStore, value: Any) -> None:
    store.remember("kind", "key", value)
    assert store.recall("kind", "key", lambda fact: fact["a"]["b"].lower()) is None


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_temporaries_that_a_killed_process_left_are_removed(store: BlobStore) -> None:
    old, young = store.folder / "incoming" / "old", store.folder / "incoming" / "young"
    for path in (old, young):
        path.write_bytes(b"part")
    os.utime(old, (time.time() - 3600,) * 2)
    BlobStore(store.folder.parent)
    assert files(store) == {"incoming/young"}


def test_a_cache_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "cache"
    with pytest.raises(OutputError) as caught:
        BlobStore(folder)
    assert str(caught.value) == (
        f"cannot write to the cache {folder / 'v1'}: Not a directory; "
        "make room, or set HATCH_OCI_CACHE_DIR to another folder"
    )


def test_a_cache_that_cannot_be_written_says_what_to_do(store: BlobStore) -> None:
    (store.folder / "blobs").write_bytes(b"in the way")
    with pytest.raises(OutputError) as caught:
        store.put([DATA], SHA256, 12)
    assert str(caught.value).startswith(f"cannot write to the cache {store.folder}: ")
    assert files(store) == {"blobs"}


FILLED = """
import resource, signal, sys
from pathlib import Path
from hatch_oci.store.blobs import BlobStore
store = BlobStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    store.add(b"x" * 1_000_000)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
def test_a_disk_that_takes_no_more_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"OutputError cannot write to the cache {tmp_path / 'v1'}: File too large; "
        "make room, or set HATCH_OCI_CACHE_DIR to another folder\n"
    )
    assert files(BlobStore(tmp_path)) == set()


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "chosen"))
    assert cache_folder() == tmp_path / "chosen"


@pytest.mark.skipif(sys.platform != "linux", reason="the user's cache folder is the system's matter")
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_the_cache_is_else_in_the_users_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(CACHE_VARIABLE, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "hatch-oci"


def test_without_a_home_the_variable_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As older versions of platformdirs have it; test_machine tries the one that is installed."""
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_args, **_options: Path("~/.cache/hatch-oci"))
    with pytest.raises(OutputError) as caught:
        cache_folder()
    assert str(caught.value) == "there is no home folder to keep a cache in: set HATCH_OCI_CACHE_DIR to a folder"


def test_a_blob_that_looks_as_it_did_is_not_hashed_again(store: BlobStore) -> None:
    path = store.put([DATA], SHA256, 12).path
    seen = path.stat()
    spoil(path, DATA[::-1])
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    # That is the price: whoever changes a file and sets its date back is not found out.
    assert store.find(SHA256) == StoredBlob(SHA256, 12, path)
    os.utime(path)
    assert store.find(SHA256) is None


@pytest.mark.skipif(sys.platform != "linux", reason="where nothing tells, blobs are synced")
def test_a_blob_is_hashed_again_after_the_machine_was_started_anew(store: BlobStore) -> None:
    path = store.put([DATA], SHA256, len(DATA)).path
    before = path.stat()
    # As a power cut may leave a file that was not on the disk yet.
    spoil(path, bytes(len(DATA)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.find(SHA256) is not None
    fact = store.folder / "facts" / "hashed" / SHA256.hex
    *look, boot = read_fact(fact)
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    store.remember("hashed", SHA256.hex, [*look, "another boot"])
    assert store.find(SHA256) is None
    assert not path.exists()
