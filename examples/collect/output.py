"""Files: rafter's format of steps (docs/io/rafter_steps.md), and the parts that a run writes. Standard library only.

A part is `part-NNN.jsonl.gz`: JSON lines, first the settings and the machine, then one line per chunk of steps. Each line is a
gzip member of its own, written and synced whole, so that a killed run loses the chunk in progress and nothing else.
"""
import csv
import gzip
import io
import json
import math
import os
import pathlib
import statistics
import zlib

from shard import InputError, one_line

MOST_PART_BYTES = 15 * 2**20  # a part ends here: files stay under 16 MiB
METHODS = ("device", "torch", "attention", "experts", "elementwise", "graphs")  # the same in all parts
HEADER = ("experiment", "model", "workload", "hardware", "tp", "rig", "step_id", "new_tokens", "context_tokens", "phases",
          "queue_running", "queue_waiting", "kv_blocks_total", "kv_blocks_free", "preempted_requests", "gpu_time_us",
          "wall_time_us", "interval_us")
REPETITIONS = ("experiment", "step_id", "repetition", "launch", "start_ns", "gpu_time_us", "wall_time_us", "interval_us")


def run_lengths(items):
    """[1, 1, 1, 512] -> '1*3;512'"""
    out = []
    for item in items:
        if out and out[-1][0] == item:
            out[-1][1] += 1
        else:
            out.append([item, 1])
    return ";".join(str(item) if count == 1 else f"{item}*{count}" for item, count in out)


def listed(text, whole=True):
    """'1*3;512' -> [1, 1, 1, 512]. @throws ValueError with what is wrong"""
    items = []
    if text == "":
        return items
    for number, part in enumerate(text.split(";"), 1):
        item, star, count = part.partition("*")
        if star and not (count.isascii() and count.isdigit() and int(count) >= 1):
            raise ValueError(f"item {number} '{one_line(part)}' repeats a number of times that is not a whole number")
        if whole and not (item.isascii() and item.isdigit()):
            raise ValueError(f"item {number} '{one_line(part)}' is not a whole number")
        if not whole and item not in ("d", "p"):
            raise ValueError(f"item {number} '{one_line(part)}' is neither d nor p")
        times = int(count) if star else 1
        if len(items) + times > 1000000:
            raise ValueError("has more than 1,000,000 requests")
        items.extend([int(item) if whole else item] * times)
    return items


def microseconds(value):
    """At most 2 decimals: events resolve about half a microsecond."""
    if value is None:
        return ""
    if not (math.isfinite(value) and round(value, 2) > 0):
        raise InputError(f"a time of {value} us is not positive")
    return f"{value:.2f}".rstrip("0").rstrip(".")


def step_record(requests, step, times):
    """What a part keeps of a step. `requests` in the order measured, `times`: see timing.Times."""
    return {"new": run_lengths([n for n, _, _ in requests]), "context": run_lengths([c for _, c, _ in requests]),
            "phases": run_lengths(["d" if d else "p" for _, _, d in requests]), "running": step.running,
            "waiting": step.waiting, "free": step.blocks_free, "preempted": len(step.preempted), **times}


class Part:
    """A part that is being written. @throws InputError when the folder cannot be written"""

    def __init__(self, folder, number, first):
        self.folder, self.number, self.first, self.file = pathlib.Path(folder), number, first, None
        self._open()

    def _open(self):
        path = self.folder / f"part-{self.number:03d}.jsonl.gz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.file = open(path, "xb")
        except OSError as why:
            raise InputError(f"{one_line(path)}: cannot write: {why.strerror}") from None
        self._put(self.first)

    def _put(self, record):
        self.file.write(gzip.compress((json.dumps(record, separators=(",", ":")) + "\n").encode(), mtime=0))
        self.file.flush()
        os.fsync(self.file.fileno())

    def write(self, record):
        if self.file.tell() >= MOST_PART_BYTES:
            self.close()
            self.number += 1
            self._open()
        self._put(record)

    def close(self):
        self.file.close()


def members(data, path):
    """The JSON objects of a part; one that was cut off at the end of the file is left out."""
    at = 0
    while at < len(data):
        unpack = zlib.decompressobj(wbits=31)
        try:
            text = unpack.decompress(data[at:])
            if not unpack.eof:
                return  # cut off
            yield json.loads(text)
        except (zlib.error, ValueError) as why:
            raise InputError(f"{one_line(path)}: byte {at}: {one_line(why)}") from None
        at = len(data) - len(unpack.unused_data)


def other_method(machines, machine):
    """What is measured otherwise than in the parts before, in words; None: nothing"""
    for field in METHODS if machines else []:
        if machines[0].get(field) != machine.get(field):
            return (f"'{field}' is {one_line(json.dumps(machine.get(field)))}, {machines[0]['part']} has "
                    f"{one_line(json.dumps(machines[0].get(field)))}")
    return None


def read_parts(folder):
    """-> (settings, machines, chunks): the settings that all parts share, each part's machine, the chunks in order.
    @throws InputError when parts do not belong together or a chunk is there twice"""
    folder = pathlib.Path(folder)
    settings, machines, chunks, where = None, [], [], {}
    for path in sorted(folder.glob("part-*.jsonl.gz")):
        try:
            data = path.read_bytes()
        except OSError as why:
            raise InputError(f"{one_line(path)}: cannot read: {why.strerror}") from None
        records = members(data, path)
        first = next(records, None)
        if first is None:
            continue  # killed before its first line
        if not isinstance(first, dict) or "settings" not in first or "machine" not in first:
            raise InputError(f"{one_line(path)}: does not begin with settings and machine")
        if settings is None:
            settings = first["settings"]
        for field in sorted(set(settings) | set(first["settings"])):
            if settings.get(field) != first["settings"].get(field):
                raise InputError(f"{one_line(path)}: '{field}' is {one_line(json.dumps(first['settings'].get(field)))}, "
                                 f"the parts before it have {one_line(json.dumps(settings.get(field)))}")
        other = other_method(machines, first["machine"])
        if other is not None:
            raise InputError(f"{one_line(path)}: {other}")
        machines.append({"part": path.name, **first["machine"]})
        for record in records:
            if not isinstance(record, dict) or not {"experiment", "chunk", "steps"} <= record.keys():
                raise InputError(f"{one_line(path)}: a line is no chunk of steps: {one_line(json.dumps(record), 60)}")
            key = (record["experiment"], record["chunk"])
            if key in where:
                raise InputError(f"{one_line(path)}: chunk {key[1]} of '{one_line(key[0])}' is in {where[key]} too")
            where[key] = path.name
            chunks.append(record)
    return settings, machines, chunks


def next_part(folder):
    taken = [int(path.name[5:8]) for path in pathlib.Path(folder).glob("part-[0-9][0-9][0-9].jsonl.gz")]
    return max(taken, default=0) + 1


def write_state(folder, settings, chunks, planned):
    """state.json: how far the run is, for people; the parts themselves say what is done."""
    done = {}
    for record in chunks:
        done[record["experiment"]] = done.get(record["experiment"], 0) + len(record["steps"])
    experiments = {name: {"steps_measured": done.get(name, 0), "steps_planned": steps} for name, steps in planned.items()}
    path = pathlib.Path(folder) / "state.json"
    spare = path.with_suffix(".tmp")
    try:
        spare.write_text(json.dumps({"experiments": experiments, "settings": settings}, indent=1) + "\n", encoding="utf-8")
        os.replace(spare, path)
    except OSError as why:
        raise InputError(f"{one_line(path)}: cannot write: {why.strerror}") from None


def middle(values):
    kept = [value for value in values if value is not None]
    return statistics.median(kept) if kept else None


def rows(settings, chunks):
    """The rows of steps.csv: one per step, each time the median of its repetitions."""
    for record in sorted(chunks, key=lambda one: (one["experiment"], one["chunk"])):
        for at, step in enumerate(record["steps"]):
            yield (record["experiment"], record["model"], record["workload"], settings["hardware"], record["tp"],
                   settings["rig"], record["first"] + at, step["new"], step["context"], step["phases"], step["running"],
                   step["waiting"], record["blocks"], step["free"], step["preempted"],
                   microseconds(middle(step["gpu"])), microseconds(middle(step["wall"])),
                   microseconds(middle(step["interval"])))


def repetition_rows(chunks):
    for record in sorted(chunks, key=lambda one: (one["experiment"], one["chunk"])):
        for at, step in enumerate(record["steps"]):
            for number in range(len(step["gpu"])):
                yield (record["experiment"], record["first"] + at, number + 1, step["launch"], step["start_ns"][number],
                       *(microseconds(step[name][number]) for name in ("gpu", "wall", "interval")))


def table_text(header, lines, comments=()):
    out = io.StringIO()
    for comment in comments:
        if "\n" in comment or "\r" in comment:
            raise InputError(f"a comment has one line: '{one_line(comment)}'")
        out.write(f"# {comment}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return out.getvalue()


def write_text(path, text):
    """Plain, or compressed where the name ends in .gz."""
    data = text.encode("utf-8")
    try:
        pathlib.Path(path).write_bytes(gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data)
    except OSError as why:
        raise InputError(f"{one_line(path)}: cannot write: {why.strerror}") from None


def read_text(path):
    try:
        data = pathlib.Path(path).read_bytes()
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error) as why:
        raise InputError(f"{one_line(path)}: cannot read: {one_line(why)}") from None
    except UnicodeDecodeError as why:
        raise InputError(f"{one_line(path)}: byte {why.start}: not UTF-8") from None
