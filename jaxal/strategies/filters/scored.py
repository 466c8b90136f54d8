"""Candidates at random, and by the scores of a cheap rule."""

from jaxal import selection
from jaxal.base import Strategy
from jaxal.strategies.filters.base import Filter, draw
from jaxal.strategies.registry import by_name
from jaxal.strategies.scoring import TopScores


@by_name
def uniform() -> Filter:
    """Available rows at random, each equally likely; O(N) time."""
    return Filter(lambda key, request: draw(key, request.view.available, request.size))


@by_name
def top(*, by: Strategy | str = "margin") -> Filter:
    """The available rows with the highest scores of another strategy.

    Args:
      by: one that scores rows one by one, as margin, entropy or bald do, or its name.

    Raises:
      TypeError: a strategy that chooses its batch as a whole.
    """
    if not (isinstance(by, Strategy) and isinstance(by.select, TopScores)):
        raise TypeError(
            "by: expected a strategy that scores rows one by one, as margin or bald do, got "
            f"{getattr(by, 'name', None) or by!r}, which chooses its batch as a whole"
        )
    rule = by.select

    def find(key, request):
        (view,) = request.views
        return selection.take_top(rule.scores(key, view), view.available, request.size).rows

    return Filter(find, (by.observe,), by.reads_labels)
