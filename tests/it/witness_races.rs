//! Requests that race: of two updates from one size one wins, and the log that lost goes on from
//! there; a thousand logs at once are all served, whatever one of them does.

use std::sync::Barrier;
use std::thread;

use log_core::witness::{AddCheckpointRequest, parse_size};
use log_tests::witness_process::ADD_CHECKPOINT;
use log_tests::{Connection, Cosigned, History, Request, Response, SignedLog};
use log_tests::{WitnessDir, WitnessProcess};

/// Races of each kind.
const RACES: u64 = 10;
/// From here all requests of a race start.
const FROM: u64 = 5;

/// A witness that has cosigned the first leaves of some logs.
struct Scene {
    dir: WitnessDir,
    witness: WitnessProcess,
    record: Cosigned,
    logs: Vec<(SignedLog, History)>,
}

impl Scene {
    fn new(logs: u64) -> Self {
        let dir = WitnessDir::init("witness.example");
        let log = |number| {
            let log = SignedLog::new(&format!("log.example/{number}"));
            let history = History::new(log.origin().as_str(), 40);
            (log, history)
        };
        let logs: Vec<_> = (0..logs).map(log).collect();
        let keys: Vec<_> = logs.iter().map(|(log, _)| log.key()).collect();
        dir.add_logs(&keys);
        let (witness, record) = (dir.start(), Cosigned::by(dir.keys()));
        Self { dir, witness, record, logs }
    }

    /// Sends all requests at the same moment.
    fn race(&self, requests: &[AddCheckpointRequest]) -> Vec<Response> {
        let start = Barrier::new(requests.len());
        let send = |request| {
            let mut connection = self.witness.connect();
            start.wait();
            WitnessProcess::try_add_checkpoint(&mut connection, request).expect("an answer")
        };
        thread::scope(|scope| {
            let racers: Vec<_> =
                requests.iter().map(|request| scope.spawn(move || send(request))).collect();
            racers.into_iter().map(|racer| racer.join().expect("an answer")).collect()
        })
    }

    /// One of the requests wins, the others are told its size; gives back the winner.
    fn one_wins(&self, log: &SignedLog, requests: &[AddCheckpointRequest]) -> usize {
        let answers = self.race(requests);
        let won: Vec<usize> = (0..answers.len()).filter(|i| answers[*i].status == 200).collect();
        let [winner] = won[..] else { panic!("{} of the requests won", won.len()) };
        let head = self.record.accept(&requests[winner].checkpoint, answers[winner].clone());
        for (loser, answer) in answers.into_iter().enumerate().filter(|(i, _)| *i != winner) {
            let answer = answer.expect(409);
            assert_eq!(parse_size(&answer.body), Some(head.size), "told to request {loser}");
        }
        let shown = self.witness.latest(log.origin()).expect(200);
        assert!(
            shown.text().starts_with(requests[winner].checkpoint.trim_end()),
            "{}",
            shown.text()
        );
        winner
    }
}

#[test]
fn of_two_updates_from_one_size_one_wins_and_both_go_on() {
    let scene = Scene::new(RACES);
    for (log, history) in &scene.logs {
        let first = log.request(history, 0, FROM);
        scene.record.accept(&first.checkpoint, scene.witness.add_checkpoint(&first));
        let sizes = [FROM + 3, FROM + 4];
        let winner = scene.one_wins(log, &sizes.map(|size| log.request(history, FROM, size)));
        // Whoever lost goes on from the size that it was told.
        let next = log.request(history, sizes[winner], FROM + 9);
        scene.record.accept(&next.checkpoint, scene.witness.add_checkpoint(&next));
        scene.record.assert_one_history(log.origin(), history);
        assert_eq!(scene.witness.evidence(log.origin()).len(), 0, "an honest log");
    }
}

#[test]
fn of_two_histories_from_one_size_one_wins_for_ever() {
    let scene = Scene::new(RACES);
    for (number, (log, history)) in (0..).zip(&scene.logs) {
        let first = log.request(history, 0, FROM);
        scene.record.accept(&first.checkpoint, scene.witness.add_checkpoint(&first));
        let histories = [history.clone(), history.fork(FROM, "another history", 40)];
        // Of the same size, or of different ones.
        let sizes = [FROM + 3, FROM + 3 + number % 2];
        let requests = [0, 1].map(|i| log.request(&histories[i], FROM, sizes[i]));
        let winner = scene.one_wins(log, &requests);
        let loser = &histories[1 - winner];
        let again = log.request(loser, sizes[winner], 20);
        scene.witness.add_checkpoint(&again).expect(422);
        let next = log.request(&histories[winner], sizes[winner], 20);
        scene.record.accept(&next.checkpoint, scene.witness.add_checkpoint(&next));
        scene.record.assert_one_history(log.origin(), &histories[winner]);
    }
}

#[test]
fn of_many_equal_updates_one_wins_and_refreshes_never_collide() {
    let scene = Scene::new(1);
    let (log, history) = &scene.logs[0];
    for step in 0..RACES {
        let request = log.request(history, step, step + 1);
        scene.one_wins(log, &vec![request; 6]);
        let refresh = log.request(history, step + 1, step + 1);
        for answer in scene.race(&vec![refresh.clone(); 6]) {
            scene.record.accept(&refresh.checkpoint, answer);
        }
    }
    scene.record.assert_one_history(log.origin(), history);
}

#[test]
fn a_thousand_logs_at_once_are_served_beside_a_hot_and_a_hanging_one() {
    const LOGS: u64 = 1_000;
    const CLIENTS: usize = 100;
    let scene = Scene::new(LOGS);
    // A log that never finishes its requests.
    let (log, history) = &scene.logs[0];
    let body = log.request(history, 0, 40).to_string();
    let hanging: Vec<Connection> = (0..20).map(|_| open_request(&scene.witness, &body)).collect();
    thread::scope(|scope| {
        // A log that asks all the time.
        let (hot, rest) = (&scene.logs[1], &scene.logs[2..]);
        let scene = &scene;
        let busy = scope.spawn(move || ask_again_and_again(scene, hot, 40));
        for part in rest.chunks(rest.len().div_ceil(CLIENTS)) {
            let mut connection = scene.witness.connect();
            scope.spawn(move || {
                for (log, history) in part {
                    let request = log.request(history, 0, 7);
                    let answer = WitnessProcess::try_add_checkpoint(&mut connection, &request);
                    scene.record.accept(&request.checkpoint, answer.expect("an answer"));
                }
            });
        }
        busy.join().expect("the hot log is served too");
    });
    drop(hanging);
    let listed = scene.dir.run("list", &[]);
    assert_eq!(listed.lines().filter(|line| line.contains("log.example/")).count() as u64, LOGS);
    for (log, history) in &scene.logs[2..] {
        scene.record.assert_one_history(log.origin(), history);
        assert_eq!(scene.record.newest(log.origin()), Some(history.head_at(7)));
    }
}

/// Starts a request and keeps back its last byte.
fn open_request(witness: &WitnessProcess, body: &str) -> Connection {
    let mut connection = witness.connect();
    let bytes = Request::post(ADD_CHECKPOINT, body).to_bytes();
    connection.write(&bytes[..bytes.len() - 1]).expect("written");
    connection
}

fn ask_again_and_again(scene: &Scene, (log, history): &(SignedLog, History), times: u64) {
    let mut connection = scene.witness.connect();
    for size in 0..times {
        let request = log.request(history, size, size + 1);
        let answer = WitnessProcess::try_add_checkpoint(&mut connection, &request);
        scene.record.accept(&request.checkpoint, answer.expect("an answer"));
    }
}
