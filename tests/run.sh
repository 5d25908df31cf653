#!/bin/sh
# Builds a release with g++ and runs every test. Installs what is missing on Debian when it may. Can be run again.
#   RAFTER_DATA   folder of the external data (default: ../shared/data); tests that need it skip without it
#   CXX, BUILD    compiler (g++) and build folder (build-tests); MESON_OPTIONS adds options to `meson setup`
set -eu
cd "$(dirname "$0")/.."
. .ci/packages.sh
. .ci/steps.sh
folder=${BUILD:-build-tests}
began=$(date +%s)

echo "[1/4] packages"
install_missing "$logs/packages.log" $rafter_build_needs $rafter_test_needs $rafter_example_needs
echo "[2/4] configuring $folder"
configure "$folder" "${CXX:-g++}" -Dbuildtype=release -Doptimization=2 -Dtests=enabled -Dbenchmarks=disabled -Dexamples=enabled \
  -Ddocs=disabled ${MESON_OPTIONS:-}
echo "[3/4] building"
build "$folder"
echo "[4/4] testing"
status=0
run_tests "$folder" || status=$?
echo "$(($(date +%s) - began)) s"
python3 .ci/count.py "$folder" || status=1
exit "$status"
