//! Fill: a v1 log with many entries, put in through the engine itself, without HTTP and without
//! signatures: a search does not know how an entry was admitted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use log_core::{Leaf, sha256};
use log_server::clock::Clock;
use log_server::config::Config;
use log_server::engine::{Engine, Hosted};
use log_server::log::directory::LogDirectory;
use log_server::log::{Fatal, SearchKey, Submission, SubmitError, Surroundings};
use log_server::metrics::Metrics;
use log_server::store::rocks::{RocksShared, RocksStore};
use tokio::task::JoinSet;

use crate::say;

/// Submissions under way at once: fewer than the pool of a log takes.
const UNDER_WAY: usize = 2048;
/// What every hit of the large search has.
pub(crate) const COMMON: &str = "everybody@bench.example";
/// The log that is filled.
pub(crate) const LOG: &str = "rekor-v1";

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filling {
    pub(crate) entries: u64,
    /// Search keys that each entry has for itself.
    pub(crate) keys: u64,
    /// Entries that have [`COMMON`] as well, spread over all of them.
    pub(crate) hits: u64,
}

impl Filling {
    /// Search keys that only one entry has.
    pub(crate) fn distinct(&self) -> u64 {
        self.entries * self.keys
    }

    /// The digest of distinct key `number`, in hexadecimal digits.
    pub(crate) fn digest(number: u64) -> String {
        sha256(&number.to_be_bytes()).to_string()
    }

    /// The leaf with the distinct keys from `entry * keys` on. Nothing compresses it much.
    pub(crate) fn leaf(entry: u64) -> Leaf {
        let text: String = (0..5_u64).map(|part| Self::digest(!(entry * 5 + part))).collect();
        Leaf::new(text.into_bytes()).expect("invariant: 320 bytes are a leaf")
    }

    fn submission(&self, entry: u64) -> Submission {
        let own = entry * self.keys..(entry + 1) * self.keys;
        let own = own.map(|number| SearchKey::of(&format!("sha256:{}", Self::digest(number))));
        // Spread evenly: as many before each entry as its share.
        let before = |entry: u64| entry * self.hits / self.entries;
        let common = (before(entry) < before(entry + 1)).then(|| SearchKey::of(COMMON));
        Submission { leaf: Self::leaf(entry), search_keys: own.chain(common).collect() }
    }
}

/// Fills the log of a data directory that nobody serves.
pub(crate) fn fill(data_dir: &Path, filling: &Filling) -> anyhow::Result<()> {
    ensure!(filling.hits <= filling.entries, "more hits than entries");
    let began = Instant::now();
    let config = Config::load(data_dir)?;
    let on_fatal = |log: &str, fatal: &Fatal| {
        eprintln!("cairn-v1-bench: {log}: {fatal}");
        std::process::exit(1);
    };
    let surroundings =
        Surroundings { clock: Clock::system(), on_fatal: Arc::new(on_fatal), shut: Arc::default() };
    let rocks = RocksShared::new(config.server.memory_bytes)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let _entered = runtime.enter();
    let engine = Engine::open(data_dir, &config, &rocks, &Metrics::new(), &surroundings)?;
    let hosted = engine.log(LOG).context("init makes a v1 log")?;
    let filled = runtime.block_on(submit_all(hosted, *filling));
    engine.stop();
    filled?;
    drop(engine);
    let seconds = began.elapsed().as_secs_f64();
    say(&format!("filled in {seconds:.0} s; compacting"));
    let store = RocksStore::open(&LogDirectory::new(data_dir, LOG).store(), &rocks)?;
    store.compact()?;
    let disk = store.disk_bytes()?;
    say(&format!("{} bytes an entry on the disk", disk / filling.entries.max(1)));
    Ok(())
}

async fn submit_all(hosted: &Arc<Hosted>, filling: Filling) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..UNDER_WAY {
        let (hosted, next) = (Arc::clone(hosted), Arc::clone(&next));
        workers.spawn(async move {
            let log = hosted.log().map_err(|shut| anyhow!("{shut}"))?;
            loop {
                let entry = next.fetch_add(1, Ordering::Relaxed);
                if entry >= filling.entries {
                    return anyhow::Ok(());
                }
                // A store that compacts may be too slow for a ticket; what is sent again is found.
                while let Err(error) = log.submit(filling.submission(entry)).await {
                    ensure!(matches!(error, SubmitError::TimedOut | SubmitError::Pool(_)), error);
                }
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}
