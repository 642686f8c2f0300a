//! `tuf`: members, keys and roles of a root, signatures and thresholds, expiry.

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::super::search::{KeyFormat, public_key_key};
use super::super::{Refusal, create_entry};
use super::{admitted, body, case, changed, decode, encode, every_kind, list, now, reason};

const METADATA: &str = "/spec/metadata/content";
const ROOT: &str = "/spec/root/content";

/// Two keys in the root, two in the role of timestamps; each role needs both.
struct World {
    keys: [SigningKey; 3],
}

impl World {
    fn new() -> Self {
        Self { keys: [1, 2, 3].map(|seed| SigningKey::from_bytes(&[seed; 32])) }
    }

    fn key(&self, at: usize) -> Value {
        let public = hex(self.keys[at].verifying_key().as_bytes());
        json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } })
    }

    fn root_signed(&self) -> Value {
        json!({
            "_type": "root",
            "spec_version": "1.0.31",
            "version": 1,
            "expires": "2030-01-01T00:00:00Z",
            "keys": { "a": self.key(0), "b": self.key(1), "c": self.key(2) },
            "roles": {
                "root": { "keyids": ["a", "b"], "threshold": 2 },
                "timestamp": { "keyids": ["b", "c"], "threshold": 2 },
                "other": { "keyids": ["c"], "threshold": 1 },
            },
        })
    }

    /// Signs the compact form, which for these values is the canonical one.
    fn sign(&self, signed: &Value, keys: &[(&str, usize)]) -> Value {
        let message = signed.to_string();
        let signatures = keys.iter().map(|(id, at)| {
            json!({ "keyid": id, "sig": hex(&self.keys[*at].sign(message.as_bytes()).to_bytes()) })
        });
        json!({ "signatures": signatures.collect::<Vec<_>>(), "signed": signed })
    }

    fn root(&self) -> Value {
        self.sign(&self.root_signed(), &[("a", 0), ("b", 1)])
    }

    fn metadata(&self) -> Value {
        self.sign(&metadata_signed(), &[("b", 1), ("c", 2)])
    }
}

fn metadata_signed() -> Value {
    json!({ "_type": "timestamp", "version": 7, "expires": "2030-01-01T00:00:00Z", "meta": {} })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request(metadata: &Value, root: &Value) -> Value {
    let spec = json!({ "metadata": { "content": metadata }, "root": { "content": root } });
    json!({ "apiVersion": "0.0.1", "kind": "tuf", "spec": spec })
}

#[track_caller]
fn refusal(metadata: &Value, root: &Value) -> String {
    reason(&request(metadata, root)).to_string()
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let required = |name: &str| list(&format!("{name} in body is required"));
    let base64 = |name: &str| {
        format!("base64 decoding TUF {name} content: illegal base64 data at input byte 0")
    };
    let signed = "json: cannot unmarshal number into Go value of type data.Signed";
    for (pointer, value, expected) in [
        ("/spec", Some(json!({})), list("metadata in body is required\nroot in body is required")),
        ("/spec/metadata", Some(json!([])), required("metadata")),
        ("/spec/metadata", Some(json!({})), required("metadata.metadata.content")),
        (METADATA, Some(Value::Null), required("metadata.metadata.content")),
        ("/spec/root", None, required("root")),
        (ROOT, None, required("root.root.content")),
        (METADATA, Some(json!("!!")), base64("metadata")),
        (ROOT, Some(json!("!!")), base64("root")),
        (METADATA, Some(json!(1)), signed.into()),
        (ROOT, Some(json!(1)), signed.into()),
        (METADATA, Some(json!({})), "unexpected end of JSON input".into()),
        (METADATA, Some(json!("")), "unexpected end of JSON input".into()),
        (ROOT, Some(encode("{} x")), "invalid character 'x' after top-level value".into()),
        ("/spec/metadata/content/signatures", None, "tuf: data has no signatures".into()),
        (
            "/spec/metadata/content/signatures",
            Some(json!([])),
            "tuf: data has no signatures".into(),
        ),
        ("/spec/root/content/signatures", Some(Value::Null), "tuf: data has no signatures".into()),
        ("/spec/metadata/content/signed", Some(Value::Null), "tuf: unknown role \"\"".into()),
        ("/spec/metadata/content/signed/_type", Some(json!("x")), "tuf: unknown role \"x\"".into()),
        ("/spec/root/content/signed/roles", None, "tuf: unknown role \"root\"".into()),
        (
            "/spec/metadata/content/signed/expires",
            Some(json!("")),
            "tuf: a time that is not RFC 3339".into(),
        ),
        (
            "/spec/metadata/content/signed/version",
            Some(json!("1")),
            "json: cannot unmarshal string into Go struct field signedMeta.version of type int"
                .into(),
        ),
    ] {
        let refused = reason(&changed(case("tuf-timestamp"), pointer, value)).to_string();
        assert_eq!(refused, expected, "{pointer}");
    }
}

#[test]
fn metadata_and_root_may_come_in_either_form() {
    let world = World::new();
    let (metadata, root) = (world.metadata(), world.root());
    let expected = admitted(&request(&metadata, &root));
    let text = |value: &Value| encode(serde_json::to_string_pretty(value).unwrap());
    for (metadata, root) in
        [(&text(&metadata), &root), (&metadata, &text(&root)), (&text(&metadata), &text(&root))]
    {
        assert_eq!(admitted(&request(metadata, root)).leaf, expected.leaf);
    }
    let made = body(&request(&metadata, &root));
    assert_eq!(decode(&made["spec"]["root"]["content"]), root.to_string().into_bytes());
    assert_eq!(made["spec"]["spec_version"], "1.0.31");
    assert_eq!(expected.index_keys[1..3], ["timestamp", "7"]);
    // Found by the root; not by the metadata, which is no root.
    let key = |value: &Value| public_key_key(KeyFormat::Tuf, value.to_string().as_bytes(), now());
    assert_eq!(key(&root), Some(expected.index_keys[3].clone()));
    assert_eq!(key(&metadata), None);
}

#[test]
fn thresholds_count_different_keys_of_the_role() {
    let world = World::new();
    let root = world.root();
    let below = "tuf: valid signatures did not meet threshold";
    let signed = metadata_signed();
    for keys in [
        &[("b", 1)][..],
        &[("b", 1), ("b", 1)],
        &[("b", 1), ("a", 0)],
        &[("b", 1), ("c", 1)],
        &[("b", 1), ("x", 2)],
    ] {
        assert_eq!(refusal(&world.sign(&signed, keys), &root), below, "{keys:?}");
    }
    admitted(&request(&world.sign(&signed, &[("x", 0), ("c", 2), ("b", 0), ("b", 1)]), &root));
    // One key under two ids is one key.
    let twice = changed(world.root_signed(), "/keys/c", Some(world.key(1)));
    let twice = world.sign(&twice, &[("a", 0), ("b", 1)]);
    let metadata = world.sign(&signed, &[("b", 1), ("c", 1)]);
    assert_eq!(refusal(&metadata, &twice), below);
    // The root must be signed by itself.
    let half = world.sign(&world.root_signed(), &[("a", 0)]);
    assert_eq!(refusal(&world.metadata(), &half), below);
    let other = changed(root, "/signed/version", Some(json!(2)));
    assert_eq!(refusal(&world.metadata(), &other), below);
}

#[test]
fn a_role_signs_its_own_type() {
    let world = World::new();
    let sign = |kind: &str| {
        let signed = changed(metadata_signed(), "/_type", Some(kind.into()));
        world.sign(&signed, &[("b", 1), ("c", 2)])
    };
    assert_eq!(refusal(&sign("other"), &world.root()), "tuf: meta file has wrong type");
    assert_eq!(refusal(&sign("Timestamp"), &world.root()), "tuf: unknown role \"Timestamp\"");
    assert_eq!(refusal(&sign("snapshot"), &world.root()), "tuf: unknown role \"snapshot\"");
    let negative = changed(metadata_signed(), "/version", Some(json!(-1)));
    let negative = world.sign(&negative, &[("b", 1), ("c", 2)]);
    let expected = "version -1 is lower than current version 0";
    assert_eq!(refusal(&negative, &world.root()), expected);
}

#[test]
fn what_has_expired_is_refused_at_that_second() {
    let world = World::new();
    let with = |expires: Option<Value>| {
        let signed = changed(metadata_signed(), "/expires", expires);
        world.sign(&signed, &[("b", 1), ("c", 2)])
    };
    for (expires, expected) in [
        (Some(json!("2026-11-22T15:00:00Z")), "expired at 2026-11-22 15:00:00 +0000 UTC"),
        (Some(json!("2026-11-22T16:59:00+02:00")), "expired at 2026-11-22 16:59:00 +0200 +0200"),
        (None, "expired at 0001-01-01 00:00:00 +0000 UTC"),
    ] {
        assert_eq!(refusal(&with(expires), &world.root()), expected);
    }
    let last = with(Some(json!("2026-11-22T15:00:01Z")));
    admitted(&request(&last, &world.root()));
    let later = "2026-11-22T15:00:01Z".parse().unwrap();
    let text = request(&last, &world.root()).to_string();
    let refused = create_entry(text.as_bytes(), &every_kind(), later).unwrap_err();
    assert!(matches!(refused, Refusal::Entry(_)), "{refused}");
    let root = changed(world.root_signed(), "/expires", Some(json!("2020-01-01T00:00:00Z")));
    let root = world.sign(&root, &[("a", 0), ("b", 1)]);
    let expected = "expired at 2020-01-01 00:00:00 +0000 UTC";
    assert_eq!(refusal(&world.metadata(), &root), expected);
}

#[test]
fn keys_and_roles_that_are_none_are_refused() {
    let world = World::new();
    let with_key = |key: Value| {
        let root = changed(world.root_signed(), "/keys/a", Some(key));
        refusal(&world.metadata(), &world.sign(&root, &[("a", 0), ("b", 1)]))
    };
    let value =
        |kind: &str, public: &str| json!({ "keytype": kind, "keyval": { "public": public } });
    let invalid = |kind: &str| format!("tuf: error unmarshalling key: invalid {kind} public key");
    for (key, expected) in [
        (Value::Null, "invalid key".to_owned()),
        (json!(1), "invalid key".into()),
        (json!({}), "invalid key".into()),
        (json!({ "keytype": "x" }), "invalid key".into()),
        (json!({ "keytype": "ed25519" }), invalid("ed25519")),
        (value("ed25519", "zz"), invalid("ed25519")),
        (value("ed25519", "abc"), invalid("ed25519")),
        (value("ed25519", &"ab".repeat(31)), invalid("ed25519")),
        (value("ecdsa", &"04".repeat(65)), invalid("ecdsa")),
        (value("ecdsa", "text"), invalid("ecdsa")),
        (value("rsa", "text"), invalid("rsa")),
    ] {
        assert_eq!(with_key(key.clone()), expected, "{key}");
    }
    for threshold in [json!(0), json!(-1), Value::Null] {
        let root = changed(world.root_signed(), "/roles/other/threshold", Some(threshold));
        let root = world.sign(&root, &[("a", 0), ("b", 1)]);
        assert_eq!(refusal(&world.metadata(), &root), "tuf: invalid role threshold");
    }
}

#[test]
fn size_count_and_depth_are_bounded() {
    let world = World::new();
    let signature = json!({ "keyid": "b", "sig": "ab" });
    let many = |count: usize| {
        let signatures = vec![signature.clone(); count];
        json!({ "signatures": signatures, "signed": metadata_signed() })
    };
    let below = "tuf: valid signatures did not meet threshold";
    assert_eq!(refusal(&many(64), &world.root()), below);
    let refused = refusal(&many(65), &world.root());
    assert_eq!(refused, "tuf: data has more than 64 signatures");
    let long = changed(metadata_signed(), "/x", Some("x".repeat(600_000).into()));
    let refused = refusal(&world.sign(&long, &[("b", 1)]), &world.root());
    assert_eq!(refused, "tuf: metadata and root may each have 524288 bytes");
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let deep = changed(metadata_signed(), "/x", Some(deep));
    let refused = refusal(&world.sign(&deep, &[("b", 1), ("c", 2)]), &world.root());
    assert_eq!(refused, "tuf: metadata that has no canonical form");
    let fraction = changed(metadata_signed(), "/x", Some(json!(1.5)));
    assert_eq!(refusal(&world.sign(&fraction, &[("b", 1), ("c", 2)]), &world.root()), below);
    let large = changed(metadata_signed(), "/x", Some("x".repeat(60_000).into()));
    let refused = refusal(&world.sign(&large, &[("b", 1), ("c", 2)]), &world.root());
    assert_eq!(refused, "the canonical entry is longer than 65535 bytes");
}
