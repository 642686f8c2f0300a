//! The scene of the tests about a log and its witnesses: policies, what `/readyz` and the metrics
//! say, submissions that may have to be sent again, and a log with three real witnesses.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use log_core::{Origin, SignedNote, TreeHead, VerifierKey, WitnessPolicy, sha256};
use log_server::init::REKOR_V1_LOG;
use log_tests::record::Record;
use log_tests::{
    Acknowledged, Connection, DataDir, Request, ServerProcess, Submission, SubmissionMaker,
    WitnessDir, WitnessProcess, check_log,
};
use serde_json::Value;

/// The log of most tests.
pub(crate) const LOG: &str = "rekor-v2";
/// Its origin, from which its key follows in [`Scene`].
const ORIGIN: &str = "log.example";
/// Nothing takes this long; a test that would wait for ever fails instead.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A policy: a quorum of `threshold` among these witnesses, given by name, key and URL.
pub(crate) fn quorum_of(threshold: usize, witnesses: &[(&str, &VerifierKey, String)]) -> String {
    let mut text = String::new();
    let mut names = String::new();
    for (name, key, url) in witnesses {
        text.push_str(&format!("witness {name} {key} {url}\n"));
        names.push_str(&format!(" {name}"));
    }
    format!("{text}group enough {threshold}{names}\nquorum enough\n")
}

/// Asserts that a note has what a client with this policy demands.
#[track_caller]
pub(crate) fn assert_quorum(policy: &WitnessPolicy, note: &str) {
    let names = cosigners(policy, note);
    assert!(policy.holds(|one| names.contains(&one.name)), "only {names:?}: {note}");
}

/// The witnesses of a policy that cosigned a note.
pub(crate) fn cosigners(policy: &WitnessPolicy, note: &str) -> Vec<String> {
    let note = SignedNote::parse(note.as_bytes()).expect("a note");
    policy.cosigned(&note).into_iter().map(|(witness, _)| witness.name.clone()).collect()
}

/// The origin of a log, which is the name of its key.
pub(crate) fn origin_of(key: &VerifierKey) -> Origin {
    Origin::parse(key.name().as_str()).expect("an origin")
}

/// A log as `/readyz` shows it.
pub(crate) fn row(server: &ServerProcess, log: &str) -> Value {
    let mut admin = Connection::open(server.admin()).expect("the admin address");
    let all = admin.send(&Request::get("/readyz")).json();
    let rows = all["logs"].as_array().expect("logs");
    rows.iter().find(|row| row["name"] == log).unwrap_or_else(|| panic!("{all}")).clone()
}

/// One witness of a log as `/readyz` shows it.
pub(crate) fn witness_row<'r>(row: &'r Value, name: &str) -> &'r Value {
    let rows = row["witnessing"]["witnesses"].as_array().expect("witnesses");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{row}"))
}

/// Waits until a log stands like that.
#[track_caller]
pub(crate) fn wait_for(
    server: &ServerProcess,
    log: &str,
    what: &str,
    mut is_so: impl FnMut(&Value) -> bool,
) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let row = row(server, log);
        if is_so(&row) {
            return row;
        }
        assert!(Instant::now() < end, "{log}: not {what}: {row:#}");
        thread::sleep(POLL);
    }
}

/// Waits until a log is in this state.
#[track_caller]
pub(crate) fn wait_for_state(server: &ServerProcess, log: &str, state: &str) -> Value {
    wait_for(server, log, state, |row| row["state"] == state)
}

/// Waits until a log is open and has published the head that it started with.
#[track_caller]
pub(crate) fn wait_until_published(server: &ServerProcess, log: &str) {
    wait_for(server, log, "published", |row| row["state"] == "open" && row["size"].is_number());
}

/// Waits until a witness of a log is in this state.
#[track_caller]
pub(crate) fn wait_for_witness(
    server: &ServerProcess,
    log: &str,
    name: &str,
    state: &str,
) -> Value {
    let is_so = |row: &Value| witness_row(row, name)["state"] == state;
    let row = wait_for(server, log, &format!("{name} {state}"), is_so);
    witness_row(&row, name).clone()
}

/// A number of `/metrics`; `sample` is the name with its labels.
#[track_caller]
pub(crate) fn metric(server: &ServerProcess, sample: &str) -> Option<f64> {
    let mut admin = Connection::open(server.admin()).expect("the admin address");
    let text = admin.send(&Request::get("/metrics")).expect(200).text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map(|number| number.parse().expect("a number"))
}

/// A loopback address for one witness, with any port. On 127.0.0.1 some outgoing connection could
/// take the port of a witness that is stopped, and it could not come back.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert_ne!(number, u8::MAX, "no more addresses");
    let [.., high, low] = std::process::id().to_be_bytes();
    // The last byte stays off 0 and 255.
    ([127, number, high, low.clamp(1, 254)], 0).into()
}

/// A witness as an operator runs it, which may be stopped and come back.
pub(crate) struct Witness {
    pub(crate) dir: WitnessDir,
    address: SocketAddr,
    process: Option<WitnessProcess>,
}

impl Witness {
    /// A running witness that knows this log.
    pub(crate) fn of(log: &VerifierKey, name: &str) -> Self {
        let dir = WitnessDir::init(name);
        dir.add_log(log, None);
        let process = dir.start_on(own_address());
        Self { dir, address: process.listen(), process: Some(process) }
    }

    pub(crate) fn stop(&mut self) {
        let ended = self.take().terminate();
        assert!(ended.status.success(), "{ended:?}");
    }

    pub(crate) fn kill_9(&mut self) {
        self.take().kill_9();
    }

    /// The process, for whoever ends it.
    pub(crate) fn take(&mut self) -> WitnessProcess {
        self.process.take().expect("it runs")
    }

    pub(crate) fn come_back(&mut self) {
        assert!(self.process.is_none(), "it runs");
        self.process = Some(self.dir.start_on(self.address));
    }

    /// Runs another data directory at this address, as after a reinstallation.
    pub(crate) fn replace(&mut self, dir: WitnessDir) {
        assert!(self.process.is_none(), "it runs");
        self.dir = dir;
        self.come_back();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn running(&self) -> &WitnessProcess {
        self.process.as_ref().expect("it runs")
    }

    /// The newest head of the log that it shows.
    pub(crate) fn newest(&self, log: &Origin) -> TreeHead {
        let shown = self.running().latest(log).expect(200);
        let note = SignedNote::parse(&shown.body).expect("a note");
        log_core::Checkpoint::parse(note.text()).expect("a checkpoint").head
    }
}

/// A Rekor v2 log whose quorum is 2 of 3 real witnesses, `w1`, `w2` and `w3`.
pub(crate) struct Scene {
    pub(crate) dir: DataDir,
    pub(crate) witnesses: [Witness; 3],
    pub(crate) policy: WitnessPolicy,
    pub(crate) record: Record,
    pub(crate) maker: SubmissionMaker,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = Self::empty_store();
        let witnesses = ["w1.example", "w2.example", "w3.example"]
            .map(|name| Witness::of(dir.default_key(), name));
        let scene = Self {
            policy: WitnessPolicy::none(),
            witnesses,
            dir,
            record: Record::new(),
            maker: SubmissionMaker::new(),
        };
        scene.with_quorum(2)
    }

    /// A data directory of size 0 with the key of this scene's log.
    pub(crate) fn empty_store() -> DataDir {
        let dir = DataDir::born(ORIGIN, *sha256(ORIGIN.as_bytes()).as_bytes());
        // A process whose only log is shut ends, and says why.
        dir.forget_log(REKOR_V1_LOG);
        dir
    }

    fn with_quorum(mut self, threshold: usize) -> Self {
        let text = self.policy_text(threshold);
        self.policy = WitnessPolicy::parse(text.as_bytes()).expect("a policy");
        self.dir.set_policy(LOG, &text);
        self
    }

    /// A policy about all three witnesses.
    pub(crate) fn policy_text(&self, threshold: usize) -> String {
        let [w1, w2, w3] = &self.witnesses;
        let rows = [("w1", w1), ("w2", w2), ("w3", w3)];
        quorum_of(threshold, &rows.map(|(name, one)| (name, one.dir.ed25519_key(), one.url())))
    }

    pub(crate) fn key(&self) -> &VerifierKey {
        self.dir.default_key()
    }

    pub(crate) fn origin(&self) -> Origin {
        origin_of(self.key())
    }

    /// Serves; the question at the start is answered.
    #[track_caller]
    pub(crate) fn start(&self) -> ServerProcess {
        let server = self.dir.start();
        wait_until_published(&server, LOG);
        server
    }

    /// Submits an entry until it is acknowledged.
    #[track_caller]
    pub(crate) fn submit(&mut self, server: &ServerProcess) -> Acknowledged {
        let submission = self.maker.make();
        self.submit_this(server, &submission)
    }

    /// Submits this entry until it is acknowledged, under the quorum.
    #[track_caller]
    pub(crate) fn submit_this(
        &self,
        server: &ServerProcess,
        submission: &Submission,
    ) -> Acknowledged {
        let said = submit_until_taken(server, submission, self.key());
        assert_quorum(&self.policy, &said.note);
        self.record.acknowledge(&said);
        said
    }

    /// The log shows a quorum's checkpoint, and its whole tree holds all that it ever said.
    #[track_caller]
    pub(crate) fn assert_kept(&self, server: &ServerProcess) -> TreeHead {
        let log = check_log(&server.url(), self.key());
        assert_quorum(&self.policy, &log.note);
        self.record.assert_kept_by(&log);
        log.head
    }
}

/// Submits an entry until it is acknowledged: a loaded machine may be too slow for a ticket.
#[track_caller]
pub(crate) fn submit_until_taken(
    server: &ServerProcess,
    submission: &Submission,
    key: &VerifierKey,
) -> Acknowledged {
    let end = Instant::now() + PATIENCE;
    let mut connection = server.connect();
    loop {
        let request = Request::post("/api/v2/log/entries", submission.json());
        let answer = connection.send(&request);
        if answer.status == 503 && Instant::now() < end {
            assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
            thread::sleep(POLL);
            continue;
        }
        return Acknowledged::verify(&answer.expect(201).json(), key);
    }
}
