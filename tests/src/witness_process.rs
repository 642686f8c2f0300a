//! A running `cairn-witness` and its data directory.
//!
//! [`WitnessDir`] is what an operator makes with `init` and `add-log`; [`WitnessProcess`] serves
//! it. A test kills the process and starts another one on the same directory, on the same address
//! if a log must find it again.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use log_core::witness::{AddCheckpointRequest, origin_hash};
use log_core::{KeyAlgorithm, Origin, VerifierKey};
use tempfile::TempDir;

use crate::http::{Connection, Request, Response};
use crate::process::{Ended, ServerProcess, program};

/// Where a log asks for a cosignature.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// The data directory of a witness, made by `cairn-witness init`.
pub struct WitnessDir {
    path: PathBuf,
    keys: Vec<VerifierKey>,
    /// Keeps the directory around it; none if the test gave a place of its own.
    _root: Option<TempDir>,
}

impl WitnessDir {
    /// A new witness in a directory that goes away with this value.
    pub fn init(name: &str) -> Self {
        Self::init_somewhere(name, &[])
    }

    /// The same without an ML-DSA-44 key, which makes a request cost a fraction.
    pub fn init_ed25519_only(name: &str) -> Self {
        Self::init_somewhere(name, &["--ed25519-only"])
    }

    /// A new witness in a place that the test looks after.
    ///
    /// # Panics
    /// When `init` fails, or prints no vkeys.
    pub fn init_at(path: &Path, name: &str, flags: &[&str]) -> Self {
        let mut dir = Self { path: path.to_owned(), keys: Vec::new(), _root: None };
        let printed = dir.run("init", &[&["--name", name], flags].concat());
        let parse = |line| VerifierKey::parse(line).expect("init prints vkeys, one a line");
        dir.keys = printed.lines().map(parse).collect();
        assert!(!dir.keys.is_empty(), "init printed no vkey");
        dir
    }

    fn init_somewhere(name: &str, flags: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut dir = Self::init_at(&root.path().join("data"), name, flags);
        dir._root = Some(root);
        dir
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys, as `init` printed them.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// The key that logs and clients of every kind can verify with.
    pub fn ed25519_key(&self) -> &VerifierKey {
        self.key(KeyAlgorithm::CosignatureEd25519)
    }

    /// The key that also signs subtrees.
    pub fn ml_dsa_44_key(&self) -> &VerifierKey {
        self.key(KeyAlgorithm::CosignatureMlDsa44)
    }

    fn key(&self, algorithm: KeyAlgorithm) -> &VerifierKey {
        let found = self.keys.iter().find(|key| key.algorithm() == algorithm);
        found.expect("init makes a key of each kind")
    }

    /// Tells the witness of a log, served or not.
    pub fn add_log(&self, key: &VerifierKey, origin: Option<&Origin>) {
        let key = key.to_string();
        let mut flags = vec![key.as_str()];
        if let Some(origin) = origin {
            flags.extend(["--origin", origin.as_str()]);
        }
        self.run("add-log", &flags);
    }

    /// Tells the witness of many logs at once, by a list in the form `logs/v0`.
    pub fn add_logs<'k>(&self, keys: impl IntoIterator<Item = &'k VerifierKey>) {
        let mut list = String::from("logs/v0\n");
        for key in keys {
            writeln!(list, "vkey {key}\nqpd 86400\ncontact nobody@example.org").expect("a String");
        }
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), list).expect("written");
        self.run("add-log", &["--list", file.path().to_str().expect("a plain path")]);
    }

    /// A command of the witness about this directory.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(program("cairn-witness"));
        command.arg(subcommand).arg("--data-dir").arg(&self.path);
        command
    }

    /// Runs a command that may fail.
    pub fn try_run(&self, subcommand: &str, flags: &[&str]) -> Output {
        self.command(subcommand).args(flags).output().expect("cairn-witness runs")
    }

    /// Runs a command; gives back what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run(&self, subcommand: &str, flags: &[&str]) -> String {
        let output = self.try_run(subcommand, flags);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{subcommand} {flags:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Serves the directory on a free port.
    ///
    /// # Panics
    /// When the witness ends instead.
    #[track_caller]
    pub fn start(&self) -> WitnessProcess {
        self.start_on(([127, 0, 0, 1], 0).into())
    }

    /// Serves the directory where an earlier process did, for a log that knows this address.
    ///
    /// # Panics
    /// When the witness ends instead.
    #[track_caller]
    pub fn start_on(&self, listen: SocketAddr) -> WitnessProcess {
        WitnessProcess::spawn_on(listen, &mut self.command("serve"))
            .unwrap_or_else(|ended| panic!("the witness does not serve: {ended:?}"))
    }

    /// Serves the directory, if the witness is willing.
    ///
    /// # Errors
    /// How the witness ended.
    pub fn try_start(&self) -> Result<WitnessProcess, Ended> {
        WitnessProcess::spawn_on(([127, 0, 0, 1], 0).into(), &mut self.command("serve"))
    }
}

/// A witness that serves and, when this is dropped, is killed.
pub struct WitnessProcess {
    process: ServerProcess,
}

impl WitnessProcess {
    /// Serves by a command line that ends as `serve --data-dir DIR ...`.
    ///
    /// # Errors
    /// What the witness said, if it ended instead of serving.
    pub fn spawn_on(listen: SocketAddr, command: &mut Command) -> Result<Self, Ended> {
        Ok(Self { process: ServerProcess::spawn_on(listen, command)? })
    }

    /// The process: its addresses, plain requests, what it said, and its end.
    pub fn process(&self) -> &ServerProcess {
        &self.process
    }

    /// Where it listens.
    pub fn listen(&self) -> SocketAddr {
        self.process.listen()
    }

    /// The URL that a policy names: both prefixes of the witness.
    pub fn url(&self) -> String {
        self.process.url()
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        self.process.connect()
    }

    /// Asks for a cosignature on a connection of its own.
    pub fn add_checkpoint(&self, request: &AddCheckpointRequest) -> Response {
        self.process.send(&Request::post(ADD_CHECKPOINT, request.to_string()))
    }

    /// Asks for a cosignature on an open connection, which may break.
    ///
    /// # Errors
    /// It broke, or the answer is no HTTP.
    pub fn try_add_checkpoint(
        connection: &mut Connection,
        request: &AddCheckpointRequest,
    ) -> std::io::Result<Response> {
        connection.try_send(&Request::post(ADD_CHECKPOINT, request.to_string()))
    }

    /// What the witness shows as the latest checkpoint of a log: 200 with the note, or 404.
    pub fn latest(&self, origin: &Origin) -> Response {
        self.process.get(&format!("/{}/checkpoint", origin_hash(origin)))
    }

    /// Every file of evidence about a log, oldest first.
    pub fn evidence(&self, origin: &Origin) -> Vec<Vec<u8>> {
        let path = format!("/{}/evidence", origin_hash(origin));
        let ids = self.process.get(&path);
        if ids.status == 404 {
            return Vec::new();
        }
        let ids = ids.expect(200);
        let file = |id| self.process.get(&format!("{path}/{id}")).expect(200).body;
        ids.text().lines().map(file).collect()
    }

    /// The numbers that the witness shows to its operator.
    pub fn metrics(&self) -> String {
        let mut admin = Connection::open(self.process.admin()).expect("the admin address");
        admin.send(&Request::get("/metrics")).expect(200).text().to_owned()
    }

    /// Kills it and waits for its end.
    pub fn kill_9(self) -> Ended {
        self.process.kill_9()
    }

    /// Asks it to stop and waits for its end.
    pub fn terminate(self) -> Ended {
        self.process.terminate()
    }
}

/// A policy: this log, and a quorum of `threshold` among these witnesses by their Ed25519 keys.
/// The witnesses are named `w1`, `w2`, ... in the order given.
pub fn policy(
    log: &VerifierKey,
    witnesses: &[(&WitnessDir, &WitnessProcess)],
    threshold: usize,
) -> String {
    let mut text = format!("log {log}\n");
    let mut names = String::new();
    for (number, (dir, process)) in (1..).zip(witnesses) {
        let (key, url) = (dir.ed25519_key(), process.url());
        writeln!(text, "witness w{number} {key} {url}").expect("a String");
        write!(names, " w{number}").expect("a String");
    }
    writeln!(text, "group all-of-them {threshold}{names}\nquorum all-of-them").expect("a String");
    text
}
