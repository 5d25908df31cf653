# Sourced, not run: configure, build and test one build folder, quietly. Logs go to out/logs/<folder>-<step>.log.
logs=out/logs
mkdir -p "$logs"
export CCACHE_NOHASHDIR=1  # a fresh clone elsewhere finds what an earlier one compiled

# quietly NAME COMMAND... -> output to the log; its end is shown when the command fails
quietly() {
  log=$logs/$1.log
  shift
  "$@" >"$log" 2>&1 </dev/null || failed "$log" "$*"
}

# failed LOG COMMAND -> what a reader needs of the log; returns 1
failed() {
  {
    echo "failed: $2"
    echo "the first errors and the end of $1:"
    grep -n -m 5 -E '(error|ERROR|FAILED):' "$1" || true
    tail -n 30 "$1"
  } | cut -c1-400 >&2
  return 1
}

# configure FOLDER COMPILER OPTION... -> a build folder, set up anew or brought up to date
configure() {
  folder=$1 compiler=$2
  shift 2
  if command -v ccache >/dev/null 2>&1; then compiler="ccache $compiler"; fi
  if [ -f "$folder/build.ninja" ]; then
    quietly "$(basename "$folder")-configure" env CXX="$compiler" meson setup --reconfigure "$folder" -Db_colorout=never "$@" && return 0
  fi
  rm -rf "$folder"
  quietly "$(basename "$folder")-configure" env CXX="$compiler" meson setup "$folder" -Db_colorout=never "$@"
}

# build FOLDER TARGET... -> the targets, or all; says how far it is: in place on a terminal, else once a minute
build() {
  folder=$1
  shift
  log=$logs/$(basename "$folder")-build.log
  ninja -C "$folder" "$@" >"$log" 2>&1 </dev/null &
  ninja=$!
  waited=0
  while kill -0 "$ninja" 2>/dev/null; do
    sleep 1
    waited=$((waited + 1))
    at=$(sed -n 's/^\[\([0-9]*\/[0-9]*\)\].*/\1/p' "$log" | tail -n 1)
    if [ -t 1 ]; then
      printf '\r      %s ' "$at"
    elif [ $((waited % 60)) -eq 0 ]; then
      echo "      $at"
    fi
  done
  if [ -t 1 ]; then printf '\r\033[K'; fi
  wait "$ninja" || failed "$log" "ninja -C $folder $*"
}

# run_tests FOLDER ARGUMENT... -> meson's closing summary, after what failed, if anything did
run_tests() {
  folder=$1
  shift
  rm -rf "$folder/meson-logs/gtest"
  log=$logs/$(basename "$folder")-test.log
  status=0
  meson test -C "$folder" --no-rebuild --print-errorlogs "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    grep -v -E '^ *[0-9]+/[0-9]+ .* (OK|SKIP) |^(ninja|Full log)|^$' "$log" | head -n 120
    echo "all of it: $log"
  else
    sed -n '/^Ok: /,/^Timeout: /p' "$log"
  fi
  return "$status"
}
