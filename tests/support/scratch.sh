# A folder of its own for a script, in memory where there is room, and words for
# what it finds. Sourced from the repository root; leaves the script in the folder,
# which KEEP=1 keeps.
root=$(pwd)
facet=$root/$BUILD/facet
tmp=/tmp
[ -w /dev/shm ] && tmp=/dev/shm
dir=$(mktemp -d "$tmp/facet-sh-XXXXXX")
trap '[ -n "${KEEP:-}" ] || rm -rf "$dir"' EXIT
cd "$dir"

fail() { echo "FAILED: $*" >&2; exit 1; }
# has FILE TEXT: the text is in the file; hasnt: it is not
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "no '$2' in $1"; }; }
hasnt() { ! grep -qF -- "$2" "$1" || { cat "$1"; fail "'$2' in $1"; }; }
