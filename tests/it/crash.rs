//! Random `kill -9` under load, against an independent record of every acknowledged answer.
//!
//! `CAIRN_CRASH_ROUNDS` sets the number of kills, `CAIRN_CRASH_SEED` repeats a run's choices (not
//! its timing).

use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use log_tests::choices::{Choices, from_env};
use log_tests::record::Record;
use log_tests::{
    Acknowledged, Connection, DataDir, Request, ServerProcess, Submission, SubmissionMaker,
    check_log,
};

/// Kills in an everyday test run.
const ROUNDS: u64 = 12;
const CLIENTS: u64 = 8;
/// A round's load goes on for up to this long before the kill.
const LOAD_MS_MAX: u64 = 200;
/// A start that is killed lives up to this long; some come as far as serving.
const START_MS_MAX: u64 = 250;
/// One round in so many runs `fsck` before the restart. It opens the store itself, so the others
/// leave that to the server.
const FSCK_EVERY: u64 = 8;

/// Everything that outlives the rounds of one run.
struct Run {
    dir: DataDir,
    record: Record,
    /// What was submitted so far, answered or not: clients submit it again.
    submitted: Mutex<Vec<Submission>>,
    repeated: AtomicU64,
    unanswered: AtomicU64,
}

#[test]
fn acknowledged_entries_survive_random_kills() {
    let rounds = from_env("CAIRN_CRASH_ROUNDS").unwrap_or(ROUNDS);
    eprintln!("crash: {rounds} rounds");
    let mut choices = Choices::from_env_or_new("CAIRN_CRASH_SEED");
    let run = Run {
        dir: DataDir::init("localhost"),
        record: Record::new(),
        submitted: Mutex::default(),
        repeated: AtomicU64::new(0),
        unanswered: AtomicU64::new(0),
    };
    for round in 0..rounds {
        kill_while_starting(&run.dir, &mut choices);
        if choices.once_in(FSCK_EVERY) {
            run.dir.assert_sound();
        }
        let server = run.dir.start();
        run.assert_kept(&server);
        run.load_and_kill(server, &mut choices);
        if (round + 1) % 20 == 0 {
            eprintln!("crash: {} kills under load, {}", round + 1, run.summary());
        }
    }
    run.dir.assert_sound();
    run.assert_all_answered_again();
    run.dir.assert_sound();
    eprintln!("crash: done, {}", run.summary());
    // A run in which nothing happened proves nothing.
    assert!(run.record.len() as u64 >= rounds, "only {} entries", run.record.len());
    assert!(run.repeated.load(Ordering::Relaxed) > 0, "nothing was submitted twice");
}

/// Once in three rounds up to three starts end before, while or just after they recover.
pub(crate) fn kill_while_starting(dir: &DataDir, choices: &mut Choices) {
    if !choices.once_in(3) {
        return;
    }
    for _ in 0..=choices.below(3) {
        let mut command = dir.command("serve");
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child: Child = silent.spawn().expect("cairn-server starts");
        thread::sleep(Duration::from_micros(choices.below(START_MS_MAX * 1000)));
        child.kill().expect("the child is ours");
        child.wait().expect("the child is ours");
    }
}

impl Run {
    fn summary(&self) -> String {
        format!(
            "{} entries acknowledged, {} of {} submissions repeated, {} unanswered, {} heads",
            self.record.len(),
            self.repeated.load(Ordering::Relaxed),
            self.submitted.lock().expect("no client panics").len(),
            self.unanswered.load(Ordering::Relaxed),
            self.record.heads(),
        )
    }

    /// What the log shows now holds everything that it ever said.
    fn assert_kept(&self, server: &ServerProcess) {
        let first = server.get("/checkpoint").expect(200);
        self.record.saw(first.text(), self.dir.default_key());
        self.record.assert_kept_by(&check_log(&server.url(), self.dir.default_key()));
    }

    /// Clients submit and a reader reads until the server is killed under them.
    fn load_and_kill(&self, server: ServerProcess, choices: &mut Choices) {
        let address = server.listen();
        // The same entry from all clients at once, so that it meets itself in one batch.
        let shared = SubmissionMaker::new().make();
        thread::scope(|scope| {
            let mut clients = Vec::new();
            for _ in 0..CLIENTS {
                let (mut own, shared) = (Choices::of(choices.next()), shared.clone());
                let connection = Connection::open(address).expect("the server accepts");
                clients.push(
                    scope.spawn(move || self.submit_until_killed(connection, shared, &mut own)),
                );
            }
            let mut reads = Connection::open(address).expect("the server accepts");
            clients.push(scope.spawn(move || {
                while let Ok(answer) = reads.try_send(&Request::get("/checkpoint")) {
                    self.record.saw(answer.expect(200).text(), self.dir.default_key());
                }
            }));
            thread::sleep(Duration::from_micros(choices.below(LOAD_MS_MAX * 1000)));
            let ended = server.kill_9();
            assert_eq!(ended.status.code(), None, "it ended by itself: {}", ended.stderr);
            for client in clients {
                client.join().expect("no difference found");
            }
        });
    }

    /// One client: mostly new entries, now and then one that it or another client has sent before,
    /// answered or not.
    fn submit_until_killed(
        &self,
        mut connection: Connection,
        shared: Submission,
        own: &mut Choices,
    ) {
        let mut maker = SubmissionMaker::new();
        let mut next = shared;
        loop {
            match connection.try_send(&Request::post("/api/v2/log/entries", next.json())) {
                Ok(answer) if answer.status == 201 => {
                    let said = Acknowledged::verify(&answer.json(), self.dir.default_key());
                    assert_eq!(said.leaf.as_bytes(), next.leaf().as_bytes());
                    self.record.acknowledge(&said);
                }
                // A machine under load may be too slow for a ticket: that is no answer.
                Ok(answer) => {
                    answer.expect(503);
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    return self.submitted.lock().expect("no client panics").push(next);
                }
            }
            let mut submitted = self.submitted.lock().expect("no client panics");
            submitted.push(next);
            next = if own.once_in(4) {
                self.repeated.fetch_add(1, Ordering::Relaxed);
                let again = own.below(submitted.len() as u64);
                submitted[usize::try_from(again).expect("an index")].clone()
            } else {
                maker.make()
            };
        }
    }

    /// At the end everything is submitted once more. What was acknowledged has the index that it
    /// had, which the record compares; what never got an answer gets one now.
    fn assert_all_answered_again(&self) {
        let server = self.dir.start();
        let submitted = self.submitted.lock().expect("no client panics");
        thread::scope(|scope| {
            for part in submitted.chunks(submitted.len().div_ceil(4).max(1)) {
                let mut connection = server.connect();
                scope.spawn(move || {
                    for submission in part {
                        let again = Request::post("/api/v2/log/entries", submission.json());
                        let answer = connection.send(&again).expect(201).json();
                        self.record
                            .acknowledge(&Acknowledged::verify(&answer, self.dir.default_key()));
                    }
                });
            }
        });
        self.assert_kept(&server);
        assert!(server.terminate().status.success());
    }
}
