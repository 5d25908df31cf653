"""The scheduler that forms the steps to measure: its rules, the worked examples and goldens, and what it promises of a plan."""
import csv
import json
import random
import unittest

import support
from support import DATA

import compositions
import floor
from compositions import Arrival, Limits, Plan, Scheduler, WORKLOADS
from shard import InputError, read_model


def cost_of(picoseconds):
    def duration(requests):
        prefill = sum(n for n, _, decode in requests if not decode)
        decodes = sum(decode for _, _, decode in requests)
        context = sum(c for _, c, _ in requests)
        return max(1, (picoseconds["base"] + picoseconds["per_prefill_token"] * prefill +
                       picoseconds["per_decode_token"] * decodes + picoseconds["per_context_token"] * context) // 10**6)
    return duration


def scheduler_of(config, arrivals):
    limits = Limits(config["max_num_batched_tokens"], config["max_num_seqs"], config["block_size"], config["num_blocks"],
                    config.get("max_model_len", 0), config.get("long_prefill_token_threshold", 0),
                    config.get("reserve_full_isl", False))
    return Scheduler(limits, arrivals, cost_of(config["step_ps"]))


def some_load(seed, limits, number=60):
    draw = random.Random(seed)
    arrivals, now = [], 0
    for _ in range(number):
        now += draw.choice((0, 0, draw.randrange(300), draw.randrange(5000)))
        arrivals.append(Arrival(now, draw.randrange(1, 90), draw.randrange(1, 25)))
    scheduler = Scheduler(limits, arrivals, lambda requests: 20 + 3 * sum(n for n, _, _ in requests))
    return arrivals, scheduler, list(scheduler)


LOADS = [Limits(32, 6, 4, 40), Limits(7, 3, 4, 29), Limits(64, 20, 16, 12), Limits(16, 8, 4, 60, long_prompt=5),
         Limits(16, 8, 4, 60, whole_prompt=True)]


class Rules(unittest.TestCase):
    def each_load(self):
        for seed, limits in enumerate(LOADS * 4):
            with self.subTest(limits=limits, seed=seed):
                yield (limits, *some_load(seed, limits))

    def test_no_step_exceeds_the_token_budget_or_the_batch(self):
        for limits, _, _, steps in self.each_load():
            for step in steps:
                self.assertTrue(0 < step.tokens <= limits.max_tokens)
                self.assertLessEqual(step.running, limits.max_requests)

    def test_no_step_exceeds_the_kv_pool(self):
        preempted = 0
        for limits, _, scheduler, steps in self.each_load():
            for step in steps:
                self.assertTrue(0 <= step.blocks_free <= limits.blocks)
                held = sum(-(-(n + c) // limits.block) for n, c, _ in step.requests)
                self.assertLessEqual(held, limits.blocks - step.blocks_free)
                preempted += len(step.preempted)
            self.assertEqual(scheduler.free, limits.blocks)  # all given back at the end
        self.assertGreater(preempted, 10)  # the loads do press on the pool

    def test_a_decode_request_has_one_new_token_and_a_context(self):
        for _, _, _, steps in self.each_load():
            for step in steps:
                self.assertTrue(all(n == 1 and c > 0 for n, c, decode in step.requests if decode))

    def test_every_request_gets_its_tokens_once_and_leaves(self):
        for _, arrivals, scheduler, _ in self.each_load():
            self.assertEqual(len(scheduler.finished) + len(scheduler.rejected), len(arrivals))
            for request in scheduler.finished:
                self.assertEqual(len(request.token_times), request.output)
                self.assertEqual(request.token_times, sorted(set(request.token_times)))

    def test_the_chunks_of_a_prompt_add_up_to_it_and_follow_each_other(self):
        for limits, arrivals, _, steps in self.each_load():
            if any(step.preempted for step in steps):
                continue
            chunks = {}
            for step in steps:
                for number, (new, context, decode) in zip(step.numbers, step.requests):
                    if not decode:
                        self.assertEqual(context, sum(chunks.get(number, [])))
                        chunks.setdefault(number, []).append(new)
            for number, parts in chunks.items():
                self.assertEqual(sum(parts), arrivals[number].prompt)

    def test_tokens_are_conserved_with_what_preemption_loses(self):
        for _, _, scheduler, steps in self.each_load():
            computed, lost = {}, 0
            for step in steps:
                for number in step.preempted:
                    lost += computed.get(number, 0)
                    computed[number] = 0
                for number, (new, context, _) in zip(step.numbers, step.requests):
                    self.assertEqual(context, computed.get(number, 0))
                    computed[number] = context + new
            needed = sum(r.prompt + r.output - 1 for r in scheduler.finished)
            self.assertEqual(sum(step.tokens for step in steps), needed + lost)

    def test_nobody_is_admitted_before_who_came_earlier(self):
        for _, _, _, steps in self.each_load():
            first = []
            for step in steps:
                first += [number for number in step.numbers if number not in first]
            self.assertEqual(first, sorted(first))

    def test_a_request_that_cannot_fit_is_rejected_and_holds_up_nobody(self):
        scheduler = Scheduler(Limits(16, 4, 4, 3), [Arrival(0, 0, 2), Arrival(0, 13, 1), Arrival(0, 12, 2), Arrival(0, 12, 1),
                                                    Arrival(3, 4, 0)], lambda requests: 10)
        list(scheduler)
        self.assertEqual(scheduler.rejected, [0, 1, 2])
        self.assertEqual([r.number for r in scheduler.finished], [3, 4])

    def test_limits_of_nothing_are_refused(self):
        with self.assertRaises(InputError):
            Scheduler(Limits(0, 4, 4, 3), [], lambda requests: 1)


class Goldens(unittest.TestCase):
    def setUp(self):
        if not (DATA / "traces" / "golden").is_dir():
            self.skipTest(f"no request traces at {DATA}")

    def test_the_worked_examples_step_by_step(self):
        compared = 0
        for example in json.loads((DATA / "traces/golden/worked_examples.json").read_text()):
            if example["config"].get("prefix_caching"):
                continue
            with self.subTest(example["name"]):
                arrivals = [Arrival(r["arrival_us"], r["input_tokens"], r["output_tokens"]) for r in example["requests"]]
                scheduler = scheduler_of(example["config"], arrivals)
                found = [(s.start_us, [[k, c, n] for k, (n, c, _) in zip(s.numbers, s.requests)], list(s.preempted))
                         for s in scheduler]
                events = example["expected"]["events"]
                self.assertEqual(found, [(e["t"], e["sched"], e["preempted"]) for e in events])
                times = {str(r.number): r.token_times for r in scheduler.finished}
                self.assertEqual(times, {k: v for k, v in example["expected"]["token_times_us"].items() if v})
                compared += 1
        self.assertEqual(compared, 14)

    def golden(self, name, most):
        folder = DATA / "traces"
        config = json.loads((folder / "golden" / f"{name}.config.json").read_text())
        arrivals = []
        with open(folder / config["trace"], newline="") as file:
            for row in list(csv.DictReader(file))[:config.get("limit")]:
                time = int(row["arrival_us"]) * config.get("arrival_num", 1) // config.get("arrival_den", 1)
                arrivals.append(Arrival(time, int(row["input_tokens"]), int(row["output_tokens"])))
        scheduler = scheduler_of(config, arrivals)
        for at, _ in enumerate(scheduler):
            if at >= most:
                break
        found = {r.number: r for r in scheduler.finished}
        compared = 0
        with open(folder / "golden" / f"{name}.csv", newline="") as file:
            for row in csv.DictReader(file):
                one = found.get(int(row["request_id"]))
                if one is None:
                    continue
                self.assertEqual((row["status"], one.token_times[0], one.token_times[-1], one.preemptions,
                                  sum(t - one.arrival for t in one.token_times)),
                                 ("FINISHED", int(row["first_token_us"]), int(row["finish_us"]), int(row["preemptions"]),
                                  int(row["token_latency_sum_us"])), row["request_id"])
                compared += 1
        return compared

    def test_the_edge_trace_in_full(self):
        self.assertEqual(self.golden("edge", 10**9), 23)

    def test_the_start_of_an_overloaded_trace_with_preemptions(self):
        self.assertGreater(self.golden("conv3000_tight", 6000), 200)


class Plans(unittest.TestCase):
    def plan(self, **changes):
        return Plan(**{**dict(steps=60, per_chunk=10, gap=20, skip=50), **changes})

    def test_the_same_seed_gives_the_same_steps_and_another_seed_others(self):
        shard, workload = read_model("llama-2-7b"), WORKLOADS["general"]
        once = compositions.chunks(shard, workload, self.plan())
        self.assertEqual(once, compositions.chunks(shard, workload, self.plan()))
        self.assertNotEqual(once, compositions.chunks(shard, workload, self.plan(seed=2)))

    def test_a_known_plan_keeps_its_bytes(self):
        # Guards the promise that a run can be resumed on another machine: a change here is a new data set.
        self.assertEqual(compositions.seed_of(1, "llama-2-7b", 1, "general") % 10**9, 541146452)

    def test_a_plan_has_as_many_distinct_steps_as_asked_in_consecutive_chunks(self):
        for model in ("llama-2-7b", "mixtral-8x7b"):
            for workload in WORKLOADS.values():
                with self.subTest(model=model, workload=workload.name):
                    chunks = compositions.chunks(read_model(model), workload, self.plan())
                    steps = [compositions.ordered(s.requests) for chunk in chunks for s in chunk.steps]
                    self.assertEqual(len(steps), 60)
                    self.assertEqual(len(set(steps)), 60)
                    self.assertEqual([chunk.number for chunk in chunks], list(range(len(chunks))))
                    ends = [chunk.first + len(chunk.steps) for chunk in chunks]
                    self.assertTrue(all(a.first >= end for a, end in zip(chunks[1:], ends)))

    def test_the_four_workloads_differ_as_their_names_say(self):
        shard = read_model("llama-2-70b")
        facts = {}
        for name, workload in WORKLOADS.items():
            steps = [s for chunk in compositions.chunks(shard, workload, self.plan(steps=300)) for s in chunk.steps]
            requests = [r for s in steps for r in s.requests]
            facts[name] = (sum(s.prefills > 0 for s in steps) / len(steps), sum(d for _, _, d in requests) / len(steps))
        self.assertGreater(facts["codegen"][0], facts["reasoning"][0])  # more of its steps have a prompt
        self.assertGreater(facts["reasoning"][1], facts["codegen"][1])  # more of its requests decode
        for name, (prompts, decodes) in facts.items():
            self.assertTrue(0.02 < prompts < 0.98 and decodes > 4, (name, prompts, decodes))

    def test_ordered_puts_decode_requests_first_and_keeps_the_rest(self):
        self.assertEqual(compositions.ordered(((5, 0, False), (1, 9, True), (7, 2, False), (1, 3, True))),
                         ((1, 9, True), (1, 3, True), (5, 0, False), (7, 2, False)))

    def test_more_distinct_steps_than_there_are_is_an_error(self):
        with self.assertRaisesRegex(InputError, "too small"):
            compositions.chunks(read_model("tiny"), WORKLOADS["general"], self.plan(max_requests=1, max_tokens=1, steps=600, gap=0))

    def test_a_plan_of_nothing_is_refused(self):
        for change in (dict(steps=0), dict(per_chunk=0), dict(gap=-1), dict(pool_gb=0.0)):
            with self.subTest(change), self.assertRaises(InputError):
                compositions.chunks(read_model("tiny"), WORKLOADS["general"], self.plan(**change))

    def test_weights_that_leave_no_room_for_a_pool_are_refused(self):
        with self.assertRaisesRegex(InputError, "llama-2-70b at tp 4: its weights"):
            compositions.pool_blocks(read_model("llama-2-70b"), 16, 24e9)

    def test_the_clock_is_above_the_roofline(self):
        shard, on = read_model("codellama-34b"), floor.DEVICES["h100"]
        for step in ([(1, 100, True)], [(2048, 0, False)], [(1, 900, True)] * 30 + [(512, 512, False)]):
            self.assertGreater(compositions.clock_us(shard, step, on), floor.step_roofline_us(shard, step, on))


if __name__ == "__main__":
    support.main("collect-compositions")
