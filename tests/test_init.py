from __future__ import annotations

import subprocess
import sys

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
