"""t-SNE of a graph of neighbours, by gradient descent with the repulsion taken on a grid."""

from functools import partial

import jax
import jax.numpy as jnp

_MOMENTUM = 0.8
_LONGEST = 5.0  # a step


@partial(jax.jit, static_argnames="nodes")
def descend(
    placed: jax.Array, near: jax.Array, steps: int, exaggeration: float, nodes: int
) -> jax.Array:
    """Moves points down the gradient of t-SNE.

    The affinities are alike for all neighbours: the share of 1/k on each edge of the graph, made
    symmetric.

    Args:
      placed: [n, 2], where the points begin.
      near: [n, k] int32, the neighbours of each.
      steps: how many.
      exaggeration: what attraction is multiplied by.
      nodes: of the grid, on a side.

    Returns:
      [n, 2], in the middle of 0.

    Cost: O(n k + nodes² log nodes) a step.

    References:
      van der Maaten and Hinton 2008, "Visualizing data using t-SNE", JMLR 9.
      Linderman et al. 2019, "Fast interpolation-based t-SNE for improved visualization of
      single-cell RNA-seq data", Nature Methods 16: repulsion on a grid, by FFTs.
      Böhm, Berens and Kobak 2022, "Attraction-repulsion spectrum in neighbor embeddings", JMLR 23:
      affinities that are alike.
    """

    def step(_: int, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        points, speed = carry
        force = attraction(points, near) * exaggeration - repulsion(points, nodes)
        speed = jnp.clip(_MOMENTUM * speed - force / exaggeration, -_LONGEST, _LONGEST)
        points = points + speed
        return points - points.mean(0, keepdims=True), speed

    return jax.lax.fori_loop(0, steps, step, (placed, jnp.zeros_like(placed)))[0]


def attraction(points: jax.Array, near: jax.Array) -> jax.Array:
    """n sum_j P_ij q_ij (y_i - y_j), [n, 2]."""
    apart = points[:, None] - points[near]
    pull = apart / (1 + (apart**2).sum(-1, keepdims=True)) / (2 * near.shape[1])
    return pull.sum(1) - jnp.zeros_like(points).at[near].add(pull)


def repulsion(points: jax.Array, nodes: int) -> jax.Array:
    """n sum_j q_ij^2 (y_i - y_j) / sum_kl q_kl, [n, 2], of points shared by four nodes each.

    What a point does to itself cancels, as it is shared and gathered by the same weights.
    """
    low = points.min(0, keepdims=True)
    width = jnp.maximum((points - low).max(), 1e-6) / (nodes - 2)
    place = (points - low) / width
    corner = jnp.clip(place.astype(jnp.int32), 0, nodes - 2)
    upper = place - corner.astype(place.dtype)
    down, right = upper[:, :1], upper[:, 1:]
    shares = jnp.concatenate(
        [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], 1
    )
    first = corner[:, :1] * nodes + corner[:, 1:]
    at = jnp.concatenate([first, first + 1, first + nodes, first + nodes + 1], 1)
    density = jnp.zeros(nodes * nodes, points.dtype).at[at].add(shares).reshape(nodes, nodes)

    lag = jnp.concatenate([jnp.arange(nodes), jnp.arange(-nodes, 0)]).astype(points.dtype) * width
    x, y = lag[:, None], lag[None, :]
    near = 1 / (1 + x**2 + y**2)
    size = (2 * nodes, 2 * nodes)
    turned = jnp.fft.rfft2(density, size)

    def field(kernel: jax.Array) -> jax.Array:
        whole = jnp.fft.irfft2(turned * jnp.fft.rfft2(kernel), size)
        return (whole[:nodes, :nodes].reshape(-1)[at] * shares).sum(1)

    total = jnp.maximum(field(near).sum() - len(points), 1.0)
    pushed = jnp.stack([field(x * near**2), field(y * near**2)], 1)
    return len(points) / total * pushed
