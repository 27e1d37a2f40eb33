"""How every command writes its figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jaxiso.cli.console import InputError
from jaxiso.cli.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Writes a figure as PNG and PDF, and returns both paths; `path` may have either's suffix.

    Raises InputError: the path has no file name.
    """
    if path.name in ("", ".."):
        raise InputError(f"{str(path)!r} is no file name for a figure; give one such as figure")
    if path.suffix.lower() in (".png", ".pdf"):
        path = path.with_suffix("")
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = []
    for suffix, metadata in ((".png", None), (".pdf", {"CreationDate": None})):
        file = path.with_name(path.name + suffix)
        with replacing(file) as content:
            figure.savefig(content, format=suffix[1:], dpi=150, metadata=metadata)
        saved.append(file)
    return saved
