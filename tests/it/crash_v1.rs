//! Random `kill -9` under a load of Rekor v1 and Rekor v2 submissions together. Whatever was
//! acknowledged is found by everything that it must be found by, where and when it was said to be;
//! whatever was not is there whole or not at all.
//!
//! `CAIRN_CRASH_ROUNDS` sets the number of kills, `CAIRN_CRASH_SEED` repeats a run's choices (not
//! its timing).

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use log_core::{LeafIndex, SignedCheckpoint};
use log_tests::choices::{Choices, from_env};
use log_tests::record::Record;
use log_tests::record_v1::{ENTRIES, assert_searched, post};
use log_tests::{
    Acknowledged, Connection, DataDir, LogV1, RecordV1, Request, ServerProcess, SubmissionMaker,
    SubmissionMakerV1, SubmissionV1, check_log, check_log_of,
};
use serde_json::json;

use crate::crash::kill_while_starting;

/// Kills in an everyday test run.
const ROUNDS: u64 = 5;
const CLIENTS_V1: u64 = 5;
const CLIENTS_V2: u64 = 3;
/// A round's load goes on for up to this long before the kill.
const LOAD_MS_MAX: u64 = 250;
/// One round in so many runs `fsck` before the restart, which opens the store by itself.
const FSCK_EVERY: u64 = 8;
/// Of the entries of earlier rounds so many are looked for after each restart; of the last round
/// all, and at the end again all.
const SAMPLE: usize = 16;
/// Threads that look for entries at the end.
const READERS: usize = 4;
/// The address in every certificate: one search finds them all, page by page.
const EVERYBODY: &str = "everybody@example.org";
/// The beginning of the address that each certificate has for itself.
const SOMEBODY: &str = "SOMEBODY-";
/// Hits in a page, at least and at most.
const PAGE: (u64, u64) = (20, 1000);
const V1_TILES: &str = "/logs/rekor-v1";

/// Everything that outlives the rounds of one run.
struct Run {
    dir: DataDir,
    log: LogV1,
    v1: RecordV1,
    v2: Record,
    /// What was submitted so far to the v1 log, answered or not: clients submit it again.
    submitted: Mutex<Vec<SubmissionV1>>,
    /// What got no answer since the last start.
    unanswered: Mutex<Vec<SubmissionV1>>,
    conflicts: AtomicU64,
    /// How many were acknowledged when the last start was checked.
    checked: usize,
}

#[test]
fn acknowledged_v1_entries_are_found_after_random_kills() {
    let rounds = from_env("CAIRN_CRASH_ROUNDS").unwrap_or(ROUNDS);
    eprintln!("crash v1: {rounds} rounds");
    let mut choices = Choices::from_env_or_new("CAIRN_CRASH_SEED");
    let mut run = Run::new();
    for round in 0..rounds {
        kill_while_starting(&run.dir, &mut choices);
        if choices.once_in(FSCK_EVERY) {
            run.dir.assert_sound();
        }
        let server = run.dir.start();
        run.assert_kept(&server, &mut choices);
        run.load_and_kill(server, &mut choices);
        if (round + 1) % 20 == 0 {
            eprintln!("crash v1: {} kills under load, {}", round + 1, run.summary());
        }
    }
    run.dir.assert_sound();
    run.assert_everything(&mut choices);
    run.dir.assert_sound();
    eprintln!("crash v1: done, {}", run.summary());
    // A run in which nothing happened proves nothing.
    assert!(run.v1.indices().len() as u64 >= rounds, "{}", run.summary());
    assert!(!run.v2.is_empty(), "{}", run.summary());
    assert!(!run.v1.indices_searched_by(SOMEBODY).is_empty(), "nothing had a certificate");
    assert!(run.conflicts.load(Ordering::Relaxed) > 0, "nothing was submitted twice");
}

impl Run {
    fn new() -> Self {
        let dir = DataDir::init("localhost");
        let server = dir.start();
        let log = LogV1::of(&server);
        assert!(server.terminate().status.success());
        Self {
            dir,
            log,
            v1: RecordV1::new(),
            v2: Record::new(),
            submitted: Mutex::default(),
            unanswered: Mutex::default(),
            conflicts: AtomicU64::new(0),
            checked: 0,
        }
    }

    fn summary(&self) -> String {
        format!(
            "{} v1 and {} v2 entries acknowledged, {} v1 submissions, {} met themselves, {} heads",
            self.v1.indices().len(),
            self.v2.len(),
            self.submitted.lock().expect("no client panics").len(),
            self.conflicts.load(Ordering::Relaxed),
            self.v1.tree.heads() + self.v2.heads(),
        )
    }

    /// What both logs show now holds everything that they ever said, and everything of the last
    /// round and a sample of what was before is found by all its search keys.
    fn assert_kept(&mut self, server: &ServerProcess, choices: &mut Choices) {
        self.assert_trees(server);
        let all = self.v1.indices();
        // Entries of one round are not always above those of the last: some were unanswered then.
        let newest = &all[self.checked.min(all.len()).saturating_sub(SAMPLE)..];
        let older = (0..SAMPLE.min(all.len())).map(|_| {
            let at = choices.below(all.len() as u64);
            all[usize::try_from(at).expect("an index")]
        });
        let mut connection = server.connect();
        for index in older.chain(newest.iter().copied()) {
            self.v1.assert_found(index, &self.log, &mut connection);
        }
        let unanswered = std::mem::take(&mut *self.unanswered.lock().expect("no client panics"));
        for submission in &unanswered {
            self.v1.assert_whole_or_absent(submission, &self.log, &mut connection);
        }
        self.checked = self.v1.indices().len();
        let limit = choices.between(PAGE.0, PAGE.1);
        let search = json!({ "email": EVERYBODY, "limit": limit });
        let everybody = self.v1.walk(&search, &mut connection);
        assert_eq!(everybody, self.v1.indices_searched_by(SOMEBODY), "found by {search}");
    }

    /// Both trees, recomputed from what anybody can read.
    fn assert_trees(&self, server: &ServerProcess) {
        assert_eq!(LogV1::of(server).key(), self.log.key(), "another key");
        self.saw_v1(server.get(&format!("{V1_TILES}/checkpoint")).expect(200).text());
        let url = format!("{}{V1_TILES}", server.url());
        let tree = check_log_of(&url, self.log.origin(), self.log.key());
        self.v1.tree.assert_kept_by(&tree);
        let first = server.get("/checkpoint").expect(200);
        self.v2.saw(first.text(), self.dir.default_key());
        self.v2.assert_kept_by(&check_log(&server.url(), self.dir.default_key()));
    }

    /// The checkpoint for witnesses and monitors, which other lines may follow.
    fn saw_v1(&self, note: &str) {
        let signed = SignedCheckpoint::open(note.as_bytes(), self.log.origin(), self.log.key());
        let head = signed.unwrap_or_else(|error| panic!("{error}: {note}")).head();
        self.v1.tree.saw_head(&head);
    }

    /// Clients submit to both logs and a reader reads until the server is killed under them.
    fn load_and_kill(&self, server: ServerProcess, choices: &mut Choices) {
        let address = server.listen();
        // The same entry from all clients at once, so that it meets itself in one batch.
        let shared = new_maker(choices).make(choices);
        thread::scope(|scope| {
            let mut clients = Vec::new();
            for _ in 0..CLIENTS_V1 {
                let (mut own, shared) = (Choices::of(choices.next()), shared.clone());
                let connection = Connection::open(address).expect("the server accepts");
                clients.push(scope.spawn(move || self.submit_v1(connection, shared, &mut own)));
            }
            for _ in 0..CLIENTS_V2 {
                let connection = Connection::open(address).expect("the server accepts");
                clients.push(scope.spawn(move || self.submit_v2(connection)));
            }
            let reads = Connection::open(address).expect("the server accepts");
            clients.push(scope.spawn(move || self.read(reads)));
            thread::sleep(Duration::from_micros(choices.below(LOAD_MS_MAX * 1000)));
            let ended = server.kill_9();
            assert_eq!(ended.status.code(), None, "it ended by itself: {}", ended.stderr);
            for client in clients {
                client.join().expect("no difference found");
            }
        });
    }

    /// One client of the v1 log: mostly new entries, now and then one that it or another client
    /// has sent before, answered or not. Some answers are followed by a search at once.
    fn submit_v1(&self, mut connection: Connection, shared: SubmissionV1, own: &mut Choices) {
        let mut maker = new_maker(own);
        let mut next = shared;
        loop {
            let acknowledged = self.submit_one(&next, &mut connection);
            if acknowledged.is_none() {
                self.unanswered.lock().expect("no client panics").push(next.clone());
            }
            let id = self.log.entry_id(&next.leaf);
            let is_broken = match acknowledged {
                None => true,
                Some(true) if own.once_in(4) => {
                    assert_searched(&id, &next.searches, &mut connection).is_err()
                }
                Some(_) => false,
            };
            if is_broken {
                return self.submitted.lock().expect("no client panics").push(next);
            }
            if own.once_in(8) {
                maker = new_maker(own);
            }
            let mut submitted = self.submitted.lock().expect("no client panics");
            submitted.push(next);
            next = if own.once_in(4) {
                let again = own.below(submitted.len() as u64);
                submitted[usize::try_from(again).expect("an index")].clone()
            } else {
                maker.make(own)
            };
        }
    }

    /// Whether it was acknowledged; `None` once the connection is broken.
    fn submit_one(&self, submission: &SubmissionV1, connection: &mut Connection) -> Option<bool> {
        let answer = connection.try_send(&post(ENTRIES, &submission.request)).ok()?;
        match answer.status {
            201 => {
                let entry = self.log.verify(&answer.json());
                assert_eq!(answer.header("etag"), Some(entry.id.as_str()));
                self.v1.acknowledge(&entry, submission);
            }
            // An entry that is there already can be read, now.
            409 => {
                let place = answer.header("location").expect("where it is").to_owned();
                let read = connection.try_send(&Request::get(&place)).ok()?.expect(200);
                self.v1.acknowledge(&self.log.verify(&read.json()), submission);
                self.conflicts.fetch_add(1, Ordering::Relaxed);
            }
            // A machine under load may be too slow for a ticket: that is no answer.
            _ => {
                answer.expect(503);
                self.unanswered.lock().expect("no client panics").push(submission.clone());
                return Some(false);
            }
        }
        Some(true)
    }

    fn submit_v2(&self, mut connection: Connection) {
        let mut maker = SubmissionMaker::new();
        let mut next = || Request::post("/api/v2/log/entries", maker.make().json());
        while let Ok(answer) = connection.try_send(&next()) {
            if answer.status == 503 {
                continue;
            }
            let said = Acknowledged::verify(&answer.expect(201).json(), self.dir.default_key());
            self.v2.acknowledge(&said);
        }
    }

    fn read(&self, mut connection: Connection) {
        loop {
            let mut read = |path: &str| connection.try_send(&Request::get(path)).ok();
            let Some(log) = read("/api/v1/log") else { return };
            let note = log.expect(200).json()["signedTreeHead"].as_str().expect("text").to_owned();
            self.v1.tree.saw_head(&self.log.head(&note));
            let Some(note) = read(&format!("{V1_TILES}/checkpoint")) else { return };
            self.saw_v1(note.expect(200).text());
            let Some(note) = read("/checkpoint") else { return };
            self.v2.saw(note.expect(200).text(), self.dir.default_key());
        }
    }

    /// At the end everything is submitted once more: what was acknowledged is where it was, and
    /// what never got an answer gets one now. Then everything is looked for by everything, and
    /// every entry of the tree is read, whoever knows of it.
    fn assert_everything(&mut self, choices: &mut Choices) {
        let server = self.dir.start();
        self.assert_kept(&server, choices);
        let submitted = self.submitted.lock().expect("no client panics").clone();
        each_part(&submitted, |submission| {
            let mut connection = server.connect();
            while !self.submit_one(submission, &mut connection).expect("nobody kills it now") {}
        });
        let all = self.v1.indices();
        let size = self.v1.tree.newest().size.get();
        assert_eq!(all, (0..size).map(LeafIndex::new).collect::<Vec<_>>(), "nothing else is in it");
        each_part(&all, |index| {
            self.v1.assert_found(*index, &self.log, &mut server.connect());
        });
        self.assert_kept(&server, choices);
        assert!(server.terminate().status.success());
    }
}

/// A maker with a certificate or, half of the time, without.
fn new_maker(own: &mut Choices) -> Maker {
    Maker(if own.once_in(2) {
        SubmissionMakerV1::new()
    } else {
        let somebody = format!("{SOMEBODY}{}@example.org", own.next());
        SubmissionMakerV1::certified(&[&somebody, EVERYBODY])
    })
}

/// Makes submissions that are not searched by [`EVERYBODY`], one by one: each answer would name
/// all of them.
struct Maker(SubmissionMakerV1);

impl Maker {
    fn make(&mut self, own: &mut Choices) -> SubmissionV1 {
        let mut made = if own.once_in(2) { self.0.dsse() } else { self.0.hashedrekord() };
        made.searches.retain(|search| !search.contains(&EVERYBODY.to_uppercase()));
        made
    }
}

/// Does something with each, in a few threads.
fn each_part<T: Sync>(all: &[T], act: impl Fn(&T) + Sync) {
    let act = &act;
    thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(READERS).max(1)) {
            scope.spawn(move || part.iter().for_each(act));
        }
    });
}
