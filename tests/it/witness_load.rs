//! Load on a witness that is about to go down: several logs, each with an operator who grows two
//! histories at once, and clients that race to have them cosigned.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use log_core::SignedNote;
use log_core::witness::parse_size;
use log_tests::choices::Choices;
use log_tests::{Connection, Cosigned, History, SignedLog, WitnessDir, WitnessProcess};

/// Logs under load at once; the first one has an honest operator.
const LOGS: u64 = 6;
const CLIENTS: usize = 6;
/// Leaves by which a history grows before each round: more than a round can use up.
const GROWTH: u64 = 4_000;
/// Two histories part so many leaves, or fewer, behind the head that was cosigned last.
const SHARED_MAX: u64 = 6;
/// A request adds up to so many leaves.
const STEP_MAX: u64 = 9;

/// A round ends after up to so many answers, and up to so many milliseconds more.
const ANSWERS_MAX: u64 = 60;
const MORE_MS_MAX: u64 = 10;
const POLL: Duration = Duration::from_micros(500);

/// Everything that outlives the rounds of one run.
pub(crate) struct Load {
    logs: Vec<Branched>,
    record: Cosigned,
    answers: AtomicU64,
    unanswered: AtomicU64,
    refused: AtomicU64,
    /// The machine is off: whatever a client still hears was never sent.
    off: AtomicBool,
}

/// A log with two histories.
struct Branched {
    log: SignedLog,
    branches: RwLock<[History; 2]>,
    /// The size that the witness has cosigned, as far as a client knows.
    known: AtomicU64,
    honest: bool,
}

impl Load {
    /// Tells the witness of the logs of a run.
    pub(crate) fn on(dir: &WitnessDir) -> Self {
        let logs: Vec<Branched> = (0..LOGS).map(Branched::new).collect();
        let keys: Vec<_> = logs.iter().map(|branched| branched.log.key()).collect();
        dir.add_logs(&keys);
        let [answers, unanswered, refused] = [0; 3].map(AtomicU64::new);
        let (record, off) = (Cosigned::by(dir.keys()), AtomicBool::new(false));
        Self { logs, record, answers, unanswered, refused, off }
    }

    /// What the witness holds now goes on from everything that it ever released.
    #[track_caller]
    pub(crate) fn assert_kept_by(&self, witness: &WitnessProcess) {
        for branched in &self.logs {
            let origin = branched.log.origin();
            let answer = witness.latest(origin);
            if answer.status == 404 {
                assert_eq!(self.record.newest(origin), None, "{origin}: the state is gone");
                continue;
            }
            let note = SignedNote::parse(&answer.expect(200).body).expect("a note");
            note.verify(&[branched.log.key()]).expect("the log signed what is shown");
            let head = self.record.saw_latest(&note);
            let branches = branched.branches.read().expect("no writer panics");
            let winner = branches.iter().find(|branch| branch.had(&head));
            let winner = winner.expect("what is shown was submitted");
            self.record.assert_one_history(origin, winner);
        }
        let honest = self.logs.iter().filter(|branched| branched.honest);
        for branched in honest {
            assert_eq!(witness.evidence(branched.log.origin()).len(), 0, "an honest log");
        }
    }

    /// The next round: each log goes on from where it was cosigned last, and parts there again.
    pub(crate) fn branch_again(&self, choices: &mut Choices) {
        for branched in &self.logs {
            branched.branch_again(&self.record, choices);
        }
    }

    /// From now to the next round no answer counts.
    pub(crate) fn power_fails(&self) {
        self.off.store(true, Ordering::SeqCst);
    }

    /// Clients submit until the witness goes away: after a random number of its answers, and a
    /// random time within the next ones, `strike` ends it.
    pub(crate) fn until(
        &self,
        witness: WitnessProcess,
        choices: &mut Choices,
        strike: impl FnOnce(WitnessProcess),
    ) {
        self.off.store(false, Ordering::SeqCst);
        let connections: Vec<_> = (0..CLIENTS).map(|_| witness.connect()).collect();
        thread::scope(|scope| {
            let mut clients = Vec::new();
            for connection in connections {
                let own = Choices::of(choices.next());
                clients.push(scope.spawn(move || self.submit_until_gone(connection, own)));
            }
            let enough = self.answers.load(Ordering::Relaxed) + choices.below(ANSWERS_MAX);
            while self.answers.load(Ordering::Relaxed) < enough {
                let gone = clients.iter().all(|client| client.is_finished());
                assert!(!gone, "the witness went away: {}", witness.process().stderr());
                thread::sleep(POLL);
            }
            thread::sleep(Duration::from_micros(choices.below(MORE_MS_MAX * 1000)));
            strike(witness);
            for client in clients {
                client.join().expect("no difference found");
            }
        });
    }

    /// What happened so far. A run in which nothing happened proves nothing.
    pub(crate) fn assert_busy(&self, name: &str, rounds: u64) {
        let heads: usize = self.logs.iter().map(|b| self.record.heads(b.log.origin())).sum();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (unanswered, refused) = (count(&self.unanswered), count(&self.refused));
        eprintln!(
            "{name}: {rounds} rounds, {heads} heads, {unanswered} unanswered, {refused} refused"
        );
        assert!(heads as u64 > rounds && unanswered > 0 && refused > 0);
    }

    fn submit_until_gone(&self, mut connection: Connection, mut own: Choices) {
        loop {
            let branched = &self.logs[usize::try_from(own.below(LOGS)).expect("an index")];
            let old = branched.known.load(Ordering::Relaxed);
            let side = usize::from(!branched.honest && own.once_in(2));
            let (request, new) = {
                let branch = &branched.branches.read().expect("no writer panics")[side];
                let new = (old + own.below(STEP_MAX)).min(branch.size());
                (branched.log.request(branch, old, new), new)
            };
            let answer = WitnessProcess::try_add_checkpoint(&mut connection, &request);
            if self.off.load(Ordering::SeqCst) {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
                return;
            }
            match answer {
                Ok(answer) if answer.status == 200 => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    self.record.accept(&request.checkpoint, answer);
                    branched.known.fetch_max(new, Ordering::Relaxed);
                }
                Ok(answer) if answer.status == 409 => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    let size = parse_size(&answer.body).expect("a size").get();
                    branched.known.fetch_max(size, Ordering::Relaxed);
                }
                Ok(answer) if answer.status == 422 => {
                    assert!(!branched.honest, "an honest request is refused: {}", answer.text());
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                // A witness whose disk has gone, or that is asked too much at once.
                Ok(answer) => {
                    assert!(matches!(answer.status, 500 | 503), "{}", answer.text());
                }
                Err(_) => {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    }
}

impl Branched {
    fn new(number: u64) -> Self {
        let log = SignedLog::new(&format!("log.example/{number}"));
        let history = History::new(log.origin().as_str(), 0);
        let branches = RwLock::new([history.clone(), history]);
        Self { log, branches, known: AtomicU64::new(0), honest: number == 0 }
    }

    fn branch_again(&self, record: &Cosigned, choices: &mut Choices) {
        let mut branches = self.branches.write().expect("no reader panics");
        let newest = record.newest(self.log.origin());
        let size = newest.map_or(0, |head| head.size.get());
        let winner = newest.and_then(|head| branches.iter().position(|branch| branch.had(&head)));
        let mut winner = branches[winner.unwrap_or(0)].clone();
        let room = (size + GROWTH).saturating_sub(winner.size());
        winner.grow(self.log.origin().as_str(), room);
        let shared = size.saturating_sub(choices.below(SHARED_MAX));
        let name = format!("{} other {}", self.log.origin(), choices.next());
        let other = winner.fork(shared, &name, winner.size());
        *branches = [winner, other];
        self.known.store(size, Ordering::Relaxed);
    }
}
