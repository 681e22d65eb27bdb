"""`hatch publish -p oci`: for those who have this package in Hatch's own environment."""

from __future__ import annotations

import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

from hatch.publish.plugin.interface import PublisherInterface

from hatch_oci.config import image_folder, registry_options
from hatch_oci.errors import ConfigError, OCIError
from hatch_oci.output.outcome import tell_pipelines
from hatch_oci.output.reading import find_layout, read_layout
from hatch_oci.pushing import push_image
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, cache_folder
from hatch_oci.table import Table

_OPTIONS = ("repository", "tag", "digest-file")
_HATCHS_OWN = ("no_prompt", "initialize_auth")
_TABLE_KEYS = ("repository", "tags", "disable")


class OCIPublisher(PublisherInterface):
    """Pushes what `hatch build -t oci` wrote."""

    PLUGIN_NAME = "oci"

    def publish(self, artifacts: list[str], options: dict[str, Any]) -> None:
        """Push the layout among `artifacts`, or the one where the target writes.

        What `options` has comes from `-o repository=… -o tag=… -o digest-file=…`.
        """
        try:
            self._publish(artifacts, options)
        except OCIError as error:
            if self.app.verbosity > 0:
                traceback.print_exc()
            self.app.abort(str(error))

    def _publish(self, artifacts: list[str], options: dict[str, Any]) -> None:
        root = Path(self.root)
        table = Table("tool.hatch.publish.oci", self.project_config, str)
        repository = options.get("repository") or table.optional_text("repository")
        tags = (options["tag"],) if options.get("tag") else table.texts("tags")
        self._check(options, table)
        layout = _find(artifacts, root)
        reporter = Reporter(
            info=self.app.display_info,
            warn=lambda text: self.app.display_warning(f"Warning: {text}"),
            debug=self.app.display_debug,
        )
        with closing(Transport(registry_options(root), reporter)) as transport:
            pushed = push_image(read_layout(layout), repository, tags, transport, BlobStore(cache_folder()))
        tell_pipelines(pushed.digest, pushed.references, options.get("digest-file"))
        for reference in pushed.references:
            self.app.display_info(reference)

    @staticmethod
    def _check(options: dict[str, Any], table: Table) -> None:
        table.check_keys(_TABLE_KEYS)
        mistakes = [
            f"Option `{key}` is not known; there are: {', '.join(_OPTIONS)}"
            for key in options
            if key not in (*_OPTIONS, *_HATCHS_OWN)
        ]
        if table.mistakes or mistakes:
            raise ConfigError([*table.mistakes, *mistakes])


def _find(artifacts: list[str], root: Path) -> Path:
    """Return the layout among `artifacts`, wheels and archives maybe, or the one in their only folder."""
    paths = [Path(artifact) for artifact in artifacts]
    layouts = [path for path in paths if (path / "oci-layout").is_file()]
    if len(layouts) == 1:
        return layouts[0]
    return find_layout(paths[0].parent if layouts else paths[0] if paths else image_folder(root))
