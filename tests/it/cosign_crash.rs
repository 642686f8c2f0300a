//! Random `kill -9` of a log that has witnesses, and of witnesses, under load: between the
//! commit, the round, the note that is made durable, its publication and the answers. Whatever was
//! acknowledged, shown or cosigned is in the one history that the log goes on with.
//!
//! `CAIRN_CRASH_ROUNDS` sets the number of kills, `CAIRN_CRASH_SEED` repeats a run's choices (not
//! its timing).

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use log_core::TreeHead;
use log_tests::choices::{Choices, from_env};
use log_tests::{
    Acknowledged, Connection, Request, ServerProcess, Submission, SubmissionMaker, check_log,
};

use crate::cosign_scene::{LOG, Scene, assert_quorum, wait_for};

/// Kills in an everyday test run.
const ROUNDS: u64 = 8;
const CLIENTS: u64 = 6;
/// A round's load goes on for up to this long before the kill.
const LOAD_MS_MAX: u64 = 300;
/// A start that is killed lives up to this long: some come as far as the question, or beyond it.
const START_MS_MAX: u64 = 400;

/// Everything that outlives the rounds of one run.
struct Run {
    scene: Scene,
    submitted: Mutex<Vec<Submission>>,
    unanswered: AtomicU64,
    /// The largest head that a client or a reader was shown.
    shown: Mutex<TreeHead>,
}

#[test]
fn one_history_survives_random_kills() {
    let rounds = from_env("CAIRN_CRASH_ROUNDS").unwrap_or(ROUNDS);
    eprintln!("cosign crash: {rounds} rounds");
    let mut choices = Choices::from_env_or_new("CAIRN_CRASH_SEED");
    let mut run = Run {
        scene: Scene::new(),
        submitted: Mutex::default(),
        unanswered: AtomicU64::new(0),
        shown: Mutex::new(TreeHead::EMPTY),
    };
    // From here on the log always has something to show.
    let server = run.scene.start();
    run.scene.submit(&server);
    run.saw(server.get("/checkpoint").expect(200).text());
    drop(server);
    for round in 0..rounds {
        run.kill_while_starting(&mut choices);
        let server = run.start(&mut choices);
        run.assert_kept(&server);
        run.load_and_kill(server, &mut choices);
        if (round + 1) % 20 == 0 {
            eprintln!("cosign crash: {} kills under load, {}", round + 1, run.summary());
        }
    }
    run.assert_all_answered_again();
    run.scene.dir.assert_sound();
    eprintln!("cosign crash: done, {}", run.summary());
    // A run in which nothing happened proves nothing.
    assert!(run.scene.record.len() as u64 >= rounds, "{}", run.summary());
}

impl Run {
    fn summary(&self) -> String {
        format!(
            "{} entries acknowledged, {} submitted, {} unanswered, {} heads",
            self.scene.record.len(),
            self.submitted.lock().expect("no client panics").len(),
            self.unanswered.load(Ordering::Relaxed),
            self.scene.record.heads(),
        )
    }

    /// A note that somebody was shown.
    #[track_caller]
    fn saw(&self, note: &str) -> TreeHead {
        assert_quorum(&self.scene.policy, note);
        let head = self.scene.record.saw(note, self.scene.key());
        let mut shown = self.shown.lock().expect("no reader panics");
        if head.size > shown.size {
            *shown = head;
        }
        head
    }

    /// Once in three rounds up to three starts end before, while or just after they ask.
    fn kill_while_starting(&self, choices: &mut Choices) {
        if !choices.once_in(3) {
            return;
        }
        for _ in 0..=choices.below(3) {
            let mut command = self.scene.dir.command("serve");
            command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
            let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = silent.spawn().expect("cairn-server starts");
            thread::sleep(Duration::from_micros(choices.below(START_MS_MAX * 1000)));
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
        }
    }

    /// Starts again. What was shown before is shown at once, also without a single witness: it was
    /// durable before anybody saw it.
    #[track_caller]
    fn start(&mut self, choices: &mut Choices) -> ServerProcess {
        let alone = choices.once_in(3);
        if alone {
            self.scene.witnesses.iter_mut().for_each(crate::cosign_scene::Witness::kill_9);
        }
        let server = self.scene.dir.start();
        let before = *self.shown.lock().expect("no reader panics");
        let first = self.saw(server.get("/checkpoint").expect(200).text());
        assert!(first.size >= before.size, "{} was shown, now {}", before.size, first.size);
        if alone {
            let log = check_log(&server.url(), self.scene.key());
            assert_eq!(log.head, first, "nothing new without witnesses");
            self.scene.witnesses.iter_mut().for_each(crate::cosign_scene::Witness::come_back);
        }
        server
    }

    /// The log publishes a history that holds everything that was acknowledged and shown, and
    /// whatever its witnesses have cosigned.
    #[track_caller]
    fn assert_kept(&self, server: &ServerProcess) {
        let origin = self.scene.origin();
        for witness in &self.scene.witnesses {
            let note = witness.running().latest(&origin);
            if note.status == 200 {
                self.scene.record.saw(note.text(), self.scene.key());
            }
            assert_eq!(witness.running().evidence(&origin).len(), 0, "an honest log");
        }
        let newest = self.scene.record.newest().size.get();
        wait_for(server, LOG, "as large as it was", |row| {
            row["state"] == "open" && row["size"].as_u64().is_some_and(|size| size >= newest)
        });
        self.scene.assert_kept(server);
    }

    /// Clients submit and a reader reads until the server is killed under them; once in three
    /// rounds a witness is killed as well, a little earlier.
    fn load_and_kill(&mut self, server: ServerProcess, choices: &mut Choices) {
        let address = server.listen();
        let victim = choices.once_in(3).then(|| choices.below(3));
        let victim = victim.map(|at| usize::try_from(at).expect("an index"));
        let load = Duration::from_micros(choices.below(LOAD_MS_MAX * 1000));
        let seeds: Vec<u64> = (0..CLIENTS).map(|_| choices.next()).collect();
        let mut taken = None;
        if let Some(at) = victim {
            // The process alone: the clients read the rest of the scene meanwhile.
            taken = Some((at, self.scene.witnesses[at].take()));
        }
        thread::scope(|scope| {
            let this = &*self;
            let mut clients = Vec::new();
            for seed in seeds {
                let connection = Connection::open(address).expect("the server accepts");
                clients.push(
                    scope.spawn(move || this.submit_until_killed(connection, Choices::of(seed))),
                );
            }
            let mut reads = Connection::open(address).expect("the server accepts");
            clients.push(scope.spawn(move || {
                while let Ok(answer) = reads.try_send(&Request::get("/checkpoint")) {
                    this.saw(answer.expect(200).text());
                }
            }));
            thread::sleep(load / 2);
            if let Some((_, process)) = taken.take() {
                process.kill_9();
            }
            thread::sleep(load / 2);
            let ended = server.kill_9();
            assert_eq!(ended.status.code(), None, "it ended by itself: {}", ended.stderr);
            for client in clients {
                client.join().expect("no difference found");
            }
        });
        if let Some(at) = victim {
            self.scene.witnesses[at].come_back();
        }
    }

    /// One client: mostly new entries, now and then one that was sent before, answered or not.
    fn submit_until_killed(&self, mut connection: Connection, mut own: Choices) {
        let mut maker = SubmissionMaker::new();
        let mut next = maker.make();
        loop {
            match connection.try_send(&Request::post("/api/v2/log/entries", next.json())) {
                Ok(answer) if answer.status == 201 => {
                    let said = Acknowledged::verify(&answer.json(), self.scene.key());
                    assert_eq!(said.leaf.as_bytes(), next.leaf().as_bytes());
                    self.saw(&said.note);
                    self.scene.record.acknowledge(&said);
                }
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
                let again = own.below(submitted.len() as u64);
                submitted[usize::try_from(again).expect("an index")].clone()
            } else {
                maker.make()
            };
        }
    }

    /// At the end everything is submitted once more: what was acknowledged has the index that it
    /// had, and what never got an answer gets one now.
    fn assert_all_answered_again(&self) {
        let server = self.scene.dir.start();
        self.assert_kept(&server);
        let submitted = self.submitted.lock().expect("no client panics");
        thread::scope(|scope| {
            for part in submitted.chunks(submitted.len().div_ceil(4).max(1)) {
                let server = &server;
                scope.spawn(move || {
                    for submission in part {
                        self.scene.submit_this(server, submission);
                    }
                });
            }
        });
        self.assert_kept(&server);
        assert!(server.terminate().status.success());
    }
}
