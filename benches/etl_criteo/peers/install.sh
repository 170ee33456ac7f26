#!/usr/bin/env bash
# Makes the Python environments of the peers in a folder, each once:
#   columnar   Polars and DuckDB, Python 3.11 or later
#   nvtabular  NVTabular, Python 3.10 only; it builds a C++ extension, so it needs a compiler
#
#   install.sh FOLDER [columnar] [nvtabular]
#
# PYTHON311 and PYTHON310 name the interpreters, where python3.11 and python3.10 are not found.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=${1:?install.sh FOLDER [columnar] [nvtabular]}
shift
[ $# -gt 0 ] || set -- columnar nvtabular
mkdir -p "$root"
for name in "$@"; do
  case $name in
    columnar) python=${PYTHON311:-python3.11} ;;
    nvtabular) python=${PYTHON310:-python3.10} ;;
    *) echo "$name? columnar or nvtabular" >&2; exit 2 ;;
  esac
  "$python" -m venv "$root/$name"
  # The lists are complete, and NVTabular's own metadata asks for versions that do not go together.
  "$root/$name/bin/pip" install --quiet --no-deps -r "$here/$name.txt"
  echo "$name: $("$root/$name/bin/python" --version)"
done
