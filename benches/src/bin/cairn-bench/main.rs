//! `cairn-bench`: the whole comparison in one run, on a server that it starts itself.
//!
//! Every figure that has a gate is a ratio to something measured in the same run, in turns with
//! it: absolute times of one machine and one hour say nothing about another. Exits with 1 if a
//! gate is missed. README.md has the table.

mod report;
mod rounds;
mod size;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use log_benches::baseline::{BareVerification, SyncedFile};
use log_benches::corpus::Corpus;
use log_benches::load::{Load, Pace, Until};
use log_benches::process::Usage;
use log_benches::server::{RAW_LOG, Server, check_disk};
use log_server::init::REKOR_V2_LOG;
use tokio::runtime::Runtime;

use report::Report;
use rounds::{Plan, Round};

/// Measures a release build of cairn-server against the bare cost of what it must do.
#[derive(Parser)]
#[command(name = "cairn-bench", version)]
struct Args {
    /// The server; the one beside this program if not given
    #[arg(long)]
    server: Option<PathBuf>,
    /// Directory on the disk that is measured; what is made in it is removed at the end
    #[arg(long, default_value = "out/bench")]
    dir: PathBuf,
    /// Entries in the log when its disk use is measured
    #[arg(long, default_value_t = 1_000_000)]
    entries: usize,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load that are measured in a round
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Seconds of load before that
    #[arg(long, default_value_t = 3.0)]
    warm_up: f64,
    /// Connections
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Check one answer in so many
    #[arg(long, default_value_t = 500)]
    sample_one_in: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(report) => {
            println!("\n{}\n{}", report.table(), report.remarks());
            let missed = report.missed();
            if missed.is_empty() {
                println!("every gate holds");
                return ExitCode::SUCCESS;
            }
            println!("missed: {}", missed.join(", "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cairn-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<Report> {
    ensure!(args.rounds > 0 && args.connections > 0, "--rounds and --connections must not be 0");
    let program = match &args.server {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("cairn-server"),
    };
    check_disk(&args.dir)?;
    let dir = tempfile::tempdir_in(&args.dir)?;
    let data_dir = dir.path().join("data");
    let (mut server, _) = Server::init(&program, &data_dir)?;
    server.add_raw()?;

    say(&format!("signing {} entries", args.entries));
    let prepared = args.entries + size::CRASHES * size::CRASH_ENTRIES;
    let corpus = Corpus::rekor_v2(&server.address().to_string(), prepared)?;
    let bare = BareVerification::prepare()?;
    let mut synced = SyncedFile::create(dir.path())?;

    // One thread: on the cores that it shares with the server the client has to be cheap.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    server.start(&runtime)?;
    let mut load = Load::new(Arc::new(corpus), args.sample_one_in);
    let plan = Plan {
        connections: args.connections,
        warm_up: Duration::try_from_secs_f64(args.warm_up)?,
        measured: Duration::try_from_secs_f64(args.seconds)?,
        entries: args.entries / (args.rounds + 1),
    };
    let mut rounds = Vec::with_capacity(args.rounds);
    for number in 1..=args.rounds {
        say(&format!("round {number} of {}", args.rounds));
        rounds.push(rounds::play(&plan, &server, &mut load, &bare, &mut synced, &runtime)?);
    }
    let raw = raw(args, &plan, &server, &runtime)?;
    let mut acknowledged = rounds.iter().map(Round::accepted).sum::<u64>();

    say(&format!("filling the log to {} entries", args.entries));
    runtime.block_on(load.reconnect(server.address(), args.connections))?;
    let missing = args.entries.saturating_sub(usize::try_from(acknowledged)?);
    let fill = Until { entries: missing, time: FILL_TIME_MAX };
    let filled = runtime.block_on(load.run(Pace::Closed, fill))?;
    ensure!(filled.is_clean(), "not every entry was taken: {:?}", filled.first_fault);
    acknowledged += filled.accepted;
    let resident_bytes = Usage::of(server.pid()?)?.resident_bytes;

    say("killing the server under load");
    let connections = args.connections;
    let (starts, acknowledged) =
        size::crash(&mut server, &mut load, connections, acknowledged, &runtime)?;
    server.stop()?;
    say("recomputing the trees, compacting the stores");
    let fsck = server.fsck()?;
    let disk = size::weigh(&data_dir, REKOR_V2_LOG).context("weighing the store")?;
    ensure!(disk.entries >= acknowledged, "{acknowledged} acknowledged, {} stored", disk.entries);
    let raw_disk = size::weigh(&data_dir, RAW_LOG).context("weighing the raw store")?;
    Ok(Report { rounds, raw, starts, fsck, disk, raw_disk, resident_bytes })
}

/// One load of incompressible leaves on the raw log: the engine without signature checks.
fn raw(
    args: &Args,
    plan: &Plan,
    server: &Server,
    runtime: &Runtime,
) -> anyhow::Result<rounds::Loaded> {
    say("the raw log");
    let host = server.address().to_string();
    let corpus = Corpus::raw(&host, RAW_LOG, RAW_LEAF_BYTES, plan.entries)?;
    let mut load = Load::new(Arc::new(corpus), args.sample_one_in);
    rounds::under_load(plan, server, server.raw_checker()?, &mut load, runtime)
}

/// About the length of a small entry.
const RAW_LEAF_BYTES: usize = 350;

/// Longer than any machine needs for the entries of a run.
const FILL_TIME_MAX: Duration = Duration::from_secs(3600);

fn say(what: &str) {
    eprintln!("cairn-bench: {what}");
}
