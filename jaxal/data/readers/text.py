"""Lines of a label and a text, as token ids."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxal.checks import check_integer, check_name
from jaxal.data.readers.csv import rows
from jaxal.data.readers.packages import need
from jaxal.data.readers.paths import find, lines
from jaxal.data.readers.registry import Table, source

FORMS = ("csv", "space", "tab")
LONGEST = 512  # tokens of a text, unless the option says otherwise
VOCABULARY = 30_000


@source("text")
def read_text(
    path: str,
    *,
    folder: Path | None = None,
    test: str | None = None,
    form: str | None = None,
    length: int | None = None,
    tokenizer: str | None = None,
    vocabulary: int = VOCABULARY,
    encoding: str = "utf-8",
) -> Table:
    """Reads a label and a text from each line, and turns texts into token ids.

    Args:
      path: the file.
      folder: where a relative path is looked for after the working directory.
      test: the file of the test part, in the same form.
      form: "tab" or "space": the first one ends the label; "csv": the label is the first field, and
        the others, joined, are the text. None: "csv" by the file's name, "tab" if there is one in
        the first line, else "space". Where a tab or a comma follows at once, the label is unknown.
      length: L, at which texts are cut off; None: of the longest in training, at most 512.
      tokenizer: the file of a tokenizer of the library `tokenizers` (tokenizer.json). None: words
        in lower case and punctuation marks, as the training part has them at least twice.
      vocabulary: how many tokens a tokenizer that is made has, the most frequent ones.
      encoding: of the text.

    Returns:
      int32 [N, L], where 0 fills up what a text is shorter than L, and labels that are text. Ids
      are those of the tokenizer; they are one higher if its token 0 is not for padding.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a line without a label or a text, an empty file, or a file that is no tokenizer;
        names the file and the line.
    """
    options: dict = {"length": length, "tokenizer": tokenizer, "vocabulary": vocabulary}
    given: dict = {"folder": folder, "test": test, "form": form, "encoding": encoding}
    return read_with_texts(path, **given, **options)[0]


def read_with_texts(
    path: str,
    *,
    folder: Path | None = None,
    test: str | None = None,
    form: str | None = None,
    length: int | None = None,
    tokenizer: str | None = None,
    vocabulary: int = VOCABULARY,
    encoding: str = "utf-8",
) -> tuple[Table, tuple[str, ...]]:
    """What `read_text` returns, and the texts [N] of the training part; arguments as there."""
    if form is not None:
        check_name("form", form, FORMS)
    check_token_options(length, vocabulary)
    files = [find(one, folder) for one in (path, test) if one is not None]
    form = form or _form(files[0], encoding)
    labels, texts = zip(*(_read(file, form, encoding) for file in files), strict=True)
    options: dict = {"length": length, "tokenizer": tokenizer, "vocabulary": vocabulary}
    arrays = token_ids([*zip(files, texts, strict=True)], folder, **options)
    train, *tests = zip(arrays, map(np.array, labels), strict=True)
    return Table(train, next(iter(tests), None), tokens=True), tuple(texts[0])


def check_token_options(length: int | None, vocabulary: int) -> None:
    """Raises TypeError or ValueError for options that `token_ids` cannot use."""
    if length is not None:
        check_integer(1, length=length)
    check_integer(3, vocabulary=vocabulary)


def token_ids(
    parts: Sequence[tuple[Path, Sequence[str]]],
    folder: Path | None,
    *,
    length: int | None,
    tokenizer: str | None,
    vocabulary: int,
) -> list[np.ndarray]:
    """Texts as token ids, int32 [N, L] of each part; the options are those of `read_text`.

    Args:
      parts: the file, for messages, and the texts of each; a tokenizer is made of the first.
      folder: where the file of a tokenizer is looked for.
    """
    texts = parts[0][1]
    made = _trained(texts, vocabulary) if tokenizer is None else _given(tokenizer, folder)
    ids = [_ids(made, texts, file) for file, texts in parts]
    width = length or min(LONGEST, max(map(len, ids[0])))
    return [_padded(one, width) for one in ids]


def _form(file: Path, encoding: str) -> str:
    if file.suffix.lower() == ".csv":
        return "csv"
    return "tab" if "\t" in next(lines(file, encoding), "") else "space"


def _read(file: Path, form: str, encoding: str) -> tuple[list[str], list[str]]:
    """Labels and texts."""
    labels, texts = [], []
    for number, label, text in _fields(file, form, encoding):
        if not text.strip() or (form == "space" and not label.strip()):
            raise ValueError(f"{file}, line {number}: expected a label and a text ({form})")
        labels.append(label.strip())
        texts.append(text.strip())
    if not labels:
        raise ValueError(f"{file}: expected at least one line, got none")
    return labels, texts


def _fields(file: Path, form: str, encoding: str) -> Iterator[tuple[int, str, str]]:
    if form == "csv":
        for number, (label, *text) in rows(file, ",", encoding):
            yield number, label, " ".join(text)
        return
    separator = {"tab": "\t", "space": " "}[form]
    for number, line in enumerate(lines(file, encoding), start=1):
        if line.strip():
            label, _, text = line.partition(separator)
            yield number, label, text


def _trained(texts: Sequence[str], vocabulary: int) -> Any:
    """A tokenizer of the words of these texts; the same for the same texts."""
    need("tokenizers", "text")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocabulary,
        min_frequency=2,  # so that what stands for a rare word is learnt from rare words
        special_tokens=["[PAD]", "[UNK]"],
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return made


def _given(path: str, folder: Path | None) -> Any:
    tokenizers = need("tokenizers", "text")
    file = find(path, folder)
    try:
        made = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"{file}: expected a tokenizer.json, got {error}") from None
    made.no_padding()
    made.no_truncation()
    return made


def _ids(tokenizer: Any, texts: Sequence[str], file: Path) -> list[list[int]]:
    shift = 0 if tokenizer.id_to_token(0) in ("[PAD]", "<pad>") else 1
    ids = [[one + shift for one in text.ids] for text in tokenizer.encode_batch(texts)]
    empty = next((row for row, text in enumerate(ids) if not text), None)
    if empty is not None:
        raise ValueError(f"{file}: expected tokens in each text, got none of {texts[empty]!r}")
    return ids


def _padded(ids: Sequence[Sequence[int]], width: int) -> np.ndarray:
    rows = np.zeros((len(ids), width), np.int32)
    for row, text in zip(rows, ids, strict=True):
        row[: min(width, len(text))] = text[:width]
    return rows
