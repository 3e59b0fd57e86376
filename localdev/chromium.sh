#!/bin/sh
# Prints where Chromium (or Chrome) is; installs it where that is possible without asking (Debian, as root).
# CHROMIUM_PATH names another one.
set -eu

find_chromium() {
    for candidate in "${CHROMIUM_PATH:-}" chromium chromium-browser google-chrome; do
        [ -n "$candidate" ] && command -v "$candidate" && return
    done
    return 1
}

find_chromium && exit
"$(dirname "$0")/debian_packages.sh" chromium && find_chromium && exit
echo 'missing: Chromium (Debian: apt-get install chromium) or Chrome; or say where one is with CHROMIUM_PATH' >&2
exit 1
