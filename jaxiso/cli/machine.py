"""The machine: where compiled programs are kept, and what numbers were computed with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Those whose version may change the last digits of a result.
PACKAGES = (
    "jaxiso",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scikit-learn",
    "gensim",
    "tokenizers",
    "transformers",
)


def cache_dir() -> Path:
    """Where jaxiso keeps what it can compute again: JAXISO_CACHE, or ~/.cache/jaxiso."""
    return Path(os.environ.get("JAXISO_CACHE") or Path.home() / ".cache" / "jaxiso").expanduser()


def keep_compiled_programs() -> None:
    """Keeps compiled programs on disk, so that a second run starts at once.

    JAX_COMPILATION_CACHE_DIR, where it is set, says where; else the folder `xla` of `cache_dir`.
    """
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))


def origin() -> dict[str, str]:
    """Versions and device, as recorded with every run."""
    import jax

    device = jax.devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
