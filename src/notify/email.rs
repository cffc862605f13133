//! Mail by SMTP: text and HTML, over TLS from the first byte or after `STARTTLS`.

use std::fmt::Write;
use std::time::Duration;

use lettre::message::{Mailbox, MultiPart, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

use super::http::DeliveryError;
use super::message::Message;
use crate::estate::{Email, Encryption, Event};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the mail. Its id is the message's, so that a mail that came twice is known as one.
pub(super) fn mail(email: &Email, id: &str, message: &Message) -> anyhow::Result<lettre::Message> {
    let domain = email.from.rsplit_once('@').map_or("drctl", |(_, domain)| domain.trim_end_matches('>'));
    // A recipient's address is part of the id, and may not stand in this one as it is (RFC 5322, 3.6.4).
    let id: String = id.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '=' }).collect();
    let mut mail = lettre::Message::builder()
        .message_id(Some(format!("<{id}@{domain}>")))
        .from(email.from.parse::<Mailbox>()?)
        .to(email.to.parse::<Mailbox>()?)
        .subject(format!("[drctl] {}", message.title()))
        .date(std::time::SystemTime::from(message.at))
        // Out-of-office replies help nobody.
        .header(AutoSubmitted("auto-generated".to_owned()));
    if let Some(incident) = &message.incident {
        mail = mail.references(format!("<{incident}@{domain}>"));
    }
    Ok(mail.multipart(MultiPart::alternative_plain_html(message.text(), html(message)))?)
}

/// `Auto-Submitted`, as RFC 3834 has it.
#[derive(Clone)]
struct AutoSubmitted(String);

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), self.0.clone())
    }
}

fn html(message: &Message) -> String {
    let colour = match message.event {
        Event::Passed | Event::Recovered => "#1a7f37",
        Event::Failed | Event::Stuck => "#cf222e",
        Event::Unknown => "#9a6700",
    };
    let mut html = format!(
        "<!doctype html><html><body style=\"font-family:sans-serif\"><h2 style=\"color:{colour}\">{}</h2>\
         <p>{}<br><em>{}</em></p>",
        escape(&message.title()),
        escape(&message.summary),
        escape(&message.context())
    );
    let (findings, more) = message.shown();
    if !findings.is_empty() {
        html += "<table cellpadding=\"6\" style=\"border-collapse:collapse\" border=\"1\">\
                 <tr><th>check</th><th>expected</th><th>found</th></tr>";
        for finding in findings {
            let cells = [&finding.name, &finding.expected, &finding.actual].map(|cell| escape(cell));
            let _ = write!(html, "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", cells[0], cells[1], cells[2]);
        }
        html += "</table>";
        if more > 0 {
            let _ = write!(html, "<p>and {more} more</p>");
        }
    }
    let measured: Vec<_> = message.measured.iter().map(|line| escape(line)).collect();
    let report = message.report().map_or_else(String::new, |report| format!("<p>{}</p>", escape(&report)));
    let next = escape(&message.next);
    let _ = write!(html, "<p>{}</p><p><b>Next:</b> {next}</p>{report}</body></html>", measured.join("<br>"));
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Sends a mail.
pub(super) async fn send(
    email: &Email,
    password: Option<SecretString>,
    mail: lettre::Message,
) -> Result<(), DeliveryError> {
    let transport = transport(email, password).map_err(|error| DeliveryError::never(format!("{error:#}")))?;
    match tokio::time::timeout(TIMEOUT, transport.send(mail)).await {
        Ok(Ok(_)) => Ok(()),
        // A 5xx is the server's last word; a 4xx, such as greylisting, is not.
        Ok(Err(error)) if error.is_permanent() && !is_about_login(&error) => {
            Err(DeliveryError::never(format!("the mail server refused: {error}")))
        }
        Ok(Err(error)) => Err(DeliveryError::again(format!("the mail could not be handed over: {error}"))),
        Err(_) => Err(DeliveryError::again(format!("the mail server did not answer within {} s", TIMEOUT.as_secs()))),
    }
}

/// 530, 534 and 535 (RFC 4954): the login can be mended while the mail waits.
fn is_about_login(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| ["530", "534", "535"].contains(&code.to_string().as_str()))
}

fn transport(email: &Email, password: Option<SecretString>) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
    let tls = || -> anyhow::Result<TlsParameters> {
        let mut tls = TlsParameters::builder(email.host.clone());
        if let Some(ca) = &email.ca {
            let pem = std::fs::read(ca)?;
            tls = tls.add_root_certificate(Certificate::from_pem(&pem)?);
        }
        Ok(tls.build_rustls()?)
    };
    let tls = match email.encryption {
        Encryption::Implicit => Tls::Wrapper(tls()?),
        Encryption::StartTls => Tls::Required(tls()?),
        Encryption::Off => Tls::None,
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&email.host)
        .port(email.port)
        .timeout(Some(TIMEOUT))
        .tls(tls);
    if let (Some(username), Some(password)) = (&email.username, password) {
        transport = transport.credentials(Credentials::new(username.clone(), password.expose_secret().to_owned()));
    }
    Ok(transport.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::ReasonName;

    #[test]
    fn the_id_of_a_mail_has_one_at_sign() {
        let message = Message {
            event: Event::Failed,
            because: ReasonName::First,
            estate: "shop".to_owned(),
            environment: "prod".to_owned(),
            target: "db".to_owned(),
            check: String::new(),
            run_id: "1".to_owned(),
            incident: None,
            since: None,
            at: jiff::Timestamp::UNIX_EPOCH,
            summary: String::new(),
            findings: Vec::new(),
            measured: Vec::new(),
            next: String::new(),
            simulated: false,
            timezone: None,
        };
        let email = Email {
            host: "localhost".to_owned(),
            port: 25,
            encryption: Encryption::Off,
            from: "drctl <drctl@example.com>".to_owned(),
            to: "On call <ops@example.com>".to_owned(),
            username: None,
            password: None,
            ca: None,
        };
        let mail = mail(&email, "1-failed-mail/ops@example.com-1", &message).unwrap();
        let text = String::from_utf8(mail.formatted()).unwrap();
        assert!(text.contains("Message-ID: <1-failed-mail=ops=example.com-1@example.com>\r\n"), "{text}");
    }
}
