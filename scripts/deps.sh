#!/bin/sh
# deps.sh MODE: the packages that building and testing need. Modes: check names
# what the build lacks; build installs that, test also what the tests need;
# only KIND:WHAT.. what the build and those tests need (scripts/needs.sh);
# fuzz what `make fuzz` needs; clang what a build by Clang needs. Installing is
# by apt (through sudo where not root); on systems without apt what is missing is
# named. Nothing is downloaded but packages. What apt says is in B/deps.log.
set -u
mode=${1:-check}
[ $# -gt 0 ] && shift
cc=${CC:-gcc}

# what pkg-config (pc), a header (h), a command (c), a Python module (py), a
# program that is compiled and linked (ld) must show : Debian package. | divides
# names of the same thing in different releases.
pkgs="
pc:libzmq:libzmq3-dev
pc:msgpack-c|msgpack:libmsgpack-c-dev|libmsgpack-dev
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
pc:libxxhash:libxxhash-dev
"
# Without oneDNN (make DNNL=0) networks run on OpenBLAS alone.
[ "${DNNL:-1}" = 0 ] || pkgs="$pkgs
h:dnnl.h:libdnnl-dev
"
# The tests need these as well; the build does not.
test_tools="
pc:cmocka:libcmocka-dev
c:python3:python3
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

# The compiler, and Clang's OpenMP, which is a package of its own.
compiler() {
	case $1 in
	*clang*)
		v=${1##*clang}
		echo "c:$1:clang$v"
		echo "ld:omp=$1:libomp$v-dev" ;;
	*-gcc) echo "c:$1:gcc-$(echo "${1%-gcc}" | tr _ -)" ;;
	cc) echo "c:cc:gcc" ;;
	*) echo "c:$1:$1" ;;
	esac
}
tools="
$(compiler "${cc%% *}")
h:stdlib.h:libc6-dev
c:pkg-config:pkg-config
"

links() { # what compiler
	case $1 in
	omp) flags=-fopenmp text='#include <omp.h>
int main(void) { return omp_get_max_threads() < 1; }' ;;
	fuzzer) flags=-fsanitize=address,undefined,fuzzer text='#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{ return p && n == 1u << 31; }' ;;
	esac
	echo "$text" | $2 -x c $flags -o /dev/null - 2>/dev/null
}

have() {
	kind=${1%%:*}; rest=${1#*:}; what=${rest%%:*}
	case $kind in
	pc)
		for name in $(echo "$what" | tr '|' ' '); do
			pkg-config --exists "$name" 2>/dev/null && return
		done
		return 1 ;;
	h) echo "#include <$what>" | $cc ${CPPFLAGS:-} -E - >/dev/null 2>&1 ;;
	ld) links "${what%%=*}" "${what#*=}" ;;
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

# The package is what follows the last colon, and has | of its own.
case $mode in
check | build) want="$tools $pkgs" ;;
test) want="$tools $pkgs $test_tools" ;;
only)
	want="$tools $pkgs"
	for w; do
		line=$(echo "$test_tools" | grep "^$w:") || {
			echo "deps.sh: nothing is known of '$w'" >&2
			exit 2
		}
		want="$want $line"
	done ;;
clang | fuzz)
	case $cc in *clang*) ;; *) cc=clang ;; esac
	want="$(compiler "${cc%% *}") $tools $pkgs"
	[ "$mode" = clang ] || {
		v=${cc%% *} v=${v##*clang}
		want="$want ld:fuzzer=${cc%% *}:libclang-rt$v-dev"
	} ;;
*)
	echo "usage: deps.sh check|build|test|clang|fuzz|only [KIND:WHAT]..." >&2
	exit 2
	;;
esac
m=$(missing $want)
[ -z "$m" ] && exit 0

if [ "$mode" = check ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "facet: missing on this system (Debian names):" >&2
	for p in $m; do echo "  $p" | sed "s/|/ or /g" >&2; done
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
mkdir -p "${B:-build}" && log=${B:-build}/deps.log && : > "$log" || exit 1
quietly() {
	"$@" >> "$log" 2>&1 && return
	echo "facet: '$*' failed:" >&2
	tail -n 40 "$log" >&2
	return 1
}
quietly $run apt-get update -q || exit 1
list=
for p in $m; do list="$list $(choose "$p")"; done
echo "facet: installing$list (apt's lines are in $log)"
quietly $run env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
	--no-install-recommends $list || exit 1
m=$(missing $want)
[ -z "$m" ] || { echo "facet: still missing:" $m >&2; exit 1; }
