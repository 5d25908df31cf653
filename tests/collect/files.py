"""What the collector writes and reads: lists, parts that survive a kill, merged files, data cards, the validator, the commands,
and that rafter-study accepts a merged file.

usage: files.py [--xml REPORT] [unittest arguments]; the program rafter-study is taken from the environment (RAFTER_STUDY)
"""
import gzip
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import support
from support import COLLECT

import card
import collect
import compositions
import floor
import machine
import output
import validate
from shard import InputError, read_model

STUDY = os.environ.get("RAFTER_STUDY", "")
PLAN = compositions.Plan(steps=40, per_chunk=10, gap=15, skip=40)
MACHINE = {"device": "a test's device", "memory_gb": "80", "processor": "p", "driver": "1", "cuda": "13", "torch": "2", "python": "3.12",
           "attention": "flash", "experts": "grouped", "elementwise": "compiled", "graphs": True, "notes": ["a note"]}


def settings(**changes):
    return {"hardware": "h100", "rig": "test", "repeats": 3, "wall_repeats": 1, "dtype": "bfloat16",
            "plan": {field: getattr(PLAN, field) for field in PLAN.__dataclass_fields__}, **changes}


def records(model, workload="general", plan=PLAN, slower=1.5, chunks=None):
    """Chunks as `measure` writes them, with times that a law made up: `slower` times the roofline."""
    shard, on = read_model(model), floor.device("h100")
    for chunk in chunks or compositions.chunks(shard, compositions.WORKLOADS[workload], plan):
        steps = []
        for step in chunk.steps:
            requests = compositions.ordered(step.requests)
            time = slower * floor.step_roofline_us(shard, requests, on)
            times = {"gpu": [time, 1.01 * time, None], "wall": [None, None, time + 200], "interval": [None, None, time + 250],
                     "start_ns": [1, 2, 3], "launch": "eager" if step.prefills else "graph:8"}
            steps.append(output.step_record(requests, step, times))
        yield {"experiment": f"{model}-{workload}", "model": model, "workload": workload, "tp": shard.tp, "chunk": chunk.number,
               "first": chunk.first, "blocks": compositions.limits_of(shard, plan).blocks, "clocks": {"sm_mhz": 1980, "temperature_c": 40},
               "experts": [3, 1] if shard.experts > 1 else [], "notes": [], "steps": steps}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.parts = self.folder / "parts"

    def part(self, *chunks, number=None, first=None):
        part = output.Part(self.parts, number or output.next_part(self.parts), first or {"settings": settings(), "machine": MACHINE})
        for chunk in chunks:
            part.write(chunk)
        part.close()
        return self.parts / f"part-{part.number:03d}.jsonl.gz"

    def run_collect(self, *arguments):
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, str(COLLECT / "collect.py"), *map(str, arguments)], capture_output=True, text=True,
                              env=environment)
        return done.returncode, done.stdout, done.stderr

    def merged(self, *names, **options):
        if not self.parts.exists():
            for name in names or ("llama-2-7b",):
                self.part(*records(name, **options))
        status, out, err = self.run_collect("merge", "--out", self.parts, "--to", self.folder / "merged")
        self.assertEqual((status, err), (0, ""))
        return self.folder / "merged" / "steps.csv"


class Lists(unittest.TestCase):
    def test_equal_neighbours_are_counted_and_come_back(self):
        for items, text in (([], ""), ([5], "5"), ([1] * 12 + [512], "1*12;512"), ([7, 7, 1, 7], "7*2;1;7")):
            self.assertEqual(output.run_lengths(items), text)
            self.assertEqual(output.listed(text), items)
        self.assertEqual(output.listed("d*3;p", whole=False), ["d", "d", "d", "p"])

    def test_what_is_no_list_is_named(self):
        for text, fact in (("1;x", "item 2 'x' is not a whole number"), ("1*0", "item 1 '1*0' repeats"), ("1*x", "repeats"),
                           ("1;;2", "item 2 ''"), ("-1", "item 1 '-1'"), ("1;", "item 2 ''"), ("5*2000000", "1,000,000")):
            with self.subTest(text), self.assertRaisesRegex(ValueError, fact.replace("*", r"\*")):
                output.listed(text)
        with self.assertRaisesRegex(ValueError, "neither d nor p"):
            output.listed("d;x", whole=False)

    def test_times_have_at_most_two_decimals_and_are_positive(self):
        self.assertEqual([output.microseconds(v) for v in (1234.5678, 20.0, 0.5, None)], ["1234.57", "20", "0.5", ""])
        for bad in (0.0, -1.0, 0.001, float("nan"), float("inf")):
            with self.subTest(bad), self.assertRaises(InputError):
                output.microseconds(bad)


class Parts(Case):
    def test_what_was_written_is_read(self):
        chunks = list(records("llama-2-7b"))
        self.part(*chunks)
        self.assertEqual(output.read_parts(self.parts), (settings(), [{"part": "part-001.jsonl.gz", **MACHINE}], chunks))

    def test_a_folder_without_parts_has_nothing(self):
        self.assertEqual(output.read_parts(self.parts), (None, [], []))

    def test_a_part_cut_anywhere_keeps_the_chunks_before_the_cut(self):
        chunks = list(records("llama-2-7b"))
        path = self.part(*chunks)
        data = path.read_bytes()
        ends, at = [], 0
        for one in [{"settings": settings(), "machine": MACHINE}, *chunks]:
            at += len(gzip.compress((output.json.dumps(one, separators=(",", ":")) + "\n").encode(), mtime=0))
            ends.append(at)
        self.assertEqual(ends[-1], len(data))
        for cut in [0, 1, 9, 25, ends[0], ends[0] + 1, ends[1] - 1, ends[1], ends[1] + 12, ends[-2] + 30, ends[-1] - 1, ends[-1]]:
            path.write_bytes(data[:cut])
            whole = sum(end <= cut for end in ends)
            self.assertEqual(output.read_parts(self.parts)[2], chunks[:max(0, whole - 1)], cut)

    def test_bytes_that_were_changed_are_an_error_not_a_cut(self):
        path = self.part(*records("llama-2-7b"))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
        with self.assertRaisesRegex(InputError, r"part-001.jsonl.gz: byte \d+"):
            output.read_parts(self.parts)

    def test_parts_of_other_settings_do_not_mix(self):
        chunks = list(records("llama-2-7b"))
        self.part(chunks[0])
        self.part(chunks[1], first={"settings": settings(repeats=9), "machine": MACHINE})
        with self.assertRaisesRegex(InputError, "part-002.jsonl.gz: 'repeats' is 9, the parts before it have 3"):
            output.read_parts(self.parts)

    def test_parts_measured_in_another_way_do_not_mix(self):
        chunks = list(records("llama-2-7b"))
        self.part(chunks[0])
        for field, value in (("attention", "sdpa"), ("graphs", False), ("torch", "1"), ("device", "another")):
            path = self.part(chunks[1], first={"settings": settings(), "machine": {**MACHINE, field: value}})
            with self.assertRaisesRegex(InputError, f"part-002.jsonl.gz: '{field}' is .*, part-001.jsonl.gz has"):
                output.read_parts(self.parts)
            path.unlink()

    def test_a_line_that_is_no_chunk_is_named(self):
        self.part({"experiment": "x"})
        with self.assertRaisesRegex(InputError, "part-001.jsonl.gz: a line is no chunk of steps"):
            output.read_parts(self.parts)

    def test_a_chunk_that_is_there_twice_is_an_error(self):
        chunks = list(records("llama-2-7b"))
        self.part(chunks[0])
        self.part(chunks[0])
        with self.assertRaisesRegex(InputError, "chunk 0 of 'llama-2-7b-general' is in part-001.jsonl.gz too"):
            output.read_parts(self.parts)

    def test_a_part_does_not_overwrite_one_that_is_there(self):
        self.part()
        with self.assertRaisesRegex(InputError, "part-001.jsonl.gz: cannot write: File exists"):
            self.part(number=1)

    def test_a_part_that_grows_too_large_goes_on_in_the_next(self):
        chunks = list(records("llama-2-7b"))
        before = output.MOST_PART_BYTES
        self.addCleanup(setattr, output, "MOST_PART_BYTES", before)
        output.MOST_PART_BYTES = 600
        self.part(*chunks)
        self.assertGreater(len(list(self.parts.iterdir())), 2)
        self.assertEqual(output.read_parts(self.parts)[2], chunks)
        self.assertLess(before, 16 * 2**20)


class Resume(Case):
    def arguments(self, *more):
        return collect.parser().parse_args(["measure", "--out", str(self.parts), "--models", "llama-2-7b,mixtral-8x7b", *more])

    def left(self):
        arguments = self.arguments("--steps", "40", "--per-chunk", "10", "--gap", "15", "--skip", "40")
        done = {(r["experiment"], r["chunk"]) for r in output.read_parts(self.parts)[2]}
        return collect.Work(arguments, collect.plan_of(arguments), done)

    def test_what_is_left_is_what_no_part_has(self):
        self.assertEqual(self.left().left, 2 * 4 * 40)
        chunks = list(records("llama-2-7b"))
        for record in chunks:
            record["experiment"] = "llama-2-7b-tp1-general"
        path = self.part(*chunks)
        self.assertEqual(self.left().left, 2 * 4 * 40 - 40)
        path.write_bytes(path.read_bytes()[:-7])  # killed while it wrote the last chunk
        work = self.left()
        self.assertEqual(work.left, 2 * 4 * 40 - 40 + len(chunks[-1]["steps"]))
        again = [chunk for entry in work.by_model.values() for _, name, _, chunk in entry["left"] if name == "llama-2-7b-tp1-general"]
        self.assertEqual([chunk.number for chunk in again], [chunks[-1]["chunk"]])

    def test_the_workloads_of_a_model_take_turns(self):
        work = self.left()
        first = next(iter(work.by_model.values()))["left"][:8]
        self.assertEqual([workload.name for _, _, workload, _ in first], list(compositions.WORKLOADS) * 2)

    def test_the_state_says_how_far_each_experiment_is(self):
        chunks = list(records("llama-2-7b"))[:2]
        self.part(*chunks)
        output.write_state(self.parts, settings(), chunks, {"llama-2-7b-general": 40, "other": 40})
        state = output.json.loads((self.parts / "state.json").read_text())["experiments"]
        self.assertEqual(state["llama-2-7b-general"]["steps_measured"], sum(len(c["steps"]) for c in chunks))
        self.assertEqual(state["other"], {"steps_measured": 0, "steps_planned": 40})


class Merged(Case):
    def test_rows_hold_the_composition_and_the_median_of_the_repetitions(self):
        path = self.merged()
        steps = validate.Steps(path)
        chunks = compositions.chunks(read_model("llama-2-7b"), compositions.WORKLOADS["general"], PLAN)
        planned = [(chunk.first + i, s) for chunk in chunks for i, s in enumerate(chunk.steps)]
        self.assertEqual(len(steps.rows), 40)
        for row, (step_id, step) in zip(steps.rows, planned):
            requests = compositions.ordered(step.requests)
            self.assertEqual((row["step_id"], tuple(row["requests"])), (step_id, requests))
            time = 1.5 * floor.step_roofline_us(read_model("llama-2-7b"), requests, floor.device("h100"))
            self.assertAlmostEqual(row["times"]["gpu_time_us"], 1.005 * time, delta=0.006)
            self.assertAlmostEqual(row["times"]["interval_us"], time + 250, delta=0.006)

    def test_the_comments_say_where_the_labels_come_from(self):
        comments = validate.Steps(self.merged()).comments
        self.assertTrue(comments[0].startswith("label source: measured by rafter's collector"))
        self.assertIn("all-reduces are not measured", comments[1])
        self.assertIn("gpu_time_us is a median of 2 repetitions, wall_time_us and interval_us of 1", comments[1])

    def test_passes_that_may_have_waited_for_the_host_are_in_the_card(self):
        chunks = list(records("llama-2-7b"))
        for chunk in chunks:
            for step in chunk["steps"]:
                step["late"] = 1
        self.part(*chunks)
        self.assertIn("in 40 of 80 passes that give GPU time", (self.merged().parent / "README.md").read_text())

    def test_every_repetition_is_kept_beside(self):
        path = self.merged()
        with gzip.open(path.with_name("repetitions.csv.gz"), "rt") as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[0], ",".join(output.REPETITIONS))
        self.assertEqual(len(lines), 1 + 3 * 40)

    def test_the_data_card_is_complete(self):
        text = (self.merged("llama-2-7b", "mixtral-8x7b").parent / "README.md").read_text()
        shard, on = read_model("llama-2-7b"), floor.device("h100")
        chunks = compositions.chunks(shard, compositions.WORKLOADS["general"], PLAN)
        ratios = [1.5 * floor.step_roofline_us(shard, s.requests, on) / floor.weakest_floor_us(shard, on) for c in chunks for s in c.steps]
        for fact in ("CC-BY-4.0", "All-reduces are not measured", "a test's device", "a note", "80 steps", "2 experiments",
                     "| llama-2-7b-general | 40 |", f"| {1.005 * min(ratios):.2f}, {1.005 * statistics.median(ratios):.2f} | 1.51 |", "75.0 25.0",
                     "SM: 1980 to 1980 MHz", "power: not known", "seed 1"):
            self.assertIn(fact, text)
        self.assertNotIn("{", text)
        spread = statistics.stdev([1.0, 1.01]) / 1.005
        self.assertIn(f"{100 * spread:.2f} %", text)

    def test_a_machine_that_does_not_say_its_driver_makes_no_card(self):
        machine = {key: value for key, value in MACHINE.items() if key != "driver"}
        with self.assertRaisesRegex(InputError, "p: its machine does not say 'driver'"):
            card.write(settings(), [{"part": "p", **machine}], list(records("llama-2-7b")), "a", "b")

    def test_the_compressed_file_says_the_same(self):
        plain = self.merged()
        status, _, _ = self.run_collect("merge", "--out", self.parts, "--to", self.folder / "small", "--gzip")
        self.assertEqual(status, 0)
        self.assertEqual(output.read_text(self.folder / "small" / "steps.csv.gz"), plain.read_text())

    def test_merging_twice_gives_the_same_bytes(self):
        first = {p.name: p.read_bytes() for p in self.merged().parent.iterdir()}
        self.assertEqual(first, {p.name: p.read_bytes() for p in self.merged().parent.iterdir()})


class Validator(Case):
    def faults(self, change=None, **options):
        path = self.merged(**options)
        if change:
            path.write_text(change(path.read_text()))
        return validate.audit(validate.Steps(path))

    def test_a_good_file_has_no_fault_and_known_ratios(self):
        facts, faults = self.faults()
        self.assertEqual(faults, [])
        self.assertEqual((facts["llama-2-7b-general"]["rows"], facts["llama-2-7b-general"]["distinct"]), (40, 40))
        self.assertGreaterEqual(facts["llama-2-7b-general"]["lowest_ratio"], 1.5)

    def test_a_step_below_the_floor_is_found(self):
        def change(text):
            lines = text.splitlines()
            fields = lines[-1].rsplit(",", 3)
            lines[-1] = ",".join([fields[0], "3000", *fields[2:]])
            return "\n".join(lines) + "\n"
        # 7b reads 2·32·(4·4096² + 3·4096·11008) = 12,952,010,752 bytes: 3866.3 us at 3.35e12 byte/s
        _, faults = self.faults(change)
        self.assertEqual(len(faults), 1)
        self.assertRegex(faults[0], r"^line 44: gpu_time_us 3000 us is 0\.78 of the floor, 3866\.3 us")

    def test_a_file_all_below_the_floor_says_how_many(self):
        _, faults = self.faults(slower=0.05)
        self.assertRegex(faults[-1], r"^\d+ times in all are below the floor$")

    def test_labels_that_are_not_measured_are_a_fault(self):
        _, faults = self.faults(lambda text: text.replace("label source: measured", "label source: generated"))
        self.assertRegex(faults[0], "no comment line says 'label source: measured")

    def test_a_tp_that_was_not_collected_is_a_fault(self):
        _, faults = self.faults(lambda text: text.replace(",h100,1,", ",h100,2,"))
        self.assertRegex(faults[0], "tp 2, but llama-2-7b was collected with tp 1")

    def test_too_few_experiments_or_distinct_steps_are_faults(self):
        facts, _ = self.faults()
        self.assertEqual(validate.expect(facts, 1, 40), [])
        self.assertEqual(validate.expect(facts, 16, 1000), ["1 experiments, expected 16",
                                                            "llama-2-7b-general: 40 distinct steps, expected 1000"])

    def test_bad_rows_are_named_by_line_and_field(self):
        good = self.merged().read_text().splitlines()

        def refused(column, value, pattern):
            header, row = good[3].split(","), good[10].split(",")
            row[header.index(column)] = value
            path = self.folder / "bad.csv"
            path.write_text("\n".join([*good[:10], ",".join(row), *good[11:]]) + "\n")
            with self.assertRaisesRegex(InputError, rf"bad\.csv:11: {pattern}"):
                validate.Steps(path)
        refused("new_tokens", "1;x", "new_tokens: '1;x' is no list: item 2 'x'")
        row = good[10].split(",")
        requests = len(output.listed(row[good[3].split(",").index("new_tokens")]))
        refused("new_tokens", f"0*{requests}", "new_tokens: .* has a request without a new token")
        refused("new_tokens", f"2*{requests}", "new_tokens: .* has a decode request with more than one new token")
        refused("context_tokens", "5", "context_tokens: '5' lists 1 requests")
        refused("gpu_time_us", "0", "gpu_time_us: '0' is not a positive time")
        refused("gpu_time_us", "nan", "gpu_time_us: 'nan' is not a positive time")
        refused("wall_time_us", "-3", "wall_time_us: '-3' is not a positive time")
        refused("interval_us", "x", "interval_us: 'x' is not a number")
        refused("step_id", "40.5", "step_id: '40.5' is not a whole number")
        refused("step_id", good[4].split(",")[6], "step_id: .* was there before")
        refused("model", "", "model: '' is empty")
        refused("tp", "0", "tp: '0' is not at least 1")
        refused("kv_blocks_free", "-1", "kv_blocks_free: '-1' is not a whole number")

    def test_bad_files_are_named(self):
        def refused(text, pattern):
            path = self.folder / "bad.csv"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            with self.assertRaisesRegex(InputError, pattern):
                validate.Steps(path)
        header = ",".join(output.HEADER)
        refused("", "bad.csv:1: empty file")
        refused("# a comment\n", "bad.csv:2: empty file")
        refused(header + "\n", "header without rows")
        refused(header + ",colour\n", "unknown column 'colour'")
        refused(header + ",tp\n", "column 'tp' is there twice")
        refused(header.replace(",new_tokens", "") + "\n", "column 'new_tokens' is missing")
        refused("model,hardware,tp,new_tokens,context_tokens\n", "no column of a time")
        refused(header + "\na,b\n", ":2: 2 fields, expected 18")
        refused(b"\xff\xfe", "not UTF-8")
        refused(b"\x1f\x8b\x08", "cannot read")
        with self.assertRaisesRegex(InputError, "cannot read: .*No such file"):
            validate.Steps(self.folder / "none.csv")


class Commands(Case):
    def refused(self, pattern, *arguments):
        status, out, err = self.run_collect(*arguments)
        self.assertEqual((status, out), (2, ""), err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertRegex(err, "^collect.py: .*" + pattern)

    def test_bad_requests_are_one_line_and_status_2(self):
        self.refused("unknown model 'gpt'", "plan", "--models", "gpt")
        self.refused("unknown workload 'chat'; known: general", "plan", "--models", "tiny", "--workloads", "chat")
        self.refused("'tiny' is named twice", "plan", "--models", "tiny,tiny")
        self.refused("names nothing", "plan", "--models", ",")
        self.refused("steps is 0", "plan", "--steps", "0")
        self.refused("no bandwidth is known of hardware 'abacus'.*: give --bandwidth in byte/s", "plan", "--hardware", "abacus")
        self.refused("no part with measured steps", "merge", "--out", self.parts, "--to", self.folder)
        self.refused("cannot read: .*No such file", "validate", self.folder / "none.csv")
        self.refused("--wall-repeats 4 is not from 1 to below --repeats 4", "measure", "--out", self.parts, "--wall-repeats", "4")
        self.refused("--part 'x' is neither auto nor", "measure", "--out", self.parts, "--part", "x")
        self.refused("--minutes 0.0 is not positive", "measure", "--out", self.parts, "--minutes", "0")

    def test_validate_ends_with_the_first_fault(self):
        path = self.merged(slower=0.05)
        status, out, err = self.run_collect("validate", path)
        self.assertEqual(status, 2)
        self.assertRegex(err, r"^collect.py: .*steps.csv: line \d+: \w+ [\d.]+ us is 0\.\d+ of the floor.* \(and \d+ more faults\)\n$")
        self.assertIn("llama-2-7b-general", out)

    def test_validate_accepts_a_good_file(self):
        status, out, err = self.run_collect("validate", self.merged(), "--experiments", "1", "--distinct", "40")
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(out.endswith("valid\n"))

    def test_the_plan_needs_no_pytorch(self):
        status, out, err = self.run_collect("plan", "--models", "tiny,llama-2-7b", "--steps", "20", "--skip", "10", "--gap", "5")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(len(out.splitlines()), 2 + 8 + 1)
        self.assertRegex(out, r"\[GB\] +\[s\]\n")

    def test_a_plan_says_when_it_does_not_fit_the_device(self):
        small = ("--steps", "20", "--skip", "10", "--gap", "5", "--workloads", "general", "--models")
        _, out, _ = self.run_collect("plan", "--hardware", "l4", *small, "llama-2-7b,mixtral-8x7b")
        self.assertIn("not all fit the 24 GB of l4", out)
        _, out, _ = self.run_collect("plan", "--hardware", "l4", *small, "llama-2-7b", "--pool-gb", "24")
        self.assertNotIn("not all fit", out)
        _, out, _ = self.run_collect("plan", "--hardware", "h100", *small, "llama-2-7b,mixtral-8x7b")
        self.assertNotIn("not all fit", out)

    def test_measuring_what_does_not_fit_is_refused_before_it_begins(self):
        arguments = collect.parser().parse_args(["measure", "--out", "none", "--models", "mixtral-8x7b", "--steps", "20", "--skip", "10",
                                                 "--gap", "5", "--workloads", "general"])
        work = collect.Work(arguments, collect.plan_of(arguments), set())
        collect.check_memory(arguments, work, 80e9)
        with self.assertRaisesRegex(InputError, r"mixtral-8x7b needs about (49|5\d) GB, .* 48 GB are free: .*--pool-gb 80"):
            collect.check_memory(arguments, work, 48e9)

    def test_an_interrupt_is_one_line(self):
        def interrupted(arguments):
            raise KeyboardInterrupt
        with unittest.mock.patch.object(collect, "show_plan", interrupted), unittest.mock.patch("sys.stderr") as err:
            self.assertEqual(collect.main(["plan"]), 130)
        self.assertIn("interrupted", "".join(call.args[0] for call in err.write.call_args_list))


class Machine(Case):
    def driver(self, answer, status=0):
        """A query tool that gives this answer."""
        tool = self.folder / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\necho '{answer}'\nexit {status}\n")
        tool.chmod(0o755)
        return unittest.mock.patch.dict(os.environ, {"PATH": f"{self.folder}:{os.environ['PATH']}"})

    def clocks(self):
        with unittest.mock.patch.dict(sys.modules, {"pynvml": None}):
            return machine.Clocks(True).read()

    def test_clocks_come_from_the_query_tool(self):
        with self.driver("1980, 3201, 41, 312.55"):
            self.assertEqual(self.clocks(), {"sm_mhz": 1980, "memory_mhz": 3201, "temperature_c": 41, "power_w": 313})

    def test_the_device_that_is_measured_is_asked_not_the_first_of_the_machine(self):
        tool = self.folder / "nvidia-smi"
        tool.write_text('#!/bin/sh\n[ "$2" = GPU-1-2 ] && echo 999\n')
        tool.chmod(0o755)
        with unittest.mock.patch.dict(os.environ, {"PATH": f"{self.folder}:{os.environ['PATH']}"}):
            for told in ("1-2", "GPU-1-2"):
                torch = unittest.mock.Mock()
                torch.cuda.get_device_properties.return_value.uuid = told
                self.assertEqual(machine.smi(["clocks.sm"], machine.uuid_of(torch, 0)), {"clocks.sm": "999"})
            self.assertEqual(machine.smi(["clocks.sm"]), {})

    def test_what_the_device_does_not_tell_is_left_out(self):
        with self.driver("1980, [N/A], 41, [N/A]"):
            self.assertEqual(self.clocks(), {"sm_mhz": 1980, "temperature_c": 41})

    def test_a_query_tool_that_fails_or_is_missing_tells_nothing(self):
        with self.driver("1980, 3201, 41, 312", status=9):
            self.assertEqual(self.clocks(), {})
        with self.driver("no devices"):
            self.assertEqual(self.clocks(), {})
        with unittest.mock.patch.dict(os.environ, {"PATH": str(self.folder / "empty")}):
            self.assertEqual(machine.smi(["driver_version"]), {})
        self.assertEqual(machine.Clocks(False).read(), {})


class Study(Case):
    def setUp(self):
        super().setUp()
        if not STUDY:
            self.skipTest("rafter-study was not built")

    def test_rafter_study_reads_a_merged_file_and_finds_it_plausible(self):
        path = self.merged("llama-2-7b", "codellama-34b", "llama-2-70b", "mixtral-8x7b")
        for target in ("gpu_step_time", "wall_time", "step_interval"):
            text = validate.study(STUDY, path, target)
            self.assertRegex(text, r"160|plausib")
        report = self.folder / "report.json"
        done = subprocess.run([STUDY, "--data", path, "--schema", "rafter", "--split", "lomo", "--predictors", "mean,roofline0", "--json",
                               report], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        data = output.json.loads(report.read_text())
        self.assertEqual(data["data"]["rows"], 160)
        self.assertEqual(data["data"]["plausibility"]["share_below_floor"], 0)
        # Times are the roofline times a factor: roofline0 is off by that factor (and the LM head), on every fold alike.
        folds = next(one for one in data["results"] if one["predictor"] == "roofline0")["folds"]
        self.assertEqual(len(folds), 4)
        for fold in folds:
            self.assertTrue(20 < fold["mape"] < 45, fold)

    def test_both_audits_find_the_same_rows_below_the_floor(self):
        path = self.merged("llama-2-7b", "llama-2-70b", slower=0.4)
        report = self.folder / "report.json"
        done = subprocess.run([STUDY, "--data", path, "--schema", "rafter", "--split", "temporal", "--predictors", "mean", "--json", report],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        share = output.json.loads(report.read_text())["data"]["plausibility"]["share_below_floor"]
        steps = validate.Steps(path)
        below = sum(row["times"]["gpu_time_us"] < floor.weakest_floor_us(read_model(row["model"]), floor.device("h100"))
                    for row in steps.rows)
        self.assertGreater(below, 10)
        self.assertAlmostEqual(share, 100 * below / len(steps.rows), places=9)  # percent

    def test_a_file_that_rafter_study_refuses_is_refused_with_its_line(self):
        path = self.merged()
        path.write_text(path.read_text().replace(",h100,1,", ",abacus,1,"))
        with self.assertRaisesRegex(InputError, "rafter-study refuses it: .*abacus"):
            validate.study(STUDY, path)


if __name__ == "__main__":
    support.main("collect-files")
