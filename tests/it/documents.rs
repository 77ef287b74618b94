//! What the pages say of the repository: links, commands, features, versions, and figures that two of them have.
//!
//! What they say of the crate has its test beside the code, such as the defaults in `src/shutdown/tests/config.rs`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

const README: &str = include_str!("../../README.md");
const BENCHMARKS: &str = include_str!("../../BENCHMARKS.md");
const OPERATING: &str = include_str!("../../OPERATING.md");
const COMPARE: &str = include_str!("../../COMPARE.md");

/// Folders that a published package leaves out: they are packages of their own, or for those who work on this one.
const NOT_PACKED: [&str; 6] = [
    ".ci/",
    "compare/",
    "CONTRIBUTING.md",
    "examples/mcp/",
    "fuzz/",
    "works_with/",
];

fn pages() -> Vec<(&'static str, String)> {
    let mut pages: Vec<_> = [
        ("README.md", README),
        ("BENCHMARKS.md", BENCHMARKS),
        ("OPERATING.md", OPERATING),
        ("COMPARE.md", COMPARE),
    ]
    .map(|(name, page)| (name, page.to_owned()))
    .into();
    let rules = std::fs::read_to_string(root().join("CONTRIBUTING.md"));
    pages.extend(rules.map(|page| ("CONTRIBUTING.md", page)));
    pages
}

/// As it was written: cargo rewrites that of a published package.
fn manifest() -> &'static str {
    static MANIFEST: OnceLock<String> = OnceLock::new();
    MANIFEST.get_or_init(|| {
        let names = ["Cargo.toml.orig", "Cargo.toml"].iter();
        let mut read = names.map(|name| std::fs::read_to_string(root().join(name)));
        read.find_map(Result::ok).expect("a manifest")
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_there(path: &str) -> bool {
    let is_packed = !NOT_PACKED.iter().any(|left_out| path.starts_with(left_out));
    let is_package = !root().join("CONTRIBUTING.md").exists();
    root().join(path).exists() || (is_package && !is_packed)
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|&c| c.is_alphanumeric() || " -_".contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let mut seen = 0;
    for (name, page) in pages() {
        for link in page.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("http") {
                continue;
            }
            seen += 1;
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            assert!(path.is_empty() || is_there(path), "{name}: no {path}");
            let target = match path {
                "" => page.clone(),
                _ => std::fs::read_to_string(root().join(path)).unwrap_or_default(),
            };
            let mut headings = target.lines().filter(|line| line.starts_with('#'));
            assert!(
                fragment.is_empty() || headings.any(|heading| anchor(heading) == fragment),
                "{name}: no heading for #{fragment} in {path}"
            );
        }
    }
    assert!(seen > 20, "{seen}");
}

fn quoted(line: &str) -> Vec<&str> {
    line.split('"').skip(1).step_by(2).collect()
}

fn features() -> BTreeSet<&'static str> {
    let (_, section) = manifest().split_once("[features]\n").unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once(" = [")?.0));
    names.filter(|name| !name.starts_with('#')).collect()
}

/// The features that a target of this kind needs; `None` if there is no such target.
fn needs(kind: &str, name: &str) -> Option<Vec<&'static str>> {
    let section = manifest()
        .split(&format!("[[{kind}]]\n"))
        .skip(1)
        .map(|rest| rest.split("\n[").next().unwrap())
        .find(|section| section.contains(&format!("name = \"{name}\"")));
    let folder = match kind {
        "bench" => "benches",
        "example" => "examples",
        _ => "tests",
    };
    let files = [format!("{name}.rs"), format!("{name}/main.rs")];
    let is_file = files
        .iter()
        .any(|file| root().join(folder).join(file).exists());
    if section.is_none() && !is_file {
        return None;
    }
    let needed = section.and_then(|it| {
        it.lines()
            .find(|line| line.starts_with("required-features"))
    });
    Some(needed.map(quoted).unwrap_or_default())
}

/// What is wrong with a command of cargo.
fn complaint(command: &str) -> Option<String> {
    let command = command.split(" -- ").next().unwrap();
    let words: Vec<_> = command.split_whitespace().collect();
    let after = |flag: &str| {
        let at = words.iter().position(|word| *word == flag)?;
        Some(*words.get(at + 1).unwrap_or(&""))
    };
    if let Some(manifest) = after("--manifest-path") {
        return (!is_there(manifest)).then(|| format!("no {manifest}"));
    }
    let given: Vec<_> = after("--features").unwrap_or_default().split(',').collect();
    let unknown = |name: &&&str| !name.is_empty() && !features().contains(**name);
    if let Some(feature) = given.iter().find(unknown) {
        return Some(format!("no feature {feature}"));
    }
    for kind in ["example", "bench", "test"] {
        // A heading of a column has no name.
        let Some(name) = after(&format!("--{kind}")).filter(|name| !name.is_empty()) else {
            continue;
        };
        let Some(needed) = needs(kind, name) else {
            return Some(format!("no {kind} {name}"));
        };
        let has = |name: &&str| given.contains(name) || *name == "shutdown";
        if !words.contains(&"--all-features") && !needed.iter().all(has) {
            return Some(format!("{name} needs {needed:?}"));
        }
    }
    None
}

#[test]
fn every_command_of_the_pages_names_what_there_is() {
    let mut seen = 0;
    for (name, page) in pages() {
        for command in page.split("cargo ").skip(1) {
            let command = command.split(['`', '\n', ';', '&', '|']).next().unwrap();
            seen += 1;
            let wrong = complaint(command);
            assert_eq!(wrong, None, "{name}: cargo {command}");
        }
        for script in page.split('`').skip(1).step_by(2) {
            let words = script.split_whitespace().filter(|word| !word.contains('='));
            let script = words
                .into_iter()
                .find(|word| *word != "python3")
                .unwrap_or("");
            let is_script = ["fuzz/run", ".ci/run"].contains(&script)
                || script.ends_with(".sh")
                || script.ends_with(".py");
            assert!(!is_script || is_there(script), "{name}: no {script}");
        }
    }
    assert!(seen > 20, "{seen}");
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// The rows of the first table below `start`.
fn rows<'a>(page: &'a str, start: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let (_, section) = page.split_once(start).expect("the heading");
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    table.take_while(|line| line.starts_with('|')).map(cells)
}

#[test]
fn the_readme_has_a_row_for_every_feature() {
    let (_, table) = README.split_once("\n| feature |").unwrap();
    let table = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let told: BTreeSet<_> = table.flat_map(|row| row.split('`').nth(1)).collect();
    let mut features = features();
    assert!(features.remove("default"));
    assert_eq!(told, features);
    assert!(
        manifest().contains("\ndefault = [\"shutdown\"]\n")
            && README.contains("| `shutdown` (default) |")
    );
}

#[test]
fn the_versions_of_the_readme_are_those_of_the_manifest() {
    let (_, versions) = README.split_once("## Versions\n\n").unwrap();
    let versions = versions.replace('\n', " ");
    let of = |name: &str| {
        let mut lines = manifest().lines();
        let line = lines
            .find(|line| line.starts_with(&format!("{name} = ")))
            .unwrap();
        quoted(line)[0].to_owned()
    };
    let http = of("http");
    let rust = of("rust-version");
    let tokio = of("tokio");
    let tower = of("tower-layer").rsplit_once('.').unwrap().0.to_owned();
    assert!(of("tower-service").starts_with(&tower));
    assert!(
        versions.starts_with(&format!("Rust {rust} (")),
        "{versions}"
    );
    let rest = format!("http {http}, tower-layer and tower-service {tower}, tokio {tokio}.");
    assert!(versions.contains(&rest), "{versions}");
    for line in manifest()
        .lines()
        .filter(|line| line.contains("Needs Rust 1."))
    {
        let newer = line
            .split("Needs Rust ")
            .nth(1)
            .unwrap()
            .trim_end_matches('.');
        assert!(
            versions.contains(&format!("{newer} with ")),
            "{newer}: {versions}"
        );
    }
}

#[test]
fn figures_of_the_rolling_restarts_are_those_of_the_benchmarks() {
    let measured: Vec<_> = rows(BENCHMARKS, "## Rolling restarts").skip(2).collect();
    let mut compared = 0;
    let mut table = rows(README, "## Behind a load balancer");
    let proxies = table.next().unwrap();
    for row in table.skip(1) {
        let server = ["`Shutdown::serve`", "`axum::serve", "503"];
        let server = server
            .iter()
            .find(|name| row[0].starts_with(**name))
            .unwrap();
        for (proxy, told) in proxies
            .iter()
            .zip(&row)
            .skip(1)
            .filter(|(_, told)| !told.is_empty())
        {
            let proxy = proxy.trim_end_matches(" to the servers");
            let of = |it: &&Vec<&str>| it[0] == proxy && it[1].starts_with(*server);
            let [_, _, restarts, _, _, failed, ..] = measured.iter().find(of).unwrap()[..] else {
                panic!("too few columns")
            };
            let told = told.trim_end_matches(" restarts");
            assert_eq!(
                told,
                format!("{failed} in {restarts}"),
                "{proxy}, {}",
                row[0]
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 8);

    let ours = measured.iter().filter(|row| row[1] == "`Shutdown::serve`");
    let stops: u32 = ours.clone().map(|row| row[2].parse::<u32>().unwrap()).sum();
    let seconds = ours.map(|row| row[7].trim_end_matches(" s").parse::<f64>().unwrap());
    let longest = seconds.fold(0.0, f64::max);
    let told = format!("{stops} stops behind proxies took at most {longest} s");
    assert!(OPERATING.replace('\n', " ").contains(&told), "{told}");
}
