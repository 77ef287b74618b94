//! What a person sees: on a terminal a panel that is redrawn in place below the events, elsewhere one line an event
//! or tick.

use std::fmt::Write as _;
use std::future::Future;
use std::io::{IsTerminal, Write as _};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::{interval_at, Interval};
use tower_drain::{DrainHandle, Phase, Straggler};

const BAR: usize = 24;
const BOLD: &str = "1";
const DIM: &str = "2";

pub(crate) struct Screen {
    handle: DrainHandle,
    begun: Instant,
    ticks: Interval,
    /// The most that were in flight: a full bar.
    most: usize,
    redraws: bool,
    colours: bool,
    /// How many lines of the panel are on the terminal.
    drawn: usize,
}

impl Screen {
    pub(crate) fn new(handle: &DrainHandle) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").map_or(true, |term| term == "dumb");
        let redraws = std::io::stdout().is_terminal() && !is_dumb;
        let tick = Duration::from_millis(if redraws { 50 } else { 500 });
        Self {
            handle: handle.clone(),
            begun: Instant::now(),
            ticks: interval_at((Instant::now() + tick).into(), tick),
            most: 1,
            redraws,
            colours: redraws && !is_set("NO_COLOR"),
            drawn: 0,
        }
    }

    pub(crate) fn title(&mut self, text: &str) {
        let name = self.paint(BOLD, "tower-drain");
        self.print(&format!("\n  {name}  {text}\n\n"));
    }

    /// Shows the drain while `future` runs.
    pub(crate) async fn during<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return output,
                _ = self.ticks.tick() => self.tick(),
            }
        }
    }

    /// One line that stays.
    pub(crate) fn event(&mut self, text: &str) {
        let line = format!("{}  {text}\n", self.stamp());
        self.print(&line);
        self.redraw();
    }

    /// Who held the drain, as lines that stay.
    pub(crate) fn stragglers(&mut self, stragglers: &[Straggler]) {
        let table = self.table(stragglers);
        self.print(&table);
    }

    /// Takes the panel away.
    pub(crate) fn finish(&mut self) {
        self.print("\n");
    }

    fn tick(&mut self) {
        if self.redraws {
            return self.redraw();
        }
        let oldest = match self.handle.stragglers().first() {
            Some(oldest) => format!("   oldest {oldest}"),
            None => String::new(),
        };
        let line = format!("{}  {}{oldest}\n", self.stamp(), self.gauge('#', '.'));
        self.print(&line);
    }

    fn redraw(&mut self) {
        if self.redraws {
            let gauge = self.gauge('█', '░');
            let panel = format!(
                "\n{}  {gauge}\n\n{}",
                self.stamp(),
                self.table(&self.handle.stragglers())
            );
            // Without wrapping, so that a narrow terminal shows as many lines as are counted.
            self.print(&format!("\x1b[?7l{panel}\x1b[?7h"));
            self.drawn = panel.matches('\n').count();
        }
    }

    /// Prints in place of the panel.
    fn print(&mut self, text: &str) {
        let cleared = match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all((cleared + text).as_bytes());
        // Whoever closed the pipe has seen enough.
        written.and_then(|()| stdout.flush()).unwrap_or_default();
    }

    fn stamp(&self) -> String {
        let phase = self.handle.phase();
        let seconds = self.begun.elapsed().as_secs_f64();
        let time = self.paint(DIM, &format!("{seconds:>5.1} s"));
        format!(
            "{time}  {}",
            self.paint(colour(phase), &format!("{phase:<9}"))
        )
    }

    fn gauge(&mut self, full: char, empty: char) -> String {
        let status = self.handle.status();
        self.most = self.most.max(status.in_flight);
        let filled = (status.in_flight * BAR + self.most - 1) / self.most;
        let bar: String = (0..BAR)
            .map(|i| if i < filled { full } else { empty })
            .collect();
        let bar = self.paint(colour(status.phase), &bar);
        format!(
            "{bar} {:>3} in flight {:>4} rejected (503)",
            status.in_flight, status.rejected
        )
    }

    /// The stragglers by name: how many, what of them runs, and how old the oldest is.
    fn table(&self, stragglers: &[Straggler]) -> String {
        let mut groups: Vec<(&Straggler, usize)> = Vec::new();
        for straggler in stragglers {
            let same = |(first, _): &&mut (&Straggler, usize)| {
                (&first.method, &first.path) == (&straggler.method, &straggler.path)
            };
            match groups.iter_mut().find(same) {
                Some((_, count)) => *count += 1,
                None => groups.push((straggler, 1)),
            }
        }
        let mut table = String::new();
        for (oldest, count) in groups {
            let name = match (&oldest.method, &oldest.path) {
                (Some(method), Some(path)) => format!("{method} {path}"),
                _ => "not seen waiting".to_owned(),
            };
            let (phase, age) = (oldest.phase, oldest.age.as_secs_f64());
            let age = self.paint(DIM, &format!("{phase:<8} oldest {age:.1} s"));
            writeln!(table, "{count:>21}  {name:<20} {age}").unwrap_or_default();
        }
        table
    }

    fn paint(&self, style: &str, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{style}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

fn colour(phase: Phase) -> &'static str {
    match phase {
        Phase::Serving => "32",
        Phase::LameDuck => "33",
        Phase::Draining => "31",
        _ => "36",
    }
}
