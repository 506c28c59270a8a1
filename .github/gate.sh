#!/usr/bin/env bash
# Judges with the tunegate of a Python: gate.sh PYTHON. Each adapter in $ADAPTERS, one a line, or else all in adapters/, or
# the model itself where there is none; with $MODEL that one. It reads $BASE, where the change comes from, and $PERMIT,
# which a reviewer may have given, and leaves records and decisions in $OUT. All are judged, also after one that blocks;
# the exit code is the worst.
set -uo pipefail
shopt -s nullglob
worst=0
judge() {
  "$python" -I -m tunegate gate ${BASE:+"--policy-from=$BASE"} ${PERMIT:+"--permit=$PERMIT"} ${MODEL:+"--model=$MODEL"} \
    --out="$OUT/$1.json" --decision="$OUT/$1.decision.json" "${@:2}"
  local code=$?
  if [ "$code" -gt "$worst" ]; then worst=$code; fi
}
python=$1
if [ -n "${ADAPTERS:-}" ]; then
  mapfile -t found < <(grep -v '^[[:space:]]*$' <<< "$ADAPTERS")
elif [ -n "${MODEL:-}" ]; then
  found=()
else
  found=(adapters/*.ref adapters/*/adapter_model.safetensors)
fi
for file in "${found[@]}"; do
  adapter=${file%/adapter_model.safetensors}
  judge "$(basename "$adapter" .ref)" --adapter="$adapter"
done
if [ ${#found[@]} -eq 0 ]; then judge model; fi
exit "$worst"
