"""rafter-study as a user meets it: good files, bad files, wrong requests. Standard library only.

usage: rafter_study.py PROGRAM [--slowness FACTOR] [--xml REPORT] [unittest arguments]

Bad input must give exit status 2, nothing on standard output and one line on standard error that names the place and
the offending text. The external data (RAFTER_DATA, else ../shared/data) is used where it is there.
"""
import copy
import csv
import html.parser
import json
import math
import os
import pathlib
import pty
import random
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
import unicodedata
import unittest
import xml.etree.ElementTree

PROGRAM = ""
SLOWNESS = 1.0
VERSION = re.search(r'RAFTER_VERSION "(.*?)"', pathlib.Path(
    __file__).parents[2].joinpath("include/rafter/version.hpp").read_text()).group(1)


class Finished:
    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds


def study(*arguments, stdin=None):
    """Runs the program; seconds are of CPU, so that a busy machine does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode(), seconds)


class Table:
    """A file of steps that can be spoilt, and knows where its fields are."""

    def __init__(self, schema, header, rows, comments=()):
        self.schema, self.header, self.rows, self.comments = schema, list(header), rows, list(comments)

    def copy(self):
        return copy.deepcopy(self)

    def set(self, row, column, text):
        self.rows[row][self.header.index(column)] = str(text)
        return self

    def get(self, row, column):
        return self.rows[row][self.header.index(column)]

    def rename(self, column, name):
        self.header[self.header.index(column)] = name
        return self

    def drop(self, column):
        at = self.header.index(column)
        del self.header[at]
        for row in self.rows:
            del row[at]
        return self

    def add(self, column, value):
        self.header.append(column)
        for row in self.rows:
            row.append(value)
        return self

    def text(self, end="\n"):
        lines = ["# " + comment for comment in self.comments]
        lines += [",".join(row) for row in [self.header, *self.rows]]
        return end.join(lines) + end

    def line(self, row):
        return len(self.comments) + 2 + row

    def place(self, row, column):
        """'line:column' of a field, as an error must say it."""
        at = self.header.index(column)
        return f"{self.line(row)}:{len(','.join(self.rows[row][:at])) + (1 if at else 0) + 1}"


def blis_table(experiments=2, steps=10):
    header = ("experiment_id model workload tp step_id ts_start_ns ts_end_ns duration_us queue_running queue_waiting "
              "num_prefill_reqs num_decode_reqs scheduled_tokens prefill_tokens decode_tokens num_finished "
              "num_preempted kv_usage_ratio kv_blocks_total kv_blocks_free cycle_time_us").split()
    rows = []
    draw = random.Random(1)
    for experiment in range(experiments):
        model, tp = (("llama-2-70b", 4), ("codellama-34b", 2))[experiment % 2]
        clock = 10**15 + experiment * 10**9
        for step in range(steps):
            prefill, decode = draw.randrange(0, 3) * 100, draw.randrange(1, 40)
            duration = 12000 + 20 * prefill + 30 * decode + draw.randrange(200)
            free = 30000 - 10 * decode
            rows.append([f"run-{experiment}", model, ("general", "codegen")[experiment % 2], tp, 100 + step, clock,
                         clock + 1000 * duration, duration, decode, 0, prefill // 100, decode, prefill + decode, prefill,
                         decode, 0, 0, f"{1 - free / 31356:.6f}", 31356, free, ""])
            clock += 1000 * duration + 500000
    return Table("blis_steps", header, [[str(field) for field in row] for row in rows])


def kernel_table(models=("Llama-2-7b-hf", "Llama-2-70b-hf", "Mixtral-8x7B"), steps=12):
    header = ("hardware model tp workload gemm_source attn_source num_prefill_reqs prefill_tokens prefill_len "
              "prefill_kv num_decode_reqs decode_kv total_tokens decode_kv_sum gemm_us moe_us prefill_attn_us "
              "decode_attn_us other_us total_us allreduce_us gate_up").split()
    rows = []
    draw = random.Random(2)
    for number, model in enumerate(models):
        for step in range(steps):
            prefills, length, decodes, kv = draw.randrange(3), 128, draw.randrange(1, 30), draw.randrange(16, 900)
            gemm = 5000 * (number + 1) + 25 * (prefills * length + decodes)
            parts = [gemm, 0, 40 * prefills, decodes * kv // 50, 600]
            rows.append(["h100", model, 4, ("mixed", "chat")[step % 2], "rig-a", "rig-b", prefills, prefills * length,
                         length if prefills else 0, 0, decodes, kv, prefills * length + decodes, decodes * kv,
                         *parts, parts[0] + sum(parts[2:]), 0, "fused"])
    return Table("kernel_steps", header, [[str(field) for field in row] for row in rows])


def rafter_table(models=("llama-2-7b", "llama-2-70b", "mixtral-8x7b"), steps=12):
    header = "experiment model workload hardware tp step_id start_ns new_tokens context_tokens gpu_time_us".split()
    rows = []
    draw = random.Random(3)
    for number, model in enumerate(models):
        clock = 10**12
        for step in range(steps):
            decodes, prompt = draw.randrange(1, 20), draw.randrange(0, 3) * 64
            new = f"1*{decodes}" + (f";{prompt}" if prompt else "")
            past = ";".join([str(100 + i) for i in range(decodes)] + (["0"] if prompt else []))
            time = 9000 * (number + 1) + 20 * (prompt + decodes)
            rows.append([f"run-{number}", model, ("general", "codegen")[step % 2], "h100", 4, 7 + step, clock, new, past,
                         time])
            clock += 1000 * time + 300000
    return Table("rafter", header, [[str(field) for field in row] for row in rows],
                 comments=["label source: made up by a test"])


TABLES = {"blis_steps": blis_table, "kernel_steps": kernel_table, "rafter": rafter_table}
TIME = {"blis_steps": "duration_us", "kernel_steps": "gemm_us", "rafter": "gpu_time_us"}  # one where any size agrees
COUNT = {"blis_steps": "queue_running", "kernel_steps": "num_decode_reqs", "rafter": "step_id"}
PREDICTORS = ["mean", "blackbox", "blackbox_nnls", "blackbox_relative", "ridge30", "ridge_scale_free", "roofline0",
              "roofline9", "roofline9_study", "roofline16", "roofline16_study", "roofline18", "roofline18_study", "roofline36",
              "roofline36_study", "kernel9", "best", "pmnf", "per_op"]
TREES = {"kernel_steps": ["trees", "trees_study", "trees_identity", "trees_scale_free", "hybrid", "hybrid_monotone"],
         "blis_steps": ["trees", "trees_study", "trees_study_deep", "trees_identity", "hybrid"],
         "rafter": ["trees", "trees_study", "trees_identity", "trees_scale_free", "hybrid", "hybrid_monotone"]}
NEED_TABLES = {"blis_steps": ["per_op"], "rafter": ["per_op"], "kernel_steps": []}
PER_MODEL = ["roofline36", "roofline36_study"]  # nothing to say of a model never seen
NEED_LISTS = ["ridge_scale_free", "roofline0", "roofline9", "roofline16", "roofline18", "roofline36", "kernel9"]


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = self.folder / "steps.csv"

    def write(self, content, name="steps.csv"):
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def refused(self, done, pattern):
        """Exit status 2, silence on standard output, one line of at most 600 characters that matches `pattern`."""
        self.assertEqual(done.out, "")
        self.assertEqual(done.status, 2, done.err)
        self.assertTrue(done.err.endswith("\n"), done.err)
        self.assertEqual(done.err.count("\n"), 1, done.err)
        line = done.err[:-1]
        self.assertTrue(line.startswith("rafter-study: "), line)
        self.assertFalse([c for c in line if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")], ascii(line))
        self.assertLessEqual(len(line), 600)
        self.assertRegex(line, pattern)
        return line

    def refuses(self, table, pattern, *arguments):
        """`pattern` follows the file's path; '{}' in it stands for nothing else."""
        content = table.text() if isinstance(table, Table) else table
        schema = table.schema if isinstance(table, Table) else arguments[0]
        rest = arguments if isinstance(table, Table) else arguments[1:]
        path = self.write(content)
        done = study("--data", path, "--schema", schema, *rest)
        return self.refused(done, "^rafter-study: " + re.escape(str(path)) + pattern)

    def runs(self, *arguments, status=0):
        done = study(*arguments)
        self.assertEqual(done.err, "")
        self.assertEqual(done.status, status)
        return done.out

    def each_schema(self):
        for schema, make in TABLES.items():
            with self.subTest(schema=schema):
                yield make()


class Files(Case):
    def test_a_missing_file_is_named(self):
        for schema in TABLES:
            self.refused(study("--data", self.path, "--schema", schema),
                         re.escape(f"{self.path}: cannot open: No such file or directory"))

    def test_a_directory_is_no_file(self):
        for schema in TABLES:
            self.refused(study("--data", self.folder, "--schema", schema),
                         re.escape(f"{self.folder}: cannot read: Is a directory"))

    def test_an_empty_file_has_no_header(self):
        for schema in TABLES:
            with self.subTest(schema=schema):
                self.refuses("", r":1:1: empty file, expected a header line$", schema)
        self.refuses("# only a comment\n", r":2:1: empty file, expected a header line$", "rafter")

    def test_a_header_alone_has_no_steps(self):
        for table in self.each_schema():
            table.rows = []
            self.refuses(table, r":\d+:\d+: header without rows$")

    def test_a_row_cut_short_is_named(self):
        for table in self.each_schema():
            last = len(table.rows) - 1
            cut = ",".join(table.rows[last][:6])
            text = table.text()
            text = text[:text.rindex("\n", 0, -1) + 1] + cut
            self.refuses(text, rf":{table.line(last)}:{len(cut) + 1}: wrong number of fields: "
                         rf"expected {len(table.header)}, found 6$", table.schema)

    def test_a_quote_that_is_never_closed_is_named_where_it_opens(self):
        for table in self.each_schema():
            row = 4
            model = table.get(row, "model")
            table.set(row, "model", '"' + model)
            line = self.refuses(table, rf":{table.place(row, 'model')}: '\"{re.escape(model)}.*' opens a quote that is "
                                "never closed$")
            self.assertLess(len(line), 300)

    def test_a_blank_line_between_rows_is_named(self):
        for table in self.each_schema():
            lines = table.text().split("\n")
            at = len(table.comments) + 3
            lines.insert(at, "")
            self.refuses("\n".join(lines), rf":{at + 1}:1: blank line: expected {len(table.header)} fields$", table.schema)

    def test_crlf_and_a_byte_order_mark_change_nothing(self):
        for table in self.each_schema():
            reports = []
            for content in (table.text().encode(), table.text("\r\n").encode(), b"\xef\xbb\xbf" + table.text().encode()):
                path = self.write(content)
                reports.append(self.runs("--data", path, "--schema", table.schema))
            self.assertEqual(reports[0], reports[1])
            self.assertEqual(reports[0], reports[2])

    def test_nul_bytes_are_refused_where_they_are(self):
        for table in self.each_schema():
            table.set(2, "model", "lla\0ma")
            at = table.place(2, "model")
            line, column = at.split(":")
            self.refuses(table, rf":{line}:{int(column) + 3}: NUL byte: not a text file$")

    def test_binary_garbage_is_refused_on_one_line(self):
        draw = random.Random(4)
        for schema in TABLES:
            for size in (1, 100, 5000):
                for _ in range(10):
                    with self.subTest(schema=schema, size=size):
                        self.refuses(draw.randbytes(size), r":\d", schema)

    def test_a_data_file_can_come_through_a_pipe(self):
        table = kernel_table()
        report = self.folder / "report.json"
        done = study("--data", "/dev/stdin", "--schema", "kernel_steps", "--json", report, stdin=table.text().encode())
        self.assertEqual((done.status, done.err), (0, ""))
        self.assertEqual(json.loads(report.read_text())["data"]["rows"], len(table.rows))


class Columns(Case):
    def test_a_misspelt_column_names_the_nearest(self):
        for table, column, wrong in ((blis_table(), "prefill_tokens", "prefil_tokens"),
                                     (kernel_table(), "decode_kv_sum", "decode_kv_sums"),
                                     (rafter_table(), "new_tokens", "newtokens")):
            with self.subTest(schema=table.schema):
                table.rename(column, wrong)
                at = len(",".join(table.header[:table.header.index(wrong)])) + 2
                self.refuses(table, rf":{len(table.comments) + 1}:{at}: unexpected column '{wrong}'; "
                             rf"did you mean '{column}'\?$")

    def test_a_missing_column_is_named(self):
        for table in self.each_schema():
            table.drop("model")
            self.refuses(table, rf":{len(table.comments) + 1}: missing column 'model'")

    def test_a_missing_target_is_named(self):
        table = rafter_table()
        for column in ("gpu_time_us", "step_id"):
            table.drop(column)
        self.refuses(table, r":2: missing column 'gpu_time_us'")

    def test_a_column_given_twice_is_named(self):
        for table in self.each_schema():
            table.add("model", "x")
            self.refuses(table, rf":{len(table.comments) + 1}:\d+: column 'model' appears twice, first as column number "
                         rf"{table.header.index('model') + 1}$")

    def test_a_file_of_another_schema_is_refused(self):
        for table in self.each_schema():
            for other in TABLES:
                if other != table.schema:
                    self.refuses(table.text(), rf":\d.*column '", other)


class Fields(Case):
    def spoilt(self, column, text, fact, row=3):
        """For each schema: the field, spoilt, is named with line, column, field and text."""
        for table in self.each_schema():
            name = column[table.schema]
            table.set(row, name, text)
            shown = f"'{re.escape(text)}' " if text else ""
            self.refuses(table, rf":{table.place(row, name)}: field '{name}': {shown}{fact}")

    def test_nan_is_no_time(self):
        for text in ("nan", "NaN", "-nan"):
            self.spoilt({**TIME, "blis_steps": "kv_usage_ratio"}, text, "is not a finite number$")

    def test_infinity_is_no_time(self):
        for text in ("inf", "-inf", "Infinity"):
            self.spoilt({**TIME, "blis_steps": "kv_usage_ratio"}, text, "is not a finite number$")

    def test_a_time_is_not_negative(self):
        self.spoilt(TIME, "-5", "is negative$")

    def test_a_target_is_not_zero(self):
        self.spoilt({**TIME, "kernel_steps": "total_us"}, "0", "is not a time that a step can take$")

    def test_a_time_is_a_number(self):
        for text in ("fast", "12x", "1,2"[:1] + "_2", "0x10", "1e", "--1", "1.2.3"):
            self.spoilt(TIME, text, "is not an? (number|integer)")

    def test_blanks_around_a_number_are_named(self):
        self.spoilt(TIME, " 12", r"is not an? (number|integer) \(blanks around it\)$")

    def test_a_count_is_whole(self):
        for text in ("1.5", "3 ", "many", "1e3", "nan"):
            self.spoilt(COUNT, text, "is not an integer")

    def test_a_count_is_not_negative(self):
        self.spoilt(COUNT, "-1", "is negative$")

    def test_a_number_beyond_all_bounds_is_named(self):
        self.spoilt(COUNT, "9" * 30, "is outside the range of a 64-bit integer$")
        self.spoilt({**TIME, "blis_steps": "kv_usage_ratio"}, "1e999", "is outside the range of a double$")

    def test_a_blank_field_is_named(self):
        self.spoilt(COUNT, "", "is empty, expected an integer$")
        self.spoilt({schema: "model" for schema in TABLES}, "", "is empty, expected a text$")
        table = kernel_table().set(3, "total_us", "")
        self.refuses(table, rf":{table.place(3, 'total_us')}: field 'total_us': is empty, expected a number$")

    def test_a_step_without_any_time_is_named(self):
        table = rafter_table().drop("start_ns").set(3, "gpu_time_us", "")
        self.refuses(table, rf":{table.line(3)}:?.* the step has no time")

    def test_an_unknown_model_names_the_nearest(self):
        for table in self.each_schema():
            table.set(5, "model", "lama-2-70b")
            self.refuses(table, rf":{table.place(5, 'model')}: field 'model': 'lama-2-70b' is an unknown model; "
                         r"did you mean '[Ll]lama-2-70b.*'\?")

    def test_an_unknown_device_names_the_nearest(self):
        for table in (kernel_table(), rafter_table()):
            table.set(5, "hardware", "h10")
            self.refuses(table, rf":{table.place(5, 'hardware')}: field 'hardware': 'h10' is an unknown accelerator; "
                         r"did you mean 'H100 SXM5 80GB'\?")

    def test_ranks_divide_the_heads(self):
        for table in self.each_schema():
            table.set(5, "tp", "3")
            self.refuses(table, rf":{table.place(5, 'tp')}: field 'tp': '3' .*(head|divide)")

    def test_ranks_are_at_least_one(self):
        for table in self.each_schema():
            for text in ("0", "-1", "100000"):
                table.set(5, "tp", text)
                self.refuses(table, rf":{table.place(5, 'tp')}: field 'tp': '{text}' is not a number of tensor-parallel "
                             "ranks$")


class Rows(Case):
    def test_tokens_add_up(self):
        table = blis_table()
        total = int(table.get(3, "scheduled_tokens"))
        table.set(3, "scheduled_tokens", total + 1)
        self.refuses(table, rf":{table.place(3, 'scheduled_tokens')}: field 'scheduled_tokens': '{total + 1}' is not "
                     rf"prefill_tokens \+ decode_tokens = {total}$")
        table = kernel_table().set(3, "total_tokens", 1)
        self.refuses(table, rf":{table.place(3, 'total_tokens')}: field 'total_tokens': '1' is not prefill_tokens \+ "
                     "num_decode_reqs")
        table = kernel_table().set(3, "decode_kv_sum", 1)
        self.refuses(table, rf":{table.place(3, 'decode_kv_sum')}: field 'decode_kv_sum': '1' is not num_decode_reqs \* "
                     "decode_kv")
        table = rafter_table().set(3, "context_tokens", "1;2;3;4")
        new = table.get(3, "new_tokens")
        self.refuses(table.set(3, "new_tokens", "1*3"),
                     rf":{table.place(3, 'context_tokens')}: field 'context_tokens': '1;2;3;4' lists 4 requests but "
                     "new_tokens lists 3$")
        self.assertNotEqual(new, "1*3")

    def test_a_decode_request_has_one_token(self):
        table = blis_table()
        decode = int(table.get(3, "decode_tokens"))
        table.set(3, "decode_tokens", decode + 1)
        table.set(3, "scheduled_tokens", int(table.get(3, "scheduled_tokens")) + 1)
        self.refuses(table, rf":{table.line(3)}(:\d+)?: .*decode_tokens.*{decode + 1}.*{decode}")
        table = rafter_table().add("phases", "d")
        for row in range(len(table.rows)):
            table.set(row, "new_tokens", "1").set(row, "context_tokens", "5")
        table.set(3, "new_tokens", "2")
        self.refuses(table, rf":{table.line(3)}(:\d+)?: a decode request has 2 new tokens, not one$")

    def test_a_time_is_the_sum_of_its_parts(self):
        table = kernel_table().set(3, "total_us", "123456")
        self.refuses(table, rf":{table.place(3, 'total_us')}: field 'total_us': '123456' is not gemm_us \+ "
                     r"prefill_attn_us \+ decode_attn_us \+ other_us$")
        table = blis_table().set(3, "duration_us", "9")
        self.refuses(table, rf":{table.place(3, 'duration_us')}: field 'duration_us': '9' is not "
                     r"\(ts_end_ns - ts_start_ns\)/1000 = \d+ within 1$")

    def test_a_list_of_requests_is_checked_item_by_item(self):
        for column, text, fact in (("new_tokens", "1;x;3", "item 2 'x', which is not a whole number"),
                                   ("new_tokens", "1;-4", "item 2 '-4', which is negative"),
                                   ("new_tokens", "1*0", ""), ("new_tokens", "1*99999999", "1000000 requests"),
                                   ("new_tokens", "1;", "ends with a ';'"), ("new_tokens", ";1", "not a whole number"),
                                   ("context_tokens", "nan", "item 1 'nan', which is not a whole number")):
            with self.subTest(text=text):
                table = rafter_table().set(3, column, text)
                self.refuses(table, rf":{table.place(3, column)}: field '{column}': '{re.escape(text)}' .*{fact}")
        table = rafter_table().set(3, "new_tokens", "1;0").set(3, "context_tokens", "5;6")
        self.refuses(table, rf":{table.line(3)}(:\d+)?: a request of the step has no new token$")

    def test_a_step_id_occurs_once_in_an_experiment(self):
        for table, column in ((blis_table(), "step_id"), (rafter_table(), "step_id")):
            table.set(3, column, table.get(2, column))
            self.refuses(table, rf":{table.line(3)}(:\d+)?: .*step_id.*{table.get(2, column)}.* twice in experiment "
                         "'run-0'$")

    def test_step_ids_need_not_ascend(self):
        table = blis_table()
        table.rows[2], table.rows[3] = table.rows[3], table.rows[2]
        ordered, swapped = self.write(blis_table().text(), "a.csv"), self.write(table.text(), "b.csv")
        results = []
        for path in (ordered, swapped):
            report = self.folder / "report.json"
            # Trees that sample rows and searches over blocks of rows do depend on their order.
            steady = [one for one in PREDICTORS if one not in ("pmnf", "per_op")]
            self.runs("--data", path, "--schema", "blis_steps", "--json", report, "--predictors", ",".join(steady))
            results.append(json.loads(report.read_text())["results"])
        for a, b in zip(*results):
            self.assertAlmostEqual(a["mean_fold_mape"], b["mean_fold_mape"], places=6)


class Extremes(Case):
    """Hostile sizes are answered within two seconds of CPU, with a short message."""

    def quick(self, content, schema, pattern):
        path = self.write(content)
        done = study("--data", path, "--schema", schema)
        self.refused(done, "^rafter-study: " + re.escape(str(path)) + pattern)
        self.assertLess(done.seconds, 2.0 * SLOWNESS)

    def test_a_header_of_a_million_columns(self):
        header = ",".join(f"c{i}" for i in range(10**6)) + "\n1\n"
        for schema in TABLES:
            self.quick(header, schema, r":1:\d+: 1000000 columns exceed the limit of \d+$")

    def test_a_row_of_a_million_fields(self):
        for table in self.each_schema():
            self.quick(table.text() + "," * (10**6 - 1) + "\n", table.schema,
                       rf":{table.line(len(table.rows))}:\d+: wrong number of fields: expected {len(table.header)}, "
                       "found 1000000$")

    def test_a_field_of_a_hundred_megabytes(self):
        for table in self.each_schema():
            row = len(table.rows) - 1
            for text, shown in (("7" * 10**8, "7{60}"), ('"' + "x" * 10**8 + '"', '"x{59}')):
                table.set(row, "model", text)
                place = table.place(row, "model")
                self.quick(table.text(), table.schema, rf":{place}: '{shown}\.\.\.' begins a field longer than the limit of "
                           r"\d+ bytes$")

    def test_a_header_of_a_hundred_megabytes(self):
        self.quick("y" * 10**8, "rafter", r":1:1: 'y{60}\.\.\.' begins a field longer than the limit of \d+ bytes$")

    def test_a_hundred_megabytes_of_comment(self):
        self.quick("# " + "y" * 10**8 + "\n", "rafter", r":2:1: empty file")

    def test_a_long_name_is_shortened(self):
        name = "m" * 100000
        for table in self.each_schema():
            table.set(3, "model", name)
            self.quick(table.text(), table.schema, rf":{table.place(3, 'model')}: field 'model': 'm{{60}}\.\.\.' is an "
                       "unknown model")

    def test_a_long_column_name_is_shortened(self):
        for table in self.each_schema():
            table.add("c" * 100000, "1")
            self.quick(table.text(), table.schema, r":\d+:\d+: unexpected column 'c{60}\.\.\.'$")


class Requests(Case):
    def wrong(self, pattern, *arguments):
        return self.refused(study(*arguments), "^rafter-study: " + pattern)

    def test_unknown_names_are_answered_with_the_nearest(self):
        self.wrong(r"unknown split 'lomoo'; did you mean 'lomo'\? \(see --list\)$", "--split", "lomoo")
        self.wrong(r"unknown predictor 'ridge3'; did you mean 'ridge30'\? \(see --list\)$", "--predictors", "mean,ridge3")
        self.wrong(r"unknown target 'gpu_step_tim'; did you mean 'gpu_step_time'\? \(see --list\)$", "--target",
                   "gpu_step_tim")
        self.wrong(r"unknown schema 'raftr'; did you mean 'rafter'\? \(see --list\)$", "--schema", "raftr")
        self.wrong(r"unknown option '--jsn'; did you mean '--json'\? \(see --help\)$", "--jsn", "x")
        self.wrong(r"unknown option '--splt'; did you mean '--split'\?", "--splt=lomo")

    def test_a_target_may_be_misspelt_by_its_column_too(self):
        path = self.write(blis_table().text())
        self.wrong(r"unknown target 'durations_us'; did you mean 'duration_us'\?", "--data", path, "--schema",
                   "blis_steps", "--target", "durations_us")
        self.wrong(r"unknown target 'total_us' \(see --list\)$", "--data", path, "--schema", "blis_steps", "--target",
                   "total_us")

    def test_names_without_a_near_one_are_refused_all_the_same(self):
        self.wrong(r"unknown split 'zzzzzzzz' \(see --list\)$", "--split", "zzzzzzzz")
        self.wrong(r"unknown option '--zzzzzzzz' \(see --help\)$", "--zzzzzzzz")
        self.wrong(r"unexpected 'steps.csv' \(see --help\)$", "steps.csv")
        self.wrong(r"unknown split 'x\\x1b\[31m.*' \(see --list\)$", "--split", "x\x1b[31m" + "y" * 1000)

    def test_an_option_has_one_value(self):
        self.wrong(r"option --split needs a value", "--split")
        self.wrong(r"option --split is given more than once", "--split", "lomo", "--split", "lowo")
        self.wrong(r"option --data: an empty value", "--data", "")

    def test_wrong_requests_are_answered_before_the_file_is_read(self):
        self.wrong("unknown split", "--data", self.path, "--schema", "rafter", "--split", "lomoo")

    def test_options_that_need_or_exclude_each_other(self):
        path = self.write(kernel_table().text())
        self.wrong("--test needs --data$", "--test", path)
        self.wrong("--test and --split exclude each other$", "--data", path, "--schema", "kernel_steps", "--test", path,
                   "--split", "lomo")
        self.wrong(r"--data needs --schema \(rafter, kernel_steps or blis_steps\)$", "--data", path)
        self.wrong("--schema kernel_steps needs --data$", "--schema", "kernel_steps")
        self.wrong("--ablation and --errors-only exclude each other$", "--ablation", "--errors-only")
        self.wrong("--reference and --errors-only exclude each other$", "--reference", "mean", "--errors-only")
        self.wrong("unknown reference", "--predictors", "mean,blackbox", "--reference", "best")
        for threads in ("0", "-1", "two", "1.5", "100000"):
            self.wrong(f"--threads '{threads}' is not a number from 1 to 1024$", f"--threads={threads}")

    def test_the_tested_steps_are_those_asked_for(self):
        self.wrong(r"unknown set of steps 'decod'; did you mean 'decode'\? \(see --list\)$", "--tested", "decod")

    def test_a_split_by_time_needs_an_order(self):
        for split in ("temporal", "rolling_origin", "pooled_temporal", "lomo_x_temporal"):
            self.refuses(kernel_table(), r": .*needs steps in order of time; this dataset has no step ids$", "--split",
                         split)

    def test_a_split_by_a_group_needs_the_group(self):
        self.refuses(kernel_table(), r": split loeo: the data has no group 'experiment'$", "--split", "loeo")
        self.refuses(rafter_table().drop("workload"), r": split lowo: the data has no group 'workload'$", "--split",
                     "lowo")

    def test_leaving_one_model_out_needs_two(self):
        for make in (kernel_table, rafter_table):
            self.refuses(make(models=("llama-2-7b",)), r": lomo needs at least two models; this dataset has one: "
                         "'llama-2-7b'$", "--split", "lomo")

    def test_two_names_of_one_model_are_one_model(self):
        table = kernel_table(models=("Llama-2-70b-hf", "Llama-3.1-70B"))
        self.refuses(table, r": lomo needs at least two models; this dataset has one: 'Llama-2-70b-hf'$")

    def test_a_fold_without_rows_to_train_on_is_named(self):
        self.refuses(blis_table(steps=1), r": fold 'run-0' of temporal: too few steps \(1\), none is left to test on$")
        self.refuses(blis_table(steps=2), r": fold 'run-0' of temporal: too few steps \(2\)")
        table = blis_table(experiments=1, steps=3)
        self.refuses(table, r": .*rolling_origin.*", "--split", "rolling_origin")
        self.refuses(kernel_table(models=("Llama-2-7b-hf",), steps=2), r": .*k_fold.*", "--split", "k_fold")

    def test_a_file_that_cannot_be_written_is_named(self):
        for option in ("--json", "--markdown", "--html"):
            self.wrong(re.escape(f"{self.folder}/no/report: cannot open for writing: No such file or directory"), option,
                       self.folder / "no" / "report", "--predictors", "mean")
            self.wrong(re.escape(f"{self.folder}: cannot open for writing: Is a directory"), option, self.folder,
                       "--predictors", "mean")

    def test_a_file_that_cannot_be_written_is_named_before_anything_is_done(self):
        kept, fresh, link = self.folder / "kept.md", self.folder / "fresh.html", self.folder / "link.json"
        kept.write_text("kept")
        link.symlink_to(self.folder / "target.json")
        bad = kernel_table().set(3, "total_us", "nan")
        data = self.write(bad.text(), "data.csv")
        self.wrong(re.escape(f"{self.folder}/no/stem.npy: cannot open for writing: No such file or directory"),
                   "--data", data, "--schema", "kernel_steps", "--npy", self.folder / "no" / "stem", "--markdown", kept,
                   "--html", fresh, "--json", link)
        for report in ("--json", "--markdown", "--html"):  # what is wrong with the data changes no file either
            for path in (kept, fresh, link):
                self.wrong(re.escape(f"{data}:"), "--data", data, "--schema", "kernel_steps", report, path)
        self.assertEqual(kept.read_text(), "kept")
        self.assertTrue(link.is_symlink())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["data.csv", "kept.md", "link.json"])
        if os.geteuid() != 0:
            kept.chmod(0o444)
            self.wrong(re.escape(f"{kept}: cannot open for writing: Permission denied"), "--html", kept)

    def test_one_file_by_two_names_is_refused(self):
        (self.folder / "sub").mkdir()
        (self.folder / "here").symlink_to(self.folder, target_is_directory=True)
        report = self.folder / "report"
        for other in (f"{self.folder}/./report", f"{self.folder}/sub/../report", f"{self.folder}/here/report",
                      os.path.relpath(report)):
            self.wrong("two reports cannot be written to one file, " + re.escape(other), "--json", report, "--html", other)
        report.write_text("kept")
        os.link(report, self.folder / "hard")
        self.wrong("two reports cannot be written to one file", "--json", report, "--html", self.folder / "hard")
        data = self.write(kernel_table().text(), "data.csv")
        self.wrong("a report cannot be written to a file that is read, .*data.csv", "--data", data, "--schema",
                   "kernel_steps", "--json", f"{self.folder}/here/data.csv")
        self.assertEqual(report.read_text(), "kept")

    def test_a_full_disk_is_no_success(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("/dev/full: not on this system")
        done = subprocess.run([PROGRAM, "--predictors", "mean"], stdout=open("/dev/full", "wb"), stderr=subprocess.PIPE,
                              timeout=600)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr.decode(),
                         "rafter-study: cannot write to standard output: No space left on device\n")

    def test_a_test_file_is_checked_like_the_data(self):
        data = self.write(kernel_table().text(), "data.csv")
        table = kernel_table().set(3, "total_us", "nan")
        test = self.write(table.text(), "test.csv")
        self.wrong(re.escape(str(test)) + rf":{table.place(3, 'total_us')}: field 'total_us': 'nan' is not a finite",
                   "--data", data, "--schema", "kernel_steps", "--test", test)
        self.wrong(re.escape(str(self.folder / "no.csv")) + ": cannot open", "--data", data, "--schema", "kernel_steps",
                   "--test", self.folder / "no.csv")

    def test_a_target_that_no_row_has_is_named(self):
        table = blis_table()
        for row in range(len(table.rows)):
            table.set(row, "step_id", 10 * row)
        self.refuses(table, r": no row has a (interval_us|step_interval)", "--target", "interval_us")


class Page(html.parser.HTMLParser):
    def __init__(self, test):
        super().__init__()
        self.test, self.open, self.text, self.seen = test, [], "", set()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.test.assertNotIn(tag, ("script", "link", "img", "iframe"))
        if tag not in ("meta", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.test.assertEqual(self.open.pop(), tag)

    def handle_data(self, text):
        self.text += text


class Reports(Case):
    def check_number(self, value, low=None, high=None):
        if value is None:
            return
        self.assertIsInstance(value, (int, float))
        self.assertTrue(math.isfinite(value))
        if low is not None:
            self.assertGreaterEqual(value, low)
        if high is not None:
            self.assertLessEqual(value, high)

    def check_report(self, report, schema, rows):
        """The shape that DESIGN gives the JSON file."""
        self.assertLessEqual({"data", "split", "target", "results"}, set(report))
        data = report["data"]
        self.assertIsInstance(data["path"], str)
        self.assertEqual(data["schema"], schema)
        self.assertEqual(data["rows"], rows)
        self.assertRegex(data["sha256"], "^[0-9a-f]{64}$")
        self.assertIsInstance(data["plausibility"]["audited"], bool)
        self.check_number(data["plausibility"]["share_below_floor"], 0, 100)
        self.assertIsInstance(report["split"], str)
        self.assertIsInstance(report["target"], str)
        for result in report["results"]:
            self.assertIn(result["predictor"], PREDICTORS + TREES[schema])
            for key in ("parameters", "identifiable"):
                self.assertIsInstance(result[key], int)
            self.assertLessEqual(result["identifiable"], result["parameters"])
            self.assertTrue(result["folds"])
            for fold in result["folds"]:
                self.assertIsInstance(fold["held_out"], str)
                self.assertIsInstance(fold["rows"], int)
                self.assertGreater(fold["rows"], 0)
                for key in ("mape", "median_ape", "p90_ape", "p99_ape"):
                    self.check_number(fold[key], 0)
                self.assertLessEqual(fold["median_ape"], fold["p90_ape"])
                self.assertLessEqual(fold["p90_ape"], fold["p99_ape"])
                self.check_number(fold["mspe_signed"])
                self.assertLessEqual(abs(fold["mspe_signed"]), fold["mape"] * (1 + 1e-12))
                self.check_number(fold["share_above_50"], 0, 100)
                self.check_number(fold["pearson_r"], -1.0000001, 1.0000001)
            mapes = sorted(fold["mape"] for fold in result["folds"])
            half = len(mapes) // 2
            self.assertEqual(result["worst_fold_mape"], mapes[-1])
            self.assertAlmostEqual(result["mean_fold_mape"], sum(mapes) / len(mapes), places=9)
            self.assertAlmostEqual(result["median_fold_mape"], (mapes[half] + mapes[-half - 1]) / 2, places=9)

    def report(self, *arguments):
        path = self.folder / "report.json"
        self.runs(*arguments, "--json", path)
        return json.loads(path.read_text(), parse_constant=lambda word: self.fail("JSON holds " + word))

    def result(self, report, predictor):
        return next(one for one in report["results"] if one["predictor"] == predictor)

    def test_each_schema_gives_a_report_of_the_agreed_shape(self):
        for table in self.each_schema():
            path = self.write(table.text())
            report = self.report("--data", path, "--schema", table.schema)
            self.check_report(report, table.schema, len(table.rows))
            self.assertEqual(report["data"]["path"], str(path))
            evaluated = [one["predictor"] for one in report["results"]]
            refused = [one["predictor"] for one in report["not_evaluated"]]
            tables = NEED_TABLES[table.schema]
            self.assertEqual(sorted(evaluated + refused), sorted(PREDICTORS + TREES[table.schema]))
            self.assertEqual(refused, (NEED_LISTS if table.schema == "blis_steps" else PER_MODEL) + tables)
            for one in report["not_evaluated"]:
                if one["predictor"] in tables:
                    self.assertIn("--tables", one["reason"])

    def test_the_embedded_data_is_studied_without_a_file(self):
        report = self.report()
        self.check_report(report, "rafter", 6400)
        self.assertEqual(report["split"], "lomo")
        self.assertTrue(any("generated" in note for note in report["notes"]))

    def test_the_sha256_is_that_of_the_file(self):
        import hashlib
        path = self.write(rafter_table().text())
        report = self.report("--data", path, "--schema", "rafter")
        self.assertEqual(report["data"]["sha256"], hashlib.sha256(path.read_bytes()).hexdigest())

    def test_percentages_are_numbers_and_means_agree_with_a_second_computation(self):
        table = rafter_table()
        report = self.report("--data", self.write(table.text()), "--schema", "rafter", "--predictors", "mean", "--split",
                             "loeo")
        times = {}
        for row in range(len(table.rows)):
            times.setdefault(table.get(row, "experiment"), []).append(float(table.get(row, "gpu_time_us")))
        for fold in self.result(report, "mean")["folds"]:
            train = [time for run, list_ in times.items() if run != fold["held_out"] for time in list_]
            mean = sum(train) / len(train)
            test = times[fold["held_out"]]
            self.assertAlmostEqual(fold["mape"], 100 * sum(abs(mean - t) / t for t in test) / len(test), places=8)
            self.assertAlmostEqual(fold["mspe_signed"], 100 * sum((mean - t) / t for t in test) / len(test), places=8)

    def test_undefined_values_are_null(self):
        report = self.report("--predictors", "mean", "--split", "temporal")
        for fold in self.result(report, "mean")["folds"]:
            self.assertIsNone(fold["pearson_r"])  # the prediction is constant
            self.assertIsNotNone(fold["mape"])

    def test_all_files_of_a_report_are_there_and_the_same_twice(self):
        for table in self.each_schema():
            path = self.write(table.text())
            runs = []
            for name in ("one", "two"):
                files = [self.folder / f"{name}.{kind}" for kind in ("json", "md", "html")]
                out = self.runs("--data", path, "--schema", table.schema, "--json", files[0], "--markdown", files[1],
                                "--html", files[2])
                runs.append([out] + [file.read_bytes() for file in files])
            self.assertEqual(*runs)
            self.assertTrue(runs[0][2].startswith(b"# "))

    def test_results_do_not_depend_on_threads(self):
        runs = []
        for threads in ("1", "3"):
            file = self.folder / f"{threads}.json"
            out = self.runs("--predictors", "best,ridge30,hybrid,trees", "--threads", threads, "--json", file)
            runs.append((out, file.read_bytes()))
        self.assertEqual(*runs)

    def test_the_whole_report_has_its_sections_and_errors_only_has_none(self):
        asked = ["--predictors", "blackbox,best,roofline9,trees"]
        sections = {one["id"]: one for one in self.report(*asked)["sections"]}
        self.assertLessEqual({"hypotheses", "uncertainty", "breakdown", "extreme-errors", "error-over-time", "monotonicity",
                              "hardware-sensitivity", "overlap-audit", "tuning", "prediction-intervals", "importance",
                              "learning-curve", "roofline", "folds"}, set(sections))
        self.assertEqual(self.report(*asked, "--errors-only")["sections"], [])

    def test_the_reference_is_the_one_that_was_named(self):
        asked = ["--predictors", "blackbox,best,roofline9"]
        for reference in ("blackbox", "roofline9"):
            report = self.report(*asked, "--reference", reference)
            section = next(one for one in report["sections"] if one["id"] == "uncertainty")
            tables = [block for block in section["blocks"] if block.get("type") == "table"]
            self.assertTrue(any(f"against {reference}" in str(table) for table in tables), tables)
            self.assertFalse(any("picked by" in str(table) for table in tables))

    def test_ablation_is_there_when_it_is_asked_for(self):
        ids = lambda *more: [one["id"] for one in self.report("--predictors", "ridge_scale_free", *more)["sections"]]
        self.assertNotIn("ablation", ids())
        self.assertIn("ablation", ids("--ablation"))

    def test_markdown_tables_are_rectangular(self):
        path = self.folder / "report.md"
        self.runs("--markdown", path)
        table = []
        tables = 0
        for line in path.read_text().splitlines() + [""]:
            if line.startswith("|"):
                table.append(len(re.findall(r"(?<!\\)\|", line)))
            elif table:
                tables += 1
                self.assertEqual(len(set(table)), 1, line)
                table = []
        self.assertGreaterEqual(tables, 2 + len(PREDICTORS) - 1)  # per_op has no tables here

    def test_the_page_is_well_formed_and_escapes_what_it_shows(self):
        table = rafter_table()
        for row in range(12):
            table.set(row, "experiment", "<script>alert(1)</script>&amp;")
        path = self.folder / "report.html"
        self.runs("--data", self.write(table.text(), "a&b<i>.csv"), "--schema", "rafter", "--split", "loeo", "--html", path)
        page = Page(self)
        page.feed(path.read_text())
        page.close()
        self.assertEqual(page.open, [])
        self.assertIn("<script>alert(1)</script>&amp;", page.text)
        self.assertIn("a&b<i>.csv", page.text)
        self.assertIn("table", page.seen)

    def test_markdown_escapes_what_it_shows(self):
        table = rafter_table()
        for row in range(12):
            table.set(row, "experiment", "a|b")
        path = self.folder / "report.md"
        self.runs("--data", self.write(table.text()), "--schema", "rafter", "--split", "loeo", "--markdown", path)
        self.assertIn("a\\|b", path.read_text())

    def test_the_report_of_an_odd_label_is_json_and_stays_on_its_lines(self):
        table = rafter_table()
        for row in range(12):
            table.set(row, "experiment", '"a""b\n\x1b[31m\tc"')
        report = self.folder / "report.json"
        out = self.runs("--data", self.write(table.text()), "--schema", "rafter", "--split", "loeo", "--json", report,
                        "--predictors", "mean")
        self.assertIn('a"b\n\x1b[31m\tc', [f["held_out"] for f in json.loads(report.read_text())["results"][0]["folds"]])
        self.assertNotIn("\x1b", out)

    def test_a_label_that_is_not_utf_8_does_not_stop_the_report(self):
        table = rafter_table()
        content = table.text().encode().replace(b"run-0", b"run\xff0")
        path = self.write(content)
        files = [self.folder / name for name in ("r.json", "r.md", "r.html")]
        done = study("--data", path, "--schema", "rafter", "--json", files[0], "--markdown", files[1], "--html", files[2])
        self.assertEqual((done.status, done.err), (0, ""))
        json.loads(files[0].read_text("utf-8"))

    def test_the_worst_fold_stands_before_the_mean(self):
        out = self.runs()
        header = next(line for line in out.splitlines() if line.split()[:1] == ["predictor"])
        self.assertLess(header.index("worst fold"), header.index("mean"))
        self.assertLess(out.index("PLAUSIBILITY"), out.index("RESULTS"))

    def test_another_file_can_be_the_test(self):
        for table in self.each_schema():
            text = table.text()
            data = self.write(text, "data.csv")
            test = self.write(text[:text.rstrip("\n").rindex("\n") + 1], "test.csv")  # all rows but the last
            report = self.report("--data", data, "--schema", table.schema, "--test", test)
            self.check_report(report, table.schema, len(table.rows))
            self.assertEqual(report["data"]["test"]["path"], str(test))
            self.assertEqual(report["data"]["test"]["rows"], len(table.rows) - 1)
            self.assertTrue(report["data"]["test"]["plausibility"]["audited"])
            for result in report["results"]:
                self.assertEqual([fold["held_out"] for fold in result["folds"]], [str(test)])
                self.assertEqual(result["folds"][0]["rows"], len(table.rows) - 1)

    def test_the_training_file_is_no_test_file(self):
        for table in self.each_schema():
            data, test = self.write(table.text(), "data.csv"), self.write(table.text(), "test.csv")
            self.refused(study("--data", data, "--schema", table.schema, "--test", test), "holds the same steps as --data")

    def test_a_predictor_named_twice_and_one_file_for_two_reports_are_refused(self):
        self.refused(study("--predictors", "mean,mean"), "predictor 'mean' is named twice")
        self.refused(study("--json", "x", "--markdown", "x"), "two reports cannot be written to one file, x")
        self.refused(study("--json", "x.json", "--npy", "x"), "two reports cannot be written to one file, x.json")

    def test_arrays_have_the_shape_of_their_names(self):
        stem, report = self.folder / "arrays", self.folder / "report.json"
        self.runs("--predictors", "mean,blackbox", "--npy", stem, "--json", report)
        report = json.loads(report.read_text())
        for name, axes in (("arrays", ["predictor", "fold", "metric"]), ("arrays_predictions", ["column", "entry"])):
            names = json.loads((self.folder / (name + ".json")).read_text())
            self.assertEqual([axis["name"] for axis in names["axes"]], axes)
            sizes = [axis["size"] for axis in names["axes"]]
            content = (self.folder / (name + ".npy")).read_bytes()
            self.assertIn(f"({', '.join(map(str, sizes))})".encode(), content[:128])
            self.assertEqual(len(content) - 8 * math.prod(sizes), 128)
            for axis in names["axes"]:
                self.assertEqual(len(axis.get("labels", [])) or axis["size"], axis["size"])
        self.assertEqual(names["axes"][0]["labels"], ["fold", "row", "actual", "mean", "blackbox"])
        self.assertEqual(names["folds"], [fold["held_out"] for fold in report["results"][0]["folds"]])
        self.assertEqual(sizes[1], report["data"]["rows"])

    def test_text_fits_a_hundred_columns_without_colours(self):
        for table in self.each_schema():
            out = self.runs("--data", self.write(table.text()), "--schema", table.schema)
            self.assertLessEqual(max(map(len, out.splitlines())), 100)
            self.assertNotIn("\x1b", out)

    def shown_on(self, master):
        """What a terminal shows until the program that writes to it ends."""
        shown = b""
        while select.select([master], [], [], 120)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            shown += piece
        os.close(master)
        return shown

    def test_colours_are_for_terminals_that_want_them(self):
        for settings, expected in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
            master, slave = pty.openpty()
            environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
            program = subprocess.Popen([PROGRAM, "--predictors", "mean"], stdout=slave, stderr=subprocess.DEVNULL,
                                       env={**environment, **settings})
            os.close(slave)
            shown = self.shown_on(master)
            self.assertEqual(program.wait(), 0)
            self.assertEqual(b"\x1b[32m  plausible" in shown, expected, shown[:600])

    def test_every_split_runs_where_the_data_allows_it(self):
        splits = re.search("^splits: (.*)$", self.runs("--list"), re.M).group(1).split(", ")
        self.assertEqual(len(splits), 14)
        for split in splits:
            with self.subTest(split=split):
                if split == "loho":
                    self.refused(study("--split", split), "loho needs at least two kinds of hardware; this dataset has one")
                    continue
                if split == "whole_measurements":
                    self.refused(study("--split", split), "the data has no group 'gemm_measurement'")
                    continue
                report = self.report("--split", split, "--predictors", "mean,ridge30,best,trees,pmnf")
                self.check_report(report, "rafter", 6400)
                self.assertEqual(report["split"], split)

    def test_help_list_and_version_succeed(self):
        self.assertEqual(self.runs("--version").strip(), VERSION)
        for option in ("--data", "--schema", "--target", "--split", "--predictors", "--test", "--tables", "--json", "--markdown",
                       "--html", "--npy", "--list"):
            self.assertIn(option, self.runs("--help"))
        listed = self.runs("--list")
        for name in ("rafter", "kernel_steps", "blis_steps", "lomo", "temporal", "gpu_step_time (total_us or gpu_time_us)",
                     "logged_duration (duration_us)", *PREDICTORS):
            self.assertIn(name, listed)

    def test_progress_is_for_terminals_only(self):
        self.assertEqual(study().err, "")
        master, slave = pty.openpty()
        program = subprocess.Popen([PROGRAM], stdout=subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        shown = self.shown_on(master)
        self.assertEqual(program.wait(), 0)
        self.assertRegex(shown, rb"\rblackbox, worst so far [0-9.]+ % +\[=+")  # early answers
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown[-80:])
        self.assertNotIn(b"\n", shown)


class ExternalData(Case):
    """The figures of the data sets that stand beside the repository."""

    def setUp(self):
        super().setUp()
        self.data = pathlib.Path(os.environ.get("RAFTER_DATA", "../shared/data"))

    def need(self, path):
        path = self.data / path
        if not path.exists():
            self.skipTest(f"{path}: absent (RAFTER_DATA)")
        return path

    report = Reports.report
    result = Reports.result
    check_report = Reports.check_report
    check_number = Reports.check_number

    def blis(self):
        with open(self.need("blis_steps/steps.csv"), newline="") as file:
            return list(csv.DictReader(file))

    def test_blis_durations_give_the_studys_figures_and_an_implausible_target(self):
        path = self.need("blis_steps/steps.csv")
        report = self.report("--data", path, "--schema", "blis_steps", "--target", "duration_us", "--split", "temporal")
        self.check_report(report, "blis_steps", 20112)
        self.assertEqual(report["target"], "duration_us")
        folds = {fold["held_out"]: fold["mape"] for fold in self.result(report, "blackbox")["folds"]}
        expected = {"20260217-202857-llama-2-70b-tp4-general": 61.154178,
                    "20260217-203421-llama-2-70b-hf-tp4-codegen": 90.758319,
                    "20260218-150304-codellama-34b-tp2-general": 151.062705}
        self.assertEqual(set(folds), set(expected))
        for name, mape in expected.items():
            self.assertAlmostEqual(folds[name], mape, delta=5e-7)
        self.assertIn("IMPLAUSIBLE", report["data"]["plausibility"]["verdict"])
        self.assertGreater(report["data"]["plausibility"]["share_below_floor"], 90)

    def test_blis_intervals_are_plausible_and_divided_in_time(self):
        steps = {}
        for row in self.blis():
            steps.setdefault(row["experiment_id"], set()).add(int(row["step_id"]))
        path = self.need("blis_steps/steps.csv")
        report = self.report("--data", path, "--schema", "blis_steps", "--target", "interval_us", "--split", "temporal")
        self.assertIn("plausible", report["data"]["plausibility"]["verdict"])
        self.assertNotIn("IMPLAUSIBLE", report["data"]["plausibility"]["verdict"])
        self.assertLessEqual(report["data"]["plausibility"]["share_below_floor"], 1)
        folds = {fold["held_out"]: fold for fold in self.result(report, "blackbox")["folds"]}
        self.assertEqual(set(folds), set(steps))
        total = 0
        for name, ids in steps.items():
            rows = sum(1 for step in ids if step + 1 in ids)
            total += rows
            self.assertEqual(folds[name]["rows"], rows - round(0.6 * rows) - round(0.2 * rows))
        self.assertEqual(report["data"]["rows"], total)

    def groups(self, name, column):
        with open(self.need("kernel_steps/" + name), newline="") as file:
            counts = {}
            for row in csv.DictReader(file):
                counts[row[column]] = counts.get(row[column], 0) + 1
            return counts

    def test_kernel_steps_give_every_fold_of_every_split(self):
        path = self.need("kernel_steps/steps.csv")
        models = self.groups("steps.csv", "model")
        workloads = self.groups("steps.csv", "workload")
        quick = ["mean", "blackbox", "ridge30", "kernel9", "best", "trees"]
        for split in ("lomo", "lowo", "leave_one_attention_shape_out"):
            with self.subTest(split=split):
                asked = [] if split == "lomo" else ["--errors-only", "--predictors", ",".join(quick)]
                began = time.monotonic()
                report = self.report("--data", path, "--schema", "kernel_steps", "--split", split, *asked)
                if split == "lomo":  # 29 predictors on 14 folds
                    self.assertLess(time.monotonic() - began, 400 * SLOWNESS)
                self.check_report(report, "kernel_steps", 48028)
                expected = quick if asked else [one for one in PREDICTORS + TREES["kernel_steps"] if one not in PER_MODEL]
                self.assertEqual([one["predictor"] for one in report["results"]], expected)
                for result in report["results"]:
                    rows = {fold["held_out"]: fold["rows"] for fold in result["folds"]}
                    self.assertEqual(sum(rows.values()), 48028)
                    if split == "lowo":
                        self.assertEqual(rows, workloads)
                    if split == "lomo":
                        aliases = {m.group(1): m.group(2) for m in (re.fullmatch(r"model '(.*)' counts as '(.*)'", note)
                                                                    for note in report["notes"]) if m}
                        merged = {}
                        for model, count in models.items():
                            model = aliases.get(model, model)
                            merged[model] = merged.get(model, 0) + count
                        self.assertEqual(rows, merged)

    def test_kernel_steps_of_one_device_are_tested_on_another(self):
        data, test = self.need("kernel_steps/steps.csv"), self.need("kernel_steps/steps_h200.csv")
        report = self.report("--data", data, "--schema", "kernel_steps", "--test", test, "--predictors",
                             "mean,ridge30,best,hybrid,per_op")
        self.check_report(report, "kernel_steps", 48028)
        for result in report["results"]:
            self.assertEqual([(fold["held_out"], fold["rows"]) for fold in result["folds"]], [(str(test), 14826)])


class Recorder(unittest.TextTestResult):
    """Keeps the verdict on each test, for a report like GoogleTest's."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.verdicts = {}

    def startTest(self, test):
        super().startTest(test)
        self.verdicts[test.id()] = ""

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.verdicts[test.id()] = "failure"

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.verdicts[test.id()] = "failure"

    def addError(self, test, error):
        super().addError(test, error)
        self.verdicts[test.id()] = "failure"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {test.id().rsplit('.', 1)[1]}: {reason}", file=sys.stderr)
        self.verdicts[test.id()] = "skipped"

    def write(self, path, program="rafter-study"):
        suite = xml.etree.ElementTree.Element("testsuite", name=program)
        for name, verdict in self.verdicts.items():
            case = xml.etree.ElementTree.SubElement(suite, "testcase", name=name.rsplit(".", 1)[1],
                                                    classname=name.split(".")[-2])
            if verdict:
                xml.etree.ElementTree.SubElement(case, verdict)
        path.parent.mkdir(parents=True, exist_ok=True)
        xml.etree.ElementTree.ElementTree(suite).write(path)


def main():
    global PROGRAM, SLOWNESS
    arguments = sys.argv[1:]
    if not arguments:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(arguments.pop(0))
    report = None
    while arguments[:1] in (["--slowness"], ["--xml"]):
        option, value, *arguments = arguments
        if option == "--slowness":
            SLOWNESS = float(value)
        else:
            report = pathlib.Path(value)
    done = unittest.main(argv=[sys.argv[0], *arguments], exit=False,
                         testRunner=unittest.TextTestRunner(resultclass=Recorder)).result
    if report is not None:
        done.write(report)
    sys.exit(0 if done.wasSuccessful() and done.testsRun > 0 else 1)


if __name__ == "__main__":
    main()
