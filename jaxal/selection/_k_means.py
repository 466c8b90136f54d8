"""k-means: the row nearest to the center of each cluster."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxal import entry
from jaxal.base import PyTree, Selection
from jaxal.checks import (
    check_at_least,
    check_budget,
    check_integer,
    check_rank,
    check_rows,
    is_traced,
)
from jaxal.greedy.take import take_top
from jaxal.numerics import derive_keys, rows_from
from jaxal.points.distances import COLUMNS, fold_nearest
from jaxal.points.embedding import (
    Dense,
    Points,
    as_embedding,
    check_alike,
    check_points,
)
from jaxal.points.placed import rewritten
from jaxal.selection._lloyd import Clusters, lloyd
from jaxal.selection._mini_batch import SEEDED, drawn_rows, mini_batches
from jaxal.selection._seeds import greedy_seeds, random_numbers


@entry.checked(
    key=entry.key,
    features=check_points,
    available=entry.mask,
    budget=entry.budget,
    centers=check_points,
    center_mask=entry.mask,
)
def k_means(
    key: jax.Array,
    features: Points,
    available: jax.Array,
    budget: int,
    *,
    centers: Points | None = None,
    center_mask: jax.Array | None = None,
    max_steps: int = 300,
    tolerance: float = 1e-4,
    restarts: int = 10,
    batch_size: int | None = None,
) -> Selection:
    """k-means: selects the row nearest to the center of each of `budget` clusters.

    Centers that are given (labelled rows) are clusters beside these, which stay where they are:
    rows nearest to them move no other center, and none is picked for them.

    Lloyd's iteration from the seeds of greedy k-means++ (each the best of 2 + log B draws); of all
    restarts, the clusters of least inertia (the sum of squared distances to the nearest center) are
    kept. A center without rows moves to the row farthest from its own center. Of each cluster the
    row nearest to the center is picked, of several as near but for rounding the lowest, so that no
    row can be picked twice; where there are fewer distinct points than clusters, or too few finite
    rows, the rows farthest from their centers fill the batch up, those with a NaN or an infinity
    last.

    Time O(N B D) a step as a matrix product and O(N B D log B) to seed, `restarts` times: they run
    one after the other, so that memory is that of one, a copy of the features and never [N, B]
    distances. Distances decide an assignment by products of centred features: two centers
    whose squared distances to a row differ by less than about 1e-6 of the row's squared distance
    from the mean of all may be mistaken for each other. The picks and the inertia are by
    differences.

    With a `batch_size` it is mini-batch k-means: the seeds are those of a sample of 3 batches (or 3
    rows a cluster, if these are more), a step moves each center to the mean of all rows that
    batches ever assigned to it, and the centers rest too once 10 batches have not lowered the
    smoothed inertia. That is O(b B D) a step of b rows, and one pass over all rows for each
    restart: for pools so large that the whole is too slow, at some per cent more inertia.

    Args:
      key: PRNG key, consumed.
      features: [N, D], or a `Dense` embedding of N rows.
      available: [N] bool.
      budget: how many rows, 1 to N, which is the number of clusters.
      centers: [M, D], or a `Dense` embedding of M rows, that stay. They cost O(N M D) once.
      center_mask: [M] bool, which of them count; all if not given. Only these cost time.
      max_steps: moves of the centers at most, in a restart.
      tolerance: a restart ends once the squared shifts of all centers add up to at most this many
        times the mean variance of the features (scikit-learn's rule); with 0, once nothing moves.
      restarts: how many times to begin anew.
      batch_size: rows of a mini-batch, drawn with replacement; None: every step takes all rows.

    Returns:
      `Selection` in the order of the seeds, the rows that fill up last; a score is minus the
      squared distance of the row to its center, -inf for rows that are not finite.

    Raises:
      TypeError: if the points are an embedding without coordinates: a center is a mean of points.
      ValueError: if shapes disagree or the budget, max_steps, tolerance, restarts or batch_size are
        out of range.

    References:
      Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory, 1982.
      Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
      Sculley, "Web-scale k-means clustering", WWW 2010.

    Example:

    >>> points = jnp.array([[0.0], [1.0], [2.0], [7.0], [9.0], [8.0]])
    >>> sorted(k_means(jax.random.key(0), points, jnp.ones(6, bool), 2).rows.tolist())
    [1, 5]
    """
    check_integer(1, restarts=restarts)
    if batch_size is not None:
        check_integer(1, batch_size=batch_size)
    if not is_traced(max_steps, tolerance):
        check_integer(1, max_steps=max_steps)
        check_at_least(0, tolerance=tolerance)
    # Their numbers may change without a new compilation.
    fixed = None if centers is None else (centers, center_mask)
    stop = max_steps, tolerance
    return _select(key, features, available, budget, *stop, restarts, fixed, batch_size)


@partial(jax.jit, static_argnames=("budget", "restarts", "batch_size"))
def _select(
    key, points, available, budget, max_steps, tolerance, restarts, fixed, batch_size
) -> Selection:
    stop = max_steps, tolerance
    return _k_means(key, points, available, budget, *stop, restarts, fixed, batch_size)[0]


def _as_dense(name: str, points: Points) -> Dense:
    points = as_embedding(name, points)
    if not isinstance(points, Dense):
        raise TypeError(
            f"{name}: expected an array [N, D] or a Dense embedding, as the centers of k-means "
            f"are means of points, got {type(points).__name__}"
        )
    return points


def _taken(
    scaled: jax.Array, centers: Points, center_mask: jax.Array | None, frame: PyTree
) -> jax.Array:
    """Squared distances [N] of placed points to the nearest center that counts, inf if none."""
    dense, points = _as_dense("centers", centers), Dense(scaled)
    check_alike("centers", points, dense)
    counts = dense.finite()
    if center_mask is not None:
        check_rows(centers=dense.features, center_mask=center_mask)
        counts &= center_mask
    placed = dense.placed(frame).masked(counts)
    order = jnp.argsort(~counts).astype(jnp.int32)

    def distances(slots: jax.Array) -> jax.Array:
        return points.squared_distance(placed.take(order.at[slots].get(mode="clip")))

    none = jnp.full(len(scaled), jnp.inf, scaled.dtype)
    return fold_nearest(distances, 0, jnp.sum(counts, dtype=jnp.int32), none, COLUMNS)


def _k_means(
    key, points, available, budget, max_steps, tolerance, restarts, fixed=None, batch_size=None
) -> tuple[Selection, Clusters]:
    points = _as_dense("features", points)
    features = points.features
    check_rank("available", available, 1, "[N]")
    check_rows(features=features, available=available)
    check_budget(budget, features.shape[0])
    usable = available & points.finite()
    frame, scale = points.frame(usable)
    scaled = rewritten(Dense.placed, points, usable, frame).features
    taken = None if fixed is None else _taken(scaled, *fixed, frame=frame)
    valid = jnp.arange(budget, dtype=jnp.int32) < jnp.sum(usable, dtype=jnp.int32)
    drawn = key
    if batch_size is not None:
        key, drawn = jax.random.split(key)
    uniform = random_numbers(key, (restarts, budget), scaled.dtype)
    stop = {"max_steps": max_steps, "tolerance": tolerance, "taken": taken}

    def from_all(i: jax.Array) -> Clusters:
        centers = scaled[greedy_seeds(rows_from(uniform, i, 1)[0], scaled, usable, taken)]
        return lloyd(scaled, usable, centers, valid, **stop)

    def from_batches(i: jax.Array, size: int) -> Clusters:
        sample, draws = jax.random.split(derive_keys(drawn, i + 1))
        rows = drawn_rows(sample, usable, SEEDED * max(size, budget))
        near = None if taken is None else taken[rows]
        drawn_seeds = greedy_seeds(rows_from(uniform, i, 1)[0], scaled[rows], usable[rows], near)
        seeds = rows[drawn_seeds]
        return mini_batches(draws, scaled, usable, scaled[seeds], valid, size, **stop)

    def restart(i: jax.Array, best: Clusters) -> Clusters:
        clusters = from_all(i) if batch_size is None else from_batches(i, batch_size)
        better = clusters.inertia < best.inertia
        return jax.tree.map(partial(jnp.where, better), clusters, best)

    none = Clusters(
        centers=jnp.zeros_like(scaled, shape=(budget, scaled.shape[1])),
        assigned=jnp.full(len(scaled), budget, jnp.int32),
        squared=jnp.full_like(scaled[:, 0], jnp.inf),
        inertia=jnp.asarray(jnp.inf, scaled.dtype),
        steps=jnp.int32(0),
    )
    clusters = jax.lax.fori_loop(0, restarts, restart, none)
    rows = _pick(clusters, available)
    scores = jnp.where(rows >= 0, -clusters.squared[rows], -jnp.inf) * scale * scale
    found = clusters._replace(
        centers=(clusters.centers + frame[0]) * scale,
        squared=clusters.squared * scale * scale,
        inertia=clusters.inertia * scale * scale,
    )
    return Selection(rows, scores.astype(jnp.float32)), found


def _pick(clusters: Clusters, available: jax.Array) -> jax.Array:
    """The row nearest to each center in the order of centers, then the farthest rows, [K] int32."""
    size = len(clusters.centers)
    nearest = closest(clusters)
    # Above all distances, which are of scaled points; rows without a distance come last.
    places = 2.0**100 * jnp.arange(2 * size, size, -1).astype(clusters.squared.dtype)
    away = jnp.where(clusters.squared < jnp.inf, clusters.squared, -1.0)
    worth = away.at[jnp.where(nearest >= 0, nearest, len(away))].set(places)
    return take_top(worth, available, size).rows


def closest(clusters: Clusters) -> jax.Array:
    """Of the rows of each cluster the nearest to the center, [K] int32, the lowest of several.

    -1 for a cluster without rows. Rows that are as near but for rounding, in points scaled to
    lengths of 1 or less, are several: the two rows of a cluster of two always are, and rounding
    depends on the number of devices.
    """
    size, total = len(clusters.centers), len(clusters.assigned)
    distance = jnp.sqrt(clusters.squared)
    least = jax.ops.segment_min(distance, clusters.assigned, size)
    slack = 8.0 * jnp.finfo(distance.dtype).eps
    nearest = distance <= least.at[clusters.assigned].get(mode="clip") + slack
    rows = jnp.where(nearest, jnp.arange(total, dtype=jnp.int32), total)
    rows = jax.ops.segment_min(rows, clusters.assigned, size)
    return jnp.where(rows < total, rows, -1)
