//! `jar`: archives that are damaged, that lie, that would inflate to anything.

use std::io::{Read as _, Write as _};

use der::asn1::AnyRef;
use der::{Decode as _, Encode as _, Tag, TagNumber};
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use serde_json::{Value, json};

use super::super::Admitted;
use super::{admitted, case, changed, check_changes, decode, encode, list, reason, submit};

const CONTENT: &str = "/spec/archive/content";
const NOT_ZIP: &str = "zip: not a valid zip file";
const OTHER_CONTENTS: &str = "JAR contents do not match the digests of the manifest";

fn archive() -> Vec<u8> {
    decode(&case("jar-rsa")["spec"]["archive"]["content"])
}

fn with(bytes: impl AsRef<[u8]>) -> Value {
    json!({ "apiVersion": "0.0.1", "kind": "jar", "spec": {
        "archive": { "content": encode(bytes) },
    } })
}

#[track_caller]
fn check_refused(bytes: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(reason(&with(bytes)).to_string(), expected);
}

/// A member as it is written: what its header says need not be so.
#[derive(Clone)]
struct Member {
    name: String,
    method: u16,
    crc: u32,
    size: u32,
    packed: Vec<u8>,
}

impl Member {
    fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        let mut crc = Crc::new();
        crc.update(content);
        let size = u32::try_from(content.len()).unwrap();
        let packed = encoder.finish().unwrap();
        Self { name: name.into(), method: 8, crc: crc.sum(), size, packed }
    }

    /// What stands in both headers.
    fn common(&self) -> Vec<u8> {
        let len = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
        let start = [&[20, 0, 0, 0][..], &self.method.to_le_bytes(), &[0; 4]].concat();
        let sizes = [self.crc.to_le_bytes(), len(self.packed.len()), self.size.to_le_bytes()];
        let name_len = len(self.name.len());
        [&start, sizes.as_flattened(), &name_len[..2], &[0, 0]].concat()
    }
}

/// Writes members one behind the other, and a directory of them.
fn zip(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut records = Vec::new();
    for member in members {
        let offset = u32::try_from(out.len()).unwrap().to_le_bytes();
        let common = member.common();
        let name = member.name.as_bytes();
        records.push([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &offset, name].concat());
        out.extend([b"PK\x03\x04", &common[..], name, &member.packed].concat());
    }
    let start = out.len();
    out.extend(records.concat());
    end(out, start, records.len())
}

/// The end record behind a directory.
fn end(mut out: Vec<u8>, start: usize, count: usize) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let (count, len) = (number(count), number(out.len() - start));
    let counts = [&count[..2], &count[..2]].concat();
    out.extend([b"PK\x05\x06\0\0\0\0", &counts[..], &len, &number(start), &[0, 0]].concat());
    out
}

/// The members of the recorded archive, as they were before compression.
fn members() -> Vec<Member> {
    let bytes = archive();
    let mut members = Vec::new();
    let mut at = 0;
    while bytes[at..].starts_with(b"PK\x01\x02") || members.is_empty() {
        if members.is_empty() && !bytes[at..].starts_with(b"PK\x01\x02") {
            at += 1;
            continue;
        }
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let u32_at = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        let name = &bytes[at + 46..at + 46 + u16_at(at + 28)];
        let header = usize::try_from(u32_at(at + 42)).unwrap();
        let start = header + 30 + u16_at(header + 26) + u16_at(header + 28);
        let len = usize::try_from(u32_at(at + 20)).unwrap();
        members.push(Member {
            name: String::from_utf8(name.to_vec()).unwrap(),
            method: 8,
            crc: u32_at(at + 16),
            size: u32_at(at + 24),
            packed: bytes[start..start + len].to_vec(),
        });
        at += 46 + u16_at(at + 28) + u16_at(at + 30) + u16_at(at + 32);
    }
    members
}

fn find(members: &[Member], end: &str) -> usize {
    members.iter().position(|member| member.name.ends_with(end)).unwrap()
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let required = |name: &str| list(&format!("{name} in body is required"));
    let hash = "archive.archive.hash.archive.hash.algorithm";
    check_changes(
        &case("jar-rsa"),
        &[
            ("/spec/archive", None, &required("archive")),
            ("/spec/archive", Some(Value::Null), &required("archive")),
            ("/spec/archive", Some(json!({})), "'content' must be specified for package"),
            ("/spec/archive/hash", Some(json!({})), &required(hash)),
            (
                "/spec/archive/hash",
                Some(json!({ "algorithm": "sha256", "value": "zz" })),
                "invalid value for hash",
            ),
            (CONTENT, Some(json!("AAAA")), NOT_ZIP),
            (
                CONTENT,
                Some(json!("!")),
                "failed parsing base64 data for archive content: illegal base64 data at input \
                 byte 0",
            ),
        ],
    );
    let other = json!({ "algorithm": "sha256", "value": "00".repeat(32) });
    let refused = reason(&changed(case("jar-rsa"), "/spec/archive/hash", Some(other)));
    assert!(refused.to_string().starts_with("SHA mismatch: "), "{refused}");
}

#[test]
fn the_same_members_in_another_archive_are_as_good() {
    let signature = |made: Admitted| made.index_keys[0].clone();
    let expected = signature(admitted(&with(archive())));
    let mut members = members();
    assert_eq!(signature(admitted(&with(zip(&members)))), expected);
    // What nobody has signed may be there too.
    members.push(Member::deflated("META-INF/LICENSE", b"text"));
    members.push(Member::deflated("more/", b""));
    assert_eq!(signature(admitted(&with(zip(&members)))), expected);
}

#[test]
fn what_is_not_what_was_signed_is_refused() {
    let members = members();
    let replaced = |end: &str, content: &[u8]| {
        let mut members = members.clone();
        let at = find(&members, end);
        members[at] = Member::deflated(&members[at].name, content);
        zip(&members)
    };
    let without = |end: &str| {
        let mut members = members.clone();
        members.remove(find(&members, end));
        zip(&members)
    };
    let renamed = |end: &str, name: &str| {
        let mut members = members.clone();
        let at = find(&members, end);
        members.push(Member { name: name.into(), ..members[at].clone() });
        zip(&members)
    };
    check_refused(replaced("Note.txt", b"other"), OTHER_CONTENTS);
    check_refused(without("Note.txt"), OTHER_CONTENTS);
    let manifest = b"Manifest-Version: 1.0\r\n\r\n";
    check_refused(
        replaced("MANIFEST.MF", manifest),
        "JAR manifest does not match the signed digests",
    );
    check_refused(replaced("MANIFEST.MF", b"no attribute"), "JAR manifest is malformed");
    check_refused(replaced("MANIFEST.MF", b""), "JAR manifest is malformed");
    check_refused(without("MANIFEST.MF"), "JAR did not contain a manifest");
    check_refused(replaced("VEC.SF", b"A: b\r\n\r\n"), "pkcs7: content digest does not match");
    check_refused(replaced("VEC.RSA", b"\x30\x80\0\0"), "asn1: structure error: not signed data");
    let nested = b"\x30\x84\x7f\xff\xff\xff".repeat(5_000);
    check_refused(replaced("VEC.RSA", &nested), "asn1: structure error: not signed data");
    let unmatched = "JAR contains signature with no matching sigfile";
    check_refused(without("VEC.SF"), unmatched);
    check_refused(without("VEC.RSA"), unmatched);
    let several = "multiple signatures detected in JAR archive; unable to process";
    check_refused(renamed("VEC.SF", "META-INF/OTHER.SF"), several);
    check_refused(renamed("VEC.RSA", "META-INF/OTHER.EC"), several);
    let mut unsigned = members.clone();
    unsigned.retain(|member| !member.name.contains("VEC"));
    check_refused(zip(&unsigned), "no signatures detected in JAR archive");
}

/// What is signed may stand in the signature as well; it is logged without.
#[test]
fn signatures_are_logged_without_what_they_sign() {
    let members = members();
    let inflated = |end: &str| {
        let mut bytes = Vec::new();
        let packed = members[find(&members, end)].packed.as_slice();
        DeflateDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    };
    let wrap =
        |tag: Tag, parts: &[Vec<u8>]| AnyRef::new(tag, &parts.concat()).unwrap().to_der().unwrap();
    let parts = |der: &[u8]| -> Vec<Vec<u8>> {
        let outer = AnyRef::from_der(der).unwrap();
        let inner = super::super::asn1::elements(outer.value()).unwrap();
        inner.iter().map(|part| part.to_der().unwrap()).collect()
    };
    let explicit = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    let (signed, signature) = (inflated("VEC.SF"), inflated("VEC.RSA"));
    let attached = |content: &[u8]| {
        let mut outer = parts(&signature);
        let mut data = parts(&parts(&outer[1])[0]);
        let octets = wrap(Tag::OctetString, &[content.to_vec()]);
        let kind = parts(&data[2])[0].clone();
        data[2] = wrap(Tag::Sequence, &[kind, wrap(explicit, &[octets])]);
        outer[1] = wrap(explicit, &[wrap(Tag::Sequence, &data)]);
        let mut members = members.clone();
        let at = find(&members, "VEC.RSA");
        members[at] = Member::deflated(&members[at].name, &wrap(Tag::Sequence, &outer));
        zip(&members)
    };
    let expected = admitted(&with(archive())).index_keys[0].clone();
    assert_eq!(admitted(&with(attached(&signed))).index_keys[0], expected);
    check_refused(attached(b"other"), "pkcs7: content digest does not match");
}

#[test]
fn names_are_plain_and_stand_once() {
    let members = members();
    for name in [
        "vectors/Note.txt",
        "meta-inf/manifest.mf",
        "../x",
        "a/../../x",
        "/etc/x",
        "a\\x",
        "a\0x",
        "",
    ] {
        let more = Member::deflated(name, b"x");
        let bytes = zip(&[&members[..], &[more]].concat());
        check_refused(bytes, "zip: insecure file path");
    }
}

#[test]
fn bombs_are_not_inflated() {
    let members = members();
    let zeros = vec![0; 8 << 20];
    let bomb = Member::deflated("bomb", &zeros);
    assert!(bomb.packed.len() < 100_000);
    // 10 GiB, by what the directory says.
    let many = (0..10).map(|at| Member { name: at.to_string(), size: 1 << 30, ..bomb.clone() });
    let too_long = "zip: the members inflate to more than 256 MiB";
    check_refused(zip(&[&members[..], &many.collect::<Vec<_>>()].concat()), too_long);
    let at = find(&members, "MANIFEST.MF");
    let manifest = |size| {
        let mut members = members.clone();
        members[at] = Member { name: members[at].name.clone(), size, ..bomb.clone() };
        zip(&members)
    };
    check_refused(
        manifest(bomb.size),
        "uncompressed jar metadata of size 8388608 exceeds max allowed size 1048576",
    );
    // One that says less than it is stops where it said it would.
    check_refused(manifest(10), NOT_ZIP);
    check_refused(manifest(u32::MAX), too_long);
    let mut contents = members.clone();
    let at = find(&members, "Note.txt");
    contents[at] = Member { name: contents[at].name.clone(), size: 30, ..bomb };
    check_refused(zip(&contents), NOT_ZIP);
}

#[test]
fn archives_that_say_two_things_are_refused() {
    let members = members();
    let whole = zip(&members);
    let change = |f: fn(&mut Member)| {
        let mut members = members.clone();
        f(members.last_mut().unwrap());
        zip(&members)
    };
    check_refused(change(|member| member.crc ^= 1), NOT_ZIP);
    check_refused(change(|member| member.size += 1), NOT_ZIP);
    check_refused(change(|member| member.size -= 1), NOT_ZIP);
    let method = "zip: unsupported compression algorithm";
    check_refused(change(|member| member.method = 12), method);
    check_refused(change(|member| member.method = 0), NOT_ZIP);
    // Two members in the same bytes: the record of the first once more, under another name.
    let start = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let first = 46 + members[0].name.len();
    let mut record = whole[start..start + first].to_vec();
    let records = &whole[start..whole.len() - 22];
    let twice = [&whole[..start], &record, records].concat();
    check_refused(end(twice, start, members.len() + 1), "zip: insecure file path");
    *record.last_mut().unwrap() ^= 1;
    let twice = [&whole[..start], &record, records].concat();
    check_refused(end(twice, start, members.len() + 1), NOT_ZIP);
    // A header that names another member than the directory does.
    let mut renamed = whole.clone();
    renamed[30] ^= 0x20;
    check_refused(renamed, NOT_ZIP);
    for (at, byte) in [(4, 1), (8, 9), (10, 9), (12, 0xff), (16, 0xff), (20, 1)] {
        let mut lying = whole.clone();
        let end = lying.len() - 22;
        lying[end + at] = byte;
        check_refused(lying, NOT_ZIP);
    }
    check_refused([b"before", &whole[..]].concat(), NOT_ZIP);
    check_refused([&whole[..], b"behind"].concat(), NOT_ZIP);
}

#[test]
fn no_cut_and_no_flipped_bit_does_harm() {
    for name in ["jar-rsa", "jar-ec"] {
        let whole = decode(&case(name)["spec"]["archive"]["content"]);
        let signature = admitted(&with(&whole)).index_keys[0].clone();
        for end in 1..whole.len() {
            reason(&with(&whole[..end]));
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            // Dates and attributes are nobody's; what is signed is.
            if let Ok(made) = submit(&with(&flipped)) {
                assert_eq!(made.index_keys[0], signature, "{at}");
            }
        }
    }
}
