from __future__ import annotations

import ast
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxiso


def test_every_public_name_is_there():
    for name in jaxiso.__all__:
        found = getattr(jaxiso, name)
        assert callable(found) or inspect.ismodule(found), name
        assert inspect.getdoc(found), name
    with pytest.raises(AttributeError, match="no attribute 'silhouete'"):
        _ = jaxiso.silhouete  # type: ignore[attr-defined]


def test_import_is_light():
    check = "import sys, jaxiso; assert not {'jax', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_type_checkers_see_every_public_name():
    source = ast.parse(Path(jaxiso.__file__).read_text())
    block = next(node for node in source.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == alias.asname
    }
    homes = {name: f"jaxiso.{home}" for name, (home, _) in jaxiso._PUBLIC.items()}
    modules = {name for name in homes if inspect.ismodule(getattr(jaxiso, name))}
    assert modules == {"objectives", "papers", "transforms"}
    assert seen == {
        name: home.removesuffix(f".{name}") if name in modules else home
        for name, home in homes.items()
    }


def test_completion_and_help_show_the_public_names():
    shown = [name for name in dir(jaxiso) if not name.startswith("__")]
    assert shown == sorted(jaxiso.__all__)
    help_ = pydoc.plain(pydoc.render_doc(jaxiso))
    for name, (_, line) in jaxiso._PUBLIC.items():
        assert re.search(rf"^ +{name} +{re.escape(line)}$", help_, re.MULTILINE), name


def test_the_readme_lists_every_public_name():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for name, (_, line) in jaxiso._PUBLIC.items():
        assert f"| `{name}` | {line} |" in readme, name
