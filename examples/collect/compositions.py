"""Which steps are measured: what a continuous-batching scheduler forms for four workloads. Standard library only.

The scheduler follows the rules of vLLM's V1 scheduler: running requests first, in order of admission, then waiting ones, first
come first served; prompts are cut to what is left of the token budget; KV blocks are taken as they are filled; when none is
left, the request admitted last is preempted and computes its tokens again later. No prefix cache.
"""
import collections
import dataclasses
import hashlib
import math
import random

import floor
from shard import InputError


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of the scheduler [tokens, requests, blocks]."""
    max_tokens: int = 2048    # new tokens in one step
    max_requests: int = 128   # running at a time
    block: int = 16
    blocks: int = 0           # in the KV pool
    longest: int = 0          # a sequence's length; 0: any
    long_prompt: int = 0      # most tokens of one request in one step; 0: any
    whole_prompt: bool = False  # admit a request only when its whole prompt would fit the pool now


@dataclasses.dataclass(frozen=True)
class Arrival:
    time_us: int
    prompt: int
    output: int


class Request:
    __slots__ = ("number", "arrival", "prompt", "output", "emitted", "computed", "blocks", "preemptions", "token_times",
                 "new", "context", "decode")

    def __init__(self, number, arrival, output):
        self.number, self.arrival, self.prompt, self.output = number, arrival.time_us, arrival.prompt, output
        self.emitted = self.computed = self.blocks = self.preemptions = 0
        self.token_times = []

    @property
    def pending(self):
        return self.prompt + self.emitted - self.computed


@dataclasses.dataclass(frozen=True)
class Step:
    """One step as formed: per request (new tokens, context tokens, is it decode), in scheduling order."""
    start_us: int
    requests: tuple
    numbers: tuple         # which requests
    preempted: tuple
    running: int
    waiting: int
    blocks_free: int       # after this step's allocations

    @property
    def tokens(self):
        return sum(new for new, _, _ in self.requests)

    @property
    def prefills(self):
        return sum(not decode for _, _, decode in self.requests)


class Scheduler:
    """Forms steps; `duration(requests) -> whole microseconds` is the clock. Iterate over it once."""

    def __init__(self, limits, arrivals, duration):
        if min(limits.max_tokens, limits.max_requests, limits.block, limits.blocks) < 1:
            raise InputError(f"a scheduler needs tokens, requests and blocks: {limits}")
        self.limits, self.arrivals, self.duration = limits, iter(arrivals), duration
        self.waiting, self.running = collections.deque(), []
        self.free, self.now = limits.blocks, 0
        self.seen, self.rejected, self.finished = 0, [], []
        self.coming = next(self.arrivals, None)

    def _arrive(self):
        limits = self.limits
        while self.coming is not None and self.coming.time_us <= self.now:
            one, number = self.coming, self.seen
            self.seen += 1
            self.coming = next(self.arrivals, None)
            output = max(one.output, 1)
            if limits.longest:
                output = min(output, limits.longest - one.prompt)
            if one.prompt < 1 or output < 1 or -(-(one.prompt + output - 1) // limits.block) > limits.blocks:
                self.rejected.append(number)
            else:
                self.waiting.append(Request(number, one, output))

    def _needed(self, request, tokens):
        return max(0, -(-tokens // self.limits.block) - request.blocks)

    def _take(self, request, tokens):
        needed = self._needed(request, tokens)
        self.free -= needed
        request.blocks += needed

    def _cut(self, pending, budget):
        if self.limits.long_prompt:
            pending = min(pending, self.limits.long_prompt)
        return min(pending, budget)

    def _form(self):
        budget, scheduled, preempted = self.limits.max_tokens, [], []
        at = 0
        while at < len(self.running) and budget > 0:
            request = self.running[at]
            new = self._cut(request.pending, budget)
            while self._needed(request, request.computed + new) > self.free:
                victim = self.running.pop()
                self.free += victim.blocks
                victim.blocks = victim.computed = 0
                victim.preemptions += 1
                self.waiting.appendleft(victim)
                preempted.append(victim.number)
                if victim is request:
                    break
            if preempted and preempted[-1] == request.number:
                break
            self._schedule(request, new, scheduled)
            budget -= new
            at += 1
        while not preempted and self.waiting and budget > 0 and len(self.running) < self.limits.max_requests:
            request = self.waiting[0]
            new = self._cut(request.pending, budget)
            whole = request.prompt + request.emitted
            if self._needed(request, whole if self.limits.whole_prompt else new) > self.free:
                break
            self.running.append(self.waiting.popleft())
            self._schedule(request, new, scheduled)
            budget -= new
        return scheduled, preempted

    def _schedule(self, request, new, scheduled):
        request.decode = request.emitted >= 1 and request.pending == 1
        request.new, request.context = new, request.computed
        self._take(request, request.computed + new)
        scheduled.append(request)

    def __iter__(self):
        while True:
            self._arrive()
            if not self.running and not self.waiting:
                if self.coming is None:
                    return
                self.now = self.coming.time_us
                continue
            scheduled, preempted = self._form()
            if not scheduled:
                continue  # cannot happen: an admitted request fits the pool alone
            step = Step(self.now, tuple((r.new, r.context, r.decode) for r in scheduled),
                        tuple(r.number for r in scheduled), tuple(preempted), len(self.running), len(self.waiting), self.free)
            yield step
            self.now += self.duration(step.requests)
            for request in scheduled:
                request.computed += request.new
                if request.pending == 0:
                    request.emitted += 1
                    request.token_times.append(self.now)
                    if request.emitted == request.output:
                        self.free += request.blocks
                        request.blocks = 0
                        self.running.remove(request)
                        self.finished.append(request)


@dataclasses.dataclass(frozen=True)
class Workload:
    """Log-normal lengths (median, sigma of ln), cut by drawing again; `running`: requests in a batch, aimed at by the rate."""
    name: str
    prompt: tuple
    output: tuple
    running: int


WORKLOADS = {one.name: one for one in (
    Workload("general", (300, 1.0), (180, 0.8), 48),
    Workload("codegen", (900, 0.9), (60, 0.9), 24),
    Workload("roleplay", (1000, 0.6), (120, 0.6), 32),
    Workload("reasoning", (150, 0.7), (700, 0.7), 64),
)}
SWING_US = 8_000_000  # the rate alternates between half and three halves of its mean, so often


def seed_of(*parts):
    """A seed that is the same on every machine."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


def length(draw, median, sigma, most):
    while True:
        drawn = round(median * math.exp(sigma * draw.gauss(0.0, 1.0)))
        if 1 <= drawn <= most:
            return drawn


def clock_us(shard, requests, on):
    """The scheduler's clock: 0.3 ms of host and 1.4 times the roofline. Only arrivals depend on it, no measured number."""
    return max(1, int(300.0 + 1.4 * floor.step_roofline_us(shard, requests, on)))


def arrivals(shard, workload, on, seed):
    """Endless; a Poisson process whose rate follows from Little's law at the clock's speed."""
    draw = random.Random(seed_of(seed, shard.name, shard.tp, workload.name))
    most = shard.max_model_len
    prompt_most, output_most = max(1, 3 * most // 4), max(1, most // 4)
    scale = min(1.0, most / 4096)  # models with shorter sequences (tests) get shorter requests
    lengths = lambda: (length(draw, workload.prompt[0] * scale, workload.prompt[1], prompt_most),  # noqa: E731
                       length(draw, workload.output[0] * scale, workload.output[1], output_most))
    sample = [lengths() for _ in range(400)]
    prompt = sum(p for p, _ in sample) / len(sample)
    output = sum(o for _, o in sample) / len(sample)
    decode_us = clock_us(shard, [(1, int(prompt + output / 2), True)] * workload.running, on)
    prefill_us = clock_us(shard, [(int(prompt), 0, False)], on)
    stay_us = output * decode_us + workload.running * prefill_us  # others' prompts delay a request's tokens
    mean_gap = stay_us / workload.running
    now = 0.0
    while True:
        swing = 1.5 if (now // SWING_US) % 2 else 0.5
        now += draw.expovariate(swing / mean_gap)
        p, o = lengths()
        yield Arrival(int(now), p, o)


def pool_blocks(shard, block, memory, share=0.85):
    """Blocks of a KV pool in what weights leave of `share` of the memory [byte]."""
    blocks = int((memory * share - shard.weight_bytes) / (shard.kv_bytes_per_token * block))
    if blocks < 1:
        raise InputError(f"{shard.name} at tp {shard.tp}: its weights ({shard.weight_bytes / 1e9:.1f} GB) leave no memory for a "
                         "KV pool")
    return blocks


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Consecutive steps, measured back to back: the piece of work that is done or not done."""
    number: int
    first: int      # step id of the first step
    steps: tuple


@dataclasses.dataclass(frozen=True)
class Plan:
    """How steps are chosen from the scheduler's: after `skip` steps, `per_chunk` are kept, then `gap` steps are left out."""
    steps: int = 1000
    per_chunk: int = 25
    gap: int = 75
    skip: int = 400
    seed: int = 1
    max_tokens: int = 2048
    max_requests: int = 128
    pool_gb: float = 80.0

    def check(self):
        for name in ("steps", "per_chunk", "max_tokens", "max_requests"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, not at least 1")
        if self.gap < 0 or self.skip < 0 or not self.pool_gb > 0:
            raise InputError("gap and skip are not negative, the pool's memory is positive")


def limits_of(shard, plan):
    return Limits(plan.max_tokens, plan.max_requests, 16, pool_blocks(shard, 16, plan.pool_gb * 1e9), shard.max_model_len)


def chunks(shard, workload, plan, clock_device=floor.DEVICES["h100"]):
    """-> the Chunks of an experiment, the same for the same arguments on every machine. No two of its steps are equal."""
    plan.check()
    scheduler = Scheduler(limits_of(shard, plan), arrivals(shard, workload, clock_device, plan.seed),
                          lambda requests: clock_us(shard, requests, clock_device))
    found, kept, seen, total = [], [], set(), 0
    since = -plan.skip
    for step_id, step in enumerate(scheduler):
        if step_id >= plan.skip + 10 * plan.steps * (1 + plan.gap / plan.per_chunk) + 1000:
            raise InputError(f"{shard.name} {workload.name}: {total} of {plan.steps} steps differ after {step_id}: the model, "
                             "the batch or the token budget is too small for so many")
        if since >= 0 and since < plan.per_chunk:
            key = ordered(step.requests)
            if key in seen and not kept:
                continue  # a chunk begins at a new composition
            if key not in seen:
                seen.add(key)
                kept.append((step_id, step))
                total += 1
            else:
                since = plan.per_chunk - 1  # a repeated composition ends the chunk
            if total == plan.steps:
                since = plan.per_chunk - 1
            if since >= plan.per_chunk - 1:
                found.append(Chunk(len(found), kept[0][0], tuple(one for _, one in kept)))
                kept = []
                if total == plan.steps:
                    return found
        since += 1
        if since >= plan.per_chunk + plan.gap:
            since = 0
    return found


def ordered(requests):
    """Decode requests first, then prefill chunks, each in scheduling order: how a step is laid out in memory and in files."""
    return tuple([r for r in requests if r[2]] + [r for r in requests if not r[2]])
