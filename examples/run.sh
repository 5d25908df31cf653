#!/bin/sh
# The main job, from nothing to a report: installs what is missing on Debian when it may, builds a release, runs
# rafter-study on the embedded data, and ends with the report and the paths of the files it wrote. Can be run again.
#   CXX, BUILD    compiler (g++) and build folder (build-examples); MESON_OPTIONS adds options to `meson setup`
# Arguments go to rafter-study in addition: sh examples/run.sh --predictors blackbox,ridge30
set -eu
cd "$(dirname "$0")/.."
. .ci/packages.sh
. .ci/steps.sh
folder=${BUILD:-build-examples}

echo "[1/4] packages"
install_missing "$logs/packages.log" $rafter_build_needs $rafter_example_needs
install_missing "$logs/packages-plots.log" $rafter_plot_needs 2>/dev/null ||
  echo "      no gnuplot: the page will have its tables and no pictures"
echo "[2/4] configuring $folder"
configure "$folder" "${CXX:-g++}" -Dbuildtype=release -Doptimization=2 -Dexamples=enabled -Dtests=disabled -Dbenchmarks=disabled \
  -Ddocs=disabled ${MESON_OPTIONS:-}
echo "[3/4] building (a few minutes the first time)"
build "$folder" examples/rafter-study examples/rafter-compare examples/01_evaluate_predictors
echo "[4/4] running rafter-study on the embedded data"
"$folder/examples/rafter-study" --html out/study.html --markdown out/study.md --json out/study.json "$@"
echo "written: $PWD/out/study.html"
echo "written: $PWD/out/study.md"
echo "written: $PWD/out/study.json"
