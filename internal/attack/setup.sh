#!/usr/bin/env bash
# Installs what `make attack` needs: sqlmap and wapiti, as Debian packages them.
set -euo pipefail
missing=()
for tool in sqlmap wapiti; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
[ "${#missing[@]}" = 0 ] && exit
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "install ${missing[*]}, or run this as root on Debian" >&2
  exit 1
fi
apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
