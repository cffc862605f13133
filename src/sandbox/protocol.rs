//! What requests and answers look like on the wire: Query with XML, and JSON.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use crate::estate::Tags;

/// An answer before it becomes HTTP.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// An error as AWS would answer it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// The caller's arguments are wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidParameterValue", message)
    }

    /// As the Query protocol has it.
    pub(super) fn to_xml(&self) -> Answer {
        let kind = if self.status < 500 { "Sender" } else { "Receiver" };
        let error = element(
            "ErrorResponse",
            vec![
                element("Error", vec![leaf("Type", kind), leaf("Code", &self.code), leaf("Message", &self.message)]),
                leaf("RequestId", REQUEST_ID),
            ],
        );
        Answer { status: self.status, content_type: "text/xml", body: error.to_text() }
    }

    /// As EC2's protocol has it.
    pub(super) fn to_ec2(&self) -> Answer {
        let (code, status) = ec2_spelling(&self.code).unwrap_or((&self.code, self.status));
        let error = element("Error", vec![leaf("Code", code), leaf("Message", &self.message)]);
        let response = element("Response", vec![element("Errors", vec![error]), leaf("RequestID", REQUEST_ID)]);
        Answer { status, content_type: "text/xml", body: response.to_text() }
    }

    /// As the JSON protocols have it.
    pub(super) fn to_json(&self) -> Answer {
        let (code, status) = json_spelling(&self.code).unwrap_or((&self.code, self.status));
        let body = serde_json::json!({ "__type": code, "message": self.message, "Message": self.message });
        Answer { status, content_type: "application/x-amz-json-1.1", body: body.to_string() }
    }
}

/// What KMS and Secrets Manager call an error that every service has, and its status.
fn json_spelling(code: &str) -> Option<(&'static str, u16)> {
    Some(match code {
        "Throttling" => ("ThrottlingException", 400),
        "AccessDenied" => ("AccessDeniedException", 400),
        "ExpiredToken" => ("ExpiredTokenException", 400),
        "IncompleteSignature" => ("IncompleteSignatureException", 400),
        "InternalFailure" => ("InternalFailureException", 500),
        "InvalidClientTokenId" => ("UnrecognizedClientException", 400),
        "MissingAuthenticationToken" => ("MissingAuthenticationTokenException", 400),
        "SignatureDoesNotMatch" => ("InvalidSignatureException", 400),
        _ => return None,
    })
}

/// What EC2 calls an error that every service has, and its status ("Error codes for the Amazon EC2 API").
fn ec2_spelling(code: &str) -> Option<(&'static str, u16)> {
    Some(match code {
        "Throttling" => ("RequestLimitExceeded", 503),
        "AccessDenied" => ("UnauthorizedOperation", 403),
        "ExpiredToken" => ("RequestExpired", 400),
        "InternalFailure" => ("InternalError", 500),
        "InvalidClientTokenId" | "MissingAuthenticationToken" | "SignatureDoesNotMatch" => ("AuthFailure", 401),
        _ => return None,
    })
}

const REQUEST_ID: &str = "00000000-0000-0000-0000-000000000000";
/// Pages hold this many unless asked otherwise, and never more.
const MAX_RECORDS: usize = 100;
const MIN_RECORDS: usize = 20;
/// Keeps a marker from looking like the number that it holds.
const MARKER_MASK: usize = 0x5a5a_5a5a;

/// A result for the Query protocol.
pub(super) fn xml_answer(action: &str, result: Vec<Node>) -> Answer {
    let response = element(
        &format!("{action}Response"),
        vec![
            element(&format!("{action}Result"), result),
            element("ResponseMetadata", vec![leaf("RequestId", REQUEST_ID)]),
        ],
    );
    Answer { status: 200, content_type: "text/xml", body: response.to_text() }
}

/// A whole document, as EC2's protocol has it.
pub(super) fn document(name: &str, mut children: Vec<Node>) -> Answer {
    children.insert(0, leaf("requestId", REQUEST_ID));
    Answer { status: 200, content_type: "text/xml", body: element(name, children).to_text() }
}

/// A result for the JSON protocols.
pub(super) fn json_answer(body: &serde_json::Value) -> Answer {
    Answer { status: 200, content_type: "application/x-amz-json-1.1", body: body.to_string() }
}

/// A piece of XML.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Element(String, Vec<Node>),
    Text(String),
}

/// An element with children.
pub(super) fn element(name: &str, children: Vec<Node>) -> Node {
    Node::Element(name.to_owned(), children)
}

/// An element with text.
pub(super) fn leaf(name: &str, text: impl ToString) -> Node {
    Node::Element(name.to_owned(), vec![Node::Text(text.to_string())])
}

/// A moment, to the millisecond.
pub(super) fn moment(name: &str, at: Timestamp) -> Node {
    leaf(name, at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
}

/// A list in which each member has the same name.
pub(super) fn list<'a>(name: &str, member: &str, values: impl IntoIterator<Item = &'a String>) -> Node {
    element(name, values.into_iter().map(|value| leaf(member, value)).collect())
}

/// Tags as RDS answers them.
pub(super) fn tag_list(tags: &Tags) -> Node {
    let tag = |(key, value): (&String, &String)| element("Tag", vec![leaf("Key", key), leaf("Value", value)]);
    element("TagList", tags.iter().map(tag).collect())
}

impl Node {
    fn to_text(&self) -> String {
        let mut writer = Writer::new(Vec::new());
        // Writing to memory does not fail.
        let _ = self.write(&mut writer);
        String::from_utf8(writer.into_inner()).unwrap_or_default()
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        match self {
            Self::Text(text) => writer.write_event(Event::Text(BytesText::new(text))),
            Self::Element(name, children) => {
                writer.write_event(Event::Start(BytesStart::new(name.as_str())))?;
                children.iter().try_for_each(|child| child.write(writer))?;
                writer.write_event(Event::End(BytesEnd::new(name.as_str())))
            }
        }
    }
}

/// The parameters of a Query request.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    pub(super) fn parse(body: &str) -> Self {
        Self(form_urlencoded::parse(body.as_bytes()).into_owned().collect())
    }

    /// Every parameter as it was sent.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        let missing =
            || ApiError::new(400, "MissingParameter", format!("The request must contain the parameter {name}"));
        self.text(name).ok_or_else(missing)
    }

    /// Identifiers are stored in lower case.
    pub(super) fn id(&self, name: &str) -> Result<String, ApiError> {
        Ok(self.required(name)?.to_ascii_lowercase())
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text.eq_ignore_ascii_case("true"))
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// `Name.1`, `Name.2`, ... in order. Also `Name.member.1`, as some clients write it.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let (list, member) = name.split_once('.').unwrap_or((name, "member"));
        let at = |number: usize| {
            let names = [format!("{list}.{member}.{number}"), format!("{list}.member.{number}")];
            names.iter().find_map(|name| self.text(name)).map(str::to_owned)
        };
        (1..).map_while(at).collect()
    }

    pub(super) fn tags(&self) -> Tags {
        let at = |number: usize| {
            let key = ["Tags.Tag", "Tags.member"].iter().find_map(|list| self.text(&format!("{list}.{number}.Key")))?;
            let value =
                ["Tags.Tag", "Tags.member"].iter().find_map(|list| self.text(&format!("{list}.{number}.Value")));
            Some((key.to_owned(), value.unwrap_or_default().to_owned()))
        };
        (1..).map_while(at).collect()
    }

    /// How many tags there are, each counted.
    pub(super) fn tag_count(&self) -> usize {
        let is_key = |name: &str| name.starts_with("Tags.") && name.ends_with(".Key");
        self.0.keys().filter(|name| is_key(name)).count()
    }

    /// Filters by name, each with the values that it lets through: at least one.
    pub(super) fn filters(&self) -> Result<BTreeMap<String, Vec<String>>, ApiError> {
        let at = |number: usize| {
            let name = self.text(&format!("Filters.Filter.{number}.Name"))?;
            let value = |of: usize| self.text(&format!("Filters.Filter.{number}.Values.Value.{of}")).map(str::to_owned);
            Some((name.to_owned(), (1..).map_while(value).collect()))
        };
        let filters: BTreeMap<String, Vec<String>> = (1..).map_while(at).collect();
        match filters.iter().find(|(_, values)| values.is_empty()) {
            Some((name, _)) => Err(ApiError::invalid(format!("Filter {name} has no values"))),
            None => Ok(filters),
        }
    }

    /// One page of `items`, and the marker of the next. A marker means nothing to whoever holds it, and fits only the
    /// request that it was given for.
    pub(super) fn page<T>(&self, items: Vec<T>) -> Result<(Vec<T>, Option<String>), ApiError> {
        let size = match self.number("MaxRecords") {
            None => MAX_RECORDS,
            Some(number) => {
                usize::try_from(number).ok().filter(|number| (MIN_RECORDS..=MAX_RECORDS).contains(number)).ok_or_else(
                    || ApiError::invalid(format!("Invalid value {number} for MaxRecords. Must be between 20 and 100")),
                )?
            }
        };
        let skipped = match self.text("Marker") {
            None => 0,
            Some(marker) => self.skipped_by(marker).ok_or_else(|| ApiError::invalid("Invalid or expired marker."))?,
        };
        let more = items.len() > skipped + size;
        let page = items.into_iter().skip(skipped).take(size).collect();
        Ok((page, more.then(|| self.marker(skipped + size))))
    }

    fn marker(&self, skipped: usize) -> String {
        format!("{:016x}{:08x}", self.question(skipped), skipped ^ MARKER_MASK)
    }

    fn skipped_by(&self, marker: &str) -> Option<usize> {
        let (question, skipped) = marker.split_at_checked(16)?;
        let skipped = usize::from_str_radix(skipped, 16).ok()? ^ MARKER_MASK;
        (question == format!("{:016x}", self.question(skipped))).then_some(skipped)
    }

    /// What is asked, without how it is paged.
    fn question(&self, skipped: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.iter().filter(|(name, _)| !["MaxRecords", "Marker"].contains(&name.as_str())).for_each(|pair| {
            pair.hash(&mut hasher);
        });
        skipped.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_tags_and_filters_are_numbered() {
        let params = Params::parse(
            "VpcSecurityGroupIds.VpcSecurityGroupId.1=sg-1&VpcSecurityGroupIds.VpcSecurityGroupId.2=sg-2\
             &Tags.Tag.1.Key=a&Tags.Tag.1.Value=b&Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=docdb",
        );
        assert_eq!(params.list("VpcSecurityGroupIds.VpcSecurityGroupId"), ["sg-1", "sg-2"]);
        assert_eq!(params.tags().get("a").map(String::as_str), Some("b"));
        assert_eq!(params.filters().unwrap()["engine"], ["docdb"]);
    }

    #[test]
    fn pages_follow_their_markers() {
        let items: Vec<usize> = (0..50).collect();
        let (first, marker) = Params::parse("Action=A&MaxRecords=20").page(items.clone()).unwrap();
        let marker = marker.unwrap();
        assert_eq!((first.len(), marker.parse::<usize>().is_ok()), (20, false));
        let next = |action: &str| Params::parse(&format!("Action={action}&MaxRecords=30&Marker={marker}"));
        let (last, end) = next("A").page(items.clone()).unwrap();
        assert_eq!((last[0], last.len(), end), (20, 30, None));
        assert!(next("B").page(items).is_err(), "a marker of another request");
        assert!(
            Params::parse("MaxRecords=5").page(vec![1]).is_err() && Params::parse("Marker=5").page(vec![1]).is_err()
        );
    }

    #[test]
    fn services_that_speak_json_have_names_of_their_own_for_common_errors() {
        let answer = ApiError::new(400, "Throttling", "Rate exceeded").to_json();
        assert_eq!((answer.status, answer.body.contains("\"ThrottlingException\"")), (400, true));
        let answer = ApiError::new(403, "AccessDenied", "no").to_json();
        assert_eq!((answer.status, answer.body.contains("\"AccessDeniedException\"")), (400, true));
        let answer = ApiError::new(400, "NotFoundException", "no").to_json();
        assert!(answer.body.contains("\"NotFoundException\""));
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(leaf("a", "<&>").to_text(), "<a>&lt;&amp;&gt;</a>");
    }
}
