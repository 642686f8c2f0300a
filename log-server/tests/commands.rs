//! The command line of `cairn-server`: what it makes, and above all what it refuses.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use log_core::{Hash, Leaf, LeafIndex, TreeHead, TreeSize, VerifierKey};
use log_server::log::directory::LogDirectory;
use log_server::store::rocks::{RocksShared, RocksStore};
use log_server::store::{Batch, Store};
use tempfile::TempDir;

/// Enough for the stores of a test.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;

fn cairn_server(arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_cairn-server");
    Command::new(binary).args(arguments).output().expect("cairn-server runs")
}

#[track_caller]
fn succeeds(arguments: &[&str]) -> String {
    let output = cairn_server(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says on standard error while it ends with this code and prints nothing.
#[track_caller]
fn fails(code: i32, arguments: &[&str]) -> String {
    let output = cairn_server(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// A directory that `init` made, and its path as an argument.
struct Made {
    root: TempDir,
    key: VerifierKey,
}

impl Made {
    /// One log: a process whose only log is shut ends, and says why.
    fn new() -> Self {
        let made = Self::both();
        let config = made.config();
        let sections: Vec<_> = config.split_inclusive("\n[[log]]\n").collect();
        let [server, _, rekor_v2] = sections.as_slice() else { panic!("two logs: {config}") };
        made.set_config(&format!("{server}{rekor_v2}"));
        made
    }

    /// Both logs that `init` makes; the key is that of Rekor v2.
    fn both() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = text(&root.path().join("data"));
        let printed = succeeds(&["init", "--data-dir", &dir, "--hostname", "log.example"]);
        Self { root, key: VerifierKey::parse(printed.trim_end()).expect("a vkey") }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn dir(&self) -> String {
        text(&self.path())
    }

    fn add_log(&self, name: &str, personality: &str) -> String {
        let dir = self.dir();
        let log = ["--name", name, "--personality", personality];
        succeeds(&[&["add-log", "--data-dir", &dir][..], &log].concat())
    }

    fn config(&self) -> String {
        fs::read_to_string(self.path().join("cairn.toml")).unwrap()
    }

    fn set_config(&self, config: &str) {
        fs::write(self.path().join("cairn.toml"), config).unwrap();
    }

    /// `serve` on free ports, where it is expected to refuse.
    #[track_caller]
    fn serve_refuses(&self) -> String {
        serve_refuses(&self.dir())
    }
}

const FREE_PORTS: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

#[track_caller]
fn serve_refuses(dir: &str) -> String {
    fails(1, &[&["serve", "--data-dir", dir][..], &FREE_PORTS].concat())
}

/// A server that serves, until it is dropped.
struct Serving(Child);

impl Serving {
    fn start(dir: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cairn-server"))
            .args(["serve", "--data-dir", dir])
            .args(FREE_PORTS)
            .stderr(Stdio::piped())
            .spawn()
            .expect("cairn-server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let serves = lines.any(|line| line.expect("text").contains("serving listen="));
        assert!(serves, "it does not serve");
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().expect("the child is there");
        self.0.wait().expect("the child ends");
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// Every file below a directory with its content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let content = fs::read(&path).unwrap();
            all.push((path, content));
        }
    }
    all.sort();
    all
}

#[test]
fn init_makes_logs_whose_keys_only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let made = Made::both();
    assert_eq!(made.key.name().as_str(), "log.example");
    for key in ["rekor-v2/key.pem", "rekor-v1/key.pem", "rekor-v1/witness-key.pem"] {
        let key = made.path().join("logs").join(key);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(key).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    }
    let origin = made.config().lines().any(|line| line.starts_with("origin = \"log.example - "));
    assert!(origin, "{}", made.config());
    let said = succeeds(&["fsck", "--data-dir", &made.dir()]);
    assert_eq!(said.matches(": sound, size 0, ").count(), 2, "{said}");
    // Two directories never share a key.
    assert_ne!(Made::new().key.public_key_bytes(), made.key.public_key_bytes());
}

#[test]
fn init_refuses_a_directory_in_use_and_leaves_it_as_it_is() {
    let made = Made::new();
    let before = files(&made.path());
    let said = fails(1, &["init", "--data-dir", &made.dir(), "--hostname", "other.example"]);
    assert!(said.contains("is in use"), "{said}");
    assert_eq!(files(&made.path()), before);

    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("letter.txt"), "mine").unwrap();
    let said = fails(1, &["init", "--data-dir", &text(root.path()), "--hostname", "log.example"]);
    assert!(said.contains("is in use"), "{said}");
    assert_eq!(files(root.path()).len(), 1);
}

#[test]
fn init_refuses_names_that_cannot_be_hosts() {
    let root = tempfile::tempdir().unwrap();
    let dir = text(&root.path().join("data"));
    for host in ["", "log.example:3000", "https://log.example", "a b", "log/1", "log\nexample", "ü"]
    {
        let said = fails(1, &["init", "--data-dir", &dir, "--hostname", host]);
        assert!(said.contains("cannot be a host name"), "{host:?}: {said}");
    }
    assert!(!Path::new(&dir).exists());
}

#[test]
fn add_log_gives_each_log_its_own_origin_and_key() {
    let made = Made::new();
    let raw = VerifierKey::parse(made.add_log("raw", "raw").trim_end()).unwrap();
    let second = VerifierKey::parse(made.add_log("b.2", "rekor-v2").trim_end()).unwrap();
    let third = VerifierKey::parse(made.add_log("c", "rekor-v1").trim_end()).unwrap();
    assert_eq!(third.name().as_str(), "log.example", "the key that witnesses are given");
    assert_eq!(raw.name().as_str(), "log.example/logs/raw");
    assert_eq!(second.name().as_str(), "log.example/logs/b.2");
    let said = succeeds(&["fsck", "--data-dir", &made.dir()]);
    assert_eq!(said.matches(": sound, size 0, ").count(), 4, "{said}");
}

#[test]
fn add_log_refuses_what_is_taken_unknown_or_no_name() {
    let made = Made::new();
    made.add_log("raw", "raw");
    let dir = made.dir();
    let before = files(&made.path());
    let add =
        |code, flags: &[&str]| fails(code, &[&["add-log", "--data-dir", &dir][..], flags].concat());
    let said = add(1, &["--name", "raw", "--personality", "raw"]);
    assert!(said.contains("two logs have the name \"raw\""), "{said}");
    let said = add(1, &["--name", "x", "--personality", "raw", "--origin", "log.example"]);
    assert!(said.contains("two logs have the origin \"log.example\""), "{said}");
    let said = add(1, &["--name", "x", "--personality", "raw", "--origin", "two\nlines"]);
    assert!(said.contains("log x"), "{said}");
    for name in ["", ".", "..", ".x", "a/b", "../x", "a b", "ü", &"x".repeat(65)] {
        let said = add(1, &["--name", name, "--personality", "raw"]);
        assert!(said.contains("a log's name has"), "{name:?}: {said}");
    }
    // Wrong usage is told apart, with what would be right.
    for personality in ["rekor-v9", "RAW", ""] {
        let said = add(2, &["--name", "x", "--personality", personality]);
        assert!(said.contains("rekor-v2") && said.contains("raw"), "{said}");
    }
    assert_eq!(files(&made.path()), before);
}

#[test]
fn serve_refuses_a_directory_that_init_did_not_make() {
    let root = tempfile::tempdir().unwrap();
    let nothing = root.path().join("nothing");
    for dir in [root.path(), &nothing] {
        let said = serve_refuses(&text(dir));
        assert!(said.contains("cairn.toml"), "{said}");
    }
    // A log never starts empty by accident.
    assert!(!nothing.exists());
    assert_eq!(files(root.path()).len(), 0);

    fs::write(root.path().join("cairn.toml"), "").unwrap();
    let said = serve_refuses(&text(root.path()));
    assert!(said.contains("names no log"), "{said}");
}

#[test]
fn serve_never_makes_a_store_that_is_not_there() {
    let made = Made::new();
    fs::remove_dir_all(made.path().join("logs/rekor-v2/db")).unwrap();
    let said = made.serve_refuses();
    assert!(said.contains("no log could be opened"), "{said}");
    assert!(!made.path().join("logs/rekor-v2/db").exists());
    for file in ["key.pem", "state-id", "anchor"] {
        let made = Made::new();
        fs::remove_file(made.path().join("logs/rekor-v2").join(file)).unwrap();
        let said = made.serve_refuses();
        assert!(said.contains("no log could be opened"), "{file}: {said}");
        assert!(!made.path().join("logs/rekor-v2").join(file).exists(), "{file}");
    }
}

#[test]
fn only_one_process_works_on_a_directory() {
    let made = Made::new();
    let dir = made.dir();
    let serving = Serving::start(&dir);
    let said = made.serve_refuses();
    assert!(said.contains("is in use by another cairn-server"), "{said}");
    let add = ["add-log", "--data-dir", &dir, "--name", "x", "--personality", "raw"];
    let said = fails(1, &add);
    assert!(said.contains("is in use by another cairn-server"), "{said}");
    let said = fails(3, &["fsck", "--data-dir", &dir]);
    assert!(said.contains("is in use by another cairn-server"), "{said}");
    let head = format!("0:{}", Hash::EMPTY_ROOT);
    let said = fails(1, &["accept-tail", "rekor-v2", "--data-dir", &dir, "--head", &head]);
    assert!(said.contains("is in use by another cairn-server"), "{said}");
    // The end of the process, however it came, frees the directory.
    drop(serving);
    succeeds(&["fsck", "--data-dir", &dir]);
}

#[test]
fn a_key_of_another_log_keeps_the_log_shut() {
    let made = Made::new();
    made.add_log("raw", "raw");
    let (first, second) = (made.path().join("logs/rekor-v2"), made.path().join("logs/raw"));
    fs::copy(first.join("key.pem"), made.path().join("kept")).unwrap();
    fs::copy(second.join("key.pem"), first.join("key.pem")).unwrap();
    fs::copy(made.path().join("kept"), second.join("key.pem")).unwrap();
    let said = made.serve_refuses();
    assert_eq!(said.matches("the store belongs to another log").count(), 4, "{said}");
    let output = cairn_server(&["fsck", "--data-dir", &made.dir()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    for garbage in ["", "-----BEGIN PRIVATE KEY-----\n", "not a key"] {
        fs::write(first.join("key.pem"), garbage).unwrap();
        fs::write(second.join("key.pem"), garbage).unwrap();
        let said = made.serve_refuses();
        assert!(said.contains("not a PKCS#8 PEM of an Ed25519 private key"), "{said}");
    }
}

#[test]
fn a_store_of_another_log_keeps_the_log_shut() {
    let (made, other) = (Made::new(), Made::new());
    let swap = |what: &str| {
        let (ours, theirs) = (
            made.path().join("logs/rekor-v2").join(what),
            other.path().join("logs/rekor-v2").join(what),
        );
        let kept = made.root.path().join("kept");
        fs::rename(&ours, &kept).unwrap();
        fs::rename(&theirs, &ours).unwrap();
        fs::rename(&kept, &theirs).unwrap();
    };
    swap("db");
    let said = made.serve_refuses();
    assert!(said.contains("the store belongs to another log"), "{said}");
    // Even with its key: then the state id tells them apart.
    swap("key.pem");
    let said = made.serve_refuses();
    assert!(said.contains("this is another log's store"), "{said}");
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused() {
    let made = Made::new();
    let config = made.config();
    for (wrong, named) in [
        (config.replace("[server]", "[server]\nlisten_on = 1"), "listen_on"),
        (format!("{config}\nfrozen = true\n"), "frozen"),
        (format!("{config}\n[witness]\n"), "witness"),
        (config.replace("[server]", "[server]\nrequests_max = \"many\""), "requests_max"),
        (config.replace("[server]", "[server]\nrequests_max = 0"), "requests_max"),
        (config.replace("[server]", "[server]\nlisten = \"nowhere\""), "listen"),
        (config.replace("personality = \"rekor-v2\"", "personality = \"x\""), "personality"),
        (format!("{config}\nduplicates = \"ignore\"\n"), "duplicates"),
        ("not toml".into(), "cairn.toml"),
    ] {
        made.set_config(&wrong);
        let said = made.serve_refuses();
        assert!(said.contains("cairn.toml") && said.contains(named), "{named}: {said}");
    }
    made.set_config(&config);
    drop(Serving::start(&made.dir()));
}

#[test]
fn flags_of_one_start_name_a_log_and_a_witness_that_there_are() {
    let made = Made::new();
    let dir = made.dir();
    let refuses = |flags: [&str; 2]| {
        fails(2, &[&["serve", "--data-dir", &dir][..], &FREE_PORTS, &flags].concat())
    };
    assert!(refuses(["--unchecked-start", "nothing"]).contains("\"nothing\""));
    assert!(refuses(["--exclude-witness", "nothing/w1"]).contains("\"nothing\""));
    assert!(refuses(["--exclude-witness", "rekor-v2"]).contains("LOG/NAME"));
    assert!(refuses(["--exclude-witness", "rekor-v2/w1"]).contains("\"w1\""));
}

#[test]
fn a_witness_policy_that_cannot_be_used_is_named() {
    let made = Made::new();
    let config = made.config();
    let policy = made.path().join("policy.txt");
    made.set_config(&format!("{config}witness_policy = \"policy.txt\"\n"));
    assert!(made.serve_refuses().contains("policy.txt"), "it is missing");
    for (text, word) in [
        ("", "quorum"),
        ("quorum w1\n", "line 1"),
        ("witness w1 w1+00000000+BAAA http://127.0.0.1:1\nquorum w1\n", "line 1"),
    ] {
        fs::write(&policy, text).unwrap();
        let said = made.serve_refuses();
        assert!(said.contains("policy.txt") && said.contains(word), "{said}");
    }
    made.set_config(&format!("{config}on_missing_quorum = \"publish\"\n"));
    assert!(made.serve_refuses().contains("witness_policy"));
    made.set_config(&format!("{config}on_missing_quorum = \"perhaps\"\n"));
    assert!(made.serve_refuses().contains("on_missing_quorum"));
}

#[test]
fn an_address_in_use_is_named() {
    let made = Made::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flags in [
        ["--listen", &address, "--admin", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--admin", &address],
    ] {
        let said = fails(1, &[&["serve", "--data-dir", &made.dir()][..], &flags].concat());
        assert!(said.contains(&address), "{said}");
    }
}

#[test]
fn fsck_tells_a_sound_log_a_difference_and_not_knowing_apart() {
    let made = Made::new();
    let dir = made.dir();
    let said = succeeds(&["fsck", "--data-dir", &dir]);
    let empty = format!("rekor-v2: sound, size 0, root {}, ", Hash::EMPTY_ROOT);
    assert!(said.starts_with(&empty), "{said}");

    // What the store itself cannot notice: a head with another root than its leaf.
    commit_leaf(&made.path(), Hash::EMPTY_ROOT);
    let said = fails(1, &["fsck", "--data-dir", &dir]);
    assert!(said.contains("rekor-v2: the leaves hash to "), "{said}");
    fails(1, &["fsck", "--data-dir", &dir, "--log", "rekor-v2"]);

    let said = fails(3, &["fsck", "--data-dir", &dir, "--log", "none"]);
    assert!(said.contains("there is no such log"), "{said}");
    fails(3, &["fsck", "--data-dir", &text(&made.root.path().join("nothing"))]);

    let sound = Made::new();
    let leaf_hash = log_core::hash_leaf(b"leaf");
    commit_leaf(&sound.path(), leaf_hash);
    let said = succeeds(&["fsck", "--data-dir", &sound.dir()]);
    assert!(said.starts_with(&format!("rekor-v2: sound, size 1, root {leaf_hash}, ")), "{said}");
}

/// Commits one leaf below a head with this root.
fn commit_leaf(data_dir: &Path, root_hash: Hash) {
    let shared = RocksShared::new(MEMORY_BYTES).unwrap();
    let store = RocksStore::open(&LogDirectory::new(data_dir, "rekor-v2").store(), &shared);
    let store = store.unwrap();
    let genesis = store.head().unwrap().expect("a genesis head");
    let leaf = Leaf::new(b"leaf".to_vec()).unwrap();
    let (leaf_hash, first_index) = (leaf.hash(), LeafIndex::new(0));
    let batch = Batch {
        head: genesis.next(TreeHead { size: TreeSize::new(1), root_hash }, 1),
        previous: Some(genesis),
        first_index,
        leaves: vec![leaf.into()],
        leaf_hashes: vec![leaf_hash],
        full_tiles: Vec::new(),
        identities: vec![(leaf_hash, first_index)],
    };
    store.commit(&batch).expect("the store takes it");
}

#[test]
fn accept_tail_wants_a_head_and_a_log_that_exists() {
    let made = Made::new();
    let dir = made.dir();
    for head in ["", "1", "x:y", "01:00", "1:00", "-1:00"] {
        let head = format!("--head={head}");
        let said = fails(1, &["accept-tail", "rekor-v2", "--data-dir", &dir, &head]);
        assert!(said.contains("SIZE:ROOT"), "{head}: {said}");
    }
    let head = format!("0:{}", Hash::EMPTY_ROOT);
    let said = fails(1, &["accept-tail", "none", "--data-dir", &dir, "--head", &head]);
    assert!(said.contains("there is no log \"none\""), "{said}");
}

#[test]
fn wrong_usage_ends_with_2_and_says_how_it_is_used() {
    for arguments in [&[][..], &["serve"], &["init"], &["no-such-command"], &["serve", "--no"]] {
        let said = fails(2, arguments);
        assert!(said.contains("Usage"), "{arguments:?}: {said}");
    }
}
