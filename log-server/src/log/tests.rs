//! The engine as a whole, over stores that work, fail and lie. A log here lives over several
//! processes: what they share is the store and the files beside it, as on a disk.

mod asked;
mod faults;
mod panel;
mod record;
mod recovery;
mod rekor_v1;
mod rounds;
mod stub;
mod witnesses;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use log_core::checkpoint::SignedCheckpoint;
use log_core::policy::WitnessPolicy;
use log_core::{CompactRange, Hash, Leaf, TreeHead, TreeSize};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::commit::{CommitTime, commit_genesis};
use super::cosign::{Cosigned, sign};
use super::recover::{Identity, Shut, recover};
use super::signer::{KeyFiles, NewKeys};
use super::*;
use crate::config::OnMissingQuorum;
use crate::metrics::Metrics;
use crate::store::Head;
use crate::store::faulty::FaultyStore;
use crate::store::memory::MemoryStore;

const ORIGIN: &str = "log.example";

/// What outlives a process: the rows, and the files beside them.
struct Disk {
    rows: Arc<MemoryStore>,
    dir: TempDir,
    clock_ms: Arc<AtomicU64>,
    personality: Personality,
    origin: Origin,
}

/// One process of a log, from its start to its end.
struct Process {
    log: Arc<Log>,
    store: Arc<FaultyStore<MemoryStore>>,
    fatals: Arc<Mutex<Vec<String>>>,
}

impl Disk {
    /// A new raw log of size 0.
    fn new() -> Self {
        Self::of(Personality::Raw, ORIGIN, &NewKeys::Ed25519([7; 32]))
    }

    /// A new log of size 0.
    fn of(personality: Personality, origin: &str, keys: &NewKeys) -> Self {
        let rows = Arc::new(MemoryStore::new());
        let dir = tempfile::tempdir().unwrap();
        let (clock_ms, origin) = (Arc::new(AtomicU64::new(1_000_000)), Origin::parse(origin));
        let disk = Self { rows, dir, clock_ms, personality, origin: origin.unwrap() };
        let files = disk.key_files();
        let signer = Signer::create(&files, personality, &disk.origin, keys).unwrap();
        let log_id = signer.verifier_key().full_id_hash();
        let head = commit_genesis(disk.rows.as_ref(), log_id, [9; 16]).unwrap();
        Anchor::create(&disk.dir.path().join("anchor"), &head).unwrap();
        disk
    }

    fn key_files(&self) -> KeyFiles {
        let path = |name| self.dir.path().join(name);
        KeyFiles { key: path("key.pem"), witness_key: path("witness-key.pem") }
    }

    fn signer(&self) -> Signer {
        Signer::load(&self.key_files(), self.personality, &self.origin).unwrap()
    }

    fn identity(&self) -> Identity {
        Identity { log_id: self.signer().verifier_key().full_id_hash(), state_id: [9; 16] }
    }

    fn anchor(&self) -> Anchor {
        Anchor::open(&self.dir.path().join("anchor")).unwrap()
    }

    fn head(&self) -> Head {
        self.rows.head().unwrap().unwrap()
    }

    fn size(&self) -> u64 {
        self.head().tree.size.get()
    }

    fn start(&self) -> Process {
        self.start_with(|_| ())
    }

    /// Recovers and starts; `change` may still change what the log is made of.
    fn start_with(&self, change: impl FnOnce(&mut Parts)) -> Process {
        self.try_start_with(change).unwrap()
    }

    fn try_start_with(&self, change: impl FnOnce(&mut Parts)) -> Result<Process, Shut> {
        let store = self.faulty();
        let mut parts = self.parts(Arc::clone(&store), no_witnesses());
        change(&mut parts);
        let fatals = Arc::new(Mutex::new(Vec::new()));
        let surroundings = self.surroundings(Arc::clone(&fatals));
        let log = Log::start(parts, Metrics::new().of_log("tested"), surroundings)?;
        Ok(Process { log: Arc::new(log), store, fatals })
    }

    fn faulty(&self) -> Arc<FaultyStore<MemoryStore>> {
        Arc::new(FaultyStore::new(Arc::clone(&self.rows)))
    }

    /// What a log starts from, recovered.
    fn parts(&self, store: Arc<FaultyStore<MemoryStore>>, witnesses: WitnessSettings) -> Parts {
        let anchor = self.anchor();
        let recovered = recover(store.as_ref(), &self.identity(), &anchor.newest()).unwrap();
        let settings = LogSettings {
            name: "tested".into(),
            origin: self.origin.clone(),
            personality: self.personality,
            pool_leaves_max: 4096,
            witnesses,
        };
        let (signer, space) = (Arc::new(self.signer()), Space::new(self.dir.path(), 0));
        let evidence = self.dir.path().join("evidence");
        let accepted = Vec::new();
        Parts { settings, store, signer, anchor, space, recovered, evidence, accepted }
    }

    /// The disk's clock, and a list of what was fatal.
    fn surroundings(&self, fatals: Arc<Mutex<Vec<String>>>) -> Surroundings {
        let clock_ms = Arc::clone(&self.clock_ms);
        Surroundings {
            clock: Clock::new(move || match clock_ms.load(Ordering::SeqCst) {
                u64::MAX => panic!("a clock that a test broke"),
                ms => UNIX_EPOCH + Duration::from_millis(ms),
            }),
            on_fatal: Arc::new(move |_, fatal| fatals.lock().unwrap().push(fatal.to_string())),
            shut: Arc::default(),
        }
    }

    /// The head of the first `size` leaves, one hashed after the other.
    fn head_of(&self, size: TreeSize) -> TreeHead {
        let count = usize::try_from(size.get()).unwrap();
        let mut range = CompactRange::new();
        for leaf in self.rows.leaves(LeafIndex::new(0), count).unwrap() {
            range.append(leaf.hash());
        }
        TreeHead { size: range.size(), root_hash: range.root() }
    }

    /// What is in the store is the tree that its head names.
    fn assert_sound(&self) {
        let found = crate::fsck::fsck(self.rows.as_ref(), self.identity().log_id, |_, _| ());
        assert_eq!(found.unwrap().head, self.head().tree);
    }

    /// Checks everything that an answer claims, as its receiver would, and against the store.
    fn assert_holds(&self, leaf: &Leaf, answer: &Answer) {
        let head = self.assert_signed(&answer.published);
        answer.inclusion.verify(&leaf.hash(), answer.index, &head).unwrap();
        let stored = self.rows.leaves(answer.index, 1).unwrap();
        assert_eq!(stored[0].as_bytes(), leaf.as_bytes());
    }

    /// The published head is signed by the log, and the tree in the store extends it.
    fn assert_signed(&self, published: &Published) -> TreeHead {
        let (note, key) = (published.note().as_bytes(), self.signer().verifier_key());
        let signed = SignedCheckpoint::open(note, &self.origin, &key).unwrap();
        assert_eq!(signed.head(), *published.head());
        assert_eq!(self.head_of(signed.head().size), signed.head());
        signed.head()
    }
}

impl Process {
    async fn add(&self, text: &str) -> Result<Answer, SubmitError> {
        self.log.submit(leaf(text)).await
    }

    /// Submits all of these at once.
    async fn add_all(&self, texts: Vec<String>) -> Vec<(String, Result<Answer, SubmitError>)> {
        let mut waiting = JoinSet::new();
        for text in texts {
            let log = Arc::clone(&self.log);
            waiting.spawn(async move {
                let answer = log.submit(leaf(&text)).await;
                (text, answer)
            });
        }
        waiting.join_all().await
    }

    fn published_size(&self) -> u64 {
        self.published().head().size.get()
    }

    fn published(&self) -> Arc<Published> {
        self.log.published().unwrap()
    }

    fn fatals(&self) -> Vec<String> {
        self.fatals.lock().unwrap().clone()
    }

    /// Stops, as a signal would make it, and says what was fatal before.
    fn stop(self) -> Vec<String> {
        self.log.stop();
        self.fatals()
    }
}

/// A log whose quorum is `none`.
fn no_witnesses() -> WitnessSettings {
    WitnessSettings {
        policy: WitnessPolicy::none(),
        also_ask: Vec::new(),
        allow_slow_quorum: false,
        on_missing_quorum: OnMissingQuorum::Refuse,
        per_day: BTreeMap::new(),
        unchecked_start: false,
        excluded: Vec::new(),
    }
}

/// The time of a commit in a log that commits none.
fn untimed() -> CommitTime {
    CommitTime { now_ms: 0, of_entries: false }
}

fn leaf(text: &str) -> Leaf {
    Leaf::new(text.into()).unwrap()
}

fn texts(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix} {i}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_verifies_and_is_found_again_by_the_next_process() {
    let disk = Disk::new();
    let mut acknowledged = Vec::new();
    // Sizes on both sides of one and of two full tiles.
    for (round, count) in [1, 254, 1, 1, 300].into_iter().enumerate() {
        let process = disk.start();
        for (text, answer) in process.add_all(texts(&format!("round {round}"), count)).await {
            let answer = answer.unwrap();
            assert!(!answer.is_duplicate());
            disk.assert_holds(&leaf(&text), &answer);
            acknowledged.push((text, answer.index));
        }
        assert_eq!(process.stop(), Vec::<String>::new());
        disk.assert_sound();
    }
    assert_eq!(disk.size(), 557);
    let process = disk.start();
    for (text, index) in acknowledged {
        let answer = process.add(&text).await.unwrap();
        assert_eq!((answer.index, answer.is_duplicate()), (index, true), "{text}");
        disk.assert_holds(&leaf(&text), &answer);
    }
    assert_eq!(disk.size(), 557, "a duplicate writes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_identical_submissions_have_one_index() {
    let disk = Disk::new();
    let process = disk.start();
    process.add("before").await.unwrap();
    let answers = process.add_all(vec!["same".to_owned(); 1000]).await;
    assert_eq!(answers.len(), 1000);
    let mut firsts = 0;
    for (text, answer) in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.index, LeafIndex::new(1));
        answer
            .inclusion
            .verify(&leaf(&text).hash(), answer.index, answer.published.head())
            .unwrap();
        firsts += usize::from(!answer.is_duplicate());
    }
    assert_eq!(firsts, 1, "one of them made the entry");
    assert_eq!(disk.size(), 2);
    process.stop();
    disk.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_never_goes_back() {
    let disk = Disk::new();
    let process = disk.start();
    let (log, ends) = (Arc::clone(&process.log), Arc::new(AtomicU64::new(0)));
    let end = Arc::clone(&ends);
    let reader = std::thread::spawn(move || {
        let mut seen: Vec<TreeHead> = vec![*log.published().unwrap().head()];
        while end.load(Ordering::SeqCst) == 0 {
            let head = *log.published().unwrap().head();
            let last = seen.last().unwrap();
            assert!(head.size >= last.size, "{} after {}", head.size, last.size);
            if head != *last {
                seen.push(head);
            }
        }
        seen
    });
    for round in 0..100 {
        process.add_all(texts(&format!("round {round}"), round % 7 + 1)).await;
    }
    ends.store(1, Ordering::SeqCst);
    let seen = reader.join().unwrap();
    assert!(seen.len() > 1, "the reader saw nothing grow");
    for head in seen {
        assert_eq!(disk.head_of(head.size), head);
    }
    let (last, first) = (process.published(), Published::from(cosigned_genesis(&disk)));
    let visible = ArcSwapOption::new(Some(Arc::clone(&last)));
    let backwards = std::panic::AssertUnwindSafe(|| publish::publish(&visible, first.into()));
    assert!(std::panic::catch_unwind(backwards).is_err());
    assert_eq!(visible.load().as_ref().unwrap().head(), last.head());
}

fn cosigned_genesis(disk: &Disk) -> Cosigned {
    let head = disk.rows.heads_after(None, 1).unwrap()[0];
    let empty = Committed { head, edge: log_core::RightEdge::empty() };
    sign(empty, &disk.origin, &disk.signer()).alone()
}

#[tokio::test]
async fn committed_time_stands_still_while_the_clock_goes_back() {
    let disk = Disk::new();
    let process = disk.start();
    for (text, ms) in [("a", 5_000), ("b", 4_000), ("c", 0), ("d", 6_000)] {
        disk.clock_ms.store(ms, Ordering::SeqCst);
        disk.assert_holds(&leaf(text), &process.add(text).await.unwrap());
    }
    process.stop();
    disk.clock_ms.store(1, Ordering::SeqCst);
    disk.start().add("e").await.unwrap();
    let times: Vec<u64> =
        disk.rows.heads_after(None, 99).unwrap().iter().map(|head| head.time_ms).collect();
    assert_eq!(times, [0, 5_000, 5_000, 5_000, 6_000, 6_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_was_taken_and_refuses_the_rest() {
    let disk = Disk::new();
    let process = disk.start();
    let log = Arc::clone(&process.log);
    let stopper = tokio::task::spawn_blocking(move || {
        while log.published().unwrap().head().size.get() == 0 {
            std::thread::yield_now();
        }
        log.stop();
    });
    let mut answered = 0;
    for round in 0..200 {
        for (text, answer) in process.add_all(texts(&format!("round {round}"), 20)).await {
            match answer {
                Ok(answer) => {
                    disk.assert_holds(&leaf(&text), &answer);
                    answered += 1;
                }
                Err(error) => assert_eq!(error, SubmitError::Pool(PoolRefusal::Closed)),
            }
        }
        if stopper.is_finished() {
            break;
        }
    }
    stopper.await.unwrap();
    let late = process.add("late").await.err();
    assert_eq!(late, Some(SubmitError::Pool(PoolRefusal::Closed)));
    assert_eq!(disk.size(), answered, "what was committed was answered, and the other way round");
    assert_eq!(disk.anchor().newest(), disk.head());
    disk.assert_sound();
}

#[tokio::test]
async fn below_the_headroom_nothing_is_written() {
    let disk = Disk::new();
    let dir = disk.dir.path().to_owned();
    let process = disk.start_with(|parts| parts.space = Space::new(dir, u64::MAX));
    let no_space = SubmitError::Answer(AnswerError::NoSpace);
    assert_eq!(process.add("a").await.err(), Some(no_space));
    assert_eq!(process.store.calls(crate::store::faulty::Operation::Commit), 0);
    assert_eq!(process.stop(), Vec::<String>::new());
    disk.start().add("a").await.unwrap();
}

#[tokio::test]
async fn a_frozen_log_takes_nothing_and_still_proves() {
    let disk = Disk::new();
    let process = disk.start();
    let entry = process.add("a").await.unwrap();
    process.stop();
    let previous = disk.head();
    let mut head = previous.next(previous.tree, 0);
    head.flags.frozen = true;
    let empty = Vec::new;
    let (first_index, leaf_hashes, leaves, full_tiles, identities) =
        (head.first_index, Vec::new(), empty(), Vec::new(), Vec::new());
    let previous = Some(previous);
    let last = crate::store::Batch {
        previous,
        head,
        first_index,
        leaves,
        leaf_hashes,
        full_tiles,
        identities,
    };
    disk.rows.commit(&last).unwrap();
    let process = disk.start();
    assert!(process.log.is_frozen());
    assert_eq!(process.add("b").await.err(), Some(SubmitError::Frozen));
    let published = process.published();
    assert_eq!(disk.assert_signed(&published), *entry.published.head());
    process.log.prove_inclusion(&published, entry.index).unwrap();
}
