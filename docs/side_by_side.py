"""Tables of another package's call and ours, each of ours run as it stands."""

from typing import Any

import jax
from IPython.display import Markdown

import jaxal


def table(rows: list[tuple[str, str]], names: dict[str, Any]) -> Markdown:
    """Runs our side of each row and shows both.

    Args:
      rows: (their call, our code); what our code assigns, the rows below it may use.
      names: the variables that our code may use, such as `model` and `pool`.
    """
    names = dict(names)
    lines = ["| theirs | ours |", "|---|---|"]
    for theirs, ours in rows:
        run(ours, names)
        lines.append(f"| {code(theirs)} | {code(ours)} |")
    return Markdown("\n".join(lines))


def run(ours: str, names: dict[str, Any]) -> None:
    """Runs a statement, or an expression; a strategy also selects, as far as tracing goes."""
    try:
        value = eval(ours, names)
    except SyntaxError:
        exec(ours, names)
        return
    if isinstance(value, jaxal.Strategy):
        model, variables, pool = names["model"], names["variables"], names["pool"]
        few = pool.inputs[:5], pool.labels[:5]
        sets = {"query": few, "private": few, "validation": few}

        def pick(key, labels):
            given = {"budget": 5, "labels": labels, **sets}
            return jaxal.acquire(key, value, model, variables, pool.inputs, **given).rows

        assert jax.eval_shape(pick, jax.random.key(0), names["labels"]).shape == (5,)


def code(text: str) -> str:
    return "<br>".join(f"`{line}`" for line in text.split("; "))
