//! Media types: what a client sends, and what it takes.

use std::fmt;

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use super::error::Error;

/// The type of nearly everything here.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The type of public keys.
pub(super) const PEM: HeaderValue = HeaderValue::from_static("application/x-pem-file");

/// What a body without a type counts as.
const OCTETS: &str = "application/octet-stream";

/// The media types that an answer may have, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct Offers(&'static [&'static str]);

impl Offers {
    /// JSON and nothing else.
    pub(super) const JSON: Self = Self(&["application/json"]);
    /// A public key as it is, or as a string of JSON.
    pub(super) const PEM_OR_JSON: Self = Self(&["application/x-pem-file", "application/json"]);
}

impl fmt::Display for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(" "))
    }
}

/// Whether the body is said to be JSON.
///
/// # Errors
/// What it is said to be instead.
pub(super) fn check_sends_json(headers: &HeaderMap) -> Result<(), Error> {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or(OCTETS);
    let sent = sent.split(';').next().unwrap_or_default().trim();
    if sent.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let sent = if sent.is_empty() { OCTETS } else { sent };
    Err(Error::MediaType(sent.to_ascii_lowercase()))
}

/// The offer that the client likes best: by weight, then by how exactly it names it, then in the
/// order of the offers.
///
/// # Errors
/// It takes none of them.
pub(super) fn choose(headers: &HeaderMap, offers: Offers) -> Result<&'static str, Error> {
    let mut ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range<'_>> =
        ranges.by_ref().flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    if ranges.is_empty() {
        return offers.0.first().copied().ok_or(Error::NotAcceptable(offers));
    }
    let mut best: Option<(u16, u8, &'static str)> = None;
    for offer in offers.0 {
        for range in ranges.iter().filter(|range| range.weight > 0 && range.covers(offer)) {
            let liked = (range.weight, range.exactness());
            if best.is_none_or(|(weight, exactness, _)| liked > (weight, exactness)) {
                best = Some((liked.0, liked.1, offer));
            }
        }
    }
    best.map(|(_, _, offer)| offer).ok_or(Error::NotAcceptable(offers))
}

/// One media range of `Accept`, with its weight in thousandths.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        Some(Self { kind, subtype, weight: quality.map_or(1000, weight) })
    }

    fn covers(&self, offer: &str) -> bool {
        let Some((kind, subtype)) = offer.split_once('/') else { return false };
        let any = |range: &str, value: &str| range == "*" || range.eq_ignore_ascii_case(value);
        any(self.kind, kind) && any(self.subtype, subtype)
    }

    fn exactness(&self) -> u8 {
        u8::from(self.kind != "*") + u8::from(self.subtype != "*")
    }
}

/// `0.25` as 250; what is no such number counts as 0.
fn weight(quality: &str) -> u16 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let is_short = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" => 1000,
        "0" if is_short => format!("{fraction:0<3}").parse().unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(accept: &[&str]) -> HeaderMap {
        let values = accept.iter().map(|text| (ACCEPT, HeaderValue::from_str(text).unwrap()));
        values.collect()
    }

    #[test]
    fn the_offer_that_is_liked_best_is_chosen() {
        let pem_or_json = |accept: &[&str]| choose(&accepting(accept), Offers::PEM_OR_JSON).ok();
        let (pem, json) = (Some("application/x-pem-file"), Some("application/json"));
        for accept in [&[][..], &["*/*"], &["application/*"], &["text/html, */*;q=0.1"], &["?"]] {
            assert_eq!(pem_or_json(accept), pem, "{accept:?}");
        }
        for accept in [
            &["application/json"][..],
            &["application/json, */*"],
            &["text/html", "Application/JSON;q=0.5"],
            &["application/x-pem-file;q=0, application/json"],
            &["application/x-pem-file;q=0.2,application/json; q=0.3"],
        ] {
            assert_eq!(pem_or_json(accept), json, "{accept:?}");
        }
        for accept in ["text/html", "*/*;q=0", "image/*", "application/json;q=x"] {
            let refused = choose(&accepting(&[accept]), Offers::PEM_OR_JSON).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "unsupported media type requested, only [application/x-pem-file \
                 application/json] are available"
            );
        }
    }

    #[test]
    fn weights_are_thousandths() {
        for (text, thousandths) in
            [("1", 1000), ("1.000", 1000), ("0.5", 500), ("0.025", 25), ("0", 0), ("0.", 0)]
        {
            assert_eq!(weight(text), thousandths, "{text}");
        }
        for bad in ["", "2", "-1", "0.5555", "0.x", "1e3", ".5", "NaN"] {
            assert_eq!(weight(bad), 0, "{bad}");
        }
    }

    #[test]
    fn only_json_is_taken() {
        let sending = |kind: &str| {
            let headers = [(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())];
            check_sends_json(&headers.into_iter().collect())
        };
        for kind in ["application/json", "Application/Json; charset=utf-8", "application/json;"] {
            assert!(sending(kind).is_ok(), "{kind}");
        }
        for (kind, named) in [
            ("text/plain", "text/plain"),
            ("Text/Plain; charset=x", "text/plain"),
            ("", OCTETS),
            ("application/jsonx", "application/jsonx"),
        ] {
            let text = sending(kind).unwrap_err().to_string();
            let expected =
                format!("unsupported media type \"{named}\", only [application/json] are allowed");
            assert_eq!(text, expected);
        }
        assert!(check_sends_json(&HeaderMap::new()).unwrap_err().to_string().contains(OCTETS));
    }
}
