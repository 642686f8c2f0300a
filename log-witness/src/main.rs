//! `cairn-witness`: the command line of the witness.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::{Parser, Subcommand};
use log_core::key::VerifierKey;
use log_witness::admin::{self, NewLog, Order, Report};
use log_witness::api::Api;
use log_witness::clock::Clock;
use log_witness::config::Config;
use log_witness::init::{init, recreate_database};
use log_witness::keys::WitnessKeys;
use log_witness::log_list::LogList;
use log_witness::printable::printable;
use log_witness::server;
use log_witness::witness::{OpenError, Witness};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Cosigns the checkpoints of transparency logs that show one history.
#[derive(Parser)]
#[command(name = "cairn-witness", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a witness: its keys, its database, its configuration; prints the vkeys
    Init {
        /// A directory that does not exist yet, or is empty
        #[arg(long)]
        data_dir: PathBuf,
        /// Name on its signatures, a URL without scheme: witness.example/w1
        #[arg(long)]
        name: String,
        /// Only an Ed25519 key; without this there is an ML-DSA-44 key too
        #[arg(long)]
        ed25519_only: bool,
    },
    /// Print the vkeys, one a line
    Vkeys {
        #[arg(long)]
        data_dir: PathBuf,
    },
    /// Cosign a log, or all logs of a list
    AddLog {
        #[arg(long)]
        data_dir: PathBuf,
        /// Keys of the log
        vkeys: Vec<String>,
        /// First line of its checkpoints, if it is not the name of its first key
        #[arg(long)]
        origin: Option<String>,
        /// A file in logs/v0 format; known logs stay as they are
        #[arg(long, conflicts_with_all = ["vkeys", "origin"])]
        list: Option<PathBuf>,
        /// The log is known, and this is a further key of it
        #[arg(long)]
        add_key: bool,
        /// The database is lost: make it again. Nothing is signed before accept-lost-state
        #[arg(long)]
        after_loss: bool,
        /// After a loss: this witness has never signed for these logs
        #[arg(long)]
        never_cosigned: bool,
    },
    /// Serve
    Serve {
        #[arg(long)]
        data_dir: PathBuf,
        /// Where logs submit; wins over the configuration
        #[arg(long)]
        listen: Option<SocketAddr>,
        /// Metrics and readiness; wins over the configuration
        #[arg(long)]
        admin: Option<SocketAddr>,
        /// The clock is right, although it is a year ahead of everything on disk, or behind it
        #[arg(long)]
        accept_clock: bool,
        /// Log lines as JSON
        #[arg(long)]
        log_json: bool,
    },
    /// Print every log with its size and the age of its last cosignature in seconds
    List {
        #[arg(long)]
        data_dir: PathBuf,
        #[arg(long)]
        json: bool,
    },
    /// List the evidence, or print the files about one log
    Evidence {
        #[arg(long)]
        data_dir: PathBuf,
        /// Print what is kept about this log
        #[arg(long)]
        origin: Option<String>,
        /// Cosign again although there is this evidence
        #[arg(long, value_name = "ID", conflicts_with = "origin")]
        accept: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// Restart a log whose state was lost or rolled back
    AcceptLostState {
        /// The log
        origin: String,
        #[arg(long)]
        data_dir: PathBuf,
        /// A checkpoint with a cosignature of this witness: the newest that can be found
        #[arg(long)]
        head: PathBuf,
        /// Take the word of this witness if no own cosignature can be found
        #[arg(long, value_name = "VKEY")]
        peer_vkey: Option<String>,
    },
}

/// The command found that something is not as it should be.
const EXIT_NO: u8 = 1;
/// Threads that serve requests.
const WORKERS_MIN: usize = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    start_logging(matches!(args.command, Command::Serve { log_json: true, .. }));
    match run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-witness: {}", printable(&format!("{error:#}")));
            ExitCode::from(EXIT_NO)
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init { data_dir, name, ed25519_only } => {
            let now_s = Clock::system().now().wall_s;
            print_keys(init(&data_dir, &name, !ed25519_only, now_s)?.iter())
        }
        Command::Vkeys { data_dir } => {
            let keys = WitnessKeys::load(&Config::load(&data_dir)?.keys)?;
            print_keys(keys.verifier_keys())
        }
        Command::AddLog { data_dir, vkeys, origin, list, add_key, after_loss, never_cosigned } => {
            let (logs, skipped) = match list {
                Some(file) => read_list(&file)?,
                None => (vec![one_log(vkeys, origin)?], Vec::new()),
            };
            if after_loss {
                recreate(&data_dir)?;
            }
            let order = Order::AddLogs { logs, add_key, never_cosigned };
            report_added(&ask(&data_dir, order)?, &skipped)
        }
        Command::Serve { data_dir, listen, admin, accept_clock, .. } => {
            run_serve(&data_dir, listen, admin, accept_clock)
        }
        Command::List { data_dir, json } => print_list(&ask(&data_dir, Order::List)?, json),
        Command::Evidence { data_dir, accept: Some(id), .. } => {
            print_done(&ask(&data_dir, Order::AcceptEvidence { id })?)
        }
        Command::Evidence { data_dir, origin, json, .. } => {
            let whole = origin.is_some();
            print_evidence(&ask(&data_dir, Order::Evidence { origin })?, whole, json)
        }
        Command::AcceptLostState { origin, data_dir, head, peer_vkey } => {
            let note = std::fs::read_to_string(&head).context(head.display().to_string())?;
            print_done(&ask(&data_dir, Order::AcceptLostState { origin, note, peer_vkey })?)
        }
    }
}

fn start_logging(json: bool) {
    let filter = EnvFilter::try_from_env("CAIRN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { lines.json().init() } else { lines.init() }
}

fn print_keys<'k>(keys: impl Iterator<Item = &'k VerifierKey>) -> anyhow::Result<()> {
    keys.for_each(|key| println!("{key}"));
    Ok(())
}

fn one_log(vkeys: Vec<String>, origin: Option<String>) -> anyhow::Result<NewLog> {
    let first = vkeys.first().ok_or_else(|| anyhow!("name a VKEY, or a file with --list"))?;
    let first = VerifierKey::parse(first).context(first.clone())?;
    Ok(NewLog { origin: origin.unwrap_or_else(|| first.name().to_string()), vkeys })
}

fn read_list(file: &Path) -> anyhow::Result<(Vec<NewLog>, Vec<String>)> {
    let name = file.display().to_string();
    let text = std::fs::read(file).context(name.clone())?;
    let list = LogList::parse(&text).context(name)?;
    let logs = list.logs.iter();
    let logs =
        logs.map(|log| NewLog { origin: log.origin.to_string(), vkeys: vec![log.key.to_string()] });
    Ok((logs.collect(), list.skipped))
}

/// Makes a lost database again, if nobody serves and it is really missing.
fn recreate(data_dir: &Path) -> anyhow::Result<()> {
    let config = Config::load(data_dir)?;
    let keys = WitnessKeys::load(&config.keys)?;
    let _lock = server::lock(data_dir)?;
    recreate_database(data_dir, &keys, Clock::system().now().wall_s)?;
    eprintln!(
        "cairn-witness: the database was made again. Its logs get no signature before \
         accept-lost-state names their heads"
    );
    Ok(())
}

/// Gives an order to the running witness, or carries it out here.
fn ask(data_dir: &Path, order: Order) -> anyhow::Result<Report> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let report = match std::os::unix::net::UnixStream::connect(admin::socket(data_dir)) {
        Ok(stream) => ask_running(stream, &order)?,
        Err(error) if matches!(error.kind(), ConnectionRefused | NotFound) => {
            carry_out(data_dir, order)?
        }
        Err(error) => return Err(error).context("the running witness cannot be reached"),
    };
    match report {
        Report::Failed { why } => bail!(why),
        report => Ok(report),
    }
}

fn ask_running(
    mut stream: std::os::unix::net::UnixStream,
    order: &Order,
) -> anyhow::Result<Report> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(u64::MAX)).read_until(b'\n', &mut answer)?;
    serde_json::from_slice(&answer).context("the running witness gave no answer")
}

fn carry_out(data_dir: &Path, order: Order) -> anyhow::Result<Report> {
    let config = Config::load(data_dir)?;
    let _lock = server::lock(data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let failed = Arc::new(|error: &_| eprintln!("cairn-witness: {error}"));
    let witness = Witness::open(data_dir, &config, Clock::system(), failed)?;
    let report = runtime.block_on(admin::execute(&witness, order));
    witness.stop();
    Ok(report)
}

fn report_added(report: &Report, skipped: &[String]) -> anyhow::Result<()> {
    let Report::Added { added, known, alarms } = report else { bail!("an unexpected answer") };
    println!("{added} added, {known} known");
    for line in skipped {
        eprintln!("cairn-witness: left out: {}", printable(line));
    }
    for alarm in alarms {
        eprintln!("cairn-witness: ALARM: {}", printable(alarm));
    }
    if alarms.is_empty() { Ok(()) } else { bail!("a key of a known log differs; see --add-key") }
}

fn print_list(report: &Report, json: bool) -> anyhow::Result<()> {
    let Report::Listed { logs } = report else { bail!("an unexpected answer") };
    if json {
        println!("{}", serde_json::to_string_pretty(logs)?);
        return Ok(());
    }
    println!("{:>12} {:>10} {:<14} {:>8}  origin", "size", "age_s", "state", "evidence");
    for log in logs {
        let age = log.age_s.map_or_else(|| "-".to_owned(), |age| age.to_string());
        let (size, state, evidence) = (log.size, &log.state, log.evidence);
        let origin = printable(&log.origin);
        println!("{size:>12} {age:>10} {state:<14} {evidence:>8}  {origin}");
    }
    Ok(())
}

fn print_evidence(report: &Report, whole: bool, json: bool) -> anyhow::Result<()> {
    let Report::Evidence { files } = report else { bail!("an unexpected answer") };
    if json {
        println!("{}", serde_json::to_string_pretty(files)?);
        return Ok(());
    }
    for file in files {
        if whole {
            print!("{}", file.file);
        } else {
            let accepted = if file.accepted { "accepted" } else { "open" };
            println!("{} {accepted} {}", file.id, printable(&file.origin));
        }
    }
    Ok(())
}

fn print_done(report: &Report) -> anyhow::Result<()> {
    let Report::Done { what } = report else { bail!("an unexpected answer") };
    println!("{}", printable(what));
    Ok(())
}

fn run_serve(
    data_dir: &Path,
    listen: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    accept_clock: bool,
) -> anyhow::Result<()> {
    let mut config = Config::load(data_dir)?;
    config.listen = listen.unwrap_or(config.listen);
    config.admin = admin.unwrap_or(config.admin);
    let connections_max = server::connections_that_fit(server::raise_file_limit());
    if connections_max < config.connections_max {
        tracing::warn!(connections_max, "fewer connections: the limit of open files is low");
        config.connections_max = connections_max;
    }
    // One of them may be waiting for the disk: see `commit`.
    let workers = std::thread::available_parallelism().map_or(WORKERS_MIN, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.max(WORKERS_MIN))
        .enable_all()
        .build()?;
    runtime.block_on(serve(data_dir, config, accept_clock))
}

async fn serve(data_dir: &Path, config: Config, accept_clock: bool) -> anyhow::Result<()> {
    // From here on a request to stop is not lost: it is followed once the witness is open.
    let stop = stop_signal()?;
    let mut lock = Some(server::lock(data_dir)?);
    let listener = server::bind(config.listen).await?;
    let admin = server::bind(config.admin).await?;
    let clock = Clock::system();
    let clock = if accept_clock { clock.accepted() } else { clock };
    let witness = match Witness::open(data_dir, &config, clock, Arc::new(end_process)) {
        Ok(witness) => Ok(Arc::new(witness)),
        Err(lost @ (OpenError::DatabaseMissing | OpenError::OtherState { .. })) => {
            tracing::error!(reason = %lost, "shut: nothing is signed");
            // Nothing is open, and the operator has to work on the directory.
            lock = None;
            Err(lost.to_string())
        }
        Err(error) => return Err(error.into()),
    };
    let orders = match &witness {
        Ok(witness) => {
            let orders = admin::listen(data_dir).context("the admin socket")?;
            Some(tokio::spawn(admin::serve(orders, Arc::clone(witness))))
        }
        Err(_) => None,
    };
    tracing::info!(listen = %listener.local_addr()?, admin = %admin.local_addr()?, "serving");
    server::run(listener, admin, Api::new(witness, config.clone()), config, stop).await;
    if let Some(orders) = orders {
        orders.abort();
        // The next run removes what cannot be removed now.
        let _ = std::fs::remove_file(admin::socket(data_dir));
    }
    drop(lock);
    tracing::info!("stopped");
    Ok(())
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

/// After a write with an unknown outcome no state in memory can be trusted: the next start decides
/// by the disk.
fn end_process(error: &log_witness::state::StoreError) {
    tracing::error!(%error, "fatal: the process ends");
    eprintln!("cairn-witness: {error}");
    std::process::exit(i32::from(EXIT_NO));
}
