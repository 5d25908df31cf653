"""Shapes and floors of one rank: against published sizes, DESIGN's formulas written once more, and numbers by hand."""
import json
import math
import pathlib
import tempfile
import unittest

import support
from support import COLLECT, DATA

import compositions
import floor
from shard import InputError, read_config, read_model

STUDY = {"llama-2-7b": 1, "codellama-34b": 2, "llama-2-70b": 4, "mixtral-8x7b": 2}
# Parameters as the publishers' weight files have them (sum over all tensors of the checkpoint).
PUBLISHED = {"llama-2-7b": 6738415616, "codellama-34b": 33743970304, "llama-2-70b": 68976648192, "mixtral-8x7b": 46702792704}


def config_of(name):
    return json.loads((COLLECT / "models" / f"{name}.json").read_text())


class Shapes(unittest.TestCase):
    def test_one_rank_of_one_holds_the_published_number_of_parameters(self):
        for name, parameters in PUBLISHED.items():
            with self.subTest(name):
                self.assertEqual(read_config(COLLECT / "models" / f"{name}.json", tp=1).parameters, parameters)

    def test_the_tensors_of_a_rank_add_up_to_its_parameters(self):
        # An independent count: the shape of each tensor, as a checkpoint split over tp ranks has them.
        for name, tp in STUDY.items():
            c = config_of(name)
            d, f, V = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
            H, K = c["num_attention_heads"], c["num_key_value_heads"]
            h, E = d // H, c.get("num_local_experts", 1)
            layer = [(H * h // tp, d), (K * h // tp, d), (K * h // tp, d), (d, H * h // tp), (d,), (d,)]
            layer += [(f // tp, d), (f // tp, d), (d, f // tp)] * E + ([(E, d)] if E > 1 else [])
            shapes = layer * c["num_hidden_layers"] + [(V // tp, d), (V // tp, d), (d,)]
            with self.subTest(name):
                self.assertEqual(read_model(name).parameters, sum(math.prod(shape) for shape in shapes))
                self.assertEqual(read_model(name).tp, tp)

    def test_weights_follow_the_formula_of_the_work(self):
        # L·b·(d·Hh + 2d·Kh + Hh·d + 3d·f·k)/tp, b = 2
        for name, tp in STUDY.items():
            c = config_of(name)
            d, h = c["hidden_size"], c["hidden_size"] // c["num_attention_heads"]
            Hh, Kh, k = c["num_attention_heads"] * h, c["num_key_value_heads"] * h, c.get("num_experts_per_tok", 1)
            formula = c["num_hidden_layers"] * 2 * (d * Hh + 2 * d * Kh + Hh * d + 3 * d * c["intermediate_size"] * k) / tp
            with self.subTest(name):
                self.assertEqual(read_model(name).least_weight_bytes, formula)

    def test_kv_bytes_of_a_token_by_hand(self):
        # 2 · L · K/tp · h · 2 bytes
        self.assertEqual(read_model("llama-2-7b").kv_bytes_per_token, 2 * 32 * 32 * 128 * 2)
        self.assertEqual(read_model("llama-2-70b").kv_bytes_per_token, 2 * 80 * 2 * 128 * 2)
        self.assertEqual(read_model("codellama-34b").kv_bytes_per_token, 2 * 48 * 4 * 128 * 2)
        self.assertEqual(read_model("mixtral-8x7b").kv_bytes_per_token, 2 * 32 * 4 * 128 * 2)

    def test_every_study_model_fits_an_80_gb_device_with_the_pool_of_the_plan(self):
        for name in STUDY:
            shard = read_model(name)
            blocks = compositions.pool_blocks(shard, 16, 80e9)
            self.assertLess(shard.weight_bytes + blocks * 16 * shard.kv_bytes_per_token, 80e9)
            self.assertGreater(blocks * 16, 4 * shard.max_model_len)

    def test_a_publishers_file_gives_the_same_shard(self):
        folder = DATA / "model_configs"
        if not folder.is_dir():
            self.skipTest(f"no model configurations at {DATA}")
        for name, of in (("llama-2-7b", "llama-2-7b-hf"), ("codellama-34b", "codellama-34b-instruct-hf"),
                         ("llama-2-70b", "llama-2-70b-hf"), ("mixtral-8x7b", "mixtral-8x7b-v0.1")):
            ours, theirs = read_model(name), read_config(folder / of / "config.json", tp=STUDY[name])
            for field in ("layers", "hidden", "heads", "kv_heads", "head_dim", "intermediate", "experts", "experts_per_token",
                          "vocabulary", "rope_theta", "norm_epsilon"):
                self.assertEqual(getattr(ours, field), getattr(theirs, field), (name, field))
            self.assertLessEqual(ours.max_model_len, theirs.max_model_len)
            self.assertEqual(theirs.name, of)


class BadConfigs(unittest.TestCase):
    def refused(self, pattern, tp=None, text=None, **changes):
        config = {**config_of("tiny"), **changes}
        config = {field: value for field, value in config.items() if value is not ...}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "config.json"
            path.write_text(json.dumps(config) if text is None else text)
            with self.assertRaisesRegex(InputError, pattern) as caught:
                read_config(path, tp)
            self.assertNotIn("\n", str(caught.exception))
            self.assertIn("config.json: ", str(caught.exception))

    def test_each_kind_of_bad_file_is_named(self):
        self.refused("not JSON", text="{")
        self.refused("not a JSON object", text="[1]")
        self.refused("'hidden_size' is missing", hidden_size=...)
        self.refused("'num_hidden_layers' is -2, not a whole number", num_hidden_layers=-2)
        self.refused("'num_hidden_layers' is 2.5", num_hidden_layers=2.5)
        self.refused("'num_hidden_layers' is true", num_hidden_layers=True)
        self.refused("'rope_theta' is \"x\", not a positive number", rope_theta="x")
        self.refused("'num_attention_heads' 8 is no multiple of 'num_key_value_heads' 3", num_key_value_heads=3)
        self.refused("'hidden_size' 65 is no multiple", hidden_size=65)
        self.refused("'head_dim' 7 is odd", head_dim=7)
        self.refused("'num_key_value_heads' 4 does not divide over 8 ranks", tp=8)
        self.refused("'num_experts': experts under this name are not built", num_experts=128)
        self.refused("'kv_lora_rank': latent attention is not built", kv_lora_rank=512)
        self.refused("'num_experts_per_tok' 3 is above 'num_local_experts' 2", num_local_experts=2, num_experts_per_tok=3)

    def test_a_missing_file_and_an_unknown_model_are_named(self):
        with self.assertRaisesRegex(InputError, "no/such.json: cannot read: No such file"):
            read_config("no/such.json")
        with self.assertRaisesRegex(InputError, "unknown model 'gpt'; known: codellama-34b, "):
            read_model("gpt")
        with self.assertRaisesRegex(InputError, "unknown model '../models/tiny'"):
            read_model("../models/tiny")


class Floors(unittest.TestCase):
    def test_the_weakest_floor_of_70b_over_four_h100_by_hand(self):
        # A layer: 2·8192·8192 + 2·8192·1024 + 3·8192·28672 = 134217728 + 16777216 + 704643072 = 855638016 weights;
        # 80 layers · 2 bytes / 4 ranks = 34225520640 bytes; at 3.35e12 byte/s 10216.573325... us.
        shard = read_model("llama-2-70b")
        self.assertEqual(shard.least_weight_bytes, 34225520640)
        self.assertAlmostEqual(floor.weakest_floor_us(shard, floor.device("h100")), 10216.5733, places=3)

    def test_the_weakest_floor_of_a_mixture_counts_the_experts_of_one_token(self):
        # 32 · 2 · (2·4096·4096 + 2·4096·1024 + 2 · 3·4096·14336) / 2, written out
        self.assertEqual(read_model("mixtral-8x7b").least_weight_bytes, 32 * (33554432 + 8388608 + 352321536))

    def test_the_roofline_of_a_step_is_above_the_weakest_floor(self):
        for name in STUDY:
            for device in floor.DEVICES.values():
                for step in ([(1, 1, True)], [(1, 0, False)], [(1, 300, True)] * 64 + [(512, 0, False)]):
                    shard = read_model(name)
                    self.assertGreater(floor.step_roofline_us(shard, step, device), floor.weakest_floor_us(shard, device))

    def test_the_work_of_a_small_step_by_hand(self):
        # tiny, tp 2: L 2, d 64, 4 query heads, 2 KV heads, h 8, f 48, V 64; a decode request after 5 tokens, a chunk of 3 after 2
        work = floor.component_work(read_model("tiny"), [(1, 5, True), (3, 2, False)])
        per_layer = 64 * 32 * 2 + 2 * 64 * 16 + 3 * 64 * 48
        self.assertEqual(work["gemm"], (2 * 4 * 2 * per_layer, 2 * 2 * per_layer))
        self.assertEqual(work["decode_attention"], (4 * 2 * 4 * 8 * 6, 6 * 2 * 2 * 2 * 8 * 2 + 2 * 2 * 4 * 8 * 2))
        self.assertEqual(work["prefill_attention"], (4 * 2 * 4 * 8 * (3 * 2 + 6), 2 * 2 * 3 * 4 * 8 * 2 + 5 * 2 * 2 * 2 * 8 * 2))
        self.assertEqual(work["kv_write"], (0, 4 * 2 * 2 * 2 * 8 * 2))
        self.assertEqual(work["lm_head"], (2 * 2 * 64 * 64, 2 * 64 * 64))

    def test_one_token_touches_its_experts_and_many_touch_all(self):
        shard = read_model("mixtral-8x7b")
        self.assertAlmostEqual(floor.experts_touched(shard, 1), 2.0, places=12)
        self.assertAlmostEqual(floor.experts_touched(shard, 2), 8 * (1 - 0.75**2), places=12)
        self.assertAlmostEqual(floor.experts_touched(shard, 4000), 8.0, places=12)
        self.assertEqual(floor.experts_touched(read_model("llama-2-7b"), 5), 1.0)

    def test_hardware_that_is_not_known_needs_a_bandwidth(self):
        with self.assertRaisesRegex(InputError, "no bandwidth is known of hardware 'cpu'"):
            floor.device("cpu")
        self.assertEqual(floor.device("cpu", 1e11).bandwidth, 1e11)
        self.assertEqual(floor.device("h100", 3e12).bandwidth, 3e12)
        with self.assertRaisesRegex(InputError, "bandwidth is -1"):
            floor.device("h100", -1)


if __name__ == "__main__":
    support.main("collect-shapes")
