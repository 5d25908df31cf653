"""Times steps on a decoder: device events for GPU time, the host's clock for the whole step. PyTorch.

A step, as timed by the host: its tokens, positions and cache rows are laid out and copied to the device, the forward pass is
launched, and its next tokens are copied back. Device events enclose the forward pass with its sampling (argmax).
"""
import time

import torch

import attention
import compositions
from backends import reason
from shard import InputError

GRAPH_SIZES = [1, 2, 4] + list(range(8, 257, 8))  # pure decode steps are padded to the next of these
MOST_SPIN_US = 60000.0  # the first launch of a shape can take seconds, which no later one does
PLAIN_CYCLES = 2000.0  # clock cycles of a microsecond, where no device says more


def spin_cycles_per_us():
    """Clock cycles of the spinning kernel in a microsecond, measured: not every device stays below 2 GHz."""
    found, cycles = PLAIN_CYCLES, 10_000_000
    for _ in range(3):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        torch.cuda._sleep(cycles)
        stop.record()
        stop.synchronize()
        found = max(found, cycles / (start.elapsed_time(stop) * 1e3))
    return found


def padded(count):
    return next((size for size in GRAPH_SIZES if size >= count), None)


class Fixed:
    """A pure decode step of `size` requests whose tensors stay where they are: a step is copied into them."""

    def __init__(self, size, longest, device):
        self.size = size
        self.batch = attention.make_batch([(1, 1, True)] * size, torch.zeros(size, dtype=torch.int64), device)
        self.batch.longest_decode = longest
        self.batch.rows = ()  # what was true of the step at capture is not of the next

    def load(self, requests, ids):
        """A request beyond the step's own is one token after one token of context, in rows of its own."""
        whole = list(requests) + [(1, 1, True)] * (self.size - len(requests))
        given = attention.make_batch(whole, ids, self.batch.tokens.device)
        for name in ("tokens", "positions", "slots", "starts"):
            getattr(self.batch, name).copy_(getattr(given, name))


class Graph(Fixed):
    """Captured once, then replayed for any step of at most `size` decode requests."""

    def __init__(self, decoder, size, device, pool):
        super().__init__(size, decoder.shard.max_model_len, device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                decoder.forward(self.batch)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=pool):
            self.out = decoder.forward(self.batch)


class Runner:
    """Measures the steps of one model. `repeats` passes over a chunk follow one that warms up.

    A GPU can be left waiting for the host's launches. GPU time is therefore taken in passes in which a kernel that only spins
    runs first, so that the launches are queued when the step begins; wall time and interval in the last `wall_repeats` passes,
    without. On a CPU every pass gives all."""

    def __init__(self, decoder, device, graphs, repeats, wall_repeats, seed=1):
        self.decoder, self.device, self.repeats = decoder, device, repeats
        self.cuda = device.type == "cuda"
        self.cycles = spin_cycles_per_us() if self.cuda else PLAIN_CYCLES
        self.spun = repeats - wall_repeats if self.cuda else 0
        self.graphs = {} if graphs and self.cuda and decoder.graphs else None
        self.pool = torch.cuda.graph_pool_handle() if self.graphs is not None else None
        self.lines = []
        draw = torch.Generator().manual_seed(seed)
        self.ids = torch.randint(0, decoder.shard.vocabulary, (1 << 16,), generator=draw, dtype=torch.int64)
        self.at = 0

    def next_ids(self, count):
        if count > self.ids.shape[0]:
            raise InputError(f"a step of {count} tokens: more than {self.ids.shape[0]}")
        if self.at + count > self.ids.shape[0]:
            self.at = 0
        self.at += count
        return self.ids[self.at - count:self.at]

    def graph_of(self, requests):
        """The graph that the step is replayed with, captured now if it is new; None: it is launched kernel by kernel."""
        if self.graphs is None or not all(decode for _, _, decode in requests):
            return None
        size = padded(len(requests))
        if size is None:
            return None
        if size not in self.graphs:
            try:
                self.graphs[size] = self.checked_graph(size)
            except Exception as why:  # capture refused: the step is measured all the same, and the file says how
                torch.cuda.synchronize()
                self.graphs[size] = None
                self.lines.append(f"no CUDA graph of {size} requests: {reason(why)}")
        return self.graphs[size]

    def checked_graph(self, size):
        """A graph whose logits are those of the same step launched kernel by kernel."""
        graph = Graph(self.decoder, size, self.device, self.pool)
        requests = [(1, 3 + 5 * i % 90, True) for i in range(size)]
        if attention.cache_rows(requests) > self.decoder.rows:
            requests = [(1, 1, True)] * size
        ids = self.next_ids(size)
        graph.load(requests, ids)
        graph.graph.replay()
        replayed = graph.out[1].float().clone()
        launched = self.decoder.forward(attention.make_batch(requests, ids, self.device))[1].float()
        off = float((replayed - launched).norm() / launched.norm())
        if not off <= 5e-2:
            raise RuntimeError(f"its logits differ by {off:.2g}")
        return graph

    def step(self, requests, spin_us):
        """-> (gpu_us, host start [ns], host end [ns], launch_us, late); late: the device may have waited for launches"""
        graph = self.graph_of(requests)  # captured in the warm-up pass, found in the others
        began = time.perf_counter_ns()
        if graph is not None:
            graph.load(requests, self.next_ids(graph.size))
        else:
            batch = attention.make_batch(requests, self.next_ids(sum(n for n, _, _ in requests)), self.device)
        if not self.cuda:
            start = time.perf_counter_ns()
            self.decoder.forward(batch)[0].tolist()
            end = time.perf_counter_ns()
            return (end - start) / 1e3, began, end, 0.0, False
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        if spin_us > 0:
            torch.cuda._sleep(int(spin_us * self.cycles))
        launched = time.perf_counter_ns()
        start.record()
        if graph is not None:
            graph.graph.replay()
            out = graph.out[0]
        else:
            out = self.decoder.forward(batch)[0]
        stop.record()
        launch_us = (time.perf_counter_ns() - launched) / 1e3
        all_launched, begun = time.perf_counter_ns(), spin_us > 0 and start.query()
        out.tolist()
        end = time.perf_counter_ns()
        gpu_us = start.elapsed_time(stop) * 1e3
        # A driver's full queue holds the host back, too: then much is left to do when all is launched, and nothing waited.
        late = begun and (end - all_launched) / 1e3 < 0.2 * gpu_us
        return gpu_us, began, end, launch_us, late

    def tokens_per_expert(self, requests):
        """-> [E]: how many (token, expert) pairs of a step each expert gets, over all layers; [] for a dense model"""
        if self.decoder.experts is None:
            return []
        self.decoder.counted = []
        try:
            with torch.no_grad():
                self.decoder.forward(attention.make_batch(requests, self.next_ids(sum(n for n, _, _ in requests)), self.device))
            return [sum(layer[e] for layer in self.decoder.counted) for e in range(self.decoder.shard.experts)]
        finally:
            self.decoder.counted = None

    def chunk(self, steps):
        """`steps`: lists of requests. -> per step the lists `gpu`, `wall`, `interval` [us] and `start_ns`, one entry per
        repetition (None where that repetition does not give it), and `launch`. `late`: how often the device had begun before all was
        launched and was done soon after, so that GPU time may hold waiting for the host; the next repetition spins twice as long."""
        launches, found = [], []
        with torch.no_grad():
            for requests in steps:
                needed = attention.cache_rows(requests) + 2 * GRAPH_SIZES[-1]
                if needed > self.decoder.rows:
                    raise InputError(f"a step needs {needed} rows of KV cache, there are {self.decoder.rows}")
                launches.append(self.step(requests, 0)[3])
                graph = self.graph_of(requests)
                found.append({"gpu": [], "wall": [], "interval": [], "start_ns": [],
                              "late": 0,
                              "launch": f"graph:{graph.size}" if graph else "eager"})
            clock = time.time_ns() - time.perf_counter_ns()
            for repeat in range(self.repeats):
                times, spin = [], repeat < self.spun
                for i, requests in enumerate(steps):
                    times.append(self.step(requests, min(1.2 * launches[i], MOST_SPIN_US) if spin else 0))
                    if times[-1][4]:
                        launches[i] *= 2.0
                        found[i]["late"] += 1
                after = time.perf_counter_ns()
                nexts = [one[1] for one in times[1:]] + [after]
                for (gpu, began, end, _, _), follows, record in zip(times, nexts, found):
                    record["gpu"].append(gpu if spin or self.spun == 0 else None)
                    record["wall"].append(None if spin else (end - began) / 1e3)
                    record["interval"].append(None if spin else (follows - began) / 1e3)
                    record["start_ns"].append(clock + began)
        return found


def rows_needed(chunks):
    """Cache rows for the widest step, and for the requests that pad a graph."""
    return max(attention.cache_rows(compositions.ordered(s.requests)) for c in chunks for s in c.steps) + 2 * GRAPH_SIZES[-1]
