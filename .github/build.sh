#!/usr/bin/env bash
# Builds sdist and wheel twice from what is committed, compares them byte by byte, and runs twine's checks.
#   bash .github/build.sh FOLDER
set -euo pipefail
out=$(realpath -m "$1")
root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet build==1.6.1 twine==7.0.0
umask 022
for n in 1 2; do
  git clone --quiet "$root" "$work/$n"
  "$work/venv/bin/python" -m build --outdir "$work/dist-$n" "$work/$n" >"$work/log" || { cat "$work/log"; exit 1; }
  # setuptools keeps the times and owners of files in the sdist
  mkdir "$work/sdist-$n"
  tar -xzf "$work/dist-$n"/*.tar.gz -C "$work/sdist-$n"
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=posix \
    --pax-option=delete=atime,delete=ctime -C "$work/sdist-$n" -c "$(ls "$work/sdist-$n")" |
    gzip -n >"$work/repacked.tar.gz"
  mv "$work/repacked.tar.gz" "$work/dist-$n/$(basename "$work/dist-$n"/*.tar.gz)"
done
diff -r "$work/dist-1" "$work/dist-2"
"$work/venv/bin/python" -m twine check --strict "$work"/dist-1/*
mkdir -p "$out"
cp "$work"/dist-1/* "$out"
sha256sum "$out"/*
