#!/usr/bin/env bash
# Rebuilds space_clip_ros/tools/reporting/page/three.min.js, the part of three.js that draws reports' clouds.
# Needs npm; the result and three.js's licence are kept in the repository, so that nothing else needs it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
three=0.187.0
esbuild=0.28.2
page=$PWD/space_clip_ros/tools/reporting/page
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund "three@$three" "esbuild@$esbuild"
cat > entry.js <<'JS'
export {
  BufferAttribute, BufferGeometry, Color, ColorManagement, LinearSRGBColorSpace, PerspectiveCamera, Points,
  PointsMaterial, Scene, WebGLRenderer,
} from "three";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";
JS
npx esbuild entry.js --bundle --minify --format=iife --global-name=THREE --target=es2020 --log-level=warning \
  --banner:js="/* three.js $three and its OrbitControls, bundled by scripts/bundle_viewer.sh; licence: three.LICENSE */" \
  --outfile="$page/three.min.js"
cp node_modules/three/LICENSE "$page/three.LICENSE"
