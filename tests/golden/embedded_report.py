"""What the regression gate keeps of a report: the figures that rafter-compare compares, six digits of each.

usage, after sh examples/run.sh and with a reason for each figure that got worse:
  python3 tests/golden/embedded_report.py out/study.json >tests/golden/embedded_report.json
"""
import json
import sys

METRICS = ("mape", "mspe_signed", "median_ape", "p90_ape", "p99_ape", "share_above_50", "pearson_r", "not_finite")


def short(value):
    return float(f"{value:.6g}") if isinstance(value, float) else value


report = json.load(open(sys.argv[1], encoding="utf-8"))
data = {name: report["data"][name] for name in ("path", "rows", "schema", "content_sha256")}
head = {"schema_version": report["schema_version"], "data": data, "split": report["split"], "target": report["target"]}
lines = []
for result in sorted(report["results"], key=lambda one: one["predictor"]):
    folds = [{"held_out": fold["held_out"], **{name: short(fold[name]) for name in METRICS}} for fold in result["folds"]]
    lines.append(json.dumps({"predictor": result["predictor"]})[:-1] + ', "folds": [\n    ' +
                 ",\n    ".join(map(json.dumps, folds)) + "]}")
print(json.dumps(head)[:-1] + ', "not_evaluated": [], "results": [\n  ' + ",\n  ".join(lines) + "]}")
