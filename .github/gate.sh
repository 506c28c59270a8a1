#!/usr/bin/env bash
# Judges each adapter in adapters/, or the model itself where there is none, with the tunegate of a Python: gate.sh PYTHON
# It reads $BASE, where the change comes from, and $PERMIT, which a reviewer may have given. All are judged, also after
# one that blocks; the exit code is the worst.
set -uo pipefail
shopt -s nullglob
worst=0
judge() {
  "$python" -I -m tunegate gate --policy-from="$BASE" ${PERMIT:+"--permit=$PERMIT"} --out="records/$1.json" "${@:2}"
  local code=$?
  if [ "$code" -gt "$worst" ]; then worst=$code; fi
}
python=$1
found=(adapters/*.ref adapters/*/adapter_model.safetensors)
for file in "${found[@]}"; do
  adapter=${file%/adapter_model.safetensors}
  judge "$(basename "$adapter" .ref)" --adapter="$adapter"
done
if [ ${#found[@]} -eq 0 ]; then judge model; fi
exit "$worst"
