//! The answers that no request alone can bring about; the others stand in `tests/it/rekor_v1`.

use futures_util::FutureExt;
use http_body_util::BodyExt;

use super::*;
use crate::log::PoolRefusal;

/// Status, headers that matter, and the body.
fn answer(error: impl Into<Error>) -> (u16, bool, bool, String) {
    let response = error.into().into_response();
    let (parts, body) = response.into_parts();
    let body = body.collect().now_or_never().expect("a whole body").expect("never fails");
    let has = |name: http::HeaderName| parts.headers.contains_key(name);
    let text = String::from_utf8(body.to_bytes().to_vec()).expect("JSON");
    (parts.status.as_u16(), has(RETRY_AFTER), has(CONNECTION), text)
}

#[track_caller]
fn check(error: impl Into<Error>, status: u16, retry: bool, message: &str) {
    let expected = format!("{{\"code\":{status},\"message\":\"{message}\"}}\n");
    let (actual, retry_after, _, body) = answer(error);
    assert_eq!((actual, retry_after, body), (status, retry, expected));
}

#[test]
fn a_log_that_takes_nothing_for_good_is_told_from_one_that_waits() {
    let frozen = "Create Entry API not enabled in this Rekor instance";
    check(SubmitError::Frozen, 501, false, frozen);
    for (wait, message) in [
        (SubmitError::Asking, "the log asks its witnesses before it goes on"),
        (SubmitError::Backlog, "entries wait for the witnesses of the log"),
        (PoolRefusal::Full(7).into(), "the pool is full (pool_leaves_max = 7)"),
        (PoolRefusal::Closed.into(), "the log is stopping"),
        (AnswerError::NoSpace.into(), "free space is below headroom_bytes"),
        (AnswerError::Clock.into(), "clock: the time of day is not to be trusted"),
        (AnswerError::Stopped.into(), "the log stopped before it could answer"),
        (SubmitError::TimedOut, "no checkpoint covered the entry"),
    ] {
        let (status, retry_after, _, body) = answer(wait);
        assert_eq!((status, retry_after), (503, true), "{message}");
        assert!(body.starts_with(&format!("{{\"code\":503,\"message\":\"{message}")), "{body}");
    }
    check(ApiError::Shut("why".into()), 503, true, "the log is shut: why");
    assert_eq!(answer(ApiError::Unpublished).0, 503);
    let waits = "too many entries wait to be checked; try again later";
    check(ApiError::TooMuchToCheck, 503, true, waits);
}

#[test]
fn what_fails_here_is_told_without_what_the_store_said() {
    let said = "/somewhere/db: input/output error";
    let store = "unexpected error communicating with transparency log";
    let failures: [Error; 3] = [
        ReadError::Broken(said.into()).into(),
        SearchError::Read(ReadError::Broken(said.into())).into(),
        SubmitError::from(AnswerError::BatchFailed(said.into())).into(),
    ];
    for failure in failures {
        assert!(failure.is_ours(), "{failure}");
        check(failure, 500, false, store);
    }
    check(ApiError::Internal, 500, false, "Unknown error");
    assert!(Error::from(ApiError::Internal).is_ours());
    assert!(!Error::from(SubmitError::Backlog).is_ours());
}

#[test]
fn a_search_that_finds_too_much_is_told_how_to_ask_for_less() {
    let (status, _, _, body) = answer(SearchError::TooMany(100_000));
    assert_eq!(status, 400);
    for named in ["100000", "limit", "after"] {
        assert!(body.contains(named), "{body}");
    }
    assert_eq!(answer(SearchError::TooMuchWork(2_000_000)).0, 400);
}

#[test]
fn a_connection_whose_body_was_not_read_is_closed() {
    for (unread, status) in [
        (ApiError::BodyTooLarge(9), 413),
        (ApiError::BodyTooSlow(9), 408),
        (ApiError::TooManyLongBodies, 503),
    ] {
        let (actual, _, closes, _) = answer(unread);
        assert_eq!((actual, closes), (status, true));
    }
    check(ApiError::BodyTooLarge(9), 413, false, "Request Entity Too Large. Limit set to 9");
    check(ApiError::Misdirected, 421, false, "no log is served under this host name");
    assert!(!answer(ApiError::TooManyRequests(1)).2);
}
