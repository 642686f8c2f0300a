//! The recorded cases through gRPC: the same entries as protobuf messages.

use log_core::{Hash, LeafIndex};
use log_proto::rekor::v1::TransparencyLogEntry;
use log_proto::rekor::v2::rekor_client::RekorClient;
use log_proto::rekor::v2::{EntryBundleRequest, TileRequest};
use log_server::api::rekor_v2_json::decode_create_entry;
use log_tests::answer::{Acknowledged, Parts};
use log_tests::{DataDir, check_log};
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::recorded::{Expected, Recorded, Setting, assert_message};

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_cases_are_answered_alike_through_grpc() {
    replay(Setting::Default).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_answered_alike_through_grpc() {
    replay(Setting::AsUpstream).await;
}

async fn replay(setting: Setting) {
    let recorded = Recorded::load();
    let dir = recorded.log(setting);
    let server = dir.start();
    let mut client = RekorClient::connect(server.url()).await.expect("a connection");
    for case in recorded.cases() {
        // What is no protobuf JSON at all has no form as a message.
        let body = case["request"].as_str().expect("a request").as_bytes();
        let Ok(request) = decode_create_entry(body) else { continue };
        let answer = client.create_entry(request).await;
        check(case, answer, recorded.expected(case, setting), &dir);
    }
    check_reads(&mut client, &recorded).await;
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 11);
}

fn check(
    case: &Value,
    answer: Result<Response<TransparencyLogEntry>, Status>,
    expected: Expected,
    dir: &DataDir,
) {
    let name = case["name"].as_str().expect("a name");
    match (expected, answer) {
        (Expected::Entry(json), Ok(entry)) => {
            let code = entry.metadata().get("x-http-code").map(|code| code.as_bytes());
            assert_eq!(code, Some(&b"201"[..]), "{name}");
            check_entry(name, &json, &entry.into_inner(), dir);
        }
        (Expected::Conflict(error), Err(status)) => {
            assert_eq!(status.code(), Code::AlreadyExists, "{name}");
            assert_eq!(error["message"], status.message(), "{name}");
            let index = status.metadata().get("x-log-index").expect("an index");
            assert_eq!(case["x-log-index"], index.to_str().expect("digits"), "{name}");
        }
        (Expected::Refused(code, message), Err(status)) => {
            assert_eq!(i64::from(status.code() as i32), code, "{name}");
            assert_message(status.message(), &message.expect("a message to compare"));
        }
        (expected, answer) => panic!("{name}: {answer:?} instead of {expected:?}"),
    }
}

/// Compares a message with the JSON form of the same entry, and verifies it.
#[track_caller]
fn check_entry(name: &str, json: &Value, entry: &TransparencyLogEntry, dir: &DataDir) {
    let proof = entry.inclusion_proof.as_ref().expect("a proof");
    let hashes: Vec<Hash> =
        proof.hashes.iter().map(|hash| Hash::from_slice(hash).expect("a hash")).collect();
    let recorded = Acknowledged::verify(json, dir.default_key());
    assert_eq!(json["logIndex"], entry.log_index.to_string(), "{name}");
    assert_eq!(proof.log_index, entry.log_index, "{name}");
    assert_eq!(entry.canonicalized_body, recorded.leaf.as_bytes(), "{name}");
    assert_eq!(proof.root_hash, recorded.head.root_hash.as_bytes(), "{name}");
    assert_eq!(json["inclusionProof"]["treeSize"], proof.tree_size.to_string(), "{name}");
    let kind = entry.kind_version.as_ref().expect("a kind");
    assert_eq!(json["kindVersion"]["kind"], kind.kind, "{name}");
    assert_eq!(json["kindVersion"]["version"], kind.version, "{name}");
    let log_id = &entry.log_id.as_ref().expect("a log id").key_id;
    assert_eq!(log_id, dir.default_key().full_id_hash().as_bytes(), "{name}");
    assert_eq!((entry.integrated_time, entry.inclusion_promise.as_ref()), (0, None), "{name}");
    let index = LeafIndex::new(entry.log_index.try_into().expect("not negative"));
    let note = &proof.checkpoint.as_ref().expect("a checkpoint").envelope;
    assert_eq!(*note, recorded.note, "{name}");
    let parts = Parts { index, body: entry.canonicalized_body.clone(), hashes, note };
    Acknowledged::verify_parts(&parts, dir.default_key());
}

async fn check_reads(client: &mut RekorClient<Channel>, recorded: &Recorded) {
    let checkpoint = client.get_checkpoint(()).await.expect("a checkpoint").into_inner();
    assert_eq!(checkpoint.data, recorded.text("final_checkpoint").as_bytes());
    assert_eq!(checkpoint.content_type, "text/plain; charset=utf-8");
    let tile = TileRequest { l: 0, n: "000.p/11".into() };
    let tile = client.get_tile(tile).await.expect("a tile").into_inner();
    let hex: String = tile.data.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, recorded.text("final_tile_0_000_hex"));
    let bundle = EntryBundleRequest { n: "000.p/11".into() };
    let bundle = client.get_entry_bundle(bundle).await.expect("a bundle").into_inner();
    assert_eq!(bundle.content_type, "application/octet-stream");

    for n in ["", "000", "000.p/12", "000.p/0", "../checkpoint", "x999/999.p/1", "0"] {
        let missing = client.get_tile(TileRequest { l: 0, n: n.into() }).await;
        assert_eq!(missing.expect_err("there is no such tile").code(), Code::NotFound, "{n:?}");
        let missing = client.get_entry_bundle(EntryBundleRequest { n: n.into() }).await;
        assert_eq!(missing.expect_err("there is no such bundle").code(), Code::NotFound, "{n:?}");
    }
    for l in [1, 64, u32::MAX] {
        let missing = client.get_tile(TileRequest { l, n: "000.p/1".into() }).await;
        assert_eq!(missing.expect_err("there is no such level").code(), Code::NotFound, "{l}");
    }
}
