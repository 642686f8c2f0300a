//! Several logs of this protocol in one process: the host says which one, and none knows the
//! entries of another.

use super::*;

const OTHER: &str = "other.example";

fn to(host: &str, request: Request) -> Request {
    request.header("host", host)
}

#[test]
fn each_host_leads_to_its_own_log() {
    let mut dir = DataDir::init("one.example");
    dir.add_log("second", "rekor-v1", Some("other.example - 7"));
    let server = dir.start();
    let mut connection = server.connect();
    let submission = SubmissionMakerV1::new().hashedrekord();
    let mut ids = Vec::new();
    for host in ["one.example", OTHER] {
        let log = connection.send(&to(host, Request::get(LOG))).expect(200).json();
        assert_eq!(log["treeSize"], 0, "{host}");
        let note = log["signedTreeHead"].as_str().expect("a note");
        assert!(note.starts_with(&format!("{host} - ")), "{note}");
        // The same entry is new to each of them.
        let request = to(host, post(ENTRIES, &submission.request));
        let created = connection.send(&request).expect(201);
        ids.push(created.header("etag").expect("an id").to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    assert!(ids[1].starts_with("0000000000000007"), "{}", ids[1]);
    assert_eq!(ids[0][16..], ids[1][16..]);
    for (host, own, foreign) in [("one.example", &ids[0], &ids[1]), (OTHER, &ids[1], &ids[0])] {
        let read = |id: &str| to(host, Request::get(&below(ENTRIES, id)));
        connection.send(&read(own)).expect(200);
        row("another tree", read(foreign), 404, Answer::Nothing).check(&mut connection);
        let list = json!({ "entryUUIDs": [foreign, own] }).to_string();
        let found = connection.send(&to(host, post(RETRIEVE, &list))).expect(200).json();
        assert_eq!(found.as_array().expect("a list").len(), 1, "{found}");
        let page = json!({ "email": EMAIL, "after": foreign }).to_string();
        let page = to(host, post(SEARCH, &page));
        refusal("another tree", page, 400, "after is no entry of this log").check(&mut connection);
    }
    let nobody = to("nobody.example", Request::get(LOG));
    let message = "no log is served under this host name";
    refusal("no log", nobody, 421, message).check(&mut connection);
}

#[test]
fn a_process_without_such_a_log_has_none_of_its_paths() {
    let dir = DataDir::init("localhost");
    let config = std::fs::read_to_string(dir.config()).expect("cairn.toml");
    let sections: Vec<&str> = config.split("\n[[log]]\n").collect();
    let others = sections.iter().filter(|section| !section.contains(NAME));
    let others: Vec<&str> = others.copied().collect();
    assert_eq!(others.len() + 1, sections.len());
    std::fs::write(dir.config(), others.join("\n[[log]]\n")).expect("written");
    let server = dir.start();
    let mut connection = server.connect();
    for path in [LOG, PUBLIC_KEY, "/api/v1/log/entries/00"] {
        let message = format!("path {path} was not found");
        refusal("no such log", Request::get(path), 404, &message).check(&mut connection);
    }
    let message = format!("path {ENTRIES} was not found");
    refusal("nor here", post(ENTRIES, "{}"), 404, &message).check(&mut connection);
    connection.send(&Request::get("/checkpoint")).expect(200);
}
