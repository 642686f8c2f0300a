//! A data directory: made by the real commands, changed as an operator would, and served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use log_core::{TreeId, VerifierKey};
use log_server::init::{self, DefaultLogs};
use log_server::log::directory::Birth;
use log_server::log::signer::NewKeys;
use tempfile::TempDir;

use crate::process::{Ended, ServerProcess, binary};

/// How the section of a log begins in `cairn.toml`.
const LOG_SECTION: &str = "\n[[log]]\n";

/// A data directory that goes away with this value.
pub struct DataDir {
    root: TempDir,
    keys: Vec<(String, VerifierKey)>,
}

impl DataDir {
    /// An empty place for one: the directory itself is not there yet.
    pub fn nothing() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary directory"), keys: Vec::new() }
    }

    /// A directory with the two default logs, made by `cairn-server init`.
    pub fn init(host: &str) -> Self {
        let mut dir = Self::nothing();
        let made = dir.run("init", &["--hostname", host]);
        dir.remember(init::REKOR_V2_LOG, &made);
        dir
    }

    /// The same with a key that is known beforehand.
    pub fn born(host: &str, key_seed: [u8; 32]) -> Self {
        let mut dir = Self::nothing();
        let mut logs = DefaultLogs::random().expect("randomness");
        logs.rekor_v2 = Birth { keys: NewKeys::Ed25519(key_seed), state_id: [7; 16] };
        dir.init_with(host, logs);
        dir
    }

    /// The same with a Rekor v1 log of this tree id and ECDSA key.
    pub fn born_v1(host: &str, tree_id: TreeId, ecdsa_pkcs8: Vec<u8>) -> Self {
        let mut dir = Self::nothing();
        let mut logs = DefaultLogs::random().expect("randomness");
        let keys = NewKeys::RekorV1 { ecdsa_p256: ecdsa_pkcs8.into(), ed25519: [8; 32] };
        logs.rekor_v1 = Birth { keys, state_id: [9; 16] };
        logs.tree_id = tree_id;
        dir.init_with(host, logs);
        dir
    }

    fn init_with(&mut self, host: &str, logs: DefaultLogs) {
        let created = "2026-01-01T00:00:00Z".parse().expect("a time");
        let made = init::init(&self.path(), host, logs, created).expect("init");
        self.keys.push((init::REKOR_V2_LOG.into(), made.rekor_v2.log));
        self.keys.push((init::REKOR_V1_LOG.into(), made.rekor_v1.log));
    }

    /// Adds a log with `cairn-server add-log`; without an origin the server makes one.
    pub fn add_log(&mut self, name: &str, personality: &str, origin: Option<&str>) {
        let mut flags = vec!["--name", name, "--personality", personality];
        if let Some(origin) = origin {
            flags.extend(["--origin", origin]);
        }
        let made = self.run("add-log", &flags);
        self.remember(name, &made);
    }

    /// The data directory.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The directory of one log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.path().join("logs").join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path().join("cairn.toml")
    }

    /// The key of a log, as it was printed when the log was made: of the Rekor v1 log only if it
    /// was born with a known one.
    pub fn key(&self, log: &str) -> &VerifierKey {
        let found = self.keys.iter().find(|(name, _)| name == log);
        &found.unwrap_or_else(|| panic!("no log {log} was made here")).1
    }

    /// The key of the default Rekor v2 log.
    pub fn default_key(&self) -> &VerifierKey {
        self.key(init::REKOR_V2_LOG)
    }

    /// Sets a setting of the process. The line must be there, set or commented out: every setting
    /// stands in the file that `init` writes.
    pub fn set_server(&self, key: &str, value: impl ToString) {
        self.set("[server]", key, &value.to_string());
    }

    /// Sets a setting of one log.
    pub fn set_log(&self, log: &str, key: &str, value: impl ToString) {
        self.set(&format!("name = \"{log}\""), key, &value.to_string());
    }

    /// Gives a log this witness policy, in a file of its own.
    pub fn set_policy(&self, log: &str, policy: &str) {
        let file = format!("{log}.policy");
        fs::write(self.path().join(&file), policy).expect("the policy can be written");
        self.set_log(log, "witness_policy", format!("{file:?}"));
    }

    fn set(&self, after: &str, key: &str, value: &str) {
        let text = fs::read_to_string(self.config()).expect("cairn.toml is there");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let (set, unset) = (format!("{key} = "), format!("# {key} = "));
        let line = lines
            .iter_mut()
            .skip_while(|line| *line != after)
            .find(|line| line.starts_with(&set) || line.starts_with(&unset))
            .unwrap_or_else(|| panic!("cairn.toml has no {key} after {after}"));
        *line = format!("{key} = {value}");
        fs::write(self.config(), lines.join("\n") + "\n").expect("cairn.toml can be written");
    }

    /// Takes a log out of the configuration; its files stay.
    pub fn forget_log(&self, log: &str) {
        let text = fs::read_to_string(self.config()).expect("cairn.toml is there");
        let named = format!("\nname = {log:?}\n");
        let (gone, kept): (Vec<_>, Vec<_>) =
            text.split(LOG_SECTION).partition(|section| section.contains(&named));
        assert_eq!(gone.len(), 1, "cairn.toml has one log {log}");
        fs::write(self.config(), kept.join(LOG_SECTION)).expect("cairn.toml can be written");
    }

    /// Serves the directory.
    ///
    /// # Panics
    /// When the server ends instead.
    pub fn start(&self) -> ServerProcess {
        self.try_start().unwrap_or_else(|ended| panic!("the server does not serve: {ended:?}"))
    }

    /// Serves the directory, if the server is willing.
    ///
    /// # Errors
    /// How the server ended.
    pub fn try_start(&self) -> Result<ServerProcess, Ended> {
        ServerProcess::start(&self.path(), &[])
    }

    /// A command of the server about this directory.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(binary());
        command.arg(subcommand).arg("--data-dir").arg(self.path());
        command
    }

    /// Runs `cairn-server fsck`: its output, whatever it finds.
    pub fn fsck(&self) -> Output {
        self.command("fsck").output().expect("cairn-server runs")
    }

    /// # Panics
    /// When `fsck` finds anything.
    pub fn assert_sound(&self) {
        let found = self.fsck();
        assert!(found.status.success(), "fsck: {}", String::from_utf8_lossy(&found.stderr));
    }

    fn run(&self, subcommand: &str, flags: &[&str]) -> String {
        let output = self.command(subcommand).args(flags).output().expect("cairn-server runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{subcommand} {flags:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn remember(&mut self, log: &str, printed: &str) {
        let key = VerifierKey::parse(printed.trim_end()).expect("init prints a vkey");
        self.keys.push((log.into(), key));
    }

    /// Another name for the temporary directory around it, for files of the test's own.
    pub fn beside(&self, name: &str) -> PathBuf {
        let beside = self.root.path().join(name);
        assert_ne!(beside, self.path(), "that is the data directory");
        beside
    }
}

/// Copies a directory with everything in it, as a backup by hand would.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the copy's directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}
