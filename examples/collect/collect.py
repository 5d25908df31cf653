#!/usr/bin/env python3
"""Measures the steps of LLM inference on one GPU, for rafter: plan, measure (in parts), merge, validate. See README.md."""
import argparse
import dataclasses
import pathlib
import sys
import time

import card
import compositions
import floor
import output
import validate
from shard import InputError, add_models, one_line, read_model

MODELS = "llama-2-7b,codellama-34b,llama-2-70b,mixtral-8x7b"
WORKLOADS = ",".join(compositions.WORKLOADS)


def names(text):
    found = [name for name in text.split(",") if name]
    if not found:
        raise InputError(f"'{one_line(text)}' names nothing")
    for name in found:
        if found.count(name) > 1:
            raise InputError(f"'{one_line(name)}' is named twice")
    return found


def plan_of(arguments):
    plan = compositions.Plan(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(compositions.Plan)})
    plan.check()
    return plan


def experiments(arguments, plan):
    """-> [(name, shard, workload, chunks)], model by model"""
    found = []
    for model in names(arguments.models):
        shard = read_model(model)
        for workload in names(arguments.workloads):
            if workload not in compositions.WORKLOADS:
                raise InputError(f"unknown workload '{one_line(workload)}'; known: {WORKLOADS}")
            chunks = compositions.chunks(shard, compositions.WORKLOADS[workload], plan)
            found.append((f"{shard.name}-tp{shard.tp}-{workload}", shard, compositions.WORKLOADS[workload], chunks))
    return found


class Progress:
    """In place on a terminal; elsewhere a line every so many seconds (0: none), and the last word."""

    def __init__(self, every=0.0):
        self.every, self.said = every, time.monotonic()

    def __call__(self, text, last=False):
        if sys.stderr.isatty():
            print("\r\033[K" + text, end="\n" if last else "", file=sys.stderr, flush=True)
        elif last or 0 < self.every <= time.monotonic() - self.said:
            self.said = time.monotonic()
            print(text, file=sys.stderr, flush=True)


def show_plan(arguments):
    plan, on = plan_of(arguments), floor.device(arguments.hardware, arguments.bandwidth, arguments.peak)
    found, total = experiments(arguments, plan), 0.0
    print(f"{'experiment':32} {'steps':>6} {'chunks':>6} {'steps with':>10} {'requests':>9} {'KV tokens':>10} {'device':>9} "
          f"{'roofline':>8}\n{'':32} {'':6} {'':6} {'a prompt':>10} {'per step':>9} {'at most':>10} {'mem. [GB]':>9} {'[s]':>8}")
    largest = 0.0
    for name, shard, _, chunks in found:
        steps = [step for chunk in chunks for step in chunk.steps]
        seconds = sum(floor.step_roofline_us(shard, step.requests, on) for step in steps) / 1e6
        total += seconds
        needed = device_bytes(shard, chunks)
        largest = max(largest, needed)
        print(f"{name:32} {len(steps):6} {len(chunks):6} {sum(s.prefills > 0 for s in steps):10} "
              f"{sum(len(s.requests) for s in steps) / len(steps):9.1f} "
              f"{max(sum(n + c for n, c, _ in s.requests) for s in steps):10} {needed / 1e9:9.0f} {seconds:8.1f}")
    passes = 1 + arguments.repeats
    print(f"one pass at the roofline of {on.name}: {total:.0f} s; {passes} passes: {total * passes / 60:.1f} min at least "
          "(a bound, nothing launches as fast as that)")
    if largest > on.memory:
        print(f"not all fit the {on.memory / 1e9:.0f} GB of {on.name}: leave models out (--models), or lower --pool-gb {plan.pool_gb:g}")


class Work:
    """The experiments of one model, chunk by chunk, the workloads in turn."""

    def __init__(self, arguments, plan, done):
        self.by_model, self.planned = {}, {}
        for name, shard, workload, chunks in experiments(arguments, plan):
            self.planned[name] = sum(len(chunk.steps) for chunk in chunks)
            entry = self.by_model.setdefault(shard, {"all": [], "left": []})
            entry["all"] += chunks
            entry["left"] += [(chunk.number, name, workload, chunk) for chunk in chunks if (name, chunk.number) not in done]
        for entry in self.by_model.values():
            entry["left"].sort(key=lambda one: one[0])

    @property
    def left(self):
        return sum(len(one[3].steps) for entry in self.by_model.values() for one in entry["left"])


OTHER_BYTES = 2e9  # activations, graphs and the driver's own


def device_bytes(shard, chunks, entry=2):
    """Memory that an experiment needs on the device: weights, the widest step's KV cache, the rest as an estimate."""
    widest = max(sum(n + c for n, c, _ in step.requests) for chunk in chunks for step in chunk.steps)
    return (shard.weight_bytes + widest * shard.kv_bytes_per_token) * entry / 2 + OTHER_BYTES


def check_memory(arguments, work, free):
    entry = 2 if arguments.dtype == "bfloat16" else 4
    for shard, one in work.by_model.items():
        needed = device_bytes(shard, one["all"], entry)
        if one["left"] and needed > free:
            raise InputError(f"{shard.name} needs about {needed / 1e9:.0f} GB, of the device's memory {free / 1e9:.0f} GB are free: leave "
                             f"it out (--models), or lower --pool-gb {arguments.pool_gb:g}")


def tokens_of(requests):
    return sum(new for new, _, _ in requests)


def settings_of(arguments, plan, hardware):
    return {"hardware": hardware, "rig": arguments.rig,
            "repeats": arguments.repeats, "wall_repeats": arguments.wall_repeats, "dtype": arguments.dtype,
            "plan": dataclasses.asdict(plan)}


def measure(arguments):
    began = time.monotonic()
    plan = plan_of(arguments)
    if not 1 <= arguments.wall_repeats < arguments.repeats:
        raise InputError(f"--wall-repeats {arguments.wall_repeats} is not from 1 to below --repeats {arguments.repeats}")
    if not arguments.minutes > 0:
        raise InputError(f"--minutes {arguments.minutes} is not positive")
    number = output.next_part(arguments.out)
    if arguments.part != "auto":
        if not arguments.part.isdigit() or not 1 <= int(arguments.part) <= 999:
            raise InputError(f"--part '{one_line(arguments.part)}' is neither auto nor a number from 1 to 999")
        number = int(arguments.part)
    try:
        import torch
    except ImportError:
        raise InputError("measuring needs PyTorch, which this Python does not have") from None
    import bench
    device = bench.device_of(torch, arguments.device)
    hardware = arguments.hardware or bench.hardware_of(torch, device)
    settings = settings_of(arguments, plan, hardware)
    before, machines, chunks = output.read_parts(arguments.out)
    for field in sorted(settings) if before is not None else []:
        if settings[field] != before.get(field):
            raise InputError(f"{one_line(arguments.out)}: its parts were measured with another '{field}': "
                             f"{one_line(before.get(field))}, now {one_line(settings[field])}")
    say = Progress(arguments.log_every)
    say("composing steps")
    work = Work(arguments, plan, {(record["experiment"], record["chunk"]) for record in chunks})
    if work.left == 0:
        say(f"nothing left to measure in {arguments.out}", last=True)
        return
    rig = bench.Rig(torch, device, arguments)
    other = output.other_method(machines, rig.machine())
    if other is not None:
        raise InputError(f"{one_line(arguments.out)}: {other}; a data set is measured in one way")
    if device.type == "cuda":
        check_memory(arguments, work, torch.cuda.mem_get_info(device)[0])
    part = output.Part(arguments.out, number, {"settings": settings, "machine": rig.machine()})
    deadline = began + 60 * arguments.minutes
    measured = longest = 0
    try:
        for shard, entry in work.by_model.items():
            if not entry["left"] or time.monotonic() + 2 * longest > deadline:
                continue
            say(f"building {shard.name}, tp {shard.tp}: {shard.weight_bytes / 1e9:.1f} GB of weights")
            runner = rig.runner(shard, entry["all"])
            for _, name, workload, chunk in entry["left"]:
                start = time.monotonic()
                if start + 1.5 * longest > deadline:
                    break
                steps = [compositions.ordered(step.requests) for step in chunk.steps]
                times = runner.chunk(steps)
                record = {"experiment": name, "model": shard.name, "workload": workload.name, "tp": shard.tp,
                          "chunk": chunk.number, "first": chunk.first, "blocks": compositions.limits_of(shard, plan).blocks,
                          "clocks": rig.clocks.read(), "experts": runner.tokens_per_expert(max(steps, key=tokens_of)),
                          "notes": list(runner.lines),
                          "steps": [output.step_record(r, s, t) for r, s, t in zip(steps, chunk.steps, times)]}
                part.write(record)
                chunks.append(record)
                measured += len(steps)
                longest = max(longest, time.monotonic() - start)
                minutes = (deadline - time.monotonic()) / 60
                say(f"part {part.number}: {name}, {measured} steps measured, {work.left - measured} left; {minutes:.1f} min left")
            runner = None
            rig.forget()
    except RuntimeError as why:
        if "out of memory" not in str(why):
            raise
        raise InputError(f"{shard.name}: out of memory on the device: another program holds some, or lower --pool-gb "
                         f"{arguments.pool_gb:g}") from None
    finally:
        part.close()
        output.write_state(arguments.out, settings, chunks, work.planned)
    say(f"part {part.number}: {measured} steps measured, {work.left - measured} left" +
        ("" if measured == work.left else ": run the same command again"), last=True)


def merge(arguments):
    add_models(arguments.config)
    settings, machines, chunks = output.read_parts(arguments.out)
    if settings is None or not chunks:
        raise InputError(f"{one_line(arguments.out)}: no part with measured steps")
    target = pathlib.Path(arguments.to)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise InputError(f"{one_line(target)}: cannot write: {why.strerror}") from None
    suffix = ".gz" if arguments.gzip else ""
    steps, repetitions = target / f"steps.csv{suffix}", target / "repetitions.csv.gz"
    text = output.table_text(output.HEADER, output.rows(settings, chunks), card.label_source(settings, machines))
    output.write_text(steps, text)
    output.write_text(repetitions, output.table_text(output.REPETITIONS, output.repetition_rows(chunks)))
    output.write_text(target / "README.md",
                      card.write(settings, machines, chunks, steps.name, repetitions.name, arguments.bandwidth))
    print(f"{sum(len(c['steps']) for c in chunks)} steps of {len({c['experiment'] for c in chunks})} experiments: "
          f"{steps} ({len(text) / 1e6:.1f} MB of text), {repetitions}, {target / 'README.md'}")


def check(arguments):
    add_models(arguments.config)
    steps = validate.Steps(arguments.file)
    facts, faults = validate.audit(steps, arguments.bandwidth, arguments.tolerate)
    faults += validate.expect(facts, arguments.experiments, arguments.distinct)
    print(f"{'experiment':32} {'steps':>6} {'distinct':>8} {'lowest / floor':>14} {'median / floor':>14}")
    for name, known in sorted(facts.items()):
        ratios = [f"{known[which]:.2f}" if known[which] is not None else "-" for which in ("lowest_ratio", "median_ratio")]
        print(f"{name:32} {known['rows']:6} {known['distinct']:8} {ratios[0]:>14} {ratios[1]:>14}")
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise InputError(f"{one_line(arguments.file)}: {faults[0]}{more}")
    if arguments.study:
        print(validate.study(arguments.study, arguments.file))
    print("valid")


def components(arguments):
    try:
        import torch
    except ImportError:
        raise InputError("measuring needs PyTorch, which this Python does not have") from None
    import bench
    import components as alone
    device = bench.device_of(torch, arguments.device)
    on = floor.device(arguments.hardware or bench.hardware_of(torch, device), arguments.bandwidth, arguments.peak)
    rig, say, lines = bench.Rig(torch, device, arguments), Progress(30.0), []
    path = pathlib.Path(arguments.out) / "components.csv"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as why:
        raise InputError(f"{one_line(path)}: cannot write: {why.strerror}") from None
    source = f"label source: measured on {rig.machine()['device']}; single kernels, one layer"
    shards = [read_model(name) for name in names(arguments.models)]
    for shard in shards:
        try:
            for row in alone.measure(rig, shard, on, arguments.quick):
                lines.append(row)
                say(f"{row[0]} {row[2]}, {row[3]}: {row[6]} us")
        except RuntimeError as why:
            if "out of memory" not in str(why):
                raise
            raise InputError(f"{shard.name}: out of memory on the device; name fewer --models") from None
        output.write_text(path, output.table_text(alone.HEADER, lines, [source]))  # a model that fails later loses none of these
        rig.forget()
    say(f"{len(lines)} measurements: {path}", last=True)


def parser():
    top = argparse.ArgumentParser(prog="collect.py", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name, run, text):
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    def add_plan(one):
        plan = compositions.Plan()
        one.add_argument("--models", default=MODELS,
                         help="names in models/, or paths of config.json files; commas (default: %(default)s)")
        one.add_argument("--workloads", default=WORKLOADS, help="default: %(default)s")
        for field in dataclasses.fields(plan):
            one.add_argument("--" + field.name.replace("_", "-"), type=field.type, default=getattr(plan, field.name),
                             help="default: %(default)s")
        one.add_argument("--repeats", type=int, default=4, help="timed passes after one that warms up (default: %(default)s)")
        one.add_argument("--wall-repeats", type=int, default=1,
                         help="how many of these give wall time and interval, the others GPU time (default: %(default)s)")

    def add_device(one, hardware):
        one.add_argument("--hardware", default=hardware, help="rafter's name of the device (default: as the driver names it)")
        one.add_argument("--bandwidth", type=float, help="of the memory [byte/s], for hardware that is not in floor.py")
        one.add_argument("--peak", type=float, help="dense bf16 [FLOP/s], likewise")

    def add_config(one):
        one.add_argument("--config", action="append", default=[], help="config.json of a model that is not in models/; may be repeated")

    def add_rig(one):
        one.add_argument("--out", required=True, help="folder of the parts")
        one.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
        one.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
        one.add_argument("--attention", help="flash, varlen, sdpa or reference (default: the first that agrees with the last)")
        one.add_argument("--experts", help="grouped or loop (likewise)")
        one.add_argument("--elementwise", choices=("compiled", "eager"), help="default: compiled where that works")
        one.add_argument("--no-graphs", action="store_true", help="launch pure decode steps kernel by kernel too")

    made = command("plan", show_plan, "say what would be measured; needs no PyTorch")
    add_plan(made)
    add_device(made, "h200")
    made = command("measure", measure, "measure what is left, for at most so many minutes; run it again to go on")
    add_plan(made)
    add_device(made, None)
    add_rig(made)
    made.add_argument("--minutes", type=float, default=9.0, help="of this part, the start included (default: %(default)s)")
    made.add_argument("--part", default="auto", help="its number (default: the next)")
    made.add_argument("--log-every", type=float, default=0.0,
                      help="seconds between lines of progress where there is no terminal")
    made.add_argument("--rig", default="collector-1", help="label of the measuring set-up (default: %(default)s)")
    made = command("components", components, "time the kernels of a layer alone")
    made.add_argument("--models", default=MODELS)
    made.add_argument("--quick", action="store_true", help="few sizes")
    add_device(made, None)
    add_rig(made)
    made = command("merge", merge, "make steps.csv, repetitions.csv.gz and the data card of all parts")
    made.add_argument("--out", required=True, help="folder of the parts")
    made.add_argument("--to", required=True, help="folder to write to")
    add_config(made)
    made.add_argument("--gzip", action="store_true", help="steps.csv.gz")
    made.add_argument("--bandwidth", type=float)
    made = command("validate", check, "check a merged file: format, counts, floor; exit 2 on the first fault")
    made.add_argument("file")
    add_config(made)
    made.add_argument("--study", help="path of rafter-study, which is run on the file too")
    made.add_argument("--bandwidth", type=float)
    made.add_argument("--tolerate", type=int, default=0, help="times below the floor that are no fault (default: %(default)s)")
    made.add_argument("--experiments", type=int, help="how many there have to be")
    made.add_argument("--distinct", type=int, help="how many distinct steps each has to have")
    return top


def main(arguments=None):
    try:
        chosen = parser().parse_args(arguments)
        chosen.run(chosen)
    except InputError as why:
        print(f"collect.py: {one_line(why, 600)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("collect.py: interrupted; what a part says is measured stays: run the same command again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
