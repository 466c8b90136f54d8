"""The topics: a file each, and this table."""

from benchmarks.harness.topic import Topic
from benchmarks.topics import (
    badge,
    batch_bald,
    facility_location,
    gradient_matching,
    herding,
    k_center,
    k_means,
    scores,
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
    "facility_location": facility_location.TOPIC,
    "batch_bald": batch_bald.TOPIC,
    "glister": gradient_matching.GLISTER,
    "grad_match": gradient_matching.GRAD_MATCH,
}
