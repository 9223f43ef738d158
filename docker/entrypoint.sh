#!/bin/sh
# The command, in a shell with ROS 2, the Python packages and the built workspace.
set -e
# shellcheck source=/dev/null
. /opt/hilrl/.venv/ros.sh
exec "$@"
