//! What a long run prints.

use std::io::Write;

use crate::judge::Tally;

pub(crate) struct Row {
    pub(crate) peer: &'static str,
    pub(crate) proto: String,
    pub(crate) serve: Tally,
    /// `axum::serve` under `Shutdown::run`, where it was asked for.
    pub(crate) axum: Option<Tally>,
}

const COLUMNS: [&str; 6] = ["stops", "admitted", "whole", "reported", "SILENT", "alarms"];

fn cells(tally: &Tally) -> String {
    let counts = [
        tally.stops,
        tally.admitted,
        tally.whole,
        tally.reported,
        tally.unreported,
        tally.false_alarms,
    ];
    let cells = counts.iter().zip(COLUMNS).map(|(&count, column)| {
        // What is rare is to be seen.
        let text = match count {
            0 => "·".to_owned(),
            count => count.to_string(),
        };
        format!("{text:>width$}", width = column.len())
    });
    cells.collect::<Vec<_>>().join("  ")
}

/// Past the test harness, which keeps what a test prints.
pub(crate) fn print(rows: &[Row]) {
    let has_axum = rows.iter().any(|row| row.axum.is_some());
    let head = COLUMNS.join("  ");
    let width = head.chars().count();
    let mut text = String::from("\n");
    let mut line = |peer: &str, proto: &str, serve: &str, axum: &str| {
        let line = format!("  {peer:<34} {proto:<3} {serve:<width$}   {axum}");
        text += line.trim_end();
        text.push('\n');
    };
    let (title, again) = match has_axum {
        true => ("axum::serve under run", head.as_str()),
        false => ("", ""),
    };
    line("", "", "Shutdown::serve", title);
    line("peer", "", &head, again);
    let rule = "─".repeat(width);
    line(
        &"─".repeat(34),
        "──",
        &rule,
        if has_axum { &rule } else { "" },
    );
    let (mut serve, mut axum) = (Tally::default(), Tally::default());
    for row in rows {
        let beside = row.axum.as_ref().map(cells).unwrap_or_default();
        line(row.peer, &row.proto, &cells(&row.serve), &beside);
        serve += row.serve;
        axum += row.axum.unwrap_or_default();
    }
    line(
        &"─".repeat(34),
        "──",
        &rule,
        if has_axum { &rule } else { "" },
    );
    let beside = if has_axum {
        cells(&axum)
    } else {
        String::new()
    };
    line("all", "", &cells(&serve), &beside);
    text += "\n  reported: lost, and in the report; SILENT: lost, and not in it; alarms: in the report, and not lost\n\n";
    let _ = std::io::stdout().write_all(text.as_bytes());
}
