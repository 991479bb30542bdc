# README and docs say what is: the YAML shown is the file, the output shown is
# the program's, each pipeline, file and link that is named is there.
# needs: all
set -eu
facet=$PWD/$BUILD/facet
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
wrong() { echo "FAILED: $*" >&2; bad=1; }
unset FACET_STAGES FACET_MODELS FACET_PIPELINES

# block FILE N LANGUAGE: its N-th block of that language
block() {
	awk -v n="$2" -v lang="$3" '
		/^```/ && inside {if (on) exit; inside = 0; next}
		on {print}
		/^```/ {inside = 1; on = $0 == "```" lang && ++k == n}' "$1"
}
block README.md 1 yaml > "$dir/first.yaml"
cmp pipelines/preprocess.yaml "$dir/first.yaml" ||
	wrong "README's first YAML is not pipelines/preprocess.yaml"

# The faults of docs/pipelines.md, word for word.
awk '/^Of this file, broken.yaml,/ {on = 1} on' docs/pipelines.md > "$dir/part.md"
block "$dir/part.md" 1 yaml > "$dir/broken.yaml"
block "$dir/part.md" 1 "" | sed 1d > "$dir/want"
mkdir "$dir/clips"
(cd "$dir" && "$facet" check broken.yaml) > "$dir/got" 2>&1 && wrong "broken.yaml is sound"
diff "$dir/want" "$dir/got" || wrong "docs/pipelines.md shows another output"

pages="README.md $(ls docs/*.md models/*.md)"
# Pipelines: by file or by name.
grep -ohE 'facet (run|check|graph) [A-Za-z0-9_./-]+' $pages | sort -u > "$dir/runs"
[ "$(wc -l < "$dir/runs")" -ge 15 ] || wrong "only $(wc -l < "$dir/runs") commands found"
while read -r _ verb name; do
	case $name in
	-* | FILE | NAME | PIPELINE | x.yaml | broken.yaml | p.yaml) continue ;;
	esac
	"$facet" "$verb" "$name" --help > /dev/null 2> "$dir/err" ||
		wrong "facet $verb $name: $(cat "$dir/err")"
done < "$dir/runs"
# Each pipeline is listed in the README, each --set of a variable is one.
for p in pipelines/*.yaml; do
	grep -qF "\`$p\`" README.md || wrong "README does not list $p"
done

# Links, and files in backquotes or text.
for page in $pages; do
	at=$(dirname "$page")
	grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^http' | sort -u |
	while read -r to; do
		[ -e "$at/$to" ] || echo "$page: no $to"
	done
	grep -oE '(^|[^A-Za-z0-9_./$-])(lib|cli|stages|pipelines|examples|tests|scripts|bench|docs|models)/[A-Za-z0-9_./-]*\.(c|h|yaml|py|sh|md)' "$page" |
		sed -E 's/^[^a-z]//' | sort -u |
	while read -r to; do
		[ -e "$to" ] || echo "$page: no $to"
	done
done | grep -v 'docs/plan.md:\|no stages/blur.c' > "$dir/missing" || true
[ ! -s "$dir/missing" ] || { cat "$dir/missing"; wrong "files that are not there"; }

# Verbs and stages that are named exist.
grep -ohE 'facet (tape|bench|model|stages|new|import-torch|pipelines|run|check|graph) ' $pages |
	awk '{print $2}' | sort -u |
	while read -r verb; do "$facet" "$verb" --help > /dev/null || echo "$verb"; done |
	grep . && wrong "a verb"
# Nothing outside the repository, and no word that only its authors know.
if grep -n '\.\./shared\|the seed'"'"'s\|the design' $(echo "$pages" | grep -v 'plan.md\|media.md'); then
	wrong "words of the makers"
fi
[ $bad -eq 0 ]
