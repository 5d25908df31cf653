# Sourced, not run: what rafter's scripts need, as "probe=package" words, and how to get what is missing.
# A probe is one of  cmd:NAME  a program on PATH;  pc:NAME  a pkg-config module;  inc:FILE  a header;  lib:PATTERN  a file.
rafter_build_needs='
  cmd:g++=g++ cmd:meson=meson cmd:ninja=ninja-build cmd:pkg-config=pkg-config cmd:python3=python3 cmd:ccache=ccache
  pc:eigen3=libeigen3-dev inc:boost/version.hpp=libboost-dev pc:xtensor=libxtensor-dev
  pc:nlohmann_json=nlohmann-json3-dev pc:fmt=libfmt-dev'
rafter_test_needs='pc:gtest_main=libgtest-dev'
rafter_example_needs='pc:CLI11=libcli11-dev'
rafter_plot_needs='cmd:gnuplot=gnuplot-nox'  # draws the pictures of pages, which do without
rafter_ci_needs='cmd:clang++-16=clang-16 lib:/usr/lib/llvm-16/lib/clang/16/lib/linux/libclang_rt.asan-*.a=libclang-rt-16-dev
  cmd:clang-format=clang-format cmd:cmake=cmake pc:benchmark=libbenchmark-dev cmd:git=git'

# missing_packages NEED... -> the packages whose probe finds nothing, one a line
missing_packages() {
  for need in "$@"; do
    case $need in
      cmd:*) probe=${need#cmd:}; command -v "${probe%%=*}" >/dev/null 2>&1 || echo "${need#*=}" ;;
      pc:*) probe=${need#pc:}; pkg-config --exists "${probe%%=*}" 2>/dev/null || echo "${need#*=}" ;;
      inc:*) probe=${need#inc:}; probe=${probe%%=*}
        [ -e "/usr/include/$probe" ] || [ -e "/usr/local/include/$probe" ] || echo "${need#*=}" ;;
      lib:*) probe=${need#lib:}
        for file in ${probe%%=*}; do [ -e "$file" ] || echo "${need#*=}"; done ;;
    esac
  done
}

# install_missing LOGFILE NEED... -> installs what is missing, quietly; nothing is run when nothing is missing
install_missing() {
  install_log=$1
  shift
  packages=$(missing_packages "$@" | tr '\n' ' ')
  [ -n "$packages" ] || return 0
  as_root=
  if [ "$(id -u)" -ne 0 ]; then as_root='sudo -n'; fi
  if ! command -v apt-get >/dev/null 2>&1 || { [ -n "$as_root" ] && ! $as_root true 2>/dev/null; }; then
    echo "needs these packages (Debian's names): $packages" >&2
    echo "install them, then run this again" >&2
    return 1
  fi
  echo "      installing: $packages"
  : >"$install_log"
  apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300"
  # The lists may be empty or old: take what they know, and fetch them only when that does not do.
  if ! $apt install --no-install-recommends $packages >>"$install_log" 2>&1 </dev/null; then
    if ! { $apt update && $apt install --no-install-recommends $packages; } >>"$install_log" 2>&1 </dev/null; then
      echo "apt-get failed; the end of $install_log:" >&2
      tail -n 20 "$install_log" >&2
      return 1
    fi
  fi
  still=$(missing_packages "$@" | tr '\n' ' ')
  if [ -n "$still" ]; then
    echo "still not found after installing: $still" >&2
    return 1
  fi
}
