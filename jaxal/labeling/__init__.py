"""People label: a project folder, batches of rows to ask for, and their answers."""

from jaxal.labeling._create import create
from jaxal.labeling._import import Imported, import_answers
from jaxal.labeling._next import Batch, next_batch
from jaxal.labeling._status import BatchStatus, Status, export_labels, status

__all__ = [
    "Batch",
    "BatchStatus",
    "Imported",
    "Status",
    "create",
    "export_labels",
    "import_answers",
    "next_batch",
    "status",
]
