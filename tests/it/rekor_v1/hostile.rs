//! Input that nobody sends in good faith. Each is a client's fault and named so; none reaches
//! another request.

use super::*;

/// A number with more digits than any type here has.
const HUGE: &str = "99999999999999999999999999999999";

#[test]
fn odd_texts_in_paths_and_queries_are_no_ids() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let id = scene.entries[0].id.clone();
    for odd in [
        "'%20OR%201=1%20--",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "%ff%fe",
        "%",
        "%zz",
        "%F0%9F%A6%80",
        &id[..79],
        &format!("{id}0"),
        &id[..63],
        &format!("{}%20", &id[16..]),
        &"a".repeat(20_000),
    ] {
        let answer = connection.send(&Request::get(&below(ENTRIES, odd))).expect(422);
        assert_eq!(answer.json()["code"], 605, "{odd}");
    }
    for odd in ["'%20OR%201=1", "%00", "1%3BDROP%20TABLE", "1e3", "0x1", "1.0", "NaN", HUGE, "-0x1"]
    {
        for path in [format!("{ENTRIES}?logIndex={odd}"), format!("{PROOF}?lastSize={odd}")] {
            let answer = connection.send(&Request::get(&path));
            assert_eq!(answer.status, 422, "{path}: {}", answer.text());
        }
        let answer = connection.send(&Request::get(&format!("{PUBLIC_KEY}?treeID={odd}")));
        assert!([400, 422].contains(&answer.status), "{odd}: {}", answer.text());
    }
    // An id as a browser might escape it is still that id.
    let escaped: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = connection.send(&Request::get(&below(ENTRIES, &escaped))).expect(200);
    assert_eq!(scene.log.verify(&answer.json()).id, id);
    scene.assert_goes_on();
}

#[test]
fn bodies_made_to_confuse_are_refused_or_read_as_they_always_were() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let id = scene.leaf_hash(0).to_owned();
    for (path, body, status) in [
        // Of duplicates the last counts.
        (RETRIEVE, r#"{"logIndexes":[5],"logIndexes":[0]}"#.to_owned(), 200),
        (RETRIEVE, format!(r#"{{"entryUUIDs":["x"],"ENTRYUUIDS":["{id}"]}}"#), 200),
        (SEARCH, r#"{"operator":"xor","operator":"or"}"#.to_owned(), 200),
        (SEARCH, r#"{"operator":"or","operator":"xor"}"#.to_owned(), 422),
        (RETRIEVE, format!(r#"{{"logIndexes":[{HUGE}]}}"#), 400),
        (RETRIEVE, r#"{"logIndexes":[1e400]}"#.to_owned(), 400),
        (RETRIEVE, r#"{"logIndexes":{"0":1}}"#.to_owned(), 400),
        (RETRIEVE, r#"{"entryUUIDs":[["x"]]}"#.to_owned(), 400),
        (RETRIEVE, r#"{"entries":[[]]}"#.to_owned(), 400),
        (RETRIEVE, format!(r#"{{"entries":[{}]}}"#, "{},".repeat(1_000_000) + "{}"), 422),
        (SEARCH, format!(r#"{{"limit":{HUGE}}}"#), 400),
        (SEARCH, r#"{"email":["a@b"]}"#.to_owned(), 400),
        (SEARCH, r#"{"publicKey":"x"}"#.to_owned(), 400),
        (SEARCH, format!(r#"{{"subject":"{}"}}"#, "\u{1f980}".repeat(512)), 200),
        (SEARCH, format!(r#"{{"subject":"{}"}}"#, "\u{1f980}".repeat(513)), 422),
        (SEARCH, r#"{"subject":"\ud800 \u0000 ' OR 1=1 --"}"#.to_owned(), 200),
        (SEARCH, r#"{"hash":"%' OR 1=1 --"}"#.to_owned(), 422),
        (SEARCH, "\u{feff}{}".to_owned(), 400),
        (ENTRIES, r#"{"kind":"dsse","kind":"foo"}"#.to_owned(), 422),
        (ENTRIES, format!(r#"{{"kind":"{}"}}"#, "k".repeat(1_000_000)), 422),
        (ENTRIES, format!("{{{}", r#""a":{"#.repeat(9_000)), 400),
    ] {
        let answer = connection.send(&post(path, &body));
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        assert!(answer.body.len() < 10_000, "{shown}: the request comes back");
        assert_canonical(&answer);
    }
    for bytes in [&b"\xff\xfe{\0}\0"[..], b"\x1f\x8b\x08\0", b"{\"email\":\"\xff", b"\0"] {
        for path in [ENTRIES, RETRIEVE, SEARCH] {
            let request = Request::post(path, bytes).header("content-type", "application/json");
            let answer = connection.send(&request);
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.text());
        }
    }
    scene.assert_goes_on();
}

#[test]
fn other_protocols_and_other_logs_keep_their_paths() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    // The same id under the other protocol, and the other way round.
    connection.send(&Request::get("/api/v2/log/entries?logIndex=0")).expect(405);
    connection.send(&Request::get("/api/v2/checkpoint")).expect(200);
    let note = connection.send(&Request::get("/logs/rekor-v1/checkpoint")).expect(200);
    let read = connection.send(&Request::get(LOG)).expect(200).json();
    let v1 = read["signedTreeHead"].as_str().expect("a note");
    let (tiles, own) = (note.text(), v1);
    // The same text under both; on the tiles face there is a line for witnesses as well.
    let text = |note: &str| note.split("\n\n").next().map(str::to_owned);
    assert_eq!(text(tiles), text(own));
    assert!(tiles.starts_with(own.trim_end()), "{tiles}\n{own}");
    assert_eq!(tiles.lines().count(), own.lines().count() + 1, "{tiles}");
    let logs = connection.send(&Request::get("/logs")).expect(200).json();
    let logs = logs["logs"].as_array().expect("logs");
    let row = logs.iter().find(|log| log["name"] == NAME).expect("the log");
    assert_eq!(row["personality"], "rekor-v1");
    assert_eq!(row["origin"], scene.log.origin().as_str());
    let vkeys = row["vkeys"].as_array().expect("keys");
    assert_eq!(vkeys.len(), 2, "its own key and the one for witnesses");
    assert_eq!(vkeys[0], scene.log.key().to_string());
}
