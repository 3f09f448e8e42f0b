#!/usr/bin/env bash
# Trains at once, and again with kill -9 at ten random moments and --resume: the files must be the same, bit for bit.
#
#   bash benches/kill.sh TEXT [ELMAN]
set -uo pipefail
text=$(realpath "$1")
elman=$(realpath "${2:-target/release/elman}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
options=(--steps 300 --checkpoint-every 20 --eval-every 150 --quiet)

began=$(date +%s)
"$elman" train char-lm --data "$text" --out whole "${options[@]}" > /dev/null || exit
took=$(($(date +%s) - began))
for _ in $(seq 10); do
    if [ -e killed/config.toml ]; then
        "$elman" train char-lm --out killed --resume --quiet > /dev/null 2>&1 &
    else
        "$elman" train char-lm --data "$text" --out killed "${options[@]}" > /dev/null 2>&1 &
    fi
    # Up to a fifth of the whole run: ten of them neither finish it at once nor stay at its beginning.
    sleep "$(((RANDOM % (took * 200)) / 1000)).$((RANDOM % 1000))"
    kill -9 $! 2> /dev/null
    wait $! 2> /dev/null
    echo "killed at: $(tail -n 1 killed/metrics.jsonl 2> /dev/null | cut -c 1-60)"
done
"$elman" train char-lm --out killed --resume --quiet > /dev/null || exit
status=0
for file in model best checkpoint; do
    if cmp "whole/$file.safetensors" "killed/$file.safetensors"; then
        echo "$file.safetensors: the same bits"
    else
        status=1
    fi
done
exit $status
