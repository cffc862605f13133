//! From the SDKs' time, endpoints and tags to ours, and back.

use aws_smithy_types::DateTime;
use jiff::Timestamp;

use crate::estate::HostPort;

pub(super) fn time(at: Option<DateTime>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

pub(super) fn date_time(at: Timestamp) -> DateTime {
    DateTime::from_secs(at.as_second())
}

pub(super) fn endpoint(host: Option<String>, port: Option<i32>) -> Option<HostPort> {
    let host = host.filter(|host| !host.is_empty())?;
    Some(HostPort { host, port: u16::try_from(port?).ok()? })
}
