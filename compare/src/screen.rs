//! The tables in a terminal.

use std::io::IsTerminal;

use crate::result::Table;

pub(crate) fn begins(title: &str) {
    println!("\n{}", painted(title, "1"));
}

pub(crate) fn print(table: &Table) {
    let head: Vec<_> = table.head.iter().map(|&cell| cell.to_owned()).collect();
    let wide = |column: usize| {
        let cells = table.rows.iter().chain([&head]).map(|row| &row[column]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(wide).collect();
    let line = |row: &[String], paint: &dyn Fn(usize, String) -> String| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| paint(column, format!("{cell:width$}")));
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&head, &|_, cell| painted(&cell, "2"));
    for row in &table.rows {
        line(row, &|column, cell| match table.head[column] {
            "requests failed" | "streams lost" if cell.starts_with("0 ") => painted(&cell, "32"),
            "requests failed" | "streams lost" => painted(&cell, "31"),
            "seconds to exit" if cell.starts_with('>') => painted(&cell, "31"),
            _ => cell,
        });
    }
}

fn painted(text: &str, colour: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
