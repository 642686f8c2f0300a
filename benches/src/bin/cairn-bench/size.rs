//! What only a large log shows: starts after a crash, and what an entry takes on the disk for ever.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use log_benches::load::{Load, Pace, Until};
use log_benches::series::Series;
use log_core::LeafIndex;
use log_server::log::directory::LogDirectory;
use log_server::store::Store;
use log_server::store::rocks::{RocksShared, RocksStore};
use tokio::runtime::Runtime;

use log_benches::server::Server;

/// The server is killed so many times.
pub(crate) const CRASHES: usize = 3;
/// Entries that are kept for the load around one crash.
pub(crate) const CRASH_ENTRIES: usize = 40_000;
/// The load runs so long when the server is killed.
const CRASH_AFTER: Duration = Duration::from_secs(1);
/// Cache for reading the store, as the server has by default.
const MEMORY_BYTES: usize = 256 << 20;
/// Leaves that are read at once.
const LEAVES_READ: u64 = 4096;

/// What an entry takes on the disk.
pub(crate) struct Disk {
    /// Entries in the log.
    pub(crate) entries: u64,
    /// Mean length of a leaf.
    pub(crate) leaf_bytes: f64,
    /// Mean size of the store for an entry, as it is when it was opened.
    pub(crate) stored_bytes: f64,
    /// The same after a full compaction.
    pub(crate) compacted_bytes: f64,
    /// How long the compaction took.
    pub(crate) compaction: Duration,
}

impl Disk {
    /// What the log adds to a leaf: hashes, keys, heads, framing.
    pub(crate) fn added_bytes(&self) -> f64 {
        self.compacted_bytes - self.leaf_bytes
    }
}

/// Kills the server under load and starts it again, some times; returns the milliseconds until it
/// served a checkpoint, and the entries that it had acknowledged in all.
pub(crate) fn crash(
    server: &mut Server,
    load: &mut Load,
    connections: usize,
    mut acknowledged: u64,
    runtime: &Runtime,
) -> anyhow::Result<(Series, u64)> {
    let mut starts = Series::default();
    for _ in 0..CRASHES {
        runtime.block_on(load.reconnect(server.address(), connections))?;
        let until = Until { entries: CRASH_ENTRIES, time: CRASH_AFTER * 10 };
        let outcome = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                std::thread::sleep(CRASH_AFTER);
                server.kill()
            });
            let outcome = runtime.block_on(load.run(Pace::Closed, until));
            killer.join().expect("invariant: the thread that kills does not panic")?;
            anyhow::Ok(outcome?)
        })?;
        ensure!(outcome.broken > 0, "the server was killed when the load was over");
        acknowledged += outcome.accepted;
        let (took, head) = server.start(runtime)?;
        let size = head.size.get();
        ensure!(size >= acknowledged, "{acknowledged} entries acknowledged, {size} in the log");
        starts.push(took.as_secs_f64() * 1e3);
    }
    Ok((starts, acknowledged))
}

/// Opens the store of a log of a stopped server, compacts it and weighs it.
pub(crate) fn weigh(data_dir: &Path, log: &str) -> anyhow::Result<Disk> {
    let shared = RocksShared::new(MEMORY_BYTES)?;
    let store = RocksStore::open(&LogDirectory::new(data_dir, log).store(), &shared)?;
    let entries = store.head()?.context("a log has a head")?.tree.size.get();
    let stored = store.disk_bytes()?;
    let began = Instant::now();
    store.compact()?;
    let compaction = began.elapsed();
    let compacted = store.disk_bytes()?;
    let mut leaf_bytes = 0;
    for first in (0..entries).step_by(usize::try_from(LEAVES_READ)?) {
        let count = LEAVES_READ.min(entries - first);
        let leaves = store.leaves(LeafIndex::new(first), usize::try_from(count)?)?;
        leaf_bytes += leaves.iter().map(|leaf| leaf.as_bytes().len() as u64).sum::<u64>();
    }
    let each = |bytes: u64| bytes as f64 / entries as f64;
    Ok(Disk {
        entries,
        leaf_bytes: each(leaf_bytes),
        stored_bytes: each(stored),
        compacted_bytes: each(compacted),
        compaction,
    })
}
