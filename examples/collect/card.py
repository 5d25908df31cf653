"""The data card of a merged data set, written from what the parts say of themselves. Standard library only."""
import json
import statistics

import floor
from compositions import WORKLOADS
from output import listed
from shard import InputError, read_model

TEMPLATE = """# {title}

**{claim}** {rows} steps in rafter's own format (docs/io/rafter_steps.md), {experiments} experiments, in `{file}`; every repetition of
every step in `{repetitions}`. Made by `examples/collect` of rafter. Licence: CC-BY-4.0.

## Machine

| | |
|---|---|
{machine}

## Method

- A decoder of the model's shape with random {dtype} weights (normal, deviation 0.02; seed {seed}), as **one rank** of its
  tensor-parallel group: 1/tp of the heads, KV heads, MLP, vocabulary. Every layer has its own weights and its own KV cache.
- KV cache: contiguous; a request's keys and values are consecutive rows; at the start they are random numbers of deviation 1.
  New keys and values are written in the step, and stay.
- Steps: formed by a continuous-batching scheduler (chunked prefill; at most {max_tokens} tokens and {max_requests} running requests; blocks
  of 16 tokens in the pool that the weights leave of 85 % of {pool_gb:g} GB) from Poisson arrivals, seed {seed}. The scheduler's clock is a
  stated law (0.3 ms + 1.4 × the roofline on an H100), not the measured times. {per_chunk} consecutive steps are kept, {gap} left out, and so on;
  no two steps of an experiment are equal. Decode requests are laid out first.
- Lengths: log-normal, redrawn above 3/4 (prompt) and 1/4 (output) of the longest sequence.

{workloads}

- Each run of steps is executed once to warm up and then {repeats} times, back to back in order. `gpu_time_us`: device events around the
  forward pass and the choice of the next tokens; median of its repetitions. `wall_time_us`: host clock from laying out the step's
  inputs to having its next tokens. `interval_us`: from there to the same point of the next step; of the
  last step of a run, to its own end. Between two uses of the same bytes every weight of the rank is read: no repetition finds them in a cache.
- Pure decode steps are replayed as CUDA graphs padded to the next of 1, 2, 4, 8, 16, 24, … requests (one token after one token each;
  `launch` in `{repetitions}` says which). Other steps are launched kernel by kernel. GPU time is taken in passes in which launches are
  queued behind a kernel that only spins, so that it holds no waiting for the host; wall time and interval in the last
  {wall_repeats} of the passes, without.

## Limits

- **All-reduces are not measured**: a rank alone has nobody to reduce with. For tp > 1 a real step is longer.
- No engine: no tokenizer, HTTP, sampling beyond argmax, prefix cache, speculative decoding. The host's part is this program's.
- Random weights: the router's choices are those of random matrices, uneven but not those of a trained model (table below).
- Vocabulary and embedding: the rank's own share of tokens only.

## Experiments

| experiment | steps | with a prompt | replayed as a graph | repeat-to-repeat variation of GPU time, median (p90) | time / floor: lowest, median | time / roofline: median |
|---|---|---|---|---|---|---|
{table}

Variation: deviation over mean of a step's repetitions. Floor: the time to read once the weights that the step must touch. Roofline: products, attention
and KV writes each at the device's peaks, one after the other, experts as if drawn evenly. Median variation over all steps: {variation}.

{routing}## Clocks right after each run of steps

{clocks}
"""


def variation(values):
    kept = [value for value in values if value is not None]
    return statistics.stdev(kept) / statistics.mean(kept) if len(kept) > 1 else None


def percent(value):
    return "-" if value is None else f"{100 * value:.2f} %"


def over_roofline(shard, step, on):
    requests = [(n, c, phase == "d") for n, c, phase in
                zip(listed(step["new"]), listed(step["context"]), listed(step["phases"], whole=False))]
    return statistics.median([g for g in step["gpu"] if g is not None]) / floor.step_roofline_us(shard, requests, on)


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else None


def spread(chunks, field, unit):
    seen = [c["clocks"][field] for c in chunks if field in c.get("clocks", {})]
    return f"{min(seen)} to {max(seen)} {unit}" if seen else "not known"


def write(settings, machines, chunks, file, repetitions, bandwidth=None):
    """-> the text of the card. @throws InputError when a part does not say what the card needs"""
    cpu = settings["hardware"] == "cpu"
    try:
        on = floor.device(settings["hardware"], bandwidth)
    except InputError:
        on = None
    lines, everything, by = [], [], {}
    for record in chunks:
        by.setdefault(record["experiment"], []).append(record)
    routing = []
    for name, records in sorted(by.items()):
        steps = [step for record in records for step in record["steps"]]
        shard = read_model(records[0]["model"])
        spreads = [v for v in (variation(step["gpu"]) for step in steps) if v is not None]
        everything += spreads
        least = floor.weakest_floor_us(shard, on) if on else None
        ratios = [statistics.median([g for g in step["gpu"] if g is not None]) / least for step in steps] if least else []
        graphs = sum(step["launch"].startswith("graph") for step in steps)
        prompts = sum("p" in step["phases"] for step in steps)
        middle = statistics.median(spreads) if spreads else None
        lines.append(f"| {name} | {len(steps)} | {100 * prompts / len(steps):.0f} % | {100 * graphs / len(steps):.0f} % | "
                     f"{percent(middle)} ({percent(quantile(spreads, 0.9))}) | " +
                     (f"{min(ratios):.2f}, {statistics.median(ratios):.2f} | "
                      f"{statistics.median(over_roofline(shard, step, on) for step in steps):.2f} |" if ratios else
                      "no floor known | - |"))
        experts = [record["experts"] for record in records if record.get("experts")]
        if experts:
            total = [sum(column) for column in zip(*experts)]
            routing.append(f"| {name} | {' '.join(f'{100 * t / sum(total):.1f}' for t in total)} |")
    facts = ["device", "memory_gb", "processor", "driver", "cuda", "torch", "python", "attention", "experts", "elementwise",
             "graphs"]
    for one in machines:
        for fact in facts:
            if fact not in one:
                raise InputError(f"{one['part']}: its machine does not say '{fact}'")
    machine = [f"| {fact.replace('_', ' ')} | {'; '.join(sorted({str(one[fact]) for one in machines}))} |" for fact in facts]
    notes = sorted({note for one in machines for note in one["notes"]} | {n for c in chunks for n in c.get("notes", [])})
    late = sum(step.get("late", 0) for c in chunks for step in c["steps"])
    if late:
        spun = sum((settings["repeats"] - settings["wall_repeats"]) * len(c["steps"]) for c in chunks)
        notes.append(f"in {late} of {spun} passes that give GPU time the device was hardly behind the launches: it may have waited for "
                     "the host")
    machine.append(f"| notes | {'; '.join(notes) or 'none'} |")
    clocks = [f"- {what}: {spread(chunks, field, unit)}" for what, field, unit in
              (("SM", "sm_mhz", "MHz"), ("memory", "memory_mhz", "MHz"), ("temperature", "temperature_c", "°C"),
               ("power", "power_w", "W"))]
    names = sorted({record["workload"] for record in chunks})
    workloads = ["| workload | prompt: median, σ(ln) | output: median, σ(ln) | running requests aimed at |", "|---|---|---|---|"]
    workloads += [f"| {w.name} | {w.prompt[0]}, {w.prompt[1]} | {w.output[0]}, {w.output[1]} | {w.running} |"
                  for w in (WORKLOADS[name] for name in names)]
    plan = settings["plan"]
    return TEMPLATE.format(
        title="Steps measured by the collector" + (" on a CPU: a test, not data" if cpu else f" on {machines[0]['device']}"),
        claim="A test of the collector on a CPU. The times say nothing about a GPU." if cpu else
        "Measured on a GPU by rafter's own collector.",
        rows=sum(len(c["steps"]) for c in chunks), experiments=len(by), file=file, repetitions=repetitions,
        machine="\n".join(machine), workloads="\n".join(workloads), table="\n".join(lines), repeats=settings["repeats"],
        wall_repeats=settings["wall_repeats"], variation=percent(statistics.median(everything) if everything else None),
        routing=("## Routing\n\nShare of tokens per expert over all layers [%], at the largest step of each run of steps:\n\n"
                 "| experiment | experts 0, 1, … |\n|---|---|\n" + "\n".join(routing) + "\n\n") if routing else "",
        clocks="\n".join(clocks), dtype=settings["dtype"], **plan)


def medians(settings):
    if settings["hardware"] == "cpu":
        return f"times are medians of {settings['repeats']} repetitions"
    wall = settings["wall_repeats"]
    return (f"gpu_time_us is a median of {settings['repeats'] - wall} repetitions, wall_time_us and interval_us of {wall}")


def label_source(settings, machines):
    """The comment lines of a merged file."""
    one = machines[0]
    where = "a CPU, to test the collector (not data)" if settings["hardware"] == "cpu" else one["device"]
    return [f"label source: measured by rafter's collector (examples/collect) on {where}, PyTorch {one['torch']}",
            "one tensor-parallel rank with random weights; all-reduces are not measured; " + medians(settings),
            "settings: " + json.dumps(settings, sort_keys=True)]
