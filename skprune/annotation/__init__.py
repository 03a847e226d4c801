"""Exchange rows and labels with annotation tools, by files: Label Studio and Argilla."""

from skprune.annotation.labels import Labels, read_labels
from skprune.annotation.tasks import write_tasks

__all__ = ["Labels", "read_labels", "write_tasks"]
