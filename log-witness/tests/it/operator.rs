//! What operators do: adding logs, lists of them, and the socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use log_core::CosignerKey;
use log_core::key::KeyName;
use log_witness::admin::{self, NewLog, Order, Report};

use crate::client::get;
use crate::rig::{Rig, Served};
use crate::test_log::TestLog;

fn add(served: &Served, origin: &str, vkeys: &[String], add_key: bool) -> Report {
    let logs = vec![NewLog { origin: origin.into(), vkeys: vkeys.to_vec() }];
    served.order(Order::AddLogs { logs, add_key, never_cosigned: false })
}

fn counts(report: Report) -> (usize, usize, usize) {
    match report {
        Report::Added { added, known, alarms } => (added, known, alarms.len()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_known_log_gets_another_key_only_if_that_is_asked_for() {
    let rig = Rig::new();
    let served = rig.serve();
    let (first, second) = (TestLog::new("log.example/a", 3), TestLog::new("log.example/b", 3));
    let origin = &first.origin;
    assert_eq!(counts(add(&served, origin, &[first.vkey()], false)), (1, 0, 0));
    assert_eq!(counts(add(&served, origin, &[first.vkey()], false)), (0, 1, 0));
    assert_eq!(counts(add(&served, origin, &[second.vkey()], false)), (0, 0, 1));
    assert_eq!(counts(add(&served, origin, &[first.vkey(), second.vkey()], false)), (0, 0, 1));
    let text = format!("{origin}\n3\n{}\n", first.root(3).to_base64());
    let by_second = format!("old 0\n\n{}", second.sign_text(text));
    assert_eq!(served.add_checkpoint(&by_second).status, 403, "nothing was changed");
    assert_eq!(counts(add(&served, origin, &[second.vkey()], true)), (1, 0, 0));
    assert_eq!(served.add_checkpoint(&by_second).status, 200);
    drop(served);
    let served = rig.serve();
    assert_eq!(served.add_checkpoint(first.request(3, 3)).status, 200, "both keys are kept");
}

#[test]
fn several_keys_of_one_log_may_come_at_once() {
    let rig = Rig::new();
    let served = rig.serve();
    let (a, b) = (TestLog::new("log.example/a", 3), TestLog::new("log.example/b", 3));
    assert_eq!(
        counts(add(&served, "an origin with spaces", &[a.vkey(), b.vkey()], false)),
        (1, 0, 0)
    );
    let text = format!("an origin with spaces\n3\n{}\n", a.root(3).to_base64());
    let both = format!(
        "old 0\n\n{}{}",
        a.sign_text(text.clone()),
        b.sign_text(text).rsplit_once("\n\n").unwrap().1
    );
    assert_eq!(served.add_checkpoint(both).status, 200);
    let hash = log_core::sha256(b"an origin with spaces");
    let note = get(served.address, &format!("/{hash}/checkpoint")).body;
    assert_eq!(note.lines().filter(|line| line.starts_with('\u{2014}')).count(), 3);
}

#[test]
fn what_cannot_be_a_log_is_refused() {
    let rig = Rig::new();
    let served = rig.serve();
    let log = TestLog::new("log.example/a", 3);
    let witness = CosignerKey::ed25519(KeyName::parse("w.example/x").unwrap(), [1; 32]);
    let bad = [
        add(&served, "", &[log.vkey()], false),
        add(&served, "a\nb", &[log.vkey()], false),
        add(&served, &"x".repeat(256), &[log.vkey()], false),
        add(&served, "a", &[], false),
        add(&served, "a", &["a+b+c".into()], false),
        add(&served, "a", &[witness.verifier_key().to_string()], false),
    ];
    for report in bad {
        assert!(matches!(report, Report::Failed { .. }), "{report:?}");
    }
    let Report::Listed { logs } = served.order(Order::List) else { panic!() };
    assert!(logs.is_empty());
    assert_eq!(counts(add(&served, &"x".repeat(255), &[log.vkey()], false)), (1, 0, 0));
}

#[test]
fn thousands_of_logs_are_added_at_once_and_a_changed_key_among_them_is_an_alarm() {
    let rig = Rig::new();
    let served = rig.serve();
    let (known, stranger) =
        (TestLog::new("log.example/7", 3), TestLog::new("stranger.example/x", 3));
    served.add_log(&known);
    let new = |i: usize| {
        let vkeys = vec![stranger.vkey()];
        NewLog { origin: format!("log.example/{i}"), vkeys }
    };
    let logs: Vec<_> = (0..3000).map(new).collect();
    let order = Order::AddLogs { logs, add_key: false, never_cosigned: false };
    assert_eq!(counts(served.order(order)), (2999, 0, 1));
    assert_eq!(served.add_checkpoint(known.request(0, 3)).status, 200, "the known key still holds");
    drop(served);
    let served = rig.serve();
    let Report::Listed { logs } = served.order(Order::List) else { panic!() };
    assert_eq!(logs.len(), 3000);
}

#[test]
fn one_log_with_too_many_keys_does_not_keep_the_others_out() {
    let rig = Rig::new();
    let served = rig.serve();
    let vkeys = (0..17).map(|i| TestLog::new(&format!("log.example/{i}"), 1).vkey());
    let crowded = NewLog { origin: "log.example/crowded".into(), vkeys: vkeys.collect() };
    let add = |logs| served.order(Order::AddLogs { logs, add_key: true, never_cosigned: false });
    assert!(matches!(add(vec![crowded.clone()]), Report::Failed { .. }));
    let log = TestLog::new("log.example/a", 1);
    let good = NewLog { origin: log.origin.clone(), vkeys: vec![log.vkey()] };
    assert_eq!(counts(add(vec![crowded, good])), (1, 0, 1));
}

#[test]
fn the_list_says_size_age_and_state() {
    let rig = Rig::new();
    let (log, silent) = (TestLog::new("log.example/a", 9), TestLog::new("log.example/b", 9));
    let served = rig.serve_logs(&[&log, &silent]);
    served.add_checkpoint(log.request(0, 9));
    rig.hands.pass(42);
    let Report::Listed { logs } = served.order(Order::List) else { panic!() };
    assert_eq!((logs[0].size, logs[0].age_s, logs[0].state.as_str()), (9, Some(42), "cosigned"));
    assert_eq!(logs[0].root, Some(log.root(9).to_string()));
    assert_eq!(logs[0].vkeys, [log.vkey()]);
    assert_eq!((logs[1].size, logs[1].age_s, logs[1].state.as_str()), (0, None, "never-cosigned"));
}

#[test]
fn the_socket_takes_one_line_and_gives_one_back() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(TestLog::forked(&log.origin, 0, 3).request(0, 3));
    served.add_checkpoint(log.request(3, 3));
    let path = admin::socket(&rig.data_dir());
    let _runtime = served.enter();
    let listener = admin::listen(&rig.data_dir()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let witness = Arc::clone(served.witness.as_ref().unwrap());
    let serving = tokio::spawn(admin::serve(listener, witness));
    let ask = |line: &str| -> Report {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    assert!(matches!(ask("{\"order\":\"list\"}\n"), Report::Listed { logs } if logs.len() == 1));
    let order = serde_json::to_string(&Order::Evidence { origin: Some(log.origin.clone()) });
    let Report::Evidence { files } = ask(&format!("{}\n", order.unwrap())) else { panic!() };
    assert_eq!(files.len(), 1);
    assert!(files[0].file.starts_with("cairn/tlog-evidence@v1\n") && !files[0].accepted);
    for nonsense in ["\n", "{}\n", "{\"order\":\"stop\"}\n", "\u{0}\n", "[[[[[[\n"] {
        assert!(matches!(ask(nonsense), Report::Failed { .. }), "{nonsense:?}");
    }
    serving.abort();
}
