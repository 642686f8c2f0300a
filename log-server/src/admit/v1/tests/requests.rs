//! What comes before the kinds: JSON, kind, version, `spec`.

use serde_json::json;

use super::super::json::Json;
use super::super::{Kind, Reason, Refusal, Rules, create_entry, look_up};
use super::{admitted, case, changed, every_kind, now, submit};

#[track_caller]
fn refusal(text: &str) -> Refusal {
    create_entry(text.as_bytes(), &every_kind(), now()).expect_err(text)
}

#[test]
fn refusals_before_the_kind_have_their_words_and_codes() {
    let one = r#"value of type struct { Kind string "json:\"kind\"" }"#;
    for (text, code, expected) in [
        ("", 602, "proposedEntry in body is required"),
        (" \n", 602, "proposedEntry in body is required"),
        ("null", 602, "kind in body is required"),
        ("{}", 602, "kind in body is required"),
        (r#"{"kind":""}"#, 602, "kind in body is required"),
        (r#"{"kind":null}"#, 602, "kind in body is required"),
        (r#"{"kind":"foo"}"#, 422, r#"invalid kind value: "foo""#),
        (r#"{"kind":"Dsse"}"#, 422, r#"invalid kind value: "Dsse""#),
        (r#"{"kind":"dsse"}"#, 602, "apiVersion in body is required"),
        (r#"{"kind":"dsse","apiVersion":null}"#, 602, "apiVersion in body is required"),
        (r#"{"kind":"dsse","apiVersion":"0.0.1"}"#, 602, "spec in body is required"),
        (r#"{"kind":"dsse","apiVersion":"0.0.1","spec":null}"#, 602, "spec in body is required"),
        ("{\"kind\":\"dsse\"", 400, "unexpected EOF"),
        ("[]", 400, &format!("json: cannot unmarshal array into Go {one}")),
        ("1", 400, &format!("json: cannot unmarshal number into Go {one}")),
        ("\"x\"", 400, &format!("json: cannot unmarshal string into Go {one}")),
        ("true", 400, &format!("json: cannot unmarshal bool into Go {one}")),
        (
            r#"{"kind":1}"#,
            400,
            "json: cannot unmarshal number into Go struct field .kind of type string",
        ),
        (
            r#"{"kind":"dsse","apiVersion":{}}"#,
            400,
            "json: cannot unmarshal object into Go struct field .apiVersion of type string",
        ),
    ] {
        let refused = refusal(text);
        assert_eq!((refused.code(), refused.to_string()), (code, expected.to_owned()), "{text}");
    }
    let refused = refusal(r#"{"kind":"dsse","apiVersion":"1","spec":{}}"#);
    assert_eq!(refused, Refusal::VersionPattern);
}

#[test]
fn a_spec_is_an_object() {
    for (spec, expected) in
        [("[]", "[]interface {}"), ("1", "json.Number"), ("\"x\"", "string"), ("true", "bool")]
    {
        let text = format!(r#"{{"kind":"dsse","apiVersion":"0.0.1","spec":{spec}}}"#);
        let expected = format!("unsupported input type {expected} for DecodeEntry");
        assert_eq!(refusal(&text).in_lookup(), expected);
    }
}

#[test]
fn versions_are_compared_as_text() {
    for (kind, version) in [
        ("hashedrekord", "0.0.2"),
        ("hashedrekord", "0.0.1-a"),
        ("dsse", "0.0.1+b"),
        ("intoto", "0.0.3"),
        ("rekord", "1.0.0"),
        ("alpine", "0.0.2"),
    ] {
        let text = json!({ "kind": kind, "apiVersion": version, "spec": {} }).to_string();
        let expected = format!(
            "error processing entry: {kind} implementation for version '{version}' not found: \
             unable to locate entry for version {version}"
        );
        assert_eq!(refusal(&text).to_string(), expected);
    }
    let endless = format!("0.0.1-{}", "a".repeat(1_000_000));
    let text = json!({ "kind": "dsse", "apiVersion": endless, "spec": {} }).to_string();
    assert!(refusal(&text).to_string().len() < 500);
}

#[test]
fn kinds_that_are_off_can_be_looked_up_all_the_same() {
    let request = case("hashedrekord-p256-sha256");
    let text = request.to_string();
    let none = Rules { kinds: Vec::new() };
    let refused = create_entry(text.as_bytes(), &none, now()).unwrap_err();
    let disabled = Reason::KindDisabled("hashedrekord");
    assert_eq!(refused, Refusal::Entry(disabled));
    let expected = "error processing entry: entry kind 'hashedrekord' is not enabled for \
                    submission on this server";
    assert_eq!(refused.to_string(), expected);
    let found = look_up(Json::first(text.as_bytes()).unwrap().unwrap(), now()).unwrap();
    assert_eq!(found, admitted(&request).leaf);
}

#[test]
fn the_default_takes_what_clients_send() {
    let rules = Rules::default();
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.name()), Some(kind));
        let off = matches!(
            kind,
            Kind::Alpine | Kind::Cose | Kind::Helm | Kind::Jar | Kind::Rpm | Kind::Tuf
        );
        assert_eq!(rules.kinds.contains(&kind), !off, "{}", kind.name());
    }
    let text = r#"{"kind":"rpm","apiVersion":"0.0.1","spec":{}}"#;
    let refused = create_entry(text.as_bytes(), &rules, now()).unwrap_err();
    assert_eq!(refused, Refusal::Entry(Reason::KindDisabled("rpm")));
}

#[test]
fn the_top_is_read_in_any_case_and_the_last_duplicate_counts() {
    let request = case("hashedrekord-p256-sha256");
    let expected = admitted(&request).leaf;
    let spec = request["spec"].to_string();
    for text in [
        format!(r#"{{"KIND":"hashedrekord","APIVERSION":"0.0.1","Spec":{spec}}}"#),
        format!(r#"{{"kind":"dsse","Kind":"hashedrekord","apiVersion":"0.0.1","spec":{spec}}}"#),
        format!(r#"{{"kind":"hashedrekord","kind":null,"apiVersion":"0.0.1","spec":{spec}}}"#),
        format!(r#"{{"kind":"hashedrekord","apiversion":"9","apiVersion":"0.0.1","spec":{spec}}}"#),
        format!(r#"{{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{{}},"spec":{spec}}}"#),
        format!(r#"{{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{spec}}} and more"#),
        format!(r#"{{"\u212aind":"hashedrekord","apiVersion":"0.0.1","spec":{spec}, "x":[[]]}}"#),
    ] {
        let admitted = create_entry(text.as_bytes(), &every_kind(), now());
        assert_eq!(admitted.expect(&text).leaf, expected, "{text}");
    }
    for text in [
        format!(r#"{{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{spec},"spec":null}}"#),
        format!(
            r#"{{"kind":"hashedrekord","apiVersion":"0.0.1","apiVersion":null,"spec":{spec}}}"#
        ),
        format!(r#"{{"kind":"hashedrekord","kind":1,"apiVersion":"0.0.1","spec":{spec}}}"#),
        format!(r#"{{"kind":1,"kind":"hashedrekord","apiVersion":"0.0.1","spec":{spec}}}"#),
    ] {
        assert!(create_entry(text.as_bytes(), &every_kind(), now()).is_err(), "{text}");
    }
}

/// Within `spec` names are exact.
#[test]
fn the_members_of_a_spec_have_one_spelling() {
    let request = case("hashedrekord-p256-sha256");
    let signature = request["spec"]["signature"].clone();
    let upper = changed(request.clone(), "/spec/Signature", Some(signature));
    let expected = admitted(&request).leaf;
    assert_eq!(admitted(&upper).leaf, expected);
    let upper = changed(upper, "/spec/signature", None);
    let refused = submit(&upper).unwrap_err();
    assert_eq!(refused.in_lookup(), "validation failure list:\nsignature in body is required");
}

#[test]
fn deep_nesting_is_taken_up_to_its_limit() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"kind":"dsse","apiVersion":"0.0.1","spec":{{"x":{open}{close}}}}}"#)
    };
    let refused = refusal(&nested(9_998));
    assert!(refused.in_lookup().starts_with("either proposedContent or"), "{refused}");
    let refused = refusal(&nested(9_999));
    assert_eq!(refused.to_string(), "invalid character '[' exceeded max depth");
}
