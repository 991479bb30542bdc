# field TAPE NAME: the numbers of a field, as `facet tape show --full` prints
# them, a line a row. Sourced by tests; $facet is the program.
field() {
	"$facet" tape show --full "$1" | awk -v f="$2" '
		$1 == f {
			if (NF > 2) {sub(/^ *[^ ]+ [^ ]+ */, ""); print}
			on = 1
			next
		}
		on && /^    / {sub(/^ */, ""); print; next}
		{on = 0}'
}
