//! `rekord` with OpenPGP keys.

use serde_json::{Value, json};

use super::super::pem;
use super::super::search::{KeyFormat, public_key_key};
use super::openpgp::{
    Claims, EXPIRES, FLAGS, KEY_EXPIRES, Key, POSITIVE, PUBLIC_KEY, USER_ID, number, packet, past_s,
};
use super::{admitted, body, case, changed, decode, encode, now, reason, submit};

const CONTENT: &str = "/spec/signature/content";
const KEY: &str = "/spec/signature/publicKey/content";
const DATA: &[u8] = b"one line\nanother\n";

fn request(key: &[u8], signature: &[u8]) -> Value {
    json!({ "apiVersion": "0.0.1", "kind": "rekord", "spec": {
        "data": { "content": encode(DATA) },
        "signature": {
            "format": "pgp",
            "content": encode(signature),
            "publicKey": { "content": encode(key) },
        },
    } })
}

/// A request with this key, which has signed.
fn signed(key: &Key, published: &[u8]) -> Value {
    request(published, &key.sign(&Claims::of(0), DATA))
}

/// The packets of the key that was logged.
fn logged_key(request: &Value) -> Vec<u8> {
    let armored = decode(&body(request)["spec"]["signature"]["publicKey"]["content"]);
    let text = String::from_utf8(armored).unwrap();
    assert!(!text.ends_with('\n'));
    // Without the checksum it is what other armour is.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('=')).collect();
    pem::first_block(lines.join("\n").as_bytes()).unwrap().content
}

#[track_caller]
fn check_refused(request: &Value, expected: &str) {
    assert_eq!(reason(request).to_string(), format!("openpgp: {expected}"));
}

#[test]
fn names_stand_in_the_order_of_the_input() {
    let key = Key::new(1);
    let names = ["z <Z@vectors.test>", "no address", "a@vectors.test", "b <b@vectors.test>"];
    let published = [key.packet(), names.map(|name| key.named(name)).concat()].concat();
    let made = admitted(&signed(&key, &published));
    let emails: Vec<_> = made.index_keys.iter().filter(|key| key.contains('@')).collect();
    assert_eq!(emails, ["z@vectors.test", "a@vectors.test", "b@vectors.test"]);
    let logged = logged_key(&signed(&key, &published));
    let at = |name: &str| logged.windows(name.len()).position(|w| w == name.as_bytes()).unwrap();
    assert!(names.map(at).is_sorted());
    // Headers are of the newer format and short, and what is logged is logged again as it is.
    assert_eq!(logged[..2], [0xc6, 51]);
    assert!(logged.len() < published.len());
    assert_eq!(logged_key(&signed(&key, &logged)), logged);
    let find = |bytes: &[u8]| public_key_key(KeyFormat::Pgp, bytes, now());
    assert_eq!(find(&published), Some(made.index_keys[0].clone()));
    assert_eq!(find(&logged), find(&published));
}

#[test]
fn armour_is_kept_and_made() {
    let request = case("rekord-pgp-ed25519-armored");
    let armored = decode(&request["spec"]["signature"]["content"]);
    let text = [b"text\n", &armored[..], b"\n\nmore"].concat();
    let made = body(&changed(request.clone(), CONTENT, Some(encode(&text))));
    assert_eq!(decode(&made["spec"]["signature"]["content"]), text);
    let lines: Vec<u8> = armored
        .split(|byte| *byte == b'\n')
        .map(
            |line| {
                if line.starts_with(b"=") { b"=AAAA\n".to_vec() } else { [line, b"\n"].concat() }
            },
        )
        .collect::<Vec<_>>()
        .concat();
    admitted(&changed(request.clone(), CONTENT, Some(encode(lines))));
    for (bytes, expected) in [
        (&b"text"[..], "openpgp: invalid data: malformed packet"),
        (&armored[..60], "openpgp: invalid data: malformed packet"),
        (&packet(USER_ID, b"x"), "valid PGP signature was not detected"),
        (&packet(8, &[0, 1, 2]), "valid PGP signature was not detected"),
        (
            &decode(&request["spec"]["signature"]["publicKey"]["content"]),
            "invalid PGP signature provided",
        ),
        (&[0xc2, 0].repeat(30_000), "openpgp: invalid data: longer than any entry"),
        (&[0xc2, 0].repeat(2_000), "openpgp: invalid data: too many packets"),
    ] {
        let refused = reason(&changed(request.clone(), CONTENT, Some(encode(bytes))));
        assert_eq!(refused.to_string(), expected);
    }
    for (bytes, expected) in [
        (&b"short"[..], "unable to read PGP public key: EOF"),
        (
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----",
            "openpgp: invalid argument: no armored data found",
        ),
        (&armored, "openpgp: invalid argument: no armored data found"),
        (b"no key at all, no key", "openpgp: invalid data: malformed packet"),
    ] {
        let refused = reason(&changed(request.clone(), KEY, Some(encode(bytes))));
        assert_eq!(refused.to_string(), expected);
    }
}

#[test]
fn other_data_and_other_keys_do_not_verify() {
    for name in ["rekord-pgp-ed25519-armored", "rekord-pgp-rsa-binary"] {
        let request = changed(case(name), "/spec/data/hash", None);
        let other = changed(request.clone(), "/spec/data/content", Some(encode(b"other")));
        check_refused(&other, "invalid signature: hash tag doesn't match");
        let other = changed(request, KEY, Some(encode(Key::new(1).published())));
        check_refused(&other, "signature made by unknown entity");
    }
    let (key, other) = (Key::new(1), Key::new(2));
    let signature = other.signature_body(&Claims::of(0), DATA);
    // The digest is right, and the key is said to be another one.
    let id = signature.windows(8).position(|window| window == other.id()).unwrap();
    let lying = [&signature[..id], &key.id(), &signature[id + 8..]].concat();
    let request = request(&key.published(), &packet(2, &lying));
    check_refused(&request, "invalid signature: EdDSA verification failure");
}

#[test]
fn what_has_ended_does_not_count() {
    let key = Key::new(1);
    let published = key.published();
    let with = |claims: &Claims| request(&published, &key.sign(claims, DATA));
    let hour = &3_600_u32.to_be_bytes()[..];
    admitted(&with(&Claims::of(0).with(EXPIRES, hour)));
    let old = Claims::of(0).created(past_s(3_601)).with(EXPIRES, hour);
    check_refused(&with(&old), "signature expired");
    check_refused(&with(&Claims::of(0).created(past_s(-1))), "signature expired");
    check_refused(
        &with(&Claims::of(0).with(20 | 0x80, b"notation")),
        "invalid signature: unknown critical notation",
    );
    admitted(&with(&Claims::of(0).with(20, b"notation")));
    check_refused(&with(&Claims::of(0).with(99 | 0x80, b"")), "signature made by unknown entity");
    check_refused(&with(&Claims::of(0x13)), "unsupported feature: signature type");
    let expiring = |after_s: u32| {
        let claims = Claims::of(POSITIVE).with(KEY_EXPIRES, &after_s.to_be_bytes());
        [key.packet(), key.named_with(&claims, "x")].concat()
    };
    // What counts is the key as it was when it signed.
    admitted(&signed(&key, &expiring(9_001)));
    check_refused(&signed(&key, &expiring(8_999)), "key expired");
    let young = Key::created(1, past_s(-60));
    check_refused(&signed(&young, &young.published()), "key expired");
    let revocation = key.sign(&Claims::of(0x20), &key.hashed());
    let revoked = [key.packet(), revocation, key.named("x")].concat();
    check_refused(&signed(&key, &revoked), "signature made by revoked key");
    let name = [key.named("x"), key.certify(&Claims::of(0x30), &key, "x")].concat();
    let revoked = [key.packet(), name.clone()].concat();
    check_refused(&signed(&key, &revoked), "signature made by revoked key");
    let another = [key.packet(), name, key.named("y")].concat();
    admitted(&signed(&key, &another));
    let may_not = Claims::of(POSITIVE).with(FLAGS, &[1]);
    let certifying = [key.packet(), key.named_with(&may_not, "x")].concat();
    check_refused(&signed(&key, &certifying), "signature made by unknown entity");
}

#[test]
fn subkeys_sign_if_both_keys_agree() {
    let (key, subkey) = (Key::new(1), Key::new(2));
    let binding = key.signing_binding(&subkey);
    let tied = [key.published(), key.with_subkey(&subkey, &binding)].concat();
    assert_eq!(logged_key(&signed(&subkey, &tied)), logged_key(&signed(&key, &tied)));
    let ring = |binding: &Claims| [key.published(), key.with_subkey(&subkey, binding)].concat();
    let one_sided = ring(&Claims::of(0x18).with(FLAGS, &[2]));
    let missing = "invalid signature: signing subkey is missing cross-signature";
    check_refused(&signed(&subkey, &one_sided), missing);
    // It may be there for other uses; then it does not sign.
    let encrypting = ring(&Claims::of(0x18).with(FLAGS, &[12]));
    check_refused(&signed(&subkey, &encrypting), "signature made by unknown entity");
    admitted(&signed(&key, &encrypting));
    let expired = Claims { created_s: past_s(20_000), ..binding.clone() };
    let expired = expired.with(KEY_EXPIRES, &60_u32.to_be_bytes());
    check_refused(&signed(&subkey, &ring(&expired)), "key expired");
    let data = [key.hashed(), subkey.hashed()].concat();
    let revoked = [tied, key.sign(&Claims::of(0x28), &data)].concat();
    check_refused(&signed(&subkey, &revoked), "signature made by revoked key");
    admitted(&signed(&key, &revoked));
    let mut stranger = binding.clone();
    stranger.unhashed = Key::new(3).signing_binding(&subkey).unhashed;
    check_refused(&signed(&key, &ring(&stranger)), "invalid signature: hash tag doesn't match");
    let unbound = [key.published(), packet(14, &subkey.body)].concat();
    let refused = "invalid data: subkey packet not followed by signature";
    check_refused(&signed(&key, &unbound), refused);
}

#[test]
fn what_ties_nothing_is_left_out_and_strangers_stay() {
    let (key, stranger) = (Key::new(1), Key::new(2));
    let plain = logged_key(&signed(&key, &key.published()));
    let unsigned_name = packet(USER_ID, b"never signed");
    let attribute = [packet(17, b"a picture"), key.sign(&Claims::of(0x13), b"whatever")].concat();
    let unknown = packet(60, b"experimental");
    for more in [&unsigned_name, &attribute, &unknown] {
        let published = [key.published(), more.clone()].concat();
        assert_eq!(logged_key(&signed(&key, &published)), plain);
    }
    let name = "Some One <one@vectors.test>";
    let certified = [key.published(), stranger.certify(&Claims::of(0x10), &key, name)].concat();
    assert!(logged_key(&signed(&key, &certified)).len() > plain.len());
    // Keys that cannot be used are skipped, and others stay, used or not.
    let broken = [stranger.packet(), key.named("x")].concat();
    let ring = [broken.clone(), key.published()].concat();
    assert_eq!(logged_key(&signed(&key, &ring)), plain);
    let ring = [key.published(), stranger.published()].concat();
    assert_eq!(logged_key(&signed(&key, &ring)), logged_key(&signed(&stranger, &ring)));
    check_refused(&signed(&stranger, &broken), "invalid data: v4 entity without any identities");
}

#[test]
fn texts_are_signed_whatever_their_line_ends() {
    let key = Key::new(1);
    let signature = key.sign(&Claims::of(1), b"one line\r\nanother\r\n");
    let request = request(&key.published(), &signature);
    admitted(&request);
    let crlf = encode(b"one line\r\nanother\n");
    admitted(&changed(request.clone(), "/spec/data/content", Some(crlf)));
    let other = changed(request, "/spec/data/content", Some(encode(b"one line\nanother")));
    check_refused(&other, "invalid signature: hash tag doesn't match");
}

#[test]
fn keys_that_nothing_here_can_use_are_refused() {
    let key = Key::new(1);
    let of = |body: &[u8]| [packet(PUBLIC_KEY, body), key.named("x")].concat();
    let with = |at: usize, byte: u8| {
        let mut body = key.body.clone();
        body[at] = byte;
        of(&body)
    };
    let rsa_512 = [&key.body[..5], &[1], &number(&[0xff; 64]), &number(&[1, 0, 1])].concat();
    let secret = [packet(5, &key.body), key.named("x")].concat();
    for (published, expected) in [
        (with(0, 3), "unsupported feature: public key version"),
        (with(0, 6), "unsupported feature: public key version"),
        (with(5, 17), "unsupported feature: public key algorithm"),
        (with(7, 0), "unsupported feature: EdDSA curve"),
        (with(18, 0x41), "invalid data: malformed public key"),
        (of(&rsa_512), "unsupported feature: public key"),
        (of(&key.body[..5]), "invalid data: malformed public key"),
        (of(&vec![4; 66_000][..40_000]), "unsupported feature: public key algorithm"),
        (secret, "invalid data: a secret key, which is secret no more"),
        ([key.published(), packet(8, b"xx")].concat(), "unsupported feature: compressed packet"),
        (
            packet(USER_ID, b"Some One, alone"),
            "invalid data: first packet was not a public/private key",
        ),
        (
            [key.packet(), packet(USER_ID, b"x"), key.sign(&Claims::of(0x18), b"")].concat(),
            "invalid data: signature with wrong type",
        ),
        (
            [key.packet(), packet(USER_ID, b"x"), packet(2, &[4, 0x13])].concat(),
            "invalid data: malformed signature",
        ),
    ] {
        check_refused(&signed(&key, &published), expected);
    }
}

/// A key with 10,000 names, and fewer ones that cost as much.
#[test]
fn keys_cost_no_more_than_an_entry_is_worth() {
    let key = Key::new(1);
    let name = key.named("x");
    let names = |count: usize| [key.packet(), name.repeat(count)].concat();
    let refused = reason(&signed(&key, &names(10_000))).to_string();
    assert_eq!(refused, "openpgp: invalid data: longer than any entry");
    check_refused(&signed(&key, &names(300)), "invalid data: too many signatures");
    admitted(&signed(&key, &names(128)));
    let bare = [key.published(), packet(USER_ID, b"").repeat(1_000)].concat();
    check_refused(&signed(&key, &bare), "invalid data: too many packets");
    // No names are the same here, and all are signed by strangers, which is not checked.
    let stranger = Key::new(2).certify(&Claims::of(0x10), &key, "x");
    let certified = [key.published(), stranger.repeat(200)].concat();
    admitted(&signed(&key, &certified));
}

#[test]
fn signatures_of_version_3_verify() {
    let key = Key::new(1);
    let with = |created_s| request(&key.published(), &key.sign_v3(created_s, DATA));
    admitted(&with(past_s(5)));
    check_refused(&with(past_s(-5)), "signature expired");
    let other = changed(with(past_s(5)), "/spec/data/content", Some(encode(b"other")));
    check_refused(&other, "invalid signature: hash tag doesn't match");
    let signature = key.sign_v3(past_s(5), DATA);
    for end in 0..signature.len() {
        reason(&request(&key.published(), &signature[..end]));
    }
    // In a key it ties nothing.
    let named = [packet(USER_ID, b"x"), key.sign_v3(past_s(5), b"")].concat();
    let refused = "invalid data: v4 entity without any identities";
    check_refused(&signed(&key, &[key.packet(), named].concat()), refused);
}

#[test]
fn no_cut_and_no_flipped_bit_does_harm() {
    let (key, subkey) = (Key::new(1), Key::new(2));
    let tied = key.with_subkey(&subkey, &key.signing_binding(&subkey));
    let published = [key.published(), tied].concat();
    let signature = subkey.sign(&Claims::of(0).with(EXPIRES, &[0; 4]), DATA);
    let whole = admitted(&request(&published, &signature)).leaf;
    for end in 0..published.len() {
        reason(&request(&published[..end], &signature));
    }
    for end in 0..signature.len() {
        reason(&request(&published, &signature[..end]));
    }
    for at in 0..published.len() {
        let mut flipped = published.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(made) = submit(&request(&flipped, &signature)) {
            assert_ne!(made.leaf, whole, "{at}");
        }
    }
    let mut taken = 0;
    for at in 0..signature.len() {
        let mut flipped = signature.clone();
        flipped[at] ^= 1 << (at % 8);
        taken += usize::from(submit(&request(&published, &flipped)).is_ok());
    }
    // Nothing signs what is not hashed: where the length of the packet starts, and the issuer.
    assert!(taken < 8, "{taken}");
}
