# What a system may withhold: room in /tmp, open files, locks, memory, cores, a
# working folder that can be written. Where there is a way on it is taken, else
# the error says what to do.
# needs: all tests/stages
set -eu
root=$(pwd)
facet=$root/$BUILD/facet
stages=$root/$BUILD/stages
tests=$root/$BUILD/tests/stages
unset XDG_RUNTIME_DIR TMPDIR
left= # what this machine could not show
dir=$(mktemp -d /var/tmp/facet-sh-XXXXXX) # not in /tmp: that goes below
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }
status() { # the exit status of a command into $code
	code=0
	"$@" > out 2> err || code=$?
}
mkdir -p p/id
for i in 1 2 3 4; do printf 'P5 4 4 255\n0123456789abcdef' > p/id/$i.pgm; done
cat > pics.yaml <<'Y'
version: 1
vars: {pictures: p, out: o, n: 1, writers: 1}
stages:
  catalog: {run: catalog, with: {root: "${pictures}", media: pictures, done: "${out}"}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}, replicas: "${n}"}
  store: {run: sample-writer, from: [frames, frames.failed, catalog.failed], with: {root: "${out}", format: png}, replicas: "${writers}"}
Y
good() { # OUT: a run gave four pictures
	[ $code -eq 0 ] || { cat out err; fail "$1: exit $code"; }
	[ "$(grep -c ',ok,' "$1/index.csv")" -eq 4 ] || fail "$1: four pictures"
}

# ---- the run's own folder: a short $TMPDIR, a long one, nothing left of either
long=$dir/$(printf '%0120d' 0)/x
mkdir -p short "$long"
for t in "$dir/short" "$long"; do
	rm -rf o
	status env TMPDIR="$t" "$facet" run -q pics.yaml
	good o
	[ -z "$(ls -A "$t")" ] || { ls -A "$t"; fail "left behind in $t"; }
done
# ... is really used: while a run waits for its first frame, it stands there
mkfifo go
cat > wait.sh <<'S'
#!/bin/sh
[ "$1" = --describe ] && { echo 'name: wait'; echo 'help: Waits.'; echo 'kind: source'; echo 'out: [{name: out, fields: "i i64"}]'; exit 0; }
echo "$FACET_ENDPOINT" > endpoint
cat go
exit 1
S
chmod +x wait.sh
cat > wait.yaml <<Y
version: 1
stages:
  src: {run: ./wait.sh}
  sink: {run: t-collect, from: src, with: {file: lines}}
Y
TMPDIR=$long FACET_STAGES=$tests "$facet" run -q wait.yaml > out 2> err &
pid=$!
i=0
while [ ! -s endpoint ]; do
	i=$((i + 1))
	[ $i -lt 1200 ] || { cat err; fail "the stage did not start"; }
	sleep 0.1
done
ls "$long" | grep -q '^facet-' || fail "no run folder in TMPDIR"
e=$(sed 's/^ipc:..//' endpoint)
[ ${#e} -le 107 ] || fail "a socket's path of ${#e} bytes: $e"
[ -S "$e" ] || fail "no socket '$e' for a stage's command"
: > go
wait $pid || true
[ -z "$(ls -A "$long")" ] || fail "left behind after a broken run"
# not ours, not there, relative: passed over
for x in / /no/such/folder "$dir/pics.yaml" run; do
	rm -rf o
	[ "$x" != / ] || [ "$(id -u)" -ne 0 ] || continue
	status env XDG_RUNTIME_DIR="$x" TMPDIR="$dir/short" "$facet" run -q pics.yaml
	good o
done

# ... another user's, as after su
as="setpriv --reuid=65534 --regid=65534 --clear-groups"
if [ "$(id -u)" -eq 0 ] && $as test -x "$facet" 2> /dev/null; then
	mkdir theirs
	chown 65534 theirs
	chmod 777 short
	status env XDG_RUNTIME_DIR="$dir/short" TMPDIR="$dir/theirs" FACET_LOG=debug \
		$as "$facet" run -q pics.yaml --set out="$dir/theirs/o"
	good theirs/o
	chmod 000 theirs
	status env XDG_RUNTIME_DIR="$dir/short" TMPDIR="$dir/theirs" \
		$as "$facet" run -q pics.yaml --set out="$dir/theirs/o"
	[ $code -ne 0 ] || fail "a store that cannot be reached: exit 0"
	chmod 755 theirs
fi

# ---- no room in /tmp, none anywhere
if unshare -rm mount -t tmpfs -o ro none short 2> /dev/null; then
	# The tree may lie in /tmp itself: it is seen from here too.
	mkdir tree
	cat > shut.sh <<'S'
set -eu
mount --rbind "$1" tree
mount -t tmpfs -o "$2" none /tmp
shift 2
exec "$@"
S
	for how in ro size=4k; do
		rm -rf o
		status unshare -rm sh shut.sh "$root" $how env TMPDIR="$dir/short" "tree/$BUILD/facet" run -q pics.yaml
		good o
		status unshare -rm sh shut.sh "$root" $how "tree/$BUILD/facet" run -q pics.yaml --set out=o2
		[ $code -eq 3 ] || { cat out err; fail "/tmp $how: exit $code, not 3"; }
		has err "'/tmp"
		has err 'set TMPDIR or XDG_RUNTIME_DIR to a folder on a local disk'
	done
	has err 'No space left on device'
	# the working folder is read-only
	mkdir ro
	cp -r p pics.yaml ro
	status unshare -rm sh -euc 'mount --bind ro ro; mount -o remount,ro,bind ro
		cd ro; exec "$1" run -q pics.yaml --set out="$2/o3"' sh "$facet" "$dir"
	good o3
	status unshare -rm sh -euc 'mount --bind ro ro; mount -o remount,ro,bind ro
		cd ro; exec "$1" run -q pics.yaml' sh "$facet"
	[ $code -eq 3 ] || fail "a read-only folder: exit $code, not 3"
	has err "cannot make folder 'o': Read-only file system"
else
	left="$left; disks of our own (unshare -rm)"
fi

# ---- few open files: a soft limit is raised, a hard one named
rm -rf o
status sh -c 'ulimit -S -n 40; exec "$@"' sh "$facet" run -q pics.yaml --set n=12
good o
status sh -c 'ulimit -n 64; exec "$@"' sh "$facet" run -q pics.yaml --set out=o4 --set n=50
[ $code -eq 3 ] || { cat out err; fail "ulimit -n 64: exit $code, not 3"; }
has err '52 processes: 180 files have to be open at a time, and the limit is 64: raise it (ulimit -n 180), or run fewer replicas'
rm -rf o
status sh -c 'ulimit -n 64; exec "$@"' sh "$facet" run -q pics.yaml --set n=8
good o

# ---- little memory: said at once
status sh -c 'ulimit -v 200000; OPENBLAS_NUM_THREADS=2 exec "$@"' sh "$facet" run -q pics.yaml --set out=o5
if grep -q 'the limit on memory is 195 MiB' err; then
	[ $code -eq 3 ] || fail "little memory: exit $code, not 3"
	has err 'are needed to start'
elif grep -q -e 'shared object' -e Sanitizer err; then
	left="$left; little memory (the program itself is larger)"
else
	cat err
	fail "little memory: exit $code"
fi

# ---- no flock: another lock stands in; no locks at all: what to do is said
cat > nolock.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file system without flock, and below "nolock" without any. */
int flock(int fd, int op)
{
    (void)fd, (void)op;
    errno = ENOLCK;
    return -1;
}

static int none(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return strstr(path, "/nolock/") != NULL;
}

#define FCNTL(name)                                                            \
    int name(int fd, int cmd, ...)                                             \
    {                                                                          \
        va_list ap;                                                            \
        va_start(ap, cmd);                                                     \
        void *arg = va_arg(ap, void *);                                        \
        va_end(ap);                                                            \
        int (*next)(int, int, ...) = (int (*)(int, int, ...))dlsym(            \
            RTLD_NEXT, "fcntl64");                                             \
        if ((cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW) && none(fd)) {         \
            errno = ENOLCK;                                                    \
            return -1;                                                         \
        }                                                                      \
        return next(fd, cmd, arg);                                             \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
C
if ldd "$facet" | grep -qE 'lib[alt]*san'; then
	left="$left; no locks (LD_PRELOAD beside a sanitizer)"
elif ! ${CC:-cc} -shared -fPIC -w -o nolock.so nolock.c -ldl 2> cc.err; then
	left="$left; no locks (no compiler)"
else
	rm -rf o
	# in a folder of its own: runs with flock would not see its lock
	export TMPDIR="$dir/short"
	status env LD_PRELOAD="$dir/nolock.so" "$facet" run -q pics.yaml --set writers=3
	good o
	[ -z "$(find o/.facet -name 'writer-*')" ] || fail "writers left in the store"
	# a dead writer is known as such there too
	mkdir o/.facet/writer-99
	: > o/.facet/writer-99/journal.tsv
	status env LD_PRELOAD="$dir/nolock.so" "$facet" run -q pics.yaml --set writers=3
	[ -z "$(find o/.facet -name 'writer-*')" ] || fail "a dead writer left in the store"
	mkdir nolock
	status env LD_PRELOAD="$dir/nolock.so" "$facet" run -q pics.yaml --set out=nolock/o
	[ $code -eq 3 ] || { cat out err; fail "no locks: exit $code, not 3"; }
	has err "cannot lock 'nolock/o/.facet/lock': this file system has no locks (No locks available): choose a folder on a local disk"
	# what is there can be read without
	rm -rf nolock/o
	mv o nolock/o
	status env LD_PRELOAD="$dir/nolock.so" sh -c '"$1/sample-reader" --stdio --root nolock/o > r.tape' sh "$stages"
	[ $code -eq 0 ] || { cat err; fail "reading without locks: exit $code"; }
	unset TMPDIR
fi

# ---- a narrowed mask: the plan counts what may be used
first=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
if command -v taskset > /dev/null; then
	cat > auto.yaml <<'Y'
version: 1
stages:
  catalog: {run: catalog, with: {root: p, media: pictures}}
  frames: {run: frame-sampler, from: catalog, with: {count: 1}, replicas: auto}
  store: {run: sample-writer, from: frames, with: {root: o}}
Y
	status taskset -c "$first" "$facet" run --dry-run auto.yaml
	has out 'frames: 1 x'
	has out '(1 core each)'
	has out '3 processes on 1 cores'
fi
[ -z "$left" ] || { echo "left out${left#;}"; exit 77; }
