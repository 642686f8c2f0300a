//! `rfc3161`: answers of an authority that are damaged, refusals, too long ones.

use serde_json::{Value, json};

use super::{admitted, case, changed, decode, encode, list, reason};

const CONTENT: &str = "/spec/tsr/content";

fn requests() -> [Value; 2] {
    [case("rfc3161-rsa"), case("rfc3161-ecdsa")]
}

fn with(bytes: &[u8]) -> Value {
    changed(case("rfc3161-rsa"), CONTENT, Some(encode(bytes)))
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let tsr = list("tsr in body is required");
    let content = list("tsr.tsr.content in body is required");
    let byte_0 = "failed parsing base64 data for tsr content: illegal base64 data at input byte 0";
    for (pointer, value, expected) in [
        ("/spec", Some(json!({})), tsr.as_str()),
        ("/spec/tsr", Some(json!([])), &tsr),
        ("/spec/tsr", Some(Value::Null), &tsr),
        ("/spec/tsr", Some(json!({})), &content),
        (CONTENT, Some(json!(1)), &content),
        (CONTENT, Some(json!("")), &content),
        (CONTENT, Some(json!("!!")), byte_0),
    ] {
        let refused = reason(&changed(case("rfc3161-rsa"), pointer, value)).to_string();
        assert_eq!(refused, expected, "{pointer}");
    }
}

#[test]
fn only_answers_that_grant_are_taken() {
    let malformed = "asn1: structure error: not a time-stamp response";
    for (bytes, expected) in [
        (&b"\0"[..], malformed),
        (b"text", malformed),
        (b"\x30\x80\0\0", malformed),
        (b"\x30\0", malformed),
        (b"\x30\x02\x30\0", malformed),
        (b"\x30\x05\x30\x03\x02\x01\x02", "tsr status not granted: 2"),
        (b"\x30\x05\x30\x03\x02\x01\xff", "tsr status not granted: -1"),
        (b"\x30\x05\x30\x03\x02\x01\0", "tsr wrong content type: "),
        (b"\x30\x0b\x30\x03\x02\x01\0\x30\x04\x06\x02\x2a\x03", "tsr wrong content type: 1.2.3"),
    ] {
        assert_eq!(reason(&with(bytes)).to_string(), expected, "{bytes:02x?}");
    }
    let too_long = "tsr exceeds maximum allowed size (10kB)";
    assert_eq!(reason(&with(&[0x30; 10 * 1024 + 1])).to_string(), too_long);
    assert_eq!(reason(&with(&[0x30; 10 * 1024])).to_string(), malformed);
    assert_eq!(reason(&with(&[0x30, 0x84].repeat(5_000))).to_string(), malformed);
}

#[test]
fn bytes_behind_the_answer_are_logged_with_it() {
    for request in requests() {
        let tsr = decode(&request["spec"]["tsr"]["content"]);
        let longer = changed(request.clone(), CONTENT, Some(encode([&tsr[..], b"x"].concat())));
        assert_ne!(admitted(&longer).leaf, admitted(&request).leaf);
        assert_ne!(admitted(&longer).index_keys, admitted(&request).index_keys);
    }
}

#[test]
fn damaged_answers_are_refused_wherever_it_matters() {
    for request in requests() {
        let tsr = decode(&request["spec"]["tsr"]["content"]);
        for end in (0..tsr.len()).step_by(5) {
            let cut = changed(request.clone(), CONTENT, Some(encode(&tsr[..end])));
            reason(&cut);
        }
        let mut admitted = 0;
        for at in (0..tsr.len()).step_by(3) {
            let mut flipped = tsr.clone();
            flipped[at] ^= 1;
            let flipped = changed(request.clone(), CONTENT, Some(encode(flipped)));
            admitted += usize::from(super::submit(&flipped).is_ok());
        }
        // What nothing signs: most of the certificate, and the lists of algorithms.
        assert!(admitted < tsr.len() / 6, "{admitted} of a third of {}", tsr.len());
    }
}
