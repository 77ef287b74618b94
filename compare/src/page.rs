//! The tables of the page, each between two markers.

use std::path::{Path, PathBuf};

use crate::result::Table;
use crate::versions::versions;

pub(crate) const PAGE: &str = "COMPARE.md";

/// Puts the tables and versions into the page.
///
/// # Errors
///
/// If the page cannot be read or written, or has no place for a table.
pub(crate) fn write_tables(tables: &[Table], rolling: &str) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{PAGE}: {error}");
    let mut page = std::fs::read_to_string(path()).map_err(said)?;
    page = put(&page, "versions", &versions())?;
    page = put(&page, "rolling", rolling)?;
    for table in tables {
        page = put(&page, table.name, &markdown(table))?;
    }
    std::fs::write(path(), page).map_err(said)
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE)
}

fn put(page: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->"),
    );
    let missing = || format!("{PAGE} has no place for `{name}`");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}{text}\n{end}{after}"))
}

fn markdown(table: &Table) -> String {
    let line = |cells: &[&str]| format!("| {} |", cells.join(" | "));
    let mut lines = vec![
        line(&table.head),
        format!("|{}", "---|".repeat(table.head.len())),
    ];
    lines.extend(table.rows.iter().map(|row| {
        let cells: Vec<_> = row.iter().map(String::as_str).collect();
        line(&cells)
    }));
    lines.join("\n")
}
