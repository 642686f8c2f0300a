//! Reads: content types, caching, compression, partial tiles of old sizes, nothing beyond the
//! published size.

use std::io::Read;

use log_core::{EntryBundle, TILE_WIDTH, hash_leaf};
use log_tests::{DataDir, Request, Response, ServerProcess, SubmissionMaker, check_log};

/// One full tile and a partial one beside it.
const LEAVES: u64 = 300;

/// A raw log of `LEAVES` leaves that say their index.
fn filled() -> (DataDir, ServerProcess) {
    let mut dir = DataDir::init("localhost");
    dir.add_log("raw", "raw", None);
    let server = dir.start();
    let mut connection = server.connect();
    for index in 0..LEAVES {
        let added = connection.send(&Request::post("/logs/raw/add", leaf(index))).expect(200);
        assert_eq!(added.text(), index.to_string());
    }
    (dir, server)
}

fn leaf(index: u64) -> String {
    format!("leaf number {index}")
}

#[test]
fn every_tile_below_the_size_is_served_and_nothing_beyond_it() {
    let (dir, server) = filled();
    let log = check_log(&format!("{}/logs/raw", server.url()), dir.key("raw"));
    assert_eq!(log.head.size.get(), LEAVES);
    let mut connection = server.connect();
    let mut get = |path: &str| connection.send(&Request::get(&format!("/logs/raw/tile/{path}")));

    // Tiles of old sizes, below a tile that is full by now.
    let full = get("0/000").expect(200).body;
    let full_bundle = get("entries/000").expect(200).body;
    assert_eq!((full.len(), entries(&full_bundle, 256).len()), (8192, 256));
    for width in 1..TILE_WIDTH {
        let partial = get(&format!("0/000.p/{width}")).expect(200).body;
        assert_eq!(partial, full[..partial.len()], "{width}");
        assert_eq!(partial.len() as u64, width * 32);
        let bundle = get(&format!("entries/000.p/{width}")).expect(200).body;
        assert_eq!(bundle, full_bundle[..bundle.len()], "{width}");
        let width = u16::try_from(width).expect("small");
        assert_eq!(entries(&bundle, width).len(), usize::from(width));
    }
    // The tile at the right edge, at every width that it had.
    for width in 1..=LEAVES - TILE_WIDTH {
        let partial = get(&format!("0/001.p/{width}")).expect(200).body;
        let last = hash_leaf(leaf(TILE_WIDTH + width - 1).as_bytes());
        assert_eq!(partial[partial.len() - 32..], *last.as_bytes(), "{width}");
    }
    get("1/000.p/1").expect(200);
    for beyond in [
        "0/001.p/45",
        "0/001.p/255",
        "0/001",
        "0/002.p/1",
        "0/002",
        "1/000.p/2",
        "1/000",
        "1/001.p/1",
        "2/000.p/1",
        "2/000",
        "63/000.p/1",
        "0/x999/999",
        "entries/001.p/45",
        "entries/001",
        "entries/002.p/1",
        "entries/x999/x999/999",
    ] {
        get(beyond).expect(404);
    }
}

#[test]
fn an_entry_comes_with_its_proof_and_none_beyond_the_size() {
    let (dir, server) = filled();
    let key = dir.key("raw");
    let origin = log_core::Origin::parse(key.name().as_str()).expect("an origin");
    for index in [0, 1, 255, 256, LEAVES - 1] {
        let entry = server.get(&format!("/logs/raw/entry/{index}")).expect(200);
        let proof = log_core::TlogProof::parse(&entry.body).expect("a tlog-proof");
        assert_eq!(proof.index.get(), index);
        let hash = hash_leaf(leaf(index).as_bytes());
        let signed = proof.verify(&hash, &origin, key).expect("it verifies");
        assert_eq!(signed.head().size.get(), LEAVES);
        proof.verify(&hash_leaf(b"another leaf"), &origin, key).expect_err("another leaf");
    }
    for index in ["300", "18446744073709551615", "99999999999999999999", "-1", "01", "", "x"] {
        server.get(&format!("/logs/raw/entry/{index}")).expect(404);
    }
}

#[test]
fn caches_are_told_what_changes_and_what_never_does() {
    let (_dir, server) = filled();
    let cache = |path: &str, status: u16| {
        let response = server.get(&format!("/logs/raw/{path}")).expect(status);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"), "{path}");
        response.header("cache-control").unwrap_or_default().to_owned()
    };
    for full in ["tile/0/000", "tile/entries/000"] {
        let cache = cache(full, 200);
        assert!(cache.contains("immutable") && max_age(&cache) > 86_400, "{full}: {cache}");
    }
    for partial in ["tile/0/001.p/44", "tile/entries/001.p/1", "tile/0/000.p/9"] {
        let cache = cache(partial, 200);
        assert!(!cache.contains("immutable") && max_age(&cache) <= 60, "{partial}: {cache}");
    }
    assert_eq!(max_age(&cache("checkpoint", 200)), 1);
    assert_eq!(max_age(&cache("tile/0/001", 404)), 1);
}

fn max_age(cache: &str) -> u64 {
    let age = cache.split(", ").find_map(|part| part.strip_prefix("max-age="));
    age.and_then(|age| age.parse().ok()).unwrap_or_else(|| panic!("{cache:?}"))
}

#[test]
fn a_checkpoint_has_a_tag_that_changes_with_it() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let ask = |tag: &str| server.send(&Request::get("/checkpoint").header("if-none-match", tag));
    let tag = server.get("/checkpoint").expect(200).header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
        let unchanged = ask(&known).expect(304);
        assert_eq!(unchanged.header("etag"), Some(tag.as_str()), "{known}");
        assert!(unchanged.body.is_empty());
    }
    ask("\"other\"").expect(200);
    server.submit(&SubmissionMaker::new().make().json()).expect(201);
    let changed = ask(&tag).expect(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
}

#[test]
fn answers_are_compressed_only_for_clients_that_ask() {
    let (_dir, server) = filled();
    let get = |path: &str, accepted: &str| {
        server.send(&Request::get(&format!("/logs/raw/{path}")).header("accept-encoding", accepted))
    };
    for path in ["tile/entries/000", "checkpoint"] {
        let plain = server.get(&format!("/logs/raw/{path}")).expect(200);
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        for unwilling in ["", "identity", "gzip;q=0", "br"] {
            assert_eq!(get(path, unwilling).expect(200).body, plain.body, "{path} {unwilling}");
        }
        let packed = get(path, "br, gzip").expect(200);
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(unpack(&packed), plain.body, "{path}");
        let vary = packed.header("vary").unwrap_or_default().to_ascii_lowercase();
        assert!(vary.contains("accept-encoding"), "{path}: {vary}");
    }
    // Hashes do not get any shorter.
    assert_eq!(get("tile/0/000", "gzip").expect(200).header("content-encoding"), None);
}

fn unpack(packed: &Response) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(packed.body.as_slice());
    decoder.read_to_end(&mut plain).expect("gzip");
    plain
}

#[test]
fn head_answers_like_get_without_the_body() {
    let (_dir, server) = filled();
    let mut connection = server.connect();
    let paths = ["checkpoint", "tile/0/000", "tile/entries/001.p/44", "entry/7", "tile/0/009"];
    for path in paths.map(|path| format!("/logs/raw/{path}")) {
        let get = connection.send(&Request::get(&path));
        let head = connection.send(&Request::new("HEAD", &path));
        assert_eq!(head.status, get.status, "{path}");
        for field in ["content-type", "content-length", "cache-control", "etag"] {
            assert_eq!(head.header(field), get.header(field), "{path} {field}");
        }
    }
}

#[test]
fn every_content_type_is_as_the_specifications_say() {
    let (_dir, server) = filled();
    for (path, kind) in [
        ("checkpoint", "text/plain; charset=utf-8"),
        ("tile/0/000", "application/octet-stream"),
        ("tile/0/001.p/3", "application/octet-stream"),
        ("tile/entries/000", "application/octet-stream"),
        ("entry/1", "text/plain; charset=utf-8"),
    ] {
        let response = server.get(&format!("/logs/raw/{path}")).expect(200);
        assert_eq!(response.header("content-type"), Some(kind), "{path}");
    }
}

fn entries(bundle: &[u8], width: u16) -> Vec<Vec<u8>> {
    let bundle = EntryBundle::parse(bundle, width).expect("a bundle of this width");
    bundle.entries().map(<[u8]>::to_vec).collect()
}
