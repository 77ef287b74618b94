#!/bin/sh
# Measures everything in BENCHMARKS.md and writes its table and picture anew. Needs wrk, valgrind and python3, a machine
# that does nothing else, and about six minutes after the build. What was printed is kept in target/bench-report/.
set -eu
cd "$(dirname "$0")/.."
mkdir -p target/bench-report
measure() {
    features=$1
    shift
    for bench in "$@"; do
        cargo bench --features "$features" --bench "$bench" | tee "target/bench-report/$bench.txt"
    done
}
measure default contention allocations instructions overhead
measure server,stream chunks streams open_sockets
measure axum,server end_to_end
python3 benches/report.py
