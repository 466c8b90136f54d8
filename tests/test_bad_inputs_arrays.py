"""Bad inputs of scores and selections: each is refused by an error that names the argument."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from bad_values import (
    FRACTION,
    INTEGER,
    KEY,
    MASK,
    MATRIX,
    NAME,
    NUMBER,
    POSITIVE,
    but,
    check_refused,
    each,
    refused,
    tables,
)

from jaxal import calibration, points, scores, selection
from jaxal.selection import anytime

LOGITS = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)), jnp.float32)
DRAWS = jnp.stack([LOGITS, -LOGITS])
ALL = jnp.ones(6, bool)
NO_LOGITS = {"a string": "x", "integers": np.ones((6, 3), int), "one class": np.ones((6, 1))}
NO_LOGITS |= {
    "uneven lists": [[1.0], [1.0, 2.0]],
    "none": None,
    "a number": 1.0,
    "flags": np.ones((6, 3), bool),
}
NO_DRAWS = NO_LOGITS | {"no draw": np.ones((0, 6, 3)), "no axis of draws": np.ones(3)}
NO_MATRIX = MATRIX | {"no column": np.ones((6, 0))}
PAIR = {"none": None, "an array": LOGITS, "a string": "xy", "three": (LOGITS,) * 3}
PAIR |= {"a vector": (LOGITS, np.ones(6)), "other rows": (LOGITS, LOGITS[:4])}


def score(name, **given):
    return getattr(scores, name)(**{"logits": LOGITS, **given})


def of_targets(name, **given):
    return getattr(scores, name)(**{"logits": DRAWS, "target_logits": DRAWS, **given})


def attack(name, **given):
    inputs = given.pop("inputs", LOGITS)
    return getattr(scores, name)(given.pop("apply", lambda x: x), inputs, **given)


SCORES = tables(
    **{
        name: each(partial(score, name), logits=NO_LOGITS)
        for name in ("entropy", "least_confidence", "margin")
    },
    **{
        name: each(partial(score, name), logits=NO_DRAWS)
        for name in ("bald", "mean_std", "predictive", "variation_ratio")
    },
    **{
        name: each(partial(of_targets, name), logits=NO_DRAWS, target_logits=NO_DRAWS)
        for name in ("core_mse", "epig")
    },
    temperature=each(
        lambda **given: calibration.temperature(
            **{"logits": LOGITS, "labels": np.arange(6) % 3, **given}
        ),
        logits=NO_LOGITS,
        labels={
            "a list": [0] * 6,
            "none": None,
            "floats": np.ones(6),
            "a matrix": np.ones((6, 1), int),
        }
        | {"other rows": np.ones(5, int), "unknown": np.full(6, -1), "no class": np.arange(6)},
    ),
    basic_iterative=each(
        partial(attack, "basic_iterative"),
        epsilon=POSITIVE,
        max_steps=INTEGER,
        inputs={"integers": np.ones((6, 3), int), "two arrays": (LOGITS, LOGITS), "none": None}
        | {"a number": 1.0, "a string": "x", "a list": [1.0]},
        apply={"a string": "x", "none": None},
    ),
    deep_fool=each(
        partial(attack, "deep_fool"),
        overshoot=NUMBER,
        max_steps=INTEGER,
        num_classes=but(INTEGER, "none") | {"one": 1, "four of three": 4},
        apply={"a string": "x", "none": None},
    ),
)


NO_STATE = {"none": None, "an array": LOGITS, "a string": "x", "a tuple": (1, 2)}


def running(**given):
    good = {"state": scores.init_running_scores((6, 3)), "logits": LOGITS}
    return scores.update_running_scores(**{**good, **given})


def fold(**given):
    return scores.fold_draws(**{"draw": lambda logits: logits, "draws": DRAWS, **given})


SCORES |= tables(
    running=each(running, state=NO_STATE, logits=NO_LOGITS | {"another shape": np.ones((6, 4))}),
    draw_scores=each(scores.draw_scores, state=NO_STATE),
    init=each(
        scores.init_running_scores,
        shape={"none": None, "a number": 3, "a string": "63", "empty": (), "one class": (6, 1)}
        | {"half": (6, 2.5), "negative": (-1, 3)},
    ),
    fold_draws=each(
        fold,
        draw={"none": None, "a string": "x", "an array": DRAWS},
        draws={"none": None, "a number": 1.0, "no draw": DRAWS[:0], "uneven": (DRAWS, LOGITS)},
    ),
    perturbation_score=each(scores.perturbation_score, perturbation=NO_STATE),
    drop_query=each(
        lambda **given: scores.drop_query(**{"logits": LOGITS, "dropped_logits": DRAWS, **given}),
        logits=NO_LOGITS,
        dropped_logits=NO_DRAWS | {"other rows": DRAWS[:, :4]},
    ),
    alfa_mix=each(
        lambda **given: scores.alfa_mix(
            **{"apply": lambda x: x, "features": LOGITS, "anchors": LOGITS, **given}
        ),
        apply={"a string": "x", "none": None},
        features=MATRIX,
        anchors=MATRIX | {"another width": np.ones((2, 4))},
        epsilon=POSITIVE,
        anchor_mask=but(MASK, "none"),
    ),
)


@refused(SCORES)
def test_scores(call, argument):
    check_refused(call, argument)


def take_top(**given):
    return selection.take_top(**{"scores": LOGITS[:, 0], "available": ALL, "budget": 2, **given})


def take_stochastic(**given):
    good = {"key": jax.random.key(0), "scores": LOGITS[:, 0], "available": ALL, "budget": 2}
    return selection.take_stochastic(**{**good, **given})


def of_points(name, module=selection, **given):
    good = {"features": LOGITS, "available": ALL, "budget": 2}
    return getattr(module, name)(**{**good, **given})


def of_points_at_random(name, module=selection, **given):
    return of_points(name, module, **{"key": jax.random.key(0), **given})


def badge(module=selection, **given):
    good = {
        "key": jax.random.key(0),
        "residuals": LOGITS,
        "features": LOGITS,
        "available": ALL,
        "budget": 2,
    }
    return module.badge(**{**good, **given})


def batch_bald(module=selection, **given):
    good = {
        "key": jax.random.key(0),
        "logits": DRAWS,
        "available": ALL,
        "budget": 2,
        "num_samples": 10,
    }
    return module.batch_bald(**{**good, **given})


def embedding(**given):
    return selection.gradient_embedding(**{"logits": LOGITS, "features": LOGITS, **given})


def grad_match(**given):
    good = {"pool": (LOGITS, LOGITS), "available": ALL, "budget": 2}
    return selection.grad_match(**{**good, **given})


def pursuit(**given):
    good = {"key": jax.random.key(0), "pool": (LOGITS, LOGITS), "available": ALL, "budget": 2}
    return selection.orthogonal_matching_pursuit(**{**good, **given})


def glister(**given):
    labeled = (LOGITS, LOGITS, np.zeros(6, int), ALL)
    good = {
        "key": jax.random.key(0),
        "pool": (LOGITS, LOGITS),
        "labeled": labeled,
        "available": ALL,
    }
    return selection.glister(**{**good, "budget": 2, "learning_rate": 0.1, **given})


def bait(**given):
    good = {"logits": LOGITS, "features": LOGITS, "available": ALL, "budget": 2}
    return selection.bait(**{**good, **given})


def cluster_margin(**given):
    good = {"scores": LOGITS[:, 0], "clusters": ROWS, "available": ALL, "budget": 2}
    return selection.cluster_margin(**{**good, "num_candidates": 4, **given})


def gist(**given):
    good = {"features": LOGITS, "utilities": LOGITS[:, 0], "available": ALL, "budget": 2}
    return selection.gist(**{**good, "trade_off": 1.0, **given})


def drop_query(**given):
    good = {"key": jax.random.key(0), "logits": LOGITS, "dropped_logits": DRAWS}
    return selection.drop_query(
        **{**good, "features": LOGITS, "available": ALL, "budget": 2, **given}
    )


def by_scores(state):
    return state


RULE = selection.Rule(by_scores, *[lambda *given: given[0]] * 4)


def by_rule(**given):
    good = {"rule": RULE, "state": LOGITS[:, 0], "available": ALL, "budget": 2, "block_size": 2}
    return anytime.lazy_greedy(**{**good, **given})


ROWS = np.arange(6)
GROUPS = {"floats": np.ones(6), "a list": [1] * 6, "outside": ROWS + 1, "negative": ROWS - 1}
GROUPS |= {"another length": np.ones(5, int), "a matrix": np.ones((6, 1), int), "a string": "x"}
VECTOR = {"a table": {}, "a string": "x", "none": None, "a number": 1.0}
VECTOR |= {"a matrix": np.ones((6, 1)), "another length": np.ones(5), "text": np.full(6, "x")}
BUDGET = INTEGER | {"above the rows": 7}
COMMON = {"available": MASK, "budget": BUDGET}
LISTS = {"available": but(MASK, "a list"), "budget": BUDGET}  # these two take lists as well

SELECTION = tables(
    take_top=each(take_top, scores=VECTOR, **LISTS),
    take_stochastic=each(
        take_stochastic, key=KEY, scores=VECTOR, kind=NAME, coldness=NUMBER, **LISTS
    ),
    k_center=each(
        partial(of_points, "k_center"),
        features=NO_MATRIX,
        block_size=INTEGER,
        centers=but(MATRIX, "none") | {"another width": np.ones((2, 4))},
        **COMMON,
    ),
    k_means=each(
        partial(of_points_at_random, "k_means"),
        key=KEY,
        features=NO_MATRIX,
        max_steps=INTEGER,
        restarts=INTEGER,
        tolerance=NUMBER,
        batch_size=but(INTEGER, "none"),
        **COMMON,
    ),
    k_means_plus_plus=each(
        partial(of_points_at_random, "k_means_plus_plus"),
        key=KEY,
        features=NO_MATRIX,
        block_size=INTEGER,
        **COMMON,
    ),
    badge=each(badge, key=KEY, residuals=MATRIX, features=MATRIX, block_size=INTEGER, **COMMON),
    batch_bald=each(
        batch_bald, key=KEY, logits=NO_DRAWS, num_samples=INTEGER, block_size=INTEGER, **COMMON
    ),
    gradient_embedding=each(
        embedding,
        logits=MATRIX,
        features=MATRIX | {"other rows": np.ones((5, 3))},
        kind=NAME,
        labels={"floats": np.ones(6), "a list": [1] * 6, "another length": np.ones(5, int)},
    ),
    grad_match=each(grad_match, pool=PAIR, kind=NAME, target=NAME, **COMMON),
    orthogonal_matching_pursuit=each(
        pursuit, key=KEY, pool=PAIR, kind=NAME, ridge=NUMBER, tolerance=NUMBER, **COMMON
    ),
    nearest_rows=each(
        lambda **given: points.nearest_rows(**{"features": LOGITS, "num_neighbours": 2, **given}),
        features=NO_MATRIX,
        num_neighbours=INTEGER | {"the rows": 6},
    ),
    nearest_pick=each(
        lambda **given: selection.nearest_pick(
            **{"selection": take_top(), "features": LOGITS, **given}
        ),
        selection={"none": None, "rows": np.array([1, 2]), "a string": "x"},
        features=NO_MATRIX,
    ),
    glister=each(
        glister,
        key=KEY,
        pool=PAIR,
        labeled=PAIR,
        learning_rate=POSITIVE,
        regularizer=NAME,
        validation=but(PAIR, "none"),
        **COMMON,
    ),
    herding=each(
        partial(of_points, "herding"),
        features=NO_MATRIX,
        labeled=but(MASK, "none"),
        weights=but(VECTOR, "none") | {"negative": LOGITS[:, 0], "NaN": LOGITS[:, 0] * np.nan},
        kernel=NAME,
        bandwidth=but(POSITIVE, "none"),
        **COMMON,
    ),
    random_projection=each(
        lambda **given: selection.random_projection(
            **{"key": jax.random.key(0), "points": LOGITS, "width": 2, **given}
        ),
        key=KEY,
        points=NO_MATRIX,
        width=INTEGER,
    ),
    lcmd=each(partial(of_points, "lcmd"), features=NO_MATRIX, labeled=but(MASK, "none"), **COMMON),
    typiclust=each(
        partial(of_points_at_random, "typiclust"),
        key=KEY,
        features=MATRIX,
        labeled=but(MASK, "none"),
        clusters=GROUPS,
        num_neighbors=INTEGER,
        min_cluster_size=INTEGER,
        **COMMON,
    ),
    bait=each(
        bait,
        logits=MATRIX | {"one class": np.ones((6, 1))},
        features=MATRIX,
        labeled=but(MASK, "none"),
        fisher=NAME,
        ridge=POSITIVE,
        **COMMON,
    ),
    cluster_margin=each(
        cluster_margin,
        scores=VECTOR,
        clusters=GROUPS | {"none": None},
        num_candidates=INTEGER | {"fewer than picks": 1},
        **COMMON,
    ),
    gist=each(
        gist,
        features=MATRIX,
        utilities=VECTOR,
        trade_off=NUMBER,
        epsilon=POSITIVE | {"three": 3.0},
        **COMMON,
    ),
    drop_query=each(
        drop_query,
        key=KEY,
        logits=NO_LOGITS,
        dropped_logits=NO_DRAWS | {"other rows": DRAWS[:, :4]},
        features=MATRIX,
        restarts=INTEGER,
        **COMMON,
    ),
    falcun=each(
        lambda **given: selection.falcun(
            **{"key": jax.random.key(0), "logits": LOGITS, "available": ALL, "budget": 2, **given}
        ),
        key=KEY,
        logits=NO_LOGITS,
        gamma=NUMBER,
        **COMMON,
    ),
    anytime_k_center=each(
        partial(of_points, "k_center", anytime),
        features=NO_MATRIX,
        block_size=INTEGER,
        centers=but(MATRIX, "none") | {"another width": np.ones((2, 4))},
        **COMMON,
    ),
    anytime_k_means_plus_plus=each(
        partial(of_points_at_random, "k_means_plus_plus", anytime),
        key=KEY,
        features=NO_MATRIX,
        block_size=INTEGER,
        **COMMON,
    ),
    anytime_badge=each(
        partial(badge, anytime),
        key=KEY,
        residuals=MATRIX,
        features=MATRIX,
        block_size=INTEGER,
        **COMMON,
    ),
    anytime_batch_bald=each(
        partial(batch_bald, anytime),
        key=KEY,
        logits=NO_DRAWS,
        num_samples=INTEGER,
        block_size=INTEGER,
        **COMMON,
    ),
    anytime_lazy_greedy=each(
        by_rule,
        rule={"none": None, "a function": by_scores, "a tuple": tuple(RULE)},
        block_size=INTEGER,
        **COMMON,
    ),
    until=each(
        lambda **given: anytime.until(
            **{"progress": of_points("k_center", anytime), "seconds": 1.0, **given}
        ),
        progress={"none": None, "a selection": take_top(), "a list": [], "no pass": iter(())},
        seconds=POSITIVE,
    ),
    diverse=each(partial(glister, regularizer="diversity"), strength=NUMBER),
    at_random=each(partial(glister, regularizer="random"), strength=but(FRACTION, "zero", "one")),
)


@refused(SELECTION)
def test_selection(call, argument):
    check_refused(call, argument)
