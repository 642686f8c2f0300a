//! The paths of Rekor v1. They are matched without their empty segments, as the reference server
//! does: some clients send `/api/v1/log/`, others put a slash too many before it.

use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::{HeaderMap, Method};

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Endpoint<'p> {
    /// `/ping`: is anybody there?
    Ping,
    /// `GET /api/v1/log`.
    LogInfo,
    /// `GET /api/v1/log/publicKey`.
    PublicKey,
    /// `GET /api/v1/log/proof`.
    Proof,
    /// `POST /api/v1/log/entries`.
    Create,
    /// `GET /api/v1/log/entries?logIndex=`.
    EntryAt,
    /// `GET /api/v1/log/entries/ID`, with the id as it was sent.
    Entry(&'p str),
    /// `POST /api/v1/log/entries/retrieve`.
    Retrieve,
    /// `POST /api/v1/index/retrieve`.
    Search,
    /// A browser asks whether a page of another site may send what it wants to send.
    Preflight,
    /// The path has these methods.
    WrongMethod(&'static str),
    /// Nothing is here.
    Unknown,
}

impl<'p> Endpoint<'p> {
    /// The endpoint of a request; `None` for paths of other protocols.
    pub(in crate::api) fn of(method: &Method, path: &'p str, headers: &HeaderMap) -> Option<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        match (segments.next()?, segments.next()) {
            ("ping", None) if matches!(*method, Method::GET | Method::HEAD) => {
                return Some(Self::Ping);
            }
            ("ping", None) => return Some(Self::Unknown),
            ("api", Some("v1")) => {}
            _ => return None,
        }
        if *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return Some(Self::Preflight);
        }
        // No path has more; what lies deeper is not there.
        let mut next = || segments.next();
        let rest = [next(), next(), next(), next()];
        let (get, post) = Self::by_method(rest);
        Some(match (get, post) {
            (Some(get), _) if *method == Method::GET => get,
            (_, Some(post)) if *method == Method::POST => post,
            (Some(_), Some(_)) => Self::WrongMethod("GET,POST"),
            (Some(_), None) => Self::WrongMethod("GET"),
            (None, Some(_)) => Self::WrongMethod("POST"),
            (None, None) => Self::Unknown,
        })
    }

    /// What `GET` and `POST` mean at a path below `/api/v1`.
    fn by_method(rest: [Option<&'p str>; 4]) -> (Option<Self>, Option<Self>) {
        match rest {
            [Some("log"), None, ..] => (Some(Self::LogInfo), None),
            [Some("log"), Some("publicKey"), None, _] => (Some(Self::PublicKey), None),
            [Some("log"), Some("proof"), None, _] => (Some(Self::Proof), None),
            [Some("log"), Some("entries"), None, _] => (Some(Self::EntryAt), Some(Self::Create)),
            // To `GET` this is an id like any other, and a wrong one.
            [Some("log"), Some("entries"), Some(id @ "retrieve"), None] => {
                (Some(Self::Entry(id)), Some(Self::Retrieve))
            }
            [Some("log"), Some("entries"), Some(id), None] => (Some(Self::Entry(id)), None),
            [Some("index"), Some("retrieve"), None, _] => (None, Some(Self::Search)),
            _ => (None, None),
        }
    }

    /// Whether the answer depends on the state of the log, so that no cache may keep it.
    pub(super) fn is_log_data(self) -> bool {
        matches!(
            self,
            Self::LogInfo | Self::PublicKey | Self::Proof | Self::EntryAt | Self::Entry(_)
        )
    }

    /// The endpoint's name in metrics and logs.
    pub(in crate::api) fn name(self) -> &'static str {
        match self {
            Self::Ping => "health",
            Self::LogInfo => "v1-log",
            Self::PublicKey => "v1-public-key",
            Self::Proof => "v1-proof",
            Self::Create => "v1-create-entry",
            Self::EntryAt | Self::Entry(_) => "v1-entry",
            Self::Retrieve => "v1-retrieve",
            Self::Search => "v1-search",
            Self::Preflight | Self::WrongMethod(_) | Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn endpoint(method: &str, path: &'static str) -> Option<Endpoint<'static>> {
        Endpoint::of(&method.parse().unwrap(), path, &HeaderMap::new())
    }

    #[test]
    fn every_path_forgives_slashes() {
        for (method, path, expected) in [
            ("GET", "ping", Endpoint::Ping),
            ("GET", "api/v1/log", Endpoint::LogInfo),
            ("GET", "api/v1/log/publicKey", Endpoint::PublicKey),
            ("GET", "api/v1/log/proof", Endpoint::Proof),
            ("GET", "api/v1/log/entries", Endpoint::EntryAt),
            ("POST", "api/v1/log/entries", Endpoint::Create),
            ("GET", "api/v1/log/entries/ab", Endpoint::Entry("ab")),
            ("GET", "api/v1/log/entries/retrieve", Endpoint::Entry("retrieve")),
            ("POST", "api/v1/log/entries/retrieve", Endpoint::Retrieve),
            ("POST", "api/v1/index/retrieve", Endpoint::Search),
        ] {
            for path in [
                format!("/{path}"),
                format!("//{path}"),
                format!("/{path}/"),
                format!("/{}//", path.replace('/', "//")),
            ] {
                let method = method.parse().unwrap();
                assert_eq!(
                    Endpoint::of(&method, &path, &HeaderMap::new()),
                    Some(expected),
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_there_is_unknown_or_of_another_protocol() {
        for path in [
            "/api/v1",
            "/api/v1/",
            "/api/v1/version",
            "/api/v1/timestamp",
            "/api/v1/log/publickey",
            "/api/v1/log/entries/a/b",
            "/api/v1/index",
            "/api/v1/index/retrieve/x",
            "/api/v1/log/../log",
        ] {
            assert_eq!(endpoint("GET", path), Some(Endpoint::Unknown), "{path}");
        }
        assert_eq!(endpoint("POST", "/ping"), Some(Endpoint::Unknown));
        for path in
            ["/", "", "*", "/api", "/api/v2/log/entries", "/ping/x", "/logs", "/api/v10/log"]
        {
            assert_eq!(endpoint("GET", path), None, "{path}");
        }
    }

    #[test]
    fn a_known_path_names_its_methods() {
        for (method, path, allowed) in [
            ("POST", "/api/v1/log", "GET"),
            ("HEAD", "/api/v1/log", "GET"),
            ("PUT", "/api/v1/log/entries", "GET,POST"),
            ("DELETE", "/api/v1/log/entries/retrieve", "GET,POST"),
            ("POST", "/api/v1/log/entries/ab", "GET"),
            ("GET", "/api/v1/index/retrieve", "POST"),
            ("OPTIONS", "/api/v1/log", "GET"),
        ] {
            let expected = Some(Endpoint::WrongMethod(allowed));
            assert_eq!(endpoint(method, path), expected, "{method} {path}");
        }
        let asks = [(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"))];
        let asked = Endpoint::of(&Method::OPTIONS, "/api/v1/log", &asks.into_iter().collect());
        assert_eq!(asked, Some(Endpoint::Preflight));
    }
}
