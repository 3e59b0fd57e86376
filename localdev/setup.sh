#!/bin/sh
# Makes .venv (Python 3.13 and everything pinned in requirements-dev.txt) and localdev/node_modules (Azurite).
# Runs again only when a lock file changed. Every missing prerequisite is named with how to get it.
set -eu
cd "$(dirname "$0")/.."

need() { printf 'missing: %s\n' "$1" >&2; exit 1; }
stamp() { cat "$@" | cksum; }

python313() {
    for candidate in "$(command -v python3.13 || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13; do
        [ -x "$candidate" ] && "$candidate" -c '' 2>/dev/null && { echo "$candidate"; return; }
    done
    echo 3.13 # none on this machine: uv fetches one
}

uv_command() {
    if uv --version >/dev/null 2>&1; then echo uv; return; fi
    if [ ! -x .tools/bin/uv ]; then
        python3 -m venv .tools 2>/dev/null || need 'python3 with venv (Debian: apt-get install python3-venv) or uv (https://docs.astral.sh/uv)'
        .tools/bin/python -m pip install --quiet uv==0.13.9
    fi
    echo .tools/bin/uv
}

wanted=$(stamp requirements-dev.txt)
if [ "$(cat .venv/.stamp 2>/dev/null)" != "$wanted" ]; then
    uv=$(uv_command)
    "$uv" venv --quiet --clear --python "$(python313)" .venv ||
        need 'Python 3.13 (pyenv install 3.13, or https://www.python.org/downloads/)'
    "$uv" pip sync --quiet --python .venv/bin/python requirements-dev.txt
    echo "$wanted" >.venv/.stamp
fi

node_major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
[ "${node_major:-0}" -ge 20 ] || need 'Node 20 or newer with npm (https://nodejs.org, or nvm install 20)'
wanted=$(stamp localdev/package-lock.json)
if [ "$(cat localdev/node_modules/.stamp 2>/dev/null)" != "$wanted" ]; then
    npm ci --prefix localdev --silent --no-audit --no-fund
    echo "$wanted" >localdev/node_modules/.stamp
fi
