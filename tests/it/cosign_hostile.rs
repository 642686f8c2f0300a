//! Hostile witnesses. Whatever one of them says or does not say, it costs the log that witness's
//! own vote: a quorum of the others goes on, and a log that needs it waits until it is honest
//! again. One process hosts a log for each kind of hostility, twice: with the witness as the third
//! of 2 of 3, and as a needed one of 2 of 2.

use std::thread;
use std::time::{Duration, Instant};

use log_core::{CosignerKey, KeyName, NoteSignature, TreeHead, WitnessPolicy, sha256};
use log_tests::hostile_witness::{Asked, Reply, now_s};
use log_tests::witness_process::ADD_CHECKPOINT;
use log_tests::{Acknowledged, DataDir, HostileWitness, ServerProcess, SubmissionMaker, raw};

use crate::cosign_scene::{
    LOG, cosigners, metric, origin_of, quorum_of, row, submit_until_taken, wait_for,
    wait_until_published, witness_row,
};

const DAY_S: u64 = 86_400;
/// Entries of a log before its witness turns hostile; the witness is known to have cosigned them.
const BEFORE: u64 = 3;

/// One kind of hostility.
struct Case {
    name: &'static str,
    play: fn(&Asked<'_>) -> Reply,
    running: Seen,
    starting: Started,
}

/// What a running log makes of it.
#[derive(Clone, Copy)]
enum Seen {
    /// Nothing usable, with a word of the reason.
    Down(&'static str),
    /// Nothing usable: its line does not count, for this reason in the metrics.
    Refused(&'static str),
    /// It does not know the log, or is no witness: nothing usable, and an operator has to act.
    Unknown(&'static str),
    /// A claim that cannot be true.
    Alarm(&'static str),
}

/// What a starting log makes of it, if it needs that answer.
#[derive(Clone, Copy, PartialEq)]
enum Started {
    /// No answer: it goes on asking.
    Asks,
    /// Somebody knows more of this log than its store.
    Shut,
}

use Seen::{Alarm, Down, Refused, Unknown};
use Started::{Asks, Shut};

const fn case(
    name: &'static str,
    play: fn(&Asked<'_>) -> Reply,
    running: Seen,
    starting: Started,
) -> Case {
    Case { name, play, running, starting }
}

/// The list. A redirect has a test of its own.
const CASES: [Case; 25] = [
    case("hang", |_| Reply::Hang, Down("no whole answer"), Asks),
    case("byte-a-second", drip, Down("no whole answer"), Asks),
    case("error-500", |_| Reply::status(500), Down("500"), Asks),
    case("busy-503", |_| Reply::status(503), Down("503"), Asks),
    case("limit-429", |_| Reply::status(429), Down("429"), Asks),
    case("ten-megabytes", |_| ten_megabytes(), Down("answer of more than"), Asks),
    case("tls-garbage", |_| Reply::Raw(b"\x16\x03\x03\0\x7a\x02\0\0\x76".into()), Down(""), Asks),
    case("closes", |_| Reply::Raw(Vec::new()), Down(""), Asks),
    case("no-lines", |_| Reply::lines(&[]), Down("not a cosignature"), Asks),
    case("other-key", other_key, Refused("other_key"), Asks),
    case("other-head", other_head, Refused("signature"), Asks),
    case("yesterday", |asked| at(asked, now_s() - DAY_S), Refused("time"), Asks),
    case("far-future", |asked| at(asked, now_s() + 3650 * DAY_S), Refused("time"), Asks),
    case("forged", |asked| forged(asked, 1), Refused("signature"), Asks),
    case("many-forged", |asked| forged(asked, 90), Refused("signature"), Asks),
    case("larger", |asked| Reply::size(known(asked) + 1000), Alarm("names size"), Shut),
    case("huge-size", |_| Reply::size(u64::MAX), Alarm("names size"), Shut),
    case("smaller", |_| Reply::size(0), Down("again and again"), Asks),
    case(
        "size-too-long",
        |_| Reply::size("18446744073709551616"),
        Down("a size that is none"),
        Asks,
    ),
    case("size-garbage", |_| Reply::size("-1 or so"), Down("a size that is none"), Asks),
    case("sizes-in-a-loop", |asked| Reply::size(asked.before % 3), Down("again and again"), Asks),
    case("conflict-in-words", |_| Reply::status(409), Alarm("409"), Shut),
    case("wrong-proof-422", |_| Reply::status(422), Alarm("422"), Shut),
    case("unknown-log-404", |_| Reply::status(404), Unknown("404"), Asks),
    case("unknown-key-403", |_| Reply::status(403), Unknown("403"), Asks),
];

fn known(asked: &Asked<'_>) -> u64 {
    asked.checkpoint.head.size.get()
}

fn drip(asked: &Asked<'_>) -> Reply {
    let line = asked.line(&asked.checkpoint, now_s()).to_string();
    Reply::Drip(format!("HTTP/1.1 200 OK\r\n\r\n{line}\n").into_bytes())
}

/// Lines without an end.
fn ten_megabytes() -> Reply {
    let body = b"\xe2\x80\x94 somebody AAAAAAAA\n".repeat(500_000);
    Reply::Answer { status: 200, headers: Vec::new(), body }
}

/// A good cosignature of somebody else who has the same name.
fn other_key(asked: &Asked<'_>) -> Reply {
    let name = own_name(asked);
    let key = CosignerKey::ed25519(name, [9; 32]);
    Reply::lines(&[key.cosign(&asked.checkpoint, now_s()).expect("a time")])
}

/// A good cosignature of a head that is not this log's.
fn other_head(asked: &Asked<'_>) -> Reply {
    let mut other = asked.checkpoint.clone();
    other.head = TreeHead { root_hash: sha256(b"another"), ..other.head };
    Reply::lines(&[asked.line(&other, now_s())])
}

fn at(asked: &Asked<'_>, time_s: u64) -> Reply {
    Reply::lines(&[asked.line(&asked.checkpoint, time_s)])
}

/// Lines with the name and the key id of the witness, and no signature of it.
fn forged(asked: &Asked<'_>, count: usize) -> Reply {
    let mut line: NoteSignature = asked.line(&asked.checkpoint, now_s());
    let lines: Vec<_> = (0..count)
        .map(|_| {
            let last = line.signature.last_mut().expect("a signature");
            *last = last.wrapping_add(1);
            line.clone()
        })
        .collect();
    Reply::lines(&lines)
}

fn own_name(asked: &Asked<'_>) -> KeyName {
    asked.line(&asked.checkpoint, 1).name
}

/// A log for each case, and the witnesses of all.
struct Scene {
    dir: DataDir,
    _honest: [HostileWitness; 2],
    hostile: Vec<HostileWitness>,
}

impl Scene {
    /// Every log needs `threshold` of as many honest witnesses and its own hostile one, `h`.
    fn new(honest: usize, threshold: usize) -> Self {
        let mut dir = DataDir::init("log.example");
        let witnesses = ["a.example", "b.example"].map(HostileWitness::start);
        let mut hostile = Vec::new();
        for case in &CASES {
            let own = HostileWitness::start("h.example");
            dir.add_log(case.name, "raw", None);
            let mut rows = vec![("h", own.key(), own.url())];
            let others = [("a", &witnesses[0]), ("b", &witnesses[1])];
            rows.extend(others[..honest].iter().map(|(name, one)| (*name, one.key(), one.url())));
            dir.set_policy(case.name, &quorum_of(threshold, &rows));
            hostile.push(own);
        }
        Self { dir, _honest: witnesses, hostile }
    }

    /// Does the same for every log at once.
    fn for_each(&self, what: impl Fn(&Case, &HostileWitness) + Sync) {
        thread::scope(|scope| {
            for (case, hostile) in CASES.iter().zip(&self.hostile) {
                let what = &what;
                scope.spawn(move || what(case, hostile));
            }
        });
    }

    /// Everybody is honest first: all logs are open, and all witnesses known to have cosigned.
    fn begin(&self) -> ServerProcess {
        let server = self.dir.start();
        self.for_each(|case, hostile| {
            wait_until_published(&server, case.name);
            for number in 0..BEFORE {
                self.add(&server, case, number);
            }
            wait_for(&server, case.name, "known to the witness", |row| {
                witness_row(row, "h")["knownSize"] == BEFORE
            });
            hostile.plays(case.play);
        });
        server
    }

    /// Adds an entry until it is acknowledged, and checks that it got its index.
    #[track_caller]
    fn add(&self, server: &ServerProcess, case: &Case, number: u64) -> Acknowledged {
        let taken = wait_for_some(server, case, || self.try_add(server, case, number).ok());
        assert_eq!(taken.index.get(), number, "{}", case.name);
        taken
    }

    fn try_add(
        &self,
        server: &ServerProcess,
        case: &Case,
        number: u64,
    ) -> Result<Acknowledged, String> {
        let body = format!("{} {number}", case.name);
        let key = self.dir.key(case.name);
        let answer = raw::add(&mut server.connect(), case.name, body.as_bytes(), key);
        answer.expect("an answer").map_err(|answer| {
            let answer = answer.expect(503);
            assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
            answer.text().to_owned()
        })
    }
}

#[track_caller]
fn wait_for_some<T>(
    server: &ServerProcess,
    case: &Case,
    mut attempt: impl FnMut() -> Option<T>,
) -> T {
    let mut found = None;
    wait_for(server, case.name, "acknowledged", |_| {
        found = attempt();
        found.is_some()
    });
    found.expect("waited for")
}

/// The witness stands as it should in `/readyz` and in the metrics.
#[track_caller]
fn assert_seen(server: &ServerProcess, case: &Case) {
    let alarm = matches!(case.running, Alarm(_) | Unknown(_));
    let state = if matches!(case.running, Alarm(_)) { "alarm" } else { "down" };
    let row = wait_for(server, case.name, state, |row| witness_row(row, "h")["state"] == state);
    let reason = witness_row(&row, "h")["reason"].as_str().expect("a reason").to_owned();
    let word = match case.running {
        Down(word) | Unknown(word) | Alarm(word) => word,
        Refused(_) => "without a line that counts",
    };
    assert!(reason.contains(word), "{}: {reason}", case.name);
    let labels = format!("log=\"{}\",witness=\"h\"", case.name);
    let sample = |name: &str| metric(server, &format!("cairn_witness_{name}{{{labels}}}"));
    assert_eq!(sample("alarm"), Some(f64::from(u8::from(alarm))), "{}", case.name);
    assert_eq!(sample("up"), Some(0.0), "{}", case.name);
    if let Refused(why) = case.running {
        let refused = format!("cairn_witness_refused_lines_total{{{labels},reason=\"{why}\"}}");
        assert!(metric(server, &refused).is_some_and(|count| count >= 1.0), "{}", case.name);
    }
}

#[test]
fn as_the_third_of_three_it_costs_its_own_vote_and_nothing_else() {
    let scene = Scene::new(2, 2);
    let server = scene.begin();
    scene.for_each(|case, _| {
        for number in BEFORE..BEFORE + 4 {
            let said = scene.add(&server, case, number);
            let names = cosigners(&policy_of(&scene, case), &said.note);
            // Those who were asked while it still was honest may have answered in time.
            assert!(names.contains(&"a".into()) && names.contains(&"b".into()), "{names:?}");
        }
        assert_seen(&server, case);
        assert_eq!(row(&server, case.name)["state"], "open", "{}", case.name);
    });
    assert_eq!(server.get("/readyz").status, 200, "a missing third is no reason to send an alarm");
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
    assert!(server.terminate().status.success());

    // At a start the two others are enough, unless it claims to know more of the log.
    let server = scene.dir.start();
    scene.for_each(|case, hostile| {
        if case.starting == Shut {
            return assert_shut(&server, case);
        }
        wait_until_published(&server, case.name);
        scene.add(&server, case, BEFORE + 4);
        hostile.is_honest();
    });
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

#[test]
fn a_witness_that_hangs_is_not_waited_for() {
    /// If each round waited for it, these would take a minute and more.
    const ENTRIES: u64 = 45;
    let (dir, honest, hostile) = one_log();
    let server = dir.start();
    wait_until_published(&server, LOG);
    hostile.plays(|_| Reply::Hang);
    let (began, mut maker) = (Instant::now(), SubmissionMaker::new());
    for index in 0..ENTRIES {
        let said = submit_until_taken(&server, &maker.make(), dir.default_key());
        assert_eq!(said.index.get(), index);
    }
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    let newest = honest[0].newest(&origin_of(dir.default_key()));
    assert_eq!(newest.expect("cosigned").size.get(), ENTRIES);
    // One request at a time, however many rounds there are.
    assert!(hostile.asked() < ENTRIES / 2, "{} requests hang", hostile.asked());
}

#[test]
fn a_redirect_is_not_followed() {
    let (dir, _honest, hostile) = one_log();
    let elsewhere = HostileWitness::start("h.example");
    let server = dir.start();
    wait_until_published(&server, LOG);
    let mut maker = SubmissionMaker::new();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}{}", elsewhere.url(), ADD_CHECKPOINT);
        hostile.plays(move |_| Reply::Answer {
            status,
            headers: vec![("location", location.clone())],
            body: Vec::new(),
        });
        let reason = format!("HTTP status {status}");
        wait_for(&server, LOG, &reason, |row| {
            submit_until_taken(&server, &maker.make(), dir.default_key());
            witness_row(row, "h")["reason"] == reason.as_str()
        });
    }
    assert_eq!(elsewhere.asked(), 0);
}

/// A Rekor v2 log that needs two of two honest witnesses and a hostile one.
fn one_log() -> (DataDir, [HostileWitness; 2], HostileWitness) {
    let dir = DataDir::init("log.example");
    let honest = ["a.example", "b.example"].map(HostileWitness::start);
    let hostile = HostileWitness::start("h.example");
    let rows = [("a", &honest[0]), ("b", &honest[1]), ("h", &hostile)];
    dir.set_policy(LOG, &quorum_of(2, &rows.map(|(name, one)| (name, one.key(), one.url()))));
    (dir, honest, hostile)
}

#[test]
fn as_a_needed_one_it_stops_publication_until_it_is_honest() {
    let scene = Scene::new(1, 2);
    let server = scene.begin();
    scene.for_each(|case, _| {
        let why = scene.try_add(&server, case, BEFORE).expect_err(case.name);
        assert!(why.contains("no checkpoint covered the entry"), "{}: {why}", case.name);
        assert_seen(&server, case);
        let row = row(&server, case.name);
        assert_eq!((&row["state"], &row["size"]), (&"no-quorum".into(), &BEFORE.into()));
        let why = scene.try_add(&server, case, 99).expect_err("the backlog is too old");
        assert!(why.contains("entries wait for the witnesses"), "{}: {why}", case.name);
    });
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
    assert!(server.terminate().status.success());

    // The other one alone answers the question: nobody could have had a quorum without it. So the
    // log starts, and waits for its quorum as before.
    let server = scene.dir.start();
    scene.for_each(|case, hostile| {
        if case.starting == Shut {
            return assert_shut(&server, case);
        }
        wait_for(&server, case.name, "started", |row| row["state"] == "no-quorum");
        let why = scene.try_add(&server, case, BEFORE).expect_err(case.name);
        assert!(why.contains("no checkpoint covered the entry"), "{}: {why}", case.name);
        assert_eq!(row(&server, case.name)["size"], BEFORE);
        hostile.is_honest();
        scene.add(&server, case, BEFORE);
        scene.add(&server, case, BEFORE + 1);
    });
    assert!(server.terminate().status.success());
    scene.hostile.iter().for_each(HostileWitness::is_honest);
    let server = scene.dir.start();
    scene.for_each(|case, _| {
        // Committed before its witness was needed, and published now.
        wait_until_published(&server, case.name);
        scene.add(&server, case, BEFORE);
    });
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

#[test]
fn as_the_only_one_it_keeps_the_question_open_until_it_is_honest() {
    let scene = Scene::new(0, 1);
    assert!(scene.begin().terminate().status.success());
    let server = scene.dir.start();
    scene.for_each(|case, hostile| {
        if case.starting == Shut {
            return assert_shut(&server, case);
        }
        let row =
            wait_for(&server, case.name, "heard", |row| witness_row(row, "h")["state"] == "down");
        assert_eq!((&row["state"], &row["size"]), (&"asking".into(), &BEFORE.into()), "{row:#}");
        let why = scene.try_add(&server, case, BEFORE).expect_err(case.name);
        assert!(why.contains("asks its witnesses"), "{}: {why}", case.name);
        // What was published is served all the while.
        let note = server.get(&format!("/logs/{}/checkpoint", case.name)).expect(200);
        assert_eq!(cosigners(&policy_of(&scene, case), note.text()), ["h"]);
        hostile.is_honest();
        wait_until_published(&server, case.name);
        scene.add(&server, case, BEFORE);
    });
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

#[track_caller]
fn assert_shut(server: &ServerProcess, case: &Case) {
    let row = wait_for(server, case.name, "shut", |row| row["state"] == "shut");
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("witness h "), "{}: {reason}", case.name);
    assert!(reason.contains("--exclude-witness"), "{}: {reason}", case.name);
    let shut = server.get(&format!("/logs/{}/checkpoint", case.name)).expect(503);
    assert!(shut.text().contains("the log is shut"), "{}", shut.text());
}

fn policy_of(scene: &Scene, case: &Case) -> WitnessPolicy {
    let file = scene.dir.path().join(format!("{}.policy", case.name));
    WitnessPolicy::parse(&std::fs::read(file).expect("the policy")).expect("a policy")
}
