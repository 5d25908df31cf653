#!/usr/bin/env python3
"""Reads the models of a folder in XGBoost and compares what it predicts and explains with what rafter says.

usage: xgboost_reads.py FOLDER     exit status 0: equal; 1: not; 77: XGBoost is not installed
FOLDER/NAME.json is a model; NAME.csv has rows without a header: the features (nan: missing), then rafter's margin,
prediction, attributions and their expected value.
"""
import pathlib
import sys

try:
    import numpy
    import xgboost
except ImportError as why:
    print(why)
    sys.exit(77)

models = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
worst = 0.0
for model in models:
    booster = xgboost.Booster(model_file=str(model))
    table = numpy.loadtxt(model.with_suffix(".csv"), delimiter=",", ndmin=2)
    features = booster.num_features()
    x, margin, prediction, contributions = numpy.split(table, [features, features + 1, features + 2], axis=1)
    rows = xgboost.DMatrix(x.astype(numpy.float32), missing=numpy.nan, feature_names=booster.feature_names)
    for what, wanted, found in [
        ("margin", margin[:, 0], booster.predict(rows, output_margin=True)),
        ("prediction", prediction[:, 0], booster.predict(rows)),
        ("attributions", contributions, booster.predict(rows, pred_contribs=True)),
    ]:
        difference = numpy.max(numpy.abs(wanted - found) / (1.0 + numpy.abs(wanted)))
        print(f"xgboost {xgboost.__version__}: {model.stem}: {what} differ by {difference:.1e}")
        worst = max(worst, difference) if difference == difference else float("inf")
sys.exit(0 if models and worst <= 1e-5 else 1)
