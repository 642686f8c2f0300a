//! Create: the same entries through both protocols, in turns.

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::ensure;
use log_benches::check::Checker;
use log_benches::corpus::Corpus;
use log_benches::latency::Summary;
use log_benches::load::{Load, Outcome, Pace, Until};
use log_benches::process::{Usage, machine_busy};
use log_benches::series::Series;
use log_benches::server::{Server, check_disk};
use tokio::runtime::Runtime;

use crate::say;

/// v1 entries a second by those of v2.
const RATE_LEAST: f64 = 0.70;
/// What the reference server with its databases gave on two such cores: connections, entries a
/// second, and the latency that half of them had.
const REFERENCE: (usize, f64, f64) = (64, 174.0, 351.0);
/// A round in which other programs had more of the machine than this says little.
const FOREIGN_MAX: f64 = 0.10;
/// Load before each measurement.
const WARM_UP: Duration = Duration::from_secs(2);
/// Entries that a second of load may use at most.
const ENTRIES_A_SECOND_MAX: usize = 20_000;
/// One answer in so many is checked.
const SAMPLE_ONE_IN: usize = 500;
/// What the server gets to finish its background work before a measurement.
const SETTLE: Duration = Duration::from_secs(1);

/// What is sent.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) connections: usize,
}

/// What one load found.
struct Loaded {
    per_second: f64,
    latencies: Summary,
    server_cpu_us: f64,
    /// Share of the cores that went to neither server nor client.
    foreign: f64,
    checked: usize,
}

/// A load that is repeated in each round.
struct Subject {
    name: &'static str,
    connections: usize,
    load: Load,
    checker: Checker,
    rounds: Vec<Loaded>,
}

/// Plays all rounds and prints the table; whether the gate holds.
pub(crate) fn run(dir: &Path, plan: &Plan) -> anyhow::Result<bool> {
    check_disk(dir)?;
    let dir = tempfile::tempdir_in(dir)?;
    let program = std::env::current_exe()?.with_file_name("cairn-server");
    let (mut server, _) = Server::init(&program, &dir.path().join("data"))?;
    // One thread: on the cores that it shares with the server the client has to be cheap.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    server.start(&runtime)?;
    let host = server.address().to_string();
    let seconds = usize::try_from((plan.time + WARM_UP).as_secs() + 1)?;
    let entries = plan.rounds * seconds * ENTRIES_A_SECOND_MAX;
    say(&format!("signing {} entries", 3 * entries));
    let subject = |name, connections, corpus, checker| {
        let load = Load::new(Arc::new(corpus), SAMPLE_ONE_IN);
        Subject { name, connections, load, checker, rounds: Vec::new() }
    };
    let (v1, v2) = (server.checker_v1(&runtime)?, server.checker().clone());
    let few = REFERENCE.0;
    let mut subjects = [
        subject("v2", plan.connections, Corpus::rekor_v2(&host, entries)?, v2),
        subject("v1", plan.connections, Corpus::rekor_v1(&host, entries)?, v1.clone()),
        subject("v1, few", few, Corpus::rekor_v1(&host, entries)?, v1),
    ];
    for round in 1..=plan.rounds {
        for subject in &mut subjects {
            say(&format!("round {round} of {}: {}", plan.rounds, subject.name));
            std::thread::sleep(SETTLE);
            subject.play(plan.time, &server, &runtime)?;
        }
    }
    server.stop()?;
    say("recomputing the trees");
    server.fsck()?;
    Ok(report(&subjects))
}

impl Subject {
    fn play(&mut self, time: Duration, server: &Server, runtime: &Runtime) -> anyhow::Result<()> {
        runtime.block_on(self.load.reconnect(server.address(), self.connections))?;
        self.send(WARM_UP, runtime)?;
        let usages = || -> anyhow::Result<_> {
            Ok((Usage::of(server.pid()?)?, Usage::of_self()?, machine_busy()?))
        };
        let (server_before, client_before, busy_before) = usages()?;
        let mut outcome = self.send(time, runtime)?;
        let (server_after, client_after, busy_after) = usages()?;
        let server_cpu = server_after.since(server_before).cpu;
        let ours = server_cpu + client_after.since(client_before).cpu;
        let others = busy_after.saturating_sub(busy_before).saturating_sub(ours);
        let cores = available_parallelism().map_or(1, |cores| cores.get()) as f64;
        self.rounds.push(Loaded {
            per_second: outcome.per_second(),
            latencies: outcome.latencies.summary(),
            server_cpu_us: server_cpu.as_secs_f64() * 1e6 / outcome.accepted.max(1) as f64,
            foreign: others.as_secs_f64() / cores / outcome.elapsed.as_secs_f64(),
            checked: self.load.check(&self.checker, &outcome)?,
        });
        Ok(())
    }

    fn send(&mut self, time: Duration, runtime: &Runtime) -> anyhow::Result<Outcome> {
        let until = Until { entries: usize::MAX, time };
        let outcome = runtime.block_on(self.load.run(Pace::Closed, until))?;
        ensure!(outcome.is_clean(), "not every entry was taken: {:?}", outcome.first_fault);
        ensure!(self.load.left() > 0, "no entries left");
        Ok(outcome)
    }

    /// A figure of the rounds that count: the quiet ones, or all if there is none.
    fn series(&self, figure: impl Fn(&Loaded) -> f64) -> Series {
        let quiet: Series =
            self.rounds.iter().filter(|r| r.foreign <= FOREIGN_MAX).map(&figure).collect();
        if quiet.values().is_empty() { self.rounds.iter().map(figure).collect() } else { quiet }
    }
}

/// Prints the table; whether the gate holds.
fn report(subjects: &[Subject; 3]) -> bool {
    println!("| log | connections | entries a second | range | p50 | p99 | server CPU per entry |");
    println!("|---|---|---|---|---|---|---|");
    for subject in subjects {
        let rate = subject.series(|r| r.per_second);
        println!(
            "| {} | {} | {:.0} | {:.0} to {:.0} | {:.1} ms | {:.1} ms | {:.1} us |",
            subject.name,
            subject.connections,
            rate.median(),
            rate.least(),
            rate.most(),
            subject.series(|r| r.latencies.0[0].as_secs_f64() * 1e3).median(),
            subject.series(|r| r.latencies.0[1].as_secs_f64() * 1e3).median(),
            subject.series(|r| r.server_cpu_us).median(),
        );
    }
    let checked: usize = subjects.iter().flat_map(|s| &s.rounds).map(|r| r.checked).sum();
    let foreign = subjects.iter().flat_map(|s| &s.rounds).map(|r| r.foreign).fold(0.0, f64::max);
    println!("{checked} answers were checked; others had at most {:.1} %", foreign * 100.0);
    let [v2, v1, few] = subjects;
    let ratio = v1.series(|r| r.per_second).median() / v2.series(|r| r.per_second).median();
    println!("v1 {ratio:.2} of v2; at least {RATE_LEAST}");
    let (connections, per_second, p50_ms) = REFERENCE;
    println!(
        "{connections} connections: {:.1} times the {per_second} entries a second of the reference \
         server, p50 {:.1} ms beside {p50_ms} ms (for orientation)",
        few.series(|r| r.per_second).median() / per_second,
        few.series(|r| r.latencies.0[0].as_secs_f64() * 1e3).median(),
    );
    ratio >= RATE_LEAST
}
