"""The records of a run that may have been broken off: what is finished, and what is done again."""

import warnings
from collections.abc import Sequence

from jaxal import processes
from jaxal.records import Record, Writer, is_same, read


class Journal:
    """The records of a run, by strategy and round; a round that is done again is not written twice.

    Of several processes the first alone has a writer; the others are told what is in the file.

    Args:
      writer: of the file, which may have records already.
      seeds: records a round has.
    """

    def __init__(self, writer: Writer | None, seeds: int):
        self._writer, self._seeds = writer, seeds
        self._records = processes.from_first(lambda: read(writer.path) if writer else [])
        self._index()

    def finished(self, strategy: str) -> int:
        """How many rounds of a strategy, from the first on, have the records of all seeds.

        A seed that a stopping rule has ended has no records after that round.
        """
        count = 0
        while True:
            ended = self.ended(strategy, count)
            going = [seed for seed in range(self._seeds) if seed not in ended]
            if not going or any((strategy, count, seed) not in self._places for seed in going):
                return count
            count += 1

    def ended(self, strategy: str, before: int) -> dict[int, int]:
        """The seeds that a stopping rule has ended before a round, and in which."""
        ended = self._ended.get(strategy, {})
        return {seed: number for seed, number in ended.items() if number < before}

    def is_whole(self, strategy: str, rounds: int) -> bool:
        """Whether a strategy has all its records: of so many rounds, or until it was stopped."""
        count = self.finished(strategy)
        return count >= rounds or len(self.ended(strategy, count)) == self._seeds

    def accuracies(self, strategy: str, round: int) -> list[float]:
        """The test accuracies, or RMSEs, after a round, by seed; of one that has ended its last."""
        ended = self.ended(strategy, round)
        keys = ((strategy, ended.get(seed, round), seed) for seed in range(self._seeds))
        records = [self._records[self._places[key]] for key in keys]
        return [one.test_accuracy if one.test_rmse is None else one.test_rmse for one in records]

    def add(self, records: Sequence[Record]) -> None:
        """Writes the records of a round, unless the same are there already.

        Of a round that was half written, or that came out otherwise than before, the old records
        and all later ones are dropped first.
        """
        with processes.agreed():
            self._add(records)

    def _add(self, records: Sequence[Record]) -> None:
        places = [self._places.get(_key(record)) for record in records]
        there = [place for place in places if place is not None]
        old = [self._records[place] for place in there]
        if len(old) == len(records) and all(map(is_same, old, records)):
            return
        if len(old) == len(records) and self._writer:
            warnings.warn(
                f"{records[0].strategy}, round {records[0].round}: not the figures that "
                f"{self._writer.path} had; they and what came after are replaced",
                stacklevel=3,
            )
        if there:
            self._records = self._records[: min(there)]
        if self._writer:
            if there:
                self._writer.keep(len(self._records))
            self._writer.write(*records)
        self._records += records
        self._index()

    def _index(self) -> None:
        self._places = {_key(record): place for place, record in enumerate(self._records)}
        self._ended: dict[str, dict[int, int]] = {}  # strategy -> seed -> round
        for record in self._records:
            if record.stopped is not None:
                self._ended.setdefault(record.strategy, {})[record.seed] = record.round


def _key(record: Record) -> tuple[str, int, int]:
    return record.strategy, record.round, record.seed
