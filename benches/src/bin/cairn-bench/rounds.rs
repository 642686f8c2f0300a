//! One round: both baselines and both loads, one after the other, so that what else goes on in the
//! machine meets all of them.

use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::ensure;
use log_benches::baseline::{BareVerification, SyncedFile};
use log_benches::check::Checker;
use log_benches::latency::{Latencies, Summary};
use log_benches::load::{Load, Pace, Until};
use log_benches::process::{Usage, machine_busy};
use tokio::runtime::Runtime;

use log_benches::server::Server;

/// One measurement of the bare verification, before and after the load of a round.
const VERIFICATION_TIME: Duration = Duration::from_millis(500);
/// Syncs and single submissions follow each other in blocks of this size.
const IDLE_BLOCK: usize = 25;
/// Blocks in a round.
const IDLE_BLOCKS: usize = 8;
/// A block that takes longer than this has failed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// What the server gets to finish its background work before a measurement of idle latency.
const SETTLE: Duration = Duration::from_secs(2);

/// What the rounds have in common.
pub(crate) struct Plan {
    /// Connections under load.
    pub(crate) connections: usize,
    /// Load before the measurement.
    pub(crate) warm_up: Duration,
    /// Load that is measured.
    pub(crate) measured: Duration,
    /// Entries that a round may use.
    pub(crate) entries: usize,
}

/// What a load found. Times and bytes are those of one entry.
pub(crate) struct Loaded {
    /// Time of the server on the cores.
    pub(crate) server_cpu: Duration,
    /// The same of the load generator.
    pub(crate) client_cpu: Duration,
    /// Share of the cores that went to neither of the two.
    pub(crate) foreign: f64,
    /// Accepted entries a second.
    pub(crate) per_second: f64,
    /// From request to answer.
    pub(crate) latencies: Summary,
    /// Bytes that the server had written.
    pub(crate) written_bytes: f64,
    /// Answers that were checked cryptographically.
    pub(crate) checked: usize,
    /// Entries that were accepted, the warm-up included.
    pub(crate) accepted: u64,
}

/// What a round found.
pub(crate) struct Round {
    /// A bare verification, the mean of before and after the load.
    pub(crate) verification: Duration,
    /// Median of 4 KiB written and synced.
    pub(crate) sync: Duration,
    /// Median of one submission at a time.
    pub(crate) idle: Duration,
    /// Under load.
    pub(crate) loaded: Loaded,
}

impl Round {
    /// Server time for an entry by the time of a bare verification.
    pub(crate) fn cpu_ratio(&self) -> f64 {
        self.loaded.server_cpu.as_secs_f64() / self.verification.as_secs_f64()
    }

    /// Idle latency by the time of a synced write.
    pub(crate) fn idle_ratio(&self) -> f64 {
        self.idle.as_secs_f64() / self.sync.as_secs_f64()
    }

    /// Entries that the round added to the log.
    pub(crate) fn accepted(&self) -> u64 {
        self.loaded.accepted + (IDLE_BLOCK * IDLE_BLOCKS) as u64
    }
}

/// Plays a round.
pub(crate) fn play(
    plan: &Plan,
    server: &Server,
    load: &mut Load,
    bare: &BareVerification,
    synced: &mut SyncedFile,
    runtime: &Runtime,
) -> anyhow::Result<Round> {
    std::thread::sleep(SETTLE);
    runtime.block_on(load.reconnect(server.address(), 1))?;
    let (sync, idle) = idle(load, synced, runtime)?;
    let before = bare.measure(VERIFICATION_TIME);
    let loaded = under_load(plan, server, server.checker(), load, runtime)?;
    let after = bare.measure(VERIFICATION_TIME);
    Ok(Round { verification: (before + after) / 2, sync, idle, loaded })
}

/// Drives the server as fast as it answers, and reads what it used.
pub(crate) fn under_load(
    plan: &Plan,
    server: &Server,
    checker: &Checker,
    load: &mut Load,
    runtime: &Runtime,
) -> anyhow::Result<Loaded> {
    runtime.block_on(load.reconnect(server.address(), plan.connections))?;
    let warm_up = Until { entries: plan.entries / 2, time: plan.warm_up };
    let warm_up = runtime.block_on(load.run(Pace::Closed, warm_up))?;
    ensure!(warm_up.is_clean(), "not every entry was taken: {:?}", warm_up.first_fault);
    let left = plan.entries.saturating_sub(usize::try_from(warm_up.accepted)?);

    let usages = || -> anyhow::Result<_> {
        Ok((Usage::of(server.pid()?)?, Usage::of_self()?, machine_busy()?))
    };
    let (server_before, client_before, busy_before) = usages()?;
    let until = Until { entries: left, time: plan.measured };
    let mut outcome = runtime.block_on(load.run(Pace::Closed, until))?;
    let (server_after, client_after, busy_after) = usages()?;
    ensure!(outcome.is_clean(), "not every entry was taken: {:?}", outcome.first_fault);

    let used = server_after.since(server_before);
    let client = client_after.since(client_before).cpu;
    let others = busy_after.saturating_sub(busy_before).saturating_sub(used.cpu + client);
    let cores = available_parallelism().map_or(1, |cores| cores.get()) as f64;
    let entries = outcome.accepted.max(1) as f64;
    Ok(Loaded {
        server_cpu: used.cpu.div_f64(entries),
        client_cpu: client.div_f64(entries),
        foreign: others.as_secs_f64() / cores / outcome.elapsed.as_secs_f64(),
        per_second: outcome.per_second(),
        latencies: outcome.latencies.summary(),
        written_bytes: used.written_bytes as f64 / entries,
        checked: load.check(checker, &outcome)?,
        accepted: warm_up.accepted + outcome.accepted,
    })
}

/// Medians of synced writes and of submissions, in turns.
fn idle(
    load: &mut Load,
    synced: &mut SyncedFile,
    runtime: &Runtime,
) -> anyhow::Result<(Duration, Duration)> {
    let (mut syncs, mut submissions) = (Latencies::default(), Latencies::default());
    for _ in 0..IDLE_BLOCKS {
        for _ in 0..IDLE_BLOCK {
            syncs.record(synced.append()?);
        }
        let until = Until { entries: IDLE_BLOCK, time: IDLE_TIME_MAX };
        let outcome = runtime.block_on(load.run(Pace::Closed, until))?;
        ensure!(outcome.is_clean(), "not every entry was taken: {:?}", outcome.first_fault);
        submissions.merge(outcome.latencies);
    }
    Ok((syncs.percentile(50.0), submissions.percentile(50.0)))
}
