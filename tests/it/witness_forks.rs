//! A dishonest operator tries forks, rollbacks and replays, each on a log of its own. Every one is
//! refused, exactly those that prove something leave evidence, and the honest history goes on.
//!
//! `CAIRN_FORKS` sets the number of attempts, `CAIRN_FORKS_SEED` repeats a run's choices.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use log_core::evidence::{Evidence, EvidenceKind, EvidenceRole};
use log_core::witness::{AddCheckpointRequest, SIZE_CONTENT_TYPE, parse_size};
use log_core::{Checkpoint, ConsistencyProof, Hash, SignedNote, TreeHead, TreeSize, sha256};
use log_tests::choices::{Choices, from_env};
use log_tests::process::program;
use log_tests::{Connection, Cosigned, History, SignedLog, WitnessDir, WitnessProcess};

const ATTEMPTS: u64 = 1_000;
const CLIENTS: u64 = 8;
/// Honest sizes: small ones, so that powers of two and neighbours are frequent.
const STEP_MAX: u64 = 30;
const STEPS_MAX: u64 = 4;
/// One conviction in so many is also shown to the command line.
const COMMAND_EVERY: u64 = 10;

/// What a dishonest operator tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Attempt {
    ForkBeyond,
    ForkOfTheSameSize,
    ForkBehind,
    ForkFromAnOlderSize,
    ForkWithoutProof,
    BeginAgain,
    Rollback,
    Replay,
    WrongProof,
    RootOfNothing,
}

use Attempt::*;

const ATTEMPTS_OF_ALL_KINDS: [Attempt; 10] = [
    ForkBeyond,
    ForkOfTheSameSize,
    ForkBehind,
    ForkFromAnOlderSize,
    ForkWithoutProof,
    BeginAgain,
    Rollback,
    Replay,
    WrongProof,
    RootOfNothing,
];

/// A log, its honest history, and what the witness has cosigned of it.
struct Operator {
    log: SignedLog,
    history: History,
    /// Growing; what the witness remembers.
    cosigned: Vec<u64>,
    sent: Vec<AddCheckpointRequest>,
    choices: Choices,
}

/// A request that must be refused.
struct Refused {
    request: AddCheckpointRequest,
    /// Leaves that its history shares with the honest one; none if its proof is not from there.
    shared: Option<u64>,
}

#[test]
fn every_fork_rollback_and_replay_is_refused_and_what_proves_something_convicts() {
    let attempts = from_env("CAIRN_FORKS").unwrap_or(ATTEMPTS);
    let mut choices = Choices::from_env_or_new("CAIRN_FORKS_SEED");
    let operator = |number| Operator::new(number, Choices::of(choices.next()));
    let operators: Vec<Operator> = (0..attempts).map(operator).collect();
    let dir = WitnessDir::init_ed25519_only("witness.example");
    let keys: Vec<_> = operators.iter().map(|operator| operator.log.key()).collect();
    dir.add_logs(&keys);
    let witness = dir.start();
    let (record, convictions) = (Cosigned::by(dir.keys()), Convictions::default());
    let operators = Mutex::new(operators.into_iter().zip(0..));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (operators, convictions) = (&operators, &convictions);
            let (witness, record, mut connection) = (&witness, &record, witness.connect());
            scope.spawn(move || {
                let next = || operators.lock().expect("no client panics").next();
                while let Some((mut operator, number)) = next() {
                    let attempt = ATTEMPTS_OF_ALL_KINDS[number % ATTEMPTS_OF_ALL_KINDS.len()];
                    operator.grow(&mut connection, record);
                    operator.try_it(attempt, &mut connection, witness, convictions);
                    operator.goes_on(&mut connection, record);
                }
            });
        }
    });
    convictions.assert_worth_something(attempts);
}

impl Operator {
    fn new(number: u64, choices: Choices) -> Self {
        let log = SignedLog::new(&format!("log.example/{number}"));
        let history = History::new(log.origin().as_str(), (STEPS_MAX + 2) * STEP_MAX);
        Self { log, history, cosigned: Vec::new(), sent: Vec::new(), choices }
    }

    fn newest(&self) -> u64 {
        self.cosigned.last().copied().unwrap_or(0)
    }

    /// Some honest steps.
    fn grow(&mut self, connection: &mut Connection, record: &Cosigned) {
        for _ in 0..self.choices.between(1, STEPS_MAX) {
            let old = self.newest();
            let new = old + self.choices.between(1, STEP_MAX);
            let request = self.log.request(&self.history, old, new);
            record.accept(&request.checkpoint, send(connection, &request));
            self.cosigned.push(new);
            self.sent.push(request);
        }
    }

    /// One attempt, and everything that must come of it.
    fn try_it(
        &mut self,
        attempt: Attempt,
        connection: &mut Connection,
        witness: &WitnessProcess,
        convictions: &Convictions,
    ) {
        let refused = self.prepare(attempt);
        let answer = send(connection, &refused.request);
        let what = format!("{attempt:?} of {}: {}", self.newest(), refused.request);
        let (status, convicted_of) = self.due(&refused);
        assert_eq!(answer.status, status, "{}\n{what}", answer.text());
        if status == 409 {
            assert_eq!(answer.header("content-type"), Some(SIZE_CONTENT_TYPE), "{what}");
            assert_eq!(parse_size(&answer.body), Some(TreeSize::new(self.newest())), "{what}");
        }
        let evidence = witness.evidence(self.log.origin());
        assert_eq!(evidence.len(), usize::from(convicted_of.is_some()), "{what}");
        if let (Some(kind), [file]) = (convicted_of, evidence.as_slice()) {
            convictions.check(&self.log, attempt, kind, file);
        }
        let shown = SignedNote::parse(&witness.latest(self.log.origin()).expect(200).body);
        let shown = Checkpoint::parse(shown.expect("a note").text()).expect("a checkpoint").head;
        assert_eq!(shown, self.history.head_at(self.newest()), "{what}");
    }

    /// The refusal has changed nothing.
    fn goes_on(&mut self, connection: &mut Connection, record: &Cosigned) {
        let old = self.newest();
        for (old, new) in [(old, old), (old, old + 1)] {
            let request = self.log.request(&self.history, old, new);
            record.accept(&request.checkpoint, send(connection, &request));
        }
        record.assert_one_history(self.log.origin(), &self.history);
    }

    fn prepare(&mut self, attempt: Attempt) -> Refused {
        let newest = self.newest();
        let shared = self.choices.below(newest);
        let beyond = newest + self.choices.between(1, STEP_MAX);
        let fork = self.history.fork(shared, "another history", beyond);
        let fork_request =
            |old, new| Refused { request: self.log.request(&fork, old, new), shared: Some(shared) };
        match attempt {
            ForkBeyond => fork_request(newest, beyond),
            ForkOfTheSameSize => fork_request(newest, newest),
            ForkBehind => {
                let new = self.choices.between(shared + 1, newest);
                let old = self.older_size(new);
                let request = self.log.request(&fork, old, new);
                Refused { request, shared: Some(shared) }
            }
            ForkFromAnOlderSize => {
                let old = self.older_size(newest);
                let request = self.log.request(&fork, old, beyond);
                Refused { request, shared: Some(shared) }
            }
            ForkWithoutProof => {
                let proof = ConsistencyProof::from_hashes(Vec::new());
                let request = self.log.request_with(newest, proof, fork.head());
                Refused { request, shared: None }
            }
            BeginAgain => fork_request(0, beyond),
            Rollback => {
                let new = self.choices.between(1, newest);
                let old = self.older_size(new.min(newest - 1));
                let request = self.log.request(&self.history, old, new);
                Refused { request, shared: None }
            }
            Replay => {
                let again = self.choices.below(self.sent.len() as u64);
                let request = self.sent[usize::try_from(again).expect("an index")].clone();
                Refused { request, shared: None }
            }
            WrongProof => self.wrong_proof(newest, beyond),
            RootOfNothing => {
                let proof = ConsistencyProof::from_hashes(Vec::new());
                let head = TreeHead { size: TreeSize::new(0), root_hash: sha256(b"something") };
                Refused { request: self.log.request_with(0, proof, head), shared: None }
            }
        }
    }

    /// A size that the witness has cosigned, or another one, up to `last`; not the newest.
    fn older_size(&mut self, last: u64) -> u64 {
        let newest = self.newest();
        let known = self.cosigned.iter().copied().filter(|size| *size <= last && *size < newest);
        let known: Vec<u64> = known.collect();
        if known.is_empty() || self.choices.once_in(3) {
            return self.choices.below(last.min(newest - 1) + 1);
        }
        known[usize::try_from(self.choices.below(known.len() as u64)).expect("an index")]
    }

    /// An honest head with a proof that has one wrong hash, one too many, or one too few.
    fn wrong_proof(&mut self, old: u64, new: u64) -> Refused {
        let mut hashes: Vec<Hash> = self.history.consistency(old, new).hashes().to_vec();
        let at = usize::try_from(self.choices.below(hashes.len() as u64)).expect("an index");
        match self.choices.below(3) {
            0 => hashes[at] = sha256(b"wrong"),
            1 => hashes.insert(at, sha256(b"one too many")),
            _ => drop(hashes.remove(at)),
        }
        let proof = ConsistencyProof::from_hashes(hashes);
        Refused {
            request: self.log.request_with(old, proof, self.history.head_at(new)),
            shared: None,
        }
    }

    /// The status that is due, and what the request proves: computed from what the operator knows,
    /// not from what the witness says.
    fn due(&self, refused: &Refused) -> (u16, Option<EvidenceKind>) {
        let note = SignedNote::parse(refused.request.checkpoint.as_bytes()).expect("a note");
        let head = Checkpoint::parse(note.text()).expect("a checkpoint").head;
        let (old, size) = (refused.request.old.get(), head.size.get());
        if old > size {
            return (400, None);
        }
        if size == 0 {
            return (422, Some(EvidenceKind::LogEmptyRoot));
        }
        let status = if old == self.newest() { 422 } else { 409 };
        let known = |size: u64| self.cosigned.contains(&size);
        let same_size = known(size) && !self.history.had(&head);
        // The proof omits the old root if the old size is a power of two; then it proves nothing
        // by itself. A history that parts later than `old` is the honest one up to there.
        let rebuilt = refused.shared.is_some_and(|shared| shared < old)
            && old < size
            && known(old)
            && !old.is_power_of_two();
        (status, (same_size || rebuilt).then_some(EvidenceKind::LogFork))
    }
}

/// What was convicted, by attempt.
#[derive(Default)]
struct Convictions {
    by_attempt: Mutex<BTreeMap<Attempt, u64>>,
    count: AtomicU64,
}

impl Convictions {
    /// The file convicts this log, by its key and no other, for this reason.
    fn check(&self, log: &SignedLog, attempt: Attempt, kind: EvidenceKind, file: &[u8]) {
        let evidence = Evidence::parse(file).expect("a file of evidence");
        let proven = evidence.verify(EvidenceRole::Log, log.origin(), &[log.key()]);
        let proven = proven.unwrap_or_else(|why| panic!("{why}: {evidence}"));
        assert_eq!((proven.kind, proven.keys), (kind, vec![log.key()]));
        let stranger = SignedLog::new("stranger.example");
        for (origin, key) in [
            (log.origin(), stranger.key()),
            (stranger.origin(), log.key()),
            (stranger.origin(), stranger.key()),
        ] {
            assert!(evidence.verify(EvidenceRole::Log, origin, &[key]).is_err());
        }
        *self.by_attempt.lock().expect("no client panics").entry(attempt).or_default() += 1;
        if self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(COMMAND_EVERY) {
            command_convicts(log, file, &stranger);
        }
    }

    /// A run in which nobody was convicted proves nothing.
    fn assert_worth_something(&self, attempts: u64) {
        let by_attempt = self.by_attempt.lock().expect("no client panics");
        eprintln!("witness forks: {attempts} attempts, convicted: {by_attempt:?}");
        let convicting =
            [ForkBeyond, ForkOfTheSameSize, ForkBehind, ForkFromAnOlderSize, RootOfNothing];
        assert!(by_attempt.keys().all(|attempt| convicting.contains(attempt)));
        assert!(attempts < ATTEMPTS || convicting.iter().all(|a| by_attempt.contains_key(a)));
    }
}

/// `cairn evidence verify` says the same to anybody, and nothing to who asks about another key.
fn command_convicts(log: &SignedLog, file: &[u8], stranger: &SignedLog) {
    let kept = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(kept.path(), file).expect("written");
    for (key, code) in [(log.key(), 0), (stranger.key(), 1)] {
        let mut command = Command::new(program("cairn"));
        command.args(["evidence", "verify"]).arg(kept.path());
        command.args(["--log-vkey", &key.to_string(), "--origin", log.origin().as_str()]);
        let output = command.output().expect("cairn runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
    }
}

fn send(connection: &mut Connection, request: &AddCheckpointRequest) -> log_tests::Response {
    WitnessProcess::try_add_checkpoint(connection, request).expect("an answer")
}
