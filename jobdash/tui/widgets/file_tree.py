"""A tree of folders in which the files of a batch can be chosen."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.style import Style
from rich.text import Text
from textual.widgets import DirectoryTree
from textual.widgets.directory_tree import DirEntry
from textual.widgets.tree import TreeNode

from jobdash.domain.text import clean

SUFFIX = ".jsonl"
_LONGEST_NAME = 200


class FileTree(DirectoryTree):
    """Folders and JSONL files; hidden ones are left out."""

    # One cell wide each, and ASCII.
    ICON_NODE_EXPANDED = "- "
    ICON_NODE = "+ "
    ICON_FILE = "  "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out what is neither a folder nor a JSONL file."""
        return [
            path
            for path in paths
            if not path.name.startswith(".") and (path.suffix.lower() == SUFFIX or self._safe_is_dir(path))
        ]

    def render_label(self, node: TreeNode[DirEntry], base_style: Style, style: Style) -> Text:
        """Return a name, which comes from outside, as text without control characters."""
        icon = self.ICON_FILE
        if node.allow_expand:
            icon = self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
        name = clean(str(node.label), _LONGEST_NAME)
        return Text.assemble((icon, base_style), (name, style), no_wrap=True)
