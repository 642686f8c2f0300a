//! `cairn audit` where something is missing, broken or hostile: it says that it could not tell.

use std::fs;

use log_core::{KeyName, NoteSigner, SignedNote};

use crate::audit::{ORIGIN, Scene, head_path};
use crate::fixture::{TestLog, cosigned, now_s, policy, witness};

/// A checkpoint with another origin, signed by the log's key under the log's name.
fn of_another_log() -> String {
    let signer = NoteSigner::ed25519(KeyName::parse(ORIGIN).unwrap(), [7; 32]);
    let text = TestLog::with_leaves("elsewhere", 300).checkpoint(300);
    let text = SignedNote::parse(text.as_bytes()).unwrap().text().to_owned();
    let line = signer.sign(&text);
    SignedNote::new(text, vec![line]).unwrap().to_string()
}

#[test]
fn witnesses_that_show_junk_are_not_believed() {
    let log = TestLog::with_leaves(ORIGIN, 300);
    let scene = Scene::new(&log);
    let stranger = NoteSigner::ed25519(KeyName::parse(ORIGIN).unwrap(), [9; 32]);
    let text = SignedNote::parse(log.checkpoint(300).as_bytes()).unwrap().text().to_owned();
    let line = stranger.sign(&text);
    let forged = SignedNote::new(text.clone(), vec![line]).unwrap().to_string();
    let good = cosigned(&log.checkpoint(300), &[(2, now_s())]);
    let mut broken = good.clone();
    let at = broken.len() - 40;
    let digit = if broken.as_bytes()[at] == b'A' { "B" } else { "A" };
    broken.replace_range(at..=at, digit);
    for junk in [
        Vec::new(),
        b"\xff\xfe".to_vec(),
        b"junk".repeat(1_000_000),
        // Nobody signed it, or a stranger did, under the log's name.
        text.into_bytes(),
        cosigned(&forged, &[(2, now_s())]).into_bytes(),
        // Of another log, whose key is the same.
        cosigned(&TestLog::with_leaves("elsewhere", 300).checkpoint(300), &[(2, now_s())])
            .into_bytes(),
        // Of another log, under this log's key and name.
        cosigned(&of_another_log(), &[(2, now_s())]).into_bytes(),
        // The log's own, without the line of this witness, or with one that does not verify.
        log.checkpoint(300).into_bytes(),
        cosigned(&log.checkpoint(300), &[(1, now_s())]).into_bytes(),
        broken.into_bytes(),
        good.as_bytes()[..good.len() - 9].to_vec(),
    ] {
        scene.witnesses[1].put(&head_path(ORIGIN), junk.clone());
        let shown = String::from_utf8_lossy(&junk[..junk.len().min(300)]).into_owned();
        let (stderr, report) = scene.audit(3, " --state state");
        assert!(
            stderr.contains("could not tell: the witness http://localhost:"),
            "{shown}{stderr}"
        );
        assert_eq!(report["convictions"].as_array().unwrap().len(), 0);
    }
    assert_eq!(scene.evidence_files(), 0);
    // The head that the others agree on is remembered all the same.
    assert!(scene.place.exists("state"));
    scene.witnesses[1].files.lock().unwrap().clear();
    let (stderr, _) = scene.audit(3, "");
    assert!(stderr.contains("it has cosigned nothing of this log"), "{stderr}");
}

#[test]
fn whoever_does_not_answer_leaves_the_question_open() {
    let log = TestLog::with_leaves(ORIGIN, 300);
    let scene = Scene::new(&log);
    let nobody = "http://localhost:1";
    scene.audit(3, &format!(" --witness {nobody} {}", scene.witnesses[0].url));
    scene.audit(0, &format!(" --witness {} {}", scene.witnesses[0].url, scene.witnesses[1].url));
    let elsewhere = scene.command().replace(&scene.log.url, nobody);
    let output = scene.place.cairn(&elsewhere);
    assert_eq!(output.status.code(), Some(3));
    // A stale log is stale also when a witness is down.
    scene.show(&log, now_s() - 10_000);
    scene.audit(1, &format!(" --witness {nobody}"));
}

#[test]
fn tiles_that_do_not_hash_convict_nobody() {
    let honest = TestLog::with_leaves(ORIGIN, 300);
    let fork = TestLog::forked(ORIGIN, 150, 300);
    for log in [&honest, &fork] {
        let scene = Scene::new(log);
        for number in [1, 2] {
            let note = cosigned(&honest.checkpoint(200), &[(number, now_s() - 9)]);
            scene.witness(number.into(), &note);
        }
        let paths: Vec<String> = scene.log.files.lock().unwrap().keys().cloned().collect();
        for path in paths.iter().filter(|path| !path.contains("entries") && *path != "checkpoint") {
            scene.log.flip(path);
            let (stderr, report) = scene.audit(3, " --state state");
            assert!(stderr.starts_with("cairn: could not tell: "), "{path}: {stderr}");
            // The smaller head may have been read; the larger one was not proved to fit.
            assert_ne!(report["newest"]["treeSize"], 300);
            scene.log.flip(path);
            let bytes = scene.log.files.lock().unwrap().remove(path).unwrap();
            scene.audit(3, " --state state");
            scene.log.put(path, bytes);
        }
        assert_eq!(scene.evidence_files(), 0);
    }
}

#[test]
fn a_log_that_shows_no_checkpoint_of_its_own_is_not_cleared() {
    let log = TestLog::with_leaves(ORIGIN, 300);
    let scene = Scene::new(&log);
    for note in [
        "junk".to_owned(),
        TestLog::new("elsewhere").checkpoint(0),
        log.checkpoint(300).replace("\n300\n", "\n301\n"),
        log.checkpoint(300).replace("\n300\n", "\n0300\n"),
    ] {
        scene.log.put("checkpoint", note.into_bytes());
        let (stderr, _) = scene.audit(3, "");
        assert!(stderr.contains("could not tell: the log: "), "{stderr}");
    }
    // Sizes that no log can have make no endless loop and no panic.
    for size in [u64::MAX, 1 << 63, (1 << 56) + 1] {
        let mut head = log.head(300);
        head.size = log_core::TreeSize::new(size);
        scene.log.put("checkpoint", cosigned(&log.sign(head), &[(1, now_s())]).into_bytes());
        // Without a quorum it is stale as well; the tiles do not exist.
        let (_, report) = scene.audit(1, "");
        assert_eq!(report["consistent"], false);
    }
}

#[test]
fn a_state_that_cannot_be_read_is_not_begun_anew() {
    let scene = Scene::new(&TestLog::with_leaves(ORIGIN, 3));
    for text in ["", "junk", "cairn/audit-state@v2\n"] {
        scene.place.write("state", text);
        scene.place.expect(3, &format!("{} --state state", scene.command()));
        assert_eq!(fs::read_to_string(scene.place.path().join("state")).unwrap(), text);
    }
    // Of this log, but not signed by a key of it: somebody wrote into the file.
    scene.place.write("state", "cairn/audit-state@v1\n");
    scene.audit(0, " --state state");
    let note = fs::read_to_string(scene.place.path().join("state")).unwrap();
    let other = TestLog::with_leaves(ORIGIN, 3);
    let vkey = NoteSigner::ed25519(KeyName::parse(ORIGIN).unwrap(), [9; 32]).verifier_key();
    let urls = scene.witnesses.each_ref().map(|server| server.url.as_str());
    let stranger = policy(&[], &urls, 2);
    scene.place.write("policy", format!("log {vkey}\n{stranger}"));
    scene.place.expect(3, &format!("{} --state state", scene.command()));
    assert_eq!(fs::read_to_string(scene.place.path().join("state")).unwrap(), note);
    scene.place.write("policy", policy(&[&other], &urls, 2));
    // A directory that is not there: the answer is known and cannot be kept.
    scene.audit(3, " --state absent/state");
}

#[test]
fn evidence_that_cannot_be_written_is_printed() {
    let log = TestLog::with_leaves(ORIGIN, 30);
    let scene = Scene::new(&log);
    let fork = TestLog::forked(ORIGIN, 20, 30);
    scene.witness(2, &fork.checkpoint(30));
    scene.place.write("evidence", "a file where a directory should be");
    let text = scene.place.expect(1, &scene.command());
    let start = text.find("cairn/tlog-evidence@v1").expect("the file is on stdout");
    let file: String = text[start..]
        .lines()
        .take_while(|line| !line.starts_with("could not"))
        .map(|line| format!("{line}\n"))
        .collect();
    scene.place.write("copied", file);
    scene.place.expect(0, &format!("evidence verify copied --log-vkey {}", log.key()));
}

#[test]
fn a_file_with_the_name_of_the_evidence_does_not_hide_it() {
    let scene = Scene::new(&TestLog::with_leaves(ORIGIN, 30));
    let fork = TestLog::forked(ORIGIN, 20, 25);
    scene.witness(2, &fork.checkpoint(25));
    let report = scene.convicts("", &["log-fork"]);
    let file = report["convictions"][0]["file"].as_str().unwrap();
    let first = fs::read(scene.place.path().join(file)).unwrap();
    scene.place.write(file, "something else");
    scene.convicts("", &["log-fork"]);
    let evidence = fs::read(scene.place.path().join(file)).unwrap();
    assert!(evidence.starts_with(b"cairn/tlog-evidence@v1\n"));
    // What is there already stays, with the comments of whoever wrote it.
    let first = String::from_utf8(first).unwrap().replace(" at 20", " at some time 20");
    scene.place.write(file, &first);
    let (_, report) = scene.audit(1, "");
    assert_eq!(report["convictions"][0]["file"], file);
    assert_eq!(fs::read_to_string(scene.place.path().join(file)).unwrap(), first);
}

#[test]
fn credentials_in_a_url_stay_secret() {
    let scene = Scene::new(&TestLog::with_leaves(ORIGIN, 30));
    scene.witness(2, &TestLog::forked(ORIGIN, 20, 25).checkpoint(25));
    let secret = |url: &str| url.replace("http://", "http://me:swordfish@");
    let urls = scene.witnesses.each_ref().map(|server| secret(&server.url));
    let report = scene.convicts(&format!(" --witness {} {}", urls[0], urls[1]), &["log-fork"]);
    assert!(!report.to_string().contains("swordfish"));
}

#[test]
fn which_log_must_be_said() {
    let log = TestLog::with_leaves(ORIGIN, 3);
    let scene = Scene::new(&log);
    let urls = scene.witnesses.each_ref().map(|server| server.url.as_str());
    let witnesses = policy(&[], &urls, 2);
    let other = NoteSigner::ed25519(KeyName::parse("elsewhere").unwrap(), [9; 32]).verifier_key();
    scene.place.write("vkey", log.key().to_string());
    let audit = scene.command();
    scene.place.write("policy", &witnesses);
    scene.place.expect(2, &audit);
    scene.place.expect(0, &format!("{audit} --log-vkey vkey"));
    scene.place.write("policy", format!("log {}\nlog {other}\n{witnesses}", log.key()));
    scene.place.expect(2, &audit);
    scene.place.expect(0, &format!("{audit} --origin {ORIGIN}"));
    scene.place.expect(2, &format!("{audit} --origin nobody"));
    // The URL says which of the two it is.
    let url = &scene.log.url;
    scene.place.write("policy", format!("log {} {url}/\nlog {other}\n{witnesses}", log.key()));
    scene.place.expect(0, &audit);
    scene.place.write("policy", format!("log {other}\n{witnesses}"));
    scene.place.expect(2, &format!("{audit} --log-vkey vkey"));
    scene.place.expect(2, &format!("{audit} --log-vkey {}", witness(1).verifier_key()));
    // The key of the log under a name that the policy does not have for it.
    let renamed = NoteSigner::ed25519(KeyName::parse("renamed").unwrap(), [7; 32]).verifier_key();
    scene.place.write("policy", format!("log {}\n{witnesses}", log.key()));
    scene.place.expect(2, &format!("{audit} --log-vkey {renamed}"));
    scene.place.expect(2, &format!("{audit} --witness nonsense"));
    scene.place.expect(2, "audit --url http://localhost:1");
    scene.place.expect(3, &audit.replace("--policy policy", "--policy absent"));
    scene.place.write("policy", "quorum nonsense");
    scene.place.expect(3, &audit);
}

#[test]
fn a_log_without_witnesses_is_compared_with_its_past() {
    let log = TestLog::with_leaves(ORIGIN, 300);
    let scene = Scene::new(&log);
    scene.place.write("policy", format!("log {}\nquorum none\n", log.key()));
    // One head has nothing to be compared with, now and without a state ever.
    for more in ["", "", " --state state"] {
        let (stderr, report) = scene.audit(3, more);
        assert_eq!(stderr, "cairn: could not tell: the log alone showed a head\n");
        assert_eq!(report["consistent"], false);
    }
    let (_, report) = scene.audit(0, " --state state");
    assert!(report["remarks"][0].as_str().unwrap().starts_with("the log has no witnesses"));
    scene.show(&TestLog::with_leaves(ORIGIN, 600), 1);
    scene.audit(0, " --state state");
    scene.show(&TestLog::forked(ORIGIN, 500, 700), 1);
    scene.convicts(" --state state", &["log-fork"]);
}

#[test]
fn witnesses_that_nobody_asked_leave_the_question_open() {
    let log = TestLog::with_leaves(ORIGIN, 300);
    let scene = Scene::new(&log);
    let urls = scene.witnesses.each_ref().map(|server| server.url.as_str());
    let unasked = |code: i32, more: &str, expected: &[&str]| {
        let (_, report) = scene.audit(code, more);
        let undecided = report["undecided"].as_array().unwrap();
        let name = |reason: &serde_json::Value| {
            let reason = reason.as_str().unwrap().strip_prefix("the witness ")?;
            Some(reason.split_once(" of the policy was not asked: ")?.0.to_owned())
        };
        assert_eq!(undecided.iter().filter_map(name).collect::<Vec<_>>(), expected, "{more}");
        assert_eq!(undecided.is_empty(), code == 0);
    };
    unasked(0, &format!(" --witness {} {}", urls[0], urls[1]), &[]);
    unasked(3, &format!(" --witness {}", urls[0]), &["w2"]);
    unasked(3, &format!(" --witness {} {}/", urls[1], urls[1]), &["w1"]);
    // In the policy one or both have no URL, and a third has none either.
    let line = |number: u8| format!("witness w{number} {}", witness(number).verifier_key());
    let start = format!("log {}\n{}", log.key(), line(1));
    let end = "\ngroup g 1 w1 w2\nquorum g\n";
    scene.place.write("policy", format!("{start} {}\n{}{end}", urls[0], line(2)));
    unasked(3, "", &["w2"]);
    unasked(0, &format!(" --witness {} {}", urls[0], urls[1]), &[]);
    unasked(3, &format!(" --witness {}", urls[1]), &["w1"]);
    scene.place.write("policy", format!("{start}\n{}\n{}{end}", line(2), line(3)));
    unasked(3, "", &["w1", "w2", "w3"]);
    unasked(3, &format!(" --witness {} {}", urls[0], urls[1]), &["w3"]);
    // Whoever shows the lines of several is none of them for sure.
    scene.witness(2, &cosigned(&log.checkpoint(300), &[(2, now_s()), (3, now_s())]));
    unasked(3, &format!(" --witness {} {}", urls[0], urls[1]), &["w2", "w3"]);
}

#[test]
fn the_help_says_what_each_exit_code_means() {
    let help = Scene::new(&TestLog::with_leaves(ORIGIN, 1)).place.expect(0, "audit --help");
    let (_, codes) = help.split_once("Exit codes:").unwrap();
    let of_lines = codes.lines().filter_map(|line| line.strip_prefix("  ")?.chars().next());
    assert_eq!(of_lines.filter(char::is_ascii_digit).collect::<String>(), "0123");
}
