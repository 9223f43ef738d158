#!/bin/sh
# Build the image and run every test in it: those that need an installed ROS too. From anywhere; needs Docker.
#   docker/test.sh                                       everything
#   docker/test.sh --packages-select hilrl_control       as `make test ARGS=...`
set -eu
cd "$(dirname "$0")/.."

docker build --file docker/Dockerfile --target build --tag hilrl:build .
# Shared memory: by default 64 MB, too little for DDS among the processes of a graph.
docker run --rm --init --shm-size 1g hilrl:build \
    bash -c 'source /opt/ros/jazzy/setup.bash && make test ARGS="$*"' test "$@"

docker build --file docker/Dockerfile --tag hilrl .
docker run --rm --init --shm-size 1g hilrl hilrl up train --run try --duration-s 60
