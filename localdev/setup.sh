#!/bin/sh
# Makes .venv (Python 3.13 and everything pinned in requirements-dev.txt), localdev/node_modules (Azurite) and the live
# page (client/demo/dist). Each again only when its lock file or sources changed. Every missing prerequisite is named
# with how to get it; without the page everything else works, so a page that cannot be built is only said.
# `./localdev/setup.sh python` makes .venv only: what needs no Node can do without it.
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
[ "${1:-}" != python ] || exit 0

node_major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
[ "${node_major:-0}" -ge 20 ] || need 'Node 20 or newer with npm (https://nodejs.org, or nvm install 20)'
wanted=$(stamp localdev/package-lock.json)
if [ "$(cat localdev/node_modules/.stamp 2>/dev/null)" != "$wanted" ]; then
    npm ci --prefix localdev --loglevel error --no-audit --no-fund
    echo "$wanted" >localdev/node_modules/.stamp
fi

page_sources() {
    find client/demo client/src \( -name node_modules -o -name dist \) -prune -o -type f -exec cksum {} + | sort | cksum
}

build_page() {
    cd client/demo
    npm ci --loglevel error --no-audit --no-fund && npm run build --silent -- --logLevel error
}

wanted=$(page_sources)
if [ "$(cat client/demo/dist/.stamp 2>/dev/null)" != "$wanted" ]; then
    if (build_page); then
        echo "$wanted" >client/demo/dist/.stamp
    else
        echo 'the live page could not be built (cd client/demo && npm ci && npm run build); going on without it' >&2
        rm -rf client/demo/dist
    fi
fi
