"""The device, the backends that work on it, and decoders built on them. PyTorch."""
import gc

import attention
import decoder
import experts
import machine
import timing
from backends import reason
from shard import InputError


def device_of(torch, name):
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device; --device cpu tests the collector without one")
    return torch.device("cuda", 0) if name == "cuda" else torch.device(name)


def hardware_of(torch, device):
    found = machine.hardware_name(torch, device)
    if found is None:
        raise InputError(f"the device calls itself '{torch.cuda.get_device_name(device)}', which is in no table: give "
                         "--hardware with rafter's name of it")
    return found


def mixed_step(shard):
    return [(1, 9, True), (1, shard.max_model_len // 2, True), (20, 17, False), (33, 0, False)]


class Rig:
    """Backends are chosen once, at the shapes of the study's models."""

    def __init__(self, torch, device, arguments):
        self.torch, self.device, self.arguments = torch, device, arguments
        self.dtype = getattr(torch, arguments.dtype)
        self.clocks = machine.Clocks(device.type == "cuda", machine.uuid_of(torch, device) if device.type == "cuda" else None)
        wide = device.type == "cuda"
        try:
            with torch.no_grad():
                self.attention, lines = attention.choose(device, self.dtype, *((8, 2, 128) if wide else (4, 2, 16)),
                                                         arguments.attention)
                self.experts, more = experts.choose(device, self.dtype, 8, 2, arguments.experts)
                self.elementwise, small = decoder.choose_elementwise(device, self.dtype, arguments.elementwise)
        except RuntimeError as why:
            raise InputError(str(why)) from None
        self.lines = lines + more + small

    def machine(self):
        graphs = not self.arguments.no_graphs and self.device.type == "cuda" and self.attention.graphs
        return machine.describe(self.torch, self.device, {"attention": self.attention.name, "experts": self.experts.name,
                                                          "elementwise": self.elementwise.name, "graphs": graphs}, self.lines)

    def decoder(self, shard, rows, seed=1):
        try:
            with self.torch.no_grad():
                return decoder.Decoder(shard, rows, self.device, self.dtype, self.attention,
                                       self.experts if shard.experts > 1 else None, self.elementwise, seed)
        except self.torch.cuda.OutOfMemoryError if hasattr(self.torch.cuda, "OutOfMemoryError") else MemoryError as why:
            raise InputError(f"{shard.name}: {shard.weight_bytes / 1e9:.1f} GB of weights and {rows} rows of KV cache do not "
                             f"fit: {reason(why)}") from None

    def runner(self, shard, chunks):
        off = attention.disagreement(self.attention, self.device, self.dtype, shard.heads, shard.kv_heads, shard.head_dim)
        if off > attention.limit_of(self.dtype):
            raise InputError(f"{shard.name}: attention {self.attention.name} differs from the reference by {off:.2g}; choose "
                             "another: --attention sdpa")
        seed = self.arguments.seed
        made = self.decoder(shard, max(timing.rows_needed(chunks), attention.cache_rows(mixed_step(shard))), seed)
        runner = timing.Runner(made, self.device, not self.arguments.no_graphs, self.arguments.repeats,
                               self.arguments.wall_repeats, seed)
        runner.lines.append(f"{shard.name}: the logits of a mixed step differ by {self.difference(made):.2g} from those of plain "
                            "kernels")
        return runner

    def difference(self, model):
        """‖logits − wanted‖ / ‖wanted‖; wanted: of the same weights with plain attention, the loop over experts, eager operations.
        Rounding to bf16 in every layer is in it, and experts that it makes change."""
        requests = mixed_step(model.shard)
        ids = self.torch.arange(55, dtype=self.torch.int64) % model.shard.vocabulary
        batch = attention.make_batch(requests, ids, self.device)
        kept = model.attention, model.experts, model.small
        with self.torch.no_grad():
            found = model.forward(batch)[1].float()
            model.attention, model.small = attention.Reference(), decoder.Elementwise()
            model.experts = experts.Loop() if model.experts is not None else None
            wanted = model.forward(batch)[1].float()
        model.attention, model.experts, model.small = kept
        return float((found - wanted).norm() / wanted.norm())

    def forget(self):
        gc.collect()
        if self.device.type == "cuda":
            self.torch.cuda.empty_cache()
