//! Times in metadata: RFC 3339, printed as the reference server's language does.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A time with the offset that it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    time: Timestamp,
    offset: Offset,
}

impl Expiry {
    /// Reads `2026-01-02T03:04:05Z`, with a fraction of up to nine digits or an offset.
    pub(super) fn parse(text: &str) -> Option<Self> {
        const SECONDS_END: usize = 19;
        let local = text.get(..SECONDS_END)?;
        let is_shape = local.bytes().zip("0000-00-00T00:00:00".bytes()).all(|(byte, wanted)| {
            if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted }
        });
        let rest = &text[SECONDS_END..];
        let zone = rest.find(['Z', '+', '-'])?;
        let (fraction, zone) = rest.split_at(zone);
        let digits = fraction.strip_prefix('.').unwrap_or("0");
        let is_fraction = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_shape || local.ends_with(":60") || digits.is_empty() || !is_fraction {
            return None;
        }
        let local: DateTime = text[..SECONDS_END + fraction.len()].parse().ok()?;
        let offset = parse_offset(zone)?;
        Some(Self { time: offset.to_timestamp(local).ok()?, offset })
    }

    /// The time of metadata that names none.
    pub(super) fn none() -> Option<Self> {
        Self::parse("0001-01-01T00:00:00Z")
    }

    pub(super) fn is_over(self, now: Timestamp) -> bool {
        self.time <= now
    }
}

fn parse_offset(zone: &str) -> Option<Offset> {
    if zone == "Z" {
        return Some(Offset::UTC);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |digits: &str, max: i32| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i32>().ok().filter(|number| is_number && *number <= max)
    };
    let seconds = number(hours, 23)? * 3600 + number(minutes, 59)? * 60;
    Offset::from_seconds(if zone.starts_with('-') { -seconds } else { seconds }).ok()
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.offset.to_datetime(self.time);
        let (date, time) = (local.date(), local.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())?;
        write!(f, " {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        if time.subsec_nanosecond() != 0 {
            let fraction = format!("{:09}", time.subsec_nanosecond());
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        let seconds = self.offset.seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.unsigned_abs() / 60;
        let zone = format!("{sign}{:02}{:02}", minutes / 60, minutes % 60);
        write!(f, " {zone} {}", if seconds == 0 { "UTC" } else { &zone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_with_their_own_offset() {
        for (text, expected) in [
            ("2026-01-05T00:00:00Z", "2026-01-05 00:00:00 +0000 UTC"),
            ("2021-12-18T13:28:12.99008-06:00", "2021-12-18 13:28:12.99008 -0600 -0600"),
            ("2021-12-18T13:28:12.5+05:30", "2021-12-18 13:28:12.5 +0530 +0530"),
            ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00 +0000 UTC"),
            ("2021-12-18T13:28:12+00:00", "2021-12-18 13:28:12 +0000 UTC"),
        ] {
            assert_eq!(Expiry::parse(text).expect(text).to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "2026-01-05",
            "2026-01-05T00:00:00",
            "2026-01-05 00:00:00Z",
            "2026-01-05t00:00:00Z",
            "2026-01-05T00:00:00z",
            "2026-13-05T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-05T24:00:00Z",
            "2026-01-05T00:00:60Z",
            "2026-01-05T00:00:00.Z",
            "2026-01-05T00:00:00.xZ",
            "2026-01-05T00:00:00+1:00",
            "2026-01-05T00:00:00+24:00",
            "2026-01-05T00:00:00Zx",
            "+2026-1-05T00:00:00Z",
            "2026-01-05T00:00:0\u{e9}Z",
        ] {
            assert_eq!(Expiry::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_over_when_it_has_come() {
        let expiry = Expiry::parse("2026-01-05T01:00:00+01:00").expect("a time");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert!(!expiry.is_over(at("2026-01-04T23:59:59Z")));
        assert!(expiry.is_over(at("2026-01-05T00:00:00Z")));
    }
}
