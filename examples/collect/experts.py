"""The MLP of a mixture of experts: each token goes to the k experts that the router's own (random) weights favour. PyTorch.

Backends: `grouped` (tokens sorted by expert, one grouped matrix product for all experts, counts stay on the device), `loop`
(one product per expert; the host waits for the counts, so no CUDA graph). `choose` takes the first that agrees with `dense`,
which lets every expert compute every token.
"""
import math

import torch
import torch.nn.functional as F

from backends import pick


def route(x, router, per_token):
    """-> (weights [T, k] that add up to 1, experts [T, k]); softmax over all experts, then the top k renormalised."""
    chance = torch.softmax(F.linear(x, router).float(), dim=-1)
    weight, expert = torch.topk(chance, per_token, dim=-1)
    return (weight / weight.sum(dim=-1, keepdim=True)).to(x.dtype), expert


def gated(both):
    gate, up = both.chunk(2, dim=-1)
    return F.silu(gate) * up


def dense(x, router, gate_up, down, per_token, gate=gated):
    weight, expert = route(x, router, per_token)
    out = torch.zeros_like(x)
    for e in range(gate_up.shape[0]):
        share = (weight * (expert == e)).sum(dim=-1, keepdim=True)
        out += share * F.linear(gate(F.linear(x, gate_up[e])), down[e])
    return out


def counts_of(expert, experts):
    """Tokens per expert, on the device (torch.bincount would wait)."""
    return (expert.reshape(-1, 1) == torch.arange(experts, device=expert.device)).sum(dim=0)


class Sorted:
    def __call__(self, x, router, gate_up, down, per_token, gate=gated):
        weight, expert = route(x, router, per_token)
        order = torch.argsort(expert.reshape(-1), stable=True)
        counts = counts_of(expert, gate_up.shape[0])
        y = self.products(x[torch.div(order, per_token, rounding_mode="floor")], gate_up, down, counts, gate)
        back = torch.empty_like(y)
        back[order] = y
        return (back.view(x.shape[0], per_token, -1) * weight[:, :, None]).sum(dim=1)


class Grouped(Sorted):
    name, graphs = "grouped", True

    def __init__(self):
        self.product = getattr(F, "grouped_mm", None) or torch._grouped_mm

    def products(self, x, gate_up, down, counts, gate):
        ends = torch.cumsum(counts, 0).to(torch.int32)
        hidden = gate(self.product(x, gate_up.transpose(1, 2), offs=ends))
        return self.product(hidden, down.transpose(1, 2), offs=ends)


class Loop(Sorted):
    name, graphs = "loop", False

    def products(self, x, gate_up, down, counts, gate):
        out, at = torch.empty_like(x), 0
        for e, count in enumerate(counts.tolist()):
            if count:
                out[at:at + count] = F.linear(gate(F.linear(x[at:at + count], gate_up[e])), down[e])
            at += count
        return out


BACKENDS = {one.name: one for one in (Grouped, Loop)}


def disagreement(backend, device, dtype, experts, per_token, hidden=256, intermediate=384):
    draw = torch.Generator().manual_seed(21)
    make = lambda *shape: (torch.randn(*shape, generator=draw) / math.sqrt(shape[-1])).to(device, dtype)  # noqa: E731
    router, gate_up, down = make(experts, hidden), make(experts, 2 * intermediate, hidden), make(experts, hidden, intermediate)
    worst = 0.0
    for tokens in (1, 3, 67):
        x = torch.randn(tokens, hidden, generator=draw).to(device, dtype)
        want = dense(x, router, gate_up, down, per_token).float()
        off = float((backend(x, router, gate_up, down, per_token).float() - want).norm() / want.norm())
        worst = max(worst, off if math.isfinite(off) else math.inf)
    return worst


def choose(device, dtype, experts, per_token, wanted=None):
    """-> (backend, lines about those passed over); `wanted`: a name that has to be taken, or None"""
    return pick("experts", BACKENDS, wanted, lambda one: disagreement(one, device, dtype, experts, per_token),
                1e-4 if dtype == torch.float32 else 3e-2)
