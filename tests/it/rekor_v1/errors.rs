//! Every failure that a client can cause, with its status, its number and its words. None is 5xx.

use super::*;

const VERSION_PATTERN: &str = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)";

#[test]
fn paths_and_methods_that_are_not_there() {
    let scene = Scene::of(0);
    let mut connection = scene.connect();
    for (what, method, path, allowed) in [
        ("create and read", "PUT", ENTRIES, "GET,POST"),
        ("reads only", "DELETE", LOG, "GET"),
        ("an entry is read only", "POST", "/api/v1/log/entries/00", "GET"),
        ("a search is sent", "GET", SEARCH, "POST"),
        ("a list is sent", "PATCH", RETRIEVE, "GET,POST"),
        ("no browser asks", "OPTIONS", LOG, "GET"),
    ] {
        let message = format!("method {method} is not allowed, but [{allowed}] are");
        let row = refusal(what, Request::new(method, path), 405, &message);
        assert_eq!(row.check(&mut connection).header("allow"), Some(allowed), "{what}");
    }
    for path in ["/api/v1/x", "/api/v1/log/entries/a/b", "/api/v1/&%22"] {
        let message = format!("path {path} was not found");
        refusal("no such path", Request::get(path), 404, &message).check(&mut connection);
    }
    // Unlike a GET, a HEAD says nothing of its error but its status.
    let head = connection.send(&Request::new("HEAD", LOG)).expect(405);
    assert_eq!(head.header("allow"), Some("GET"));
}

#[test]
fn types_that_are_not_taken_or_not_there() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let octets = "unsupported media type \"application/octet-stream\", only [application/json] \
                  are allowed";
    let text = "unsupported media type \"text/plain\", only [application/json] are allowed";
    for path in [ENTRIES, RETRIEVE, SEARCH] {
        let typed = |kind: &str| Request::post(path, "{}").header("content-type", kind);
        for row in [
            refusal("no type", Request::post(path, "{}"), 415, octets),
            refusal("text", typed("text/plain"), 415, text),
            refusal("text with a parameter", typed("Text/Plain; charset=utf-8"), 415, text),
        ] {
            row.check(&mut connection);
        }
    }
    let none = "unsupported media type requested, only [application/json] are available";
    for path in [LOG, &format!("{PROOF}?lastSize=1"), &format!("{ENTRIES}?logIndex=0")] {
        let html = Request::get(path).header("accept", "text/html");
        refusal("HTML", html, 406, none).check(&mut connection);
        let any = Request::get(path).header("accept", "text/html, */*;q=0.1");
        connection.send(&any).expect(200);
    }
    // What a client would like to have does not keep its entry out.
    let submission = SubmissionMakerV1::new().hashedrekord();
    let request = Request::post(ENTRIES, submission.request.as_bytes())
        .header("content-type", "Application/JSON; charset=utf-8")
        .header("accept", "text/html");
    scene.log.verify(&connection.send(&request).expect(201).json());
}

#[test]
fn bodies_that_are_no_json() {
    let scene = Scene::of(0);
    let mut connection = scene.connect();
    let deep = "[".repeat(10_001);
    for (body, message) in [
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{\"kind\" 7}", "invalid character '7' after object key"),
        ("{", "unexpected EOF"),
        (&deep, "invalid character '[' exceeded max depth"),
        (&deep.replace('[', "{\"a\":"), "invalid character '{' exceeded max depth"),
    ] {
        refusal("an entry", post(ENTRIES, body), 400, message).check(&mut connection);
        for (path, name) in [(RETRIEVE, "entry"), (SEARCH, "query")] {
            let message = format!("parsing {name} body from \"\" failed, because {message}");
            refusal(name, post(path, body), 400, &message).check(&mut connection);
        }
    }
    for body in ["", " \n\t"] {
        let message = "proposedEntry in body is required";
        invalid("no entry", post(ENTRIES, body), 602, message).check(&mut connection);
        for (path, message) in
            [(RETRIEVE, "entry in body is required"), (SEARCH, "query in body is required")]
        {
            invalid("no list", post(path, body), 602, message).check(&mut connection);
        }
    }
    // A body that is not there has no type either.
    let nothing = Request::new("POST", ENTRIES);
    invalid("nothing at all", nothing, 602, "proposedEntry in body is required")
        .check(&mut connection);
    for (path, name) in [(RETRIEVE, "entry"), (SEARCH, "query")] {
        let starts = "json: cannot unmarshal array into Go value of type models.Search";
        let message = format!("parsing {name} body from \"\" failed, because {starts}");
        let refused = connection.send(&post(path, "[]")).expect(400);
        assert!(refused.json()["message"].as_str().expect("text").starts_with(&message));
    }
}

#[test]
fn entries_that_are_refused_before_they_are_verified() {
    let scene = Scene::of(0);
    let mut connection = scene.connect();
    let entry = |kind: &str, version: &str, spec: &str| {
        post(ENTRIES, &format!(r#"{{"kind":{kind},"apiVersion":{version},"spec":{spec}}}"#))
    };
    for row in [
        refusal(
            "unknown kind",
            entry("\"foo\"", "\"0.0.1\"", "{}"),
            422,
            "invalid kind value: \"foo\"",
        ),
        invalid("no kind", entry("null", "\"0.0.1\"", "{}"), 602, "kind in body is required"),
        invalid("an empty kind", entry("\"\"", "\"0.0.1\"", "{}"), 602, "kind in body is required"),
        invalid(
            "no version",
            entry("\"dsse\"", "null", "{}"),
            602,
            "apiVersion in body is required",
        ),
        invalid("no spec", entry("\"dsse\"", "\"0.0.1\"", "null"), 602, "spec in body is required"),
        row(
            "no such version can be",
            entry("\"dsse\"", "\"1\"", "{}"),
            422,
            Answer::Like(Box::new(|body| {
                assert_eq!(body["code"], 605);
                let message = body["message"].as_str().expect("a message");
                let start = format!("apiVersion in body should match '{VERSION_PATTERN}");
                assert!(message.starts_with(&start), "{message}");
            })),
        ),
        refusal(
            "unknown version",
            entry("\"dsse\"", "\"0.0.9\"", "{}"),
            400,
            "error processing entry: dsse implementation for version '0.0.9' not found: unable \
             to locate entry for version 0.0.9",
        ),
        refusal(
            "a kind that is off",
            entry("\"alpine\"", "\"0.0.1\"", "{}"),
            400,
            "error processing entry: entry kind 'alpine' is not enabled for submission on this \
             server",
        ),
        refusal(
            "an empty spec",
            entry("\"hashedrekord\"", "\"0.0.1\"", "{}"),
            400,
            "error processing entry: validation failure list:\ndata in body is required\n\
             signature in body is required",
        ),
        row(
            "a kind of another type",
            entry("7", "\"0.0.1\"", "{}"),
            400,
            Answer::Starts(400, "json: cannot unmarshal number into Go "),
        ),
    ] {
        row.check(&mut connection);
    }
}

#[test]
fn entries_that_do_not_verify() {
    let scene = Scene::of(0);
    let mut connection = scene.connect();
    let good: Value =
        serde_json::from_str(&SubmissionMakerV1::new().hashedrekord().request).expect("JSON");
    let changed = |pointer: &str, value: Value| {
        let mut entry = good.clone();
        *entry.pointer_mut(pointer).expect("a member") = value;
        post(ENTRIES, &entry.to_string())
    };
    for (row, prefix) in [
        (
            ("another digest", changed("/spec/data/hash/value", "0".repeat(64).into())),
            "error processing entry: verifying signature: ",
        ),
        (
            ("a short digest", changed("/spec/data/hash/value", "0".repeat(63).into())),
            "error processing entry: invalid value for hash",
        ),
        (
            ("no base64", changed("/spec/signature/content", "?".into())),
            "error processing entry: failed parsing base64 data for signature content: ",
        ),
        (
            ("no PEM", changed("/spec/signature/publicKey/content", "Y2Fpcm4=".into())),
            "error processing entry: invalid public key: failure decoding PEM",
        ),
        (
            ("another hash function", changed("/spec/data/hash/algorithm", "sha384".into())),
            "error processing entry: invalid value for hash",
        ),
        (
            ("no signature", changed("/spec/signature/content", Value::Null)),
            "error processing entry: ",
        ),
    ] {
        let (what, request) = row;
        super::row(what, request, 400, Answer::Starts(400, prefix)).check(&mut connection);
    }
    // Nothing of it got in.
    assert_eq!(connection.send(&Request::get(LOG)).expect(200).json()["treeSize"], 0);
}

#[test]
fn lists_that_ask_for_too_much() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let id = scene.leaf_hash(0).to_owned();
    let eleven: Vec<u64> = (0..11).collect();
    let list = |body: Value| post(RETRIEVE, &body.to_string());
    for row in [
        invalid(
            "eleven indices",
            list(json!({ "logIndexes": eleven })),
            611,
            "logIndexes in body should have at most 10 items",
        ),
        invalid(
            "eleven ids",
            list(json!({ "entryUUIDs": vec![id.clone(); 11] })),
            611,
            "entryUUIDs in body should have at most 10 items",
        ),
        invalid(
            "eleven entries",
            list(json!({ "entries": vec![json!({}); 11] })),
            611,
            "entries in body should have at most 10 items",
        ),
        invalid(
            "an empty list of indices",
            list(json!({ "logIndexes": [] })),
            612,
            "logIndexes in body should have at least 1 items",
        ),
        invalid(
            "an empty list of ids",
            list(json!({ "entryUUIDs": [] })),
            612,
            "entryUUIDs in body should have at least 1 items",
        ),
        refusal(
            "eleven in all",
            list(json!({ "logIndexes": [0, 0, 0, 0, 0, 0], "entryUUIDs": vec![id.clone(); 5] })),
            422,
            "more than max allowed 10 entries in request",
        ),
    ] {
        row.check(&mut connection);
    }
}

#[test]
fn lists_that_ask_for_nonsense() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let id = scene.leaf_hash(0).to_owned();
    let list = |body: Value| post(RETRIEVE, &body.to_string());
    let unread = "parsing entry body from \"\" failed, because ";
    for row in [
        invalid(
            "an index below 0",
            list(json!({ "logIndexes": [0, -1] })),
            609,
            "logIndexes.1 in body should be greater than or equal to 0",
        ),
        invalid(
            "no index",
            list(json!({ "logIndexes": [null] })),
            602,
            "logIndexes.0 in body is required",
        ),
        invalid(
            "no id",
            list(json!({ "entryUUIDs": [id, "x"] })),
            605,
            &format!("entryUUIDs.1 in body should match '{ID_PATTERN}'"),
        ),
        refusal(
            "an id of no tree",
            list(json!({ "entryUUIDs": [format!("{}{id}", "0".repeat(16))] })),
            400,
            &format!("invalid entryID {}{id}", "0".repeat(16)),
        ),
        row(
            "an index in quotes",
            list(json!({ "logIndexes": ["0"] })),
            400,
            Answer::Starts(400, "parsing entry body from \"\" failed, because json: cannot "),
        ),
        refusal(
            "an unknown kind",
            list(json!({ "entries": [{ "kind": "foo", "apiVersion": "0.0.1", "spec": {} }] })),
            400,
            &format!("{unread}invalid kind value: \"foo\""),
        ),
        invalid(
            "no version",
            list(json!({ "entries": [{ "kind": "dsse", "spec": {} }] })),
            602,
            "entries.0.apiVersion in body is required",
        ),
        row(
            "an entry that does not hold",
            list(json!({ "entries": [{ "kind": "hashedrekord", "apiVersion": "0.0.1",
                "spec": {} }] })),
            400,
            Answer::Starts(400, "validation failure list:\ndata in body is required"),
        ),
    ] {
        row.check(&mut connection);
    }
}

#[test]
fn searches_for_nonsense() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let search = |body: Value| post(SEARCH, &body.to_string());
    let hash = "^(sha512:)?[0-9a-fA-F]{128}$|^(sha256:)?[0-9a-fA-F]{64}$|^(sha1:)?[0-9a-fA-F]{40}$";
    let hash = format!("hash in body should match '{hash}'");
    for row in [
        invalid("a short digest", search(json!({ "hash": "ab" })), 605, &hash),
        invalid(
            "a hash function that is not searched",
            search(json!({ "hash": format!("sha384:{}", "a".repeat(96)) })),
            605,
            &hash,
        ),
        invalid(
            "no address",
            search(json!({ "email": "nobody" })),
            601,
            "email in body must be of type email: \"nobody\"",
        ),
        invalid(
            "an operator that there is not",
            search(json!({ "operator": "xor" })),
            606,
            "operator in body should be one of [and or]",
        ),
        invalid(
            "too long a subject",
            search(json!({ "subject": "s".repeat(513) })),
            603,
            "subject in body should be at most 512 chars long",
        ),
        invalid(
            "too short a page",
            search(json!({ "limit": 0 })),
            609,
            "limit in body should be greater than or equal to 1",
        ),
        invalid(
            "too long a page",
            search(json!({ "limit": 1001 })),
            608,
            "limit in body should be less than or equal to 1000",
        ),
        invalid(
            "no id",
            search(json!({ "after": "x" })),
            605,
            "after in body should match '^[0-9a-fA-F]{80}$'",
        ),
    ] {
        row.check(&mut connection);
    }
}

#[test]
fn searches_for_what_is_no_key() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let search = |body: Value| post(SEARCH, &body.to_string());
    let key = |format: &str, content: &str| {
        search(json!({ "publicKey": { "format": format, "content": content } }))
    };
    for row in [
        invalid(
            "a format that there is not",
            key("pkcs7", "Y2Fpcm4="),
            606,
            "publicKey.publicKey.format in body should be one of [pgp x509 minisign ssh tuf]",
        ),
        invalid(
            "no format",
            search(json!({ "publicKey": { "content": "Y2Fpcm4=" } })),
            602,
            "publicKey.publicKey.format in body is required",
        ),
        refusal("no key", key("x509", "Y2Fpcm4="), 400, "public key provided could not be parsed"),
        refusal("an empty key", key("ssh", ""), 400, "public key provided could not be parsed"),
        // A key is never fetched.
        refusal(
            "a key elsewhere",
            search(json!({ "publicKey": { "format": "x509", "url": "http://127.0.0.1:1/key" } })),
            400,
            "public key provided could not be parsed",
        ),
        refusal(
            "no base64",
            key("x509", "?"),
            400,
            "parsing query body from \"\" failed, because illegal base64 data at input byte 0",
        ),
    ] {
        row.check(&mut connection);
    }
}
