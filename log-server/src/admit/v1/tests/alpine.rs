//! `alpine`: packages that are damaged, that lie, that would inflate to anything.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use log_core::hash::sha256;
use serde_json::{Value, json};

use super::{Signer, admitted, case, changed, check_changes, decode, encode, list, reason, submit};

const CONTENT: &str = "/spec/package/content";
const NOT_TAR: &str = "archive/tar: invalid tar header";
const DATA: &[u8] = b"the third member is never looked into";

/// A tar header and the contents behind it.
fn file(name: &str, kind: u8, size: usize, contents: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut out = [&block[..], contents].concat();
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn plain(name: &str, contents: &[u8]) -> Vec<u8> {
    file(name, b'0', contents.len(), contents)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with(package: &[u8]) -> Value {
    changed(case("alpine"), CONTENT, Some(encode(package)))
}

#[track_caller]
fn check_refused(members: [&[u8]; 3], expected: &str) {
    let package = [&gzip(members[0])[..], &gzip(members[1]), members[2]].concat();
    assert_eq!(reason(&with(&package)).to_string(), expected);
}

fn signed() -> Vec<u8> {
    plain(".SIGN.RSA.key", &[1; 256])
}

fn info(more: &str) -> Vec<u8> {
    plain(".PKGINFO", format!("{more}datahash = {}\n", sha256(DATA)).as_bytes())
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let required = |name: &str| list(&format!("{name} in body is required"));
    check_changes(
        &case("alpine"),
        &[
            ("/spec/package", None, &required("package")),
            ("/spec/publicKey", None, &required("publicKey")),
            ("/spec/publicKey", Some(json!({})), &required("publicKey.publicKey.content")),
            ("/spec/package", Some(json!({})), "'content' must be specified for package"),
            (CONTENT, Some(json!("AAAA")), "gzip: invalid header"),
            (
                "/spec/publicKey/content",
                Some(json!("AAAA")),
                "invalid public key: failure decoding PEM",
            ),
            (
                "/spec/publicKey/content",
                Some(encode(Signer::new().pem)),
                "invalid signature when validating ASN.1 encoded signature",
            ),
        ],
    );
    let hash = json!({ "algorithm": "sha256", "value": "00".repeat(32) });
    let refused = reason(&changed(case("alpine"), "/spec/package/hash", Some(hash.clone())));
    assert!(refused.to_string().starts_with("SHA mismatch: "), "{refused}");
    let package = json!({ "hash": hash });
    let refused = reason(&changed(case("alpine"), "/spec/package", Some(package)));
    assert_eq!(refused.to_string(), "entry not insertable into log: missing package content");
}

#[test]
fn what_a_package_says_of_itself_is_read() {
    // The signature is the last thing that is looked at, and nobody has made it.
    let unsigned = "crypto/rsa: verification error";
    for more in ["", "# comment\n\n", "key =\n", "a = b = c\n", "a=b\na = c\n"] {
        check_refused([&signed(), &info(more), DATA], unsigned);
    }
    for more in ["= x\n", "no value\n", " = \n"] {
        check_refused([&signed(), &info(more), DATA], "invalid line in .PKGINFO");
    }
    let latin = plain(".PKGINFO", b"a = \xe4\n");
    check_refused([&signed(), &latin, DATA], "invalid line in .PKGINFO");
    let actual = sha256(b"other");
    let expected = sha256(DATA);
    check_refused(
        [&signed(), &info(""), b"other"],
        &format!(
            "checksum for data.tar.gz ({actual}) does not match value from .PKGINFO ({expected})"
        ),
    );
    let none = plain(".PKGINFO", b"a = b\n");
    let refused =
        format!("checksum for data.tar.gz ({expected}) does not match value from .PKGINFO ()");
    check_refused([&signed(), &none, DATA], &refused);
}

#[test]
fn archives_that_are_none_are_refused() {
    let missing = "no signature detected in alpine package";
    check_refused([&plain("SIGN", b""), &info(""), DATA], missing);
    check_refused([b"", &info(""), DATA], missing);
    check_refused([&file(".SIGN.RSA.key", b'2', 0, b""), &info(""), DATA], missing);
    let no_info = ".PKGINFO file was not located";
    check_refused([&signed(), &plain("x", b""), DATA], no_info);
    check_refused([&signed(), &[info(""), info("")].concat(), DATA], no_info);
    check_refused([&signed(), &file(".PKGINFO", b'5', 0, b""), DATA], no_info);
    for bad in [&b"text"[..], &[1; 512], &signed()[..600], &signed()[..400]] {
        check_refused([bad, &info(""), DATA], NOT_TAR);
        check_refused([&signed(), bad, DATA], NOT_TAR);
    }
    let extended = "archive/tar: extended headers with names or sizes are not taken";
    for header in
        [plain("x", b"12 path=x\n"), plain("x", b"12 size=9\n"), file("x", b'x', 1 << 20, b"")]
    {
        let mut header = header;
        header[156] = b'x';
        let sum: u32 = header[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| match at {
                148..156 => 32,
                _ => u32::from(*byte),
            })
            .sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        check_refused([&signed(), &[header, info("")].concat(), DATA], extended);
    }
    check_refused([&file("x", b'L', 2, b"y\0"), &info(""), DATA], extended);
    let times = [file("x", b'x', 10, b"10 mtime=\n"), info("")].concat();
    check_refused([&signed(), &times, DATA], "crypto/rsa: verification error");
    assert_eq!(reason(&with(&gzip(&signed()))).to_string(), "gzip: invalid header");
}

#[test]
fn bombs_are_not_inflated() {
    let long = |name| file(name, b'0', 0o10_000_000_000, b"");
    let size = 0o10_000_000_000_u64;
    for (members, name) in [
        ([&long(".SIGN.RSA.key")[..], &info(""), DATA], ".SIGN"),
        ([&signed(), &long(".PKGINFO"), DATA], ".PKGINFO"),
    ] {
        let refused =
            format!("uncompressed {name} file size {size} exceeds max allowed size 1048576");
        check_refused(members, &refused);
    }
    // A file that nobody asks for, and what is behind the end of an archive.
    let zeros = vec![0; 17 << 20];
    let script = [file(".post-install", b'0', zeros.len(), &zeros), info("")].concat();
    check_refused([&signed(), &script, DATA], NOT_TAR);
    check_refused([&signed(), &[info(""), zeros].concat(), DATA], NOT_TAR);
    check_refused([&signed(), &file("x", b'0', 1 << 30, b""), DATA], NOT_TAR);
}

#[test]
fn no_cut_and_no_flipped_bit_does_harm() {
    let whole = decode(&case("alpine")["spec"]["package"]["content"]);
    let signer = admitted(&with(&whole)).index_keys[0].clone();
    for end in 1..whole.len() {
        reason(&with(&whole[..end]));
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        // The headers of the first member are nobody's.
        if let Ok(made) = submit(&with(&flipped)) {
            assert!(at < 380 && made.index_keys[0] == signer, "{at}");
        }
    }
}
