//! `dsse`: the envelope's text, who claims which signature, what is stored and looked for.

use log_core::entry::dsse::pae;
use log_core::hash::sha256;
use serde_json::{Value, json};

use super::super::index::{IN_TOTO, KEYS_MAX};
use super::super::json::Json;
use super::super::{Reason, look_up};
use super::{Signer, admitted, body, case, changed, check_changes, encode, list, now, reason};

const ENVELOPE: &str = "/spec/proposedContent/envelope";
const VERIFIERS: &str = "/spec/proposedContent/verifiers";
const PAYLOAD: &[u8] = b"the payload";

fn request() -> Value {
    case("dsse-key")
}

fn with_envelope(text: &str) -> Value {
    changed(request(), ENVELOPE, Some(text.into()))
}

fn entry(envelope: &Value, verifiers: &[&Signer]) -> Value {
    let verifiers: Vec<_> = verifiers.iter().map(|signer| encode(&signer.pem)).collect();
    let content = json!({ "envelope": envelope.to_string(), "verifiers": verifiers });
    json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": { "proposedContent": content } })
}

fn envelope(payload_type: &str, payload: &[u8], signers: &[&Signer]) -> Value {
    let signed = pae(payload_type.as_bytes(), payload);
    let signatures: Vec<_> =
        signers.iter().map(|signer| json!({ "sig": encode(signer.sign(&signed)) })).collect();
    json!({ "payloadType": payload_type, "payload": encode(payload), "signatures": signatures })
}

#[test]
fn the_text_of_an_envelope_is_read_with_the_reference_servers_words() {
    let not_verified = "could not verify envelope: ";
    let none = "accepted signatures do not match threshold, Found: 0, Expected 1";
    let not_base64 = "unable to base64 decode payload (is payload in the right format?)";
    let unsigned = "DSSE envelope must contain 1 or more signatures";
    let wrong = "json: cannot unmarshal number into Go struct field";
    for (text, expected) in [
        ("", "unexpected end of JSON input".to_owned()),
        ("x", "invalid character 'x' looking for beginning of value".into()),
        ("{} x", "invalid character 'x' after top-level value".into()),
        ("null", unsigned.into()),
        ("{}", unsigned.into()),
        (r#"{"signatures":null}"#, unsigned.into()),
        (r#"{"signatures":[]}"#, unsigned.into()),
        (r#"{"signatures":[{}],"SIGNATURES":[]}"#, unsigned.into()),
        ("[]", "json: cannot unmarshal array into Go value of type dsse.Envelope".into()),
        (r#"{"signatures":1}"#, format!("{wrong} Envelope.signatures of type []dsse.Signature")),
        (r#"{"signatures":[1]}"#, format!("{wrong} Envelope.signatures of type dsse.Signature")),
        (
            r#"{"signatures":[{"sig":1}]}"#,
            format!("{wrong} Signature.signatures.sig of type string"),
        ),
        (
            r#"{"signatures":[{"keyid":1}]}"#,
            format!("{wrong} Signature.signatures.keyid of type string"),
        ),
        (r#"{"payload":1}"#, format!("{wrong} Envelope.payload of type string")),
        (r#"{"payloadType":1}"#, format!("{wrong} Envelope.payloadType of type string")),
        (r#"{"signatures":[null]}"#, format!("{not_verified}{none}")),
        (r#"{"signatures":[{}]}"#, format!("{not_verified}{none}")),
        (r#"{"payload":"!","signatures":[{}]}"#, format!("{not_verified}{not_base64}")),
        (r#"{"signatures":[{"sig":"!"}]}"#, format!("{not_verified}{not_base64}")),
        (r#"{"signatures":[{"sig":"+-=="}]}"#, format!("{not_verified}{not_base64}")),
    ] {
        assert_eq!(reason(&with_envelope(text)).to_string(), expected, "{text}");
    }
}

#[test]
fn members_that_are_missing_or_wrong_are_named() {
    let neither =
        "either proposedContent or envelopeHash, payloadHash, and signatures must be present";
    let both = &format!("{neither} but not both");
    let required = &list("proposedContent.proposedContent.envelope in body is required");
    let verifiers = &list("proposedContent.proposedContent.verifiers in body is required");
    let empty =
        &list("proposedContent.proposedContent.verifiers in body should have at least 1 items");
    let algorithm = &list("payloadHash.payloadHash.algorithm in body is required");
    let signatures = &list("signatures in body should have at least 1 items");
    for (pointer, value, expected) in [
        ("/spec", Some(json!({})), neither),
        ("/spec/proposedContent", None, neither),
        ("/spec/proposedContent", Some(json!([])), neither),
        ("/spec/proposedContent", Some(json!({})), required),
        (ENVELOPE, None, required),
        (ENVELOPE, Some(json!(1)), required),
        (VERIFIERS, None, verifiers),
        (VERIFIERS, Some(json!({})), verifiers),
        (VERIFIERS, Some(json!([])), empty),
        (VERIFIERS, Some(json!(["", 1, null, []])), empty),
        (
            VERIFIERS,
            Some(json!(["!!"])),
            "failed parsing base64 data for verifier: illegal base64 data at input byte 0",
        ),
        (
            VERIFIERS,
            Some(json!(["AAAA"])),
            "could not parse public key as x509: invalid public key: failure decoding PEM",
        ),
        ("/spec/payloadHash", Some(json!({})), algorithm),
        ("/spec/payloadHash", Some(json!({ "algorithm": "sha256", "value": "" })), both),
        ("/spec/envelopeHash", Some(json!({ "algorithm": "sha256", "value": "" })), both),
        ("/spec/signatures", Some(json!([])), signatures),
        ("/spec/signatures", Some(json!([{ "signature": "AAAA", "verifier": "AAAA" }])), both),
    ] {
        let refused = reason(&changed(request(), pointer, value.clone())).to_string();
        assert_eq!(refused, *expected, "{pointer} {value:?}");
    }
}

#[test]
fn the_stored_form_is_checked_and_cannot_be_inserted() {
    let stored = json!({
        "envelopeHash": { "algorithm": "sha256", "value": "zz" },
        "payloadHash": { "algorithm": "sha256", "value": "yy" },
        "signatures": [
            { "signature": "BBBB", "verifier": "QUJD" },
            { "signature": "AAA=", "verifier": "QUI\n=" },
        ],
    });
    let stored = changed(request(), "/spec", Some(stored));
    let expected = "entry not insertable into log: missing proposed content";
    assert_eq!(reason(&stored).to_string(), expected);
    let text = stored.to_string();
    let leaf = look_up(Json::first(text.as_bytes()).unwrap().unwrap(), now()).unwrap();
    let expected = r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":"zz"},"payloadHash":{"algorithm":"sha256","value":"yy"},"signatures":[{"signature":"AAA=","verifier":"QUI="},{"signature":"BBBB","verifier":"QUJD"}]}}"#;
    assert_eq!(leaf.as_bytes(), expected.as_bytes());
    let required = |name: &str| list(&format!("signatures.{name} in body is required"));
    let pattern =
        r"^(?:[A-Za-z0-9+\/]{4})*(?:[A-Za-z0-9+\/]{2}==|[A-Za-z0-9+\/]{3}=|[A-Za-z0-9+\/]{4})$";
    let pattern = list(&format!("signatures.1.signature in body should match '{pattern}'"));
    let not_base64 = "failed parsing base64 data for signature verifier: illegal base64 data at \
                      input byte 0";
    check_changes(
        &stored,
        &[
            ("/spec/signatures/0/signature", None, &required("0.signature")),
            ("/spec/signatures/1/verifier", None, &required("1.verifier")),
            ("/spec/signatures/1/verifier", Some(json!("")), &required("1.verifier")),
            ("/spec/signatures/1/verifier", Some(json!("!")), not_base64),
        ],
    );
    for bad in ["", "A", "AB=", "AB_=", "A===", "====", "AAA=AAAA", "AA==\n", "AAAA AAAA"] {
        let bad = changed(stored.clone(), "/spec/signatures/1/signature", Some(bad.into()));
        assert_eq!(reason(&bad).to_string(), pattern);
    }
}

#[test]
fn signatures_are_stored_in_order_whoever_claims_them() {
    let (one, two) = (Signer::new(), Signer::new());
    for order in [[&one, &two], [&two, &one]] {
        let envelope = envelope("t", PAYLOAD, &order);
        let made = body(&entry(&envelope, &[&one, &two]));
        assert_eq!(made, body(&entry(&envelope, &[&two, &one])));
        let signatures = made["spec"]["signatures"].as_array().unwrap();
        let texts: Vec<_> = signatures.iter().map(|s| s["signature"].as_str().unwrap()).collect();
        assert!(texts.is_sorted() && texts.len() == 2);
        for (sent, signer) in envelope["signatures"].as_array().unwrap().iter().zip(&order) {
            let stored = signatures.iter().find(|stored| stored["signature"] == sent["sig"]);
            assert_eq!(stored.unwrap()["verifier"], encode(&signer.pem));
        }
    }
}

#[test]
fn every_signature_must_be_claimed_and_verifiers_count_in_order() {
    let (one, two, idle) = (Signer::new(), Signer::new(), Signer::new());
    let by_one = envelope("t", PAYLOAD, &[&one]);
    let by_both = envelope("t", PAYLOAD, &[&one, &two]);
    let unclaimed = "all signatures must have a key that verifies it";
    assert_eq!(reason(&entry(&by_both, &[&one])).to_string(), unclaimed);
    assert_eq!(reason(&entry(&by_both, &[&one, &one])).to_string(), unclaimed);
    // A verifier that verifies nothing is a fault, unless everything is claimed before.
    admitted(&entry(&by_one, &[&one, &idle]));
    let none = "could not verify envelope: accepted signatures do not match threshold, Found: 0, \
                Expected 1";
    assert_eq!(reason(&entry(&by_one, &[&idle, &one])).to_string(), none);
    assert_eq!(reason(&entry(&by_both, &[&one, &idle, &two])).to_string(), none);
    // Two signatures of one key cannot both be claimed, the same signature twice can.
    let twice = envelope("t", PAYLOAD, &[&one, &one]);
    assert_eq!(reason(&entry(&twice, &[&one, &one])).to_string(), unclaimed);
    let signature = by_one["signatures"][0].clone();
    let repeated = changed(by_one, "/signatures", Some(json!([signature, signature])));
    let made = body(&entry(&repeated, &[&one]));
    assert_eq!(made["spec"]["signatures"].as_array().unwrap().len(), 1);
}

#[test]
fn payload_and_payload_type_are_signed() {
    let signer = Signer::new();
    let good = envelope("t", PAYLOAD, &[&signer]);
    for (pointer, value) in [
        ("/payload", Some(encode(b"another"))),
        ("/payload", None),
        ("/payloadType", Some(json!("u"))),
        ("/payloadType", None),
    ] {
        let refused = reason(&entry(&changed(good.clone(), pointer, value), &[&signer]));
        assert!(refused.to_string().starts_with("could not verify envelope: "), "{refused}");
    }
    let empty = envelope("", b"", &[&signer]);
    let made = body(&entry(&empty, &[&signer]));
    assert_eq!(made["spec"]["payloadHash"]["value"], sha256(b"").to_string());
}

#[test]
fn names_in_an_envelope_match_in_any_case_and_lists_are_laid_over_each_other() {
    let signer = Signer::new();
    let good = envelope("t", PAYLOAD, &[&signer]);
    let (payload, signature) = (&good["payload"], &good["signatures"][0]["sig"]);
    for text in [
        format!(
            r#"{{"PAYLOAD":{payload},"PayloadType":"t","\u017fignatures":[{{"Sig":{signature}}}]}}"#
        ),
        format!(
            r#"{{"payload":"!","payload":{payload},"payloadType":"t","signatures":[{{"sig":{signature}}}],"signatures":[{{"keyid":"k"}}]}}"#
        ),
        format!(
            r#"{{"payload":{payload},"payload":null,"payloadType":"t","signatures":[{{"sig":"x"}},{{}}],"signatures":[{{"sig":{signature}}}]}}"#
        ),
    ] {
        let request = entry(&good, &[&signer]);
        let made = body(&changed(request, ENVELOPE, Some(text.clone().into())));
        assert_eq!(made["spec"]["envelopeHash"]["value"], sha256(text.as_bytes()).to_string());
        assert_eq!(made["spec"]["signatures"][0]["signature"], *signature);
    }
}

#[test]
fn url_base64_is_taken_for_payloads_but_not_for_signatures() {
    let signer = Signer::new();
    let payload = [0xff; 9];
    let good = envelope("t", &payload, &[&signer]);
    assert_eq!(good["payload"], "////////////");
    let url = changed(good.clone(), "/payload", Some(json!("____________")));
    let made = body(&entry(&url, &[&signer]));
    assert_eq!(made["spec"]["payloadHash"]["value"], sha256(&payload).to_string());
    let refused = "signatures must be in standard base64 without line ends";
    let sig = good["signatures"][0]["sig"].as_str().unwrap();
    let folded = format!("{}\n{}", &sig[..4], &sig[4..]);
    let url = sig.replace('+', "-").replace('/', "_");
    for other in [folded, url].into_iter().filter(|other| other != sig) {
        let other = changed(good.clone(), "/signatures/0/sig", Some(other.into()));
        assert_eq!(reason(&entry(&other, &[&signer])).to_string(), refused);
    }
}

#[test]
fn counts_are_bounded() {
    let signers: Vec<Signer> = (0..17).map(|_| Signer::new()).collect();
    let signers: Vec<&Signer> = signers.iter().collect();
    let sixteen = envelope("t", PAYLOAD, &signers[..16]);
    admitted(&entry(&sixteen, &signers[..16]));
    let refused = reason(&entry(&sixteen, &signers)).to_string();
    assert_eq!(refused, "at most 16 verifiers are allowed");
    let seventeen = envelope("t", PAYLOAD, &signers);
    let refused = reason(&entry(&seventeen, &signers[..1])).to_string();
    assert_eq!(refused, "DSSE envelope must contain at most 16 signatures");
    let many = json!({ "signatures": vec![json!({}); 100_000] });
    assert_eq!(reason(&entry(&many, &signers[..1])).to_string(), refused);
}

#[test]
fn a_statement_gives_search_keys_and_anything_else_gives_none() {
    let signer = Signer::new();
    let keys = |payload_type: &str, payload: &[u8]| {
        admitted(&entry(&envelope(payload_type, payload, &[&signer]), &[&signer])).index_keys
    };
    let statement = br#"{"Subject":[{"digest":{"SHA256":"AB","sha1":"cd","x":1}},{"digest":null},7,
        {"digest":{"sha256":"ab"}}],"predicate":{"materials":[{"digest":{"foo":"bar"}}]}}"#;
    let found = keys(IN_TOTO, statement);
    // Key, payload and envelope; two subjects and a material; the other form of the key.
    assert_eq!(found[3..6], ["sha256:ab", "sha1:cd", "foo:bar"]);
    assert_eq!(found[0], format!("sha256:{}", found[6]));
    assert_eq!(found.len(), 7);
    for other in
        [&b""[..], b"text", b"[]", b"null", b"{}", b"{\"subject\":{}}", b"{\"subject\":[1]}"]
    {
        assert_eq!(keys(IN_TOTO, other).len(), 4);
    }
    assert_eq!(keys("application/json", statement).len(), 4);
    let long = format!(r#"{{"subject":[{{"digest":{{"sha256":"{}"}}}}]}}"#, "a".repeat(2_000));
    assert_eq!(keys(IN_TOTO, long.as_bytes()).len(), 4);
}

#[test]
fn search_keys_are_bounded() {
    let signer = Signer::new();
    let statement = |subjects: usize| {
        let subject = |n: usize| json!({ "digest": { "sha256": n.to_string() } });
        let subjects: Vec<_> = (0..subjects).map(subject).collect();
        json!({ "subject": subjects }).to_string()
    };
    let request = |subjects: usize| {
        let payload = statement(subjects);
        entry(&envelope(IN_TOTO, payload.as_bytes(), &[&signer]), &[&signer])
    };
    assert_eq!(admitted(&request(KEYS_MAX - 4)).index_keys.len(), KEYS_MAX);
    assert_eq!(reason(&request(KEYS_MAX - 3)), Reason::TooManyKeys);
    assert_eq!(reason(&request(100_000)), Reason::TooManyKeys);
}
