#!/bin/sh
# Measures everything in BENCHMARKS.md and writes its table and picture anew. Needs wrk, valgrind and python3, a machine
# that does nothing else, and about four minutes after the build. What was printed is kept in target/bench-report/.
set -eu
cd "$(dirname "$0")/.."
mkdir -p target/bench-report
cargo bench --benches --no-run
for bench in contention allocations instructions streams end_to_end; do
    cargo bench --bench "$bench" | tee "target/bench-report/$bench.txt"
done
cargo bench --bench overhead | tee target/bench-report/overhead.txt
python3 benches/report.py
