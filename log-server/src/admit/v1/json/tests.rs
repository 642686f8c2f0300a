//! Texts that are read, with what is found in them, and texts that must be refused in given words.

use super::*;

#[track_caller]
fn value(text: &str) -> Json<'_> {
    Json::only(text.as_bytes()).expect("JSON")
}

#[track_caller]
fn refusal(text: &[u8]) -> String {
    Json::first(text).expect_err("must be refused").to_string()
}

#[test]
fn every_type_is_read() {
    for (text, expected) in [
        ("null", JsonType::Null),
        ("true", JsonType::Bool),
        ("false", JsonType::Bool),
        ("0", JsonType::Number),
        ("-0.5e+10", JsonType::Number),
        ("\"\"", JsonType::String),
        ("[]", JsonType::Array),
        ("[1, [2], {}]", JsonType::Array),
        ("{}", JsonType::Object),
        ("{ \"a\" : [ ] , \"b\" : { \"c\" : null } }", JsonType::Object),
    ] {
        assert_eq!(value(text).json_type(), expected, "{text}");
        let spaced = format!(" \t\r\n{text}\n ");
        assert_eq!(value(&spaced).json_type(), expected, "{text}");
    }
    assert_eq!(value("-12.50E3").as_number(), Some("-12.50E3"));
    assert_eq!(value("\"12\"").as_number(), None);
    assert_eq!(value("12").as_str(), None);
}

#[test]
fn members_and_elements_come_in_their_order() {
    let json = value(r#"{"a":1,"b":["x,]",{"c":"}"}],"a":{"d":[]}, "e" : null}"#);
    let members: Vec<_> = json.members().map(|(name, value)| (name, value.json_type())).collect();
    let expected = [
        ("a", JsonType::Number),
        ("b", JsonType::Array),
        ("a", JsonType::Object),
        ("e", JsonType::Null),
    ];
    assert_eq!(members.len(), expected.len());
    for (member, expected) in members.iter().zip(expected) {
        assert_eq!((&*member.0, member.1), expected);
    }
    let elements: Vec<_> = json.array("b").expect("b").elements().collect();
    assert_eq!(elements[0].as_str().as_deref(), Some("x,]"));
    assert_eq!(elements[1].string("c").as_deref(), Some("}"));
    assert_eq!(elements.len(), 2);
    assert_eq!(value("[]").elements().count() + value("{}").members().count(), 0);
    assert_eq!(value("{\"a\":1}").elements().count(), 0);
    assert_eq!(value("[1]").members().count(), 0);
}

#[test]
fn the_last_duplicate_counts() {
    let json = value(r#"{"a":"first","A":"other","a":"last"}"#);
    assert_eq!(json.string("a").as_deref(), Some("last"));
    let all: Vec<_> = json.in_any_case("a").filter_map(Json::as_str).collect();
    assert_eq!(all, ["first", "other", "last"]);
    let json = value(r#"{"a":{},"a":null}"#);
    assert!(json.object("a").is_none());
}

#[test]
fn names_match_in_any_case_and_fold() {
    for name in ["kind", "KIND", "kInD", "\u{212a}ind"] {
        assert!(is_in_any_case(name, "kind"), "{name}");
    }
    assert!(is_in_any_case("\u{17f}PEC", "spec"));
    for name in ["kin", "kinds", "k\u{131}nd", "", &"kind".repeat(1000)] {
        assert!(!is_in_any_case(name, "kind"), "{name}");
    }
    let escaped = value(r#"{"\u004bin\u0064":1}"#);
    assert_eq!(escaped.in_any_case("kind").count(), 1);
}

#[test]
fn strings_lose_their_escapes() {
    for (text, expected) in [
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
        (r#""\u00e9\u20AC""#, "\u{e9}\u{20ac}"),
        (r#""\ud83e\udd80""#, "\u{1f980}"),
        (r#""\ud83e""#, "\u{fffd}"),
        (r#""\ud83ex\udd80""#, "\u{fffd}x\u{fffd}"),
        (r#""\ud83e\ud83e\udd80""#, "\u{fffd}\u{1f980}"),
        (r#""\udd80\ud83e""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83e\n""#, "\u{fffd}\n"),
        ("\"\u{7f}\u{2028}\"", "\u{7f}\u{2028}"),
    ] {
        assert_eq!(value(text).as_str().as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn every_byte_that_is_no_character_is_replaced() {
    let json = Json::only(b"\"a\xff\xfeb\xe2\x82c\xf0\x9f\"").expect("JSON");
    let expected = "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}c\u{fffd}\u{fffd}";
    assert_eq!(json.as_str().as_deref(), Some(expected));
    let json = Json::only(b"{\"\xff\":1}").expect("JSON");
    assert_eq!(json.get("\u{fffd}").and_then(Json::as_number), Some("1"));
}

#[test]
fn what_follows_the_first_value_is_ignored_or_not() {
    for text in ["{}x", "{} {", "[]\"", "1 2", "\"a\"b", "null,"] {
        assert!(matches!(Json::first(text.as_bytes()), Ok(Some(_))), "{text}");
        assert!(Json::only(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(
        Json::only(b"{} x").unwrap_err().to_string(),
        "invalid character 'x' after top-level value"
    );
    for blank in ["", " ", "\n\t\r "] {
        assert!(matches!(Json::first(blank.as_bytes()), Ok(None)));
        let refused = Json::only(blank.as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), "unexpected end of JSON input");
    }
}

#[test]
fn refusals_say_what_stands_where() {
    for (text, expected) in [
        ("cairn", "invalid character 'c' looking for beginning of value"),
        ("'", r"invalid character '\'' looking for beginning of value"),
        ("\\", r"invalid character '\\' looking for beginning of value"),
        ("\0", r"invalid character '\x00' looking for beginning of value"),
        ("\u{e9}", "invalid character '\u{c3}' looking for beginning of value"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{\"a\":}", "invalid character '}' looking for beginning of value"),
        ("{a", "invalid character 'a' looking for beginning of object key string"),
        ("{1", "invalid character '1' looking for beginning of object key string"),
        ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
        ("{\"a\"x", "invalid character 'x' after object key"),
        ("{\"a\":1x", "invalid character 'x' after object key:value pair"),
        ("{\"a\":1]", "invalid character ']' after object key:value pair"),
        ("{\"a\":1 \"b\"", "invalid character '\"' after object key:value pair"),
        ("{\"a\":01}", "invalid character '1' after object key:value pair"),
        ("[1x", "invalid character 'x' after array element"),
        ("[1}", "invalid character '}' after array element"),
        ("\"\t\"", r"invalid character '\t' in string literal"),
        ("\"\u{1f}\"", r"invalid character '\x1f' in string literal"),
        (r#""\x""#, "invalid character 'x' in string escape code"),
        (r#""\u12x""#, r"invalid character 'x' in \u hexadecimal character escape"),
        ("[-]", "invalid character ']' in numeric literal"),
        ("[1.]", "invalid character ']' after decimal point in numeric literal"),
        ("[1e,", "invalid character ',' in exponent of numeric literal"),
        ("[1e+]", "invalid character ']' in exponent of numeric literal"),
        ("trug", "invalid character 'g' in literal true (expecting 'e')"),
        ("f{", "invalid character '{' in literal false (expecting 'a')"),
        ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
    ] {
        assert_eq!(refusal(text.as_bytes()), expected, "{text}");
    }
    assert_eq!(refusal(b"\xa0"), r"invalid character '\u00a0' looking for beginning of value");
    let found = JsonType::Array;
    let wrong = JsonError::WrongType { found, place: "value of type x" };
    assert_eq!(wrong.to_string(), "json: cannot unmarshal array into Go value of type x");
}

#[test]
fn a_text_that_ends_early_is_refused_wherever_it_ends() {
    let text = br#"{"a":[1,-2.5e+3,"\u00e9\n",true,false,null,{"b":{}}],"c":""}"#;
    assert!(Json::only(text).is_ok());
    for end in 1..text.len() {
        assert_eq!(refusal(&text[..end]), "unexpected EOF", "{end}");
    }
    assert_eq!(Json::only(b"[").unwrap_err().to_string(), "unexpected end of JSON input");
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deepest = nested(DEPTH_MAX);
    let inner = value(&deepest).elements().next().expect("an array in an array");
    assert_eq!(inner.json_type(), JsonType::Array);
    let too_deep = "invalid character '[' exceeded max depth";
    assert_eq!(refusal(nested(DEPTH_MAX + 1).as_bytes()), too_deep);
    assert_eq!(refusal("[".repeat(10_000_000).as_bytes()), too_deep);
    let objects = "{\"a\":".repeat(DEPTH_MAX + 1);
    assert_eq!(refusal(objects.as_bytes()), "invalid character '{' exceeded max depth");
}

/// What another parser, which is stricter, takes must be taken with the same content.
#[test]
fn what_serde_reads_is_read_alike() {
    let texts = [
        r#"{"a":{"b":[1,2,{"c":"d\u00e9\ud83e\udd80"}]},"":"x","n":-1.5e-7,"t":true,"z":null}"#,
        r#"[[],[[]],{"":{}},"\"",0,1e5,"\\\\"]"#,
        "\"plain\"",
    ];
    for text in texts {
        let expected: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(rebuild(value(text)), expected, "{text}");
    }
}

fn rebuild(json: Json<'_>) -> serde_json::Value {
    match json.json_type() {
        JsonType::Object => json.members().map(|(k, v)| (k.into_owned(), rebuild(v))).collect(),
        JsonType::Array => json.elements().map(rebuild).collect(),
        JsonType::String => json.as_str().expect("a string").into(),
        _ => serde_json::from_slice(json.0).expect("a scalar"),
    }
}

/// Damaged texts are refused or read, but never end anything, and what is read is within the text.
#[test]
fn damaged_texts_do_no_harm() {
    let text = br#"{"kind":"x","spec":{"a":["\u00e9\ud83e",1.5e3,{"b":null}],"c":{}},"d":""}"#;
    let replacements = b"\0\"\\{}[],:eE+-.0u \xff";
    for at in 0..text.len() {
        for replacement in replacements {
            let mut damaged = text.to_vec();
            damaged[at] = *replacement;
            if let Ok(Some(json)) = Json::first(&damaged) {
                assert!(walk(json) <= damaged.len());
            }
            damaged.remove(at);
            _ = Json::first(&damaged).map(|json| json.map(walk));
        }
    }
}

fn walk(json: Json<'_>) -> usize {
    let members = json.members().map(|(name, value)| name.len().min(1) + walk(value));
    let elements = json.elements().map(walk);
    1 + members.sum::<usize>() + elements.sum::<usize>()
}
