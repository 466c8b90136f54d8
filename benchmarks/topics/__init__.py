"""The topics: a file each, and this table."""

from benchmarks.harness.topic import Topic
from benchmarks.topics import (
    badge,
    batch_bald,
    experiments,
    gradient_matching,
    herding,
    k_center,
    k_means,
    scores,
    set_functions,
    typiclust,
)

TOPICS: dict[str, Topic] = {
    "entropy": scores.ENTROPY,
    "margin": scores.MARGIN,
    "bald": scores.BALD,
    "k_center": k_center.TOPIC,
    "badge": badge.TOPIC,
    "k_means": k_means.TOPIC,
    "typiclust": typiclust.TOPIC,
    "herding": herding.TOPIC,
    "facility_location": set_functions.FACILITY_LOCATION,
    "log_determinant": set_functions.LOG_DETERMINANT,
    "fl2mi": set_functions.FL2MI,
    "batch_bald": batch_bald.TOPIC,
    "glister": gradient_matching.GLISTER,
    "grad_match": gradient_matching.GRAD_MATCH,
    "experiment": experiments.EXPERIMENT,
    "experiment_mlp": experiments.EXPERIMENT_MLP,
    "seeds": experiments.SEEDS,
    "cold_start": experiments.COLD_START,
}
