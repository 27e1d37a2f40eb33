from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxiso


def test_every_public_name_is_there():
    for name in jaxiso.__all__:
        assert callable(getattr(jaxiso, name)), name
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
    assert seen == {name: f"jaxiso.{home}" for name, home in jaxiso._HOMES.items()}
    assert set(jaxiso.__all__) <= set(dir(jaxiso))
