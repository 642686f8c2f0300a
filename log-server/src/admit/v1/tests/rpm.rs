//! `rpm`: packages that are damaged, unsigned, or signed in part.

use log_core::hash::sha256;
use serde_json::{Value, json};

use super::openpgp::{Claims, Key};
use super::{body, case, changed, check_changes, decode, encode, list, reason, submit};

const CONTENT: &str = "/spec/package/content";
const HEADER_SIGNATURE: u32 = 268;
const WHOLE_SIGNATURE: u32 = 1002;
const MD5: u32 = 1004;
const PAYLOAD: &[u8] = b"payload";

/// A tag: its number, its type, its value.
type Tag = (u32, u32, Vec<u8>);

fn text(number: u32, value: &str) -> Tag {
    (number, 6, [value.as_bytes(), b"\0"].concat())
}

fn header(tags: &[Tag]) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).unwrap().to_be_bytes();
    let (mut index, mut values) = (Vec::new(), Vec::new());
    for (number, kind, value) in tags {
        let count = if *kind == 7 { value.len() } else { 1 };
        let start = len(values.len());
        index.extend([number.to_be_bytes(), kind.to_be_bytes(), start, len(count)].concat());
        values.extend_from_slice(value);
    }
    let intro = [&[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0][..], &len(tags.len()), &len(values.len())];
    [&intro.concat(), &index, &values].map(Vec::as_slice).concat()
}

fn tags() -> Vec<Tag> {
    let names = [(1000, "name"), (1001, "1.0"), (1002, "2"), (1022, "noarch")];
    names.map(|(number, value)| text(number, value)).to_vec()
}

/// A package with this header, and signatures that a key makes of it.
fn package(tags: &[Tag], signatures: impl FnOnce(&[u8], &[u8]) -> Vec<Tag>) -> Vec<u8> {
    let header_bytes = header(tags);
    let whole = [&header_bytes[..], PAYLOAD].concat();
    let mut signatures = header(&signatures(&header_bytes, &whole));
    signatures.resize(signatures.len().next_multiple_of(8), 0);
    let lead = [&[0xed, 0xab, 0xee, 0xdb][..], &[0; 92]].concat();
    [lead, signatures, whole].concat()
}

fn request(key: &Key, package: &[u8]) -> Value {
    json!({ "apiVersion": "0.0.1", "kind": "rpm", "spec": {
        "package": { "content": encode(package) },
        "publicKey": { "content": encode(key.published()) },
    } })
}

fn signature(key: &Key, tag: u32, signed: &[u8]) -> Tag {
    (tag, 7, key.sign(&Claims::of(0), signed))
}

#[track_caller]
fn check_refused(request: &Value, expected: &str) {
    assert_eq!(reason(request).to_string(), expected);
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let required = |name: &str| list(&format!("{name} in body is required"));
    let byte_0 = "illegal base64 data at input byte 0";
    check_changes(
        &case("rpm"),
        &[
            (
                "/spec",
                Some(json!({})),
                &list("package in body is required\npublicKey in body is required"),
            ),
            ("/spec/package", None, &required("package")),
            ("/spec/publicKey", Some(json!(1)), &required("publicKey")),
            ("/spec/publicKey", Some(json!({})), &required("publicKey.publicKey.content")),
            ("/spec/package", Some(json!({})), "'content' must be specified for package"),
            (CONTENT, Some(json!("AAAA")), "file is not an RPM"),
            (
                CONTENT,
                Some(json!("!")),
                &format!("failed parsing base64 data for package content: {byte_0}"),
            ),
            (
                "/spec/publicKey/content",
                Some(json!("!")),
                &format!("failed parsing base64 data for public key content: {byte_0}"),
            ),
        ],
    );
}

#[test]
fn a_signature_of_either_sort_is_enough() {
    let key = Key::new(1);
    let expected = json!({
        "Architecture": "noarch", "Epoch": "0", "Name": "name", "Release": "2", "Version": "1.0",
    });
    let of_header = package(&tags(), |header, _| vec![signature(&key, HEADER_SIGNATURE, header)]);
    let of_whole = package(&tags(), |_, whole| vec![signature(&key, WHOLE_SIGNATURE, whole)]);
    for package in [of_header, of_whole] {
        assert_eq!(body(&request(&key, &package))["spec"]["package"]["headers"], expected);
    }
    let epoch = [tags(), vec![(1003, 4, vec![0, 0, 1, 0])]].concat();
    let of_header = package(&epoch, |header, _| vec![signature(&key, HEADER_SIGNATURE, header)]);
    assert_eq!(body(&request(&key, &of_header))["spec"]["package"]["headers"]["Epoch"], "256");
}

#[test]
fn every_signature_and_digest_must_hold() {
    let (key, other) = (Key::new(1), Key::new(2));
    let unsigned = package(&tags(), |_, _| Vec::new());
    check_refused(&request(&key, &unsigned), "no signatures detected in RPM package");
    let swapped = package(&tags(), |_, whole| vec![signature(&key, HEADER_SIGNATURE, whole)]);
    let tag = "openpgp: invalid signature: hash tag doesn't match";
    check_refused(&request(&key, &swapped), tag);
    let half = package(&tags(), |header, whole| {
        let stranger = signature(&other, WHOLE_SIGNATURE, whole);
        vec![signature(&key, HEADER_SIGNATURE, header), stranger]
    });
    check_refused(&request(&key, &half), "openpgp: signature made by unknown entity");
    let text_signature = package(&tags(), |_, _| vec![text(HEADER_SIGNATURE, "x")]);
    check_refused(&request(&key, &text_signature), "RPM header has no tag 268");
    let md5 = package(&tags(), |header, _| {
        vec![signature(&key, HEADER_SIGNATURE, header), (MD5, 7, vec![0; 16])]
    });
    check_refused(&request(&key, &md5), "md5 digest mismatch");
    let signed = |tags: &[Tag]| {
        let sign = |header: &[u8], _: &[u8]| vec![signature(&key, HEADER_SIGNATURE, header)];
        request(&key, &package(tags, sign))
    };
    let payload = |digest: &str| {
        [tags(), vec![(5092, 8, text(0, digest).2), (5093, 4, vec![0, 0, 0, 8])]].concat()
    };
    submit(&signed(&payload(&sha256(PAYLOAD).to_string()))).unwrap();
    let refused = "payload digest mismatch";
    check_refused(&signed(&payload(&sha256(b"other").to_string())), refused);
    for (at, tag) in [1000, 1001, 1002, 1022].into_iter().enumerate() {
        let mut tags = tags();
        tags.remove(at);
        check_refused(&signed(&tags), &format!("RPM header has no tag {tag}"));
        tags.push((tag, 6, b"\xff\0".to_vec()));
        check_refused(&signed(&tags), &format!("RPM header has no tag {tag}"));
    }
}

#[test]
fn no_cut_and_no_flipped_bit_of_a_header_does_harm() {
    let request = case("rpm");
    let whole = decode(&request["spec"]["package"]["content"]);
    for end in (1..whole.len()).step_by(13) {
        reason(&changed(request.clone(), CONTENT, Some(encode(&whole[..end]))));
    }
    let header = whole.windows(4).rposition(|w| w == [0x8e, 0xad, 0xe8, 1]).unwrap();
    for at in (header..whole.len()).step_by(5) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        reason(&changed(request.clone(), CONTENT, Some(encode(flipped))));
    }
}
