"""Kernels of one layer, each timed alone: how far above its floor is each component? PyTorch.

Consecutive launches take turns over several layers, so that weights and KV come from memory and not from the cache of the
launch before; small activations may stay in the cache.
"""
import dataclasses
import time

import torch
import torch.nn.functional as F

import attention
import floor

HEADER = ("model", "tp", "component", "tokens", "requests", "context_tokens", "time_us", "floor_us", "time_over_floor")
LAYERS = 4


def sizes(quick):
    tokens = [1, 64, 2048] if quick else [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    prefill = [(512, 0), (512, 1024)] if quick else [(n, c) for n in (16, 128, 512, 2048) for c in (0, 512, 2000)]
    decode = [(1, 512), (64, 512)] if quick else [(d, c) for d in (1, 8, 32, 128) for c in (128, 512, 2000)]
    return tokens, prefill, decode


def timed(call, device, launches=24):
    """Time of one launch [us], the mean over `launches`, which are queued behind a spinning kernel: none waits for the host."""
    for i in range(LAYERS):
        call(i)
    if device.type != "cuda":
        start = time.perf_counter_ns()
        for i in range(launches):
            call(i % LAYERS)
        return (time.perf_counter_ns() - start) / 1e3 / launches
    found = []
    for _ in range(3):
        torch.cuda.synchronize()
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(6_000_000)  # clock cycles: about 3 ms
        start.record()
        for i in range(launches):
            call(i % LAYERS)
        stop.record()
        stop.synchronize()
        found.append(start.elapsed_time(stop) * 1e3 / launches)
    return sorted(found)[1]


def measure(rig, shard, on, quick):
    """Yields the rows of HEADER."""
    device, dtype = rig.device, rig.dtype
    tokens, prefill, decode = sizes(quick)
    longest = shard.max_model_len
    prefill = sorted({(min(n, longest // 2), min(c, longest // 2)) for n, c in prefill})
    decode = sorted({(d, min(c, longest - 1)) for d, c in decode})
    rows = max([n + c for n, c in prefill] + [d * (c + 1) for d, c in decode])
    small = dataclasses.replace(shard, layers=LAYERS)
    model = rig.decoder(small, rows)
    one = dataclasses.replace(shard, layers=1)
    entry = 2 if dtype == torch.bfloat16 else 4

    def row(component, flops, moved, requests, context, count, call):
        with torch.no_grad():
            took = timed(call, device)
        least = floor.roofline_us(flops, moved, on)
        return (shard.name, shard.tp, component, count, requests, context, f"{took:.2f}", f"{least:.3f}", f"{took / least:.3f}")

    def random(*shape):
        return torch.randn(*shape, device=device, dtype=dtype)

    weights = {"qkv": lambda layer: layer.qkv, "attention_out": lambda layer: layer.out}
    if shard.experts == 1:
        weights.update(gate_up=lambda layer: layer.gate_up, down=lambda layer: layer.down)
    for count in tokens:
        for name, of in weights.items():
            outputs, inputs = of(model.layers[0]).shape
            x = random(count, inputs)
            moved = entry * (outputs * inputs + count * (outputs + inputs))
            yield row("gemm_" + name, 2.0 * count * outputs * inputs, moved, "", "", count,
                      lambda i, x=x, of=of: F.linear(x, of(model.layers[i])))
        x = random(count, shard.hidden)
        if shard.experts > 1:
            flops = 2.0 * count * shard.experts_per_token * shard.expert_weights
            moved = entry * (floor.experts_touched(shard, count) * shard.expert_weights + 2 * count * shard.hidden)
            yield row("experts", flops, moved, "", "", count, lambda i, x=x: model.mlp(model.layers[i], x))
        more, weight = random(count, shard.hidden), model.layers[0].norms[0]
        yield row("add_norm", 0.0, entry * 4 * count * shard.hidden, "", "", count,
                  lambda i, x=x, more=more: model.small.add_norm(x, more, weight, shard.norm_epsilon))
        both = random(count, 2 * shard.intermediate)
        yield row("gated", 0.0, entry * 3 * count * shard.intermediate, "", "", count,
                  lambda i, both=both: model.small.gated(both))
        heads = random(count, shard.heads, shard.head_dim)
        at = torch.arange(count, device=device) % longest
        cos, sin = model.cos[at], model.sin[at]
        yield row("rotate", 0.0, entry * 2 * count * shard.heads * shard.head_dim, "", "", count,
                  lambda i, heads=heads, cos=cos, sin=sin: model.small.rotate(heads, cos, sin))
        if count <= 512:
            yield row("lm_head", 2.0 * count * shard.hidden * shard.vocabulary,
                      entry * (shard.hidden * shard.vocabulary + count * (shard.hidden + shard.vocabulary)), count, "", count,
                      lambda i, x=x: F.linear(x, model.head))
    for name, requests in ([("prefill_attention", [(n, c, False)]) for n, c in prefill] +
                           [("decode_attention", [(1, c, True)] * d) for d, c in decode]):
        total = sum(n for n, _, _ in requests)
        batch = attention.make_batch(requests, torch.zeros(total, dtype=torch.int64), device)
        q = random(total, shard.heads, shard.head_dim)
        flops, moved = floor.component_work(one, requests)[name]
        yield row(name, flops, moved, len(requests), requests[0][1], total,
                  lambda i, q=q, batch=batch: model.attention(q, model.keys[i], model.values[i], batch))
        k = random(total, shard.kv_heads, shard.head_dim)
        yield row("kv_write", 0.0, 2 * entry * k.numel(), len(requests), requests[0][1], total,
                  lambda i, k=k, batch=batch: model.keys[i].index_copy_(0, batch.slots, k))
