#!/usr/bin/env bash
# 64-bit ARM: compiles elman-core for it and, where an emulator is installed, runs its tests. Installs nothing.
#
#   scripts/check_aarch64.sh          compile; run the library's, golden and compressed tests under qemu if it is there
#   scripts/check_aarch64.sh --all    all of elman-core's tests (equality and gradients take tens of minutes under qemu)
#
# The target's standard library comes from `rustup target add aarch64-unknown-linux-gnu`, or from Debian's rustc and
# libstd-rust-dev:arm64 of one version; linker and emulator from gcc-aarch64-linux-gnu and qemu-user.
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
skip() { echo "aarch64: $1 SKIPPED: $2"; exit 0; }

if [[ $(uname -m) == aarch64 ]]; then skip "extra check" "this machine is one, the ordinary tests cover it"; fi

# The first compiler, new enough, that has the target's standard library.
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
unset compiler
for candidate in rustc /usr/bin/rustc; do
    version=$("$candidate" --version 2>/dev/null | cut -d' ' -f2) || continue
    library=$("$candidate" --print target-libdir --target "$target" 2>/dev/null) || continue
    if [[ $(printf '%s\n' "$oldest" "$version" | sort -V | head -1) == "$oldest" ]] && ls "$library"/libstd-*.rlib &>/dev/null; then
        compiler=$candidate
        break
    fi
done
[[ -v compiler ]] || skip "compilation" "no compiler >= $oldest here has the standard library of $target"
export RUSTC=$compiler CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/aarch64-check"
echo "aarch64: $("$RUSTC" --version)"
cargo check --release -p elman-core --target "$target"

emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || skip "tests" "compiled; no qemu-aarch64 to run them"
command -v aarch64-linux-gnu-gcc >/dev/null || skip "tests" "compiled; no aarch64-linux-gnu-gcc to link them"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$emulator -L ${AARCH64_SYSROOT:-/usr/aarch64-linux-gnu}"
tests=(--lib --test golden --test compressed)
if [[ ${1:-} == --all ]]; then tests=(--lib --tests); fi
cargo test --release -p elman-core --target "$target" "${tests[@]}"
