#!/usr/bin/env bash
# Trains the bundled model from nothing and exports it, in eleven parts; each part that is finished is not done again.
#   scripts/train_road_tiny.sh [PYTHON]
# It needs the training extra, and KITTI frames where the settings in config/road_tiny*.yaml look for them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
space_clip=("${1:-python3}" -m space_clip_ros.cli.main)
drive=${SPACE_CLIP_SHARED:-../shared}/kitti_sample/2011_09_26/2011_09_26_drive_9001_sync

# draw FOLDER OPTIONS...: synthetic drives, once.
draw() {
  local folder=$1
  shift
  [ ! -e "$folder.done" ] || return 0
  "${space_clip[@]}" synthesize --out "$folder" --no-scans "$@" && touch "$folder.done"
}

# draw_small FOLDER OPTIONS...: drives of four frames of half the size, once.
draw_small() { draw "$@" --frames 4 --stride 30 --scale 0.5 --labels; }

# train NAME OPTIONS...: a part of the training, resumed if it was interrupted.
train() {
  local name=$1
  shift
  [ ! -e "runs/$name.done" ] || return 0
  if [ -e "runs/$name/last" ]; then set -- "$@" --resume; fi
  "${space_clip[@]}" train "$@" && touch "runs/$name.done"
}

mkdir -p runs
draw runs/synthetic --drives 400 --frames 6 --seed 2000 --stride 20
draw runs/synthetic_streets --drives 678 --frames 4 --seed 20000 --stride 30
draw runs/synthetic_varied/one_camera --drives 570 --frames 4 --seed 300000 --stride 30 --vary streets --labels
draw runs/synthetic_varied/many_cameras --drives 150 --frames 4 --seed 400000 --stride 30 --vary camera streets --labels
draw runs/synthetic_unseen --drives 24 --frames 4 --seed 500000 --stride 30 --vary streets --labels
draw_small runs/synthetic_more/one_camera --drives 2526 --seed 300000 --vary streets
draw_small runs/synthetic_more/many_cameras --drives 700 --seed 700000 --vary camera streets
draw_small runs/synthetic_further/one_camera --drives 1300 --seed 1000000 --vary streets
draw_small runs/synthetic_further/same_camera --drives 1600 --seed 1010000 --vary streets
draw_small runs/synthetic_further/many_cameras --drives 400 --seed 1100000 --vary camera streets
draw_small runs/synthetic_gardens --drives 900 --seed 1200000 --vary streets --layout gardens
draw_small runs/synthetic_shapes --drives 700 --seed 1300000 --vary camera shape streets
train road_tiny config/road_tiny.yaml
train road_tiny_places config/road_tiny_places.yaml
train road_tiny_varied config/road_tiny_varied.yaml
train road_tiny_uncertainty config/road_tiny_varied.yaml model.uncertainty=true train_only=uncertainty \
  initial=runs/road_tiny_varied/best.safetensors optimizer.epochs=3 optimizer.lr=3e-3 optimizer.ema_decay=0.99 \
  augmentation.splice=0 augmentation.spectrum=0 augmentation.erase=0 run.dir=runs/road_tiny_uncertainty
train road_tiny_language config/road_tiny_language.yaml
train road_tiny_refinement config/road_tiny_refinement.yaml
train road_tiny_coarse config/road_tiny_coarse.yaml
train road_tiny_whole config/road_tiny_whole.yaml
train road_tiny_wider config/road_tiny_wider.yaml
train road_tiny_all config/road_tiny_all.yaml
train road_tiny_calibrated config/road_tiny_all.yaml train_only=uncertainty \
  initial=runs/road_tiny_all/last/model.safetensors optimizer.epochs=1 optimizer.lr=1e-3 optimizer.ema_decay=0.99 \
  augmentation.splice=0 augmentation.spectrum=0 augmentation.erase=0 run.dir=runs/road_tiny_calibrated
best=runs/road_tiny_calibrated/best.safetensors
"${space_clip[@]}" convert "$best" --out models/road_tiny.safetensors --half --depth-scale 1.02
for precision in fp32 fp16 int8; do
  name=road_tiny_$precision
  "${space_clip[@]}" export models/road_tiny.safetensors --out "models/${name%_fp32}.onnx" --precision "$precision" --drive "$drive"
done
