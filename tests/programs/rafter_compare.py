"""rafter-compare as a user meets it: what is worse, what is not, what is refused. Standard library only.

usage: rafter_compare.py PROGRAM [--xml REPORT] [unittest arguments]
"""
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import rafter_study

PROGRAM = ""


def fold(held_out, mape, **more):
    return {"held_out": held_out, "rows": 100, "mape": mape, "mspe_signed": mape / 2, "median_ape": mape * 0.75,
            "p90_ape": mape * 2, "p99_ape": mape * 4, "share_above_50": 1.0, "pearson_r": 0.9, "not_finite": 0, **more}


def report():
    plausibility = {"audited": True, "verdict": "plausible", "share_below_floor": 0.0}
    return {"schema_version": 1,
            "data": {"path": "steps.csv", "rows": 300, "schema": "rafter", "sha256": "a" * 64, "content_sha256": "b" * 64,
                     "plausibility": plausibility},
            "split": "lomo", "target": "gpu_step_time",
            "results": [{"predictor": "ridge30", "folds": [fold("7b", 10.0), fold("70b", 20.0)]},
                        {"predictor": "best", "folds": [fold("7b", 4.0), fold("70b", 5.0)]}],
            "not_evaluated": [{"predictor": "per_op", "reason": "it needs tables"}], "sections": [], "notes": []}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.old, self.new = report(), report()

    def write(self, content, name):
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def compare(self, *arguments):
        old, new = self.write(self.old, "old.json"), self.write(self.new, "new.json")
        return subprocess.run([PROGRAM, old, new, *arguments], capture_output=True, text=True, timeout=60)

    def expect(self, status, pattern, *arguments):
        done = self.compare(*arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status == 2:
            self.assertEqual(done.stdout, "")
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertTrue(done.stderr.startswith("rafter-compare: "))
        else:
            self.assertEqual(done.stderr, "")
            self.assertLessEqual(max(map(len, done.stdout.split("\n"))), 100)
        self.assertRegex(done.stdout + done.stderr, pattern)
        return done.stdout

    def folds(self, predictor):
        return next(one for one in self.new["results"] if one["predictor"] == predictor)["folds"]


class Comparisons(Case):
    def test_a_report_is_no_worse_than_itself(self):
        self.expect(0, "24 metrics of folds compared, 24 unchanged; .*nothing got worse", "--metrics",
                    "mape,mspe_signed,median_ape,p90_ape,share_above_50,not_finite")

    def test_a_metric_that_got_worse_fails_and_is_named(self):
        self.folds("best")[1]["mape"] = 5.75
        self.expect(1, r"(?s)^WORSE\n.*best +70b +mape +5 +5.75 +\+0.75\n.*1 got worse")

    def test_the_margin_is_what_is_allowed(self):
        self.folds("best")[1]["mape"] = 5.75
        self.expect(0, "nothing got worse", "--margin", "0.75")
        self.expect(1, "WORSE", "--margin", "0.74")
        self.expect(0, "nothing got worse", "--margin", "0", "--relative", "0.15")
        self.expect(1, "WORSE", "--margin", "0", "--relative", "0.14")

    def test_what_got_better_is_said_and_no_failure(self):
        self.folds("ridge30")[0]["mape"] = 1.0
        self.expect(0, r"(?s)^better\n.*ridge30 +7b +mape +10 +1 +-9\n")

    def test_a_signed_error_is_better_nearer_zero_and_a_correlation_higher(self):
        self.folds("best")[0]["mspe_signed"] = -2.0
        self.expect(0, "nothing got worse")
        self.folds("best")[0]["mspe_signed"] = -4.0
        self.expect(1, "mspe_signed")
        self.folds("best")[0]["mspe_signed"] = 2.0
        self.folds("best")[0]["pearson_r"] = 0.89
        self.expect(0, "nothing got worse")
        self.expect(1, "pearson_r", "--metrics", "pearson_r")

    def test_an_undefined_number_is_worse_than_any(self):
        self.folds("best")[0]["mape"] = None
        self.expect(1, "best +7b +mape +4 +undefined")
        self.old, self.new = self.new, self.old
        self.expect(0, "best +7b +mape +undefined +4")
        self.new = copy.deepcopy(self.old)
        self.expect(0, "nothing got worse")

    def test_a_prediction_that_is_no_number_is_worse_whatever_the_margin(self):
        self.folds("best")[0]["not_finite"] = 1
        self.expect(1, "not_finite", "--margin", "1000")

    def test_what_is_missing_is_worse_unless_it_is_allowed(self):
        del self.folds("best")[0]
        self.expect(1, "no longer there\n  best, fold 7b\n")
        self.expect(0, r"no longer there \(allowed\)", "--allow-missing")
        self.new["results"] = self.new["results"][:1]
        self.new["not_evaluated"].append({"predictor": "best", "reason": "rank deficient"})
        self.expect(1, "no longer there\n  best: rank deficient\n")

    def test_what_is_new_is_said_and_no_failure(self):
        self.new["results"].append({"predictor": "trees", "folds": [fold("7b", 1.0)]})
        self.expect(0, "new:\n  trees\n")

    def test_other_data_is_refused_unless_it_is_allowed(self):
        self.new["data"]["content_sha256"] = "c" * 64
        self.expect(2, "content of the data .sha256.: b+ before, c+ now")
        self.expect(0, "(?s)other data or another question.*nothing got worse", "--allow-different-data")
        for spoil in (lambda r: r.update(split="lowo"), lambda r: r.update(target="interval"),
                      lambda r: r["data"].update(test={"path": "t.csv", "rows": 3, "content_sha256": "d" * 64})):
            self.new = report()
            spoil(self.new)
            self.expect(2, "not comparable")

    def test_data_of_unknown_content_is_the_same_only_at_the_same_path(self):
        for one in (self.old, self.new):
            one["data"]["content_sha256"] = ""
        self.expect(0, "nothing got worse")
        self.new["data"]["path"] = "other.csv"
        self.expect(2, "not comparable .*path of the data, whose content .sha256. is not known: steps.csv before, other.csv now")

    def test_a_gate_that_compares_nothing_does_not_pass(self):
        self.expect(2, "the old report does not have 'spearman' of 'ridge30', fold '7b'", "--metrics", "spearman")
        self.old["results"] = []
        self.expect(2, "no metric of a fold can be compared with .*old.json, which has no folds")
        self.old = report()
        self.new["results"] = []
        self.expect(1, "no longer there")
        self.expect(2, "no metric of a fold can be compared with .*old.json, for no fold is in both", "--allow-missing")

    def test_labels_of_any_kind_stay_on_their_lines(self):
        for one in (self.old, self.new):
            one["results"][0]["folds"][0]["held_out"] = "a\n\x1b[31m" + "x" * 300
        self.new["results"][0]["folds"][0]["mape"] = 99.0
        out = self.compare().stdout
        self.assertNotIn("\x1b", out)
        self.assertLessEqual(max(map(len, out.split("\n"))), 100)


class BadInput(Case):
    def test_what_is_no_report_is_refused_by_name(self):
        for content, pattern in (("{", "old.json:1:2: JSON ends too early"), ("[]", "old.json:1:1: .*object"), ("", "old.json"),
                                 ("{}", "'schema_version': is missing"),
                                 ({**report(), "schema_version": 2}, "'schema_version': '2' is not the version"),
                                 ({**report(), "schema_version": "1"}, "'schema_version': '.1.' is not the version"),
                                 ({**report(), "results": {}}, "'results': "),
                                 ({**report(), "target": 3}, "'target': ")):
            self.old = content
            self.expect(2, pattern)

    def test_a_missing_field_is_named(self):
        for path in (["data"], ["data", "rows"], ["split"], ["results"], ["not_evaluated"], ["results", 1, "predictor"],
                     ["results", 0, "folds"], ["results", 0, "folds", 1, "held_out"], ["results", 0, "folds", 1, "mape"]):
            self.new = report()
            at = self.new
            for key in path[:-1]:
                at = at[key]
            del at[path[-1]]
            name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]
            self.expect(2, "new.json:1:[0-9]+: field '" + name.replace("[", r"\[").replace("]", r"\]") + "': is missing")

    def test_a_fold_that_is_there_twice_is_refused(self):
        self.new["results"][0]["folds"][1]["held_out"] = "7b"
        self.expect(2, r"folds\[1\].held_out': '.7b.' is there twice for predictor 'ridge30'")

    def test_wrong_requests_are_refused(self):
        self.expect(2, "no metric 'mope'; did you mean 'mape'", "--metrics", "mope")
        for value in ("-1", "x", "nan", "1e9", "0.5 "):
            self.expect(2, "--margin", f"--margin={value}")
        self.expect(2, "unexpected 'third.json'", "third.json")
        done = subprocess.run([PROGRAM, self.write(self.old, "old.json")], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("two reports are needed", done.stderr)
        done = subprocess.run([PROGRAM, "absent.json", "absent.json"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("absent.json: cannot open", done.stderr)

    def test_the_reference_of_the_gate_is_a_report(self):
        golden = pathlib.Path("tests/golden/embedded_report.json")
        done = subprocess.run([PROGRAM, golden, golden], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertGreater(len(json.loads(golden.read_text())["results"]), 20)


def main():
    global PROGRAM
    arguments = sys.argv[1:]
    if not arguments:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(arguments.pop(0))
    path = None
    if arguments[:1] == ["--xml"]:
        path = pathlib.Path(arguments[1])
        arguments = arguments[2:]
    done = unittest.main(argv=[sys.argv[0], *arguments], exit=False,
                         testRunner=unittest.TextTestRunner(resultclass=rafter_study.Recorder)).result
    if path is not None:
        done.write(path, "rafter-compare")
    sys.exit(0 if done.wasSuccessful() and done.testsRun > 0 else 1)


if __name__ == "__main__":
    main()
