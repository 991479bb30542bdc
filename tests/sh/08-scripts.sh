# The scripts need what a minimal Debian and scripts/deps.sh give, and no test
# is ended by a clock: commands of procps, bsdmainutils and the like, and
# timeouts, in no script. (One is let through: scripts/in-root.sh, no test, gives up
# a command that its user's LIMIT bounds.)
# needs:
set -eu
rare='ps|pgrep|pkill|pidof|top|free|uptime|watch|vmstat|xxd|hexdump|bc|dc|file'
rare="$rare|killall|fuser|lsof|strace|column|hostname|gawk|perl|jq|rev|timeout"
# find SCRIPT...: lines with such a word where a command stands
find_rare() {
	grep -nE "(^|[;&|({\`!]|\\<(then|do|else|until|while|if|env|exec|xargs|nice|command))[[:space:]]*($rare)([[:space:]]|\$)" "$@" |
		grep -vE '^[^:]*:[0-9]*:[[:space:]]*#|command -v' || true
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# This check sees them where they stand, and nothing else.
cat > "$dir/bad.sh" <<'W'
pkill -f x
x=$(pgrep y)
a | xxd
if timeout 3 true; then ps; fi
until ! killall x; do free -m; done
W
cat > "$dir/good.sh" <<'W'
# ps shows
"$facet" bench x --timeout 3
fail "no file there" && for file in a; do :; done
command -v perl
top=3 file=x
W
[ "$(find_rare "$dir/bad.sh" | wc -l)" -eq 5 ] || { echo "not all seen" >&2; exit 1; }
[ -z "$(find_rare "$dir/good.sh" /dev/null)" ] || { find_rare "$dir/good.sh" /dev/null; exit 1; }
limit='timeout -k 30 "${LIMIT:-7200}" chroot '
found=$(find_rare tests/*.sh tests/*/*.sh scripts/*.sh | grep -v '^tests/sh/08-scripts.sh:' |
	grep -vE "^scripts/in-root.sh:[0-9]+:[[:space:]]*$(echo "$limit" | sed 's/[${}]/[&]/g')" || true)
[ -z "$found" ] || { echo "$found"; exit 1; }
