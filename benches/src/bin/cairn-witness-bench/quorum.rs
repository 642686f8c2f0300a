//! Quorum: one log alone and one under a quorum of 2 of 3 witnesses, measured in turns.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use log_benches::baseline::SyncedFile;
use log_benches::connection::get;
use log_benches::corpus::Corpus;
use log_benches::latency::Latencies;
use log_benches::load::{Load, Pace, Until};
use log_benches::series::Series;
use log_benches::server::{Server, check_disk, free_address};
use rustix::thread::CpuSet;
use tokio::runtime::Runtime;

/// Witnesses, and how many of them make the quorum.
const WITNESSES: usize = 3;
const QUORUM: usize = 2;
/// Single submissions in a round: so many turns of each log. The speed of a virtual machine changes
/// from one second to the next, and what is compared must meet the same.
const IDLE_TURNS: usize = 10;
const IDLE_ENTRIES: usize = 40;
/// Synced writes beside each turn.
const IDLE_SYNCS: usize = 10;
/// A turn of a log under load.
const LOAD_TURN: Duration = Duration::from_millis(500);
/// Load before the measurement.
const WARM_UP: Duration = Duration::from_secs(2);
/// Entries that a second of load may use at most.
const ENTRIES_A_SECOND_MAX: usize = 20_000;
/// A step that takes longer has failed.
const STEP_TIME_MAX: Duration = Duration::from_secs(60);
/// What a log gets to finish its background work before a measurement.
const SETTLE: Duration = Duration::from_secs(1);

/// Gates: throughput under a quorum by that without; idle latency as a multiple, plus syncs.
const THROUGHPUT_LEAST: f64 = 0.75;
const IDLE_MULTIPLE_MOST: f64 = 3.0;
const IDLE_SYNCS_MORE: f64 = 3.0;

/// What is sent.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) connections: usize,
}

/// A log, what is sent to it, and what was found.
struct Subject {
    name: &'static str,
    server: Server,
    load: Load,
    per_second: Series,
    p99_ms: Series,
    idle_us: Series,
}

/// Plays all rounds and prints the table; whether the gates hold.
pub(crate) fn run(dir: &Path, plan: &Plan) -> anyhow::Result<bool> {
    check_disk(dir)?;
    let dir = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let alone = Subject::new("alone", dir.path(), plan)?;
    let quorum = Subject::new("2 of 3 witnesses", dir.path(), plan)?;
    let (alone, (quorum, vkey)) = (alone.0, quorum);
    let cores = cores()?;
    let witnesses = (1..=WITNESSES)
        .zip(cores.iter().cycle())
        .map(|(number, core)| {
            Witness::start(&dir.path().join(format!("w{number}")), &vkey, *core, &runtime)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    quorum.server.set_policy(&policy(&witnesses))?;
    let mut subjects = [alone, quorum];
    for subject in &mut subjects {
        subject.server.start(&runtime).context(subject.name)?;
    }
    let mut synced = SyncedFile::create(dir.path())?;
    let mut sync_us = Series::default();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        sync_us.push(idle(&mut subjects, &mut synced, &runtime)?);
        load(&mut subjects, plan, &runtime)?;
    }
    Ok(report(&subjects, &sync_us))
}

/// Single submissions to both logs in turns, and synced writes between them: their p50 in us.
fn idle(
    subjects: &mut [Subject; 2],
    synced: &mut SyncedFile,
    runtime: &Runtime,
) -> anyhow::Result<f64> {
    std::thread::sleep(SETTLE);
    for subject in subjects.iter_mut() {
        let address = subject.server.address();
        runtime.block_on(subject.load.reconnect(address, 1))?;
    }
    let (mut syncs, mut latencies) = (Latencies::default(), [(); 2].map(|()| Latencies::default()));
    for _ in 0..IDLE_TURNS {
        for (subject, latencies) in subjects.iter_mut().zip(&mut latencies) {
            let sent = subject.send(IDLE_ENTRIES, STEP_TIME_MAX, runtime);
            latencies.merge(sent.context(subject.name)?.latencies);
            for _ in 0..IDLE_SYNCS {
                syncs.record(synced.append()?);
            }
        }
    }
    for (subject, mut latencies) in subjects.iter_mut().zip(latencies) {
        subject.idle_us.push(latencies.percentile(50.0).as_secs_f64() * 1e6);
    }
    Ok(syncs.percentile(50.0).as_secs_f64() * 1e6)
}

/// Load on both logs in turns.
fn load(subjects: &mut [Subject; 2], plan: &Plan, runtime: &Runtime) -> anyhow::Result<()> {
    std::thread::sleep(SETTLE);
    for subject in subjects.iter_mut() {
        let address = subject.server.address();
        runtime.block_on(subject.load.reconnect(address, plan.connections))?;
        subject.send(usize::MAX, WARM_UP, runtime).context(subject.name)?;
    }
    let mut found = [(); 2].map(|()| (0, Duration::ZERO, Latencies::default()));
    let mut left = plan.time;
    while !left.is_zero() {
        let turn = left.min(LOAD_TURN);
        for (subject, (accepted, elapsed, latencies)) in subjects.iter_mut().zip(&mut found) {
            let sent = subject.send(usize::MAX, turn, runtime).context(subject.name)?;
            *accepted += sent.accepted;
            *elapsed += sent.elapsed;
            latencies.merge(sent.latencies);
        }
        left -= turn;
    }
    for (subject, (accepted, elapsed, mut latencies)) in subjects.iter_mut().zip(found) {
        subject.per_second.push(accepted as f64 / elapsed.as_secs_f64());
        subject.p99_ms.push(latencies.percentile(99.0).as_secs_f64() * 1e3);
    }
    Ok(())
}

impl Subject {
    fn new(name: &'static str, dir: &Path, plan: &Plan) -> anyhow::Result<(Self, String)> {
        let data_dir = dir.join(name.replace(' ', "-"));
        let (server, vkey) = Server::init(&beside("cairn-server")?, &data_dir)?;
        let seconds = usize::try_from((plan.time + WARM_UP).as_secs() + 1)?;
        let entries = plan.rounds * (seconds * ENTRIES_A_SECOND_MAX + IDLE_TURNS * IDLE_ENTRIES);
        eprintln!("signing {entries} entries");
        let corpus = Corpus::rekor_v2(&server.address().to_string(), entries)?;
        let load = Load::new(Arc::new(corpus), 0);
        let (per_second, p99_ms) = (Series::default(), Series::default());
        let idle_us = Series::default();
        Ok((Self { name, server, load, per_second, p99_ms, idle_us }, vkey))
    }

    fn send(
        &mut self,
        entries: usize,
        time: Duration,
        runtime: &Runtime,
    ) -> anyhow::Result<log_benches::load::Outcome> {
        ensure!(self.load.left() > IDLE_ENTRIES, "no entries left");
        let outcome = runtime.block_on(self.load.run(Pace::Closed, Until { entries, time }))?;
        ensure!(outcome.is_clean(), "not every entry was taken: {:?}", outcome.first_fault);
        Ok(outcome)
    }
}

/// A witness with an Ed25519 key that knows one log.
struct Witness {
    vkey: String,
    address: SocketAddr,
    child: Child,
}

impl Witness {
    /// Starts a witness on one core. Witnesses are other people's machines and work at the same
    /// time; left to itself the kernel of a small virtual machine wakes two of them on the core
    /// that is awake, one after the other, while its second core is halted.
    fn start(data_dir: &Path, log: &str, core: usize, runtime: &Runtime) -> anyhow::Result<Self> {
        let program = beside("cairn-witness")?;
        let command = |args: &[&str]| {
            let mut command = Command::new("taskset");
            command
                .args(["-c", &core.to_string()])
                .arg(&program)
                .args(args)
                .arg("--data-dir")
                .arg(data_dir);
            command
        };
        let name = data_dir.file_name().context("a name")?.to_string_lossy();
        let name = format!("{name}.bench.example");
        let made = command(&["init", "--name", &name, "--ed25519-only"]).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let added = command(&["add-log", log.trim_end()]).output()?;
        ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let (address, admin) = (free_address()?, free_address()?);
        let log =
            OpenOptions::new().create(true).append(true).open(data_dir.with_extension("log"))?;
        let listen = ["serve", "--listen", &address.to_string(), "--admin", &admin.to_string()];
        let child = command(&listen).stdin(Stdio::null()).stderr(log).spawn()?;
        let vkey = String::from_utf8(made.stdout)?.trim_end().to_owned();
        let witness = Self { vkey, address, child };
        let began = Instant::now();
        while !matches!(runtime.block_on(get(address, "/healthz")), Ok((200, _))) {
            ensure!(began.elapsed() < STEP_TIME_MAX, "the witness does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(witness)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Nothing depends on its end: the directory is thrown away.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The cores that this process may use.
fn cores() -> anyhow::Result<Vec<usize>> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect())
}

fn policy(witnesses: &[Witness]) -> String {
    let mut policy = String::new();
    let mut names = Vec::new();
    for (number, witness) in (1..).zip(witnesses) {
        let name = format!("w{number}");
        policy += &format!("witness {name} {} http://{}\n", witness.vkey, witness.address);
        names.push(name);
    }
    policy + &format!("group g {QUORUM} {}\nquorum g\n", names.join(" "))
}

fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// Prints the table; whether the gates hold.
fn report(subjects: &[Subject; 2], sync_us: &Series) -> bool {
    println!("| log | entries a second | range | p99 | idle p50 | range |");
    println!("|---|---|---|---|---|---|");
    for subject in subjects {
        println!(
            "| {} | {:.0} | {:.0} to {:.0} | {:.1} ms | {:.0} us | {:.0} to {:.0} us |",
            subject.name,
            subject.per_second.median(),
            subject.per_second.least(),
            subject.per_second.most(),
            subject.p99_ms.median(),
            subject.idle_us.median(),
            subject.idle_us.least(),
            subject.idle_us.most(),
        );
    }
    println!("4 KiB appended and synced: {:.0} us", sync_us.median());
    let [alone, quorum] = subjects;
    let throughput = of_rounds(&quorum.per_second, |round| alone.per_second.values()[round]);
    let idle = of_rounds(&quorum.idle_us, |round| {
        IDLE_MULTIPLE_MOST * alone.idle_us.values()[round]
            + IDLE_SYNCS_MORE * sync_us.values()[round]
    });
    let line = |what: &str, of: &Series, bound: &str| {
        println!(
            "{what}, median of the rounds {:.2} ({:.2} to {:.2}); {bound}",
            of.median(),
            of.least(),
            of.most()
        );
    };
    line(
        "throughput by that without witnesses",
        &throughput,
        &format!("at least {THROUGHPUT_LEAST}"),
    );
    line("idle p50 by 3 times that without witnesses and 3 syncs", &idle, "at most 1");
    throughput.median() >= THROUGHPUT_LEAST && idle.median() <= 1.0
}

/// What each round gave, by what is measured against in the same round.
fn of_rounds(values: &Series, against: impl Fn(usize) -> f64) -> Series {
    let mut ratios = Series::default();
    for (round, value) in values.values().iter().enumerate() {
        ratios.push(value / against(round));
    }
    ratios
}
