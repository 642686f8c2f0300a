//! The recorded cases through REST: answers equal as JSON, and everything that is signed or hashed
//! equal byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::hash_leaf;
use log_tests::{Acknowledged, Connection, DataDir, Request, Response, ServerProcess, check_log};
use serde_json::Value;

use crate::recorded::{Expected, Recorded, Setting, assert_message};

#[test]
fn the_recorded_cases_are_answered_as_recorded() {
    replay(Setting::Default);
}

#[test]
fn set_like_the_reference_server_everything_is_answered_as_by_it() {
    replay(Setting::AsUpstream);
}

#[test]
fn an_entry_of_the_older_kind_is_answered_as_recorded() {
    let recorded = Recorded::load();
    let dir = recorded.log(Setting::Default);
    let server = dir.start();
    check_case(&mut server.connect(), &recorded, recorded.legacy(), Setting::Default, &dir);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

fn replay(setting: Setting) {
    let recorded = Recorded::load();
    let dir = recorded.log(setting);
    assert_eq!(dir.default_key().full_id_hash().to_base64(), recorded.text("log_id_b64"));
    let server = dir.start();
    assert_eq!(
        server.get("/checkpoint").expect(200).text(),
        recorded.text("empty_checkpoint_note")
    );
    let mut connection = server.connect();
    for case in recorded.cases() {
        check_case(&mut connection, &recorded, case, setting, &dir);
    }
    check_final_state(&server, &recorded);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 11);

    // The same log after a restart publishes the same bytes.
    assert!(server.terminate().status.success());
    check_final_state(&dir.start(), &recorded);
}

#[track_caller]
fn check_case(
    connection: &mut Connection,
    recorded: &Recorded,
    case: &Value,
    setting: Setting,
    dir: &DataDir,
) {
    let name = case["name"].as_str().expect("a name");
    let request = case["request"].as_str().expect("a request");
    let response = connection.send(&Request::post("/api/v2/log/entries", request));
    assert_eq!(response.header("content-type"), Some("application/json"), "{name}");
    match recorded.expected(case, setting) {
        Expected::Entry(entry) => {
            assert_eq!(response.status, 201, "{name}: {}", response.text());
            assert_eq!(response.json(), entry, "{name}");
            check_body(case, &Acknowledged::verify(&response.json(), dir.default_key()));
        }
        Expected::Conflict(error) => {
            assert_eq!(response.status, 409, "{name}: {}", response.text());
            assert_eq!(response.header("x-log-index"), case["x-log-index"].as_str(), "{name}");
            assert_eq!(response.json(), error, "{name}");
        }
        Expected::Refused(code, message) => check_refusal(name, &response, code, message),
    }
}

/// The recording says once more what the body must be, as text.
#[track_caller]
fn check_body(case: &Value, acknowledged: &Acknowledged) {
    let Some(body) = case["canonicalizedBody_utf8"].as_str() else { return };
    assert_eq!(acknowledged.leaf.as_bytes(), body.as_bytes());
    assert_eq!(hash_leaf(body.as_bytes()).to_string(), case["leafHash_hex"].as_str().expect("hex"));
}

#[track_caller]
fn check_refusal(name: &str, response: &Response, code: i64, message: Option<String>) {
    assert_eq!(response.status, 400, "{name}: {}", response.text());
    let error = response.json();
    assert_eq!(error["code"], code, "{name}");
    assert_eq!(error["details"], serde_json::json!([]), "{name}");
    let actual = error["message"].as_str().expect("a message");
    match message {
        Some(message) => assert_message(actual, &message),
        None => assert!(actual.contains("foo"), "{name}: {actual}"),
    }
}

#[track_caller]
fn check_final_state(server: &ServerProcess, recorded: &Recorded) {
    for prefix in ["", "/api/v2", "/logs/rekor-v2"] {
        let read = |path: &str| server.get(&format!("{prefix}/{path}")).expect(200);
        assert_eq!(read("checkpoint").text(), recorded.text("final_checkpoint"));
        let tile = read("tile/0/000.p/11").body;
        let hex: String = tile.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, recorded.text("final_tile_0_000_hex"));
        let bundle = STANDARD.encode(read("tile/entries/000.p/11").body);
        assert_eq!(bundle, recorded.text("final_entry_bundle_000_b64"));
    }
}
