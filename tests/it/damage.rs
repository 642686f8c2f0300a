//! What a start makes of a data directory that is not as it was left: a log that cannot prove to
//! be itself stays shut and says why, the others serve, and never is there a second history.

mod identity;
mod rows;
mod tail;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use log_core::{TreeHead, VerifierKey, sha256};
use log_server::init::{NewLog, REKOR_V1_LOG, REKOR_V2_LOG, add_log};
use log_server::log::Personality;
use log_server::log::directory::Birth;
use log_server::log::signer::NewKeys;
use log_tests::data_dir::copy_dir;
use log_tests::record::Record;
use log_tests::{Acknowledged, DataDir, Request, ServerProcess, SubmissionMaker, check_log, raw};

/// The log that is damaged; the one beside it is the default log of `init`.
const VICTIM: &str = "victim";
const VICTIM_ORIGIN: &str = "localhost/victim";
const VICTIM_SEED: [u8; 32] = [1; 32];
/// One full tile, and a bit.
const ENTRIES: u64 = 300;

/// A data directory with two logs, and what they have said.
struct Scene {
    dir: DataDir,
    key: VerifierKey,
    said: Record,
    other_said: Record,
    bodies: AtomicU64,
}

impl Scene {
    /// Two new logs.
    fn empty() -> Self {
        let dir = DataDir::init("localhost");
        let log = NewLog {
            name: VICTIM,
            personality: Personality::Raw,
            origin: Some(VICTIM_ORIGIN),
            birth: Birth { keys: NewKeys::Ed25519(VICTIM_SEED), state_id: [2; 16] },
            created: "2026-01-01T00:00:00Z".parse().expect("a time"),
        };
        let key = add_log(&dir.path(), &log).expect("add-log").log;
        let (said, other_said) = (Record::new(), Record::new());
        Self { dir, key, said, other_said, bodies: AtomicU64::new(0) }
    }

    /// Two logs with entries, killed while they served.
    fn killed() -> Self {
        let scene = Self::empty();
        let server = scene.dir.start();
        scene.add(&server, ENTRIES);
        scene.assert_other_serves(&server);
        server.kill_9();
        scene.back_up();
        scene
    }

    /// A file or directory of the victim.
    fn file(&self, name: &str) -> PathBuf {
        self.dir.log(VICTIM).join(name)
    }

    fn other_file(&self, name: &str) -> PathBuf {
        self.dir.log(REKOR_V2_LOG).join(name)
    }

    /// The files of the victim's store with this extension, oldest first.
    fn store_files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.file("db")).expect("the store's directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
        files.sort();
        files
    }

    /// The newest file of the victim's write-ahead log.
    fn wal(&self) -> PathBuf {
        self.store_files("log").pop().expect("a write-ahead log")
    }

    /// Keeps a copy of the victim for [`Self::restore`].
    fn back_up(&self) {
        let backup = self.dir.beside("backup");
        let _ = fs::remove_dir_all(&backup);
        copy_dir(&self.dir.log(VICTIM), &backup);
    }

    /// Makes the victim again what it was at [`Self::back_up`].
    fn restore(&self) {
        let _ = fs::remove_dir_all(self.dir.log(VICTIM));
        copy_dir(&self.dir.beside("backup"), &self.dir.log(VICTIM));
    }

    /// 64 bytes that nothing can compress.
    fn body(&self) -> Vec<u8> {
        let number = self.bodies.fetch_add(1, Ordering::Relaxed);
        let half = |name: &str| *sha256(format!("{name} {number}").as_bytes()).as_bytes();
        [half("left"), half("right")].concat()
    }

    fn add_one(&self, server: &ServerProcess) -> Acknowledged {
        let answer = raw::add(&mut server.connect(), VICTIM, &self.body(), &self.key);
        let said = answer.expect("an answer").expect("200");
        self.said.acknowledge(&said);
        said
    }

    /// Adds entries from several clients, so that batches have more than one.
    fn add(&self, server: &ServerProcess, count: u64) {
        const CLIENTS: u64 = 8;
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                scope.spawn(move || {
                    for _ in (client..count).step_by(8) {
                        self.add_one(server);
                    }
                });
            }
        });
    }

    /// The victim serves, and everything it ever said is still true.
    fn assert_kept(&self, server: &ServerProcess) -> TreeHead {
        let log = check_log(&format!("{}/logs/{VICTIM}", server.url()), &self.key);
        self.said.assert_kept_by(&log);
        log.head
    }

    /// The victim opens, keeps its word, and goes on after it; also once more after a kill.
    fn assert_goes_on(&self) -> String {
        let server = self.dir.start();
        self.assert_kept(&server);
        self.add(&server, 5);
        let said = server.kill_9().stderr;
        self.dir.assert_sound();
        let server = self.dir.start();
        self.assert_kept(&server);
        said
    }

    fn assert_other_serves(&self, server: &ServerProcess) {
        let submission = SubmissionMaker::new().make();
        let answer = server.submit(&submission.json()).expect(201).json();
        self.other_said.acknowledge(&Acknowledged::verify(&answer, self.dir.default_key()));
        self.other_said.assert_kept_by(&check_log(&server.url(), self.dir.default_key()));
    }

    /// The victim stays shut with this reason wherever somebody looks, nothing of it is served or
    /// changed, and the other log serves. Without the other log the process ends.
    #[track_caller]
    fn assert_shut(&self, reason: &str) {
        let beside = ["key.pem", "state-id", "anchor"].map(|name| fs::read(self.file(name)).ok());
        let server = self.dir.start();
        let gives_reason = |what: &str, text: &str| {
            assert!(text.contains(reason), "{what} does not say {reason:?}: {text}");
        };
        for path in ["checkpoint", "tile/0/000", "tile/entries/000", "tile/0/000.p/1", "entry/0"] {
            let answer = server.get(&format!("/logs/{VICTIM}/{path}")).expect(503);
            gives_reason(path, answer.text());
        }
        let refused = raw::add(&mut server.connect(), VICTIM, &self.body(), &self.key);
        let refused = refused.expect("an answer").expect_err("shut").expect(503);
        gives_reason("add", refused.text());
        gives_reason("/readyz", server.get("/readyz").expect(503).text());
        let mut admin = log_tests::Connection::open(server.admin()).expect("the server accepts");
        gives_reason("admin /readyz", admin.send(&Request::get("/readyz")).expect(503).text());
        let logs = server.get("/logs").expect(200).json();
        let row =
            logs["logs"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == VICTIM));
        let row = row.expect("a row");
        assert_eq!((&row["state"], &row["size"]), (&"shut".into(), &serde_json::Value::Null));
        self.assert_other_serves(&server);
        let ended = server.terminate();
        assert!(ended.status.success(), "{ended:?}");
        gives_reason("stderr", &ended.stderr);
        assert!(ended.stderr.contains("log stays shut"), "{}", ended.stderr);

        let ended = self.start_alone().map(|_| ()).expect_err("there is nothing to serve");
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        gives_reason("stderr", &ended.stderr);
        let now = ["key.pem", "state-id", "anchor"].map(|name| fs::read(self.file(name)).ok());
        assert_eq!(now, beside, "a shut log's files were changed");
        assert!(!self.file("db.last-good").exists(), "a copy that was not accepted was left");
    }

    /// Serves the victim without the logs beside it.
    fn start_alone(&self) -> Result<ServerProcess, log_tests::Ended> {
        let all = fs::read_to_string(self.dir.config()).expect("cairn.toml");
        self.dir.forget_log(REKOR_V1_LOG);
        self.dir.forget_log(REKOR_V2_LOG);
        let started = self.dir.try_start();
        fs::write(self.dir.config(), all).expect("cairn.toml can be written");
        started
    }

    fn accept_tail(&self, log: &str, head: &str) -> Output {
        let mut command = self.dir.command("accept-tail");
        command.arg(log).args(["--head", head]).output().expect("cairn-server runs")
    }
}

/// One kind of damage: its name, what it does, and the reason that the victim must give.
type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>, &'a str);

/// Does each damage to the restored victim and looks whether it stays shut. At the end it is
/// restored and must serve everything: no refusal did any harm.
fn assert_all_shut(scene: &Scene, damages: Vec<Damage<'_>>) {
    for (name, damage, reason) in damages {
        eprintln!("damage: {name}");
        scene.restore();
        damage();
        scene.assert_shut(reason);
    }
    scene.restore();
    scene.assert_goes_on();
}

fn edit(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).expect("a file");
    change(&mut bytes);
    fs::write(file, bytes).expect("a file that can be written");
}
