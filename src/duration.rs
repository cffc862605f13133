//! Durations as people write and read them: `15m`, `1h 30m`, `30d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1), ("ms", 0)];

/// Reads `15m`, `1h30m`, `90s`, `26h`, `30d` or `250ms`. `None` where it is anything else, or more than 100 years.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_hours(876_000);
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let part = match &after[..letters] {
            "ms" => Duration::from_millis(number),
            unit => {
                let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
                Duration::from_secs(number.checked_mul(*seconds)?)
            }
        };
        total = total.checked_add(part)?;
        rest = after[letters..].trim_start();
    }
    (total <= LONGEST).then_some(total)
}

/// Writes a duration with its two largest units: `9h 12m`, `22m 10s`, `4.2s`, `15m`.
#[must_use]
pub fn show(duration: Duration) -> String {
    if duration < Duration::from_secs(10) && duration.subsec_millis() > 0 {
        return format!("{:.1}s", duration.as_secs_f64());
    }
    let mut left = duration.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in &UNITS[..4] {
        let count = left / seconds;
        left %= seconds;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Writes seconds as [`show`] does; what is negative is shown as 0.
#[must_use]
pub fn show_seconds(seconds: f64) -> String {
    show(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in
            [("15m", 900), ("1h", 3600), ("30d", 2_592_000), ("0s", 0), ("1h30m", 5400), ("1h 30m", 5400)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        for text in ["", "15", "m", "15 minutes", "-1h", "1.5h", "1w", "99999999999999999999s", "900000000d"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn shows_the_two_largest_units() {
        for (seconds, text) in [(0.0, "0s"), (4.2, "4.2s"), (90.0, "1m 30s"), (900.0, "15m"), (33_120.0, "9h 12m")] {
            assert_eq!(show_seconds(seconds), text);
        }
        assert_eq!(show_seconds(86_400.0 * 2.0 + 30.0), "2d");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_shown_can_be_read_again(seconds in 0u64..3_000_000_000) {
            let shown = show(Duration::from_secs(seconds));
            let read = parse(&shown).expect("what is shown can be read");
            // Two units are shown: what lies below the smaller one is dropped.
            proptest::prop_assert!(read <= Duration::from_secs(seconds));
            proptest::prop_assert_eq!(show(read), shown);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
