#!/bin/sh
# Installs Debian packages where that is possible without asking (as root). Parts of the tests run side by side, and
# apt-get does not wait for another one: so each call waits for the one before.
set -eu

command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || exit 1
exec 9>"${TMPDIR:-/tmp}/debian-packages.lock"
flock 9
apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
