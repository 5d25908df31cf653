"""The device, the backends that work on it, and decoders built on them. PyTorch."""
import gc

import attention
import decoder
import experts
import machine
import timing
from shard import InputError


def device_of(torch, name):
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device; --device cpu tests the collector without one")
    return torch.device(name)


def hardware_of(torch, device):
    found = machine.hardware_name(torch, device)
    if found is None:
        raise InputError(f"the device calls itself '{torch.cuda.get_device_name(device)}', which is in no table: give --hardware "
                         "with rafter's name of it")
    return found


class Rig:
    """Backends are chosen once, at the shapes of the study's models."""

    def __init__(self, torch, device, arguments):
        self.torch, self.device, self.arguments = torch, device, arguments
        self.dtype = getattr(torch, arguments.dtype)
        self.clocks = machine.Clocks(device.type == "cuda")
        wide = device.type == "cuda"
        try:
            with torch.no_grad():
                self.attention, lines = attention.choose(device, self.dtype, 8 if wide else 4, 2, 128 if wide else 16, arguments.attention)
                self.experts, more = experts.choose(device, self.dtype, 8, 2, arguments.experts)
                self.elementwise, small = decoder.choose_elementwise(device, self.dtype, arguments.elementwise)
        except (RuntimeError, KeyError) as why:
            raise InputError(str(why)) from None
        self.lines = lines + more + small

    def machine(self):
        graphs = not self.arguments.no_graphs and self.device.type == "cuda" and self.attention.graphs
        return machine.describe(self.torch, self.device, {"attention": self.attention.name, "experts": self.experts.name,
                                                          "elementwise": self.elementwise.name, "graphs": graphs}, self.lines)

    def decoder(self, shard, rows):
        try:
            with self.torch.no_grad():
                return decoder.Decoder(shard, rows, self.device, self.dtype, self.attention,
                                       self.experts if shard.experts > 1 else None, self.elementwise)
        except self.torch.cuda.OutOfMemoryError if hasattr(self.torch.cuda, "OutOfMemoryError") else MemoryError as why:
            raise InputError(f"{shard.name}: {shard.weight_bytes / 1e9:.1f} GB of weights and {rows} rows of KV cache do not fit: "
                             f"{str(why).splitlines()[0]}") from None

    def runner(self, shard, chunks):
        made = self.decoder(shard, timing.rows_needed(chunks))
        return timing.Runner(made, self.device, not self.arguments.no_graphs, self.arguments.repeats, self.arguments.wall_repeats)

    def forget(self):
        gc.collect()
        if self.device.type == "cuda":
            self.torch.cuda.empty_cache()
