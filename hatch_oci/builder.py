"""The target `oci`: from the project to an image, step by step."""

from __future__ import annotations

import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.plugin.exceptions import UnknownPluginError
from hatchling.plugin.manager import PluginManager

from hatch_oci.assembly import assemble
from hatch_oci.base.look import Contents, look_into
from hatch_oci.base.python import supported_tags
from hatch_oci.base.resolve import Base, fetch_layers, resolve
from hatch_oci.config import OCIConfig, describe, wheel_builder
from hatch_oci.errors import BaseError, OCIError, WheelError
from hatch_oci.image.manifest import Manifest
from hatch_oci.layers.compress import GZIP_IS_REPRODUCIBLE
from hatch_oci.layers.fit import check_runs, find_wheel
from hatch_oci.layers.layer import Layer
from hatch_oci.layers.venv import Venv
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.output.layout import write_layout
from hatch_oci.output.place import Place
from hatch_oci.output.record import LayerRecord, Record, write_record
from hatch_oci.output.swap import put_back
from hatch_oci.packing import App, pack_layers
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter, format_size
from hatch_oci.store.blobs import BlobStore, cache_folder


class OCIBuilder(BuilderInterface[OCIConfig, PluginManager]):
    """Builds container images."""

    PLUGIN_NAME = "oci"

    @classmethod
    def get_config_class(cls) -> type[OCIConfig]:
        """Return the class of the target's configuration."""
        return OCIConfig

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return the forms in which an image is written."""
        return {"layout": self.build_layout}

    def get_build_hooks(self, directory: str) -> dict[str, BuildHookInterface[OCIConfig]]:
        """Return the hooks to run: where there is a wheel, the project's run while that is built, and not twice."""
        own = self.target_config.get("hooks", {})
        with_wheel = self.target_config.get("wheel", True) is not False
        hooks = {} if with_wheel and not own else super().get_build_hooks(directory)
        return {name: hook for name, hook in hooks.items() if name in own or not with_wheel}

    def clean(self, directory: str, versions: list[str]) -> None:  # noqa: ARG002 - Hatch's interface
        """Remove the layouts and records of this project, of whichever version, and nothing else."""
        for path in self._place(directory).results():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def build_layout(self, directory: str, **_build_data: Any) -> str:
        """Build the image as a layout in `directory`; return the layout's path."""
        try:
            return str(self._build(self._place(directory)))
        except OCIError as error:
            self._give_up(str(error))
        except OSError as error:
            self._give_up(f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error))
        return ""

    def _build(self, place: Place) -> Path:
        settings = self.config.settings
        reporter = self._reporter()
        put_back(place.layout)
        with ExitStack() as stack:
            store = BlobStore(cache_folder())
            transport = stack.enter_context(closing(Transport(settings.registries, reporter)))
            base = resolve(settings.base_image, settings.platform, Path(self.root), store, transport)
            base_blobs = fetch_layers(base, store, reporter)
            contents = look_into(base, base_blobs, store, settings.python, settings.libc)
            _tell_of_base(base, contents, reporter)
            app = stack.enter_context(self._app(contents)) if settings.wheel is not False else None
            layers = []
            for layer in pack_layers(settings, Path(self.root), app, contents.outline, store, self._left_out(place)):
                reporter.info(f"Layer {layer.summary}: {format_size(layer.descriptor.size)}")
                layers.append(layer)
            config, manifest = assemble(base, layers, settings, describe(self.metadata), app)
        paths = {blob.digest: blob.path for blob in base_blobs}
        paths |= {layer.descriptor.digest: store.path(layer.descriptor.digest) for layer in layers}
        write_layout(place.layout, manifest, config.raw, paths, settings.repository, settings.tags)
        write_record(place.record, self._record(base, layers, manifest, app))
        reporter.info(f"Image {settings.repository}:{settings.tags[0]} {manifest.digest}")
        return place.layout

    @contextmanager
    def _app(self, contents: Contents) -> Iterator[App]:
        """Open the project's wheel, which is built first unless a prebuilt one is asked for."""
        settings = self.config.settings
        python = contents.python
        if python is None:
            raise BaseError(contents.problem)
        if self.metadata.core.dependencies:
            missing = ", ".join(self.metadata.core.dependencies)
            self._reporter().warn(f"this version puts no dependencies into the image; the project has: {missing}")
        tags = supported_tags(python, settings.platform)
        with tempfile.TemporaryDirectory() as folder:
            if isinstance(settings.wheel, str):
                core = self.metadata.core
                path = find_wheel(Path(self.root), settings.wheel, core.name, str(self.metadata.version), tags)
            else:
                path = self._build_wheel(folder)
            with open_wheel(path) as wheel:
                check_runs(wheel, frozenset(tags), python.version, f"{python} on {settings.platform}")
                yield App(wheel, Venv(settings.prefix, python.executable, python.binary_name, python.version))

    def _build_wheel(self, folder: str) -> Path:
        try:
            (artifact,) = wheel_builder(self).build(directory=folder, versions=["standard"])
        except (UnknownPluginError, ImportError) as error:
            message = (
                f"the project's wheel could not be built: {error}\n"
                "If one of its build hooks needs this, let Hatch install it: `hatch build -t wheel -t oci`"
            )
            raise WheelError(message) from error
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            message = f"the project's wheel could not be built: {reason}\n`hatch build -t wheel` says more"
            raise WheelError(message) from error
        return Path(artifact)

    def _place(self, directory: str) -> Place:
        name, _, version = str(wheel_builder(self).artifact_project_id).partition("-")
        return Place(Path(directory), name, version)

    def _left_out(self, place: Place) -> Callable[[Path], bool]:
        """Return what tells the results of this and earlier builds, which no image may hold."""
        folders = {place.directory.resolve(), Path(self.config.directory).resolve()}
        places = [replace(place, directory=folder) for folder in folders]
        return lambda path: any(one.holds(path) for one in places)

    def _record(self, base: Base, layers: Sequence[Layer], manifest: Manifest, app: App | None) -> Record:
        settings = self.config.settings
        below = zip(base.layers, base.config.diff_ids, strict=True)
        return Record(
            repository=settings.repository,
            tags=settings.tags,
            platform=settings.platform,
            manifest=manifest,
            layers=[
                *(LayerRecord(descriptor, diff_id, "base") for descriptor, diff_id in below),
                *(LayerRecord(layer.descriptor, layer.diff_id, layer.summary) for layer in layers),
            ],
            base_reference=base.name,
            base_digest=base.top_digest,
            base_manifest_digest=base.digest,
            wheel=app.wheel.filename if app else None,
            wheel_sha256=app.wheel.sha256 if app else None,
        )

    def _reporter(self) -> Reporter:
        return Reporter(
            info=self.app.display_info,
            warn=lambda text: self.app.display_warning(f"Warning: {text}"),
            debug=self.app.display_debug,
            live=self.app.verbosity >= 0 and sys.stderr.isatty(),
        )

    def _give_up(self, message: str) -> None:
        """End the build with a message; `-v` shows where it came from."""
        if self.app.verbosity > 0:
            traceback.print_exc()
        self.app.abort(message)


def _tell_of_base(base: Base, contents: Contents, reporter: Reporter) -> None:
    found = f", {contents.python}" if contents.python else ""
    reporter.info(f"Base {base.name} for {base.config.platform}{found}")
    if base.config.diff_ids and not base.config.history_fits and base.config.document.get("history"):
        reporter.warn(f"the history of {base.name} does not fit its layers; the image gets none")
    if not GZIP_IS_REPRODUCIBLE:
        reporter.warn("zlib-ng is not installed: other machines may compress to other bytes, and so other digests")
