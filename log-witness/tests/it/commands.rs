//! The program itself: its commands without a running witness, their output and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use crate::test_log::TestLog;

fn run(data_dir: &Path, args: &[&str]) -> (i32, String, String) {
    let (command, rest) = args.split_first().unwrap();
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cairn-witness"))
        .arg(command)
        .arg("--data-dir")
        .arg(data_dir)
        .args(rest)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn a_witness_is_made_and_told_what_to_cosign() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("w");
    let (code, vkeys, _) = run(&data_dir, &["init", "--name", "w.example/a"]);
    assert_eq!((code, vkeys.lines().count()), (0, 2));
    assert!(vkeys.lines().all(|vkey| vkey.starts_with("w.example/a+")));
    assert_eq!(run(&data_dir, &["vkeys"]).1, vkeys);
    let (code, _, error) = run(&data_dir, &["init", "--name", "w.example/a"]);
    assert_eq!(code, 1);
    assert!(error.contains("in use"), "{error}");

    let (first, second) = (TestLog::new("log.example/a", 1), TestLog::new("log.example/b", 1));
    let (code, said, _) = run(&data_dir, &["add-log", &first.vkey()]);
    assert_eq!((code, said.as_str()), (0, "1 added, 0 known\n"));
    let (code, said, _) = run(&data_dir, &["add-log", &first.vkey()]);
    assert_eq!((code, said.as_str()), (0, "0 added, 1 known\n"));
    let other = ["add-log", &second.vkey(), "--origin", "log.example/a"];
    let (code, _, error) = run(&data_dir, &other);
    assert_eq!(code, 1);
    assert!(error.contains("ALARM"), "{error}");

    let list = dir.path().join("logs");
    let (a, b) = (first.vkey(), second.vkey());
    let text = format!("logs/v0\nvkey {a}\nqpd 1\ncontact x\nvkey {b}\nqpd 1\ncontact x\n");
    std::fs::write(&list, text).unwrap();
    let (code, said, _) = run(&data_dir, &["add-log", "--list", list.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (0, "1 added, 1 known\n"));

    let (code, said, _) = run(&data_dir, &["list"]);
    assert_eq!((code, said.lines().count()), (0, 3));
    let (_, json, _) = run(&data_dir, &["list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[1]["origin"], "log.example/b");
    assert_eq!(json[1]["state"], "never-cosigned");
    assert_eq!(run(&data_dir, &["evidence"]), (0, String::new(), String::new()));
    assert_eq!(run(&data_dir, &["evidence", "--origin", "nobody"]).0, 1);
}

#[test]
fn wrong_usage_is_2_and_everything_else_that_fails_is_1() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("w");
    assert_eq!(run(&data_dir, &["cosign"]).0, 2);
    assert_eq!(run(&data_dir, &["init"]).0, 2);
    for command in ["list", "vkeys", "serve"] {
        let (code, _, error) = run(&data_dir, &[command]);
        assert_eq!(code, 1, "{command}");
        assert!(error.contains("witness.toml"), "{error}");
    }
    assert_eq!(run(&data_dir, &["add-log"]).0, 1);
}

#[test]
fn a_lost_database_is_made_again_only_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("w");
    let log = TestLog::new("log.example/a", 1);
    assert_eq!(run(&data_dir, &["init", "--name", "w.example/a", "--ed25519-only"]).0, 0);
    let database = data_dir.join("witness.redb");
    assert_eq!(run(&data_dir, &["add-log", &log.vkey(), "--after-loss"]).0, 1, "it is there");
    std::fs::remove_file(&database).unwrap();
    let (code, _, error) = run(&data_dir, &["add-log", &log.vkey()]);
    assert_eq!(code, 1);
    assert!(error.contains("missing") && !database.exists(), "{error}");
    let (code, _, error) = run(&data_dir, &["add-log", &log.vkey(), "--after-loss"]);
    assert_eq!(code, 0);
    assert!(error.contains("accept-lost-state"), "{error}");
    assert!(run(&data_dir, &["list"]).1.contains(" lost "));
    let head = dir.path().join("head");
    std::fs::write(&head, log.note(1)).unwrap();
    let args = ["accept-lost-state", "log.example/a", "--head", head.to_str().unwrap()];
    let (code, _, error) = run(&data_dir, &args);
    assert_eq!(code, 1);
    assert!(error.contains("cosignature"), "{error}");
}

#[test]
fn an_entry_that_cannot_be_a_log_is_said_and_nothing_of_it_reaches_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("w");
    assert_eq!(run(&data_dir, &["init", "--name", "w.example/a", "--ed25519-only"]).0, 0);
    let (list, vkey) = (dir.path().join("logs"), TestLog::new("log.example/a", 1).vkey());
    let long = "x".repeat(256);
    let text = format!(
        "logs/v0\nvkey {vkey}\norigin {long}\nqpd 1\ncontact x\n\
         vkey {vkey}\norigin a\u{9b}31m\u{202e}b\nqpd 1\ncontact x\n"
    );
    std::fs::write(&list, text).unwrap();
    let (code, said, error) = run(&data_dir, &["add-log", "--list", list.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (0, "1 added, 0 known\n"));
    assert!(error.contains("left out: line 2"), "{error}");
    let (_, said, _) = run(&data_dir, &["list"]);
    assert!(said.contains("a\\u{9b}31m\\u{202e}b"), "{said}");
    assert!(!said.contains(['\u{9b}', '\u{202e}']));
}

#[test]
fn keys_that_others_can_read_are_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("w");
    assert_eq!(run(&data_dir, &["init", "--name", "w.example/a"]).0, 0);
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(data_dir.join("keys"), readable).unwrap();
    let (code, _, error) = run(&data_dir, &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 1);
    assert!(error.contains("chmod 600"), "{error}");
}
