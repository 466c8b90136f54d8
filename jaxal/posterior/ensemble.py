"""Deep ensembles: each draw is a member that was trained by itself."""

from jaxal.factories import cached_factory
from jaxal.posterior.draws import Draws, Posterior


@cached_factory
def deep_ensemble() -> Posterior:
    """Deep ensemble: the draws are its members, trained by `jaxal.ensemble(learner, K)`.

    Returns:
      A `Posterior`. Equal calls return the identical one.

    Raises:
      TypeError: from `observe`, a model that is no ensemble.

    References:
      Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
      ensembles", NeurIPS 2017.

    Example:
      >>> deep_ensemble()
      deep_ensemble()
    """

    def observe(key, model, variables, inputs, reduce):
        member = model.member
        if member is None:
            raise TypeError(
                "deep_ensemble: the model is no ensemble: train one by "
                "jaxal.ensemble(learner, members)"
            )

        def logits(variables):
            return member.apply(variables, inputs).logits

        return reduce(Draws(logits, variables))

    return Posterior(observe, name="deep_ensemble()")
