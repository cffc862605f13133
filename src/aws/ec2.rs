//! The one question that is asked of EC2: where security groups let traffic go.
//!
//! EC2's SDK is larger than all the others together, for one call that reads. So it is put together here, as the service
//! model has it (`DescribeSecurityGroups` of 2016-11-15, the Query protocol of EC2), and signed by AWS's own signer.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use quick_xml::events::Event;

use super::connect::Aws;
use super::error::{Error, ErrorKind, Result, Service};
use crate::estate::Partition;

/// Whether copies in the quarantine could reach anything. Without it `drctl doctor` does not know.
pub(super) const READS: [&str; 1] = ["ec2:DescribeSecurityGroups"];
/// EC2.
const EC2: Service = Service { prefix: "ec2", codes: &[] };
const OPERATION: &str = "DescribeSecurityGroups";
const VERSION: &str = "2016-11-15";
const TIMEOUT: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// Of an answer so much is read: a group has 60 rules unless the quota was raised, and a page of groups less than this.
const MAX_BODY_BYTES: usize = 4 << 20;

/// A security group, as far as it says where traffic may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Such as `sg-0a1b`.
    pub id: String,
    /// Its VPC.
    pub vpc: String,
    /// Where its outbound rules lead: address ranges, prefix lists, other groups.
    pub egress: Vec<String>,
}

impl Aws {
    /// Security groups by their ids. AWS refuses the call where one of them is not there.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn security_groups(&self, ids: &[String]) -> Result<Vec<SecurityGroup>> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.ask_security_groups(ids).await {
                Err(error) if error.is_transient() => tracing::debug!(%error, "asking again"),
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.ask_security_groups(ids).await
    }

    async fn ask_security_groups(&self, ids: &[String]) -> Result<Vec<SecurityGroup>> {
        let (status, body) = self.send_signed(&form(ids)).await?;
        if !(200..300).contains(&status) {
            let said = |name: &str| texts(&body, name).into_iter().next();
            return Err(EC2.error_of_code(
                OPERATION,
                said("Code"),
                said("Message").unwrap_or_else(|| format!("HTTP {status}")),
            ));
        }
        parse(&body).ok_or_else(|| unavailable("the answer is no XML of EC2"))
    }

    /// Sends a form to EC2 of this Region: the status and the body of the answer.
    async fn send_signed(&self, form: &str) -> Result<(u16, String)> {
        let config = self.origin.config();
        let url = match config.endpoint_url() {
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            None => format!("https://ec2.{}.{}/", self.region, Partition::of(&self.region).dns_suffix),
        };
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let signed = self.signature(&url, &headers, form).await?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        let client = client.build().map_err(|error| unavailable(&format!("{:#}", anyhow::Error::new(error))))?;
        let mut request = client.post(&url).body(form.to_owned());
        for (name, value) in headers.iter().map(|(name, value)| (*name, (*value).to_owned())).chain(signed) {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| unavailable(&format!("{:#}", anyhow::Error::new(error)));
        let mut answer = request.send().await.map_err(failed)?;
        let (status, mut body) = (answer.status().as_u16(), Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(unavailable("the answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// The headers that sign a POST of `form`.
    async fn signature(
        &self,
        url: &str,
        headers: &[(&'static str, &'static str)],
        form: &str,
    ) -> Result<Vec<(&'static str, String)>> {
        let failed = |kind, message: String| Error::new(OPERATION, kind, message);
        let provider = self.origin.config().credentials_provider();
        let provider = provider.ok_or_else(|| failed(ErrorKind::Credentials, "there are no credentials".to_owned()))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| failed(ErrorKind::Credentials, error.to_string()))?.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ec2")
            .time(SystemTime::from(crate::clock::Clock::system().now()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(ErrorKind::Invalid, error.to_string()))?;
        let request = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(form.as_bytes()));
        let request = request.map_err(|error| failed(ErrorKind::Invalid, error.to_string()))?;
        let signed = sign(request, &params.into()).map_err(|error| failed(ErrorKind::Invalid, error.to_string()))?;
        let (instructions, _) = signed.into_parts();
        let (headers, _) = instructions.into_parts();
        Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
    }
}

fn form(ids: &[String]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", OPERATION).append_pair("Version", VERSION);
    for (number, id) in (1..).zip(ids) {
        form.append_pair(&format!("GroupId.{number}"), id);
    }
    form.finish()
}

fn unavailable(message: &str) -> Error {
    Error::new(OPERATION, ErrorKind::Unavailable, message.to_owned())
}

/// Every text in an element of this name. Nothing where it is no XML.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(xml, |path, text| {
        if path.last().is_some_and(|last| last == name) {
            found.push(text);
        }
    });
    found
}

/// The groups in an answer.
fn parse(xml: &str) -> Option<Vec<SecurityGroup>> {
    const GROUP: [&str; 3] = ["DescribeSecurityGroupsResponse", "securityGroupInfo", "item"];
    let mut groups: Vec<SecurityGroup> = Vec::new();
    let mut group = SecurityGroup::default();
    let is_whole = walk(xml, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(below) = path.strip_prefix(&GROUP) else { return };
        match below {
            [] => groups.push(std::mem::take(&mut group)),
            ["groupId"] => group.id = text,
            ["vpcId"] => group.vpc = text,
            ["ipPermissionsEgress", "item", "ipRanges", "item", "cidrIp"]
            | ["ipPermissionsEgress", "item", "ipv6Ranges", "item", "cidrIpv6"]
            | ["ipPermissionsEgress", "item", "prefixListIds", "item", "prefixListId"]
            | ["ipPermissionsEgress", "item", "groups", "item", "groupId"] => group.egress.push(text),
            _ => {}
        }
    });
    is_whole.then_some(groups)
}

/// Tells every element as it ends, with the path that leads to it and the text right before that end; whether the document
/// came to its own.
fn walk(xml: &str, mut tell: impl FnMut(&[String], String)) -> bool {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut path, mut text, mut has_root): (Vec<String>, String, bool) = Default::default();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                has_root = true;
                path.push(start.local_name().as_ref().to_owned());
                text.clear();
            }
            Ok(Event::Text(part)) => text.push_str(&part.xml10_content()),
            // Such as the quotes in an error's message.
            Ok(Event::GeneralRef(entity)) => match entity.resolve_char_ref() {
                Ok(Some(char)) => text.push(char),
                _ => text.push_str(quick_xml::escape::resolve_predefined_entity(&entity).unwrap_or_default()),
            },
            Ok(Event::End(_)) => {
                tell(&path, std::mem::take(&mut text).trim().to_owned());
                path.pop();
            }
            Ok(Event::Eof) => return has_root && path.is_empty(),
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape is that of the API reference's example.
    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeSecurityGroupsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>1d62eae0-acdd-481d-88c9-example</requestId>
  <securityGroupInfo>
    <item>
      <ownerId>123456789012</ownerId><groupId>sg-9bf6ceff</groupId><groupName>quarantine</groupName>
      <vpcId>vpc-31896b55</vpcId>
      <ipPermissions><item><ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item></ipRanges></item></ipPermissions>
      <ipPermissionsEgress>
        <item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-2</groupId></item></groups>
          <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges>
          <ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges><prefixListIds/></item>
      </ipPermissionsEgress>
    </item>
    <item><groupId>sg-3</groupId><vpcId>vpc-1</vpcId><ipPermissions/><ipPermissionsEgress/></item>
  </securityGroupInfo>
</DescribeSecurityGroupsResponse>"#;

    #[test]
    fn rules_that_lead_out_are_read_and_those_that_lead_in_are_not() {
        let groups = parse(ANSWER).unwrap_or_default();
        assert_eq!(groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(), ["sg-9bf6ceff", "sg-3"]);
        assert_eq!(groups[0].egress, ["sg-2", "0.0.0.0/0", "::/0"]);
        assert_eq!((groups[1].vpc.as_str(), groups[1].egress.len()), ("vpc-1", 0));
    }

    #[test]
    fn half_an_answer_is_none() {
        for bytes in [0, 40, 300, 900, ANSWER.len() - 5] {
            assert_eq!(parse(&ANSWER[..bytes]), None, "{bytes}");
        }
        assert_eq!(parse("no XML"), None);
    }

    #[test]
    fn an_error_is_read_with_its_quotes() {
        let text = "<Response><Errors><Error><Code>InvalidGroupId.Malformed</Code><Message>Invalid id: &quot;x&quot; (&#60;)\
                    </Message></Error></Errors></Response>";
        assert_eq!(texts(text, "Code"), ["InvalidGroupId.Malformed"]);
        assert_eq!(texts(text, "Message"), ["Invalid id: \"x\" (<)"]);
    }
}
