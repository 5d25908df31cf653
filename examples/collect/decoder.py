"""One tensor-parallel rank of a decoder with random weights: grouped-query attention, rotary embedding, RMSNorm, SwiGLU with
gate and up in one product, experts where the model has them, an LM head for each request's last token. PyTorch.

What another rank would add (the all-reduces after attention and MLP) is left out and not timed.
"""
import torch
import torch.nn.functional as F

import experts as mixture
from backends import pick


def add_norm(x, more, weight, epsilon):
    """-> (x + more, its RMSNorm)"""
    x = x + more
    wide = x.float()
    return x, (wide * torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + epsilon)).to(x.dtype) * weight


def norm(x, weight, epsilon):
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + epsilon)).to(x.dtype) * weight


def rotate(x, cos, sin):
    """x [T, heads, h]; cos, sin [T, h/2]: the first and the second half of a head are the pairs."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos[:, None, :], sin[:, None, :]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


class Elementwise:
    """The small operations, as PyTorch runs them or compiled into fused kernels."""

    def __init__(self, compiled=False):
        if compiled:
            for limit in ("recompile_limit", "cache_size_limit"):  # models differ in heads and widths
                if hasattr(torch._dynamo.config, limit):
                    setattr(torch._dynamo.config, limit, 64)
        wrap = (lambda f: torch.compile(f, dynamic=True)) if compiled else (lambda f: f)
        self.name = "compiled" if compiled else "eager"
        self.add_norm, self.norm, self.rotate, self.gated = map(wrap, (add_norm, norm, rotate, mixture.gated))


def elementwise_disagreement(small, device, dtype):
    plain, draw, worst = Elementwise(), torch.Generator().manual_seed(22), 0.0
    for tokens in (1, 3, 50):
        x, more = (torch.randn(tokens, 256, generator=draw).to(device, dtype) for _ in range(2))
        heads = torch.randn(tokens, 4, 64, generator=draw).to(device, dtype)
        angle = torch.randn(tokens, 32, generator=draw).to(device)
        weight = torch.ones(256, device=device, dtype=dtype)
        found, wanted = ((one.add_norm(x, more, weight, 1e-5)[1], one.norm(x, weight, 1e-5), one.gated(x),
                          one.rotate(heads, angle.cos(), angle.sin())) for one in (small, plain))
        for a, b in zip(found, wanted):
            off = float((a.float() - b.float()).norm() / b.float().norm())
            worst = max(worst, off if off == off else float("inf"))
    return worst


def choose_elementwise(device, dtype, wanted=None):
    """-> (Elementwise, lines): compiled where that works and agrees with eager; on a CPU eager, unless wanted."""
    makers = {"compiled": lambda: Elementwise(True), "eager": Elementwise}
    return pick("elementwise", makers, wanted or (None if device.type == "cuda" else "eager"),
                lambda one: elementwise_disagreement(one, device, dtype), 2e-2)


class Layer:
    def __init__(self, shard, make):
        d, h = shard.hidden, shard.head_dim
        self.qkv = make((shard.heads + 2 * shard.kv_heads) * h, d)
        self.out = make(d, shard.heads * h)
        if shard.experts > 1:
            self.router = make(shard.experts, d)
            self.gate_up = make(shard.experts, 2 * shard.intermediate, d)
            self.down = make(shard.experts, d, shard.intermediate)
        else:
            self.gate_up = make(2 * shard.intermediate, d)
            self.down = make(d, shard.intermediate)
        self.norms = [make.ones(d), make.ones(d)]


class Weights:
    """Makes tensors; `count` is the number of parameters made."""

    def __init__(self, device, dtype, seed):
        self.device, self.dtype, self.count = device, dtype, 0
        self.draw = torch.Generator(device=device).manual_seed(seed)

    def __call__(self, *shape):
        made = torch.empty(*shape, device=self.device, dtype=self.dtype).normal_(0.0, 0.02, generator=self.draw)
        self.count += made.numel()
        return made

    def ones(self, *shape):
        self.count += torch.Size(shape).numel()
        return torch.ones(*shape, device=self.device, dtype=self.dtype)


class Decoder:
    """`forward(batch)` computes a step. `rows`: cache rows, all filled with random keys and values at the start."""

    def __init__(self, shard, rows, device, dtype, attention, experts=None, elementwise=None, seed=1):
        self.shard, self.attention, self.experts = shard, attention, experts
        self.small = elementwise or Elementwise()
        make = Weights(device, dtype, seed)
        self.embedding = make(shard.vocabulary, shard.hidden)
        self.layers = [Layer(shard, make) for _ in range(shard.layers)]
        self.norm = make.ones(shard.hidden)
        self.head = make(shard.vocabulary, shard.hidden)
        self.parameters = make.count
        self.rows = rows
        shape = (shard.layers, rows, shard.kv_heads, shard.head_dim)
        self.keys, self.values = (torch.empty(shape, device=device, dtype=dtype) for _ in range(2))
        for cache in (self.keys, self.values):
            for layer in cache:
                layer.normal_(0.0, 1.0, generator=make.draw)
        half = torch.arange(0, shard.head_dim, 2, device=device, dtype=torch.float32) / shard.head_dim
        place = torch.arange(shard.max_model_len, device=device, dtype=torch.float32)
        angle = place[:, None] * shard.rope_theta ** -half[None, :]
        self.cos, self.sin = angle.cos(), angle.sin()
        self.counted = None  # set to a list to collect tokens per expert, layer by layer (slow)

    @property
    def graphs(self):
        return self.attention.graphs and (self.experts is None or self.experts.graphs)

    def attend(self, number, layer, y, cos, sin, batch):
        s = self.shard
        q, k, v = F.linear(y, layer.qkv).view(batch.count, -1, s.head_dim).split((s.heads, s.kv_heads, s.kv_heads), dim=1)
        q, k = self.small.rotate(q, cos, sin), self.small.rotate(k, cos, sin)
        self.keys[number].index_copy_(0, batch.slots, k)
        self.values[number].index_copy_(0, batch.slots, v)
        mixed = self.attention(q, self.keys[number], self.values[number], batch)
        return F.linear(mixed.reshape(batch.count, -1), layer.out)

    def mlp(self, layer, y):
        if self.experts is None:
            return F.linear(self.small.gated(F.linear(y, layer.gate_up)), layer.down)
        if self.counted is not None:
            _, chosen = mixture.route(y, layer.router, self.shard.experts_per_token)
            self.counted.append(mixture.counts_of(chosen, self.shard.experts).tolist())
        return self.experts(y, layer.router, layer.gate_up, layer.down, self.shard.experts_per_token, self.small.gated)

    def forward(self, batch):
        """-> (next tokens [S], logits [S, V/tp])"""
        epsilon = self.shard.norm_epsilon
        x = self.embedding[batch.tokens]
        cos, sin = self.cos[batch.positions], self.sin[batch.positions]
        more = None
        for number, layer in enumerate(self.layers):
            if more is None:
                y = self.small.norm(x, layer.norms[0], epsilon)
            else:
                x, y = self.small.add_norm(x, more, layer.norms[0], epsilon)
            more = self.attend(number, layer, y, cos, sin, batch)
            x, y = self.small.add_norm(x, more, layer.norms[1], epsilon)
            more = self.mlp(layer, y)
        y = self.small.norm(x[batch.last] + more[batch.last], self.norm, epsilon)
        logits = F.linear(y, self.head)
        return torch.argmax(logits, dim=-1), logits
