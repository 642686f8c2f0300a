//! What an operator sets about the witnesses of a log: each setting does what it says and shows,
//! and what cannot work is refused at the start, before anything is opened.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use log_tests::HostileWitness;
use log_tests::hostile_witness::Reply;

use crate::cosign_scene::{
    LOG, assert_quorum, cosigners, metric, row, wait_for, wait_for_state, wait_for_witness,
    wait_until_published, witness_row,
};
use crate::cosign_trio::Trio;

#[test]
fn publishing_without_the_quorum_must_be_asked_for_and_is_seen() {
    let mut trio = Trio::grown(2);
    trio.dir.set_log(LOG, "on_missing_quorum", "\"publish\"");
    // The question at the start is never skipped for it.
    trio.close_all();
    let server = trio.dir.start();
    wait_for_witness(&server, LOG, "a", "down");
    wait_for_witness(&server, LOG, "b", "down");
    assert_eq!(row(&server, LOG)["state"], "asking");
    server.submit(&trio.maker.make().json()).expect(503);
    trio.witnesses.iter().for_each(HostileWitness::is_honest);
    wait_until_published(&server, LOG);
    let said = trio.submit(&server);
    assert_quorum(&trio.policy(), &said.note);
    let setting = format!("cairn_log_setting{{log=\"{LOG}\",setting=\"publish_without_quorum\"}}");
    assert_eq!(metric(&server, &setting), Some(1.0));

    // Whoever has the quorum's word had it in time: from here on it is missing.
    trio.close_all();
    for _ in 0..3 {
        let said = trio.submit(&server);
        assert!(cosigners(&trio.policy(), &said.note).len() < 2, "{}", said.note);
    }
    let shown = wait_for_state(&server, LOG, "degraded");
    assert_eq!(shown["witnessing"]["publishWithoutQuorum"], true);
    assert!(shown["reason"].as_str().is_some_and(|why| why.contains("on_missing_quorum")));
    assert_eq!(server.get("/readyz").status, 503);
    let rounds = format!("cairn_rounds_total{{log=\"{LOG}\",outcome=\"published_without\"}}");
    assert!(metric(&server, &rounds).is_some_and(|count| count >= 3.0));
    assert!(server.stderr().contains("no quorum: published without"), "{}", server.stderr());
    trio.assert_kept(&server);

    // With the witnesses the protection is back, without an entry to cosign.
    trio.witnesses.iter().for_each(HostileWitness::is_honest);
    wait_for_state(&server, LOG, "open");
    let note = server.get("/checkpoint").expect(200).text().to_owned();
    assert_quorum(&trio.policy(), &note);
    assert_eq!(trio.assert_kept(&server).leaves.len(), 6);
}

#[test]
fn a_witness_that_is_also_asked_is_never_waited_for() {
    let mut trio = Trio::new();
    trio.dir.set_log(LOG, "also_ask", "[\"c\"]");
    let server = trio.start();
    let shown = row(&server, LOG);
    for (name, also) in [("a", false), ("b", false), ("c", true)] {
        assert_eq!(witness_row(&shown, name)["alsoAsk"], also);
        let labels = format!("log=\"{LOG}\",witness=\"{name}\",setting=\"also_ask\"");
        let value = metric(&server, &format!("cairn_witness_setting{{{labels}}}"));
        assert_eq!(value, Some(f64::from(u8::from(also))));
    }
    for _ in 0..3 {
        trio.submit(&server);
    }
    // Its line joins the newest note.
    wait_for(&server, LOG, "cosigned by all", |_| {
        let note = server.get("/checkpoint").expect(200).text().to_owned();
        cosigners(&trio.policy(), &note) == ["a", "b", "c"]
    });
    // It does not stand in for another one that is missing: the round does not wait.
    trio.witnesses[2].plays(|_| Reply::Hang);
    for _ in 0..3 {
        trio.submit(&server);
    }
    trio.assert_kept(&server);
    let down = wait_for_witness(&server, LOG, "c", "down");
    assert!(down["reason"].as_str().is_some_and(|why| why.contains("no whole answer")), "{down}");
    assert_eq!(row(&server, LOG)["state"], "open");
}

#[test]
fn a_budget_is_kept_and_a_quorum_that_it_slows_down_must_be_allowed() {
    let mut trio = Trio::new();
    trio.dir.set_log(LOG, "witness_per_day", "{ a = 8640 }");
    let (server, began) = (trio.start(), Instant::now());
    let shown = row(&server, LOG);
    assert_eq!(shown["witnessing"]["roundIntervalMs"], 0, "b and c are enough");
    assert_eq!(witness_row(&shown, "a")["perDay"], 8640);
    let budget = format!("cairn_witness_requests_per_day{{log=\"{LOG}\",witness=\"a\"}}");
    assert_eq!(metric(&server, &budget), Some(8640.0));
    for _ in 0..20 {
        trio.submit(&server);
    }
    // One request every ten seconds, whatever the rounds need, and the question before them.
    let allowed = began.elapsed().as_secs() / 10 + 3;
    let asked = trio.witnesses.each_ref().map(HostileWitness::asked);
    assert!(asked[0] <= allowed, "{asked:?}, {allowed} allowed");
    assert!(asked[1] >= 20, "{asked:?}");
    trio.assert_kept(&server);
    assert!(server.terminate().status.success());

    trio.dir.set_log(LOG, "witness_per_day", "{ a = 8640, b = 8640 }");
    let ended = trio.refused(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for word in [LOG, "witness_per_day", "every 10 s", "also_ask", "allow_slow_quorum"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    trio.dir.set_log(LOG, "allow_slow_quorum", "true");
    let server = trio.dir.start();
    let shown = row(&server, LOG);
    assert_eq!(shown["witnessing"]["roundIntervalMs"], 10_000);
    assert_eq!(shown["witnessing"]["allowSlowQuorum"], true);
    let setting = format!("cairn_log_setting{{log=\"{LOG}\",setting=\"allow_slow_quorum\"}}");
    assert_eq!(metric(&server, &setting), Some(1.0));
    assert!(server.terminate().status.success());
    // A tenth of a second between two rounds is nothing that a submitter would notice.
    trio.dir.set_log(LOG, "allow_slow_quorum", "false");
    trio.dir.set_log(LOG, "witness_per_day", "{ a = 864000, b = 864000, c = 864000 }");
    let server = trio.start();
    assert_eq!(row(&server, LOG)["witnessing"]["roundIntervalMs"], 100);
    for _ in 0..3 {
        trio.submit(&server);
    }
    trio.assert_kept(&server);
}

/// Every file below a directory with its bytes.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).expect("readable"));
        }
    }
    files
}

/// The start is refused with all of these words, nobody is asked, and nothing is changed.
#[track_caller]
fn assert_refused(trio: &Trio, words: &[&str]) {
    let asked = trio.witnesses.each_ref().map(HostileWitness::asked);
    let before = snapshot(&trio.dir.path());
    let ended = trio.refused(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word:?}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(snapshot(&trio.dir.path()) == before, "something was changed");
    assert_eq!(trio.witnesses.each_ref().map(HostileWitness::asked), asked);
}

#[test]
fn a_policy_that_cannot_be_is_refused_with_its_line() {
    let mut trio = Trio::grown(1);
    let key = |number: usize| trio.witnesses[number].key().to_string();
    let url = "http://127.0.0.1:1";
    let witnesses: String = (0..3).map(|at| format!("witness w{at} {} {url}\n", key(at))).collect();
    let log_key = trio.dir.default_key().to_string();
    let file = format!("{LOG}.policy");
    let cases: Vec<(String, &str)> = vec![
        (
            format!("{witnesses}group g 2 w0 nobody\nquorum g\n"),
            "line 4 of the policy: no line above",
        ),
        (format!("{witnesses}group g 1 w0 g\nquorum g\n"), "line 4 of the policy: no line above"),
        (
            format!("{witnesses}group g 1 h w0\ngroup h 1 g w1\nquorum g\n"),
            "line 4 of the policy: no line above defines \"h\"",
        ),
        (format!("{witnesses}group g 4 w0 w1 w2\nquorum g\n"), "line 4 of the policy: a threshold"),
        (format!("{witnesses}group g 0 w0 w1 w2\nquorum g\n"), "line 4 of the policy: a threshold"),
        (format!("{witnesses}group g 2 w0 w0 w1\nquorum g\n"), "line 4 of the policy: a name can"),
        (format!("{witnesses}group g any\nquorum g\n"), "line 4 of the policy"),
        (format!("{witnesses}quorum g\n"), "line 4 of the policy: no line above defines \"g\""),
        (witnesses.clone(), "no quorum line"),
        (format!("{witnesses}quorum w0\nquorum w1\n"), "line 5 of the policy: a second quorum"),
        (format!("{witnesses}witness w0 {log_key} {url}\nquorum w0\n"), "line 4 of the policy"),
        (format!("witness a {} {url}\nwitness b {} {url}\nquorum a\n", key(0), key(0)), "line 2"),
        (
            format!("witness a {} ftp://a.example\nquorum a\n", key(0)),
            "line 1 of the policy: a URL",
        ),
        ("wittness a b c\nquorum none\n".into(), "line 1 of the policy: a line begins with"),
        ("quorum none".into(), "does not end with a newline"),
        (format!("quorum none\n{}", "# more\n".repeat(200_000)), "the policy"),
        (String::new(), "the policy"),
        ("quorum none\n\0\n".into(), "line 2 of the policy"),
    ];
    for (policy, says) in &cases {
        trio.dir.set_policy(LOG, policy);
        assert_refused(&trio, &[&file, says]);
    }
    // What is wrong with a policy only for a log that has to ask its witnesses.
    for (policy, says) in [
        (format!("witness w0 {}\nquorum w0\n", key(0)), "witness w0 has no URL"),
        (format!("witness w0 {} http://me:pw@127.0.0.1\nquorum w0\n", key(0)), "witness w0"),
        (format!("witness w0 {} http://127.0.0.1/?a\nquorum w0\n", key(0)), "witness w0"),
    ] {
        trio.dir.set_policy(LOG, &policy);
        assert_refused(&trio, &[LOG, says]);
    }
    // Clients would refuse every checkpoint under a policy for other logs.
    let other = log_tests::SignedLog::new("other.example").key();
    trio.dir.set_policy(LOG, &format!("log {other}\n{witnesses}quorum w0\n"));
    // Only with its key the log can tell; the others serve.
    let server = trio.dir.start();
    let reason = wait_for_state(&server, LOG, "shut")["reason"].to_string();
    assert!(reason.contains("names other logs"), "{reason}");
    assert!(server.terminate().status.success());
    fs::remove_file(trio.dir.path().join(&file)).expect("the policy");
    assert_refused(&trio, &[&file, "No such file"]);

    trio.set_policy(2, crate::cosign_trio::NAMES, &trio.witnesses);
    let server = trio.start();
    trio.submit(&server);
    assert_eq!(trio.assert_kept(&server).leaves.len(), 2);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let mut trio = Trio::grown(1);
    for (setting, value, default, says) in [
        ("also_ask", "[\"nobody\"]", "[]", "also_ask: the policy has no witness \"nobody\""),
        ("also_ask", "[\"a\", \"b\"]", "[]", "also_ask: the quorum cannot be met"),
        ("also_ask", "\"a\"", "[]", "also_ask"),
        ("witness_per_day", "{ nobody = 1 }", "{}", "witness_per_day: the policy has no witness"),
        ("witness_per_day", "{ a = 0 }", "{}", "witness_per_day: a would never be asked"),
        ("witness_per_day", "{ a = -1 }", "{}", "witness_per_day"),
        ("on_missing_quorum", "\"ignore\"", "\"refuse\"", "on_missing_quorum"),
        ("allow_slow_quorum", "\"yes\"", "false", "allow_slow_quorum"),
        ("witness_policy", "[]", "\"rekor-v2.policy\"", "witness_policy"),
    ] {
        trio.dir.set_log(LOG, setting, value);
        assert_refused(&trio, &[says]);
        trio.dir.set_log(LOG, setting, default);
    }
    let server = trio.start();
    trio.submit(&server);
    assert_eq!(trio.assert_kept(&server).leaves.len(), 2);
}

#[test]
fn a_policy_whose_quorums_can_be_disjoint_is_used_with_a_warning() {
    let trio = Trio::new();
    trio.set_policy(1, crate::cosign_trio::NAMES, &trio.witnesses);
    let server = trio.start();
    assert!(server.stderr().contains("can be disjoint"), "{}", server.stderr());
    assert!(server.terminate().status.success());
    trio.set_policy(2, crate::cosign_trio::NAMES, &trio.witnesses);
    let server = trio.start();
    assert!(!server.stderr().contains("can be disjoint"), "{}", server.stderr());
}
