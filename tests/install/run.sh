#!/bin/sh
# Installs rafter into a temporary prefix, then builds and runs one consumer of each kind against what was installed:
# pkg-config, CMake, two translation units linked with LTO and -Wodr; and rafter as a meson subproject, from source.
# CXX names the compiler (g++). Prints a line for each, ends 1 when one failed.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
here=$source/tests/install
compiler=${CXX:-g++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Meson hands its own tests a MESON_* environment that must not reach another meson, and DESTDIR would move the prefix.
unset DESTDIR MESONINTROSPECT
expected="rafter $(sed -n 's/^#define RAFTER_VERSION "\(.*\)".*/\1/p' "$source/include/rafter/version.hpp")"
failed=0

# consumer NAME PROGRAM EXPECTED COMMAND... -> runs the commands' shell text, then the program, and compares its output
consumer() {
  name=$1 program=$2 wanted=$3 text=$4
  if ! (cd "$work" && sh -ec "$text") >"$work/log" 2>&1 </dev/null; then
    echo "FAIL $name"
    tail -n 40 "$work/log"
    failed=1
  elif said=$("$work/$program") && [ "$said" = "$wanted" ]; then
    echo "ok   $name: $said"
  else
    echo "FAIL $name: printed '${said:-nothing}', not '$wanted'"
    failed=1
  fi
}

export CXX="$compiler"
# A staged install (DESTDIR) of an unusual prefix, then used where it was told it would be.
if ! { meson setup "$work/build" "$source" --prefix "$work/prefix" --libdir lib -Dtests=disabled -Dbenchmarks=disabled \
         -Dexamples=disabled -Ddocs=disabled && DESTDIR="$work/stage" meson install -C "$work/build" &&
       mv "$work/stage$work/prefix" "$work/prefix"; } >"$work/log" 2>&1 </dev/null; then
  echo "FAIL install"
  tail -n 40 "$work/log"
  exit 1
fi
(cd "$source/include" && find rafter -type f | LC_ALL=C sort) >"$work/source-files"
(cd "$work/prefix/include" && find rafter -type f | LC_ALL=C sort) >"$work/installed-files"
if cmp -s "$work/source-files" "$work/installed-files"; then
  echo "ok   install: $(wc -l <"$work/installed-files" | tr -d ' ') headers"
else
  echo "FAIL install: the installed headers are not those of include/"
  diff "$work/source-files" "$work/installed-files" || true
  failed=1
fi

warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
export PKG_CONFIG_PATH="$work/prefix/lib/pkgconfig"
flags='$(pkg-config --cflags rafter)'
libraries='$(pkg-config --libs rafter)'

consumer pkg-config pc "$expected" \
  "$compiler $warnings $flags '$here/pkg-config/main.cpp' -o pc $libraries
   test \"\$(pkg-config --modversion rafter)\" = '${expected#rafter }'"
# g++ compares the types of both units when it links (-Wodr); clang has no such check: there they only link.
case $compiler in *clang*) odr= ;; *) odr='-flto -Wodr' ;; esac
consumer odr odr "$expected and ${expected#rafter }" \
  "$compiler -O1 $odr $warnings $flags '$here/odr/one.cpp' '$here/odr/two.cpp' -o odr $libraries"
if command -v cmake >/dev/null 2>&1; then
  consumer cmake cm/consumer "$expected" \
    "cmake -S '$here/cmake' -B cm -G Ninja -DCMAKE_PREFIX_PATH='$work/prefix' -DCMAKE_CXX_FLAGS='$warnings' && cmake --build cm"
else
  echo "skip cmake: cmake is not installed"
fi
mkdir -p "$work/consumer/subprojects"
cp "$here"/meson-subproject/* "$work/consumer/"
ln -s "$source" "$work/consumer/subprojects/rafter"
consumer meson-subproject ms/consumer "$expected" \
  "env -u PKG_CONFIG_PATH meson setup ms consumer --wrap-mode=forcefallback && ninja -C ms &&
   test \"\$(meson introspect --targets ms | grep -o '\"filename\"' | wc -l)\" -eq 1"
exit "$failed"
