"""Images changed at random in training, in the compiled step."""

from typing import Any

import dm_pix as pix
import jax
import jax.numpy as jnp

from jaxal.base import Model, PyTree
from jaxal.checks import check_flag, check_integer, describe
from jaxal.factories import cached_factory
from jaxal.numerics import derive_keys


def augmented(model: Model, *, crop: int = 0, flip: bool = False, cutout: int = 0) -> Model:
    """A model that is trained on randomly changed images; all else sees them as they are.

    Each image of a minibatch has a draw of its own each time. It is padded with zeros and cropped
    at random to its size, mirrored with probability 1/2, and a square around a random pixel is set
    to zero, in this order. Of a model that is `normalized`, what changes are the raw pixels, so
    that zero is black; of normalised floats, zero is the mean.

    Args:
      model: takes images [n, H, W, C] or [n, H, W], integers or floats.
      crop: zeros padded at each side, which is how far an image may be shifted.
      flip: whether to mirror, left to right.
      cutout: side of the square, cut off at the border; 0 cuts out nothing.

    Returns:
      A `Model` with the same `init` and `apply`; the one given if there is nothing to change. Equal
      calls return the identical one.

    Raises:
      TypeError: no model, or an argument of another type.
      ValueError: a number below 0; or, from `train`, inputs that are no images.

    References:
      He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2 (crop and
      flip); DeVries and Taylor, "Improved regularization of convolutional neural networks with
      cutout", 2017.

    Example:
      >>> from jaxal import models
      >>> model = augmented(models.cnn(10), crop=4, flip=True)
    """
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a Model, as jaxal.models makes, got {describe(model)}")
    check_integer(0, crop=crop, cutout=cutout)
    check_flag(flip=flip)
    if not (crop or flip or cutout):
        return model
    return _augmented(model, crop, flip, cutout)


@cached_factory
def _augmented(model: Model, crop: int, flip: bool, cutout: int) -> Model:
    def train(variables, inputs, *, key) -> tuple[Any, PyTree]:
        images = _images(inputs)
        key_images, key_model = derive_keys(key, jnp.arange(1, 3, dtype=jnp.int32))
        keys = jax.random.split(key_images, len(images))
        changed = jax.vmap(lambda key, image: _change(key, image, crop, flip, cutout))(keys, images)
        return model.train(variables, changed.reshape(inputs.shape), key=key_model)

    member = None if model.member is None else _augmented(model.member, crop, flip, cutout)
    return model._replace(train=train, member=member)


def _images(inputs: PyTree) -> jax.Array:
    """Inputs as [n, H, W, C]."""
    if not isinstance(inputs, jax.Array) or inputs.ndim not in (3, 4):
        raise ValueError(
            f"augmented: expected images [n, H, W, C] or [n, H, W], got {describe(inputs)}"
        )
    return inputs[..., None] if inputs.ndim == 3 else inputs


def _change(key: jax.Array, image: jax.Array, crop: int, flip: bool, cutout: int) -> jax.Array:
    """One image [H, W, C], changed."""
    key_crop, key_flip, key_cutout = jax.random.split(key, 3)
    height, width, _ = shape = image.shape
    if crop:
        padded = pix.pad_to_size(image, height + 2 * crop, width + 2 * crop)
        image = jnp.asarray(pix.random_crop(key_crop, padded, shape))
    if flip:
        image = jnp.asarray(pix.random_flip_left_right(key_flip, image))
    if cutout:
        center = jax.random.randint(key_cutout, (2,), 0, jnp.array([height, width]))
        rows, columns = (
            _within(size, place, cutout) for size, place in zip(shape[:2], center, strict=True)
        )
        image = jnp.where((rows[:, None] & columns[None, :])[..., None], 0, image)
    return image


def _within(size: int, place: jax.Array, length: int) -> jax.Array:
    """Which of `size` pixels lie in a stretch of that length around a place, [size] bool."""
    offset = jnp.arange(size) - (place - length // 2)
    return (offset >= 0) & (offset < length)
