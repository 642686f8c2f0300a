//! The JSON of requests: whatever a strict parser reads is read here as well, and as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::json::{Json, JsonType};
use serde_json::Value;

fuzz_target!(|text: &[u8]| {
    let strict = serde_json::from_slice::<Value>(text);
    let first = Json::first(text);
    match (&strict, Json::only(text)) {
        (Ok(strict), Ok(json)) => check(strict, json),
        (Ok(strict), Err(error)) => panic!("{error}: {strict}"),
        (Err(_), Ok(json)) => check_parts(json),
        (Err(_), Err(error)) => assert!(!error.to_string().is_empty()),
    }
    match first {
        Ok(Some(json)) => {
            assert!(json.text_len() <= text.len());
            check_parts(json);
        }
        Ok(None) => assert!(text.iter().all(u8::is_ascii_whitespace)),
        Err(error) => assert!(strict.is_err() && !error.to_string().is_empty()),
    }
});

/// No deeper than the strict parser goes.
fn check(strict: &Value, json: Json<'_>) {
    match strict {
        Value::Null => assert_eq!(json.json_type(), JsonType::Null),
        Value::Bool(wanted) => {
            assert_eq!(json.json_type(), JsonType::Bool);
            assert_eq!(json.is_true(), *wanted);
        }
        Value::Number(wanted) => {
            let digits = json.as_number().expect("a number");
            assert_eq!(serde_json::from_str::<Value>(digits).ok().as_ref(), Some(strict));
            assert!(!wanted.to_string().is_empty());
        }
        Value::String(wanted) => assert_eq!(json.as_str().as_deref(), Some(wanted.as_str())),
        Value::Array(wanted) => {
            assert_eq!(json.json_type(), JsonType::Array);
            assert_eq!(json.elements().count(), wanted.len());
            for (wanted, element) in wanted.iter().zip(json.elements()) {
                check(wanted, element);
            }
        }
        Value::Object(wanted) => {
            assert_eq!(json.json_type(), JsonType::Object);
            assert!(json.members().all(|(name, _)| wanted.contains_key(name.as_ref())));
            for (name, wanted) in wanted {
                check(wanted, json.get(name).expect("a member"));
            }
        }
    }
}

/// What is asked of any value has an answer.
fn check_parts(json: Json<'_>) {
    assert_eq!(json.as_str().is_some(), json.json_type() == JsonType::String);
    assert_eq!(json.as_number().is_some(), json.json_type() == JsonType::Number);
    for element in json.elements() {
        assert!(element.text_len() < json.text_len());
    }
    for (name, value) in json.members() {
        assert!(value.text_len() < json.text_len());
        assert!(json.get(&name).is_some());
        let _ = (json.object(&name), json.array(&name), json.string(&name));
    }
    assert!(json.in_any_case("kind").count() <= json.members().count());
}
