"""Labelled items and where they come from: local files, the Hugging Face hub, scikit-learn."""

from jaxiso.data.tasks import TASKS, Hub, Items, Task, find_task, load_task

__all__ = ["TASKS", "Hub", "Items", "Task", "find_task", "load_task"]
