"""The target `oci`: from the project to an image, step by step."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from functools import cache, partial
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.builders.plugin.interface import BuilderInterface
from hatchling.builders.wheel import WheelBuilder
from hatchling.plugin.exceptions import UnknownPluginError
from hatchling.plugin.manager import PluginManager

from hatch_oci.assembly import assemble, check_format
from hatch_oci.base.look import Contents, fetch_and_look, recall_contents
from hatch_oci.base.name import is_fixed
from hatch_oci.base.resolve import Base, fetch_layers, resolve
from hatch_oci.config import OCIConfig, describe, needs_of, uses_hatchling, wheel_builder
from hatch_oci.counts import Counts
from hatch_oci.errors import BaseError, OCIError, WheelError
from hatch_oci.image.annotation_keys import SOURCE
from hatch_oci.image.platform import Platform
from hatch_oci.installation import Installation
from hatch_oci.layers.bytecode import check_compiler
from hatch_oci.layers.fit import check_runs, find_wheel
from hatch_oci.layers.venv import Venv
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.lock.build import add_file, build_wheel
from hatch_oci.lock.dependencies import Dependency, check_clashes, depend_on
from hatch_oci.lock.needs import Choices, Provided
from hatch_oci.lock.provide import provide
from hatch_oci.lock.target import Target
from hatch_oci.output.forms import DEFAULT, FORMS, Form
from hatch_oci.output.image import Image
from hatch_oci.output.place import LAYOUT, RECORD, Place
from hatch_oci.output.record import Record, write_record
from hatch_oci.output.swap import put_back
from hatch_oci.packing import places_of, plan_layers, write_layers
from hatch_oci.platform_image import PlatformImage, check_starts, join, stdlib_layers
from hatch_oci.progress import tell_of_base, tell_of_layer, tell_of_work
from hatch_oci.registry.remote import Remote
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, StoredBlob, cache_folder
from hatch_oci.trust.documents import make_documents
from hatch_oci.trust.provenance import Sources
from hatch_oci.trust.revision import find_revision
from hatch_oci.trust.subject import Subject


class OCIBuilder(BuilderInterface[OCIConfig, PluginManager]):
    """Builds container images."""

    PLUGIN_NAME = "oci"

    @classmethod
    def get_config_class(cls) -> type[OCIConfig]:
        """Return the class of the target's configuration."""
        return OCIConfig

    def build(self, **options: Any) -> Generator[str, None, None]:
        """Build as Hatch has it: here errors end, also those of a build directory that cannot be made or cleaned."""
        try:
            yield from super().build(**options)
        except OCIError as error:
            self._give_up(str(error))
        except OSError as error:
            self._give_up(f"cannot use {error.filename}: {error.strerror}" if error.filename else str(error))

    def get_version_api(self) -> dict[str, Callable[..., str]]:
        """Return what builds the image, by the forms in which it is written."""
        return {name: partial(self._build_form, form) for name, form in FORMS.items()}

    def get_default_versions(self) -> list[str]:
        """Return the form that is written where none is asked for."""
        return [DEFAULT]

    def get_build_hooks(self, directory: str) -> dict[str, BuildHookInterface[OCIConfig]]:
        """Return the hooks to run: where there is a wheel, the project's run while that is built, and not twice."""
        own = self.target_config.get("hooks", {})
        with_wheel = self.target_config.get("wheel", True) is not False
        hooks = {} if with_wheel and not own else super().get_build_hooks(directory)
        return {name: hook for name, hook in hooks.items() if name in own or not with_wheel}

    def clean(self, directory: str, versions: list[str]) -> None:  # noqa: ARG002 - Hatch's interface
        """Remove the images and records of this project, of whichever version, and nothing else."""
        for path in self._place(directory).results():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _build_form(self, form: Form, directory: str, **_build_data: Any) -> str:
        """Build the image and write it, in `form` and with its record, to `directory`; return its path."""
        place = self._place(directory)
        target = place.of(form.suffix)
        put_back(place.of(LAYOUT))
        settings = self.config.settings
        form.check(settings.platforms, sparse=settings.sparse)
        counts = Counts()
        image, record = self._build(place, counts)
        with counts.step("output"):
            counts.add("linked", form.write(target, form.files(image)))
        write_record(place.of(RECORD), record, counts)
        self.app.display_info(f"Image {settings.repository}:{settings.tags[0]} {record.top.digest}")
        tell_of_work(counts, self._reporter())
        return str(target)

    def _build(self, place: Place, counts: Counts) -> tuple[Image, Record]:
        """Make the images for all platforms, and what there is to say of them."""
        settings = self.config.settings
        reporter = self._reporter()
        if not is_fixed(settings.base_image):
            reporter.info(
                f"Base {settings.base_image} is not pinned: `python -m hatch_oci pin` writes its digest behind the tag"
            )
        with ExitStack() as stack:
            store = BlobStore(cache_folder(), counts)
            remote = stack.enter_context(closing(Remote(settings.registries, reporter, counts=counts)))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            # Before the build has changed anything.
            sources = self._sources() if settings.trust.attestations else None
            made = [self._image(platform, place, folder, store, remote, sources) for platform in settings.platforms]
        return join(made, settings)

    def _sources(self) -> Sources:
        url = describe(self.metadata).get(SOURCE, "")
        return Sources(self.target_config, url, find_revision(Path(self.root), Path(self.config.directory)))

    def _image(
        self,
        platform: Platform,
        place: Place,
        folder: Path,
        store: BlobStore,
        remote: Remote,
        sources: Sources | None,
    ) -> PlatformImage:
        """Make the image for one platform, as blobs in the store."""
        settings, reporter, root = self.config.settings, remote.reporter, Path(self.root)
        with store.counts.step("base"):
            base = resolve(settings.base_image, platform, root, store, remote)
            check_format(base, settings)
            blobs, contents = self._look(base, store, reporter)
        tell_of_base(base, contents, reporter)
        with ExitStack() as stack:
            provided, installation = self._install(contents, platform, folder, stack, store, remote)
            with store.counts.step("layers"):
                plan = plan_layers(settings, root, installation, contents.outline, self._left_out(place), reporter.warn)
                check_starts(plan, base, settings, contents, reporter)
                planned = [*stdlib_layers(base, blobs, contents, settings), *plan.layers]
                installation = plan.installation
                # Where everything lies is not asked any more, and with a hundred thousand files it is much to keep.
                del plan
                layers = write_layers(planned, store, lambda layer: tell_of_layer(layer, reporter))
            config, manifest, annotations = assemble(base, layers, settings, describe(self.metadata), installation)
            with store.counts.step("documents"):
                places = places_of(planned, layers)
                subject = Subject(settings, manifest.descriptor, base, contents, installation, places)
                documents = make_documents(subject, sources, store)
        paths = {layer.descriptor.digest: store.path(layer.descriptor.digest) for layer in layers}
        return PlatformImage(
            base, blobs, tuple(layers), paths, config, manifest, annotations, installation, provided.lock, documents
        )

    def _look(self, base: Base, store: BlobStore, reporter: Reporter) -> tuple[tuple[StoredBlob, ...], Contents]:
        """Return the base's layers, and what is in them, where that matters.

        A sparse image does without the layers, if it is known what is in them.
        """
        settings = self.config.settings
        # A push fetches what is missing where everybody finds it, and so not from a base on this machine.
        sparse = settings.sparse and base.image_name is not None
        if not self._adds_files() and not settings.names_command and not settings.trust.sboms:
            return (() if sparse else fetch_layers(base, store, reporter)), Contents()
        enough = sparse and "stdlib" not in settings.dependencies.bytecode
        if enough and (contents := recall_contents(base, store, settings.python, settings.libc)):
            return (), contents
        blobs, contents = fetch_and_look(base, store, reporter, settings.python, settings.libc)
        return (() if sparse else blobs), contents

    def _adds_files(self) -> bool:
        """Tell whether anything is laid over the base, which must be known then."""
        settings = self.config.settings
        with_wheels = settings.wheel is not False or self._has_lock()
        return with_wheels or bool(settings.copies) or "stdlib" in settings.dependencies.bytecode

    def _has_lock(self) -> bool:
        chosen = self.config.settings.dependencies
        requirements = needs_of(self.metadata, chosen.wanted).requirements
        return chosen.lock is not None and (bool(requirements) or chosen.lock != "auto")

    def _install(
        self,
        contents: Contents,
        platform: Platform,
        folder: Path,
        stack: ExitStack,
        store: BlobStore,
        remote: Remote,
    ) -> tuple[Provided, Installation | None]:
        """Gather what goes into the venv; None where the image has none. Wheels that are built lie in `folder`."""
        settings = self.config.settings
        chosen = settings.dependencies
        needs = needs_of(self.metadata, chosen.wanted)
        with_lock = self._has_lock()
        if settings.wheel is False and not with_lock:
            return Provided(), None
        python = contents.python
        if python is None:
            raise BaseError(contents.problem)
        if chosen.bytecode:
            check_compiler(python.minor, python.free_threaded)
        target = Target(python, platform)
        provided = Provided()
        if with_lock:
            choices = Choices(chosen.lock or "auto", chosen.excluded, chosen.sdists)
            packages = contents.packages if chosen.system_site_packages else None
            build_member = partial(self._member, folder, store, offline=remote.options.offline)
            with store.counts.step("dependencies"):
                provided = provide(needs, choices, Path(self.root), target, packages, build_member, store, remote)
        app = None
        if settings.wheel is not False:
            with store.counts.step("wheel"):
                app = stack.enter_context(open_wheel(self._app(folder, target)))
            check_runs(app, frozenset(target.tags), python.version, f"{python} on {platform}")
        venv = Venv(settings.prefix, python.executable, python.binary_name, python.version, chosen.system_site_packages)
        wheels = [*provided.dependencies, *provided.members]
        with store.counts.step("dependencies"):
            check_clashes(wheels, app, venv, store)
        return provided, Installation(venv, provided.dependencies, provided.members, app)

    def _app(self, folder: Path, target: Target) -> Path:
        """Return the project's wheel, which is built, once, unless a prebuilt one is asked for."""
        settings = self.config.settings
        if isinstance(settings.wheel, str):
            core = self.metadata.core
            return find_wheel(Path(self.root), settings.wheel, core.name, str(self.metadata.version), target.tags)
        built = list((folder / "app").glob("*.whl"))
        return built[0] if built else self._build_wheel(wheel_builder(self), folder / "app", "the project's wheel")

    def _member(self, folder: Path, store: BlobStore, source: Path, *, offline: bool) -> Dependency:
        """Build the wheel of another package of the workspace: with hatchling at hand, with uv if it wants another."""
        # Not by its name, which two folders may have.
        target = folder / hashlib.sha256(os.fsencode(source.resolve())).hexdigest()
        if built := list(target.glob("*.whl")):
            path = built[0]
        elif uses_hatchling(source):
            path = self._build_wheel(WheelBuilder(str(source), app=self.app), target, f"the wheel of {source.name}")
        else:
            path = build_wheel(source, target, offline=offline)
        return depend_on(path.name, add_file(path, store), store, built=True)

    @staticmethod
    def _build_wheel(builder: WheelBuilder, folder: Path, what: str) -> Path:
        try:
            (artifact,) = builder.build(directory=str(folder), versions=["standard"])
        except (UnknownPluginError, ImportError) as error:
            message = (
                f"{what} could not be built: {error}\n"
                "If one of its build hooks needs this, let Hatch install it: `hatch build -t wheel -t oci`"
            )
            raise WheelError(message) from error
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            message = f"{what} could not be built: {reason}\n`hatch build -t wheel` says more"
            raise WheelError(message) from error
        return Path(artifact)

    def _place(self, directory: str) -> Place:
        name, _, version = str(wheel_builder(self).artifact_project_id).partition("-")
        return Place(Path(directory), name, version)

    def _left_out(self, place: Place) -> Callable[[str], bool]:
        """Return what tells the results of this and earlier builds, which no image may hold."""
        folders = {place.directory.resolve(), Path(self.config.directory).resolve()}
        places = [place._replace(directory=folder) for folder in folders]
        return lambda path: any(one.holds(path) for one in places)

    def _reporter(self) -> Reporter:
        return Reporter(
            info=self.app.display_info,
            # Not again for each platform.
            warn=cache(lambda text: self.app.display_warning(f"Warning: {text}")),
            debug=self.app.display_debug,
            live=self.app.verbosity >= 0 and sys.stderr.isatty(),
        )

    def _give_up(self, message: str) -> None:
        """End the build with a message; `-v` shows where it came from."""
        if self.app.verbosity > 0:
            traceback.print_exc()
        self.app.abort(message)
