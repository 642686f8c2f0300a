//! Route: which protocol a method and a path belong to. One table, total over any input.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use super::rekor_v1::Endpoint;

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'p> {
    /// A gRPC call of any service.
    Grpc,
    /// A path of Rekor v1.
    RekorV1(Endpoint<'p>),
    /// `POST /api/v2/log/entries`.
    CreateEntry,
    /// `POST /logs/NAME/add`.
    RawAdd(&'p str),
    /// A read under the host's own log, with the path after its prefix.
    ReadFace(&'p str),
    /// A read of the named log, with the path after its prefix.
    ReadLog(&'p str, &'p str),
    /// `GET /logs`.
    Logs,
    /// `GET /healthz`.
    Health,
    /// `GET /readyz`.
    Ready,
    /// The path is known, and takes these methods.
    WrongMethod(&'static str),
    /// Nothing is here.
    Unknown,
}

const READ: &str = "GET, HEAD";

impl<'p> Route<'p> {
    /// Finds the route of a request.
    pub(super) fn of(method: &Method, path: &'p str, headers: &HeaderMap) -> Self {
        if let Some(endpoint) = Endpoint::of(method, path, headers) {
            return Self::RekorV1(endpoint);
        }
        if is_grpc(method, headers) {
            return Self::Grpc;
        }
        let route = Self::of_path(path);
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match route {
            Self::CreateEntry | Self::RawAdd(_) if *method == Method::POST => route,
            Self::CreateEntry | Self::RawAdd(_) => Self::WrongMethod("POST"),
            Self::Unknown => Self::Unknown,
            _ if reads => route,
            _ => Self::WrongMethod(READ),
        }
    }

    fn of_path(path: &'p str) -> Self {
        // Clients put a slash before or after this path when their configured URL ends with one.
        if path.trim_matches('/') == "api/v2/log/entries" {
            return Self::CreateEntry;
        }
        let Some(path) = path.strip_prefix('/') else { return Self::Unknown };
        match path {
            "healthz" => return Self::Health,
            "readyz" => return Self::Ready,
            "logs" => return Self::Logs,
            _ => {}
        }
        if let Some((name, rest)) = path.strip_prefix("logs/").and_then(|at| at.split_once('/')) {
            return match rest {
                "add" => Self::RawAdd(name),
                _ if is_read(rest) => Self::ReadLog(name, rest),
                _ => Self::Unknown,
            };
        }
        // Readers use either prefix: see tlog-tiles, and the Rekor v2 specification.
        let rest = path.strip_prefix("api/v2/").unwrap_or(path);
        if is_read(rest) { Self::ReadFace(rest) } else { Self::Unknown }
    }

    /// The route's name in metrics and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::RekorV1(endpoint) => endpoint.name(),
            Self::CreateEntry => "create-entry",
            Self::RawAdd(_) => "raw-add",
            Self::ReadFace(rest) | Self::ReadLog(_, rest) => read_name(rest),
            Self::Logs => "logs",
            Self::Health | Self::Ready => "health",
            Self::WrongMethod(_) | Self::Unknown => "unknown",
        }
    }
}

fn is_grpc(method: &Method, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    *method == Method::POST && kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

fn is_read(rest: &str) -> bool {
    rest == "checkpoint" || rest.starts_with("tile/") || rest.starts_with("entry/")
}

fn read_name(rest: &str) -> &'static str {
    match rest.split('/').next() {
        Some("checkpoint") => "checkpoint",
        Some("entry") => "entry",
        _ if rest.starts_with("tile/entries/") => "bundle",
        _ => "tile",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn get(path: &str) -> Route<'_> {
        Route::of(&Method::GET, path, &HeaderMap::new())
    }

    #[test]
    fn reads_work_under_every_prefix() {
        assert_eq!(get("/checkpoint"), Route::ReadFace("checkpoint"));
        assert_eq!(get("/api/v2/tile/0/000.p/7"), Route::ReadFace("tile/0/000.p/7"));
        assert_eq!(get("/logs/a/entry/5"), Route::ReadLog("a", "entry/5"));
        assert_eq!(get("/logs"), Route::Logs);
    }

    #[test]
    fn the_write_path_forgives_slashes_around_it() {
        for path in ["/api/v2/log/entries", "//api/v2/log/entries", "/api/v2/log/entries/"] {
            let route = Route::of(&Method::POST, path, &HeaderMap::new());
            assert_eq!(route, Route::CreateEntry, "{path}");
        }
    }

    #[test]
    fn odd_paths_lead_nowhere() {
        for path in [
            "/",
            "",
            "*",
            "/api/v2",
            "/api/v2/",
            "/logs/",
            "/logs/a",
            "/logs/a/",
            "/logs//",
            "//checkpoint",
            "/checkpoint/",
            "/../etc/passwd",
            "/tile",
            "/logs/a/../b/checkpoint",
            "/api/v2/api/v2/checkpoint",
            "/api/v2/log/entries/1",
        ] {
            assert_eq!(get(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn the_older_protocol_has_its_own_table() {
        assert_eq!(get("/api/v1/log"), Route::RekorV1(Endpoint::LogInfo));
        assert_eq!(get("/ping"), Route::RekorV1(Endpoint::Ping));
        assert_eq!(get("/api/v1/nothing").name(), "unknown");
    }

    #[test]
    fn a_known_path_names_its_methods() {
        let none = HeaderMap::new();
        assert_eq!(get("/api/v2/log/entries"), Route::WrongMethod("POST"));
        assert_eq!(get("/logs/a/add"), Route::WrongMethod("POST"));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(Route::of(&method, "/checkpoint", &none), Route::WrongMethod(READ));
        }
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
        assert_eq!(Route::of(&Method::POST, "/any.Service/Call", &headers), Route::Grpc);
        assert_eq!(Route::of(&Method::GET, "/any.Service/Call", &headers), Route::Unknown);
    }
}
