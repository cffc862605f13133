//! Slack: an incoming webhook, or a bot with threads and the report attached.
//!
//! Limits: a header has 150 characters, a section's text 3,000 and each of its at most ten fields 2,000, a message 50
//! blocks. Source: Slack's Block Kit reference and its Web API pages.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::http::{self, DeliveryError};
use super::message::{Message, cut_to};
use crate::text::lines_to;

const HEADER_CHARS: usize = 150;
const SECTION_CHARS: usize = 3000;
const REPORT_FILE: &str = "restore-test.json";

/// What Slack is sent, without where it goes.
pub(super) fn payload(message: &Message) -> Value {
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": cut_to(&message.title(), HEADER_CHARS) } }),
        section(&format!("{}\n_{}_", escape(&message.summary), escape(&message.context()))),
    ];
    let (findings, more) = message.shown();
    if !findings.is_empty() {
        let mut lines: Vec<String> = findings
            .iter()
            .map(|f| format!("• *{}*: expected {}, found {}", escape(&f.name), escape(&f.expected), escape(&f.actual)))
            .collect();
        if more > 0 {
            lines.push(format!("• and {more} more"));
        }
        blocks.push(section(&lines.join("\n")));
    }
    if !message.measured.is_empty() {
        blocks.push(section(&escape(&message.measured.join("\n"))));
    }
    let report = message.report().map_or_else(String::new, |report| format!("\n{}", escape(&report)));
    blocks.push(section(&format!("*Next:* {}{report}", escape(&message.next))));
    // `text` is what a notification on a telephone shows.
    json!({ "text": escape(&cut_to(&message.title(), HEADER_CHARS)), "blocks": blocks })
}

fn section(text: &str) -> Value {
    // Verbatim: Slack makes neither links nor mentions of what it finds in the text.
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": lines_to(text, SECTION_CHARS), "verbatim": true } })
}

/// Slack reads `&`, `<` and `>` as its own.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Posts to an incoming webhook.
pub(super) async fn post(webhook: &SecretString, message: &Message, now: Timestamp) -> Result<(), DeliveryError> {
    let body = http::send(http::post(webhook.expose_secret())?.json(&payload(message)), now).await?;
    // Anything else with a 200 is a proxy's page, not Slack.
    if body.trim() == "ok" {
        return Ok(());
    }
    Err(DeliveryError::again("the far end answered 200, but not as Slack does"))
}

/// Whether an address is of the API's own host or below it: Slack's API at `slack.com` names `files.slack.com`.
fn is_of(url: &str, api: &str) -> bool {
    let host = |text: &str| text.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
    let (Some(host), Some(api)) = (host(url), host(api)) else { return false };
    host == api || host.strip_suffix(&api).is_some_and(|below| below.ends_with('.'))
}

/// A bot, which posts to one channel.
pub(super) struct Bot<'b> {
    pub(super) api: &'b str,
    pub(super) token: SecretString,
    pub(super) channel: &'b str,
    pub(super) now: Timestamp,
}

impl Bot<'_> {
    /// Posts, into a thread where there is one. Returns what names the message.
    pub(super) async fn post(&self, message: &Message, thread: Option<&str>) -> Result<String, DeliveryError> {
        let mut payload = payload(message);
        payload["channel"] = json!(self.channel);
        if let Some(thread) = thread {
            payload["thread_ts"] = json!(thread);
            // An end is shown to those who do not follow the thread, too.
            payload["reply_broadcast"] = json!(message.event == crate::estate::Event::Recovered);
        }
        let answer = self.call(self.request("chat.postMessage")?.json(&payload)).await?;
        let reference = answer["ts"].as_str();
        Ok(reference.ok_or_else(|| DeliveryError::again("Slack did not name the message"))?.to_owned())
    }

    /// Attaches a report to a thread.
    pub(super) async fn attach(&self, thread: &str, report: &str) -> Result<(), DeliveryError> {
        let form = [("filename", REPORT_FILE.to_owned()), ("length", report.len().to_string())];
        let place = self.call(self.request("files.getUploadURLExternal")?.form(&form)).await?;
        let (url, id) = (place["upload_url"].as_str(), place["file_id"].as_str());
        let (Some(url), Some(id)) = (url, id) else {
            return Err(DeliveryError::never("Slack named no place for the report"));
        };
        if !is_of(url, self.api) {
            return Err(DeliveryError::never(
                "Slack named a place for the report that is not its own; nothing was sent there",
            ));
        }
        http::send(http::post(url)?.body(report.to_owned()), self.now).await?;
        let complete = json!({
            "files": [{ "id": id, "title": REPORT_FILE }], "channel_id": self.channel, "thread_ts": thread,
        });
        self.call(self.request("files.completeUploadExternal")?.json(&complete)).await.map(drop)
    }

    fn request(&self, method: &str) -> Result<reqwest::RequestBuilder, DeliveryError> {
        Ok(http::post(&format!("{}/{method}", self.api))?.bearer_auth(self.token.expose_secret()))
    }

    /// Slack's API answers 200 to almost everything, and says inside how it went.
    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Value, DeliveryError> {
        let body = http::send(request, self.now).await?;
        let Ok(answer) = serde_json::from_str::<Value>(&body) else {
            return Err(DeliveryError::again("the far end answered 200, but not as Slack does"));
        };
        if answer["ok"] == true {
            return Ok(answer);
        }
        let error = answer["error"].as_str().unwrap_or("no reason given");
        let mendable = [
            "ratelimited",
            "rate_limited",
            "internal_error",
            "fatal_error",
            "service_unavailable",
            "request_timeout",
            "invalid_auth",
            "not_authed",
            "token_expired",
            "missing_scope",
            "not_in_channel",
        ];
        let text = format!("Slack answered `{error}`");
        Err(if mendable.contains(&error) { DeliveryError::again(text) } else { DeliveryError::never(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_report_goes_to_slack_and_nowhere_else() {
        let api = "https://slack.com/api";
        assert!(is_of("https://files.slack.com/upload/v1/x", api) && is_of("https://slack.com/x", api));
        for url in [
            "https://example.com/",
            "https://notslack.com/",
            "https://slack.com.example.com/",
            "https://slack.com@x.org/",
            "x",
        ] {
            assert!(!is_of(url, api), "{url}");
        }
    }
}
