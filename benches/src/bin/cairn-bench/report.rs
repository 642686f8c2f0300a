//! The table, and whether every gate holds.

use std::fmt::Write;
use std::time::Duration;

use log_benches::series::Series;

use crate::rounds::{Loaded, Round};
use crate::size::Disk;

/// Server time for an entry by that of a bare verification.
const CPU_RATIO_MAX: f64 = 2.6;
/// Latency of a lone submission by that of a synced write of 4 KiB.
const IDLE_RATIO_MAX: f64 = 6.0;
/// Bytes that the log adds to a leaf, deduplication included.
const ADDED_BYTES_MAX: f64 = 130.0;
/// A round in which other programs had more of the machine than this says little about the server.
const FOREIGN_MAX: f64 = 0.10;

/// What all rounds and the large log gave.
pub(crate) struct Report {
    /// In the order in which they were played.
    pub(crate) rounds: Vec<Round>,
    /// The raw log under load.
    pub(crate) raw: Loaded,
    /// Milliseconds until a killed server served again.
    pub(crate) starts: Series,
    /// How long it took to recompute the tree.
    pub(crate) fsck: Duration,
    /// What an entry of the Rekor v2 log takes on the disk.
    pub(crate) disk: Disk,
    /// The same for the raw log, whose leaves cannot be compressed.
    pub(crate) raw_disk: Disk,
    /// Memory of the server at the end, in bytes.
    pub(crate) resident_bytes: u64,
}

impl Report {
    /// The rounds that count: the quiet ones, or all if there is none.
    fn counted(&self) -> Vec<&Round> {
        let quiet: Vec<_> =
            self.rounds.iter().filter(|r| r.loaded.foreign <= FOREIGN_MAX).collect();
        if quiet.is_empty() { self.rounds.iter().collect() } else { quiet }
    }

    fn series(&self, figure: impl Fn(&Round) -> f64) -> Series {
        self.counted().into_iter().map(figure).collect()
    }

    /// The gates that are missed, by name; the ratios are medians over the rounds that count.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        let gates = [
            ("server CPU per entry", self.series(Round::cpu_ratio).median(), CPU_RATIO_MAX),
            ("idle submit", self.series(Round::idle_ratio).median(), IDLE_RATIO_MAX),
            ("disk", self.disk.added_bytes(), ADDED_BYTES_MAX),
        ];
        // What was not measured has missed its gate.
        let missed = |value: f64, most: f64| value.is_nan() || value > most;
        gates.iter().filter(|g| missed(g.1, g.2)).map(|g| g.0).collect()
    }

    /// The table as markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        let rounds = |figure: fn(&Round) -> f64| self.series(figure);
        table.title("**server CPU per entry / bare verification**");
        table.series(&rounds(Round::cpu_ratio), 2, "x", Some(CPU_RATIO_MAX));
        table.title("server CPU per entry");
        table.series(&rounds(|r| micros(r.loaded.server_cpu)), 1, "us", None);
        table.title("bare P-256 verification");
        table.series(&rounds(|r| micros(r.verification)), 1, "us", None);
        table.title("entries a second");
        table.series(&rounds(|r| r.loaded.per_second), 0, "", None);
        for (at, name) in ["p50", "p99", "p99.9", "longest"].into_iter().enumerate() {
            table.title(&format!("latency under load, {name}"));
            table.series(&self.series(|r| micros(r.loaded.latencies.0[at]) / 1e3), 1, "ms", None);
        }
        table.title("**idle submit / synced write**");
        table.series(&rounds(Round::idle_ratio), 2, "x", Some(IDLE_RATIO_MAX));
        table.title("idle submit, p50");
        table.series(&rounds(|r| micros(r.idle)), 0, "us", None);
        table.title("4 KiB appended and synced, p50");
        table.series(&rounds(|r| micros(r.sync)), 0, "us", None);
        table.title("bytes written per entry");
        table.series(&rounds(|r| r.loaded.written_bytes), 0, "B", None);
        table.title("client CPU per entry");
        table.series(&rounds(|r| micros(r.loaded.client_cpu)), 1, "us", None);
        table.title("other programs' share of the cores");
        table.series(&rounds(|r| r.loaded.foreign * 100.0), 1, "%", None);
        table.title("start after kill -9 under load");
        table.series(&self.starts, 0, "ms", None);
        self.rows_at_size(&mut table);
        table.0
    }

    fn rows_at_size(&self, table: &mut Table) {
        let (disk, raw) = (&self.disk, &self.raw_disk);
        let seconds = |time: Duration| time.as_secs_f64();
        let when = format!("at {} entries", disk.entries);
        table.title("**disk per entry less the leaf, compacted**");
        let gate = Some(show(ADDED_BYTES_MAX, 0, "B"));
        table.values(&show(disk.added_bytes(), 1, "B"), &when, gate);
        let rows = [
            ("disk per entry, compacted", disk.compacted_bytes, "B"),
            ("disk per entry before the compaction", disk.stored_bytes, "B"),
            ("leaf", disk.leaf_bytes, "B"),
            ("fsck: the tree recomputed", seconds(self.fsck), "s"),
            ("full compaction", seconds(disk.compaction), "s"),
            (
                "memory of the server, both logs",
                self.resident_bytes as f64 / f64::from(1 << 20),
                "MiB",
            ),
        ];
        for (title, value, unit) in rows {
            table.title(title);
            table.values(&show(value, 1, unit), &when, None);
        }
        let when = format!("once, random leaves of {:.0} B", raw.leaf_bytes);
        let rows = [
            ("raw log: entries a second", self.raw.per_second, ""),
            ("raw log: server CPU per entry", micros(self.raw.server_cpu), "us"),
            ("raw log: latency under load, p50", micros(self.raw.latencies.0[0]) / 1e3, "ms"),
            ("raw log: disk per entry less the leaf, compacted", raw.added_bytes(), "B"),
        ];
        for (title, value, unit) in rows {
            table.title(title);
            table.values(&show(value, 1, unit), &when, None);
        }
    }

    /// What a reader of the table has to know about the run.
    pub(crate) fn remarks(&self) -> String {
        let (all, counted) = (self.rounds.len(), self.counted().len());
        let quiet = self.rounds.iter().filter(|r| r.loaded.foreign <= FOREIGN_MAX).count();
        let checked: usize = self.rounds.iter().map(|r| r.loaded.checked).sum();
        let mut out = format!(
            "{counted} of {all} rounds count; in {quiet} other programs had at most {:.0} % of \
             the cores. {checked} answers were checked: body, proof, signed checkpoint.\n",
            FOREIGN_MAX * 100.0
        );
        for (number, round) in self.rounds.iter().enumerate() {
            writeln!(
                out,
                "round {}: CPU {:.2} x ({:.1} / {:.1} us), idle {:.2} x, {:.0} entries/s, {}, \
                 others {:.1} %",
                number + 1,
                round.cpu_ratio(),
                micros(round.loaded.server_cpu),
                micros(round.verification),
                round.idle_ratio(),
                round.loaded.per_second,
                round.loaded.latencies,
                round.loaded.foreign * 100.0
            )
            .expect(TO_MEMORY);
        }
        out
    }
}

/// Rows of markdown.
struct Table(String);

impl Table {
    fn new() -> Self {
        let head = "| figure | median | range over the rounds | at most |\n|---|---|---|---|\n";
        Self(head.into())
    }

    fn title(&mut self, title: &str) {
        write!(self.0, "| {title} ").expect(TO_MEMORY);
    }

    fn values(&mut self, value: &str, range: &str, gate: Option<String>) {
        let gate = gate.unwrap_or_default();
        writeln!(self.0, "| {value} | {range} | {gate} |").expect(TO_MEMORY);
    }

    fn series(&mut self, series: &Series, digits: usize, unit: &str, gate: Option<f64>) {
        let range = format!(
            "{} to {}",
            show(series.least(), digits, ""),
            show(series.most(), digits, unit)
        );
        let gate = gate.map(|most| show(most, 1, unit));
        self.values(&show(series.median(), digits, unit), &range, gate);
    }
}

fn show(value: f64, digits: usize, unit: &str) -> String {
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

const TO_MEMORY: &str = "invariant: writing to memory cannot fail";
