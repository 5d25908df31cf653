#!/bin/sh
# Proves that the scripts need nothing but a plain Debian 12: makes one with debootstrap, clones the committed HEAD of
# this repository into it, and runs a script there as root.  Needs root, debootstrap and git.
#   .ci/fresh-root.sh [SCRIPT]      tests/run.sh unless told otherwise, such as examples/run.sh or .ci/run
#   FRESH_ROOT     where to make it (default: /tmp/fresh-root); one that exists is used as it is: remove it for a new one
#   DEBIAN_MIRROR  the package mirror (default: debootstrap's)
#   RAFTER_DATA    a folder of external data to show to the tests, read-only (default: none)
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
script=${1:-tests/run.sh}
root=${FRESH_ROOT:-/tmp/fresh-root}

if [ ! -x "$root/usr/bin/apt-get" ]; then
  echo "making a plain Debian 12 in $root"
  mkdir -p "$root"
  debootstrap --variant=minbase bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; exit 1; }
  rm -rf "$root"/var/lib/apt/lists/*
fi
# The way to the network is this machine's: its resolver, and apt's Acquire settings (a proxy, say).
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/hosts "$root/etc/hosts"
for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
  if [ -f "$file" ] && grep -q '^ *Acquire::' "$file"; then cp "$file" "$root/etc/apt/apt.conf.d/"; fi
done

mkdir -p "$root/home/project"
if [ -d "$root/home/project/rafter/.ci" ]; then rm -rf "$root/home/project/rafter"; fi
git clone -q "$source" "$root/home/project/rafter"

mounted=
unmount() { for folder in $mounted; do umount "$root/$folder" || true; done; }
trap unmount EXIT
mount_in() { mkdir -p "$root/$2" && mount --bind "$1" "$root/$2" && mounted="$2 $mounted"; }
mount -t proc proc "$root/proc" && mounted="proc $mounted"
for device in null zero full random urandom tty; do  # debootstrap makes these where it may
  [ -c "$root/dev/$device" ] || { : >"$root/dev/$device" && mount_in "/dev/$device" "dev/$device"; }
done
data=
if [ -n "${RAFTER_DATA:-}" ]; then mount_in "$RAFTER_DATA" home/project/shared/data && data=RAFTER_DATA=/home/project/shared/data; fi

began=$(date +%s)
status=0
case $script in *.sh) shell=sh ;; *) shell=bash ;; esac
chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C CI=true ${http_proxy:+http_proxy="$http_proxy"} \
  $data "$shell" "/home/project/rafter/$script" </dev/null || status=$?
echo "$script in a plain Debian 12: exit status $status after $(($(date +%s) - began)) s"
exit "$status"
