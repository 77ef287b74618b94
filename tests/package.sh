#!/usr/bin/env bash
# Builds what a registry would hand out: the packed files, by a crate that has nothing else, so that no dev-dependency
# lends a feature. Then with the oldest dependencies that Cargo.toml allows, where a nightly can resolve them.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo package --quiet --no-verify "$@"
crate=$(ls -t target/package/tower-drain-*.crate | head -1)
room=$PWD/target/dependent
rm -rf "$room/package" "$room/src"
mkdir -p "$room/package" "$room/src"
tar xzf "$crate" -C "$room/package" --strip-components 1
cp tests/package/dependent.rs "$room/src/main.rs"

# Not `default`, which is what a dependent gets without a word.
features=$(awk '/^\[features\]/ { inside = 1; next } /^\[/ { inside = 0 } inside && /^[a-z]+ = / { print $1 }' \
    "$room/package/Cargo.toml" | grep -vx default)
{
    printf '[package]\nname = "dependent"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n\n[features]\n'
    printf 'default = ["tower-drain/default"]\n'
    for feature in $features; do
        printf '%s = ["tower-drain/%s"]\n' "$feature" "$feature"
    done
    printf '\n[dependencies]\ntower-drain = { path = "package", default-features = false }\n'
} >"$room/Cargo.toml"

check() {
    printf '%s\n' "$*"
    RUSTFLAGS="-D warnings" cargo check --quiet --manifest-path "$room/Cargo.toml" --target-dir "$room/target" "$@"
}
check
check --no-default-features
for feature in $features; do
    check --no-default-features --features "$feature"
done
check --all-features

tests=$PWD/tests/package
cd "$room/package"
rm -f Cargo.lock
cargo hack --quiet --remove-dev-deps check --quiet --no-default-features --target-dir "$room/target"
rm -f Cargo.lock
# They are asked for by the features `admin`, `axum` and `metrics`, which say so.
CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback cargo --quiet generate-lockfile
"$tests/rust_version.py" . axum axum-core metrics rapidhash serde_derive syn

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "oldest dependencies: skipped, for there is no nightly to resolve them"
    exit
fi
echo "oldest dependencies"
rm -f Cargo.lock
cargo +nightly --quiet generate-lockfile -Z direct-minimal-versions
cargo check --quiet --locked --target-dir "$room/target" --all-features
