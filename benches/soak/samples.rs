//! What is looked at each second, and what is made of it.

use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::load::Board;

/// How much more memory the last third may hold than the second. The first is left out: the allocator takes from the
/// system what the busiest moment needs and seldom gives it back, so memory climbs until that moment has come. After it
/// the thirds differ by fragments and by what chance has opened, which was below 1 % in runs of half a minute to ten. A
/// leak adds up over a third of the run: the summary says how few bytes a request this is.
const MORE: f64 = 0.05;

struct Sample {
    second: f64,
    resident_kib: u64,
    open: usize,
    answered: usize,
    p50: Option<u64>,
    p99: Option<u64>,
    is_draining: bool,
}

pub(crate) struct Samples {
    streams: usize,
    all: Vec<Sample>,
    was_draining: bool,
}

impl Samples {
    pub(crate) fn new(streams: usize) -> Self {
        Self {
            streams,
            all: Vec::new(),
            was_draining: false,
        }
    }

    pub(crate) fn take(&mut self, after: Duration, resident_kib: u64, board: &Board) {
        let mut latencies = std::mem::take(&mut *board.latencies.lock().expect("no panic"));
        latencies.sort_unstable();
        let at = |share: f64| {
            let last = latencies.len().checked_sub(1)?;
            latencies
                .get((last as f64 * share).round() as usize)
                .copied()
        };
        let is_draining = board.is_draining.load(Ordering::Relaxed);
        let sample = Sample {
            second: after.as_secs_f64(),
            resident_kib,
            open: board.open.load(Ordering::Relaxed),
            answered: latencies.len(),
            p50: at(0.5),
            p99: at(0.99),
            // Also the second in which it ended.
            is_draining: is_draining || self.was_draining,
        };
        self.was_draining = is_draining;
        self.all.push(sample);
    }

    pub(crate) fn write(&self) -> Result<(), String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-report");
        let file = folder.join("soak.tsv");
        let mut text =
            String::from("second\tresident_kib\tstreams\tanswered\tp50_us\tp99_us\tdraining\n");
        let number = |it: Option<u64>| it.map(|it| it.to_string()).unwrap_or_default();
        for it in &self.all {
            let (p50, p99) = (number(it.p50), number(it.p99));
            let draining = u8::from(it.is_draining);
            let (second, memory, open, answered) =
                (it.second, it.resident_kib, it.open, it.answered);
            writeln!(
                text,
                "{second:.1}\t{memory}\t{open}\t{answered}\t{p50}\t{p99}\t{draining}"
            )
            .expect("a string takes it");
        }
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text));
        written.map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Says what there was, and fails if memory grew or anything was lost.
    pub(crate) fn judge(&self, board: &Board, drains: usize) -> Result<(), String> {
        let third = self.all.len() / 3;
        if third == 0 {
            return Err("too short to say anything".to_owned());
        }
        let (second, last) = (&self.all[third..2 * third], &self.all[2 * third..]);
        let (before, after) = (resident(second), resident(last));
        let count = |it: &std::sync::atomic::AtomicU64| it.load(Ordering::Relaxed);
        let (whole, left, cut) = (count(&board.whole), count(&board.left), count(&board.cut));
        let answered: usize = self.all.iter().map(|it| it.answered).sum();
        let requests = whole + left + cut + answered as u64;
        let a_third = (requests / 3).max(1) as f64;
        let grown = after / before - 1.0;
        let minutes = self.all.last().map_or(0.0, |it| it.second / 60.0);
        println!(
            "soak        {minutes:.1} min, {} clients with streams, {drains} drains",
            self.streams
        );
        println!("streams     {whole} whole, {left} left by their client, {cut} cut");
        println!(
            "requests    {answered} timed, {} rejected",
            count(&board.rejected)
        );
        println!(
            "memory      {:.1} MiB in the second third, {:.1} MiB in the last: {:+.1} %, at most {:+.0} %",
            before / 1024.0,
            after / 1024.0,
            grown * 100.0,
            MORE * 100.0,
        );
        println!(
            "            more than {:.0} bytes that every request leaves behind would fail",
            before * 1024.0 * MORE / a_third,
        );
        for (name, of) in [
            ("p50", (|it| it.p50) as fn(&Sample) -> Option<u64>),
            ("p99", |it| it.p99),
        ] {
            let (before, after) = (median(second, of), median(last, of));
            println!("{name} latency {before} µs in the second third, {after} µs in the last");
        }
        let lost = board.lost.lock().expect("no client panics");
        if let Some(first) = lost.first() {
            return Err(format!("{} were lost, the first: {first}", lost.len()));
        }
        if drains == 0 {
            return Err("no drain was begun".to_owned());
        }
        if grown > MORE {
            return Err(format!("memory grew by {:.1} %", grown * 100.0));
        }
        Ok(())
    }
}

/// On average, in KiB.
fn resident(samples: &[Sample]) -> f64 {
    let all: u64 = samples.iter().map(|it| it.resident_kib).sum();
    all as f64 / samples.len() as f64
}

fn median(samples: &[Sample], of: fn(&Sample) -> Option<u64>) -> u64 {
    let mut all: Vec<_> = samples.iter().filter_map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}
