#!/bin/sh
# The README's two commands in a fresh system, made for the purpose. --help says how.
set -u
usage() {
	cat <<'H'
usage: scripts/in-root.sh SUITE [COMMAND]

Makes a clean root of SUITE with debootstrap (minbase, git, make,
ca-certificates), clones this checkout's HEAD into it, and runs `make demo` and
`make check` there, or COMMAND (by sh, in the clone) instead. Prints the time,
the size, the closing line and the exit status of each; full logs are kept in
the folder it names. The root has mounts and processes of its own, and is removed
at the end. Needs root, debootstrap and unshare.

SUITE: bookworm, trixie, sid (Debian); jammy, noble (Ubuntu, where its keyring,
ubuntu-archive-keyring.gpg, is installed: Debian has no package of it).

From the environment:
  MIRROR   the archive (http://deb.debian.org/debian, http://archive.ubuntu.com/ubuntu)
  ROOTS    where the root is made (a new folder in /var/tmp)
  LOGS     where the logs go (a new folder in /tmp)
  CACHE    a folder that keeps .deb files from run to run (none); apt locks it,
           so two runs at once need one each
  KEEP     1: leave the root, and say where it is
  LIMIT    seconds a command may take (7200)

Exit status: 0 if every command's was, 1 if one's was not, 2 if the root could
not be made, 130 if interrupted.
H
}

fail() {
	echo "in-root.sh: $*" >&2
	exit 2
}

case ${1:-} in
-h | --help) usage; exit 0 ;;
'' | -*) usage >&2; exit 2 ;;
esac
suite=$1
shift
[ $# -le 1 ] || { usage >&2; exit 2; }

if [ "${IN_ROOT_INSIDE:-}" != 1 ]; then
	# In front: make the root, and clear up whatever happens inside.
	[ "$(id -u)" = 0 ] || fail "only root can make a root: run it through sudo"
	for c in debootstrap unshare git setsid timeout; do
		command -v $c > /dev/null || fail "'$c' is not installed"
	done
	unshare --mount --pid --fork true 2> /dev/null ||
		fail "this system lets nobody unshare mounts and processes"
	tree=$(cd "$(dirname "$0")/.." && pwd -P) || exit 2
	head=$(git -C "$tree" rev-parse HEAD 2>&1) ||
		fail "'$tree' is no git checkout: $head"
	key=
	case $suite in
	bookworm | trixie | forky | sid) mirror=${MIRROR:-http://deb.debian.org/debian} ;;
	jammy | noble)
		mirror=${MIRROR:-http://archive.ubuntu.com/ubuntu}
		key=/usr/share/keyrings/ubuntu-archive-keyring.gpg
		[ -f $key ] || fail "no $key to check Ubuntu's archive by (package ubuntu-keyring, which Debian does not have)" ;;
	*) fail "suite '$suite' is unknown: bookworm, trixie, sid, jammy or noble" ;;
	esac
	if [ -n "${ROOTS:-}" ]; then
		mkdir -p "$ROOTS" || exit 2
	fi
	root=$(mktemp -d "${ROOTS:-/var/tmp}/facet-$suite-XXXXXX") || exit 2
	logs=${LOGS:-$(mktemp -d "/tmp/facet-in-root-$suite-XXXXXX")} || exit 2
	mkdir -p "$logs" || exit 2
	child=
	# What is mounted lives in the child's namespace and goes with it; when that
	# is gone, nothing but plain files is below $root. --one-file-system makes
	# sure of it.
	cleanup() {
		trap '' INT TERM
		if [ -n "$child" ]; then
			kill -KILL "$child" 2> /dev/null
			wait "$child" 2> /dev/null
		fi
		if [ "${KEEP:-0}" = 1 ]; then
			echo "in-root.sh: the root is kept: $root" >&2
		else
			# what was killed may still be on its way out
			for i in 1 2 3 4 5; do
				rm -rf --one-file-system "$root" 2> /dev/null && break
				sleep 1
			done
			[ ! -e "$root" ] || echo "in-root.sh: cannot remove $root" >&2
		fi
		echo "in-root.sh: logs: $logs" >&2
	}
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	echo "in-root.sh: $suite from $mirror, $(git -C "$tree" log -1 --format=%h), logs in $logs"
	IN_ROOT_INSIDE=1 TREE=$tree HEAD=$head ROOT=$root LOG=$logs KEY=$key \
		MIRROR=$mirror unshare --mount --pid --fork --kill-child \
		sh "$0" "$suite" "$@" &
	child=$!
	wait "$child"
	rc=$?
	child=
	exit $rc
fi

# Inside: process 1 of a namespace of its own, with mounts of its own.
mount --make-rprivate / || exit 2
start=$(date +%s)
size() {
	du -sxm "$ROOT" 2> /dev/null | cut -f1
}
echo "debootstrap ..."
debootstrap --variant=minbase --include=git,make,ca-certificates \
	${KEY:+--keyring="$KEY"} ${CACHE:+--cache-dir="$CACHE"} \
	"$suite" "$ROOT" "$MIRROR" > "$LOG/debootstrap.log" 2>&1 < /dev/null || {
	tail -n 15 "$LOG/debootstrap.log" >&2
	fail "debootstrap of $suite failed: $LOG/debootstrap.log"
}
echo "  $(($(date +%s) - start)) s, $(size) MB"
mount -t proc proc "$ROOT/proc" && mount -t tmpfs tmpfs "$ROOT/dev" &&
	mkdir "$ROOT/dev/shm" "$ROOT/dev/pts" && mount -t tmpfs tmpfs "$ROOT/dev/shm" &&
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$ROOT/dev/pts" ||
	fail "cannot mount /proc and /dev in the root"
ln -s pts/ptmx "$ROOT/dev/ptmx"
for d in null zero full random urandom tty; do
	: > "$ROOT/dev/$d"
	mount --bind /dev/$d "$ROOT/dev/$d" || fail "cannot bind /dev/$d"
done
ln -s /proc/self/fd "$ROOT/dev/fd"
ln -s fd/0 "$ROOT/dev/stdin"
ln -s fd/1 "$ROOT/dev/stdout"
ln -s fd/2 "$ROOT/dev/stderr"
if [ -n "${CACHE:-}" ]; then
	mkdir -p "$CACHE" && mount --bind "$CACHE" "$ROOT/var/cache/apt/archives" ||
		fail "cannot use the cache '$CACHE'"
	# minbase throws the files away after installing them
	echo 'APT::Keep-Downloaded-Packages "true";' > "$ROOT/etc/apt/apt.conf.d/99keep"
	rm -f "$ROOT/etc/apt/apt.conf.d/docker-clean"
fi
[ -f /etc/resolv.conf ] && cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
for f in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy*; do
	[ -f "$f" ] && cp "$f" "$ROOT/etc/apt/apt.conf.d/"
done
git -c safe.directory="$TREE" clone -q "$TREE" "$ROOT/root/facet" &&
	git -C "$ROOT/root/facet" checkout -q "$HEAD" || fail "cannot clone $TREE"

status=0
number=0
one() {
	number=$((number + 1))
	log=$LOG/$number.log
	echo "$1 ..."
	t=$(date +%s)
	timeout -k 30 "${LIMIT:-7200}" chroot "$ROOT" /usr/bin/env -i HOME=/root \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LC_ALL=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} \
		sh -c "cd /root/facet && $1" > "$log" 2>&1 < /dev/null
	rc=$?
	[ $rc = 124 ] && echo "  it took longer than ${LIMIT:-7200} s"
	echo "  $(($(date +%s) - t)) s, $(size) MB, $(wc -l < "$log") lines, $(
		grep -c 'warning:' "$log") warnings, exit status $rc: $log"
	echo "  $(tail -n 1 "$log")"
	[ $rc = 0 ] || status=1
}
if [ $# -gt 0 ]; then
	one "$1"
else
	one "make demo"
	one "make check"
fi
exit $status
