//! Start: a recovered log becomes a running one.
//!
//! With quorum `none` it publishes its committed head at once. With witnesses it shows what it had
//! published before, if that is still in its tree, and asks them before anything else.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use log_core::checkpoint::SignedCheckpoint;
use log_core::integrate::RightEdge;
use log_core::policy::WitnessPolicy;
use log_core::tree::TreeSize;

use super::alarm::convicted;
use super::anchor::Anchor;
use super::committed_time::CommittedTime;
use super::cosign::{Cosigned, Signed, sign, sign_genesis};
use super::cosigner::{Cosigner, CosignerParts};
use super::mailbox::Mailbox;
use super::panel::Panel;
use super::pool::Pool;
use super::publish::Published;
use super::read::{TILES_CACHED_MAX, TileCache};
use super::recover::{Shut, edge_at};
use super::round::Attempt;
use super::sequencer::{Next, Sequencer};
use super::signer::Signer;
use super::standing::Standing;
use super::witnessed::Witnessed;
use super::{Fatal, Gate, Log, Parts, Shared, Surroundings};
use crate::config::WitnessSettings;
use crate::metrics::LogMetrics;

/// How often the anchor is synced, at the least, while commits go on.
const ANCHOR_SYNC_INTERVAL: Duration = Duration::from_millis(500);

impl Log {
    /// Starts the threads of a log, and whatever comes before its first publication.
    ///
    /// # Errors
    /// [`Shut`]: nothing was signed that is not in the history of the store.
    pub(super) fn start(
        parts: Parts,
        metrics: LogMetrics,
        surroundings: Surroundings,
    ) -> Result<Self, Shut> {
        check_before(&parts)?;
        let past = Past::load(&parts)?;
        let time = parts
            .settings
            .personality
            .commits_time()
            .then(|| CommittedTime::start(&surroundings.clock, parts.recovered.head.time_ms));
        let alone = parts.settings.witnesses.policy.witnesses().is_empty()
            && past.policy.witnesses().is_empty();
        let Parts { settings, store, signer, anchor, space, recovered, evidence, accepted } = parts;
        let (head, edge, key) = (recovered.head, recovered.edge.clone(), signer.verifier_key());
        let visible = if alone {
            // The same path as every later head: committed, cosigned, published.
            Some(sign(recovered.clone(), &settings.origin, &signer).alone())
        } else {
            past.visible(&signer)
        };
        let visible = visible.map(Published::from);
        let size = visible.as_ref().map(|visible| visible.head().size);
        metrics.opened(size.unwrap_or(TreeSize::new(0)));
        metrics.tails_accepted(accepted.len());
        let mailbox = (!alone).then(|| Arc::new(Mailbox::new(recovered, size)));
        let gate = if alone { Gate::Open } else { Gate::Asking };
        let shared = Arc::new(Shared {
            name: settings.name.clone(),
            origin: settings.origin.clone(),
            store,
            pool: Pool::new(settings.pool_leaves_max),
            published: ArcSwapOption::new(visible.map(Arc::new)),
            gate: ArcSwap::from_pointee(gate),
            mailbox: mailbox.clone(),
            standing: Standing::default(),
            tiles: TileCache::new(TILES_CACHED_MAX),
            space,
            metrics,
            surroundings,
            time,
        });
        let (next, cosigner) = match mailbox {
            None => (Next::Publish(Arc::clone(&signer)), None),
            Some(mailbox) => {
                let witnesses = settings.witnesses.clone();
                let for_cosigner = Arc::clone(&mailbox);
                let signer = Arc::clone(&signer);
                let cosigner =
                    past.cosigner(Arc::clone(&shared), for_cosigner, signer, witnesses, evidence)?;
                (Next::Cosign(mailbox), Some(cosigner))
            }
        };
        let anchor = Arc::new(anchor);
        let sequencer = Sequencer {
            shared: Arc::clone(&shared),
            head,
            edge,
            next,
            anchor: Arc::clone(&anchor),
        };
        let threads = spawn_all(&shared, sequencer, &anchor, cosigner).map_err(|error| {
            // Those that run already have nobody who would stop them.
            shared.abandon();
            unreadable(error)
        })?;
        let (frozen, threads) = (head.flags.frozen, Mutex::new(threads));
        Ok(Self { settings, key, signer, frozen, shared, anchor, threads, accepted })
    }
}

/// What must hold before a log may sign, and what its operator should know.
fn check_before(parts: &Parts) -> Result<(), Shut> {
    if let Some(evidence) = convicted(&parts.evidence).map_err(unreadable)? {
        return Err(Shut::Convicted(evidence));
    }
    let settings = &parts.settings;
    let witnesses = &settings.witnesses;
    let of_this_log = witnesses.check_log_key(&parts.signer.witness_key());
    of_this_log.map_err(|error| Shut::File(error.to_string()))?;
    if !witnesses.policy.is_none() && witnesses.policy.quorum_arithmetic().disjoint_quorums {
        tracing::warn!(
            log = settings.name,
            "two quorums of the witness policy can be disjoint: it does not keep this log from \
             showing two histories"
        );
    }
    Ok(())
}

fn unreadable(error: std::io::Error) -> Shut {
    Shut::File(error.to_string())
}

/// What the store says about the log's witnesses.
pub(super) struct Past {
    record: Witnessed,
    /// The policy under which the log published last.
    policy: WitnessPolicy,
    /// The newest published note, and the right edge of its tree.
    published: Option<(SignedCheckpoint, RightEdge)>,
}

impl Past {
    /// Reads the record and checks it against the recovered tree.
    pub(super) fn load(parts: &Parts) -> Result<Self, Shut> {
        let record = match parts.store.note()? {
            Some(record) => Witnessed::parse(&record)?,
            None => Witnessed::nothing(),
        };
        let policy = record.policy()?;
        let committed = parts.recovered.head.tree.size;
        if record.sizes.values().any(|size| *size > committed) {
            let lost = "a witness is known to have cosigned more than is committed";
            return Err(Shut::ForeignRecord(lost.into()));
        }
        let note = record.checkpoint(&parts.settings.origin, &parts.signer.witness_key())?;
        let published = match note {
            Some(note) => {
                let edge = edge_at(parts.store.as_ref(), &parts.recovered, note.head())?;
                Some((note, edge))
            }
            None => None,
        };
        Ok(Self { record, policy, published })
    }

    /// What may be served before the witnesses have answered: the note that was published last. A
    /// log without witnesses publishes without writing its note down, so the note that it has may
    /// be older than what its readers saw.
    fn visible(&self, signer: &Signer) -> Option<Cosigned> {
        let shown = self.published.as_ref().filter(|_| !self.policy.is_none());
        shown.map(|(note, edge)| Cosigned::again(note, edge.clone(), signer))
    }

    /// The log's cosigner, and the head that it asks its question with: the last published one, or
    /// the empty tree, which is consistent with every history.
    pub(super) fn cosigner(
        self,
        shared: Arc<Shared>,
        mailbox: Arc<Mailbox>,
        signer: Arc<Signer>,
        settings: WitnessSettings,
        evidence: PathBuf,
    ) -> Result<(Cosigner, Arc<Signed>), Shut> {
        let sizes = self.record.sizes.clone();
        let panel = Panel::new(&settings, &self.policy, sizes, &shared.metrics)?;
        let (mut about, mut newest) = (None, None);
        if let Some((note, edge)) = self.published {
            let signed = Arc::new(Signed::again(&note, edge, &signer));
            newest = on_show(&signed, &note, &settings, self.policy == settings.policy);
            about = Some(signed);
        }
        let committed = mailbox.newest().head.tree;
        newest = newest.filter(|newest| newest.about.tree() == committed);
        let about = about.unwrap_or_else(|| Arc::new(sign_genesis(&shared.origin, &signer)));
        let (record, stored_policy) = (self.record, self.policy);
        let parts = CosignerParts {
            shared,
            mailbox,
            signer,
            settings,
            panel,
            record,
            stored_policy,
            newest,
            evidence,
        };
        Ok((Cosigner::new(parts), about))
    }
}

/// The note on show with its lines, if it has the quorum of the policy that is in force: no round
/// of this run replaces it by one that lacks what it has.
fn on_show(
    signed: &Arc<Signed>,
    note: &SignedCheckpoint,
    settings: &WitnessSettings,
    is_same_policy: bool,
) -> Option<Attempt> {
    if settings.policy.is_none() || !is_same_policy {
        return None;
    }
    let witnesses = settings.policy.witnesses().iter();
    let counts = |name: &String| !settings.excluded.contains(name);
    let lines = witnesses
        .filter(|witness| counts(&witness.name))
        .filter_map(|witness| signed.line_again(&witness.key, note.note()))
        .collect();
    let attempt = Attempt { about: Arc::clone(signed), lines };
    attempt.about.with_quorum(&settings.policy, &attempt.lines)?;
    Some(attempt)
}

/// The cosigner comes last: it signs, so it must not run in a log that did not start.
fn spawn_all(
    shared: &Arc<Shared>,
    sequencer: Sequencer,
    anchor: &Arc<Anchor>,
    cosigner: Option<(Cosigner, Arc<Signed>)>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let mut threads = vec![spawn_sequencer(shared, sequencer)?, spawn_anchor_sync(shared, anchor)?];
    if let Some((cosigner, about)) = cosigner {
        threads.push(spawn_cosigner(shared, cosigner, about)?);
    }
    Ok(threads)
}

fn spawn(
    shared: &Arc<Shared>,
    role: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("{role} {}", shared.name)).spawn(body)
}

/// Ends the log if one of its threads panics, as on any other doubt: without its sequencer, for
/// example, it would go on to take entries that nobody sequences.
fn watch(shared: &Shared, body: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err() {
        shared.fail(Fatal::Panicked);
    }
}

/// Runs the sequencer. Once it has ended nothing is delivered any more.
fn spawn_sequencer(shared: &Arc<Shared>, sequencer: Sequencer) -> std::io::Result<JoinHandle<()>> {
    let watched = Arc::clone(shared);
    spawn(shared, "sequencer", move || {
        watch(&watched, || sequencer.run());
        if let Some(mailbox) = &watched.mailbox {
            mailbox.close();
        }
    })
}

/// Runs the cosigner on a runtime of its own. What is still under way when it ends is dropped.
fn spawn_cosigner(
    shared: &Arc<Shared>,
    cosigner: Cosigner,
    about: Arc<Signed>,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = Arc::clone(shared);
    spawn(shared, "cosigner", move || {
        watch(&watched, || {
            if let Err(fatal) = runtime.block_on(cosigner.run(about)) {
                watched.fail(fatal);
            }
        });
        if let Some(mailbox) = &watched.mailbox {
            // Whoever still waits is told that the log stopped.
            mailbox.abandon();
        }
        runtime.shutdown_background();
    })
}

/// Syncs the anchor off the commit thread until the log stops.
fn spawn_anchor_sync(
    shared: &Arc<Shared>,
    anchor: &Arc<Anchor>,
) -> std::io::Result<JoinHandle<()>> {
    let (log, anchor) = (Arc::clone(shared), Arc::clone(anchor));
    spawn(shared, "anchor", move || {
        while !log.pool.is_closed() {
            std::thread::park_timeout(ANCHOR_SYNC_INTERVAL);
            if let Err(error) = anchor.sync() {
                return log.fail(Fatal::Anchor(error));
            }
        }
    })
}
