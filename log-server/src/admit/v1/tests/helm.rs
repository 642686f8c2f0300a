//! `helm`: provenance files that are damaged or signed by others.

use serde_json::{Value, json};

use super::openpgp::{Claims, Key};
use super::{admitted, body, case, changed, check_changes, decode, encode, list, reason};

const CONTENT: &str = "/spec/chart/provenance/content";

/// A provenance file with this text, of which the last line end is not signed.
fn signed(key: &Key, text: &str) -> Value {
    let lines = text.strip_suffix('\n').unwrap().replace('\n', "\r\n");
    let signature = key.sign(&Claims::of(1), lines.as_bytes());
    let signature = encode(signature);
    let file = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}-----BEGIN PGP SIGNATURE-----\
         \n\n{}\n-----END PGP SIGNATURE-----\n",
        signature.as_str().unwrap()
    );
    json!({ "apiVersion": "0.0.1", "kind": "helm", "spec": {
        "chart": { "provenance": { "content": encode(file) } },
        "publicKey": { "content": encode(key.published()) },
    } })
}

fn files(digests: &str) -> String {
    format!("name: x\n\n...\nfiles:\n{digests}")
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let required = |name: &str| list(&format!("{name} in body is required"));
    check_changes(
        &case("helm"),
        &[
            ("/spec/chart", None, &required("chart")),
            ("/spec/chart", Some(json!({})), &required("chart.chart.provenance")),
            ("/spec/publicKey", Some(json!([])), &required("publicKey")),
            ("/spec/publicKey", Some(json!({})), &required("publicKey.publicKey.content")),
            (
                "/spec/chart/provenance",
                Some(json!({})),
                "'content' must be specified for provenance",
            ),
            (
                "/spec/chart/provenance",
                Some(json!({ "signature": { "content": "AAAA" } })),
                "entry not insertable into log: missing provenance content",
            ),
            (CONTENT, Some(json!("AAAA")), "unable to decode provenance file"),
            (
                CONTENT,
                Some(json!("!")),
                "failed parsing base64 data for provenance content: illegal base64 data at input \
                 byte 0",
            ),
            ("/spec/publicKey/content", Some(json!("AAAA")), "unable to read PGP public key: EOF"),
            (
                "/spec/publicKey/content",
                Some(encode(Key::new(1).published())),
                "openpgp: signature made by unknown entity",
            ),
        ],
    );
}

#[test]
fn the_digest_of_the_first_file_is_kept() {
    let key = Key::new(1);
    let (one, two) = ("1".repeat(64), "2".repeat(64));
    let text = files(&format!("  b.tgz: sha256:{one}\n  a.tgz: sha256:{two}\n"));
    let made = body(&signed(&key, &text));
    assert_eq!(made["spec"]["chart"]["hash"], json!({ "algorithm": "sha256", "value": one }));
    let keys = admitted(&signed(&key, &text)).index_keys;
    assert_eq!(keys[1..3], ["one@vectors.test".to_owned(), format!("sha256:{one}")]);
    for (text, expected) in [
        (files("  a: sha512:00\n"), "Invalid hash found in Provenance file"),
        (
            files(&format!("  a: sha256:{}\n", "A".repeat(64))),
            "Invalid hash found in Provenance file",
        ),
        (files("  a: 1\n"), "Invalid hash found in Provenance file"),
        (files(""), "No checksums found"),
        (
            "name: x\n".into(),
            "error parsing provenance file: message block must have at least two parts",
        ),
        (
            "x\n...\n- a\n".into(),
            "error parsing provenance file: error occurred parsing SumCollection",
        ),
        (format!("{}\n", "x".repeat(1 << 20)), "provenance file is longer than 1 MiB"),
    ] {
        assert_eq!(reason(&signed(&key, &text)).to_string(), expected);
    }
}

#[test]
fn no_cut_and_no_changed_byte_of_the_text_does_harm() {
    let request = case("helm");
    let expected = admitted(&request).leaf;
    let whole = decode(&request["spec"]["chart"]["provenance"]["content"]);
    let with = |bytes: &[u8]| changed(request.clone(), CONTENT, Some(encode(bytes)));
    // Line ends, white space at the ends of lines and text around it are not signed.
    let text = String::from_utf8(whole.clone()).unwrap();
    for same in [text.replace('\n', "\r\n"), format!("before\n{text}behind")] {
        assert_eq!(admitted(&with(same.as_bytes())).leaf, expected);
    }
    let signature = text.find("-----BEGIN PGP SIGNATURE").unwrap();
    for end in 0..whole.len() - "-----\n".len() {
        if end > 0 {
            reason(&with(&whole[..end]));
        }
    }
    let start = text.find("\n\n").unwrap() + 2;
    for at in start..signature - 1 {
        let mut other = whole.clone();
        other[at] ^= 1;
        reason(&with(&other));
    }
}
