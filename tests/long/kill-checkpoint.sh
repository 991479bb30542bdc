#!/bin/sh
# The short test of checkpoints and kill -9, with KILLS kills.
set -eu
BUILD=${BUILD:-build} KILLS=${KILLS:-40}
export BUILD KILLS
exec sh tests/sh/48-checkpoint-kill.sh
