//! The table of `decode.rs`, row by row, and the recorded requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;

/// A request of one P-256 key. `with` changes the text before it is read.
const REQUEST: &str = r#"{"hashedRekordRequestV002":{"digest":"AQID","signature":{"content":"+/+/",
    "verifier":{"publicKey":{"rawBytes":"BAUG"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}"#;

const DSSE: &str = r#"{"dsseRequestV002":{"envelope":{"payload":"eA==","payloadType":"a/b",
    "signatures":[{"sig":"cw==","keyid":"k"}]},
    "verifiers":[{"x509Certificate":{"rawBytes":"BAUG"},"keyDetails":"PKIX_ED25519"}]}}"#;

fn decode(body: &str) -> Result<CreateEntryRequest, JsonError> {
    decode_create_entry(body.as_bytes())
}

fn with(old: &str, new: &str) -> Result<CreateEntryRequest, JsonError> {
    assert!(REQUEST.contains(old), "{old}");
    decode(&REQUEST.replacen(old, new, 1))
}

#[track_caller]
fn refused(result: Result<CreateEntryRequest, JsonError>, text: &str) {
    let error = result.expect_err("must be refused").to_string();
    assert!(error.contains(text), "{error:?} does not contain {text:?}");
}

fn hashed_rekord(public_key: Option<Key>, key_details: i32) -> CreateEntryRequest {
    let verifier = Verifier { verifier: public_key, key_details };
    CreateEntryRequest {
        spec: Some(Spec::HashedRekordRequestV002(HashedRekordRequestV002 {
            digest: vec![1, 2, 3],
            signature: Some(Signature {
                content: vec![0xfb, 0xff, 0xbf],
                verifier: Some(verifier),
            }),
        })),
    }
}

fn expected() -> CreateEntryRequest {
    hashed_rekord(Some(Key::PublicKey(PublicKey { raw_bytes: vec![4, 5, 6] })), 5)
}

#[test]
fn camel_case_and_snake_case_are_read_and_no_other_casing() {
    assert_eq!(decode(REQUEST), Ok(expected()));
    let snake = REQUEST
        .replace("hashedRekordRequestV002", "hashed_rekord_request_v002")
        .replace("publicKey", "public_key")
        .replace("rawBytes", "raw_bytes")
        .replace("keyDetails", "key_details");
    assert_eq!(decode(&snake), Ok(expected()));
    assert_eq!(with("digest", r"d\u0069gest"), Ok(expected()));
    for (name, wrong) in [
        ("hashedRekordRequestV002", "HashedRekordRequestV002"),
        ("hashedRekordRequestV002", "hashedRekordV0_0_2"),
        ("digest", "Digest"),
        ("rawBytes", "rawbytes"),
        ("keyDetails", "key-details"),
        ("publicKey", "publickey"),
    ] {
        refused(with(name, wrong), &format!("unknown field \"{wrong}\""));
    }
}

#[test]
fn every_field_of_the_older_kind_is_read() {
    let envelope = intoto::Envelope {
        payload: b"x".to_vec(),
        payload_type: "a/b".into(),
        signatures: vec![intoto::Signature { sig: b"s".to_vec(), keyid: "k".into() }],
    };
    let certificate = X509Certificate { raw_bytes: vec![4, 5, 6] };
    let request = DsseRequestV002 {
        envelope: Some(envelope),
        verifiers: vec![Verifier {
            verifier: Some(Key::X509Certificate(certificate)),
            key_details: 7,
        }],
    };
    let request = CreateEntryRequest { spec: Some(Spec::DsseRequestV002(request)) };
    assert_eq!(decode(DSSE), Ok(request.clone()));
    let snake = DSSE
        .replace("dsseRequestV002", "dsse_request_v002")
        .replace("payloadType", "payload_type")
        .replace("x509Certificate", "x509_certificate");
    assert_eq!(decode(&snake), Ok(request));
}

#[test]
fn unknown_fields_are_refused_at_any_depth() {
    refused(decode(r#"{"foo":"bar"}"#), "unknown field \"foo\"");
    for object in ["\"digest\"", "\"content\"", "\"publicKey\"", "\"rawBytes\""] {
        let extra = format!("\"extra\":null,{object}");
        refused(with(object, &extra), "unknown field \"extra\"");
    }
    for object in ["\"payload\"", "\"sig\"", "\"rawBytes\"", "\"envelope\""] {
        let body = DSSE.replacen(object, &format!("\"extra\":1,{object}"), 1);
        refused(decode(&body), "unknown field \"extra\"");
    }
}

#[test]
fn duplicate_fields_are_refused_at_any_depth_and_in_either_spelling() {
    for (object, again) in [
        ("\"digest\":", "\"digest\":\"AQID\","),
        ("\"content\":", "\"content\":null,"),
        ("\"rawBytes\":", "\"raw_bytes\":\"BAUG\","),
        ("\"keyDetails\":", "\"key_details\":5,"),
        ("\"publicKey\":", "\"publicKey\":null,"),
        ("\"hashedRekordRequestV002\":", "\"hashed_rekord_request_v002\":null,"),
    ] {
        refused(with(object, &format!("{again}{object}")), "duplicate field");
    }
    for object in ["\"payload\":", "\"sig\":", "\"rawBytes\":", "\"envelope\":"] {
        refused(decode(&DSSE.replacen(object, &format!("{object}null,{object}"), 1)), "duplicate");
    }
}

#[test]
fn null_is_unset() {
    let bytes = r#"{"rawBytes":"BAUG"}"#;
    let both = format!(r#"{bytes},"x509Certificate":null"#);
    assert_eq!(with(bytes, &both), Ok(expected()));
    assert_eq!(with(bytes, "null"), Ok(hashed_rekord(None, 5)));
    let detached = with("\"PKIX_ECDSA_P256_SHA_256\"", "null").unwrap();
    assert_eq!(detached.spec, {
        let Some(Spec::HashedRekordRequestV002(mut inner)) = expected().spec else {
            panic!("a hashedrekord");
        };
        inner.signature.as_mut().unwrap().verifier.as_mut().unwrap().key_details = 0;
        Some(Spec::HashedRekordRequestV002(inner))
    });
    let nothing = r#"{"hashedRekordRequestV002":null,"dsseRequestV002":null}"#;
    assert_eq!(decode(nothing), Ok(CreateEntryRequest::default()));
    let lists = r#"{"dsseRequestV002":{"envelope":null,"verifiers":null}}"#;
    assert_eq!(
        decode(lists).unwrap().spec,
        Some(Spec::DsseRequestV002(DsseRequestV002::default()))
    );
}

#[test]
fn null_in_a_list_is_refused() {
    refused(decode(&DSSE.replacen("[{", "[null,{", 1)), "null");
}

#[test]
fn two_members_of_a_oneof_are_refused() {
    let bytes = r#""publicKey":{"rawBytes":"BAUG"}"#;
    let both = format!(r#"{bytes},"x509Certificate":{{"rawBytes":"BAUG"}}"#);
    refused(with(bytes, &both), "oneof");
    refused(with(bytes, &format!(r#""x509Certificate":{{}},{bytes}"#)), "oneof");
    refused(decode(r#"{"hashedRekordRequestV002":{},"dsseRequestV002":{}}"#), "oneof");
}

#[test]
fn four_spellings_of_base64_are_read() {
    let bytes = [0xfb, 0xff, 0xbf, 0xfe];
    for text in ["+/+//g==", "+/+//g", "-_-__g==", "-_-__g"] {
        let request = with("+/+/", text).unwrap();
        let Some(Spec::HashedRekordRequestV002(inner)) = request.spec else {
            panic!("a hashedrekord");
        };
        assert_eq!(inner.signature.unwrap().content, bytes, "{text}");
    }
}

#[test]
fn other_base64_is_refused() {
    for text in [
        "+/+//g=",
        "+/+//g===",
        "+/+//g====",
        "=",
        "====",
        "+/-_",
        "+/+_",
        "A",
        "AAAAA",
        "+/+/ ",
        r"+/\n+/",
        r"+/+/\n",
        r"+/+/\n\n\n\n",
        r"+/+/\r\n\r\n",
        "+/*/",
        "\u{e9}\u{e9}",
    ] {
        refused(with("+/+/", text), "invalid base64");
    }
    for value in ["1", "true", "[]", "{}", "[1,2]"] {
        refused(with("\"+/+/\"", value), "a base64 string");
    }
}

#[test]
fn unused_bits_of_base64_are_not_looked_at() {
    let request = with("AQID", "AR").unwrap();
    let Some(Spec::HashedRekordRequestV002(inner)) = request.spec else {
        panic!("a hashedrekord");
    };
    assert_eq!(inner.digest, [1]);
}

#[test]
fn an_enum_is_a_name_or_a_number() {
    for value in ["5", "5.0", "5e0", "0.5e1", "50E-1", "\"PKIX_ECDSA_P256_SHA_256\""] {
        assert_eq!(with("\"PKIX_ECDSA_P256_SHA_256\"", value), Ok(expected()), "{value}");
    }
    for (value, number) in [
        ("0", 0),
        ("\"PUBLIC_KEY_DETAILS_UNSPECIFIED\"", 0),
        ("-1", -1),
        ("99", 99),
        ("2147483647", i32::MAX),
        ("-2147483648", i32::MIN),
        ("\"ML_DSA_44\"", 23),
    ] {
        let request = with("\"PKIX_ECDSA_P256_SHA_256\"", value).unwrap();
        let key = Some(Key::PublicKey(PublicKey { raw_bytes: vec![4, 5, 6] }));
        assert_eq!(request, hashed_rekord(key, number), "{value}");
    }
    for value in [
        "\"5\"",
        "\"\"",
        "\"pkix_ecdsa_p256_sha_256\"",
        "\"PKIX_ECDSA_P256_SHA_256 \"",
        "5.5",
        "2147483648",
        "-2147483649",
        "1e10",
        "18446744073709551616",
        "1e999",
        "true",
        "[]",
        "{}",
    ] {
        let result = with("\"PKIX_ECDSA_P256_SHA_256\"", value);
        assert!(result.is_err(), "{value} gives {result:?}");
    }
}

#[test]
fn an_empty_body_is_an_empty_request() {
    for body in ["", " ", "\r\n\t ", "{}", " {} "] {
        assert_eq!(decode(body), Ok(CreateEntryRequest::default()), "{body:?}");
    }
}

#[test]
fn only_an_object_is_a_request() {
    for body in ["[]", "[{}]", "\"{}\"", "1", "0.5", "true", "null", "{", "}", "{]", "nul", ","] {
        assert!(decode(body).is_err(), "{body}");
    }
    for body in [REQUEST, DSSE] {
        for end in 1..body.len() {
            assert!(decode(&body[..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn bytes_after_the_first_value_are_ignored() {
    for rest in ["", "\n", " {}", "garbage", "\u{0}", "}", "{\"foo\":1}"] {
        assert_eq!(decode(&format!("{REQUEST}{rest}")), Ok(expected()), "{rest:?}");
    }
    let mut body = REQUEST.as_bytes().to_vec();
    body.extend([0xff, 0xfe]);
    assert_eq!(decode_create_entry(&body), Ok(expected()));
}

#[test]
fn compressed_bodies_byte_order_marks_and_broken_text_are_refused() {
    let gzip_of_nothing = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(decode_create_entry(&gzip_of_nothing).is_err());
    assert!(decode(&format!("\u{feff}{REQUEST}")).is_err());
    let mut body = DSSE.as_bytes().to_vec();
    let position = DSSE.find("a/b").unwrap();
    body[position] = 0xff;
    assert!(decode_create_entry(&body).is_err());
    assert!(decode(&DSSE.replace("a/b", r"\ud800")).is_err());
    assert!(decode(&DSSE.replace("a/b", "a\nb")).is_err());
}

#[test]
fn ten_thousand_levels_are_an_error() {
    for open in ["[", "{\"a\":", "{\"hashedRekordRequestV002\":", "{\"digest\":["] {
        assert!(decode(&open.repeat(10_000)).is_err(), "{open}");
        let nested = format!("{{\"hashedRekordRequestV002\":{}", open.repeat(10_000));
        assert!(decode(&nested).is_err(), "{open}");
        let nested = format!("{{\"dsseRequestV002\":{{\"verifiers\":{}", open.repeat(10_000));
        assert!(decode(&nested).is_err(), "{open}");
    }
}

#[test]
fn a_list_of_a_million_nothings_is_refused() {
    let list = |count: usize| {
        let items = vec!["{}"; count].join(",");
        format!("{{\"dsseRequestV002\":{{\"verifiers\":[{items}]}}}}")
    };
    assert!(decode(&list(LIST_ELEMENTS_MAX)).is_ok());
    refused(decode(&list(LIST_ELEMENTS_MAX + 1)), "at most");
    assert!(decode(&list(1_000_000)).is_err());
}

#[test]
fn an_error_text_does_not_quote_a_whole_request() {
    let long = "\u{e9}".repeat(100_000);
    for body in [
        format!("{{\"{long}\":1}}"),
        format!("{{\"hashedRekordRequestV002\":\"{long}\"}}"),
        REQUEST.replace("PKIX_ECDSA_P256_SHA_256", &long),
    ] {
        let text = decode(&body).unwrap_err().to_string();
        assert!(text.len() < 300, "{} bytes", text.len());
        assert!(text.contains("line 1 column") || text.contains("line 2 column"), "{text}");
    }
}

#[test]
fn every_recorded_request_is_read_as_recorded() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v2.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 26);
    for case in cases {
        let result = decode(case["request"].as_str().unwrap());
        if case["n"] == 21 {
            refused(result, "unknown field \"foo\"");
            continue;
        }
        let request = result.unwrap();
        let Some(Spec::HashedRekordRequestV002(inner)) = request.spec else {
            assert!([19, 20, 22, 24].contains(&case["n"].as_i64().unwrap()), "{}", case["n"]);
            continue;
        };
        let standard = |bytes: &[u8]| STANDARD.encode(bytes);
        let text = case["request"].as_str().unwrap().replace('-', "+").replace('_', "/");
        let unpadded = |bytes: &[u8]| standard(bytes).trim_end_matches('=').to_owned();
        assert!(text.contains(&unpadded(&inner.digest)), "digest of case {}", case["n"]);
        let content = inner.signature.unwrap().content;
        assert!(text.contains(&unpadded(&content)), "signature of case {}", case["n"]);
    }
}
