#!/bin/sh
# Fetches Swagger UI from npm and puts what the page at /docs needs here, compressed: run it after changing the version.
# The result is the same byte for byte every time.
set -eu
version=5.35.0
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "swagger-ui-dist@$version" >/dev/null
tar xzf "swagger-ui-dist-$version.tgz"
for file in swagger-ui-bundle.js swagger-ui.css; do
	gzip -9 -n -c "package/$file" >"$here/$file.gz"
done
cat package/LICENSE package/NOTICE package/swagger-ui-bundle.js.LICENSE.txt | gzip -9 -n -c >"$here/LICENSE.txt.gz"
