//! gRPC beside the Rekor service: reflection, health, and frames that no library would send.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use log_proto::rekor::v2::rekor_client::RekorClient;
use log_tests::{Acknowledged, DataDir, ServerProcess, SubmissionMaker, check_log};
use prost::Message;
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Asks one version of the reflection service; the two differ in nothing but the package's name.
macro_rules! reflect {
    ($version:ident, $channel:expr) => {{
        use pb::server_reflection_request::MessageRequest;
        use pb::server_reflection_response::MessageResponse;
        use tonic_reflection::pb::$version as pb;
        let mut client = pb::server_reflection_client::ServerReflectionClient::new($channel);
        let asked = |message_request| pb::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message_request),
        };
        let requests = tonic::codegen::tokio_stream::iter([
            asked(MessageRequest::ListServices(String::new())),
            asked(MessageRequest::FileContainingSymbol("dev.sigstore.rekor.v2.Rekor".into())),
            asked(MessageRequest::FileContainingSymbol("no.such.Service".into())),
        ]);
        let answers = client.server_reflection_info(requests).await.expect("reflection");
        let mut answers = answers.into_inner();
        let services = match answers.message().await.expect("an answer").unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => list.service,
            other => panic!("{other:?}"),
        };
        let services: Vec<String> = services.into_iter().map(|service| service.name).collect();
        assert!(services.contains(&"dev.sigstore.rekor.v2.Rekor".to_owned()), "{services:?}");
        assert!(services.contains(&"grpc.health.v1.Health".to_owned()), "{services:?}");
        match answers.message().await.expect("an answer").unwrap().message_response {
            Some(MessageResponse::FileDescriptorResponse(files)) => {
                assert!(!files.file_descriptor_proto.is_empty());
            }
            other => panic!("{other:?}"),
        }
        // What is not there ends this call, and only this call.
        let missing = answers.message().await;
        assert_eq!(missing.expect_err("there is no such symbol").code(), Code::NotFound);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_answers_in_both_versions() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    reflect!(v1, channel(&server).await);
    reflect!(v1alpha, channel(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_answers_for_the_process_and_for_the_service() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let mut client = HealthClient::new(channel(&server).await);
    for service in ["", "dev.sigstore.rekor.v2.Rekor"] {
        let asked = HealthCheckRequest { service: service.into() };
        let answer = client.check(asked).await.expect(service).into_inner();
        assert_eq!(answer.status().as_str_name(), "SERVING", "{service:?}");
    }
    let unknown = HealthCheckRequest { service: "no.such.Service".into() };
    assert_eq!(client.check(unknown).await.expect_err("unknown").code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_is_refused_as_resource_exhausted() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let mut client = RekorClient::new(channel(&server).await);
    let mut makes = SubmissionMaker::new();
    let mut large = makes.make();
    large.signature = vec![1; 5 * 1024 * 1024];
    let refused = client.create_entry(large.message()).await.expect_err("too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("body_bytes_max = 4194304"), "{refused:?}");
    // The same connection goes on.
    client.create_entry(makes.make().message()).await.expect("an entry");
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_are_refused_and_disturb_nobody() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let message = SubmissionMaker::new().make().message().encode_to_vec();
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let framed = [&[0][..], &length, &message].concat();
    let mut cut = framed.clone();
    cut.truncate(framed.len() / 2);
    let half_header = vec![0, 0, 0];
    let mut compressed = framed.clone();
    compressed[0] = 1;
    let mut endless = framed.clone();
    endless[1..5].copy_from_slice(&[0xff; 4]);
    let garbage = [&[0, 0, 0, 0, 8][..], &[0xff; 8]].concat();
    let cases = [Vec::new(), half_header, cut, compressed, endless, garbage];
    for frame in cases {
        let status = call(&server, CREATE_ENTRY, &frame).await;
        assert_ne!(status.code(), Code::Ok, "{:?}", frame.get(..8));
        assert_ne!(status.code(), Code::Unknown, "{:?}: {status:?}", frame.get(..8));
    }
    assert_eq!(call(&server, "/no.such.Service/Call", &framed).await.code(), Code::Unimplemented);
    assert_eq!(call(&server, "/", &framed).await.code(), Code::Unimplemented);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 0);
    assert_eq!(call(&server, CREATE_ENTRY, &framed).await.code(), Code::Ok);
    assert_eq!(check_log(&server.url(), dir.default_key()).leaves.len(), 1);
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
}

const CREATE_ENTRY: &str = "/dev.sigstore.rekor.v2.Rekor/CreateEntry";

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_interface_is_spoken_over_http2_as_well() {
    let dir = DataDir::init("localhost");
    let server = dir.start();
    let json = SubmissionMaker::new().make().json();
    let post = Request::post(format!("{}/api/v2/log/entries", server.url()));
    let answer = exchange(&server, post.body(Full::new(json.into())).expect("a request")).await;
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let answer = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(Acknowledged::verify(&answer, dir.default_key()).index.get(), 0);

    let large = Request::post(format!("{}/api/v2/log/entries", server.url()));
    let large = large.body(Full::new(vec![b' '; 5 * 1024 * 1024].into())).expect("a request");
    assert_eq!(exchange(&server, large).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let read = Request::get(format!("{}/checkpoint", server.url()));
    let read = exchange(&server, read.body(Full::default()).expect("a request")).await;
    assert_eq!(read.status(), StatusCode::OK);
}

/// Sends these very bytes as a gRPC call over HTTP/2.
async fn call(server: &ServerProcess, path: &str, body: &[u8]) -> Status {
    let request = Request::post(format!("{}{path}", server.url()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::copy_from_slice(body)))
        .expect("a request");
    let response = exchange(server, request).await;
    assert_eq!(response.status(), StatusCode::OK, "gRPC errors are no HTTP errors");
    let in_headers = Status::from_header_map(response.headers());
    let trailers = response.into_body().collect().await.expect("a body").trailers().cloned();
    let trailers: HeaderMap = trailers.unwrap_or_default();
    in_headers.or_else(|| Status::from_header_map(&trailers)).expect("a gRPC status")
}

/// One request on an HTTP/2 connection of its own.
async fn exchange(server: &ServerProcess, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let stream = TcpStream::connect(server.listen()).await.expect("the server accepts");
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    // It ends with its client and its last answer.
    tokio::spawn(connection);
    client.send_request(request).await.expect("an answer")
}

async fn channel(server: &ServerProcess) -> Channel {
    let endpoint = Channel::from_shared(server.url()).expect("a URL");
    endpoint.connect().await.expect("a connection")
}
