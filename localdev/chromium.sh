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
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    {
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
    } >/dev/null && find_chromium && exit
fi
echo 'missing: Chromium (Debian: apt-get install chromium) or Chrome; or say where one is with CHROMIUM_PATH' >&2
exit 1
