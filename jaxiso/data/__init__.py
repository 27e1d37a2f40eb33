"""Labelled items and where they come from: local files, the Hugging Face hub, scikit-learn."""

from jaxiso.data.items import Items, load_task
from jaxiso.data.sources import resolve_data_dir
from jaxiso.data.tasks import TASKS, Hub, Task, find_task
from jaxiso.data.vectors import load_digits_task, load_vectors_file

__all__ = [
    "TASKS",
    "Hub",
    "Items",
    "Task",
    "find_task",
    "load_digits_task",
    "load_task",
    "load_vectors_file",
    "resolve_data_dir",
]
