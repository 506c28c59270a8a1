#!/usr/bin/env bash
# Judges with the tunegate of a Python: gate.sh PYTHON. Each adapter in $ADAPTERS, one a line, or else all in adapters/, or
# the model itself where there is none; with $MODEL that one. It reads $BASE, where the change comes from, and $APPROVE,
# which a reviewer may have given, and leaves records and decisions in $OUT. All are judged, also after one that blocks;
# the exit code is the worst. Nothing is judged where an adapter would be left out, or two would share their files.
set -uo pipefail
shopt -s nullglob
worst=0
decide() { # NAME WHY: leaves a decision that refuses
  local LC_ALL=C why=${2//\\/\/}
  why=${why//\"/\'}
  why=${why//[^[:print:]]/?} # a name is the author's, and this becomes JSON
  printf '{"passes": false, "refused": "%s", "modified": [], "added": [], "approve": "", "approved": false, "by_rules": [], "notes": []}\n' \
    "$why" > "$OUT/$1.decision.json"
}
refuse() { # FOUND EXPECTED
  decide refused "expected $2, found $1"
  printf 'gate.sh: expected %s, found %q\n' "$2" "${1//#/?}" >&2 # quoted: no line of the log is a command of its author
  exit 4
}
judge() {
  decide "$1" "$1: the gate did not start: see the log of the job"
  "$python" -I -m tunegate gate ${BASE:+"--policy-from=$BASE"} ${APPROVE:+"--approve=$APPROVE"} ${MODEL:+"--model=$MODEL"} \
    --out="$OUT/$1.json" --decision="$OUT/$1.decision.json" "${@:2}"
  local code=$?
  if [ "$code" -gt "$worst" ]; then worst=$code; fi
}
python=$1
mkdir -p "$OUT" || exit 3
rm -f "$OUT"/*.decision.json || exit 3
found=()
if [ -n "${ADAPTERS:-}" ]; then
  mapfile -t found < <(grep -v '^[[:space:]]*$' <<< "$ADAPTERS")
elif [ -z "${MODEL:-}" ]; then
  found=(adapters/*.ref adapters/*/adapter_model.safetensors)
  declare -A judged=()
  for file in "${found[@]}"; do judged[$file]=1; done
  while IFS= read -r -d '' file; do
    if [ -z "${judged[$file]:-}" ]; then
      refuse "$file" "every adapter at adapters/NAME.ref or adapters/NAME/adapter_model.safetensors, or named by \`adapters\`"
    fi
  done < <(if [ -e adapters ]; then find -L adapters \( -name '*.ref' -o -name 'adapter_model*' \) -print0; fi)
fi
declare -A named=()
for file in "${found[@]}"; do
  adapter=${file%/adapter_model.safetensors}
  name=$(basename "$adapter" .ref)
  if [ -n "${named[$name]:-}" ]; then refuse "$adapter beside ${named[$name]}" "adapters of different names"; fi
  if [[ $name = *.decision ]]; then refuse "$adapter" "an adapter whose name does not end in .decision"; fi
  named[$name]=$adapter
done
for file in "${found[@]}"; do
  adapter=${file%/adapter_model.safetensors}
  judge "$(basename "$adapter" .ref)" --adapter="$adapter"
done
if [ ${#found[@]} -eq 0 ]; then judge model; fi
exit "$worst"
