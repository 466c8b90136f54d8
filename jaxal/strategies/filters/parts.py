"""Candidates that parts of the pool propose: the first stage of GreeDi."""

from jaxal.checks import check_integer
from jaxal.strategies.filters.base import Filter
from jaxal.strategies.registry import by_name
from jaxal.strategies.wrappers import partition


@by_name
def greedi(*, num_partitions: int = 4) -> Filter:
    """What the strategy itself selects within parts of the pool, an equal share of each.

    It then selects among these, as in GreeDi, where every part proposes a whole batch: so it is
    with a size of P times the budget.

    Args:
      num_partitions: P, random parts of equal size, at most the size.

    Raises:
      TypeError: a number of parts that is no integer.
      ValueError: one below 1, or, when it selects, above the size.

    References:
      Mirzasoleiman et al., "Distributed submodular maximization: identifying representative
      elements in massive data", NeurIPS 2013.
    """
    check_integer(1, num_partitions=num_partitions)

    def find(key, request):
        if num_partitions > request.size:
            raise ValueError(
                f"num_partitions: expected 1 to {request.size} (the size), got {num_partitions}"
            )
        propose = partition(request.strategy, num_partitions=num_partitions)
        return propose.select(key, request.view, request.size).rows

    return Filter(find)
