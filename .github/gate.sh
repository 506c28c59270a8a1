#!/usr/bin/env bash
# Runs the gate with the tunegate of a Python: gate.sh PYTHON. Evaluates each adapter in $ADAPTERS, one per line, or all in
# adapters/, or the model itself if there is none; with $MODEL that model. Reads $BASE, the base of the change, and $APPROVE,
# a reviewer's approval, and writes records and decisions to $OUT. All adapters are evaluated, even after one that blocks;
# the exit code is the worst. Nothing is evaluated if an adapter would be skipped, or if two would share their files.
set -uo pipefail
shopt -s nullglob
worst=0
decide() { # NAME WHY: writes a decision that refuses
  local LC_ALL=C why=${2//\\/\/}
  why=${why//\"/\'}
  why=${why//[^[:print:]]/?} # an untrusted name that becomes JSON
  printf '{"passes": false, "refused": "%s", "modified": [], "added": [], "approve": "", "approved": false, %s}\n' \
    "$why" '"configuration": [], "untrue": [], "by_rules": [], "notes": []' > "$OUT/$1.decision.json"
}
refuse() { # FOUND EXPECTED
  decide refused "expected $2, found $1"
  printf 'gate.sh: expected %s, found %q\n' "$2" "${1//#/?}" >&2 # quoted, so that no log line is a command of the author
  exit 4
}
evaluate() {
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
  for file in adapters/*/config.json; do # of a whole model, unless an adapter is beside it
    if [ ! -e "${file%config.json}adapter_model.safetensors" ]; then found+=("$file"); fi
  done
  declare -A listed=()
  for file in "${found[@]}"; do listed[$file]=1; done
  while IFS= read -r -d '' file; do
    if [ -z "${listed[$file]:-}" ] && [ -z "${listed[${file%config.json}adapter_model.safetensors]:-}" ]; then
      refuse "$file" "every adapter at adapters/NAME.ref or adapters/NAME/adapter_model.safetensors, every whole model at \
adapters/NAME/config.json, or named by \`adapters\`"
    fi
  done < <(if [ -e adapters ]; then find -L adapters \( -name '*.ref' -o -name 'adapter_model*' -o -name config.json \) -print0; fi)
fi
declare -A named=()
found=("${found[@]%/adapter_model.safetensors}")
found=("${found[@]%/config.json}")
for adapter in "${found[@]}"; do
  name=$(basename "$adapter" .ref)
  if [ -n "${named[$name]:-}" ]; then refuse "$adapter and ${named[$name]}" "adapters of different names"; fi
  if [[ $name = *.decision ]]; then refuse "$adapter" "an adapter whose name does not end in .decision"; fi
  named[$name]=$adapter
done
for adapter in "${found[@]}"; do
  evaluate "$(basename "$adapter" .ref)" --adapter="$adapter"
done
if [ ${#found[@]} -eq 0 ]; then evaluate model; fi
exit "$worst"
