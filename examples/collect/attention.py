"""Attention of one layer over a KV cache of rows: prefill chunks over what went before them, and decode requests of different
lengths. PyTorch. A request's keys and values are consecutive rows of the cache.

Backends, best first: `flash` (PyTorch's own variable-length flash attention, one launch for all requests), `varlen` (the same
by its public name), `sdpa` (one fused call per request), `reference` (plain products in float32, per request). `choose` takes
the first that agrees with the reference on random inputs.
"""
import dataclasses
import inspect
import math

import torch
import torch.nn.functional as F

from backends import pick


@dataclasses.dataclass
class Batch:
    """A step on the device. Decode requests come first. T tokens, S requests, of them D decode."""
    tokens: torch.Tensor     # [T] ids
    positions: torch.Tensor  # [T] place in the sequence, from 0
    slots: torch.Tensor      # [T] cache row of each new token
    last: torch.Tensor       # [S] index of each request's last token
    starts: torch.Tensor     # [S+1] int32: first cache row of each request; the last entry ends the last one
    new_ends: torch.Tensor   # [S+1] int32: first token of each request; the last entry is T
    chunk_ends: torch.Tensor  # [S-D+1] int32: the same of the prefill requests alone, from 0
    decodes: int             # D
    longest_decode: int      # at least the longest KV length of a decode request
    longest_prefill: int     # likewise of a prefill request
    longest_chunk: int       # most new tokens of a prefill request
    rows: tuple              # on the host: (first row, context, new) per request; () when only the device knows
    packed: bool             # each request's rows end where the next one's begin

    @property
    def count(self):
        return self.tokens.shape[0]


def make_batch(requests, ids, device, starts=None):
    """`requests`: (new, context, is_decode), decode first; `ids`: [T] on the host. Without `starts` (first row of each
    request), requests lie one after the other from row 0."""
    given = starts is not None
    rows, at = [], 0
    for i, (new, context, _) in enumerate(requests):
        first = starts[i] if given else at
        rows.append((first, context, new))
        at = first + context + new
    new = torch.tensor([n for _, _, n in rows], dtype=torch.int64)
    context = torch.tensor([c for _, c, _ in rows], dtype=torch.int64)
    first = torch.tensor([r for r, _, _ in rows], dtype=torch.int64)
    ends = torch.cumsum(new, 0)
    total = int(ends[-1])
    inside = torch.arange(total) - torch.repeat_interleave(ends - new, new)
    positions = inside + torch.repeat_interleave(context, new)
    slots = positions + torch.repeat_interleave(first, new)
    decodes = sum(decode for _, _, decode in requests)
    whole = torch.cat((ids[:total], positions, slots, ends - 1)).to(device)
    count, zero = len(requests), torch.zeros(1, dtype=torch.int64)
    edges = torch.cat((first, torch.tensor([at]), zero, ends, zero, ends[decodes:] - decodes)).to(torch.int32).to(device)
    tokens, positions, slots, last = whole.split((total, total, total, count))
    starts, new_ends, chunk_ends = edges.split((count + 1, count + 1, count - decodes + 1))
    return Batch(tokens, positions, slots, last, starts, new_ends, chunk_ends, decodes,
                 max([c + n for _, c, n in rows[:decodes]], default=0), max([c + n for _, c, n in rows[decodes:]], default=0),
                 max([n for _, _, n in rows[decodes:]], default=0), tuple(rows), not given)


def cache_rows(requests):
    return sum(new + context for new, context, _ in requests)


def attend(q, k, v, context):
    """One request: q [n, H, h] over k, v [context + n, K, h]; query i sees context + i + 1 rows. In float32."""
    group = q.shape[1] // k.shape[1]
    k, v = (one.float().repeat_interleave(group, dim=1) for one in (k, v))
    scores = torch.einsum("nhd,mhd->hnm", q.float(), k) / math.sqrt(q.shape[2])
    row = torch.arange(q.shape[0], device=q.device)[:, None] + context
    scores.masked_fill_(torch.arange(k.shape[0], device=q.device)[None, :] > row, float("-inf"))
    return torch.einsum("hnm,mhd->nhd", torch.softmax(scores, dim=-1), v).to(q.dtype)


class PerRequest:
    """One call per request; the host knows the lengths, so no CUDA graph can be replayed for another step."""
    graphs = False

    def __call__(self, q, k, v, batch):
        out, at = torch.empty_like(q), 0
        for first, context, new in batch.rows:
            out[at:at + new] = self.one(q[at:at + new], k[first:first + context + new], v[first:first + context + new], context)
            at += new
        return out


class Reference(PerRequest):
    name = "reference"

    def one(self, q, k, v, context):
        return attend(q, k, v, context)


class Sdpa(PerRequest):
    name = "sdpa"

    def one(self, q, k, v, context):
        new, heads = q.shape[0], q.shape[1]
        group = heads // k.shape[1]
        k, v = (one.repeat_interleave(group, dim=1).transpose(0, 1)[None] for one in (k, v))
        mask = None
        if new > 1 and context > 0:
            mask = torch.ones(new, context + new, dtype=torch.bool, device=q.device).tril(context)
        return F.scaled_dot_product_attention(q.transpose(0, 1)[None], k, v, attn_mask=mask,
                                              is_causal=new > 1 and context == 0)[0].transpose(0, 1)


class OneLaunch:
    """All decode requests in one launch, all prefill requests in another; lengths stay on the device."""
    graphs = True

    def __call__(self, q, k, v, batch):
        if not batch.packed:
            raise ValueError("requests have to lie one after the other")
        d = batch.decodes
        parts = []
        if d > 0:
            parts.append(self.run(q[:d], k, v, batch.new_ends[:d + 1], batch.starts[:d + 1], 1, batch.longest_decode, False))
        if batch.count > d:
            parts.append(self.run(q[d:], k, v, batch.chunk_ends, batch.starts[d:], batch.longest_chunk, batch.longest_prefill,
                                  True))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class Flash(OneLaunch):
    name = "flash"

    def run(self, q, k, v, ends_q, ends_k, most_q, most_k, causal):
        return torch.ops.aten._flash_attention_forward(q, k, v, ends_q, ends_k, most_q, most_k, 0.0, causal, False)[0]


class Varlen(OneLaunch):
    name = "varlen"

    def __init__(self):
        from torch.nn.attention.varlen import varlen_attn
        names = inspect.signature(varlen_attn).parameters
        self.call = varlen_attn
        self.causal = {"window_size": (-1, 0)} if "window_size" in names else {"is_causal": True}
        self.always = {"enable_gqa": True} if "enable_gqa" in names else {}

    def run(self, q, k, v, ends_q, ends_k, most_q, most_k, causal):
        return self.call(q, k, v, ends_q, ends_k, most_q, most_k, **self.always, **(self.causal if causal else {}))


BACKENDS = {one.name: one for one in (Flash, Varlen, Sdpa, Reference)}
PROBES = ([(1, 9, True), (1, 300, True), (1, 1, True)], [(70, 0, False), (33, 200, False), (1, 64, False)],
          [(1, 129, True), (1, 5, True), (40, 17, False), (128, 0, False)])


def disagreement(backend, device, dtype, heads, kv_heads, head_dim):
    """Largest ‖out − reference‖ / ‖reference‖ over the probes; NaN counts as infinite."""
    draw = torch.Generator().manual_seed(20)
    worst = 0.0
    for requests in PROBES:
        total = sum(new for new, _, _ in requests)
        batch = make_batch(requests, torch.zeros(total, dtype=torch.int64), device)
        rows = cache_rows(requests) + 7
        q, k, v = (torch.randn(*shape, generator=draw).to(device, dtype)
                   for shape in ((total, heads, head_dim), (rows, kv_heads, head_dim), (rows, kv_heads, head_dim)))
        want = Reference()(q.float(), k.float(), v.float(), batch)
        off = float((backend(q, k, v, batch).float() - want).norm() / want.norm())
        worst = max(worst, off if math.isfinite(off) else math.inf)
    return worst


def limit_of(dtype):
    """What rounding alone may make of a disagreement."""
    return 1e-4 if dtype == torch.float32 else 2e-2


def choose(device, dtype, heads, kv_heads, head_dim, wanted=None):
    """-> (backend, lines about those passed over); `wanted`: a name that has to be taken, or None"""
    return pick("attention", BACKENDS, wanted, lambda one: disagreement(one, device, dtype, heads, kv_heads, head_dim),
                limit_of(dtype))
