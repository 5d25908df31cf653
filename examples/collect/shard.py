"""What one tensor-parallel rank of a decoder holds: shapes and sizes, read from a config.json. Standard library only."""
import dataclasses
import json
import pathlib


class InputError(Exception):
    """Bad input: one line that names the place and the offending text."""


def one_line(text, most=200):
    plain = "".join(c if c.isprintable() else "?" for c in str(text))
    return plain if len(plain) <= most else plain[:most] + "..."


@dataclasses.dataclass(frozen=True)
class Shard:
    """One rank's share. Counts are per rank unless they say otherwise; weights and KV entries have 2 bytes (bf16)."""
    name: str
    tp: int
    max_model_len: int      # the longest sequence that the scheduler lets in [tokens]
    layers: int
    hidden: int             # d, the same on every rank
    heads: int              # query heads of this rank, H/tp
    kv_heads: int           # K/tp
    head_dim: int           # h
    intermediate: int       # f/tp
    experts: int            # E; 1: dense
    experts_per_token: int  # k
    vocabulary: int         # V/tp
    rope_theta: float
    norm_epsilon: float

    @property
    def attention_weights(self):
        """Of one layer: d·Hh + 2d·Kh + Hh·d over tp."""
        return 2 * self.hidden * self.heads * self.head_dim + 2 * self.hidden * self.kv_heads * self.head_dim

    @property
    def expert_weights(self):
        """Of one expert (or the MLP) of one layer: gate, up and down, 3d·f over tp."""
        return 3 * self.hidden * self.intermediate

    @property
    def router_weights(self):
        """Of one layer, on every rank."""
        return self.hidden * self.experts if self.experts > 1 else 0

    @property
    def parameters(self):
        """All that a rank holds: embedding and LM head (V/tp each), layers with two norms each, the last norm."""
        layer = self.attention_weights + self.experts * self.expert_weights + self.router_weights + 2 * self.hidden
        return self.layers * layer + 2 * self.vocabulary * self.hidden + self.hidden

    @property
    def weight_bytes(self):
        return 2 * self.parameters

    @property
    def kv_bytes_per_token(self):
        """2L(K/tp)h·c"""
        return 2 * self.layers * self.kv_heads * self.head_dim * 2

    @property
    def least_weight_bytes(self):
        """What a pass over at least one token must read: every layer's projections and k experts."""
        return 2 * self.layers * (self.attention_weights + self.experts_per_token * self.expert_weights)


KNOWN = {"name", "tp", "max_model_len", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
         "head_dim", "intermediate_size", "num_local_experts", "num_experts_per_tok", "vocab_size", "rope_theta",
         "rms_norm_eps"}
UNKNOWN = {"num_experts": "experts under this name are not built; Mixtral's names are num_local_experts and num_experts_per_tok",
           "n_routed_experts": "shared and routed experts are not built", "kv_lora_rank": "latent attention is not built"}
MODELS = pathlib.Path(__file__).resolve().parent / "models"


def read_config(path, tp=None):
    """-> the Shard of a config.json. Our own files also hold `name`, `tp` and `max_model_len`; a publisher's file has other
    fields beside (ignored), its name is the folder's and its longest sequence max_position_embeddings; tp has to be added to
    it or given."""
    path = pathlib.Path(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as why:
        raise InputError(f"{one_line(path)}: cannot read: {why.strerror}") from None
    except ValueError as why:
        raise InputError(f"{one_line(path)}: not JSON: {one_line(why)}") from None
    if not isinstance(config, dict):
        raise InputError(f"{one_line(path)}: not a JSON object")

    for field, what in UNKNOWN.items():
        if config.get(field) is not None:
            raise InputError(f"{one_line(path)}: '{field}': {what}")

    def whole(field, default=None):
        value = config.get(field)
        if value is None:
            value = default
        if value is None:
            raise InputError(f"{one_line(path)}: '{field}' is missing")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{one_line(path)}: '{field}' is {one_line(json.dumps(value))}, not a whole number above 0")
        return value

    def real(field, default):
        value = config.get(field, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise InputError(f"{one_line(path)}: '{field}' is {one_line(json.dumps(value))}, not a positive number")
        return float(value)

    ranks = tp if tp is not None else whole("tp")
    heads = whole("num_attention_heads")
    kv_heads = whole("num_key_value_heads", heads)
    hidden = whole("hidden_size")
    intermediate = whole("intermediate_size")
    vocabulary = whole("vocab_size")
    experts = whole("num_local_experts", 1)
    per_token = whole("num_experts_per_tok", 1)
    if "head_dim" not in config and hidden % heads:
        raise InputError(f"{one_line(path)}: 'hidden_size' {hidden} is no multiple of 'num_attention_heads' {heads}")
    head_dim = whole("head_dim", hidden // heads)
    if head_dim % 2:
        raise InputError(f"{one_line(path)}: 'head_dim' {head_dim} is odd")
    if heads % kv_heads:
        raise InputError(f"{one_line(path)}: 'num_attention_heads' {heads} is no multiple of 'num_key_value_heads' {kv_heads}")
    if per_token > experts:
        raise InputError(f"{one_line(path)}: 'num_experts_per_tok' {per_token} is above 'num_local_experts' {experts}")
    for field, value in (("num_attention_heads", heads), ("num_key_value_heads", kv_heads),
                         ("intermediate_size", intermediate), ("vocab_size", vocabulary)):
        if value % ranks:
            raise InputError(f"{one_line(path)}: '{field}' {value} does not divide over {ranks} ranks")
    longest = config.get("max_position_embeddings", 4096)
    return Shard(name=str(config.get("name", path.resolve().parent.name)), tp=ranks,
                 max_model_len=whole("max_model_len", longest if isinstance(longest, int) else None),
                 layers=whole("num_hidden_layers"), hidden=hidden, heads=heads // ranks, kv_heads=kv_heads // ranks,
                 head_dim=head_dim, intermediate=intermediate // ranks, experts=experts, experts_per_token=per_token,
                 vocabulary=vocabulary // ranks, rope_theta=real("rope_theta", 10000.0),
                 norm_epsilon=real("rms_norm_eps", 1e-5))


EXTRA = {}  # name -> Shard: models of files that the user named


def add_models(paths):
    """Makes the models of these files known by their names."""
    for path in paths:
        one = read_config(path)
        EXTRA[one.name] = one


def read_model(name):
    """-> the Shard of models/NAME.json, of a file that was added, or of a path that ends in .json"""
    if name in EXTRA:
        return EXTRA[name]
    if name.endswith(".json"):
        return read_config(name)
    path = MODELS / (name + ".json")
    if not path.is_file() or "/" in name:
        known = ", ".join(sorted(p.stem for p in MODELS.glob("*.json")))
        raise InputError(f"unknown model '{one_line(name)}'; known: {known}; or the path of a .json file")
    return read_config(path)
