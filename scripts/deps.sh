#!/bin/sh
# deps.sh check|build|test: the packages that building and testing need.
# check names what the build lacks. build installs that, test also what the
# tests need, by apt (through sudo where not root); on systems without apt they
# name what is missing and stop. Nothing is downloaded but packages.
set -u
mode=${1:-check}

# what pkg-config, a header or a command must show : Debian package
pkgs="
pc:libzmq:libzmq3-dev
h:msgpack.h:libmsgpack-dev
pc:libavformat:libavformat-dev
pc:libavcodec:libavcodec-dev
pc:libavutil:libavutil-dev
pc:libswscale:libswscale-dev
pc:libpng:libpng-dev
pc:libjpeg:libjpeg62-turbo-dev|libjpeg-turbo8-dev
pc:libwebpdemux:libwebp-dev
pc:libheif:libheif-dev
pc:yaml-0.1:libyaml-dev
pc:libzip:libzip-dev
pc:openblas:libopenblas-dev
h:xxhash.h:libxxhash-dev
"
# Without oneDNN (make DNNL=0) networks run on OpenBLAS alone.
[ "${DNNL:-1}" = 0 ] || pkgs="$pkgs
h:dnnl.h:libdnnl-dev
"
tools="
c:gcc:gcc
h:stdlib.h:libc6-dev
c:pkg-config:pkg-config
"
# The tests need these as well; the build does not.
test_tools="
h:cmocka.h:libcmocka-dev
c:ffmpeg:ffmpeg
c:ffprobe:ffmpeg
c:dot:graphviz
c:gnuplot:gnuplot-nox
py:torch:python3-torch
py:numpy:python3-numpy
py:zmq:python3-zmq
py:msgpack:python3-msgpack
py:cv2:python3-opencv
py:yaml:python3-yaml
"

have() {
	kind=${1%%:*}; rest=${1#*:}; what=${rest%%:*}
	case $kind in
	pc) pkg-config --exists "$what" 2>/dev/null ;;
	h) printf '#include <%s>\n' "$what" |
		${CC:-gcc} -E -I/usr/include/x86_64-linux-gnu/openblas-pthread - \
		>/dev/null 2>&1 ;;
	c) command -v "$what" >/dev/null 2>&1 ;;
	py) "${PYTHON:-/usr/bin/python3}" -c "
import importlib.util as u, sys
sys.exit(u.find_spec('$what') is None)" 2>/dev/null ;;
	esac
}

# The first of alternative packages that apt knows.
choose() {
	for p in $(echo "$1" | tr '|' ' '); do
		if apt-cache show "$p" >/dev/null 2>&1; then echo "$p"; return; fi
	done
	echo "${1%%|*}"
}

missing() {
	for line in "$@"; do
		have "$line" || echo "${line##*:}"
	done | sort -u
}

case $mode in
check | build) want="$tools $pkgs" ;;
test) want="$tools $pkgs $test_tools" ;;
*)
	echo "usage: deps.sh check|build|test" >&2
	exit 2
	;;
esac
m=$(missing $want)
[ -z "$m" ] && exit 0

if [ "$mode" = check ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "facet: missing on this system (Debian names):" >&2
	for p in $m; do echo "  $p" >&2; done
	command -v apt-get >/dev/null 2>&1 &&
		echo "facet: 'make deps' installs them" >&2
	exit 1
fi

run=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || {
		echo "facet: need root or sudo to install:" $m >&2
		exit 1
	}
	run=sudo
fi
$run apt-get update -q || exit 1
list=
for p in $m; do list="$list $(choose "$p")"; done
echo "facet: installing$list"
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
	--no-install-recommends $list || exit 1
m=$(missing $want)
[ -z "$m" ] || { echo "facet: still missing:" $m >&2; exit 1; }
