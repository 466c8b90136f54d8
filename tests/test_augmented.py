"""Augmentation: random crops, flips and cutout of images, in training alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from bad_values import FLAG, INTEGER, OTHERS, but, check_refused, each, refused
from helpers import MODES, CountTraces, bad_inputs

import jaxal
from jaxal import Model, Outputs, models
from jaxal.experiment import parse
from jaxal.experiment.build import build

H, W, C = 5, 4, 2


def recording(seen):
    """A model whose logits are what it was given, flattened."""

    def apply(variables, inputs, *, key=None):
        seen.append(inputs)
        flat = inputs.reshape(len(inputs), -1).astype(jnp.float32)
        return Outputs(flat, flat)

    def train(variables, inputs, *, key):
        return apply(variables, inputs), variables

    return Model(lambda key, inputs: {"params": {}}, apply, train)


def pixels(rows, dtype=np.uint8, shape=(H, W, C)):
    """Images of pixels that are all different, none of them zero."""
    numbers = 1 + np.random.default_rng(0).permuted(np.tile(np.arange(250), (rows, 1)), axis=1)
    return jnp.asarray(numbers[:, : np.prod(shape)].reshape(rows, *shape).astype(dtype))


def changed(images, seed=0, **options):
    """What the model is trained on."""
    model = models.augmented(recording([]), **options)
    outputs, _ = jax.jit(model.train)({}, images, key=jax.random.key(seed))
    return np.asarray(outputs.logits).reshape(images.shape)


def shifts(image, crop):
    """All crops of a padded image, by the definition."""
    padded = np.zeros((H + 2 * crop, W + 2 * crop, C))
    padded[crop : crop + H, crop : crop + W] = image
    size = 2 * crop + 1
    return {(i, j): padded[i : i + H, j : j + W] for i in range(size) for j in range(size)}


def found(image, choices):
    """The one choice that an image equals."""
    (name,) = [name for name, choice in choices.items() if np.array_equal(choice, image)]
    return name


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crops_are_all_the_shifts_each_as_often(dtype):
    images = pixels(1000, dtype)
    counts = np.zeros((3, 3))
    for image, result in zip(np.asarray(images), changed(images, crop=1), strict=True):
        counts[found(result, shifts(image, 1))] += 1
    assert abs(counts - 1000 / 9).max() < 4.5 * np.sqrt(1000 * 1 / 9 * 8 / 9)


def test_half_of_the_images_are_mirrored():
    images = pixels(400)
    names = [
        found(result, {0: image, 1: image[:, ::-1]})
        for image, result in zip(np.asarray(images), changed(images, flip=True), strict=True)
    ]
    assert abs(sum(names) - 200) < 4 * 10


def squares(side):
    """The pixels of each square, by the center."""
    rows, columns = np.mgrid[:H, :W]
    return {
        (i, j): (rows >= i - side // 2)
        & (rows < i - side // 2 + side)
        & (columns >= j - side // 2)
        & (columns < j - side // 2 + side)
        for i in range(H)
        for j in range(W)
    }


@pytest.mark.parametrize("side", [1, 2, 3])
def test_cutout_is_a_square_around_every_pixel(side):
    images = pixels(600)
    results, masks = changed(images, cutout=side), squares(side)
    distinct = {mask.tobytes() for mask in masks.values()}
    seen = set()
    for image, result in zip(np.asarray(images), results, strict=True):
        gone = (result == 0).all(-1)
        np.testing.assert_array_equal(np.where(gone[..., None], 0, image), result)
        assert gone.tobytes() in distinct
        seen.add(gone.tobytes())
    assert seen == distinct


@pytest.mark.slow
def test_crop_then_flip_then_cutout():
    images = pixels(60)
    results = changed(images, crop=1, flip=True, cutout=2)
    for image, result in zip(np.asarray(images), results, strict=True):
        choices = [
            np.where(mask[..., None], 0, one)
            for shifted in shifts(image, 1).values()
            for one in (shifted, shifted[:, ::-1])
            for mask in squares(2).values()
        ]
        assert any(np.array_equal(choice, result) for choice in choices)


@pytest.mark.slow
def test_off_in_observation_and_every_image_and_key_has_its_own_draw():
    model = models.augmented(recording([]), crop=2, flip=True)
    images = np.tile(pixels(1), (50, 1, 1, 1))
    given = np.asarray(jax.jit(model.apply)({}, images, key=jax.random.key(0)).logits)
    np.testing.assert_array_equal(given.reshape(images.shape), images)
    one, other = changed(images, crop=2, flip=True), changed(images, 1, crop=2, flip=True)
    assert len(np.unique(one, axis=0)) > 20
    assert (one != other).any()
    np.testing.assert_array_equal(one, changed(images, crop=2, flip=True))


@pytest.mark.slow
def test_images_without_channels_and_the_dtype_are_kept():
    images, seen = pixels(3, shape=(H, W)), []
    model = models.augmented(recording(seen), crop=1, flip=True, cutout=1)
    jax.eval_shape(model.train, {}, images, key=jax.random.key(0))
    assert seen[0].shape == images.shape and seen[0].dtype == jnp.uint8


@pytest.mark.slow
def test_raw_pixels_are_changed_before_they_are_normalised():
    model = models.augmented(models.normalized(recording([]), 0.5, 0.1), cutout=3)
    outputs, _ = jax.jit(model.train)({}, pixels(20), key=jax.random.key(0))
    assert (np.asarray(outputs.logits) == -5).sum() >= 20 * 4 * C  # black


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_under_other_settings_of_jax(mode, dtype):
    with mode():
        model = models.augmented(
            models.normalized(models.mlp(3), 0.5, 0.2), crop=1, flip=True, cutout=2
        )
        images = jnp.asarray(np.asarray(pixels(3)), dtype)

        @jax.jit
        def trained(images):
            variables = model.init(jax.random.key(0), images)
            return model.train(variables, images, key=jax.random.key(1))[0].logits

        logits = trained(images)
        assert logits.dtype == jnp.float32 and np.isfinite(logits).all()


def test_equal_calls_are_one_model_and_nothing_to_do_is_the_model_itself():
    model = models.mlp(3)
    assert models.augmented(model) is model
    assert models.augmented(model, crop=1) is models.augmented(model, crop=1)
    ensemble = jaxal.ensemble(jaxal.Learner(model, optax.sgd(0.1)), 2).model
    member = models.augmented(ensemble, flip=True).member
    assert member is not None and member.train is not model.train


@pytest.mark.slow
def test_a_fit_of_several_rounds_is_traced_once():
    model = models.mlp(2, hidden=(4,))
    counted = CountTraces(model.train)
    model = models.augmented(model._replace(train=counted), crop=1, flip=True)
    learner = jaxal.Learner(model, optax.adam(0.01), batch_size=8, max_epochs=2)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(16, 4, 4)), jnp.float32)
    labels = np.arange(16) % 2
    fit = jax.jit(learner.fit)
    for count in (8, 16):
        _, info = fit(jax.random.key(0), {}, images, labels, jnp.ones(16), count)
        assert np.isfinite(info.loss)
    traces = counted.count
    fit(jax.random.key(1), {}, images, labels, jnp.ones(16), 12)
    assert counted.count == traces <= 2  # of the shapes, and of the loop


@pytest.mark.slow
def test_augmentation_in_a_config(tmp_path):
    np.savez(tmp_path / "images.npz", inputs=np.asarray(pixels(20)), labels=np.arange(20) % 2)
    rest = {"model": {"name": "logistic"}, "strategy": {"names": ["random"]}, "name": "x"}
    rest |= {"data": {"source": f"npz:{tmp_path / 'images.npz'}"}}
    plain, flipped = build(parse(rest)), build(parse(rest | {"augmentation": {"flip": True}}))
    images = flipped.pool.inputs

    @jax.jit
    def logits_of(images):
        variables = flipped.learner.model.init(jax.random.key(0), images)
        key, mirrored = jax.random.key(0), images[:, :, ::-1]
        trained = [
            parts.learner.model.train(variables, images, key=key)[0].logits
            for parts in (plain, flipped)
        ]
        return *trained, plain.learner.model.apply(variables, mirrored).logits

    unchanged, changed, mirrored = map(np.asarray, logits_of(images))
    same = np.isclose(unchanged, changed).all(1)
    np.testing.assert_allclose(changed[~same], mirrored[~same], atol=1e-5)
    assert 0 < same.sum() < len(images)


MODEL = models.mlp(3)
COUNT = but(INTEGER, "zero")


@refused(
    each(
        lambda model=MODEL, **given: models.augmented(model, **given),
        model=OTHERS | {"none": None},
        crop=COUNT,
        cutout=COUNT,
        flip=FLAG,
    )
)
def test_refused(call, argument):
    check_refused(call, argument)


@bad_inputs(
    {
        "columns": (jnp.zeros((2, 3)), ValueError, "augmented: expected images"),
        "a pytree": ({"a": jnp.zeros((2, 3, 3))}, ValueError, "augmented: expected images"),
    }
)
def test_inputs_that_are_no_images(given, error, message):
    with pytest.raises(error, match=message):
        models.augmented(models.mlp(3), flip=True).train({}, given, key=jax.random.key(0))
