//! What people are told: short, true, and with the next command.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::estate::Event;

/// Findings shown; the rest are counted.
const MAX_FINDINGS: usize = 5;
/// Characters of one text in a message; the whole is in the report.
const MAX_TEXT_CHARS: usize = 300;

/// Why people are told, as it is stored and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonName {
    /// The last test passed, or nothing was left behind.
    First,
    /// It has been wrong for a while.
    Still,
    /// It was wrong in another way before.
    Changed,
    /// It passes again, or nothing is left behind any more.
    Recovered,
    /// It passes, as before.
    Passed,
    /// Somebody tests the channel.
    #[serde(alias = "trial")]
    Test,
    /// Several things at once.
    Digest,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub name: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub actual: String,
}

/// One message, whatever the channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What happened.
    pub event: Event,
    /// Why it is told.
    pub because: ReasonName,
    /// The estate.
    pub estate: String,
    /// Its environment; empty where the configuration names none.
    pub environment: String,
    /// The target.
    pub target: String,
    /// What is wrong, or no longer wrong: `restore-test` or `cleanup`; empty where it is about neither.
    #[serde(default)]
    pub check: String,
    /// The run.
    pub run_id: String,
    /// Names the alert, from its first sign to its end, for channels that keep what belongs together in one place; absent where there is none.
    pub incident: Option<String>,
    /// Since when something has been wrong.
    pub since: Option<Timestamp>,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, in one sentence.
    pub summary: String,
    /// What is not as expected.
    pub findings: Vec<Finding>,
    /// What was measured, as `RTO 482 s of 15m`.
    pub measured: Vec<String>,
    /// What to do.
    pub next: String,
    /// Whether it happened in the sandbox.
    pub simulated: bool,
    /// In which people read times, as an IANA name; UTC where there is none.
    #[serde(default)]
    pub timezone: Option<String>,
}

impl Message {
    /// One line: the subject of a mail, the head of a post.
    #[must_use]
    pub fn title(&self) -> String {
        let sandbox = if self.simulated { "[sandbox] " } else { "" };
        let word = match self.because {
            ReasonName::Test => "test message".to_owned(),
            ReasonName::Still => format!("still {}", self.event.name()),
            _ => self.event.name().to_owned(),
        };
        let environment = if self.environment.is_empty() { String::new() } else { format!(", {}", self.environment) };
        let title = format!("{sandbox}{} {word} ({}{environment})", self.target, self.estate);
        // One line, whatever the names are: it becomes a header of a mail.
        crate::text::clean(&title)
    }

    /// Since when, and why this is told.
    #[must_use]
    pub fn context(&self) -> String {
        let since = self.since.map_or_else(String::new, |since| self.show(since));
        let at = self.show(self.at);
        match self.because {
            ReasonName::First => format!("new, at {at}"),
            ReasonName::Still => format!("unresolved since {since}"),
            ReasonName::Changed => format!("unresolved since {since}; it was something else before"),
            ReasonName::Recovered => format!("resolved after {}", self.outage()),
            ReasonName::Passed => format!("passed at {at}"),
            ReasonName::Test => format!("sent at {at}"),
            ReasonName::Digest => format!("several messages in one, at {at}"),
        }
    }

    /// The event as subscriptions filter by it; `test` where the channel is tested.
    #[must_use]
    pub fn event_name(&self) -> &'static str {
        if self.because == ReasonName::Test { "test" } else { self.event.name() }
    }

    /// Where the whole report is; absent where the message is of no run.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        let is_of_a_run = !matches!(self.because, ReasonName::Test | ReasonName::Digest) && !self.run_id.is_empty();
        is_of_a_run.then(|| format!("Full report: `drctl runs show {}`", self.run_id))
    }

    /// A time to the minute.
    fn show(&self, at: Timestamp) -> String {
        let zone = self.timezone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        at.to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    fn outage(&self) -> String {
        let since = self.since.unwrap_or(self.at);
        crate::duration::show_seconds(self.at.duration_since(since).as_secs_f64())
    }

    /// The findings that are shown, and how many are not.
    #[must_use]
    pub fn shown(&self) -> (&[Finding], usize) {
        let shown = self.findings.len().min(MAX_FINDINGS);
        (&self.findings[..shown], self.findings.len() - shown)
    }

    /// The whole as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![self.summary.clone(), self.context()];
        let (findings, more) = self.shown();
        for finding in findings {
            lines.push(format!("- {}: expected {}, found {}", finding.name, finding.expected, finding.actual));
        }
        if more > 0 {
            lines.push(format!("- and {more} more"));
        }
        lines.extend(self.measured.iter().cloned());
        lines.push(format!("Next: {}", self.next));
        lines.extend(self.report());
        lines.join("\n")
    }
}

/// A text that is not too long for a message.
pub(super) fn cut(text: &str) -> String {
    cut_to(text, MAX_TEXT_CHARS)
}

/// One line of at most so many characters.
pub(super) fn cut_to(text: &str, chars: usize) -> String {
    crate::text::clean_to(text, chars)
}
