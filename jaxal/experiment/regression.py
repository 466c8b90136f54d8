"""What of the settings of an experiment a regression cannot have: all that counts classes."""

from jaxal.experiment.settings import Config, ScenarioConfig, SetConfig


def check_regression(config: Config) -> None:
    """Raises ValueError for settings that need classes, by their key, before any data are loaded.

    Args:
      config: whose `data.task` is "regression".
    """
    sets = (config.sets.query, config.sets.private, config.sets.validation)
    strategy = config.strategy
    needs_classes = {
        "scenario": config.scenario != ScenarioConfig(),
        "sets": any(one != SetConfig() for one in sets),
        "data.num_classes": config.data.num_classes is not None,
        "data.source": config.data.source.startswith("pool:"),
        "learner.calibration_folds": config.learner.calibration_folds > 0,
        "learner.subset_fraction": config.learner.subset_fraction < 1,
        "strategy.balanced": strategy.balanced,
        "strategy.seed_set": strategy.seed_set == "balanced" or isinstance(strategy.seed_set, dict),
    }
    for key, is_asked in needs_classes.items():
        if is_asked:
            raise ValueError(
                f"{key}: expected nothing that needs classes, as data.task is 'regression'"
            )
