#!/usr/bin/env bash
# M/M/8 with a histogram at utilization 0.8 through tollgate's whole lifecycle, with nexosim and with SimPy, in one run;
# time on the processor a request, and how many times tollgate's. What a peer needs is fetched by its own client; a
# peer that cannot be had is left out, and said.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
requests=${1:-1000000}

cargo build --release --quiet --package tollgate-bench --example kernel
lines=$("$target/release/examples/kernel" queue "$requests")

if cargo build --release --quiet --manifest-path bench/peers/nexosim/Cargo.toml --target-dir "$target/peers"; then
    lines+=$'\n'$("$target/peers/release/tollgate-peer-nexosim" "$requests")
else
    echo "nexosim is left out: it cannot be built here" >&2
fi

venv=$target/peers/simpy
if [[ -x $venv/bin/python ]] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet simpy==4.1.1; }; then
    lines+=$'\n'$("$venv/bin/python" bench/peers/simpy/mm8.py $((requests / 10)))
else
    rm -rf "$venv"
    echo "SimPy is left out: it cannot be installed here" >&2
fi

awk '{ if (!ours) ours = $2; printf "%s; %.1f x tollgate\n", $0, $2 / ours }' <<<"$lines"
