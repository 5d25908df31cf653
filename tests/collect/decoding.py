"""The PyTorch part of the collector on a CPU: is what is timed a decoder at all? Skips where PyTorch is absent. What belongs to
a GPU (events, graphs, streams) is stood in for, so that the code around it runs; no kernel of a GPU is tested here."""
import cmath
import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import support
from support import COLLECT

TORCH = importlib.util.find_spec("torch") is not None
if TORCH:
    import torch

    import attention
    import decoder as decoding
    import experts
    import timing
from shard import read_model
import validate


def tiny(**changes):
    return dataclasses.replace(read_model("tiny"), **changes)


def mixture():
    return tiny(experts=4, experts_per_token=2)


class Case(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)
        torch.set_num_threads(1)
        self.cpu = torch.device("cpu")

    def decoder(self, shard, rows=400, backend=None):
        with torch.no_grad():
            made = decoding.Decoder(shard, rows, self.cpu, torch.float32, backend or attention.Reference(),
                                    experts.Loop() if shard.experts > 1 else None)
            for layer in made.layers:  # large enough for attention and MLP to matter
                for weight in (layer.qkv, layer.out, layer.gate_up, layer.down):
                    weight.mul_(8.0)
        return made

    def forward(self, model, requests, ids, starts=None):
        with torch.no_grad():
            return model.forward(attention.make_batch(requests, ids, self.cpu, starts))[1]

    def close(self, found, wanted, limit=2e-5):
        self.assertEqual(found.shape, wanted.shape)
        self.assertLess(float((found - wanted).norm() / wanted.norm()), limit)

    def differ(self, found, wanted):
        self.assertGreater(float((found - wanted).norm() / wanted.norm()), 1e-2)


def plain_forward(model, ids):
    """The decoder once more, in double precision, a loop at a time: all tokens of one sequence, no cache. -> logits [T, V]"""
    s = model.shard
    wide = lambda t: t.double()  # noqa: E731
    normed = lambda x, w: x / (x.pow(2).mean(-1, keepdim=True) + s.norm_epsilon).sqrt() * wide(w)  # noqa: E731
    count = len(ids)
    x = wide(model.embedding)[ids]
    for layer in model.layers:
        y = normed(x, layer.norms[0])
        rows = y @ wide(layer.qkv).T
        h, half = s.head_dim, s.head_dim // 2
        q, k, v = rows.split((s.heads * h, s.kv_heads * h, s.kv_heads * h), dim=1)

        def turned(rows, t):
            out = []
            for head in rows.split(h):
                pairs = [complex(float(head[j]), float(head[j + half])) * cmath.exp(1j * t * s.rope_theta ** (-2 * j / h))
                         for j in range(half)]
                out += [p.real for p in pairs] + [p.imag for p in pairs]
            return torch.tensor(out, dtype=torch.float64)
        q = torch.stack([turned(q[t], t) for t in range(count)])
        k = torch.stack([turned(k[t], t) for t in range(count)])
        mixed = torch.zeros(count, s.heads * h, dtype=torch.float64)
        for head in range(s.heads):
            other = head // (s.heads // s.kv_heads)
            for t in range(count):
                query, keys = q[t, head * h:(head + 1) * h], k[:t + 1, other * h:(other + 1) * h]
                score = torch.stack([(query * key).sum() for key in keys])
                chance = torch.softmax(score / h**0.5, 0)
                mixed[t, head * h:(head + 1) * h] = sum(chance[u] * v[u, other * h:(other + 1) * h] for u in range(t + 1))
        x = x + mixed @ wide(layer.out).T
        y = normed(x, layer.norms[1])
        if s.experts == 1:
            gate, up = (y @ wide(layer.gate_up).T).chunk(2, 1)
            x = x + (gate * torch.sigmoid(gate) * up) @ wide(layer.down).T
        else:
            for t in range(count):
                chance = torch.softmax(y[t] @ wide(layer.router).T, 0)
                best = sorted(range(s.experts), key=lambda e: -float(chance[e]))[:s.experts_per_token]
                total = sum(chance[e] for e in best)
                for e in best:
                    gate, up = (y[t] @ wide(layer.gate_up[e]).T).chunk(2)
                    x[t] = x[t] + chance[e] / total * ((gate * torch.sigmoid(gate) * up) @ wide(layer.down[e]).T)
    return normed(x, model.norm) @ wide(model.head).T


class Decoder(Case):
    def test_it_holds_the_parameters_that_its_shape_says(self):
        for shard in (tiny(), mixture()):
            self.assertEqual(self.decoder(shard).parameters, shard.parameters)

    def test_it_computes_what_a_plain_loop_in_double_precision_computes(self):
        for shard in (tiny(), mixture()):
            with self.subTest(experts=shard.experts):
                model, ids = self.decoder(shard), torch.randint(0, shard.vocabulary, (9,))
                wanted = plain_forward(model, ids)
                self.close(self.forward(model, [(9, 0, False)], ids)[0].double(), wanted[-1])

    def test_decoding_token_by_token_equals_the_whole_prompt_at_once(self):
        for shard in (tiny(), mixture()):
            model, ids = self.decoder(shard), torch.randint(0, shard.vocabulary, (12,))
            whole = [self.forward(model, [(n, 0, False)], ids[:n]) for n in range(5, 13)]
            self.forward(model, [(5, 0, False)], ids[:5])
            for n in range(6, 13):
                self.close(self.forward(model, [(1, n - 1, True)], ids[n - 1:n]), whole[n - 5])
            self.differ(whole[0], whole[1])

    def test_a_prompt_in_chunks_equals_the_whole_prompt(self):
        model, ids = self.decoder(tiny()), torch.randint(0, 64, (30,))
        whole = self.forward(model, [(30, 0, False)], ids)
        for cuts in ((7, 20, 30), (1, 2, 30), (29, 30)):
            model.keys.normal_()
            at = 0
            for cut in cuts:
                logits = self.forward(model, [(cut - at, at, False)], ids[at:cut])
                at = cut
            self.close(logits, whole)

    def test_requests_of_different_lengths_in_one_step_equal_each_alone(self):
        for shard in (tiny(), mixture()):
            model = self.decoder(shard)
            prompts = [torch.randint(0, shard.vocabulary, (n,)) for n in (3, 17, 8, 21)]
            alone = [self.forward(model, [(len(p), 0, False)], p)[0] for p in prompts]
            starts = [0, 50, 100, 150]  # rows of their own, with room
            for prompt, start, context in zip(prompts, starts, (2, 16, 5, 0)):
                if context:
                    self.forward(model, [(context, 0, False)], prompt[:context], [start])
            step = [(1, 2, True), (1, 16, True), (3, 5, False), (21, 0, False)]
            ids = torch.cat([prompt[-new:] for prompt, (new, _, _) in zip(prompts, step)])
            together = self.forward(model, step, ids, starts)
            for i in range(4):
                self.close(together[i], alone[i])

    def test_a_step_reads_what_the_cache_holds(self):
        model, ids = self.decoder(tiny()), torch.randint(0, 64, (1,))
        before = self.forward(model, [(1, 9, True)], ids)
        model.values[:, 4].mul_(-1.0)
        self.differ(self.forward(model, [(1, 9, True)], ids), before)


class EmulatedVarlen(attention.OneLaunch if TORCH else object):
    """What the documentation of variable-length attention says, from its arguments alone: request i has the queries
    ends_q[i]..ends_q[i+1] and the keys ends_k[i]..ends_k[i+1]; causal is aligned at the ends; heads share keys in groups."""
    name = "emulated"

    def run(self, q, k, v, ends_q, ends_k, most_q, most_k, causal):
        assert ends_q.dtype == ends_k.dtype == torch.int32 and int(ends_q[0]) == 0 and int(ends_q[-1]) == len(q)
        out = torch.empty_like(q)
        for i in range(len(ends_q) - 1):
            a, b, c, d = (int(one) for one in (ends_q[i], ends_q[i + 1], ends_k[i], ends_k[i + 1]))
            assert b - a <= most_q and d - c <= most_k
            assert causal or b - a == 1
            out[a:b] = attention.attend(q[a:b], k[c:d], v[c:d], d - c - (b - a))
        return out


class Backends(Case):
    def test_the_offsets_of_one_launch_describe_the_step(self):
        self.assertLess(attention.disagreement(EmulatedVarlen(), self.cpu, torch.float32, 8, 2, 16), 1e-5)

    def test_a_wrong_backend_is_found_out(self):
        class Shifted(EmulatedVarlen):
            def run(self, q, k, v, ends_q, ends_k, *rest):
                return super().run(q, k, v, ends_q, torch.clamp(ends_k - 1, min=0), *rest)

        class Nan(EmulatedVarlen):
            def run(self, *arguments):
                return super().run(*arguments) * float("nan")

        class Ungrouped(EmulatedVarlen):
            def run(self, q, k, *rest):
                return super().run(q, k.flip(1), *rest)
        for wrong in (Shifted, Nan, Ungrouped):
            self.assertGreater(attention.disagreement(wrong(), self.cpu, torch.float32, 8, 2, 16), 2e-2, wrong)

    def test_a_backend_that_is_wrong_or_missing_is_passed_over_with_a_line(self):
        class Wrong(EmulatedVarlen):
            def run(self, *arguments):
                return super().run(*arguments) * 1.1

        class Missing:
            def __init__(self):
                raise AttributeError("no such operator")
        with unittest.mock.patch.dict(attention.BACKENDS, {"a": Missing, "b": Wrong, "c": attention.Reference}, clear=True):
            backend, lines = attention.choose(self.cpu, torch.float32, 4, 2, 16)
        self.assertEqual(backend.name, "reference")
        self.assertRegex(lines[0], "attention a not used: AttributeError: no such operator")
        self.assertRegex(lines[1], "attention b not used: differs from the reference by 0.1")

    def test_every_backend_that_this_pytorch_has_agrees_or_is_refused(self):
        for name, make in attention.BACKENDS.items():
            with self.subTest(name):
                try:
                    backend = make()
                    off = attention.disagreement(backend, self.cpu, torch.float32, 8, 2, 16)
                except Exception:
                    self.assertNotEqual(name, "reference")
                    continue
                self.assertLess(off, 1e-4)

    def test_experts_sorted_and_grouped_equal_the_dense_loop(self):
        for backend in (experts.Loop(), self.emulated_grouped()):
            for k in (1, 2, 3):
                self.assertLess(experts.disagreement(backend, self.cpu, torch.float32, 5, k, 32, 48), 1e-5)

    def emulated_grouped(self):
        """A grouped product from its definition: rows up to ends[0] by the first matrix, up to ends[1] by the second, ..."""
        def product(a, b, offs):
            assert offs.dtype == torch.int32 and int(offs[-1]) == len(a)
            edges = [0, *offs.tolist()]
            return torch.cat([a[edges[e]:edges[e + 1]] @ b[e] for e in range(len(b))])
        backend = object.__new__(experts.Grouped)
        backend.product = product
        return backend

    def test_routing_weights_add_up_and_counts_conserve_tokens(self):
        x, router = torch.randn(50, 32), torch.randn(6, 32)
        weight, expert = experts.route(x, router, 2)
        self.assertTrue(torch.allclose(weight.sum(dim=1), torch.ones(50)))
        self.assertEqual(int(experts.counts_of(expert, 6).sum()), 100)
        self.assertEqual(experts.counts_of(expert, 6).tolist(), torch.bincount(expert.reshape(-1), minlength=6).tolist())


class FakeCuda:
    """Stands in for the calls of torch.cuda that timing.py makes; a graph replays by computing again."""

    def __init__(self):
        self.now, self.spun, self.captured, self.replayed = 0.0, [], 0, 0
        self.late = False

    def patched(self):
        fake = self

        class Event:
            def __init__(self, enable_timing):
                self.at = None

            def record(self):
                fake.now += 1.25
                self.at = fake.now

            def synchronize(self):
                pass

            def query(self):
                return fake.late

            def elapsed_time(self, other):
                return other.at - self.at

        class Stream:
            def wait_stream(self, other):
                pass

        class CUDAGraph:
            def replay(self):
                fake.replayed += 1
                fresh = self.forward()
                for kept, new in zip(self.out, fresh):
                    kept.copy_(new)

        @contextlib.contextmanager
        def capture(graph, pool):
            fake.captured += 1
            yield
        names = {"Event": Event, "Stream": Stream, "CUDAGraph": CUDAGraph, "graph": capture, "graph_pool_handle": lambda: 0,
                 "current_stream": Stream, "stream": lambda s: contextlib.nullcontext(), "synchronize": lambda: None,
                 "_sleep": self.spun.append}
        stack = contextlib.ExitStack()
        for name, value in names.items():
            stack.enter_context(unittest.mock.patch.object(torch.cuda, name, value, create=True))
        whole = timing.Graph.__init__

        def build(graph, decoder, size, device, pool):
            whole(graph, decoder, size, device, pool)
            graph.graph.forward, graph.graph.out = (lambda: decoder.forward(graph.batch)), graph.out
        stack.enter_context(unittest.mock.patch.object(timing.Graph, "__init__", build))
        return stack


class Timing(Case):
    steps = [[(1, 4, True), (1, 30, True), (1, 9, True)], [(1, 5, True), (1, 31, True), (12, 0, False)], [(1, 6, True)] * 9]

    def runner(self, backend=None, graphs=True, cuda=False):
        runner = timing.Runner(self.decoder(tiny(), 1400, backend), self.cpu, graphs, 4, 1)
        if cuda:
            runner.cuda, runner.spun = True, 3
            runner.graphs, runner.pool = ({}, 0) if graphs else (None, None)
        return runner

    def test_a_step_in_a_padded_graph_gives_its_own_tokens(self):
        model = self.decoder(tiny(), backend=EmulatedVarlen())
        for size in (4, 8):
            fixed = timing.Fixed(size, 128, self.cpu)
            for requests in ([(1, 4, True), (1, 30, True), (1, 9, True)], [(1, 77, True)], [(1, 2, True)] * 4):
                ids = torch.randint(0, 64, (size,))
                fixed.load(requests, ids)
                with torch.no_grad():
                    found = model.forward(fixed.batch)[1][:len(requests)]
                self.close(found, self.forward(model, requests, ids))

    def test_on_a_cpu_every_repetition_gives_every_time(self):
        for record in self.runner().chunk(self.steps):
            self.assertEqual(record["launch"], "eager")
            for name in ("gpu", "wall", "interval", "start_ns"):
                self.assertEqual(len(record[name]), 4)
            for gpu, wall, interval in zip(record["gpu"], record["wall"], record["interval"]):
                self.assertTrue(0 < gpu <= wall <= interval)
            self.assertEqual(record["start_ns"], sorted(record["start_ns"]))

    def test_intervals_are_from_start_to_start(self):
        records = self.runner().chunk(self.steps)
        for repeat in range(4):
            for one, following in zip(records, records[1:]):
                apart = following["start_ns"][repeat] - one["start_ns"][repeat]
                self.assertAlmostEqual(one["interval"][repeat] * 1e3, apart, delta=1)

    def test_graphs_serve_pure_decode_and_gpu_time_is_taken_behind_a_spin(self):
        fake = FakeCuda()
        with fake.patched():
            records = self.runner(EmulatedVarlen(), cuda=True).chunk(self.steps)
        self.assertEqual([record["launch"] for record in records], ["graph:4", "eager", "graph:16"])
        self.assertEqual(fake.captured, 2)
        self.assertEqual(fake.replayed, 2 + 2 * 5)  # a check each, and two steps in five passes
        self.assertEqual(len(fake.spun), 3 * 3)
        self.assertTrue(all(0 < cycles <= 2000 * timing.MOST_SPIN_US for cycles in fake.spun))
        for record in records:
            self.assertEqual(record["gpu"], [1250.0, 1250.0, 1250.0, None])
            for name in ("wall", "interval"):
                self.assertEqual([value is None for value in record[name]], [True, True, True, False])

    def test_a_pass_that_began_too_early_is_counted_and_the_next_spins_longer(self):
        fake = FakeCuda()
        fake.late = True
        with fake.patched():
            records = self.runner(EmulatedVarlen(), cuda=True).chunk(self.steps[:1])
        self.assertEqual(records[0]["late"], 3)
        for one, following in zip(fake.spun, fake.spun[1:]):
            self.assertTrue(abs(following - 2 * one) <= 2 or following == 2000 * timing.MOST_SPIN_US)

    def test_a_full_queue_of_the_driver_is_not_taken_for_a_device_that_waits(self):
        fake = FakeCuda()
        fake.late = True
        events = unittest.mock.patch.object(timing.time, "perf_counter_ns", side_effect=range(0, 10**12, 2_000_000))
        with fake.patched(), events:  # 2 ms from the last launch to the tokens, 1.25 ms on the device
            self.assertEqual(self.runner(EmulatedVarlen(), cuda=True).chunk(self.steps[:1])[0]["late"], 0)

    def test_attention_alone_takes_turns_over_the_whole_cache(self):
        import components
        import floor
        seen = set()

        class Watched(EmulatedVarlen):
            def __call__(self, q, k, v, batch):
                seen.add((k.data_ptr(), batch.decodes))
                assert len(k) >= batch.rows[-1][0] + batch.rows[-1][1] + batch.rows[-1][2]
                return super().__call__(q, k, v, batch)
        rig = unittest.mock.Mock(device=self.cpu, dtype=torch.float32)
        rig.decoder = lambda shard, rows: decoding.Decoder(shard, rows, self.cpu, torch.float32, Watched())
        rows = list(components.measure(rig, tiny(), floor.Device("x", 1e12, 1e11, 1e9), True))
        self.assertEqual({len(row) for row in rows}, {len(components.HEADER)})
        self.assertEqual(len({at for at, count in seen if count == 64}), components.LAYERS)  # fills the cache
        self.assertGreaterEqual(len({at for at, count in seen if count == 1}), 24)

    def test_the_spin_follows_the_devices_clock(self):
        with FakeCuda().patched():
            self.assertEqual(timing.spin_cycles_per_us(), 8000.0)  # ten million cycles in 1.25 ms

    def test_a_graph_that_computes_something_else_is_not_used(self):
        fake = FakeCuda()
        with fake.patched(), unittest.mock.patch.object(timing.Fixed, "load", lambda *arguments: None):
            runner = self.runner(EmulatedVarlen(), cuda=True)
            records = runner.chunk(self.steps)
        self.assertEqual([record["launch"] for record in records], ["eager"] * 3)
        self.assertRegex(runner.lines[0], "no CUDA graph of 4 requests: RuntimeError: its logits differ by")

    def test_backends_that_need_the_host_make_no_graph(self):
        with FakeCuda().patched():
            runner = self.runner(attention.Reference(), graphs=False, cuda=True)
            self.assertEqual({record["launch"] for record in runner.chunk(self.steps)}, {"eager"})
        self.assertFalse(self.decoder(tiny()).graphs)
        self.assertTrue(self.decoder(tiny(), backend=EmulatedVarlen()).graphs)
        self.assertFalse(self.decoder(mixture(), backend=EmulatedVarlen()).graphs)  # the loop over experts

    def test_tokens_per_expert_are_counted_over_all_layers(self):
        shard = mixture()
        runner = timing.Runner(self.decoder(shard), self.cpu, False, 4, 1)
        counts = runner.tokens_per_expert([(1, 4, True), (10, 0, False)])
        self.assertEqual((len(counts), sum(counts)), (4, 11 * 2 * shard.layers))

    def test_a_step_too_large_for_the_cache_is_refused(self):
        with self.assertRaisesRegex(timing.InputError, "rows of KV cache"):
            timing.Runner(self.decoder(tiny()), self.cpu, False, 4, 1).chunk([[(1, 100, True)] * 5])


class Rigs(Case):
    def rig(self, **changes):
        import bench
        import collect
        arguments = collect.parser().parse_args(["measure", "--out", "none", "--device", "cpu", "--dtype", "float32"])
        rig = bench.Rig(torch, self.cpu, arguments)
        for name, value in changes.items():
            setattr(rig, name, value)
        return rig

    def chunks(self, shard):
        import compositions
        plan = compositions.Plan(steps=20, per_chunk=10, gap=5, skip=20, max_tokens=64, max_requests=8)
        return compositions.chunks(shard, compositions.WORKLOADS["general"], plan)

    def test_a_runner_says_how_far_its_decoder_is_from_plain_kernels(self):
        for shard in (tiny(), mixture()):
            rig = self.rig(attention=EmulatedVarlen())
            runner = rig.runner(shard, self.chunks(shard))
            self.assertRegex(runner.lines[0],
                             r"^tiny: the logits of a mixed step differ by (\d(\.\d)?e-\d\d|0) from those of plain kernels$")
            self.assertIs(runner.decoder.attention, rig.attention)
            self.assertIs(runner.decoder.small, rig.elementwise)

    def test_weights_follow_the_seed_and_a_small_plan_has_room_for_the_check(self):
        import compositions
        step = compositions.Step(0, ((1, 1, True),), (0,), (), 1, 0, 1)
        heads = []
        for seed in (1, 1, 2):
            rig = self.rig()
            rig.arguments.seed = seed
            runner = rig.runner(tiny(max_model_len=4096), [compositions.Chunk(0, 0, (step,))])
            self.assertEqual(runner.decoder.rows, 1 + 9 + 1 + 2048 + 37 + 33)
            heads.append(runner.decoder.head)
        self.assertTrue(torch.equal(heads[0], heads[1]))
        self.assertFalse(torch.equal(heads[0], heads[2]))

    def test_a_decoder_with_a_wrong_part_is_far_from_plain_kernels(self):
        class Wrong(experts.Loop):
            def products(self, x, *rest):
                return super().products(x.flip(0), *rest)
        rig = self.rig()
        model = self.decoder(mixture())
        model.experts = Wrong()
        self.assertGreater(rig.difference(model), 1e-2)

    def test_attention_that_fails_at_a_models_shape_is_refused(self):
        class FewHeads(EmulatedVarlen):
            def run(self, q, k, *rest):
                return super().run(q, k, *rest) * (1.0 if q.shape[1] == 4 and k.shape[1] == 2 and q.shape[2] == 16 else 1.5)
        with self.assertRaisesRegex(timing.InputError, "tiny: attention emulated differs from the reference by 0.5"):
            self.rig(attention=FewHeads()).runner(tiny(), self.chunks(tiny()))


class Command(Case):
    ARGUMENTS = ["--device", "cpu", "--dtype", "float32", "--steps", "40", "--skip", "30", "--gap", "10", "--per-chunk", "10",
                 "--max-tokens", "64", "--max-requests", "8"]

    def collect(self, *arguments, status=0, **options):
        done = subprocess.run([sys.executable, str(COLLECT / "collect.py"), *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_one_part_is_collected_merged_and_valid_and_a_second_run_finds_nothing_left(self):
        with tempfile.TemporaryDirectory() as folder:
            out, to = pathlib.Path(folder) / "parts", pathlib.Path(folder) / "merged"
            measure = ("measure", "--out", out, "--models", "tiny", "--workloads", "general,reasoning", *self.ARGUMENTS)
            self.assertRegex(self.collect(*measure).stderr, r"^part 1: 80 steps measured, 0 left\n$")
            self.assertRegex(self.collect(*measure).stderr, "^nothing left to measure")
            self.assertEqual(sorted(p.name for p in out.iterdir()), ["part-001.jsonl.gz", "state.json"])
            self.collect("merge", "--out", out, "--to", to)
            checked = self.collect("validate", to / "steps.csv", "--bandwidth", "1e12", "--experiments", "2", "--distinct", "40")
            self.assertTrue(checked.stdout.endswith("valid\n"))
            text = (to / "README.md").read_text()
            self.assertIn("A test of the collector on a CPU", text)
            self.assertEqual(len(validate.Steps(to / "steps.csv").rows), 80)

    def test_a_model_of_ones_own_is_measured_with_its_routing(self):
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "own.json"
            numbers = json.loads((COLLECT / "models" / "tiny.json").read_text())
            config.write_text(json.dumps({**numbers, "name": "own", "num_local_experts": 4, "num_experts_per_tok": 2}))
            out, to = pathlib.Path(folder) / "parts", pathlib.Path(folder) / "merged"
            self.collect("measure", "--out", out, "--models", config, "--workloads", "codegen", *self.ARGUMENTS)
            self.collect("merge", "--out", out, "--to", to, "--config", config)
            self.assertRegex((to / "README.md").read_text(), r"\| own-tp2-codegen \| \d+\.\d \d+\.\d \d+\.\d \d+\.\d \|")
            self.collect("validate", to / "steps.csv", "--bandwidth", "1e12", "--config", config)
            self.assertRegex(self.collect("validate", to / "steps.csv", "--bandwidth", "1e12", status=2).stderr, "unknown model 'own'")

    def test_a_run_that_was_killed_goes_on_where_it_was(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder)
            measure = ("measure", "--out", out, "--models", "tiny", "--workloads", "general", *self.ARGUMENTS)
            self.collect(*measure)
            path = out / "part-001.jsonl.gz"
            path.write_bytes(path.read_bytes()[:-40])
            self.assertRegex(self.collect(*measure).stderr, r"^part 2: \d{1,2} steps measured, 0 left\n$")
            import output
            chunks = output.read_parts(out)[2]
            self.assertEqual(sorted(c["chunk"] for c in chunks), list(range(len(chunks))))
            self.assertEqual(sum(len(c["steps"]) for c in chunks), 40)

    def test_a_part_without_time_leaves_all_for_the_next(self):
        with tempfile.TemporaryDirectory() as folder:
            measure = ("measure", "--out", folder, "--models", "tiny", "--workloads", "general", *self.ARGUMENTS)
            self.assertRegex(self.collect(*measure, "--minutes", "0.0001").stderr,
                             "0 steps measured, 40 left: run the same command again")
            state = json.loads((pathlib.Path(folder) / "state.json").read_text())
            self.assertEqual(state["experiments"], {"tiny-tp2-general": {"steps_measured": 0, "steps_planned": 40}})
            self.assertRegex(self.collect(*measure).stderr, "part 2: 40 steps measured, 0 left")

    def test_other_settings_in_the_same_folder_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            measure = ("measure", "--out", folder, "--models", "tiny", "--workloads", "general", *self.ARGUMENTS)
            self.collect(*measure)
            self.assertRegex(self.collect(*measure, "--repeats", "7", status=2).stderr,
                             "^collect.py: .*measured with another 'repeats': 4, now 7\n$")

    def test_a_missing_device_is_one_line(self):
        if torch.cuda.is_available():
            self.skipTest("there is a CUDA device")
        with tempfile.TemporaryDirectory() as folder:
            self.assertRegex(self.collect("measure", "--out", folder, "--models", "tiny", status=2).stderr,
                             "^collect.py: no CUDA device.*\n$")

    def test_components_that_cannot_be_written_or_do_not_exist_are_refused_first(self):
        with tempfile.TemporaryDirectory() as folder:
            cpu = ("--bandwidth", "1e11", "--peak", "1e12", "--device", "cpu", "--dtype", "float32", "--quick")
            file = pathlib.Path(folder) / "file"
            file.write_text("")
            self.assertRegex(self.collect("components", "--out", file / "x", "--models", "tiny", *cpu, status=2).stderr,
                             "^collect.py: .*cannot write: .*\n$")
            self.assertRegex(self.collect("components", "--out", folder, "--models", "tiny,gpt", *cpu, status=2).stderr,
                             "^collect.py: unknown model 'gpt'")

    def test_out_of_memory_while_measuring_is_one_line_and_keeps_what_is_measured(self):
        import collect
        import output
        with tempfile.TemporaryDirectory() as folder:
            whole, calls = timing.Runner.chunk, []

            def chunk(runner, steps):
                calls.append(0)
                if len(calls) == 3:
                    raise RuntimeError("CUDA out of memory. Tried to allocate")
                return whole(runner, steps)
            with unittest.mock.patch.object(timing.Runner, "chunk", chunk), unittest.mock.patch("sys.stderr") as err:
                status = collect.main(["measure", "--out", folder, "--models", "tiny", "--workloads", "general", *self.ARGUMENTS])
            said = "".join(call.args[0] for call in err.write.call_args_list)
            self.assertEqual(status, 2)
            self.assertIn("collect.py: tiny: out of memory on the device", said)
            self.assertEqual(len(output.read_parts(folder)[2]), 2)

    def test_a_part_of_another_way_to_measure_is_refused_before_it_begins(self):
        import collect
        import bench
        with tempfile.TemporaryDirectory() as folder:
            measure = ["measure", "--out", folder, "--models", "tiny", "--workloads", "general", *self.ARGUMENTS]
            self.assertEqual(collect.main([*measure, "--minutes", "0.0001"]), 0)
            plain = bench.Rig.machine
            with unittest.mock.patch.object(bench.Rig, "machine", lambda rig: {**plain(rig), "attention": "other"}), \
                    unittest.mock.patch("sys.stderr"):
                self.assertEqual(collect.main(measure), 2)
            self.assertEqual(sorted(p.name for p in pathlib.Path(folder).iterdir()), ["part-001.jsonl.gz", "state.json"])

    def test_components_are_timed_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            self.collect("components", "--out", folder, "--models", "tiny", "--quick", "--bandwidth", "1e11", "--peak", "1e12",
                         "--device", "cpu", "--dtype", "float32")
            lines = (pathlib.Path(folder) / "components.csv").read_text().splitlines()
            self.assertTrue(lines[0].startswith("# label source: measured on CPU"))
            kinds = {line.split(",")[2] for line in lines[2:]}
            self.assertEqual(kinds, {"gemm_qkv", "gemm_attention_out", "gemm_gate_up", "gemm_down", "add_norm", "gated",
                                     "rotate", "lm_head", "prefill_attention", "decode_attention", "kv_write"})
            for line in lines[2:]:
                self.assertGreater(float(line.split(",")[6]), 0)
                self.assertEqual(line.split(",")[9], "not known")


class WithoutTorch(unittest.TestCase):
    def test_measuring_without_pytorch_is_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, str(COLLECT / "collect.py"), "measure", "--out", folder], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertEqual(done.stderr, "collect.py: measuring needs PyTorch, which this Python does not have\n")

    def test_the_decoder_and_its_timing_on_a_cpu(self):
        self.skipTest("PyTorch is not installed")


def load_tests(loader, tests, pattern):
    kinds = (Decoder, Backends, Timing, Rigs, Command) if TORCH else (WithoutTorch,)
    return unittest.TestSuite(loader.loadTestsFromTestCase(kind) for kind in kinds)


if __name__ == "__main__":
    support.main("collect-decoding")
