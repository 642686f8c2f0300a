//! `rekord` with its formats.

use log_core::hash::sha256;
use serde_json::{Value, json};

use super::super::pem;
use super::{Signer, admitted, body, case, changed, decode, encode, list, reason};

const CONTENT: &str = "/spec/signature/content";
const KEY: &str = "/spec/signature/publicKey/content";
const DATA: &str = "/spec/data/content";
const HASH: &str = "/spec/data/hash";

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let request = case("rekord-x509-p256");
    let required = |name: &str| list(&format!("{name} in body is required"));
    let one_of =
        list("signature.signature.format in body should be one of [pgp minisign x509 ssh]");
    let algorithm = "data.data.hash.data.hash.algorithm in body";
    let byte_0 = "illegal base64 data at input byte 0";
    for (pointer, value, expected) in [
        ("/spec", Some(json!({})), list("data in body is required\nsignature in body is required")),
        ("/spec/signature", Some(json!([])), required("signature")),
        ("/spec/signature", Some(json!({})), required("signature.signature.content")),
        (CONTENT, None, required("signature.signature.content")),
        (CONTENT, Some(json!("")), required("signature.signature.content")),
        ("/spec/signature/format", None, required("signature.signature.format")),
        ("/spec/signature/format", Some(json!("")), one_of.clone()),
        ("/spec/signature/format", Some(json!("SSH")), one_of.clone()),
        ("/spec/signature/format", Some(json!("tuf")), one_of),
        ("/spec/signature/publicKey", None, required("signature.signature.publicKey")),
        (
            "/spec/signature/publicKey",
            Some(json!({})),
            required("signature.signature.publicKey.signature.publicKey.content"),
        ),
        ("/spec/data", Some(json!(1)), required("data")),
        ("/spec/data", Some(json!({})), "'content' must be specified for data".into()),
        (HASH, Some(json!({})), list(&format!("{algorithm} is required"))),
        (
            HASH,
            Some(json!({ "algorithm": "sha512", "value": "" })),
            list(&format!("{algorithm} should be one of [sha256]")),
        ),
        (HASH, Some(json!({ "algorithm": "sha256" })), required("data.data.hash.data.hash.value")),
        (
            HASH,
            Some(json!({ "algorithm": "sha256", "value": "zz" })),
            "invalid value for hash".into(),
        ),
        (DATA, None, "entry not insertable into log: missing data content".into()),
        (DATA, Some(json!("!")), format!("failed parsing base64 data for data content: {byte_0}")),
        (
            CONTENT,
            Some(json!("!")),
            format!("failed parsing base64 data for signature content: {byte_0}"),
        ),
        (
            KEY,
            Some(json!("!")),
            format!("failed parsing base64 data for signature publicKey content: {byte_0}"),
        ),
        (KEY, Some(json!("AAAA")), "invalid public key: failure decoding PEM".into()),
        (CONTENT, Some(json!("AAAA")), "ecdsa: Invalid IEEE_P1363 encoded bytes".into()),
        ("/spec/signature/format", Some(json!("ssh")), "unable to decode pem file".into()),
    ] {
        let refused = reason(&changed(request.clone(), pointer, value.clone())).to_string();
        assert_eq!(refused, expected, "{pointer} {value:?}");
    }
}

#[test]
fn the_hash_is_compared_as_text() {
    let request = case("rekord-x509-p256");
    let value = request["spec"]["data"]["hash"]["value"].as_str().unwrap().to_owned();
    let without = changed(request.clone(), HASH, None);
    assert_eq!(admitted(&without).leaf, admitted(&request).leaf);
    let upper = value.to_uppercase();
    let other = changed(request.clone(), &format!("{HASH}/value"), Some(upper.clone().into()));
    assert_eq!(reason(&other).to_string(), format!("SHA mismatch: {value} != {upper}"));
    let other = changed(request, DATA, Some(encode(b"abc")));
    let computed = sha256(b"abc");
    assert_eq!(reason(&other).to_string(), format!("SHA mismatch: {computed} != {value}"));
}

#[test]
fn other_data_and_other_keys_do_not_verify() {
    for (name, data, key) in [
        (
            "rekord-x509-p256",
            "invalid signature when validating ASN.1 encoded signature",
            "invalid signature when validating ASN.1 encoded signature",
        ),
        ("rekord-x509-ed25519", "failed to verify signature", "failed to verify signature"),
        ("rekord-ssh-ed25519", "ssh: signature did not verify", "crypto/rsa: verification error"),
        ("rekord-ssh-rsa", "crypto/rsa: verification error", "ssh: signature did not verify"),
        ("rekord-minisign", "failed to verify signature", "failed to verify signature"),
        ("rekord-minisign-legacy", "failed to verify signature", "failed to verify signature"),
    ] {
        let request = changed(case(name), HASH, None);
        let other = changed(request.clone(), DATA, Some(encode(b"other")));
        assert_eq!(reason(&other).to_string(), data, "{name}");
        let stranger = match request["spec"]["signature"]["format"].as_str().unwrap() {
            "x509" if name.ends_with("p256") => encode(Signer::new().pem),
            "x509" => {
                case("hashedrekord-ed25519ph-sha512")["spec"]["signature"]["publicKey"]["content"]
                    .clone()
            }
            "ssh" => {
                let other =
                    if name.ends_with("rsa") { "rekord-ssh-ed25519" } else { "rekord-ssh-rsa" };
                case(other)["spec"]["signature"]["publicKey"]["content"].clone()
            }
            _ => encode([1; 32]),
        };
        let other = changed(request, KEY, Some(stranger));
        assert_eq!(reason(&other).to_string(), key, "{name}");
    }
}

mod ssh {
    use super::*;

    fn request() -> Value {
        case("rekord-ssh-ed25519")
    }

    fn armored() -> Vec<u8> {
        decode(&request()["spec"]["signature"]["content"])
    }

    fn raw() -> Vec<u8> {
        pem::first_block(&armored()).unwrap().content
    }

    fn with_raw(raw: &[u8]) -> Value {
        changed(request(), CONTENT, Some(encode(pem::encode("SSH SIGNATURE", raw))))
    }

    fn key() -> String {
        String::from_utf8(decode(&request()["spec"]["signature"]["publicKey"]["content"])).unwrap()
    }

    fn with_key(text: impl AsRef<[u8]>) -> Value {
        changed(request(), KEY, Some(encode(text)))
    }

    fn replaced(from: &[u8], to: &[u8]) -> Vec<u8> {
        let raw = raw();
        let at = raw.windows(from.len()).position(|window| window == from).unwrap();
        [&raw[..at], to, &raw[at + from.len()..]].concat()
    }

    #[test]
    fn signatures_are_stored_in_one_form() {
        let expected = admitted(&request()).leaf;
        let text = String::from_utf8(armored()).unwrap();
        for other in [format!("text\n{text}"), text.replace('\n', "\r\n"), format!("{text}more")] {
            let other = changed(request(), CONTENT, Some(encode(other)));
            assert_eq!(admitted(&other).leaf, expected);
        }
        assert_eq!(admitted(&with_raw(&raw())).leaf, expected);
        // The name of the hash function and the reserved field are set anew.
        assert_eq!(admitted(&with_raw(&replaced(b"sha512", b"sha256"))).leaf, expected);
        assert_eq!(
            admitted(&with_raw(&replaced(b"file\0\0\0\0", b"file\0\0\0\x01a"))).leaf,
            expected
        );
        let stored = decode(&body(&request())["spec"]["signature"]["content"]);
        let again = changed(request(), CONTENT, Some(encode(stored)));
        assert_eq!(admitted(&again).leaf, expected);
    }

    #[test]
    fn what_is_no_signature_over_a_file_is_refused() {
        let text = String::from_utf8(armored()).unwrap();
        let other = text.replace("SSH SIGNATURE", "X");
        for (bytes, expected) in [
            (&b"text"[..], "unable to decode pem file"),
            (&armored()[..100], "unable to decode pem file"),
            (other.as_bytes(), "wrong pem block type: X. Expected SSH-SIGNATURE"),
        ] {
            let request = changed(request(), CONTENT, Some(encode(bytes)));
            assert_eq!(reason(&request).to_string(), expected);
        }
        let raw = raw();
        let mut version = raw.clone();
        version[9] = 2;
        let mut flipped = raw.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for (raw, expected) in [
            (version, "unsupported signature version: 2"),
            (replaced(b"SSHSIG", b"XXXXXX"), "invalid magic header: XXXXXX"),
            (replaced(b"\x04file", b"\x03git"), "invalid signature namespace: git"),
            (replaced(b"sha512", b"sha999"), "unsupported hash algorithm: sha999"),
            (flipped, "ssh: signature did not verify"),
            ([&raw[..], &[0]].concat(), "ssh: malformed signature"),
            (
                replaced(b"\0\0\0\x33\0\0\0\x0bssh-ed25519", b"\0\0\0\x33\0\0\0\x0bssh-ed25518"),
                "ssh: malformed signature",
            ),
        ] {
            assert_eq!(reason(&with_raw(&raw)).to_string(), expected);
        }
        for end in 0..raw.len() {
            assert_eq!(reason(&with_raw(&raw[..end])).to_string(), "ssh: malformed signature");
        }
    }

    #[test]
    fn a_key_is_found_in_what_people_keep() {
        let expected = admitted(&request()).leaf;
        let key = key();
        let digits = key.split(' ').nth(1).unwrap();
        for text in [
            format!("\n\n# comment\n{key}"),
            format!("garbage\n{key}"),
            format!("no-pty,command=\"a \\\" b\" {key}"),
            format!("{key}{key}"),
            format!("   {key}"),
            key.replacen(' ', "\t", 1),
            key.replace('\n', "\r\n"),
            format!("ssh-ed25519 {digits}"),
            format!("any {digits} comment"),
        ] {
            assert_eq!(admitted(&with_key(&text)).leaf, expected, "{text}");
        }
    }

    /// Flags and a counter stand behind the signature of a token, and are signed.
    #[test]
    fn keys_of_security_tokens_verify_what_they_sign() {
        let string =
            |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let kind = b"sk-ssh-ed25519@openssh.com";
        let signing = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
        let point = signing.verifying_key();
        let wire = [string(kind), string(point.as_bytes()), string(b"ssh:")].concat();
        let key = format!("any {} comment", encode(&wire).as_str().unwrap());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, b"data");
        let signed = [string(b"file"), string(b""), string(b"sha512"), string(digest.as_ref())];
        let signed = [b"SSHSIG".to_vec(), signed.concat()].concat();
        let rest = [1, 0, 0, 0, 9];
        let token = [sha256(b"ssh:").as_bytes(), &rest[..], sha256(&signed).as_bytes()].concat();
        let blob = ed25519_dalek::Signer::sign(&signing, &token).to_bytes();
        let request = |rest: &[u8]| {
            let signature = [string(kind), string(&blob), rest.to_vec()].concat();
            let fields = [string(&wire), string(b"file"), string(b""), string(b"sha512")].concat();
            let raw = [&b"SSHSIG\0\0\0\x01"[..], &fields, &string(&signature)].concat();
            let request = changed(with_raw(&raw), KEY, Some(encode(&key)));
            changed(request, DATA, Some(encode(b"data")))
        };
        let made = body(&request(&rest));
        let stored = decode(&made["spec"]["signature"]["publicKey"]["content"]);
        let digits = encode(&wire);
        let expected = format!("sk-ssh-ed25519@openssh.com {}\n", digits.as_str().unwrap());
        assert_eq!(stored, expected.as_bytes());
        for other in [&[1, 0, 0, 0, 8][..], &[0, 0, 0, 0, 9], &[], &[1, 0, 0, 0, 9, 0], &rest[..4]]
        {
            let refused = reason(&request(other)).to_string();
            assert_eq!(refused, "ssh: signature did not verify", "{other:?}");
        }
        let cut = format!("any {}", encode(&wire[..wire.len() - 8]).as_str().unwrap());
        let refused = reason(&changed(request(&rest), KEY, Some(encode(cut)))).to_string();
        assert_eq!(refused, "ssh: no key found");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = key();
        let digits = key.split(' ').nth(1).unwrap();
        let wire = decode(&digits.into());
        let longer = encode([&wire[..], &[0]].concat());
        // A certificate, and a key of a type that nobody knows.
        let typed = |name: &str| {
            let name_len = u32::try_from(name.len()).unwrap().to_be_bytes();
            let bytes = [&name_len[..], name.as_bytes(), &wire[15..], &[0, 0, 0, 4], b"ssh:"];
            format!("{name} {}", encode(bytes.concat()).as_str().unwrap())
        };
        for text in [
            "\n".into(),
            "ssh-ed25519".into(),
            "ssh-ed25519 AAAA".into(),
            digits.into(),
            format!("ssh-ed25519 {}", longer.as_str().unwrap()),
            format!("# {key}"),
            format!("\"a b {key}"),
            typed("ssh-ed25519-cert-v01@openssh.com"),
            typed("x"),
        ] {
            assert_eq!(reason(&with_key(&text)).to_string(), "ssh: no key found", "{text}");
        }
        let endless = format!("{key}{}", "x".repeat(70_000));
        assert_eq!(reason(&with_key(endless)).to_string(), "http: request body too large");
        for end in (0..wire.len()).step_by(3) {
            let text = format!("ssh-ed25519 {}", encode(&wire[..end]).as_str().unwrap());
            assert_eq!(reason(&with_key(text)).to_string(), "ssh: no key found");
        }
    }
}

mod minisign {
    use super::*;

    fn request() -> Value {
        case("rekord-minisign")
    }

    fn lines() -> Vec<String> {
        let text = String::from_utf8(decode(&request()["spec"]["signature"]["content"])).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn with_signature(text: impl AsRef<[u8]>) -> Value {
        changed(request(), CONTENT, Some(encode(text)))
    }

    fn with_key(bytes: impl AsRef<[u8]>) -> Value {
        changed(request(), KEY, Some(encode(bytes)))
    }

    #[test]
    fn signatures_of_minisign_and_signify_are_one_entry() {
        let expected = admitted(&request()).leaf;
        let lines = lines();
        let signify = format!("{}\n{}", lines[0], lines[1]);
        for text in [
            lines.join("\r\n"),
            lines.join("\n"),
            signify.clone(),
            format!("{signify}\n\n\n"),
            format!("\n{}", lines[1]),
            format!("{}\n{}\nany\n{}", lines[0], lines[1], lines[3]),
        ] {
            assert_eq!(admitted(&with_signature(&text)).leaf, expected, "{text:?}");
        }
        let stored = decode(&body(&request())["spec"]["signature"]["content"]);
        assert_eq!(admitted(&with_signature(stored)).leaf, expected);
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let lines = lines();
        let raw = decode(&lines[1].as_str().into());
        let other = encode([b"ZZ", &raw[2..]].concat());
        for (text, expected) in [
            (lines[1].clone(), "invalid signature provided: 1 lines detected"),
            (String::new(), "invalid signature provided: 1 lines detected"),
            (lines[..3].join("\n"), "invalid signature provided: 3 lines detected"),
            (format!("{}\nmore", lines.join("\n")), "invalid signature provided: 5 lines detected"),
            (
                format!("{}\nAAAA", lines[..3].join("\n")),
                "invalid signature provided: 4 lines detected",
            ),
            ("x\n!!\n".into(), "invalid signature provided: base64 decoding failed"),
            ("x\nAAAA\n".into(), "invalid signature provided: incorrect size 3 detected"),
            (format!("x\n{}", other.as_str().unwrap()), "failed to verify signature"),
        ] {
            let text = if text.is_empty() { "\n".to_owned() } else { text };
            assert_eq!(reason(&with_signature(&text)).to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn keys_are_read_in_four_forms() {
        let expected = admitted(&request()).leaf;
        let file =
            String::from_utf8(decode(&request()["spec"]["signature"]["publicKey"]["content"]))
                .unwrap();
        let line = file.lines().nth(1).unwrap();
        let raw = decode(&line.into());
        for text in
            [format!("{line}\n"), line.into(), format!("\n{line}"), format!("any\r\n{line}\r\n")]
        {
            assert_eq!(admitted(&with_key(&text)).leaf, expected, "{text:?}");
        }
        let bare = body(&with_key(&raw[10..]));
        let key = decode(&bare["spec"]["signature"]["publicKey"]["content"]);
        assert_eq!(
            decode(&String::from_utf8(key).unwrap().into()),
            [b"Ed\0\0\0\0\0\0\0\0", &raw[10..]].concat()
        );
        let refused = "unable to read minisign public key: Invalid encoded public key";
        for bytes in [&b""[..], b"x", &raw, &raw[9..], format!("{file}x\n").as_bytes()] {
            let request = if bytes.is_empty() { with_key("\n") } else { with_key(bytes) };
            assert_eq!(reason(&request).to_string(), refused);
        }
        // Not a point of the curve.
        let mut no_point = [0; 32];
        no_point[0] = 2;
        assert_eq!(reason(&with_key(no_point)).to_string(), "failed to verify signature");
    }
}
