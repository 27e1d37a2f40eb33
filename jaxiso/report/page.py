"""A report as one HTML file that can be sent: pictures are inside, and it asks for nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

from markdown_it import MarkdownIt

STYLE = """
body { margin: 0 auto; max-width: 75rem; padding: 1rem 2rem 4rem; color: #1d1d1f; background: #fff;
  font: 16px/1.5 system-ui, sans-serif; }
h1, h2, h3, h4 { line-height: 1.25; margin: 2em 0 0.6em; }
h1 { margin-top: 1em; }
h2 { border-bottom: 1px solid #ccc; padding-bottom: 0.2em; }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: 1em 0;
  font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25em 0.7em; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; }
th { border-bottom: 2px solid #888; }
tr:nth-child(even) td { background: #f6f6f6; }
code, pre { font: 0.85em/1.45 ui-monospace, monospace; background: #f2f2f4; }
code { padding: 0.1em 0.3em; overflow-wrap: anywhere; }
pre { padding: 0.7em 1em; overflow-x: auto; }
pre code { padding: 0; overflow-wrap: normal; }
img { max-width: 100%; height: auto; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load: pictures and styles that are inside of the file."""


def as_page(title: str, text: str, pictures: Mapping[str, bytes]) -> str:
    """The HTML of a text in Markdown; HTML in it is shown as it is written, not obeyed.

    Pictures are PNG, by the path that the text names.
    """
    reader = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table")
    tokens = reader.parse(text)
    for token in (inner for outer in tokens for inner in outer.children or ()):
        if token.type == "image" and (picture := pictures.get(str(token.attrs["src"]))):
            token.attrs["src"] = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    body = reader.renderer.render(tokens, reader.options, {})
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )
