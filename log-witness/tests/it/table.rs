//! The status table of c2sp.org/tlog-witness: one row for each of its sentences, each with a log of
//! its own.
//!
//! WI and SS count the rules of add-checkpoint (and of the monitoring GET) and of sign-subtree in
//! the order in which the specification states them, CP and SN those of tlog-checkpoint and of
//! signed-note; a step is one of the table in `add_checkpoint.rs`.

use log_core::Hash;

use crate::client::{get, post, send};
use crate::rig::{Rig, Served};
use crate::test_log::{TestLog, body};

/// Makes a request of a log.
type Make = Box<dyn Fn(&TestLog) -> Vec<u8>>;

struct Row {
    rule: &'static str,
    what: &'static str,
    /// The size that was cosigned before, if any.
    state: Option<usize>,
    request: Make,
    status: u16,
    /// The body, if the table fixes it.
    body: Option<&'static str>,
    /// Files of evidence about the log afterwards.
    evidence: usize,
}

fn row(
    rule: &'static str,
    what: &'static str,
    state: Option<usize>,
    status: u16,
    request: impl Fn(&TestLog) -> Vec<u8> + 'static,
) -> Row {
    Row { rule, what, state, request: Box::new(request), status, body: None, evidence: 0 }
}

impl Row {
    fn body(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    fn evidence(self) -> Self {
        Self { evidence: 1, ..self }
    }
}

fn replaced(text: String, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from:?} is not in {text:?}");
    text.replacen(from, to, 1).into_bytes()
}

/// The same log with other leaves from the first on.
fn other(log: &TestLog, size: usize) -> TestLog {
    TestLog::forked(&log.origin, 0, size)
}

fn stranger_line(note: &str, name: &str) -> String {
    let text = note.split_once("\n\n").unwrap().0;
    let line = TestLog::new("stranger.example/x", 0).sign_text(format!("{text}\n"));
    let line = line.rsplit_once("\n\n").unwrap().1;
    line.replace("stranger.example/x", name)
}

fn malformed() -> Vec<Row> {
    let wi1 = |what, from: &'static str, to: &'static str| {
        row("WI-1", what, Some(3), 400, move |log| replaced(log.request(3, 7), from, to))
    };
    vec![
        wi1("leading zero", "old 3", "old 03"),
        wi1("plus", "old 3", "old +3"),
        wi1("minus", "old 3", "old -3"),
        wi1("two spaces", "old 3", "old  3"),
        wi1("trailing space", "old 3\n", "old 3 \n"),
        wi1("tab", "old 3", "old\t3"),
        wi1("no old line", "old 3\n", ""),
        wi1("another word", "old 3", "size 3"),
        wi1("beyond u64", "old 3", "old 18446744073709551616"),
        wi1("lines that end in CR LF", "\n", "\r\n"),
        wi1("a proof line without padding", "=\n", "\n"),
        wi1("no blank line", "\n\n", "\n"),
        row("WI-1", "no body", None, 400, |_| Vec::new()),
        row("WI-1", "not UTF-8", Some(3), 400, |log| {
            [log.request(3, 7).as_bytes(), b"\xff"].concat()
        }),
        row("WI-1", "an origin that is not UTF-8", Some(3), 400, |_| {
            b"old 0\n\n\xff\xfe\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\xe2\x80\x94 a b\n"
                .to_vec()
        }),
        row("WI-2", "64 proof lines", Some(3), 400, |log| {
            body(3, &[Hash::EMPTY_ROOT; 64], &log.note(7)).into_bytes()
        }),
        row("WI-2", "63 proof lines are read, and do not hold", Some(3), 422, |log| {
            body(3, &[Hash::EMPTY_ROOT; 63], &log.note(7)).into_bytes()
        }),
        row("step 5", "no signature block", Some(3), 400, |log| {
            let note = log.note(7);
            body(3, &log.consistency(3, 7), note.rsplit_once("\n\n").unwrap().0).into_bytes()
        }),
        row("step 5", "a signature line of four bytes", Some(3), 400, |log| {
            format!("{}\u{2014} a.example/x AAAAAA==\n", log.request(3, 7)).into_bytes()
        }),
        row("step 5", "65 signature lines", Some(3), 400, |log| {
            let lines = "\u{2014} a.example/x AAAAAAA=\n".repeat(64);
            format!("{}{lines}", log.request(3, 7)).into_bytes()
        }),
        row("SN-6", "16 unknown lines and the log's", Some(3), 200, |log| {
            let lines = "\u{2014} a.example/x AAAAAAA=\n".repeat(16);
            format!("{}{lines}", log.request(3, 7)).into_bytes()
        }),
    ]
}

fn signatures() -> Vec<Row> {
    vec![
        row("WI-3", "unknown origin", None, 404, |_| {
            TestLog::new("nobody.example/x", 3).request(0, 3).into()
        }),
        row("WI-3", "unknown origin comes before a bad signature", None, 404, |_| {
            let request = TestLog::new("nobody.example/x", 3).request(0, 3);
            replaced(request, "nobody.example/x\n", "nobody.example/y\n")
        }),
        row("WI-4", "a line of an unknown key", Some(3), 200, |log| {
            let line = stranger_line(&log.note(7), "stranger.example/x");
            format!("{}{line}", log.request(3, 7)).into_bytes()
        }),
        row("WI-4", "the log's name with an unknown key id", Some(3), 200, |log| {
            let line = stranger_line(&log.note(7), &log.origin);
            format!("{}{line}", log.request(3, 7)).into_bytes()
        }),
        row("WI-5", "only an unknown key signed", Some(3), 403, |log| {
            let note = log.note(7);
            let text = note.rsplit_once("\n\n").unwrap().0;
            let line = stranger_line(&note, "stranger.example/x");
            body(3, &log.consistency(3, 7), &format!("{text}\n\n{line}")).into_bytes()
        }),
        row("WI-5", "the signature of another checkpoint", Some(3), 403, |log| {
            let (note, other) = (log.note(7), log.note(6));
            let text = note.rsplit_once("\n\n").unwrap().0;
            let line = other.rsplit_once("\n\n").unwrap().1;
            body(3, &log.consistency(3, 7), &format!("{text}\n\n{line}")).into_bytes()
        }),
        row("WI-6", "one line of a trusted key verifies and another fails", Some(3), 403, |log| {
            let line = log.note(6);
            let line = line.rsplit_once("\n\n").unwrap().1;
            format!("{}{line}", log.request(3, 7)).into_bytes()
        }),
    ]
}

fn checkpoints() -> Vec<Row> {
    vec![
        row("CP-4", "extension lines", Some(3), 400, |log| {
            let text = format!("{}\n7\n{}\nmore\n", log.origin, log.root(7).to_base64());
            body(3, &log.consistency(3, 7), &log.sign_text(text)).into_bytes()
        }),
        row("step 7", "a size with a leading zero, signed", Some(3), 400, |log| {
            let text = format!("{}\n07\n{}\n", log.origin, log.root(7).to_base64());
            body(3, &log.consistency(3, 7), &log.sign_text(text)).into_bytes()
        }),
        row("step 7", "a root of 31 bytes, signed", Some(3), 400, |log| {
            let text = format!("{}\n7\n{}\n", log.origin, "A".repeat(40) + "AA==");
            body(3, &[], &log.sign_text(text)).into_bytes()
        }),
        row(
            "step 7",
            "a root with stray bits, signed: the state does not move",
            Some(3),
            400,
            |log| {
                let root = log.root(7).to_base64();
                let stray = format!("{}B=", &root[..42]);
                let text = format!("{}\n7\n{stray}\n", log.origin);
                body(3, &log.consistency(3, 7), &log.sign_text(text)).into_bytes()
            },
        ),
        row("huge sizes", "size 2^64-1 from never", None, 400, |log| {
            body(0, &[], &log.sign(u64::MAX, Hash::EMPTY_ROOT)).into_bytes()
        }),
        row("huge sizes", "size 2^63 from 3, with a proof", Some(3), 400, |log| {
            body(3, &[Hash::EMPTY_ROOT; 63], &log.sign(1 << 63, Hash::EMPTY_ROOT)).into_bytes()
        }),
        row("huge sizes", "size 2^63-1 from 3, with a proof", Some(3), 422, |log| {
            body(3, &[Hash::EMPTY_ROOT; 63], &log.sign((1 << 63) - 1, Hash::EMPTY_ROOT)).into()
        }),
        row("huge sizes", "size 2^63-1 is the first", None, 200, |log| {
            body(0, &[], &log.sign((1 << 63) - 1, Hash::EMPTY_ROOT)).into_bytes()
        }),
    ]
}

fn sizes() -> Vec<Row> {
    vec![
        row("WI-7", "old beyond the size", Some(3), 400, |log| {
            body(4, &[], &log.note(3)).into_bytes()
        }),
        row("WI-7", "old is 2^64-1", Some(3), 400, |log| {
            body(u64::MAX, &[], &log.note(3)).into_bytes()
        }),
        row("WI-8", "never cosigned is size 0", None, 409, |log| log.request(3, 7).into())
            .body("0\n"),
        row("WI-8", "old is too small", Some(5), 409, |log| log.request(3, 7).into()).body("5\n"),
        row("WI-8", "old is too large", Some(3), 409, |log| log.request(5, 7).into()).body("3\n"),
        row("WI-8", "a smaller checkpoint, rollback", Some(5), 409, |log| log.request(3, 4).into())
            .body("5\n"),
        row(
            "WI-8 and evidence",
            "old too small, and another root for a known size",
            Some(5),
            409,
            |log| other(log, 5).request(3, 5).into(),
        )
        .body("5\n")
        .evidence(),
        row("WI-9", "size 0 with another root", None, 422, |log| {
            body(0, &[], &log.sign(0, log.root(1))).into_bytes()
        })
        .evidence(),
        row("WI-9", "size 0 with another root, later", Some(3), 422, |log| {
            body(0, &[], &log.sign(0, log.root(1))).into_bytes()
        })
        .evidence(),
        row("WI-9", "size 0", None, 200, |log| log.request(0, 0).into()),
    ]
}

fn proofs() -> Vec<Row> {
    vec![
        row("WI-10", "from size 0 with a proof", None, 422, |log| {
            body(0, &[Hash::EMPTY_ROOT], &log.note(3)).into_bytes()
        }),
        row("WI-8 after size 0", "size 0 was cosigned: any size may follow", Some(0), 200, |log| {
            log.request(0, 7).into()
        }),
        row("WI-8 after size 0", "size 0 was cosigned: still no proof", Some(0), 422, |log| {
            body(0, &[Hash::EMPTY_ROOT], &log.note(3)).into_bytes()
        }),
        row("WI-11", "no proof", Some(3), 422, |log| body(3, &[], &log.note(7)).into_bytes()),
        row("WI-11", "one hash too many", Some(3), 422, |log| {
            let proof = [log.consistency(3, 7), vec![Hash::EMPTY_ROOT]].concat();
            body(3, &proof, &log.note(7)).into_bytes()
        }),
        row("WI-11", "one hash too few", Some(3), 422, |log| {
            body(3, &log.consistency(3, 7)[1..], &log.note(7)).into_bytes()
        }),
        row("WI-11", "the proof of another size", Some(3), 422, |log| {
            body(3, &log.consistency(3, 6), &log.note(7)).into_bytes()
        }),
        row("WI-11", "equal sizes with a proof", Some(3), 422, |log| {
            body(3, &[Hash::EMPTY_ROOT], &log.note(3)).into_bytes()
        }),
        row("WI-12", "equal sizes and another root", Some(3), 422, |log| {
            other(log, 3).request(3, 3).into()
        })
        .evidence(),
        row(
            "WI-13 and evidence",
            "a fork whose proof rebuilds the new root",
            Some(5),
            422,
            |log| other(log, 9).request(5, 9).into(),
        )
        .evidence(),
        row(
            "evidence",
            "a fork from a power of two proves nothing by itself",
            Some(4),
            422,
            |log| other(log, 9).request(4, 9).into(),
        ),
        row(
            "evidence",
            "a wrong proof over consistent heads convicts nobody",
            Some(5),
            422,
            |log| {
                let mut proof = log.consistency(5, 9);
                proof[0] = Hash::EMPTY_ROOT;
                body(5, &proof, &log.note(9)).into_bytes()
            },
        ),
        row("WI-14", "first contact", None, 200, |log| log.request(0, 7).into()),
        row("WI-14", "a proof that holds", Some(3), 200, |log| log.request(3, 7).into()),
        row("WI-14", "a proof that holds, from a power of two", Some(4), 200, |log| {
            log.request(4, 7).into()
        }),
        row("refresh", "a refresh", Some(3), 200, |log| log.request(3, 3).into()),
        row("WI-18", "old 0 asks for the size", Some(3), 409, |log| log.request(0, 7).into())
            .body("3\n"),
    ]
}

fn check(served: &Served, number: usize, row: &Row) {
    let label = format!("{}: {}", row.rule, row.what);
    let log = TestLog::new(&format!("log.example/{number}"), 10);
    served.add_log(&log);
    if let Some(size) = row.state {
        assert_eq!(served.add_checkpoint(log.request(0, size)).status, 200, "{label}");
    }
    let before = served.checkpoint(&log);
    let answer = served.add_checkpoint((row.request)(&log));
    assert_eq!(answer.status, row.status, "{label}: {}", answer.body);
    if let Some(body) = row.body {
        assert_eq!(answer.body, body, "{label}");
    }
    let kind = answer.header("content-type");
    match answer.status {
        409 => assert_eq!(kind, Some("text/x.tlog.size"), "WI-8: {label}"),
        _ => assert_eq!(kind, Some("text/plain; charset=utf-8"), "{label}"),
    }
    if answer.status == 200 {
        let note = served.checkpoint(&log).unwrap();
        assert!(note.ends_with(&answer.body), "WI-20: {label}");
    } else {
        assert_eq!(served.checkpoint(&log), before, "no refusal changes the state: {label}");
    }
    assert_eq!(served.evidence_ids(&log).len(), row.evidence, "{label}");
}

#[test]
fn every_sentence_of_the_status_table_holds() {
    let rig = Rig::new();
    let served = rig.serve();
    let rows = [malformed(), signatures(), checkpoints(), sizes(), proofs()].into_iter().flatten();
    for (number, row) in rows.enumerate() {
        check(&served, number, &row);
    }
}

#[test]
fn wi_1_other_methods_are_405_and_say_which_one_is_right() {
    let rig = Rig::new();
    let served = rig.serve();
    for path in ["/add-checkpoint", "/sign-subtree"] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let answer = send(served.address, method, path, b"");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
    }
    assert_eq!(post(served.address, "/nothing", "").status, 404);
}

#[test]
fn wi_15_and_16_an_answer_has_one_verified_line_a_key_and_a_time() {
    let rig = Rig::of_keys(true);
    let log = TestLog::new("log.example/a", 5);
    let served = rig.serve_logs(&[&log]);
    let answer = served.add_checkpoint(log.request(0, 5));
    let keys = log_witness::keys::WitnessKeys::load(&rig.config.keys).unwrap();
    let lines = log_core::note::parse_signature_lines(answer.body.as_bytes()).unwrap();
    assert_eq!(lines.len(), 2);
    let note = log.note(5);
    let text = format!("{}\n", note.rsplit_once("\n\n").unwrap().0);
    for (key, line) in keys.verifier_keys().zip(&lines) {
        let own = log_core::Cosignature::verify(key, &text, &line.signature).unwrap();
        assert_eq!(own.time_s(), crate::rig::START_S);
    }
    // WI-17: the answer is appended to the checkpoint and is a note.
    let whole = format!("{note}{}", answer.body);
    let whole = log_core::SignedNote::parse(whole.as_bytes()).unwrap();
    let keys: Vec<_> = keys.verifier_keys().cloned().collect();
    assert_eq!(whole.verify(&keys).unwrap().len(), 2);
}

#[test]
fn wi_19_to_22_readers_get_what_was_cosigned() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 5);
    let served = rig.serve_logs(&[&log]);
    let path = format!("/{}/checkpoint", log.hash());
    assert_eq!(get(served.address, &path).status, 404, "WI-21");
    let answer = served.add_checkpoint(log.request(0, 5));
    let read = get(served.address, &path);
    assert_eq!(read.body, format!("{}{}", log.note(5), answer.body), "WI-20");
    assert_eq!(read.header("access-control-allow-origin"), Some("*"));
    assert!(read.header("cache-control").unwrap().contains("max-age=1"), "WI-22");
    assert_eq!(send(served.address, "HEAD", &path, b"").body, "");
    let upper = format!("/{}/checkpoint", log.hash().to_uppercase());
    assert_eq!(get(served.address, &upper).status, 404);
    let answer = post(served.address, &path, "");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn ss_1_to_5_subtrees() {
    let rig = Rig::of_keys(true);
    let log = TestLog::new("log.example/a", 8);
    let served = rig.serve_logs(&[&log]);
    let own = served.add_checkpoint(log.request(0, 8)).body;
    let cosigned = format!("{}{own}", log.note(8));
    let lines: Vec<&str> = own.lines().collect();
    let hash = |start: usize, end: usize| log.range_root(start, end);
    let request = |range: &str, hash: Hash, proof: &[Hash], note: &str| {
        let proof = proof.iter().fold(String::new(), |all, hash| all + &hash.to_base64() + "\n");
        format!("subtree {range}\n{}\n{proof}\n{note}", hash.to_base64())
    };
    let proof = [hash(0, 4)];
    let good = request("4 8", hash(4, 8), &proof, &cosigned);
    let ed25519_only = format!("{}{}\n", log.note(8), lines[0]);
    let of_other_size = format!("{}{}\n", log.note(7), lines[1]);
    let unknown = TestLog::new("nobody.example/x", 8).note(8) + &own;
    let rows = [
        ("SS-5", good.clone(), 200),
        ("SS-5 the whole tree", request("0 8", log.root(8), &[], &cosigned), 200),
        ("SS-1 misaligned", request("3 7", hash(4, 8), &proof, &cosigned), 400),
        ("SS-1 beyond the size", request("8 16", hash(4, 8), &proof, &cosigned), 400),
        ("SS-1 empty", request("4 4", Hash::EMPTY_ROOT, &[], &cosigned), 400),
        ("SS-1 leading zero", request("04 8", hash(4, 8), &proof, &cosigned), 400),
        (
            "SS-1 as large as numbers get",
            request(&format!("0 {}", u64::MAX), hash(4, 8), &proof, &cosigned),
            400,
        ),
        (
            "SS-1 one leaf far away",
            request(
                &format!("{} {}", 1_u64 << 63, (1_u64 << 63) + 1),
                hash(4, 8),
                &proof,
                &cosigned,
            ),
            400,
        ),
        ("SS-1 backwards", request("8 4", hash(4, 8), &proof, &cosigned), 400),
        ("SS-1 64 hashes", request("4 8", hash(4, 8), &[hash(0, 4); 64], &cosigned), 400),
        ("SS-1 no checkpoint", good.split_once("\n\n").unwrap().0.to_owned(), 400),
        ("SS-1 no signature", request("4 8", hash(4, 8), &proof, "a\n1\nb\n"), 400),
        ("SS-2 unknown origin", request("4 8", hash(4, 8), &proof, &unknown), 404),
        ("SS-3 log line only", request("4 8", hash(4, 8), &proof, &log.note(8)), 403),
        ("SS-3 Ed25519 line only", request("4 8", hash(4, 8), &proof, &ed25519_only), 403),
        ("SS-3 line of another size", request("4 6", hash(4, 6), &proof, &of_other_size), 403),
        ("SS-4 wrong hash", request("4 8", hash(0, 4), &proof, &cosigned), 422),
        ("SS-4 wrong proof", request("4 8", hash(4, 8), &[hash(4, 8)], &cosigned), 422),
        ("SS-4 no proof", request("4 8", hash(4, 8), &[], &cosigned), 422),
    ];
    for (label, request, status) in rows {
        let answer = post(served.address, "/sign-subtree", request);
        assert_eq!(answer.status, status, "{label}: {}", answer.body);
        assert_eq!(answer.body.lines().count(), 1, "{label}");
    }
    assert_eq!(served.size(&log), 8, "sign-subtree changes no state");
}
