//! `cairn` against servers of Rekor v1, honest and not: exit codes, and what is written.

use std::fs;
use std::sync::{Arc, Mutex};

use log_core::{EntryId, Hash};
use serde_json::{Value, json};

use crate::binary::Place;
use crate::fixture::TestLog;
use crate::v1_fixture::{Asked, OFFSET, Told, V1Log, base64, serve};

/// What a server of this log answers, as the protocol says.
pub(crate) fn honest(log: &Mutex<V1Log>, asked: &Asked) -> Told {
    let mut log = log.lock().unwrap();
    let json = |value: Value| (200, None, value.to_string().into_bytes());
    let entry = |index: Option<usize>| match index {
        Some(index) if index < log.bodies.len() => json(log.answer(index)),
        _ => (404, None, Vec::new()),
    };
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    if asked.line == "POST /api/v1/log/entries" {
        let body = body.to_string().into_bytes();
        if let Some(index) = log.bodies.iter().position(|known| *known == body) {
            let location = format!("/api/v1/log/entries/{}", log.id(index));
            return (409, Some(location), b"{\"code\":409}".to_vec());
        }
        let index = log.add(body);
        return (201, None, log.answer(index).to_string().into_bytes());
    }
    if asked.line == "POST /api/v1/log/entries/retrieve" {
        let ids = body["entryUUIDs"].as_array().unwrap();
        assert!(ids.len() <= 10);
        let ids = ids.iter().map(|id| EntryId::parse(id.as_str().unwrap()).unwrap());
        let found = ids.filter_map(|id| log.find(&id)).map(|index| log.answer(index));
        return json(found.collect());
    }
    if asked.line == "POST /api/v1/index/retrieve" {
        return json(named(&log, &body).into());
    }
    if asked.line == "GET /api/v1/log/publicKey" {
        return (200, None, log.pem().into_bytes());
    }
    if let Some(index) = asked.line.strip_prefix("GET /api/v1/log/entries?logIndex=") {
        return entry(index.parse::<u64>().unwrap().checked_sub(OFFSET).map(|i| i as usize));
    }
    if let Some(id) = asked.line.strip_prefix("GET /api/v1/log/entries/") {
        let by_hash = |hash| EntryId { tree: log.tree, leaf_hash: hash };
        let id = EntryId::parse(id).or_else(|| Hash::from_hex(id).map(by_hash)).unwrap();
        return entry(log.find(&id));
    }
    (404, None, b"no".to_vec())
}

/// The ids of the entries that hold the hash of the question, a page of them.
fn named(log: &V1Log, question: &Value) -> Vec<String> {
    let hash = question["hash"].as_str().unwrap_or("none").trim_start_matches("sha256:");
    let limit = question["limit"].as_u64().unwrap() as usize;
    let after = question["after"].as_str();
    let is_hit = |index: &usize| String::from_utf8_lossy(&log.bodies[*index]).contains(hash);
    let ids = (0..log.bodies.len()).filter(is_hit).map(|index| log.id(index).to_string());
    let ids: Vec<_> = ids.collect();
    let start = after.map_or(0, |id| 1 + ids.iter().position(|known| known == id).unwrap());
    ids.into_iter().skip(start).take(limit).collect()
}

/// What becomes of an honest answer.
type Tamper = Box<dyn Fn(&Asked, Told) -> Told + Send>;

/// A lie about the only member of an answer, by its name.
type Lie = (&'static str, fn(&mut Value));

/// A log behind an honest server, whose answers a test may change.
struct Scene {
    place: Place,
    log: Arc<Mutex<V1Log>>,
    url: String,
    change: Arc<Mutex<Tamper>>,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        place.expect(0, "keygen --algorithm ed25519 --out key");
        let log = V1Log::with_leaves("localhost", 5);
        place.write("log.pub", log.pem());
        place.write("root", serde_json::to_string(&log.trusted_root()).unwrap());
        let other = V1Log::with_leaves("localhost", 0);
        place.write("other.pub", other.pem());
        place.write("other-root", serde_json::to_string(&other.trusted_root()).unwrap());
        let v2 = TestLog::new("localhost").trusted_root();
        place.write("v2-root", serde_json::to_string(&v2).unwrap());
        let log = Arc::new(Mutex::new(log));
        let change: Arc<Mutex<Tamper>> = Arc::new(Mutex::new(Box::new(|_, told| told)));
        let (served, changed) = (Arc::clone(&log), Arc::clone(&change));
        let url = serve(move |asked| {
            let told = honest(&served, asked);
            (changed.lock().unwrap())(asked, told)
        });
        Self { place, log, url, change }
    }

    fn set(&self, change: impl Fn(&Asked, Told) -> Told + Send + 'static) {
        *self.change.lock().unwrap() = Box::new(change);
    }

    /// Changes the JSON of answers to requests whose line begins so.
    fn set_json(&self, line: &'static str, change: impl Fn(Value) -> Value + Send + 'static) {
        self.set(move |asked, (status, location, body)| {
            if !asked.line.starts_with(line) {
                return (status, location, body);
            }
            let json = change(serde_json::from_slice(&body).unwrap());
            (status, location, json.to_string().into_bytes())
        });
    }

    fn expect(&self, code: i32, arguments: &str) -> String {
        let (command, rest) = arguments.split_once(' ').unwrap();
        self.place.expect(code, &format!("{command} --url {} {rest}", self.url))
    }

    fn json(&self, code: i32, arguments: &str) -> Value {
        serde_json::from_str(&self.expect(code, &format!("{arguments} --json"))).unwrap()
    }
}

/// The only member of an answer.
fn member(answer: &mut Value) -> &mut Value {
    answer.as_object_mut().unwrap().values_mut().next().unwrap()
}

fn flip(value: &mut Value) {
    let text = value.as_str().unwrap();
    let last = if text.starts_with('0') { "1" } else { "0" };
    *value = json!(format!("{last}{}", &text[1..]));
}

#[test]
fn what_is_submitted_is_verified_and_what_is_there_is_found() {
    let scene = Scene::new();
    let place = &scene.place;
    let submit = "submit --api v1 --key key --bundle b --legacy-bundle l --answer a";
    let json = scene.json(0, &format!("{submit} --log-key log.pub file"));
    assert_eq!((&json["index"], &json["new"]), (&json!(OFFSET + 5), &json!(true)));
    assert_eq!(json["keyFrom"], "command-line");
    // The signature repeats, so the log has it already.
    let again = scene.json(0, &format!("{submit} --trusted-root root file"));
    assert_eq!((&again["index"], &again["new"]), (&json!(OFFSET + 5), &json!(false)));
    assert!(scene.expect(0, &format!("{submit} file")).contains("has it already"));
    for bundle in ["b", "l"] {
        for trust in ["--trusted-root root", "--log-key log.pub"] {
            let verify = format!("verify --bundle {bundle} {trust} --key key.pub");
            place.expect(0, &format!("{verify} file"));
            place.expect(1, &format!("{verify} log.pub"));
        }
        for trust in ["--trusted-root v2-root", "--trusted-root other-root", "--log-key other.pub"]
        {
            place.expect(1, &format!("verify --bundle {bundle} {trust} --key key.pub file"));
        }
        place.expect(2, &format!("verify --bundle {bundle} --key key.pub file"));
        let both = "--trusted-root root --log-key log.pub";
        place.expect(2, &format!("verify --bundle {bundle} {both} --key key.pub file"));
    }
    let answer: Value = serde_json::from_slice(&fs::read(place.path().join("a")).unwrap()).unwrap();
    assert!(answer.get(json["entryId"].as_str().unwrap()).is_some());
}

#[test]
fn answers_that_lie_are_refused_and_nothing_is_written() {
    let scene = Scene::new();
    let refused = |what: &str| {
        for trust in ["--log-key log.pub", "--trusted-root root", ""] {
            let submit = format!("submit --api v1 --key key --bundle b --answer a {trust} file");
            scene.expect(1, &submit.replace("  ", " "));
            for name in ["b", "a", "b.partial"] {
                assert!(!scene.place.exists(name), "{what}");
            }
        }
    };
    // A duplicate is read by its id, so both ways to an entry are changed.
    let lies: [Lie; 9] = [
        ("SET", |m| m["verification"]["signedEntryTimestamp"] = json!(base64(b"x"))),
        ("no SET", |m| m["verification"]["signedEntryTimestamp"] = json!(null)),
        ("time", |m| m["integratedTime"] = json!(1)),
        ("index", |m| m["logIndex"] = json!(7)),
        ("body", |m| m["body"] = json!(base64(b"{\"apiVersion\":\"0.0.1\",\"kind\":\"x\"}"))),
        ("log", |m| flip(&mut m["logID"])),
        ("proof", |m| flip(&mut m["verification"]["inclusionProof"]["hashes"][0])),
        ("root", |m| flip(&mut m["verification"]["inclusionProof"]["rootHash"])),
        ("checkpoint", |m| m["verification"]["inclusionProof"]["checkpoint"] = json!("x")),
    ];
    for (what, lie) in lies {
        scene.set(move |asked, (status, location, body)| {
            let is_entry = asked.line.contains("/api/v1/log/entries");
            let mut json: Value = serde_json::from_slice(&body).unwrap_or_default();
            if !is_entry || status == 409 {
                return (status, location, body);
            }
            lie(member(&mut json));
            (status, location, json.to_string().into_bytes())
        });
        refused(what);
    }
    // Another entry of the log, well proved; another entry than the duplicate it names.
    let log = Arc::clone(&scene.log);
    scene.set(move |asked, told| {
        let other = log.lock().unwrap().answer(2).to_string().into_bytes();
        if asked.line.contains("/entries") && told.0 != 409 { (201, None, other) } else { told }
    });
    refused("another entry");
    scene.set(
        |asked, told| {
            if asked.line.contains("/entries") { (201, None, b"{}".to_vec()) } else { told }
        },
    );
    refused("no entry");
}

#[test]
fn refusals_and_failures_of_the_log_write_nothing() {
    let scene = Scene::new();
    const POST: &str = "POST /api/v1/log/entries";
    let answers: [(u16, Option<&str>, &str, i32); 6] = [
        (400, None, "{\"code\":400,\"message\":\"no\"}", 1),
        (409, None, "{\"code\":409}", 1),
        (409, Some("http://elsewhere.example/x"), "{\"code\":409}", 1),
        (201, None, "garbage", 1),
        (500, None, "broken", 3),
        (503, None, "busy", 3),
    ];
    for (status, location, body, code) in answers {
        scene.set(move |asked, told| {
            if !asked.line.starts_with(POST) {
                return told;
            }
            (status, location.map(str::to_owned), body.as_bytes().to_vec())
        });
        let trust = "--log-key log.pub";
        scene.expect(code, &format!("submit --api v1 --key key --bundle b {trust} file"));
        assert!(!scene.place.exists("b"), "{status}");
    }
    scene.set(|_, _| (200, None, vec![b' '; 5_000_000]));
    scene.expect(3, "submit --api v1 --key key --bundle b --log-key log.pub file");
}

#[test]
fn an_entry_is_read_by_index_id_and_leaf_hash() {
    let scene = Scene::new();
    let (id, hash) = {
        let log = scene.log.lock().unwrap();
        (log.id(3).to_string(), log.id(3).leaf_hash.to_string())
    };
    let ways = [
        format!("--api v1 {}", OFFSET + 3),
        format!("--uuid {id}"),
        format!("--uuid {hash}"),
        format!("--api v1 --uuid {}", id.to_uppercase()),
    ];
    for way in &ways {
        for trust in ["--trusted-root root", "--log-key log.pub"] {
            // The fixture reads lower-case ids only, as the protocol does both.
            let way = way.to_lowercase();
            let json = scene.json(0, &format!("get {trust} {way}"));
            assert_eq!((&json["entryId"], &json["treeIndex"]), (&json!(id), &json!(3)));
        }
        let way = way.to_lowercase();
        assert!(scene.expect(0, &format!("get {way}")).contains("kind       hashedrekord 0.0.1"));
        scene.expect(1, &format!("get --trusted-root other-root {way}"));
        scene.expect(1, &format!("get --trusted-root v2-root {way}"));
        scene.expect(1, &format!("get --log-key other.pub {way}"));
    }
    for absent in ["--api v1 4", "--api v1 1005", &format!("--uuid {}", "00".repeat(32))] {
        scene.expect(1, &format!("get --log-key log.pub {absent}"));
    }
    let vkey = TestLog::new("localhost").key();
    for usage in [
        "--uuid abc".to_owned(),
        format!("--uuid {id} 3"),
        format!("--log rekor-v1 --uuid {id}"),
        "--log-key log.pub 3".to_owned(),
        format!("--api v1 --log-vkey {vkey} 3"),
        "--api v1".to_owned(),
    ] {
        scene.expect(2, &format!("get {usage}"));
    }
    let log = Arc::clone(&scene.log);
    scene.set(move |asked, told| {
        let other = log.lock().unwrap().answer(2).to_string().into_bytes();
        if asked.line.contains("/entries") { (200, None, other) } else { told }
    });
    for way in &ways {
        scene.expect(1, &format!("get --log-key log.pub {}", way.to_lowercase()));
    }
    scene.set(|_, _| (500, None, b"broken".to_vec()));
    scene.expect(3, &format!("get --log-key log.pub {}", ways[0]));
    scene.expect(3, &format!("get {}", ways[0]));
    scene.set(|_, _| (200, None, b"not a key".to_vec()));
    scene.expect(1, &format!("get {}", ways[0]));
}

/// Entries about `FILE`, each with a key of its own.
fn log_the_file(scene: &Scene, count: usize) {
    for _ in 0..count {
        let signer = crate::fixture::signer(log_cli::signer::KeyAlgorithm::P256);
        let body = crate::v1_fixture::hashed_rekord_body(&signer, crate::fixture::FILE);
        scene.log.lock().unwrap().add(body);
    }
}

#[test]
fn a_search_finds_what_the_log_names_and_verifies_it() {
    let scene = Scene::new();
    let search = "search --artifact file --log-key log.pub";
    assert_eq!(scene.expect(1, search), "");
    log_the_file(&scene, 25);
    let found = scene.expect(0, search);
    assert_eq!(found.lines().count(), 25);
    let first = found.lines().next().unwrap();
    let index = format!("{}  2026-", OFFSET + 5);
    assert!(first.starts_with(&index) && first.contains("  hashedrekord  key SHA-256 "), "{first}");
    assert!(first.ends_with(&scene.log.lock().unwrap().id(5).to_string()));
    let json = scene.json(0, search);
    assert_eq!(json["entries"].as_array().unwrap().len(), 25);
    assert_eq!((&json["mayHaveMore"], &json["complete"]), (&json!(false), &json!(false)));
    let json = scene.json(0, &format!("{search} --limit 12"));
    assert_eq!(json["entries"].as_array().unwrap().len(), 12);
    assert_eq!(json["mayHaveMore"], true);
    let json = scene.json(0, &format!("{search} --limit 25"));
    assert_eq!(json["mayHaveMore"], false);
    assert_eq!(json["entries"][0]["shownByItself"], true);
    let hash = json["entries"][0]["digest"].as_str().unwrap();
    scene.expect(0, &format!("search --hash {hash} --trusted-root root"));
    scene.expect(1, &format!("search --hash {} --trusted-root root", "00".repeat(32)));
    assert_eq!(scene.json(0, "search --artifact file")["keyFrom"], "log");
    for usage in [
        "search --log-key log.pub",
        "search --artifact file --hash aa",
        "search --artifact file --limit 0",
        "search --format ssh --artifact file",
        "search --public-key key.pub --format gpg",
    ] {
        scene.expect(2, usage);
    }
}

#[test]
fn questions_are_put_as_the_protocol_says() {
    let scene = Scene::new();
    let questions = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&questions);
    scene.set(move |asked, _| {
        let question: Value = serde_json::from_slice(&asked.body).unwrap();
        kept.lock().unwrap().push(question);
        (200, None, b"[]".to_vec())
    });
    let key = fs::read(scene.place.path().join("key.pub")).unwrap();
    scene.expect(1, "search --log-key log.pub --email a@b.c --subject https://x --and");
    scene.expect(1, "search --log-key log.pub --public-key key.pub --format ssh --hash sha1:00");
    let questions = questions.lock().unwrap();
    let expected = [
        json!({ "operator": "and", "email": "a@b.c", "subject": "https://x", "limit": 101 }),
        json!({
            "operator": "or",
            "hash": "sha1:00",
            "limit": 101,
            "publicKey": { "format": "ssh", "content": base64(&key) },
        }),
    ];
    assert_eq!(*questions, expected);
}

#[test]
fn a_log_without_pages_and_one_that_runs_in_circles_come_to_an_end() {
    let scene = Scene::new();
    log_the_file(&scene, 30);
    let all: Vec<_> = {
        let log = scene.log.lock().unwrap();
        (5..35).map(|index| log.id(index).to_string()).collect()
    };
    let search = "search --artifact file --log-key log.pub";
    // All at once, whatever was asked for, some of it twice.
    let told = json!([all.clone(), all[..3].to_vec()].concat());
    scene.set_json("POST /api/v1/index", move |_| told.clone());
    assert_eq!(scene.json(0, search)["entries"].as_array().unwrap().len(), 30);
    let json = scene.json(0, &format!("{search} --limit 7"));
    assert_eq!(json["entries"].as_array().unwrap().len(), 7);
    assert_eq!(json["mayHaveMore"], true);
    // The same full page for ever.
    let page = json!(all[..8]);
    scene.set_json("POST /api/v1/index", move |_| page.clone());
    assert_eq!(scene.json(0, &format!("{search} --limit 7"))["mayHaveMore"], true);
    let one = json!(vec![all[0].clone(); 11]);
    scene.set_json("POST /api/v1/index", move |_| one.clone());
    let json = scene.json(0, &format!("{search} --limit 10"));
    assert_eq!(json["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_search_that_is_answered_wrongly_is_open() {
    let scene = Scene::new();
    log_the_file(&scene, 12);
    let search = "search --artifact file --log-key log.pub";
    scene.expect(0, search);
    let shapes = [json!({}), json!([1]), json!(["x"]), json!(["00".repeat(40)]), json!(null)];
    for shape in shapes {
        scene.set_json("POST /api/v1/index", move |_| shape.clone());
        scene.expect(3, search);
    }
    // An id that the log does not have.
    let unknown = format!("{:016x}{}", 4_711, "ab".repeat(32));
    scene.set_json("POST /api/v1/index", move |_| json!([unknown]));
    scene.expect(3, search);
    let lies: [fn(Value) -> Value; 6] = [
        |_| json!([]),
        |_| json!({}),
        |list| json!(list.as_array().unwrap().iter().rev().collect::<Vec<_>>()),
        |list| json!([list[0], list[0]]),
        |mut list| {
            member(&mut list[1])["integratedTime"] = json!(5);
            list
        },
        |mut list| {
            flip(&mut member(&mut list[1])["verification"]["inclusionProof"]["rootHash"]);
            list
        },
    ];
    for lie in lies {
        scene.set_json("POST /api/v1/log/entries/retrieve", lie);
        scene.expect(3, search);
    }
    // Entries of the log, but about something else: nothing in them says otherwise.
    let other = scene.log.lock().unwrap().id(2).to_string();
    scene.set_json("POST /api/v1/index", move |_| json!([other]));
    assert!(scene.expect(0, search).ends_with("(that it fits is the log's word)\n"));
    // The second group alone: what was verified before is shown all the same.
    scene.set_json("POST /api/v1/log/entries/retrieve", |list| {
        if list.as_array().unwrap().len() < 10 { json!([]) } else { list }
    });
    assert_eq!(scene.expect(3, search).lines().count(), 10);
    scene.set(|_, _| (400, None, b"{\"code\":400}".to_vec()));
    scene.expect(3, search);
    scene.set(|_, _| (200, None, vec![b' '; 17_000_000]));
    scene.expect(3, search);
    scene.set(|_, _| (200, None, b"not a key".to_vec()));
    scene.expect(3, "search --artifact file");
    scene.place.expect(3, "search --url http://localhost:1 --artifact file --log-key log.pub");
}

#[test]
fn entries_prepared_elsewhere_are_sent_as_they_are() {
    let scene = Scene::new();
    let signer = crate::fixture::signer(log_cli::signer::KeyAlgorithm::P256);
    let body = crate::v1_fixture::hashed_rekord_body(&signer, b"elsewhere");
    scene.place.write("entry", &body);
    let submit = "submit --api v1 --entry entry --log-key log.pub";
    let json = scene.json(0, &format!("{submit} --answer a"));
    assert_eq!(json["new"], true);
    assert_eq!(json["body"], base64(&body));
    assert!(scene.place.exists("a"));
    assert_eq!(scene.json(0, submit)["new"], false);
    // The log answers with another signature than the one that was sent.
    let log = Arc::clone(&scene.log);
    scene.set(move |asked, told| {
        let other = log.lock().unwrap().answer(2).to_string().into_bytes();
        if asked.line == "POST /api/v1/log/entries" { (201, None, other) } else { told }
    });
    scene.expect(1, submit);
    scene.place.write("entry", b"{");
    scene.expect(3, submit);
    for usage in [
        "submit --api v1 --key key file",
        "submit --api v1 --entry entry --key key",
        "submit --api v1 --entry entry --bundle b",
        "submit --api v1 --kind rekord --key key --bundle b file",
        "submit --api v1 --kind intoto --key key --legacy-bundle b file",
        "submit --api v1 --key key --bundle b --tlog-proof p file",
        "submit --api v1 --bundle b file",
        "submit --api v1 --key key --bundle b",
        "submit --kind dsse --key key --bundle b file",
        "submit --entry entry",
        "submit --key key file",
        "submit --key key --bundle b",
    ] {
        scene.expect(2, usage);
    }
}
