//! `cairn-load`: drives one log and says what it took.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use log_benches::check::Checker;
use log_benches::corpus::Corpus;
use log_benches::load::{Load, Outcome, Pace, Until};
use log_benches::process::Usage;

/// Sends distinct, really signed entries to a log and measures its answers.
#[derive(Parser)]
#[command(name = "cairn-load", version)]
struct Args {
    /// Where the server listens
    #[arg(long, default_value = "127.0.0.1:3000")]
    server: SocketAddr,
    /// Key of the log, as `cairn-server init` prints it: a sample of the answers is checked with it
    #[arg(long)]
    vkey: Option<String>,
    /// Check one answer in so many
    #[arg(long, default_value_t = 500)]
    sample_one_in: usize,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Open loop: so many entries a second, each at its time. Without it each connection sends its
    /// next entry once it has an answer (closed loop)
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds that are measured
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Seconds before that, under the same load
    #[arg(long, default_value_t = 3.0)]
    warm_up: f64,
    /// Entries that are prepared; the run ends when they are used up
    #[arg(long, default_value_t = 300_000)]
    entries: usize,
    /// Process id of the server, to report what it used
    #[arg(long)]
    pid: Option<u32>,
    /// Send entries to the Rekor v1 log; --vkey is then its ECDSA key
    #[arg(long, conflicts_with = "raw")]
    v1: bool,
    /// Send arbitrary leaves to the raw log of this name instead of signed entries
    #[arg(long)]
    raw: Option<String>,
    /// Length of these leaves
    #[arg(long, default_value_t = 350, requires = "raw")]
    leaf_bytes: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cairn-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every entry was taken.
fn run(args: &Args) -> anyhow::Result<bool> {
    ensure!(args.connections > 0, "--connections must not be 0");
    ensure!(args.rate.is_none_or(|rate| rate > 0.0), "--rate must be positive");
    let host = args.server.to_string();
    let corpus = match &args.raw {
        Some(log) => Corpus::raw(&host, log, args.leaf_bytes, args.entries)?,
        None if args.v1 => Corpus::rekor_v1(&host, args.entries)?,
        None => Corpus::rekor_v2(&host, args.entries)?,
    };
    let checker = args.vkey.as_deref().map(Checker::new).transpose()?;
    // One thread: on the cores that it shares with the server it has to be cheap, not fast.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(drive(args, Arc::new(corpus), checker.as_ref()))
}

async fn drive(
    args: &Args,
    corpus: Arc<Corpus>,
    checker: Option<&Checker>,
) -> anyhow::Result<bool> {
    let pace = args.rate.map_or(Pace::Closed, Pace::Open);
    let mut load = Load::new(corpus, args.sample_one_in);
    load.reconnect(args.server, args.connections).await?;
    let until = |seconds| -> anyhow::Result<Until> {
        Ok(Until { entries: usize::MAX, time: Duration::try_from_secs_f64(seconds)? })
    };
    let warm_up = load.run(pace, until(args.warm_up)?).await?;
    let before = usages(args.pid)?;
    let outcome = load.run(pace, until(args.seconds)?).await?;
    let after = usages(args.pid)?;
    let clean = warm_up.is_clean() && outcome.is_clean();
    report(args, outcome, &load, checker, before, after)?;
    if !clean {
        eprintln!("cairn-load: not every entry was taken");
    }
    Ok(clean)
}

/// Of this process and, if its id is known, of the server.
fn usages(server: Option<u32>) -> std::io::Result<(Usage, Option<Usage>)> {
    Ok((Usage::of_self()?, server.map(Usage::of).transpose()?))
}

fn report(
    args: &Args,
    mut outcome: Outcome,
    load: &Load,
    checker: Option<&Checker>,
    before: (Usage, Option<Usage>),
    after: (Usage, Option<Usage>),
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let entries = outcome.accepted;
    writeln!(out, "entries        {entries} in {:.2} s", outcome.elapsed.as_secs_f64())?;
    writeln!(out, "rate           {:.0} entries/s", outcome.per_second())?;
    let from = if args.rate.is_some() { "the intended time" } else { "the request" };
    writeln!(out, "latency        {}, from {from}", outcome.latencies.summary())?;
    let each = |usage: Usage| usage.cpu.as_secs_f64() * 1e6 / entries.max(1) as f64;
    if let (Some(before), Some(after)) = (before.1, after.1) {
        let used = after.since(before);
        writeln!(out, "server CPU     {:.1} us/entry", each(used))?;
        writeln!(out, "server writes  {} bytes/entry", used.written_bytes / entries.max(1))?;
        writeln!(out, "server memory  {} MiB", used.resident_bytes >> 20)?;
    }
    writeln!(out, "client CPU     {:.1} us/entry", each(after.0.since(before.0)))?;
    for (status, count) in &outcome.refused {
        writeln!(out, "refused        {count} with status {status}")?;
    }
    if outcome.broken > 0 {
        writeln!(out, "broken         {} connections", outcome.broken)?;
    }
    if let Some(fault) = &outcome.first_fault {
        writeln!(out, "first fault    {fault}")?;
    }
    if load.left() == 0 {
        writeln!(out, "note           all prepared entries are used up: --entries")?;
    }
    match checker {
        Some(checker) => {
            let checked = load.check(checker, &outcome)?;
            writeln!(
                out,
                "checked        {checked} answers: body, proof and signed checkpoint are good"
            )?;
        }
        None => writeln!(out, "checked        nothing: no --vkey")?,
    }
    Ok(())
}
