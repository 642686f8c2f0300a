//! `intoto` in its two versions.

use log_core::entry::dsse::pae;
use serde_json::{Value, json};

use super::super::json::Json;
use super::super::look_up;
use super::{
    Signer, admitted, body, case, changed, check_changes, decode, encode, list, now, reason,
};

const NONE: &str = "accepted signatures do not match threshold, Found: 0, Expected 1";
const NOT_BASE64: &str = "unable to base64 decode payload (is payload in the right format?)";

mod v001 {
    use super::*;

    const ENVELOPE: &str = "/spec/content/envelope";

    fn request() -> Value {
        case("intoto-0.0.1-key")
    }

    fn envelope() -> Value {
        serde_json::from_str(request()["spec"]["content"]["envelope"].as_str().unwrap()).unwrap()
    }

    fn with_envelope(envelope: &Value) -> Value {
        changed(request(), ENVELOPE, Some(envelope.to_string().into()))
    }

    #[test]
    fn members_that_are_missing_or_wrong_are_named() {
        let content = &list("content in body is required");
        let key = &list("publicKey in body is required");
        let both = &list("content in body is required\npublicKey in body is required");
        let algorithm = &list("content.content.hash.content.hash.algorithm in body is required");
        let payload = "content.content.payloadHash.content.payloadHash.value in body is required";
        let not_base64 = "failed parsing base64 data for public key: illegal base64 data at input \
                          byte 0";
        let no_hash = "missing hash value for envelope";
        for (pointer, value, expected) in [
            ("/spec", Some(json!({})), both.as_str()),
            ("/spec/content", None, content),
            ("/spec/content", Some(json!([])), content),
            ("/spec/content", Some(json!({})), no_hash),
            ("/spec/publicKey", None, key),
            ("/spec/publicKey", Some(json!("")), key),
            ("/spec/publicKey", Some(json!({})), key),
            ("/spec/publicKey", Some(json!("!!")), not_base64),
            ("/spec/publicKey", Some(json!("AAAA")), "invalid public key: failure decoding PEM"),
            ("/spec/content/hash", Some(json!({})), algorithm),
            ("/spec/content/payloadHash", Some(json!({ "algorithm": "sha256" })), &list(payload)),
            (ENVELOPE, None, no_hash),
            (ENVELOPE, Some(json!(1)), no_hash),
            (ENVELOPE, Some(json!("")), no_hash),
            (ENVELOPE, Some(json!("x")), "invalid character 'x' looking for beginning of value"),
        ] {
            let refused = reason(&changed(request(), pointer, value.clone())).to_string();
            assert_eq!(refused, expected, "{pointer} {value:?}");
        }
    }

    #[test]
    fn one_signature_by_the_key_is_enough() {
        let good = envelope();
        let signature = good["signatures"][0].clone();
        let noise = json!({ "sig": "AAAA" });
        let list = |signatures: Value| {
            with_envelope(&changed(good.clone(), "/signatures", Some(signatures)))
        };
        admitted(&list(json!([noise, signature])));
        admitted(&list(json!([signature, noise])));
        assert_eq!(reason(&list(json!([noise]))).to_string(), NONE);
        assert_eq!(reason(&list(json!([]))).to_string(), "no signature found");
        let broken = json!({ "sig": "!" });
        assert_eq!(reason(&list(json!([signature, broken]))).to_string(), NOT_BASE64);
    }

    #[test]
    fn a_key_id_must_be_the_fingerprint_of_the_key() {
        let with_id = |name: &str, id: &str| {
            let request = case(name);
            let text = request["spec"]["content"]["envelope"].as_str().unwrap();
            let envelope: Value = serde_json::from_str(text).unwrap();
            let envelope = changed(envelope, "/signatures/0/keyid", Some(id.into()));
            changed(request, ENVELOPE, Some(envelope.to_string().into()))
        };
        assert_eq!(reason(&with_id("intoto-0.0.1-key", "other")).to_string(), NONE);
        admitted(&with_id("intoto-0.0.1-key", ""));
        // From `ssh-keygen -l` over the key of that case.
        let fingerprint = "SHA256:NbGkYVKEfS8eLRWZQQX7O0llm4+tZeobOG5YfCvUlV4";
        admitted(&with_id("intoto-0.0.1-key", fingerprint));
    }

    #[test]
    fn the_payload_must_be_in_standard_base64() {
        let signer = Signer::new();
        let payload = [0xff; 9];
        let sig = encode(signer.sign(&pae(b"t", &payload)));
        let signed = |payload: &str| {
            let envelope =
                json!({ "payloadType": "t", "payload": payload, "signatures": [{ "sig": sig }] });
            changed(with_envelope(&envelope), "/spec/publicKey", Some(encode(&signer.pem)))
        };
        admitted(&signed("////////////"));
        let refused = reason(&signed("____________")).to_string();
        assert_eq!(refused, "illegal base64 data at input byte 0");
        assert_eq!(reason(&signed("!")).to_string(), NOT_BASE64);
    }

    #[test]
    fn envelopes_without_payload_or_type_are_not_logged() {
        let signer = Signer::new();
        for (payload_type, payload) in [("", &b"x"[..]), ("t", b"")] {
            let sig = encode(signer.sign(&pae(payload_type.as_bytes(), payload)));
            let envelope = json!({
                "payloadType": payload_type,
                "payload": encode(payload),
                "signatures": [{ "sig": sig }],
            });
            let request =
                changed(with_envelope(&envelope), "/spec/publicKey", Some(encode(&signer.pem)));
            let expected = "entry not insertable into log: invalid DSSE envelope";
            assert_eq!(reason(&request).to_string(), expected);
        }
    }

    #[test]
    fn the_stored_form_may_lack_the_hash_of_the_payload() {
        let stored = changed(
            request(),
            "/spec/content",
            Some(json!({
                "hash": { "algorithm": "sha256", "value": "any\ntext" },
            })),
        );
        let expected = "entry not insertable into log: missing envelope content";
        assert_eq!(reason(&stored).to_string(), expected);
        let text = stored.to_string();
        let leaf = look_up(Json::first(text.as_bytes()).unwrap().unwrap(), now()).unwrap();
        let key = stored["spec"]["publicKey"].as_str().unwrap();
        let expected = format!(
            "{{\"apiVersion\":\"0.0.1\",\"kind\":\"intoto\",\"spec\":{{\"content\":{{\"hash\":\
             {{\"algorithm\":\"sha256\",\"value\":\"any\\ntext\"}}}},\"publicKey\":\"{key}\"}}}}"
        );
        assert_eq!(String::from_utf8_lossy(leaf.as_bytes()), expected);
    }
}

mod v002 {
    use super::*;

    const PAYLOAD: &str = "/spec/content/envelope/payload";
    const SIGNATURES: &str = "/spec/content/envelope/signatures";

    fn request() -> Value {
        case("intoto-0.0.2-key")
    }

    /// A request with signatures of its own.
    fn signed(payload_type: &str, payload: &str, signers: &[&Signer]) -> Value {
        let message = decode(&payload.replace('_', "/").into());
        let signed = pae(payload_type.as_bytes(), &message);
        let signatures: Vec<_> = signers
            .iter()
            .map(|signer| {
                let sig = encode(signer.sign(&signed));
                json!({ "sig": encode(sig.as_str().unwrap()), "publicKey": encode(&signer.pem) })
            })
            .collect();
        let envelope = json!({
            "payloadType": payload_type, "payload": encode(payload), "signatures": signatures,
        });
        changed(request(), "/spec/content/envelope", Some(envelope))
    }

    #[test]
    fn members_that_are_missing_or_wrong_are_named() {
        let envelope = "content.content.envelope.content.envelope";
        let required = |name: &str| list(&format!("{envelope}.{name} in body is required"));
        let payload_type = &required("payloadType");
        let signatures = &required("signatures");
        let empty = &list(&format!("{envelope}.signatures in body should have at least 1 items"));
        let key = &required("signatures.0.publicKey");
        let sig = &required("signatures.0.sig");
        let algorithm = &list("content.content.hash.content.hash.algorithm in body is required");
        let one_of = "content.content.payloadHash.content.payloadHash.algorithm in body should be \
                      one of [sha256]";
        let no_payload = "entry not insertable into log: missing envelope content";
        let byte_0 = "illegal base64 data at input byte 0";
        for (pointer, value, expected) in [
            ("/spec", Some(json!({})), payload_type.clone()),
            ("/spec/content", None, payload_type.clone()),
            ("/spec/content/envelope", Some(json!([])), payload_type.clone()),
            ("/spec/content/envelope/payloadType", None, payload_type.clone()),
            (SIGNATURES, None, signatures.clone()),
            (SIGNATURES, Some(json!({})), signatures.clone()),
            (SIGNATURES, Some(json!([])), empty.clone()),
            (SIGNATURES, Some(json!([1, null, []])), empty.clone()),
            (SIGNATURES, Some(json!([{}])), key.clone()),
            (SIGNATURES, Some(json!([{ "publicKey": "" }])), sig.clone()),
            ("/spec/content/hash", Some(json!({})), algorithm.clone()),
            ("/spec/content/payloadHash", Some(json!({ "algorithm": "sha1" })), list(one_of)),
            ("/spec/content/hash", None, "missing envelope digest".into()),
            (PAYLOAD, None, no_payload.into()),
            (PAYLOAD, Some(json!("")), no_payload.into()),
            (
                PAYLOAD,
                Some(json!("!")),
                format!("failed parsing base64 data for payload: {byte_0}"),
            ),
            (PAYLOAD, Some(json!("AAAA")), format!("could not verify envelope: {NOT_BASE64}")),
            (
                "/spec/content/envelope/signatures/0/sig",
                Some(json!("!")),
                format!("failed parsing base64 data for signature: {byte_0}"),
            ),
            (
                "/spec/content/envelope/signatures/0/publicKey",
                Some(json!("!")),
                format!("failed parsing base64 data for public key: {byte_0}"),
            ),
            (
                "/spec/content/envelope/signatures/0/sig",
                Some(json!("")),
                format!("could not verify envelope: {NONE}"),
            ),
        ] {
            let refused = reason(&changed(request(), pointer, value.clone())).to_string();
            assert_eq!(refused, expected, "{pointer} {value:?}");
        }
    }

    #[test]
    fn every_key_verifies_and_every_signature_is_verified() {
        let (one, two) = (Signer::new(), Signer::new());
        let good = signed("t", "cGF5bG9hZA==", &[&one, &two]);
        admitted(&good);
        let swap = |at: usize, signer: &Signer| {
            let pointer = format!("{SIGNATURES}/{at}/publicKey");
            changed(good.clone(), &pointer, Some(encode(&signer.pem)))
        };
        // The keys stand at the other's signature: all the same, everything is verified.
        let pointer = format!("{SIGNATURES}/1/publicKey");
        admitted(&changed(swap(0, &two), &pointer, Some(encode(&one.pem))));
        let unclaimed = "all signatures must have a key that verifies it";
        assert_eq!(reason(&swap(0, &two)).to_string(), unclaimed);
        let none = format!("could not verify envelope: {NONE}");
        assert_eq!(reason(&swap(1, &Signer::new())).to_string(), none);
    }

    #[test]
    fn keys_and_hash_are_stored_as_submitted() {
        let signer = Signer::new();
        let request = signed("t", "cGF5bG9hZA==", &[&signer]);
        let raw = [b" \r\n", &signer.pem[..], b"\n\n"].concat();
        let pointer = format!("{SIGNATURES}/0/publicKey");
        let request = changed(request, &pointer, Some(encode(&raw)));
        let request =
            changed(request, "/spec/content/hash/value", Some("any \"text\"\u{1}".into()));
        let request = changed(request, &format!("{SIGNATURES}/0/keyid"), Some("<k>".into()));
        let made = body(&request);
        let envelope = &made["spec"]["content"]["envelope"];
        assert_eq!(decode(&envelope["signatures"][0]["publicKey"]), raw);
        assert_eq!(envelope["signatures"][0]["keyid"], "<k>");
        assert_eq!(made["spec"]["content"]["hash"]["value"], "any \"text\"\u{1}");
        assert!(envelope.get("payload").is_none());
        let plain = changed(request, &pointer, Some(encode(&signer.pem)));
        assert_eq!(admitted(&plain).index_keys[0].len(), 71);
    }

    #[test]
    fn the_payload_must_be_in_standard_base64_and_have_a_type() {
        let signer = Signer::new();
        admitted(&signed("t", "////////////", &[&signer]));
        let refused = reason(&signed("t", "____________", &[&signer])).to_string();
        let expected = "could not decode envelope payload: illegal base64 data at input byte 0";
        assert_eq!(refused, expected);
        let untyped = reason(&signed("", "cGF5bG9hZA==", &[&signer])).to_string();
        assert_eq!(untyped, "entry not insertable into log: missing payloadType content");
    }

    #[test]
    fn the_stored_form_needs_both_hashes() {
        let made = body(&request());
        let text = made.to_string();
        let found = look_up(Json::first(text.as_bytes()).unwrap().unwrap(), now()).unwrap();
        assert_eq!(found, admitted(&request()).leaf);
        for (pointer, expected) in [
            ("/spec/content/hash", "missing envelope digest"),
            ("/spec/content/payloadHash", "missing payload digest"),
        ] {
            let text = changed(made.clone(), pointer, None).to_string();
            let refused =
                look_up(Json::first(text.as_bytes()).unwrap().unwrap(), now()).unwrap_err();
            assert_eq!(refused.in_lookup(), expected);
        }
        check_changes(
            &made,
            &[(
                "/spec/content/payloadHash",
                None,
                "entry not insertable into log: missing envelope content",
            )],
        );
    }

    #[test]
    fn counts_are_bounded() {
        let item = request().pointer(&format!("{SIGNATURES}/0")).unwrap().clone();
        admitted(&changed(request(), SIGNATURES, Some(vec![item.clone(); 16].into())));
        let many = changed(request(), SIGNATURES, Some(vec![item; 17].into()));
        let expected = "DSSE envelope must contain at most 16 signatures";
        assert_eq!(reason(&many).to_string(), expected);
    }
}
