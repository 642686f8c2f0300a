//! `cairn-server`: the command line of the server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::{Parser, Subcommand};
use log_server::api::Api;
use log_server::clock::Clock;
use log_server::config::{Config, ConfigError};
use log_server::engine::Engine;
use log_server::fsck::fsck;
use log_server::init::{DefaultLogs, NewLog, REKOR_V1_LOG, REKOR_V2_LOG, add_log, init};
use log_server::log::accepted_tail::{self, AcceptedTail};
use log_server::log::directory::{Birth, LogDirectory};
use log_server::log::{Fatal, Personality, Surroundings, tail};
use log_server::metrics::Metrics;
use log_server::rebuild::rebuild_search;
use log_server::server;
use log_server::store::rocks::{RocksShared, RocksStore};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Hosts transparency logs.
#[derive(Parser)]
#[command(name = "cairn-server", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a data directory: keys, configuration, a Rekor v1 and a Rekor v2 log of size 0
    Init {
        /// A directory that does not exist yet, or is empty
        #[arg(long)]
        data_dir: PathBuf,
        /// The public host name; it is in the origins of the logs for ever
        #[arg(long)]
        hostname: String,
    },
    /// Add another log of size 0
    AddLog {
        #[arg(long)]
        data_dir: PathBuf,
        /// Name in paths
        #[arg(long)]
        name: String,
        /// rekor-v1, rekor-v2 or raw
        #[arg(long)]
        personality: Personality,
        /// First line of its checkpoints; made from the host name and the name if not given
        #[arg(long)]
        origin: Option<String>,
    },
    /// Serve every log of a data directory
    Serve(ServeArgs),
    /// Give up what came after the last good point of a log whose store is torn
    AcceptTail {
        /// The log
        name: String,
        #[arg(long)]
        data_dir: PathBuf,
        /// The head that is to be believed, as SIZE:ROOT with the root in hex
        #[arg(long)]
        head: String,
    },
    /// Make the search index of a log what its leaves say, offline
    RebuildSearch {
        /// The log
        name: String,
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Recompute every leaf, tile, key and root of every log, offline
    Fsck {
        #[arg(long)]
        data_dir: PathBuf,
        /// One log only
        #[arg(long)]
        log: Option<String>,
    },
}

#[derive(clap::Args)]
struct ServeArgs {
    #[arg(long)]
    data_dir: PathBuf,
    /// REST and gRPC; wins over the configuration
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Metrics and readiness; wins over the configuration
    #[arg(long)]
    admin: Option<SocketAddr>,
    /// Log lines as JSON
    #[arg(long)]
    log_json: bool,
    /// Do not ask this log's witnesses whether its store is the newest; may be given again
    #[arg(long, value_name = "LOG")]
    unchecked_start: Vec<String>,
    /// Start this log without the word of this witness; may be given again
    #[arg(long, value_name = "LOG/NAME")]
    exclude_witness: Vec<String>,
}

/// The command found that something is not as it should be.
const EXIT_NO: u8 = 1;
/// The command line asks for something that there is not.
const EXIT_USAGE: u8 = 2;
/// The command could not find out.
const EXIT_UNKNOWN: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    start_logging(matches!(args.command, Command::Serve(ServeArgs { log_json: true, .. })));
    let result = match args.command {
        Command::Init { data_dir, hostname } => run_init(&data_dir, &hostname),
        Command::AddLog { data_dir, name, personality, origin } => {
            run_add_log(&data_dir, &name, personality, origin.as_deref())
        }
        Command::Serve(args) => run_serve(&args),
        Command::AcceptTail { name, data_dir, head } => run_accept_tail(&name, &data_dir, &head),
        Command::RebuildSearch { name, data_dir } => return run_rebuild_search(&name, &data_dir),
        Command::Fsck { data_dir, log } => return run_fsck(&data_dir, log.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-server: {error:#}");
            let usage = matches!(error.downcast_ref(), Some(ConfigError::Flag(_)));
            ExitCode::from(if usage { EXIT_USAGE } else { EXIT_NO })
        }
    }
}

fn start_logging(json: bool) {
    let filter = EnvFilter::try_from_env("CAIRN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { lines.json().init() } else { lines.init() }
}

fn run_init(data_dir: &Path, host: &str) -> anyhow::Result<()> {
    let made = init(data_dir, host, DefaultLogs::random()?, jiff::Timestamp::now())?;
    println!("{}", made.rekor_v2.log);
    let (origin, key) = (&made.rekor_v1_origin, &made.rekor_v1.for_witnesses);
    eprintln!(
        "The key above is that of {REKOR_V2_LOG}. Witnesses know {REKOR_V1_LOG} by the origin"
    );
    eprintln!("{origin:?} and the key\n{key}");
    Ok(())
}

fn run_add_log(
    data_dir: &Path,
    name: &str,
    personality: Personality,
    origin: Option<&str>,
) -> anyhow::Result<()> {
    let (birth, created) = (Birth::random(personality)?, jiff::Timestamp::now());
    let keys = add_log(data_dir, &NewLog { name, personality, origin, birth, created })?;
    println!("{}", keys.for_witnesses);
    Ok(())
}

fn run_serve(args: &ServeArgs) -> anyhow::Result<()> {
    let data_dir = &args.data_dir;
    let mut config = Config::load(data_dir)?;
    config.server.listen = args.listen.unwrap_or(config.server.listen);
    config.server.admin = args.admin.unwrap_or(config.server.admin);
    config.set_start_flags(&args.unchecked_start, &args.exclude_witness)?;
    let metrics = Arc::new(Metrics::new());
    // Read before anything is opened: a wrong policy or flag changes nothing.
    for log in &config.logs {
        metrics.configured(&log.name, &log.witnesses(data_dir)?);
    }
    for excluded in &args.exclude_witness {
        tracing::warn!(excluded, "this witness is left out of this run");
    }
    let _lock = server::lock(data_dir)?;
    server::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(data_dir, config, metrics))
}

async fn serve(data_dir: &Path, config: Config, metrics: Arc<Metrics>) -> anyhow::Result<()> {
    // From here on a request to stop is not lost: it is followed once the logs are open.
    let stop = stop_signal()?;
    let limits = config.server.clone();
    let listener = server::bind(limits.listen).await?;
    let admin = server::bind(limits.admin).await?;
    let (clock, on_fatal) = (Clock::system(), Arc::new(end_process));
    let surroundings = Surroundings { clock: clock.clone(), on_fatal, shut: Arc::default() };
    let rocks = RocksShared::new(config.server.memory_bytes)?;
    let engine = Engine::open(data_dir, &config, &rocks, &metrics, &surroundings)?;
    let engine = Arc::new(engine);
    let api = Api::new(Arc::clone(&engine), limits.clone(), Arc::clone(&metrics), clock).await?;
    tracing::info!(listen = %listener.local_addr()?, admin = %admin.local_addr()?, "serving");
    let watched = Arc::clone(&engine);
    let mut nothing_open = None;
    let stop = async {
        tokio::select! {
            () = stop => {}
            // With nothing left to serve, whoever supervises the process should know.
            error = watched.nothing_open() => nothing_open = Some(error),
        }
    };
    server::run(listener, admin, api, engine, metrics, limits, stop).await;
    tracing::info!("stopped");
    nothing_open.map_or(Ok(()), |error| Err(error.into()))
}

/// Resolves on SIGTERM and on Ctrl-C.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// After something fatal no state in memory can be trusted: the next start decides by the disk.
fn end_process(log: &str, fatal: &Fatal) {
    tracing::error!(log, %fatal, "fatal: the process ends");
    eprintln!("cairn-server: log {log}: {fatal}");
    // At once, past the exit handlers: those of RocksDB take down what other threads still use.
    signal_hook::low_level::exit(i32::from(EXIT_NO));
}

fn run_accept_tail(name: &str, data_dir: &Path, head: &str) -> anyhow::Result<()> {
    let head = accepted_tail::parse_head(head)
        .ok_or_else(|| anyhow!("--head is SIZE:ROOT, the root in hex"))?;
    let _lock = server::lock(data_dir)?;
    let config = Config::load(data_dir)?;
    let Some(log) = config.logs.iter().find(|log| log.name == name) else {
        bail!("there is no log {name:?} in {}", data_dir.display());
    };
    let directory = LogDirectory::of(data_dir, log);
    let rocks = RocksShared::new(config.server.memory_bytes)?;
    let named = AcceptedTail { accepted: jiff::Timestamp::now(), head };
    tail::accept(&directory, log.personality()?, &log.origin()?, &rocks, &named)?;
    println!("{name} goes on at {}:{}", head.size, head.root_hash);
    Ok(())
}

fn run_fsck(data_dir: &Path, only: Option<&str>) -> ExitCode {
    match check_logs(data_dir, only) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_NO),
        Err(error) => {
            eprintln!("cairn-server: {error:#}");
            ExitCode::from(EXIT_UNKNOWN)
        }
    }
}

/// Checks the logs one by one; `false` if a difference was found.
fn check_logs(data_dir: &Path, only: Option<&str>) -> anyhow::Result<bool> {
    let config = Config::load(data_dir)?;
    let _lock = server::lock(data_dir)?;
    let rocks = RocksShared::new(config.server.memory_bytes)?;
    let chosen = |name: &str| only.is_none_or(|only| only == name);
    if !config.logs.iter().any(|log| chosen(&log.name)) {
        bail!("there is no such log in {}", data_dir.display());
    }
    let mut sound = true;
    for log in config.logs.iter().filter(|log| chosen(&log.name)) {
        let examined = LogDirectory::of(data_dir, log)
            .examine(log.personality()?, &log.origin()?, &rocks)
            .with_context(|| format!("log {}", log.name))?;
        match fsck(&examined.store, examined.log_id, show_progress) {
            Ok(ok) => println!(
                "{}: sound, size {}, root {}, {} full tiles, {} identities, {} search keys",
                log.name, ok.head.size, ok.head.root_hash, ok.tiles, ok.identities, ok.search_keys
            ),
            Err(difference) => {
                eprintln!("{}: {difference}", log.name);
                sound = false;
            }
        }
    }
    Ok(sound)
}

fn run_rebuild_search(name: &str, data_dir: &Path) -> ExitCode {
    match rebuild_search_of(name, data_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-server: {error:#}");
            ExitCode::from(EXIT_UNKNOWN)
        }
    }
}

fn rebuild_search_of(name: &str, data_dir: &Path) -> anyhow::Result<()> {
    let config = Config::load(data_dir)?;
    let _lock = server::lock(data_dir)?;
    let Some(log) = config.logs.iter().find(|log| log.name == name) else {
        bail!("there is no log {name:?} in {}", data_dir.display());
    };
    let rocks = RocksShared::new(config.server.memory_bytes)?;
    let store = LogDirectory::of(data_dir, log).store();
    let mut store = RocksStore::open_to_rebuild(&store, &rocks)?;
    let done = rebuild_search(&mut store, &rocks, show_progress)?;
    if done.was_unreadable {
        println!("{name}: the search index could not be read and was thrown away");
    }
    println!(
        "{name}: {} search keys, {} put back, {} removed",
        done.rows, done.added, done.removed
    );
    Ok(())
}

/// A line on a terminal, nothing in a file.
fn show_progress(done: u64, of: u64) {
    use std::io::IsTerminal;
    if std::io::stderr().is_terminal() {
        eprint!("\r{done} of {of} leaves{}", if done == of { "\n" } else { "" });
    }
}
