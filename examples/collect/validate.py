"""Is a file of steps what it says? Format, counts, and the floor that no step can be below. Standard library only."""
import csv
import math
import statistics
import subprocess

import floor
from output import listed, read_text
from shard import InputError, one_line, read_model

TIMES = ("gpu_time_us", "wall_time_us", "interval_us")
TEXTS = ("experiment", "model", "workload", "hardware", "rig")
COUNTS = ("queue_running", "queue_waiting", "kv_blocks_total", "kv_blocks_free", "finished_requests", "preempted_requests")
KNOWN = set(TIMES + TEXTS + COUNTS + ("tp", "step_id", "start_ns", "new_tokens", "context_tokens", "phases", "kv_usage_ratio"))


class Steps:
    """A file that was read: comments, and a dict per row with lists and numbers."""

    def __init__(self, path):
        self.path, self.comments, self.rows = path, [], []
        lines = read_text(path).splitlines()
        while lines and lines[0].startswith("#"):
            self.comments.append(lines.pop(0)[1:].strip())
        skipped = len(self.comments)
        if not lines:
            raise InputError(f"{one_line(path)}:{skipped + 1}: empty file, expected a header line")
        header = next(csv.reader(lines[:1]))
        self._check_header(header, skipped + 1)
        ids = set()
        for number, fields in enumerate(csv.reader(lines[1:]), skipped + 2):
            if len(fields) != len(header):
                raise InputError(f"{one_line(path)}:{number}: {len(fields)} fields, expected {len(header)}")
            self.rows.append(self._row(dict(zip(header, fields)), number, ids))
        if not self.rows:
            raise InputError(f"{one_line(path)}:{skipped + 1}: header without rows")

    def _check_header(self, header, line):
        for name in header:
            if name not in KNOWN:
                raise InputError(f"{one_line(self.path)}:{line}: unknown column '{one_line(name)}'")
            if header.count(name) > 1:
                raise InputError(f"{one_line(self.path)}:{line}: column '{name}' is there twice")
        for name in ("model", "hardware", "tp", "new_tokens", "context_tokens"):
            if name not in header:
                raise InputError(f"{one_line(self.path)}:{line}: column '{name}' is missing")
        if not set(TIMES) & set(header):
            raise InputError(f"{one_line(self.path)}:{line}: no column of a time: {', '.join(TIMES)}")

    def _row(self, row, line, ids):
        def refuse(field, fact):
            raise InputError(f"{one_line(self.path)}:{line}: {field}: '{one_line(row.get(field, ''), 60)}' {fact}")
        for field in TEXTS:
            if field in row and not row[field].strip():
                refuse(field, "is empty")
        for field in COUNTS + ("tp", "step_id", "start_ns"):
            if field in row:
                if not (row[field].isascii() and row[field].isdigit()):
                    refuse(field, "is not a whole number")
                row[field] = int(row[field])
        if row["tp"] < 1:
            refuse("tp", "is not at least 1")
        given = {}
        for field in TIMES:
            if row.get(field):
                try:
                    value = float(row[field])
                except ValueError:
                    refuse(field, "is not a number")
                if not (math.isfinite(value) and value > 0):
                    refuse(field, "is not a positive time")
                given[field] = value
        if not given:
            raise InputError(f"{one_line(self.path)}:{line}: the step has no time")
        for field, whole in (("new_tokens", True), ("context_tokens", True), ("phases", False)):
            if field in row:
                try:
                    row[field + "_list"] = listed(row[field], whole)
                except ValueError as why:
                    refuse(field, f"is no list: {why}")
        new, context = row["new_tokens_list"], row["context_tokens_list"]
        phases = row.get("phases_list")
        if phases is None:
            phases = ["d" if n == 1 and c > 0 else "p" for n, c in zip(new, context)]
        if not len(new) == len(context) == len(phases):
            refuse("context_tokens", f"lists {len(context)} requests, new_tokens {len(new)}, phases {len(phases)}")
        if any(n < 1 for n in new):
            refuse("new_tokens", "has a request without a new token")
        if any(n != 1 for n, phase in zip(new, phases) if phase == "d"):
            refuse("new_tokens", "has a decode request with more than one new token")
        if "step_id" in row:
            key = (row.get("experiment", ""), row["step_id"])
            if key in ids:
                refuse("step_id", "was there before in the experiment")
            ids.add(key)
        row["requests"] = [(n, c, phase == "d") for n, c, phase in zip(new, context, phases)]
        row["times"] = given
        row["line"] = line
        return row


def audit(steps, bandwidth=None, tolerate=0):
    """-> (facts, faults). Facts: {experiment: {...}}; faults: lines, none of which a good measurement has.
    @param tolerate  rows that may be below the floor before it is a fault"""
    facts, faults = {}, []
    shards, below = {}, []
    if not any(comment.startswith("label source: measured") for comment in steps.comments):
        faults.append("no comment line says 'label source: measured ...'")
    for row in steps.rows:
        name = row.get("experiment") or row["model"]
        known = facts.setdefault(name, {"rows": 0, "distinct": set(), "ratios": [], "hardware": row["hardware"]})
        known["rows"] += 1
        known["distinct"].add(tuple(row["requests"]))
        key = (row["model"], row["tp"])
        if key not in shards:
            shard = read_model(row["model"])
            if shard.tp != row["tp"]:
                faults.append(f"line {row['line']}: tp {row['tp']}, but {row['model']} was collected with tp {shard.tp}")
            shards[key] = shard
        shard = shards[key]
        if any(n + c > shard.max_model_len for n, c, _ in row["requests"]):
            faults.append(f"line {row['line']}: a request is longer than {shard.max_model_len} tokens")
        if "kv_blocks_free" in row and "kv_blocks_total" in row and row["kv_blocks_free"] > row["kv_blocks_total"]:
            faults.append(f"line {row['line']}: more KV blocks are free than there are")
        on = floor.device(row["hardware"], bandwidth)
        least = floor.weakest_floor_us(shard, on) if row["requests"] else 0.0
        for target, time in row["times"].items():
            if time < least:
                below.append((time / least, row["line"], target, time, least))
        if "gpu_time_us" in row["times"] and least > 0:
            known["ratios"].append(row["times"]["gpu_time_us"] / least)
    below.sort()
    for ratio, line, target, time, least in below[:3] if len(below) > tolerate else []:
        faults.append(f"line {line}: {target} {time:g} us is {ratio:.2f} of the floor, {least:.1f} us: the weights cannot be "
                      "read so fast")
    if len(below) > max(3, tolerate):
        faults.append(f"{len(below)} times in all are below the floor")
    for known in facts.values():
        known["distinct"] = len(known["distinct"])
        ratios = known.pop("ratios")
        known["lowest_ratio"] = min(ratios) if ratios else None
        known["median_ratio"] = statistics.median(ratios) if ratios else None
    return facts, faults


def expect(facts, experiments, distinct):
    """Faults of a data set that should have so many experiments, with so many distinct steps each (None: any)."""
    faults = []
    if experiments is not None and len(facts) != experiments:
        faults.append(f"{len(facts)} experiments, expected {experiments}")
    for name, known in sorted(facts.items()):
        if distinct is not None and known["distinct"] < distinct:
            faults.append(f"{name}: {known['distinct']} distinct steps, expected {distinct}")
    return faults


def study(program, path, target="gpu_step_time"):
    """Runs rafter-study's reader and audit on the file. -> what it printed. @throws InputError with its one line"""
    try:
        done = subprocess.run([program, "--data", str(path), "--schema", "rafter", "--target", target, "--split", "temporal",
                               "--predictors", "mean,blackbox"], capture_output=True, text=True)
    except OSError as why:
        raise InputError(f"{one_line(program)}: cannot run: {why.strerror}") from None
    if done.returncode != 0:
        raise InputError(f"rafter-study refuses it: {one_line(done.stderr.strip(), 400)}")
    return done.stdout
