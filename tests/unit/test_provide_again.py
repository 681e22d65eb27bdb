"""What a lock gave once is not worked out again, as long as nothing that it depends on changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hatch_oci.lock.needs import Wanted
from hatch_oci.store.blobs import BlobStore
from tests.unit.facts import read_fact, write_fact
from tests.unit.locks import target
from tests.unit.test_provide import EXTRAS, Workshop, keys


@pytest.fixture
def shop(tmp_path: Path, store: BlobStore) -> Workshop:
    """Return a project that was provided for once."""
    (tmp_path / "project").mkdir()
    shop = Workshop(tmp_path / "project", store)
    shop.lock(shop.wheel("web", "h11"), shop.wheel("h11"), head=EXTRAS)
    shop.provide("web")
    # What is written there again was worked out again.
    shutil.rmtree(facts(shop, "wheels"))
    return shop


def facts(shop: Workshop, kind: str) -> Path:
    return shop.store.folder / "facts" / kind


def worked_out(shop: Workshop) -> bool:
    return facts(shop, "wheels").exists()


def test_the_same_lock_and_needs_are_not_worked_out_again(shop: Workshop) -> None:
    again = shop.provide("web")
    assert not worked_out(shop)
    shutil.rmtree(facts(shop, "provided"))
    assert shop.provide("web") == again
    assert worked_out(shop)


def test_a_changed_lock_is(shop: Workshop) -> None:
    shop.lock(shop.wheel("web"), head=EXTRAS)
    assert keys(shop.provide("web")) == ["web"]


def test_other_needs_are_checked(shop: Workshop) -> None:
    assert shop.fails("web", "more") == ["the project requires more, which is not in pylock.toml: make the lock anew"]
    assert shop.fails("web>1") == ["the project requires web>1, but pylock.toml has 1.0: make the lock anew"]


def test_other_choices_and_another_target_are_too(shop: Workshop) -> None:
    assert keys(shop.provide("web", excluded=frozenset({"h11"}))) == ["web"]
    for change in ({"wanted": Wanted(("cli",))}, {"one": target("linux/arm64")}, {"base_packages": {"web": "0"}}):
        shutil.rmtree(facts(shop, "wheels"), ignore_errors=True)
        assert keys(shop.provide("web", **change)) == ["web", "h11"]
        assert worked_out(shop)


@pytest.mark.parametrize("text", ["", "[", "{}", "[{}]", '[{"facts": {}}]', "null", '"x"'])
def test_damaged_memory_is_none(text: str, shop: Workshop) -> None:
    (path,) = facts(shop, "provided").iterdir()
    write_fact(path, text.encode())
    assert keys(shop.provide("web")) == ["web", "h11"]
    assert worked_out(shop)


@pytest.mark.parametrize(
    ("field", "value"), [("filename", 1), ("digest", "sha256:0"), ("uploaded", "yesterday"), ("facts", {"name": "web"})]
)
def test_a_damaged_part_of_it_too(field: str, value: object, shop: Workshop) -> None:
    (path,) = facts(shop, "provided").iterdir()
    document = read_fact(path)
    document[0][field] = value
    write_fact(path, json.dumps(document).encode())
    assert keys(shop.provide("web")) == ["web", "h11"]
    assert worked_out(shop)


def test_a_wheel_that_left_the_store_is_taken_in_again(shop: Workshop) -> None:
    lost = shop.provide("web").dependencies[1].blob
    lost.path.unlink()
    assert shop.provide("web").dependencies[1].blob == lost
    assert lost.path.exists()


def test_what_is_built_here_is_not_remembered(shop: Workshop) -> None:
    shop.provide("web", sdists=frozenset({"h11"}))
    assert len(list(facts(shop, "provided").iterdir())) == 1


def test_a_project_may_lie_under_a_name_that_is_not_utf_8(tmp_path: Path, store: BlobStore) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        root.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    shop = Workshop(root, store)
    shop.lock(shop.wheel("web"), head=EXTRAS)
    assert keys(shop.provide("web")) == ["web"]
    shutil.rmtree(facts(shop, "wheels"))
    assert keys(shop.provide("web")) == ["web"]
    assert not worked_out(shop)
