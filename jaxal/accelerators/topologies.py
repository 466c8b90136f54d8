"""Accelerators that are not here, by name: `v5e:8x8` is a pod, `h100:8` a machine of cards."""

import math
import re
from typing import Any, NamedTuple

from jaxal.accelerators.chips import CHIPS, Chip, target
from jaxal.checks import check_name

_EXPECTED = "expected a machine and how many, as in v5e:8x8, v4:2x2x1, h100:8 or h100x8"


class Topology(NamedTuple):
    """A machine's name, and its chips along each axis of the network."""

    machine: str
    shape: tuple[int, ...]

    @property
    def chip(self) -> Chip:
        """The published facts of each chip."""
        return CHIPS[self.machine]

    @property
    def chips(self) -> int:
        """How many there are."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.machine}:{'x'.join(map(str, self.shape))}"


def parse(option: str, text: str, *, shaped: bool = True) -> Topology:
    """Reads the name of a topology.

    Args:
      option: what it is called in messages.
      text: MACHINE:SHAPE, the chips along each axis, or MACHINExCOUNT.
      shaped: whether a TPU needs its shape: how its chips are connected, or else COUNT in a row.

    Returns:
      `Topology`.

    Raises:
      ValueError: another form, an unknown machine, or a shape that it does not come in.

    Example:
      >>> parse("topology", "v5e:8x8")
      Topology(machine='v5e', shape=(8, 8))
      >>> parse("devices", "h100x8").chips
      8
    """
    found = re.fullmatch(r"([a-z]\w*?)(?::(\d+(?:x\d+)*)|x(\d+))", text)
    if found is None:
        raise ValueError(f"{option}: {_EXPECTED}, got {text!r}")
    machine, shape, count = found.groups()
    check_name(f"{option}: machine", machine, CHIPS)
    axes = tuple(int(part) for part in (shape or count).split("x"))
    if 0 in axes:
        raise ValueError(f"{option}: expected at least one chip on each axis, got {text!r}")
    wanted = CHIPS[machine].axes
    if len(axes) != wanted and (shape is not None or shaped):
        form = "x".join("248"[:wanted]) if wanted > 1 else "8"
        raise ValueError(
            f"{option}: expected {wanted} axes of {machine}, as in {machine}:{form}, got {text!r}"
        )
    return Topology(machine, axes)


def devices(topology: Topology) -> list[Any]:
    """The devices of a topology for a compiler to compile for; nothing runs on them."""
    from jax.experimental import topologies

    if topology.chip.compiler == "tpu":
        description = topologies.get_topology_desc(topology_name=str(topology), platform="tpu")
    else:
        description = topologies.get_topology_desc(
            platform="cuda",
            topology_name="",
            target_config=target(topology.machine),
            topology=f"1x1x{topology.chips}",  # slices, hosts of each, cards of each
        )
    return list(description.devices)
