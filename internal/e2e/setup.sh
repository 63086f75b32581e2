#!/usr/bin/env bash
# Prepares what the browser tests need and writes their environment to the file
# named as the first argument: the Playwright driver (from the npm lock file; the
# download that playwright-go would make is gone) and a Chromium. Idempotent.
set -euo pipefail
cd "$(dirname "$0")/../.."
env_file=$1
root=$PWD/internal/e2e
driver=$root/driver
mkdir -p "$driver"

want=$(go run ./internal/e2e/driverversion)
npm ci --prefix "$root/node" --prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error >&2
have=$(node -p "require('$root/node/node_modules/playwright-core/package.json').version")
if [ "$have" != "$want" ]; then
  echo "internal/e2e/node pins playwright-core $have, playwright-go wants $want" >&2
  exit 1
fi
ln -sfn ../node/node_modules/playwright-core "$driver/package"
ln -sfn "$(command -v node)" "$driver/node"

chromium=${E2E_CHROMIUM:-}
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  [ -n "$chromium" ] || chromium=$(command -v "$name" || true)
done
if [ -z "$chromium" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >&2
  chromium=$(command -v chromium)
fi
if [ -z "$chromium" ] && ! "$driver/node" "$driver/package/cli.js" install --with-deps chromium >&2; then
  echo "no Chromium: install one, or name it in E2E_CHROMIUM" >&2
  exit 1
fi

printf 'export PLAYWRIGHT_DRIVER_PATH=%q\nexport E2E_CHROMIUM=%q\nexport E2E_NODE=%q\n' \
  "$driver" "$chromium" "$root/node" >"$env_file.new"
mv "$env_file.new" "$env_file"
