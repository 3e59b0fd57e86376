#!/bin/sh
# Installs what the client's checks and tests need (Expo included, about 500 MB). Again only when the lock file changed.
set -eu
cd "$(dirname "$0")"
wanted=$(cksum <package-lock.json)
if [ "$(cat node_modules/.stamp 2>/dev/null)" != "$wanted" ]; then
    npm ci --loglevel error --no-audit --no-fund
    echo "$wanted" >node_modules/.stamp
fi
