"""What wheels say of themselves: licences, and what is within them (PEP 639, PEP 770)."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from hatch_oci.layers.wheel import open_wheel
from hatch_oci.trust.declared import read_declared
from hatch_oci.trust.part import Part, package_url, serial_of
from hatch_oci.trust.wheels import describe_wheel
from tests.unit.wheels import write_wheel

RUST = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "metadata": {
        "component": {
            "type": "library",
            "name": "core-rust",
            "version": "0.5.0",
            "purl": "pkg:cargo/core-rust@0.5.0?download_url=file://.",
            "components": [{"type": "library", "name": "core_rust", "version": "0.5.0"}],
        }
    },
    "components": [
        {
            "type": "library",
            "name": "heck",
            "version": "0.5.0",
            "purl": "pkg:cargo/heck@0.5.0",
            "hashes": [{"alg": "MD5", "content": "00"}, {"alg": "SHA-256", "content": "AB" * 32}],
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
            "components": [{"type": "file", "name": "within", "licenses": [{"license": {"id": "MIT"}}]}],
        },
        {"type": "library", "group": "org.example", "name": "grouped", "version": "1"},
        {"type": "library", "name": "asked-for", "purl": "pkg:pypi/asked-for"},
        {"type": "library", "name": "vendored", "version": "2.0", "purl": "pkg:pypi/vendored@2.0"},
    ],
}
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {
            "name": "openssl",
            "versionInfo": "3.0.1",
            "licenseDeclared": "Apache-2.0",
            "checksums": [{"algorithm": "SHA256", "checksumValue": "cd" * 32}],
            "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:generic/openssl@3.0.1"}],
        },
        {"name": "plain", "licenseDeclared": "NOASSERTION", "primaryPackagePurpose": "APPLICATION"},
    ],
}


def declared(document: Any) -> tuple[Part, ...]:
    return read_declared(json.dumps(document).encode(), "a list")


def described(folder: Path, metadata: str = "", **lists: Any) -> Part:
    """Return a wheel `web` with more lines in its metadata, and these lists within."""
    files = {f"web-1.0.dist-info/sboms/{name}.json": json.dumps(one).encode() for name, one in lists.items()}
    path = write_wheel(
        folder,
        {"web/__init__.py": b"", **files},
        filename="web-1.0-py3-none-any.whl",
        info="web-1.0.dist-info",
        metadata=f"Metadata-Version: 2.4\nName: Web\nVersion: 1.0\n{metadata}\n",
    )
    with open_wheel(path) as wheel:
        return describe_wheel(wheel)


def test_cyclonedx_is_read_with_what_it_is_about_and_what_is_nested() -> None:
    assert declared(RUST) == (
        Part("application", "core-rust", "0.5.0", "pkg:cargo/core-rust@0.5.0?download_url=file://."),
        Part("library", "heck", "0.5.0", "pkg:cargo/heck@0.5.0", "ab" * 32, "MIT OR Apache-2.0"),
        Part("library", "org.example/grouped", "1"),
        Part("library", "vendored", "2.0", "pkg:pypi/vendored@2.0"),
        Part("library", "within", licence="MIT"),
    )


def test_spdx_is_read() -> None:
    assert declared(SPDX) == (
        Part("library", "openssl", "3.0.1", "pkg:generic/openssl@3.0.1", "cd" * 32, "Apache-2.0"),
        Part("application", "plain"),
    )


@pytest.mark.parametrize(
    "document", [{}, [], {"bomFormat": "CycloneDX", "components": {}}, {"spdxVersion": "SPDX-3.0"}]
)
def test_what_is_neither_says_nothing(document: Any) -> None:
    assert declared(document) == ()


def test_what_is_no_json_says_nothing() -> None:
    assert read_declared(b"<bom/>", "a list") == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "type", "purl", "hashes", "licenses", "license", "components", "component", "alg"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
def test_no_list_is_too_odd(metadata: Any, components: Any, packages: Any) -> None:
    document = {"bomFormat": "CycloneDX", "metadata": metadata, "components": components}
    for one in (document, {"spdxVersion": "SPDX-2.2", "packages": packages}):
        assert all(part.name for part in declared(one))


def test_a_wheel_has_what_all_its_lists_name_but_itself(tmp_path: Path) -> None:
    itself = {"bomFormat": "CycloneDX", "metadata": {"component": {"name": "web", "purl": "pkg:pypi/web@1.0"}}}
    part = described(tmp_path, rust=RUST, again=RUST, spdx=SPDX, itself=itself)
    assert (part.name, part.version, part.purl) == ("web", "1.0", "pkg:pypi/web@1.0")
    names = [one.name for one in part.parts]
    assert sorted(names) == ["core-rust", "heck", "openssl", "org.example/grouped", "plain", "vendored", "within"]


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: no\n", "MIT OR Apache-2.0"),
        ("License: BSD\nClassifier: License :: OSI Approved :: BSD License\n", "BSD"),
        (f"License: {'long ' * 40}\nClassifier: License :: OSI Approved :: BSD License\n", "BSD License"),
        (
            (
                "License: UNKNOWN\n"
                "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: Public Domain\n"
            ),
            "MIT License, Public Domain",
        ),
        ("", ""),
    ],
)
def test_a_licence_is_what_the_metadata_calls_it(metadata: str, licence: str, tmp_path: Path) -> None:
    assert described(tmp_path, metadata).licence == licence


NAMES = st.text(alphabet="abcXYZ019.-_~+:!@ü%", min_size=1, max_size=10)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(NAMES, NAMES, st.dictionaries(st.sampled_from(["arch", "distro", "tag"]), PATHS))
def test_a_package_url_is_what_the_reference_implementation_makes(
    name: str, version: str, qualifiers: dict[str, str]
) -> None:
    expected = PackageURL("generic", "a/b", name, version, qualifiers).to_string()
    assert package_url("generic", name, version, "a/b", none="", **qualifiers) == expected


def test_a_serial_number_is_a_uuid_of_the_digest() -> None:
    found = uuid.UUID(serial_of("0123456789abcdef" * 4))
    assert (found.version, found.variant) == (8, uuid.RFC_4122)
    assert serial_of("0123456789abcdef" * 4) != serial_of("1123456789abcdef" * 4)
