"""What is published of accelerators: memory, peaks, and what their compiler wants to know."""

from typing import NamedTuple

GiB = 1 << 30


class Chip(NamedTuple):
    """One chip or card, by its data sheet."""

    compiler: str  # whose: "tpu" or "cuda"
    axes: int  # of a topology's shape
    memory: int  # bytes
    bandwidth: float  # bytes of memory read or written, a second
    products: float  # operations of bfloat16 products, a second
    precise: float  # operations of float32 products at full precision, a second
    link: float  # bytes sent to other chips, a second
    launch: float  # seconds that a kernel takes if it has nothing to do: assumed, not published
    devices: int = 1  # that a program sees in a chip


def _tpu(
    axes: int, memory: int, bandwidth: float, products: float, link: float, devices: int = 1
) -> Chip:
    # Six passes in bfloat16 make a float32 product at full precision.
    return Chip("tpu", axes, memory, bandwidth, products, products / 6, link, 1e-6, devices)


def _cuda(memory: int, bandwidth: float, products: float, precise: float, link: float) -> Chip:
    return Chip("cuda", 1, memory, bandwidth, products, precise, link, 5e-6)


CHIPS = {
    "v4": _tpu(3, 32 * GiB, 1228e9, 275e12, 300e9, devices=2),
    "v5e": _tpu(2, 16 * GiB, 819e9, 197e12, 200e9),
    "v5p": _tpu(3, 95 * GiB, 2765e9, 459e12, 600e9),
    "v6e": _tpu(2, 32 * GiB, 1640e9, 918e12, 448e9),
    "a100": _cuda(85100068864, 2039e9, 312e12, 19.5e12, 300e9),
    "h100": _cuda(84942979072, 3352e9, 989e12, 67e12, 450e9),
    "h200": _cuda(151397597184, 4800e9, 989e12, 67e12, 450e9),
}
"""Cloud TPUs a chip; of NVIDIA's cards those on SXM boards, the first two with 80 GB."""

_CARDS = {
    "a100": "NVIDIA A100-SXM4-80GB",
    "h100": "NVIDIA H100 80GB HBM3",
    "h200": "NVIDIA H200 141GB HBM3e",
}
_AMPERE = """\
  core_count: 108
  fpus_per_core: 64
  shared_memory_per_core: 167936
  shared_memory_per_block_optin: 166912
  l2_cache_size: 41943040
  clock_rate_ghz: 1.41
  cuda_compute_capability { major: 8 }
"""
_HOPPER = """\
  core_count: 132
  fpus_per_core: 128
  shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  cuda_compute_capability { major: 9 }
"""
_TARGET = """\
gpu_device_info {{
{cores}  memory_bandwidth: {bandwidth:.0f}
  device_memory_size: {memory}
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  shared_memory_per_block: 49152
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  runtime_version: "12.8.0"
  driver_version: "12.8.0"
  compile_time_toolkit_version: "12.8.0"
  dnn_version: "9.10.0"
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: "{card}"
"""


def target(name: str) -> str:
    """A card's facts in the words of XLA's `GpuTargetConfigProto`."""
    chip, cores = CHIPS[name], _AMPERE if name == "a100" else _HOPPER
    return _TARGET.format(
        cores=cores, bandwidth=chip.bandwidth, memory=chip.memory, card=_CARDS[name]
    )
