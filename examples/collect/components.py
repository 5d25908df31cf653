"""Kernels of one layer, each timed alone: how far above its floor is each component? PyTorch.

Consecutive launches take turns over several layers, and attention over all of their KV caches, so that weights and KV come from
memory and not from the cache of the launch before. Activations may stay in the cache, and so may small weights: `from_cache` is
yes where all that the launches touch in turn is less than twice the device's L2 cache, and time over floor may then be below 1.
"""
import dataclasses
import time

import torch
import torch.nn.functional as F

import attention
import floor
import timing

HEADER = ("model", "tp", "component", "tokens", "requests", "context_tokens", "time_us", "floor_us", "time_over_floor",
          "from_cache")
LAYERS = 4
LAUNCHES = 24


def sizes(quick):
    tokens = [1, 64, 2048] if quick else [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    prefill = [(512, 0), (512, 1024)] if quick else [(n, c) for n in (16, 128, 512, 2048) for c in (0, 512, 2000)]
    decode = [(1, 512), (64, 512)] if quick else [(d, c) for d in (1, 8, 32, 128) for c in (128, 512, 2000)]
    return tokens, prefill, decode


def timed(call, device, launches=LAUNCHES, cycles_per_us=timing.PLAIN_CYCLES):
    """Time of one launch [us], the mean over `launches`, which are queued behind a spinning kernel: none waits for the host."""
    for i in range(launches):
        call(i)
    if device.type != "cuda":
        start = time.perf_counter_ns()
        for i in range(launches):
            call(i)
        return (time.perf_counter_ns() - start) / 1e3 / launches
    torch.cuda.synchronize()
    began = time.perf_counter_ns()
    for i in range(launches):
        call(i)
    spin_us = 1000.0 + 1.5 * (time.perf_counter_ns() - began) / 1e3
    found = []
    for _ in range(3):
        torch.cuda.synchronize()
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(int(min(spin_us, timing.MOST_SPIN_US) * cycles_per_us))
        start.record()
        for i in range(launches):
            call(i)
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

    cycles = timing.spin_cycles_per_us() if device.type == "cuda" else timing.PLAIN_CYCLES
    cache = getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0) if device.type == "cuda" else 0

    def row(component, flops, moved, requests, context, count, call, turns=LAYERS):
        """`turns`: how many launches pass before one touches the same memory again"""
        with torch.no_grad():
            took = timed(call, device, cycles_per_us=cycles)
        least = floor.roofline_us(flops, moved, on)
        return (shard.name, shard.tp, component, count, requests, context, f"{took:.2f}", f"{least:.3f}", f"{took / least:.3f}",
                ("yes" if moved * turns < 2 * cache else "no") if cache else "not known")

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
                      lambda i, x=x, of=of: F.linear(x, of(model.layers[i % LAYERS])))
        x = random(count, shard.hidden)
        if shard.experts > 1:
            flops = 2.0 * count * shard.experts_per_token * shard.expert_weights
            moved = entry * (floor.experts_touched(shard, count) * shard.expert_weights + 2 * count * shard.hidden)
            yield row("experts", flops, moved, "", "", count, lambda i, x=x: model.mlp(model.layers[i % LAYERS], x))
        more, weight = random(count, shard.hidden), model.layers[0].norms[0]
        yield row("add_norm", 0.0, entry * 4 * count * shard.hidden, "", "", count,
                  lambda i, x=x, more=more: model.small.add_norm(x, more, weight, shard.norm_epsilon), 1)
        both = random(count, 2 * shard.intermediate)
        yield row("gated", 0.0, entry * 3 * count * shard.intermediate, "", "", count,
                  lambda i, both=both: model.small.gated(both), 1)
        heads = random(count, shard.heads, shard.head_dim)
        at = torch.arange(count, device=device) % longest
        cos, sin = model.cos[at], model.sin[at]
        yield row("rotate", 0.0, entry * 2 * count * shard.heads * shard.head_dim, "", "", count,
                  lambda i, heads=heads, cos=cos, sin=sin: model.small.rotate(heads, cos, sin), 1)
        if count <= 512:
            yield row("lm_head", 2.0 * count * shard.hidden * shard.vocabulary,
                      entry * (shard.hidden * shard.vocabulary + count * (shard.hidden + shard.vocabulary)), count, "", count,
                      lambda i, x=x: F.linear(x, model.head), 1)
    for name, requests in ([("prefill_attention", [(n, c, False)]) for n, c in prefill] +
                           [("decode_attention", [(1, c, True)] * d) for d, c in decode]):
        total = sum(n for n, _, _ in requests)
        batch = attention.make_batch(requests, torch.zeros(total, dtype=torch.int64), device)
        q = random(total, shard.heads, shard.head_dim)
        flops, moved = floor.component_work(one, requests)[name]
        places = max(1, min(LAUNCHES // LAYERS, rows // attention.cache_rows(requests)))

        def attend(i, q=q, batch=batch, places=places, used=attention.cache_rows(requests)):
            first, layer = used * (i // LAYERS % places), i % LAYERS
            return model.attention(q, model.keys[layer][first:], model.values[layer][first:], batch)
        yield row(name, flops, moved, len(requests), requests[0][1], total, attend, LAYERS * places)
        k = random(total, shard.kv_heads, shard.head_dim)
        yield row("kv_write", 0.0, 2 * entry * k.numel(), len(requests), requests[0][1], total,
                  lambda i, k=k, batch=batch: model.keys[i % LAYERS].index_copy_(0, batch.slots, k))
