"""Floors of a step: what no measurement of it can be below. Written from the formulas, not from the C++, so that one checks
the other. Standard library only."""
import dataclasses

from shard import InputError, one_line


@dataclasses.dataclass(frozen=True)
class Device:
    """Dense bf16 peak [FLOP/s], memory bandwidth [byte/s], memory [byte]; the makers' data sheets."""
    name: str
    peak: float
    bandwidth: float
    memory: float


DEVICES = {one.name: one for one in (
    Device("h100", 989.4e12, 3.35e12, 80e9),
    Device("h100_pcie", 756e12, 2.0e12, 80e9),
    Device("h200", 989.4e12, 4.8e12, 141e9),
    Device("h100_nvl", 835.5e12, 3.9e12, 94e9),
    Device("a100", 312e12, 2.039e12, 80e9),
    Device("a100_pcie_80gb", 312e12, 1.935e12, 80e9),
    Device("a100_sxm_40gb", 312e12, 1.555e12, 40e9),
    Device("b200", 2250e12, 8e12, 180e9),
    Device("l40s", 362.05e12, 864e9, 48e9),
    Device("a10", 125e12, 600e9, 24e9),
    Device("l4", 121e12, 300e9, 24e9),
)}
# As the driver names the device -> as rafter's catalogue does.
DRIVER_NAMES = {"NVIDIA H100 80GB HBM3": "h100", "NVIDIA H100 PCIe": "h100_pcie", "NVIDIA H200": "h200",
                "NVIDIA H100 NVL": "h100_nvl", "NVIDIA A100-SXM4-80GB": "a100", "NVIDIA A100 80GB PCIe": "a100_pcie_80gb",
                "NVIDIA A100-SXM4-40GB": "a100_sxm_40gb", "NVIDIA B200": "b200", "NVIDIA L40S": "l40s", "NVIDIA A10": "a10",
                "NVIDIA L4": "l4"}


def device(name, bandwidth=None, peak=None):
    """-> a Device of the table, or one with the given figures. @throws InputError"""
    for given, what in ((bandwidth, "bandwidth"), (peak, "peak")):
        if given is not None and not 0 < given < float("inf"):
            raise InputError(f"{what} is {given}, not a positive number")
    known = DEVICES.get(name)
    if known is not None:
        return dataclasses.replace(known, bandwidth=bandwidth or known.bandwidth, peak=peak or known.peak)
    if bandwidth is None:
        raise InputError(f"no bandwidth is known of hardware '{one_line(name)}' (known: {', '.join(DEVICES)}): give "
                         "--bandwidth in byte/s, e.g. --bandwidth 1e12")
    return Device(name, peak or float("inf"), bandwidth, float("inf"))


def weakest_floor_us(shard, on):
    """The time to read from memory, once, the weights that any pass over at least one token must touch: every layer's
    projections and k experts; no activations, KV, embedding or LM head."""
    return shard.least_weight_bytes / on.bandwidth * 1e6


def experts_touched(shard, tokens):
    """E·(1 − (1 − k/E)^T): expected, if each token drew its experts evenly."""
    return shard.experts * (1.0 - (1.0 - shard.experts_per_token / shard.experts) ** tokens)


def component_work(shard, requests):
    """{component: (FLOP, bytes)} of a step. `requests`: (new, context, is_decode) each."""
    tokens = sum(new for new, _, _ in requests)
    active = shard.layers * (shard.attention_weights + shard.experts_per_token * shard.expert_weights)
    read = shard.layers * (shard.attention_weights + experts_touched(shard, tokens) * shard.expert_weights)
    pair = 4.0 * shard.layers * shard.heads * shard.head_dim
    query = 4.0 * shard.layers * shard.heads * shard.head_dim  # bytes of Q and O of one token, 2 bytes an entry
    prefill = [(new, context) for new, context, decode in requests if not decode]
    decode = [context + 1 for _, context, is_decode in requests if is_decode]
    kv = shard.kv_bytes_per_token
    return {
        "gemm": (2.0 * tokens * active, 2.0 * read),
        "prefill_attention": (sum(pair * (n * c + n * (n + 1) / 2) for n, c in prefill),
                              sum(query * n + kv * (c + n) for n, c in prefill)),
        "decode_attention": (sum(pair * length for length in decode), sum(kv * length + query for length in decode)),
        "kv_write": (0.0, float(kv * tokens)),
        "lm_head": (2.0 * len(requests) * shard.hidden * shard.vocabulary, 2.0 * shard.hidden * shard.vocabulary),
    }


def roofline_us(flops, bytes_moved, on):
    return max(flops / on.peak, bytes_moved / on.bandwidth) * 1e6


def step_roofline_us(shard, requests, on):
    """Every component at its roofline, one after the other. All-reduces are not in it."""
    return sum(roofline_us(flops, moved, on) for flops, moved in component_work(shard, requests).values())
