//! Audit: a real fork, made with a copied data directory, found by `cairn audit` and convicted.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use log_core::VerifierKey;
use log_tests::data_dir::copy_dir;
use log_tests::witness_process::{WitnessDir, WitnessProcess, policy};
use log_tests::{DataDir, ServerProcess, SubmissionMaker, process};

/// More than a start with three witnesses takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Three witnesses that know a log.
struct Witnesses(Vec<(WitnessDir, WitnessProcess)>);

impl Witnesses {
    fn of(key: &VerifierKey) -> Self {
        Self(
            (1..=3)
                .map(|number| {
                    let dir = WitnessDir::init_ed25519_only(&format!("w{number}.example"));
                    dir.add_log(key, None);
                    let process = dir.start();
                    (dir, process)
                })
                .collect(),
        )
    }

    fn policy(&self, key: &VerifierKey) -> String {
        let witnesses: Vec<_> = self.0.iter().map(|(dir, process)| (dir, process)).collect();
        policy(key, &witnesses, 2)
    }
}

fn cairn(args: &[&str]) -> Output {
    Command::new(process::program("cairn")).args(args).output().expect("cairn runs")
}

fn audit(url: &str, policy: &Path, evidence: &Path) -> Output {
    let text = |path: &Path| path.display().to_string();
    cairn(&["audit", "--url", url, "--policy", &text(policy), "--evidence-dir", &text(evidence)])
}

/// Waits until the log has been through the question to its witnesses and takes entries.
fn is_ready(server: &ServerProcess) {
    let began = Instant::now();
    while server.get("/readyz").status != 200 {
        assert!(began.elapsed() < PATIENCE, "the log does not open: {}", server.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn evidence_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let files =
        fs::read_dir(directory).expect("the directory").map(|file| file.expect("it").path());
    files.filter(|path| path.extension().is_some_and(|suffix| suffix == "tlog-evidence")).collect()
}

#[test]
fn a_second_history_is_found_by_an_audit_and_convicts_the_key() {
    let dir = DataDir::init("localhost");
    let key = dir.default_key();
    let witnesses = Witnesses::of(key);
    let rules = witnesses.policy(key);
    dir.set_policy("rekor-v2", &rules);
    let policy_file = dir.beside("policy.txt");
    fs::write(&policy_file, &rules).expect("the policy can be written");
    let found = dir.beside("evidence");
    fs::create_dir(&found).expect("a new directory");

    let mut maker = SubmissionMaker::new();
    let server = dir.start();
    is_ready(&server);
    for _ in 0..3 {
        server.submit(&maker.make().json()).expect(201);
    }
    assert!(server.terminate().status.success());
    let copy = dir.beside("copy");
    copy_dir(&dir.path(), &copy);

    // The original goes on; an audit has nothing to say against it.
    let server = dir.start();
    is_ready(&server);
    for _ in 0..2 {
        server.submit(&maker.make().json()).expect(201);
    }
    let honest = audit(&server.url(), &policy_file, &found);
    assert_eq!(honest.status.code(), Some(0), "{}", String::from_utf8_lossy(&honest.stderr));
    assert_eq!(evidence_files(&found), Vec::<std::path::PathBuf>::new());

    // The copy signs a second history that its witnesses never see.
    let config = copy.join("cairn.toml");
    let text = fs::read_to_string(&config).expect("cairn.toml is there");
    let alone = text.lines().filter(|line| !line.starts_with("witness_policy"));
    fs::write(&config, alone.collect::<Vec<_>>().join("\n")).expect("it can be written");
    let forked = ServerProcess::start(&copy, &["--unchecked-start", "rekor-v2"])
        .unwrap_or_else(|ended| panic!("the copy does not serve: {ended:?}"));
    is_ready(&forked);
    for _ in 0..4 {
        forked.submit(&maker.make().json()).expect(201);
    }

    let caught = audit(&forked.url(), &policy_file, &found);
    let said = String::from_utf8_lossy(&caught.stderr).into_owned();
    assert_eq!(caught.status.code(), Some(1), "{said}");
    let files = evidence_files(&found);
    assert!(!files.is_empty(), "{said}");
    let vkey = key.to_string();
    let stranger = DataDir::init("localhost").default_key().to_string();
    for file in files {
        let file = file.display().to_string();
        let verdict = cairn(&["evidence", "verify", &file, "--log-vkey", &vkey]);
        assert_eq!(verdict.status.code(), Some(0), "{file}");
        let verdict = cairn(&["evidence", "verify", &file, "--log-vkey", &stranger]);
        assert_eq!(verdict.status.code(), Some(1), "another key is not convicted by {file}");
    }
}
