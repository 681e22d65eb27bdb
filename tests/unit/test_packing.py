from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hatch_oci.base.outline import Outline
from hatch_oci.errors import SourceError
from hatch_oci.installation import Installation
from hatch_oci.layers.layer import Layer
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.packing import plan_layers
from hatch_oci.store.blobs import BlobStore
from tests.unit.dependencies import snapshot
from tests.unit.projects import read_table
from tests.unit.wheels import INFO, MODULE, SITE, VENV, write_wheel

BASE = Outline({"": {"lib": "usr/lib"}, "app": {}, "usr": {}, "usr/lib": {}, "etc": {}, "tmp": {}})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("static/a.css", "static/sub/b.css", "conf/app.toml"):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "project"


@contextmanager
def app_of(folder: Path, **parts: Any) -> Iterator[Installation]:
    with open_wheel(write_wheel(folder, **parts)) as wheel:
        yield Installation(VENV, app=wheel)


def pack(
    store: BlobStore,
    project: Path,
    copies: list[dict[str, Any]],
    app: Installation | None = None,
    base: Outline = BASE,
) -> list[Layer]:
    plan = plan_layers(read_table({"copy": copies}), project, app, base)
    return [layer.write(store) for layer in plan.layers]


def names(layer: Layer, store: BlobStore) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(store.path(layer.descriptor.digest).read_bytes()))) as tar:
        return tar.getnames()


def failure(store: BlobStore, project: Path, copies: list[dict[str, Any]], app: Installation | None = None) -> str:
    with pytest.raises(SourceError) as error:
        pack(store, project, copies, app)
    return str(error.value)


def test_an_unchanged_venv_and_wheel_are_not_packed_again(project: Path, store: BlobStore) -> None:
    with app_of(project) as app:
        layers = pack(store, project, [], app)
        before = snapshot(store.folder)
        assert pack(store, project, [], app) == layers
        assert snapshot(store.folder) == before


def test_what_changes_their_files_or_places_makes_other_layers(project: Path, store: BlobStore) -> None:
    with app_of(project) as app, app_of(project / "other", files=dict.fromkeys(MODULE, b"answer = 43\n")) as other:
        assert app.app
        assert other.app
        moved = app._replace(venv=replace(VENV, prefix="/srv/venv"))
        patched = app._replace(venv=replace(VENV, python_version="3.13.2"))
        bare = Outline({"": {}})
        packed = [
            pack(store, project, [], app),
            pack(store, project, [], other),
            pack(store, project, [], moved),
            pack(store, project, [], patched),
            pack(store, project, [], app, bare),
        ]
        venvs, wheels = zip(*packed, strict=True)
    assert [venvs.index(one) for one in venvs] == [0, 0, 2, 3, 4]
    # The venv's own folders are there for the wheel, whatever the base has.
    assert [[one.diff_id for one in wheels].index(one.diff_id) for one in wheels] == [0, 1, 2, 0, 0]


def test_layers_are_the_venv_the_copies_and_the_wheel(project: Path, store: BlobStore) -> None:
    copies = [{"from": "static", "to": "/srv/static"}, {"from": "conf/app.toml", "to": "/etc/"}]
    with app_of(project) as app:
        layers = pack(store, project, copies, app)
    assert [layer.summary for layer in layers] == [
        "venv /app/.venv",
        "files /srv/static",
        "files /etc",
        "wheel demo 1.0",
    ]
    found = [names(layer, store) for layer in layers]
    assert found[0] == [
        "app/.venv",
        "app/.venv/bin",
        "app/.venv/bin/python",
        "app/.venv/bin/python3",
        "app/.venv/bin/python3.13",
        "app/.venv/lib",
        "app/.venv/lib/python3.13",
        SITE,
        "app/.venv/lib64",
        "app/.venv/pyvenv.cfg",
    ]
    static = ["srv", "srv/static", "srv/static/a.css", "srv/static/sub", "srv/static/sub/b.css"]
    assert found[1:3] == [static, ["etc/app.toml"]]
    assert found[3] == [
        f"{SITE}/demo",
        f"{SITE}/demo/__init__.py",
        f"{SITE}/{INFO}",
        *(f"{SITE}/{INFO}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL")),
    ]


def test_without_a_wheel_there_is_no_venv(project: Path, store: BlobStore) -> None:
    layers = pack(store, project, [{"from": "static", "to": "/srv"}])
    assert [layer.summary for layer in layers] == ["files /srv"]
    assert pack(store, project, []) == []


def test_on_scratch_every_folder_is_written_once(project: Path, store: BlobStore) -> None:
    copies = [{"from": "static", "to": "/srv/a"}, {"from": "static", "to": "/srv/b"}]
    with app_of(project) as app:
        layers = pack(store, project, copies, app, Outline())
    written = [name for layer in layers for name in names(layer, store)]
    assert {"app", "srv", "srv/a", "srv/b"} <= set(written)
    assert len(written) == len(set(written))


def test_layers_do_not_depend_on_each_others_content(project: Path, store: BlobStore) -> None:
    copies = [{"from": "static", "to": "/srv"}]
    with app_of(project / "1") as app:
        first = pack(store, project, copies, app)
    with app_of(project / "2", files=MODULE | {"demo/new.py": b""}) as app:
        second = pack(store, project, copies, app)
    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_compression_is_what_was_asked_for(project: Path, store: BlobStore) -> None:
    settings = read_table({"copy": [{"from": "static", "to": "/srv"}], "compression": "none"})
    layer = plan_layers(settings, project, None, BASE).layers[0].write(store)
    assert layer.descriptor.media_type == "application/vnd.oci.image.layer.v1.tar"
    assert layer.descriptor.digest == layer.diff_id


@pytest.mark.parametrize(
    ("copies", "problem"),
    [
        (
            [{"from": "static", "to": "/srv"}, {"from": "conf/app.toml", "to": "/srv/a.css"}],
            "files /srv and files /srv/a.css both want the path /srv/a.css",
        ),
        (
            [{"from": "static", "to": "/srv"}, {"from": "static", "to": "/srv/a.css"}],
            "files /srv/a.css: /srv/a.css is a file from files /srv, not a folder",
        ),
        (
            [{"from": "static", "to": "/srv/x"}, {"from": "conf/app.toml", "to": "/srv"}],
            "files /srv/x and files /srv both want the path /srv",
        ),
        (
            [{"from": "static", "to": "/srv/x", "exclude": ["/a.css"]}, {"from": "conf/app.toml", "to": "/srv/x/sub"}],
            "files /srv/x and files /srv/x/sub both want the path /srv/x/sub",
        ),
    ],
)
def test_two_copies_that_want_one_path_are_refused(
    copies: list[dict[str, Any]], problem: str, project: Path, store: BlobStore
) -> None:
    assert failure(store, project, copies) == problem


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/app/.venv/pyvenv.cfg", "venv /app/.venv and files /app/.venv/pyvenv.cfg both want the path "),
        ("/app/.venv/bin/python", "venv /app/.venv and files /app/.venv/bin/python both want the path "),
        (f"/{SITE}/demo/__init__.py", f"files /{SITE}/demo/__init__.py and wheel demo 1.0 both want the path "),
        (f"/{SITE}/demo", f"wheel demo 1.0: /{SITE}/demo is a file from files /{SITE}/demo, not a folder"),
    ],
)
def test_a_copy_that_gets_in_the_way_of_the_app_is_refused(
    target: str, problem: str, project: Path, store: BlobStore
) -> None:
    with app_of(project) as app:
        assert failure(store, project, [{"from": "conf/app.toml", "to": target}], app).startswith(problem)


def test_a_copy_through_the_venvs_own_symlink_lies_where_that_leads(project: Path, store: BlobStore) -> None:
    with app_of(project) as app:
        layers = pack(store, project, [{"from": "conf/app.toml", "to": "/app/.venv/lib64/x"}], app)
    assert names(layers[1], store) == ["app/.venv/lib/x"]


PYTHON = {"python3.13": None, "python3": "python3.13"}


@pytest.mark.parametrize("links", [{}, {"usr/local": {"bin": "/opt/bin"}}])
def test_a_prefix_over_the_bases_own_python_is_refused(
    links: dict[str, dict[str, str | None]], project: Path, store: BlobStore
) -> None:
    folder = "opt/bin" if links else "usr/local/bin"
    base = Outline({"": {}, "opt": {}, "usr": {}, "usr/local": {}, **links, folder: PYTHON})
    venv = replace(VENV, prefix="/usr/local", python=f"/{folder}/python3.13")
    with app_of(project) as app, pytest.raises(SourceError) as caught:
        pack(store, project, [], app._replace(venv=venv), base)
    assert str(caught.value) == (
        f"prefix = '/usr/local' is where the base has its own Python, /{folder}/python3.13: choose another folder"
    )


@pytest.mark.parametrize(
    ("items", "there"),
    [
        ({"app/.venv": {"lib64": "lib", "pyvenv.cfg": None}, "app/.venv/lib": {}}, "app/.venv/pyvenv.cfg"),
        ({"app/.venv": {}, "app/.venv/bin": {"python": "/usr/bin/python3"}}, "app/.venv/bin/python"),
        ({"app/.venv": {}, "app/.venv/bin": {"python3.13": None}}, "app/.venv/bin/python3.13"),
        ({"app": {".venv": "../srv"}, "srv": {"pyvenv.cfg": None}}, "srv/pyvenv.cfg"),
    ],
)
@pytest.mark.parametrize("system_site_packages", [False, True])
def test_a_prefix_over_a_venv_of_the_base_is_refused(
    items: dict[str, dict[str, str | None]], there: str, system_site_packages: bool, project: Path, store: BlobStore
) -> None:
    base = Outline({"": {}, "app": {}, "usr": {}, "usr/bin": {"python3": None}, **items})
    venv = replace(VENV, system_site_packages=system_site_packages)
    with app_of(project) as app, pytest.raises(SourceError) as caught:
        pack(store, project, [], app._replace(venv=venv), base)
    assert str(caught.value) == (
        f"prefix = '/app/.venv': the base has a Python environment there already, with /{there}\n"
        "Choose another `prefix`, or a base without one: the packages of both would mix"
    )
    with app_of(project) as app:
        pack(store, project, [], app._replace(venv=replace(venv, prefix="/app/other")), base)


def test_a_folder_of_the_base_may_be_the_prefix(project: Path, store: BlobStore) -> None:
    folders: dict[str, dict[str, str | None]] = {
        "app/.venv": {"lib64": "lib", "README": None},
        "app/.venv/bin": {"tool": None},
        "app/.venv/lib": {},
    }
    with app_of(project) as app:
        layers = pack(store, project, [], app, Outline({"": {}, "app": {}, **folders}))
    assert {"app/.venv/lib64", "app/.venv/bin/python", "app/.venv/pyvenv.cfg"} < set(names(layers[0], store))
    with app_of(project) as app, pytest.raises(SourceError) as caught:
        pack(store, project, [], app, Outline({"": {}, "app": {}, "app/.venv": {}, "app/.venv/lib64": {}}))
    assert str(caught.value) == "venv /app/.venv would replace /app/.venv/lib64, which is a folder of the base"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"demo/.wh.a": b""}, f"cannot pack '{SITE}/demo/.wh.a': in a layer, names that begin with .wh. delete files"),
        ({"a/b.py": b"", "demo-1.0.data/purelib/a/b.py": b""}, f"two files of one layer want the path /{SITE}/a/b.py"),
        ({"a": b"", "a/b.py": b""}, f"/{SITE}/a would be both a file and the folder of /{SITE}/a/b.py"),
    ],
)
def test_what_is_wrong_with_a_wheels_members_names_the_wheel(
    files: dict[str, bytes], problem: str, project: Path, store: BlobStore
) -> None:
    with app_of(project, files=files) as app:
        assert failure(store, project, [], app) == f"wheel demo 1.0: {problem}"


def test_a_copy_may_go_into_the_venv(project: Path, store: BlobStore) -> None:
    with app_of(project) as app:
        layers = pack(store, project, [{"from": "conf", "to": "/app/.venv/etc"}], app)
    assert names(layers[1], store) == ["app/.venv/etc", "app/.venv/etc/app.toml"]


def test_no_folder_of_the_base_is_written_again(project: Path, store: BlobStore) -> None:
    (project / "static/lib").mkdir()
    (project / "static/lib/x.so").touch()
    (project / "static/tmp").mkdir()
    (layer,) = pack(store, project, [{"from": "static", "to": "/"}])
    assert names(layer, store) == ["a.css", "sub", "sub/b.css", "usr/lib/x.so"]


@pytest.mark.parametrize("target", ["/etc", "/lib", "/app"])
def test_no_file_replaces_a_folder_of_the_base(target: str, project: Path, store: BlobStore) -> None:
    assert target in failure(store, project, [{"from": "conf/app.toml", "to": target}])
    (layer,) = pack(store, project, [{"from": "conf/app.toml", "to": f"{target}/"}])
    assert names(layer, store) == [f"{target[1:].replace('lib', 'usr/lib')}/app.toml"]


def test_where_files_came_from_is_not_in_the_layer(project: Path, store: BlobStore) -> None:
    layers = pack(store, project, [{"from": str(project / "static"), "to": "/srv"}])
    raw = gzip.decompress(store.path(layers[0].descriptor.digest).read_bytes())
    assert str(project) not in layers[0].summary
    assert str(project).encode() not in raw
