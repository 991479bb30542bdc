# models/: every weights file has a row with its true size and hash, its use and
# terms, and a card; and this check sees what is missing.
# needs: c:python3
set -eu
script=$PWD/tests/py/model_cards.py
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

"$PYTHON" "$script" models || fail "models/ is not as its README says"

fresh() { rm -rf "$dir/m"; cp -r models "$dir/m"; }
sees() { # TEXT: what is to be said of $dir/m
	if "$PYTHON" "$script" "$dir/m" > "$dir/said"; then fail "not seen: $1"; fi
	grep -qF -- "$1" "$dir/said" || { cat "$dir/said"; fail "no '$1'"; }
}
model=$(basename "$(ls models/*.safetensors | head -n 1)" .safetensors)
size=$(wc -c < "models/$model.safetensors")
fresh
printf '\001\376\001' | dd of="$dir/m/$model.safetensors" bs=1 seek=$((size - 3)) \
	conv=notrunc 2> /dev/null
sees "README.md: the row of $model has to be"
grep -qF "$model.md: sha256" "$dir/said" || fail "the card's hash is not looked at"
fresh
cp "$dir/m/$model.safetensors" "$dir/m/new.safetensors"
sees "the row of new has to be | [new.safetensors](new.md) |"
grep -qF "new: no card new.md" "$dir/said" || fail "a missing card is not seen"
grep -qF "its metadata names no card new.md" "$dir/said" || fail "metadata"
fresh
rm "$dir/m/$model.safetensors"
sees "which is not here"
fresh
sed -i 's/\*\*Privacy\*\*/Privacy/' "$dir/m/$model.md"
sees "$model.md: no '**Privacy**'"
fresh
sed -i '/^| '"$model"' /d' "$dir/m/README.md"
sees "no row of use, error and terms for $model"
echo ok
