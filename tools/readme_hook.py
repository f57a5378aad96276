"""The README as the package index shows it: hatchling runs this when it builds the wheel.

There, a relative link leads nowhere. With `Source` in [project.urls], each link and picture gets
the address of its file in this version. Without it, the text of each link is left.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

sys.path.insert(0, str(Path(__file__).parent))

from links import in_repository, rewrite, source_address


class ReadmeHook(MetadataHookInterface):
    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        source, version = source_address(metadata), metadata["version"]

        def change(target: str, picture: bool) -> str | None:
            return source and in_repository(source, version, target, picture)

        readme = (Path(self.root) / "README.md").read_text("utf-8")
        text = rewrite(readme, change)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
