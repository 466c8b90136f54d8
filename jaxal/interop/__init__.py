"""Files of labelling tools: questions out, answers in. Text and records, and nothing else."""

from jaxal.interop.argilla import ARGILLA
from jaxal.interop.common import OWN_COLUMNS, Answer, Format, Question, Refused
from jaxal.interop.label_studio import LABEL_STUDIO
from jaxal.interop.plain import CSV, JSONL
from jaxal.interop.prodigy import PRODIGY

FORMATS = {
    "argilla": ARGILLA,
    "csv": CSV,
    "jsonl": JSONL,
    "label_studio": LABEL_STUDIO,
    "prodigy": PRODIGY,
}
"""By name, as a config and the command line have them."""

__all__ = ["FORMATS", "OWN_COLUMNS", "Answer", "Format", "Question", "Refused"]
